import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { machine } from "./process.ts"

describe("a run visits its nodes one after another", () => {
  it.effect("in sequence, and ends with its output", () =>
    Effect.gen(function* () {
      const flow = Flow.make("sequence", {
        input: Schema.Struct({ name: Schema.String }),
        output: Schema.String,
        start: "a",
        nodes: { a: Node.make({ to: ["b"] }), b: Node.make({ to: ["c"] }), c: Node.make({ to: ["end"] }) }
      })
      const visited: Array<string> = []
      const handlers = flow.toLayer({
        a: ({ next }) => Effect.sync(() => (visited.push("a"), next.to("b"))),
        b: ({ next }) => Effect.sync(() => (visited.push("b"), next.to("c"))),
        c: ({ input, next }) => Effect.sync(() => (visited.push("c"), next.end(`hello ${input.name}`)))
      })
      const { boot, kinds } = machine()
      const { runs } = yield* boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)))
      const run = yield* runs.start(flow, { name: "world" })
      assert.strictEqual(yield* runs.await(run), "hello world")
      assert.deepStrictEqual(visited, ["a", "b", "c"])
      assert.deepStrictEqual(yield* kinds(run), ["created", "visited", "visited", "visited", "completed"])
      const info = yield* runs.get(run)
      assert.strictEqual(info.status, "completed")
      assert.strictEqual(info.steps, 3)
    })
  )

  it.effect("along the targets that the handlers choose, round loops as often as they wish", () =>
    Effect.gen(function* () {
      const flow = Flow.make("loop", {
        input: Schema.Struct({ rounds: Schema.Int }),
        state: { n: State.counter(), path: State.list(Schema.String) },
        output: Schema.Array(Schema.String),
        start: "count",
        nodes: {
          count: Node.make({ to: ["odd", "even"] }),
          odd: Node.make({ to: ["count", "done"] }),
          even: Node.make({ to: ["count", "done"] }),
          done: Node.make({ to: ["end"] })
        }
      })
      const handlers = flow.toLayer({
        count: ({ next, state }) => Effect.succeed(next.to(state.n % 2 === 0 ? "odd" : "even", { n: 1 })),
        odd: ({ input, next, state }) =>
          Effect.succeed(next.to(state.n >= input.rounds ? "done" : "count", { path: [`odd ${state.n}`] })),
        even: ({ input, next, state }) =>
          Effect.succeed(next.to(state.n >= input.rounds ? "done" : "count", { path: [`even ${state.n}`] })),
        done: ({ next, state }) => Effect.succeed(next.end(state.path))
      })
      const { boot } = machine()
      const { runs } = yield* boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)))
      assert.deepStrictEqual(yield* runs.execute(flow, { rounds: 5 }), [
        "odd 1",
        "even 2",
        "odd 3",
        "even 4",
        "odd 5"
      ])
    })
  )
})

const Point = Schema.Struct({ x: Schema.Finite, y: Schema.Finite })

const channels = Flow.make("channels", {
  input: Schema.Struct({}),
  state: {
    title: State.value(Schema.String, "untitled"),
    owner: State.optional(Schema.String),
    log: State.list(Schema.Date),
    points: State.record(Point),
    total: State.counter(10),
    best: State.reduce(
      Schema.Finite,
      Reducer.make<number>((a, b) => Math.max(a, b), 0)
    )
  },
  output: Schema.Int,
  start: "first",
  nodes: {
    first: Node.make({ to: ["second"] }),
    second: Node.make({ to: ["third"] }),
    third: Node.make({ to: ["end"] })
  }
})

describe("handlers see the state as the updates before them made it", () => {
  it.effect("in channels of every kind, with values as their schemas decode them", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const handlers = channels.toLayer({
        first: ({ next, state }) =>
          Effect.sync(() => {
            seen.push({ ...state })
            return next.to("second", {
              title: "one",
              owner: "ada",
              log: [new Date(1), new Date(2)],
              points: { a: { x: 1, y: 2 } },
              total: 5,
              best: 7
            })
          }),
        second: ({ next, state }) =>
          Effect.sync(() => {
            seen.push({ ...state })
            return next.to("third", {
              owner: undefined,
              log: [new Date(3)],
              points: { a: { x: 9, y: 9 }, b: { x: 0, y: 0 } },
              total: -1,
              best: 3
            })
          }),
        third: ({ next, state }) => Effect.sync(() => (seen.push({ ...state }), next.end(state.total)))
      })
      const { boot } = machine()
      const { runs } = yield* boot(Worker.layer({ flows: [channels] }).pipe(Layer.provide(handlers)))
      const run = yield* runs.start(channels, {})
      assert.strictEqual(yield* runs.await(run), 14)
      assert.deepStrictEqual(seen, [
        { title: "untitled", owner: undefined, log: [], points: {}, total: 10, best: 0 },
        {
          title: "one",
          owner: "ada",
          log: [new Date(1), new Date(2)],
          points: { a: { x: 1, y: 2 } },
          total: 15,
          best: 7
        },
        {
          title: "one",
          owner: undefined,
          log: [new Date(1), new Date(2), new Date(3)],
          points: { a: { x: 9, y: 9 }, b: { x: 0, y: 0 } },
          total: 14,
          best: 7
        }
      ])
      assert.deepStrictEqual({ ...(yield* runs.state(run)) }, seen[2])
    })
  )

  it.effect("and the same after a crash", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const gate = { open: false }
      const handlers = channels.toLayer({
        first: ({ next }) =>
          Effect.succeed(
            next.to("second", { owner: "ada", log: [new Date(1)], points: { a: { x: 1, y: 2 } }, best: 2 })
          ),
        second: ({ next }) =>
          Effect.succeed(next.to("third", { log: [new Date(2)], points: { b: { x: 3, y: 4 } }, total: 1 })),
        third: ({ next, state }) =>
          Effect.suspend(() => {
            seen.push({ ...state })
            return gate.open ? Effect.succeed(next.end(state.total)) : Effect.never
          })
      })
      const program = Worker.layer({ flows: [channels] }).pipe(Layer.provide(handlers))
      const { boot, crash } = machine()
      const first = yield* boot(program)
      const run = yield* first.runs.start(channels, {}, { durability: "strict" })
      yield* crash
      gate.open = true
      const second = yield* boot(program)
      assert.strictEqual(yield* second.runs.await(run), 11)
      assert.strictEqual(seen.length, 2)
      assert.deepStrictEqual(seen[1], seen[0])
    })
  )

  it.effect(
    "a list stays right when 10,000 items are appended one by one",
    () =>
      Effect.gen(function* () {
        const count = 10_000
        const flow = Flow.make("list", {
          input: Schema.Struct({}),
          state: { items: State.list(Schema.Struct({ i: Schema.Int })) },
          output: Schema.Int,
          start: "add",
          maxSteps: count + 1,
          nodes: { add: Node.make({ to: ["add", "end"] }) }
        })
        const handlers = flow.toLayer({
          add: ({ next, state }) =>
            Effect.sync(() => {
              const { length } = state.items
              if (length > 0) assert.strictEqual(state.items[length - 1]!.i, length - 1)
              return length === count ? next.end(length) : next.to("add", { items: [{ i: length }] })
            })
        })
        const { boot } = machine()
        const program = Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers))
        const { runs, stop } = yield* boot(program)
        const run = yield* runs.start(flow, {})
        assert.strictEqual(yield* runs.await(run), count)
        yield* stop
        const other = yield* boot(program)
        const { items } = yield* other.runs.state(run)
        assert.deepStrictEqual(
          items,
          Array.from({ length: count }, (_, i) => ({ i }))
        )
        const early = yield* other.runs.state(run, 100)
        assert.strictEqual(early.items.length, 100)
      }),
    300_000
  )
})

describe("what a handler must not give", () => {
  const flow = Flow.make("strict-types", {
    input: Schema.Struct({}),
    state: { n: State.value(Schema.Int, 0), short: State.list(Schema.String.check(Schema.isMaxLength(3))) },
    output: Schema.Int.check(Schema.isGreaterThan(0)),
    start: "only",
    nodes: { only: Node.make({ to: ["end", "other"] }), other: Node.make({ to: ["end"] }) }
  })

  const failing = (answer: (next: any) => unknown) =>
    Effect.gen(function* () {
      const handlers = flow.toLayer({
        only: ({ next }) => Effect.sync(() => answer(next) as never),
        other: ({ next }) => Effect.succeed(next.end(1))
      })
      const { boot, kinds } = machine()
      const { runs } = yield* boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)))
      const run = yield* runs.start(flow, {})
      const error = yield* Effect.flip(runs.await(run))
      assert.deepStrictEqual(yield* kinds(run), ["created", "failed"])
      assert.strictEqual(error._tag, "RunFailed")
      return error as Extract<typeof error, { readonly _tag: "RunFailed" }>
    })

  it.effect("an update that does not fit fails the run and says where", () =>
    Effect.gen(function* () {
      const value = yield* failing((next) => next.to("other", { n: "five" }))
      assert.include(value.message, 'channel "n"')
      const item = yield* failing((next) => next.to("other", { short: ["abc", "abcd"] }))
      assert.include(item.message, 'channel "short", item 1')
      assert.strictEqual(item.node, "only")
    })
  )

  it.effect("an update of a channel that there is not", () =>
    Effect.gen(function* () {
      const error = yield* failing((next) => next.to("other", { nope: 1 }))
      assert.include(error.message, "nope")
    })
  )

  it.effect("an output that does not fit", () =>
    Effect.gen(function* () {
      const error = yield* failing((next) => next.end(0))
      assert.strictEqual(error.failure.kind, "encoding")
      assert.include(error.message, "output")
    })
  )

  it.effect("a target that is not the node's", () =>
    Effect.gen(function* () {
      assert.include((yield* failing((next) => next.to("nowhere"))).message, '"nowhere"')
      assert.include((yield* failing((next) => next.to("only"))).message, '"only"')
    })
  )

  it.effect("nothing at all", () =>
    Effect.gen(function* () {
      for (const answer of [undefined, null, 7, {}, { _tag: "To" }]) {
        const error = yield* failing(() => answer)
        assert.strictEqual(error.failure.kind, "defect")
        assert.include(error.message, "only")
      }
    })
  )
})
