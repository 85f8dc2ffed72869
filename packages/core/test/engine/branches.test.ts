import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Reducer from "effect/Reducer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Next from "@waymark/core/Next"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

class Bad extends Schema.TaggedError<Bad>()("Bad", { n: Schema.Int }) {}

const Work = Tool.make("work", { input: Schema.Int, output: Schema.Int, error: Bad })

interface Shape {
  readonly policy?: Node.FanOutPolicy
  readonly concurrency?: number
  readonly maxSteps?: number
}

/** A flow that fans out to one branch per number; each branch may go round, and then joins. */
const fanning = (shape: Shape = {}) =>
  Flow.make("fanning", {
    input: Schema.Array(Schema.Int),
    state: {
      list: State.list(Schema.String),
      sum: State.counter(),
      table: State.record(Schema.Int),
      max: State.reduce(Schema.Int, Reducer.make(Math.max, 0)),
      plain: State.optional(Schema.Int)
    },
    output: Schema.Struct({
      list: Schema.Array(Schema.String),
      sum: Schema.Int,
      statuses: Schema.Array(Schema.String)
    }),
    error: Bad,
    start: "split",
    ...(shape.maxSteps === undefined ? {} : { maxSteps: shape.maxSteps }),
    nodes: {
      split: Node.make({
        to: [],
        fanOut: {
          to: ["check"],
          join: "merge",
          policy: (shape.policy ?? "failFast") as "failFast",
          ...(shape.concurrency === undefined ? {} : { concurrency: shape.concurrency })
        }
      }),
      check: Node.make({ item: Schema.Int, to: ["again", "merge"], error: Bad }),
      again: Node.make({ to: ["again", "merge"], error: Bad }),
      merge: Node.make({ to: ["end"] })
    }
  })

type Fanning = ReturnType<typeof fanning>

const merge: Flow.Handler<Fanning, "merge"> = ({ branches, next, state }) =>
  Effect.succeed(
    next.end({ list: state.list, sum: state.sum, statuses: branches.map(({ status }) => status) })
  )

const split: Flow.Handler<Fanning, "split"> = ({ input, next }) => Effect.succeed(next.each(input, "check"))

const never: Flow.Handler<Fanning, "again"> = ({ next }) => Effect.succeed(next.to("merge"))

const worker = <R>(
  flow: Fanning,
  handlers: {
    readonly check: Flow.Handler<Fanning, "check", R>
    readonly again?: Flow.Handler<Fanning, "again", R>
  },
  tool: (n: number) => Effect.Effect<number, Bad> = Effect.succeed,
  options: Partial<Worker.Options<[]>> = {}
) => {
  const calls: Array<number> = []
  const layer = flow.toLayer({ split, merge, again: never, ...handlers }) as unknown as Layer.Layer<
    Flow.Handlers<"fanning">,
    never,
    Tool.Handler<"work">
  >
  const live = Worker.layer({ flows: [flow], ...options }).pipe(
    Layer.provide(layer),
    Layer.provide(
      Work.toLayer((n) =>
        Effect.suspend(() => {
          calls.push(n)
          return tool(n)
        })
      )
    )
  )
  return { calls, live }
}

const seconds = (n: number) => after(n, n)
const after = (wait: number, n: number) => Effect.as(Effect.sleep(`${wait} seconds`), n)

describe("branches", () => {
  it.effect("are executed at once, and their updates applied in branch order, whichever finishes first", () =>
    Effect.gen(function* () {
      const flow = fanning()
      const { calls, live } = worker(
        flow,
        {
          check: ({ item, next, state }) =>
            Effect.gen(function* () {
              assert.deepStrictEqual(state.list, [])
              const got = yield* Work.call(item)
              return next.to("again", {
                list: [`a${got}`],
                sum: got,
                table: { [`k${got % 2}`]: got },
                max: got
              })
            }),
          again: ({ next, state }) =>
            Effect.sync(() => {
              // A branch sees the state at the fan-out and its own updates, and nothing of the others.
              assert.strictEqual(state.list.length, 1)
              assert.strictEqual(`a${state.sum}`, state.list[0])
              assert.strictEqual(state.max, state.sum)
              return next.to("merge", { list: [`b${state.sum}`], max: state.sum + 1 })
            })
        },
        seconds
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, [3, 1, 2])
      yield* idle
      assert.deepStrictEqual(calls, [3, 1, 2])
      yield* TestClock.adjust("3 seconds")
      const output = yield* runs.await(run)
      assert.deepStrictEqual(output.list, ["a3", "b3", "a1", "b1", "a2", "b2"])
      assert.strictEqual(output.sum, 6)
      assert.deepStrictEqual(output.statuses, ["completed", "completed", "completed"])
      assert.deepStrictEqual(yield* runs.state(run), {
        list: output.list,
        sum: 6,
        table: { k0: 2, k1: 1 },
        max: 4,
        plain: undefined
      })
      const finished = (yield* eventsOf(run, "visited")).filter(({ node }) => node === "again")
      assert.deepStrictEqual(
        finished.map(({ branch }) => branch),
        ["1.1", "1.2", "1.0"]
      )
    })
  )

  it.effect("that finished are not executed again after a crash; the others go on", () =>
    Effect.gen(function* () {
      const flow = fanning()
      const { calls, live } = worker(
        flow,
        {
          check: ({ item, next }) =>
            Effect.map(Work.call(item), (got) => next.to("again", { list: [`${got}`] })),
          again: ({ next, state }) =>
            Effect.map(Work.call(100 + Number(state.list[0])), (got) =>
              next.to("merge", { list: [`${got}`] })
            )
        },
        (n) => (n === 2 || n === 103 ? after(60, n) : Effect.succeed(n))
      )
      const { boot, crash } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, [1, 2, 3])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        [...calls].sort((a, b) => a - b),
        [1, 2, 3, 101, 103]
      )
      yield* crash
      calls.length = 0
      const second = yield* boot(live)
      yield* idle
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual((yield* second.runs.await(run)).list, ["1", "101", "2", "102", "3", "103"])
      // What was in doubt is asked again, under the same keys; what had completed is not.
      assert.deepStrictEqual(
        [...calls].sort((a, b) => a - b),
        [2, 102, 103]
      )
    })
  )

  it.effect("may be as many at once as the fan-out says", () =>
    Effect.gen(function* () {
      const flow = fanning({ concurrency: 3 })
      let active = 0
      let most = 0
      const { live } = worker(
        flow,
        { check: ({ item, next }) => Effect.as(Work.call(item), next.to("merge", { sum: 1 })) },
        (n) =>
          Effect.gen(function* () {
            most = Math.max(most, ++active)
            yield* Effect.sleep("1 second")
            active -= 1
            return n
          })
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(
        flow,
        Array.from({ length: 20 }, (_, i) => i)
      )
      for (let i = 0; i < 10; i++) yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* runs.await(run)).sum, 20)
      assert.strictEqual(most, 3)
    })
  )

  it.effect("of an empty list join at once", () =>
    Effect.gen(function* () {
      const flow = fanning()
      const { live } = worker(flow, { check: ({ next }) => Effect.succeed(next.to("merge")) })
      const { runs } = yield* machine().boot(live)
      assert.deepStrictEqual(yield* runs.execute(flow, []), { list: [], sum: 0, statuses: [] })
    })
  )

  it.effect("that write one plain channel are an error that names channel, nodes and branches", () =>
    Effect.gen(function* () {
      const flow = fanning()
      const { live } = worker(flow, {
        check: ({ item, next }) => Effect.succeed(next.to("merge", item === 7 ? {} : { plain: item }))
      })
      const { runs } = yield* machine().boot(live)
      const one = yield* runs.start(flow, [7, 1, 7])
      yield* runs.await(one)
      assert.strictEqual((yield* runs.state(one)).plain, 1)
      const error = yield* Effect.flip(runs.execute(flow, [1, 7, 2]))
      assert.include((error as Error).message, "branches 1.0 and 1.2 (check, check) both wrote channel plain")
    })
  )

  it.effect("wait while others go on, and hold up nobody but the join", () =>
    Effect.gen(function* () {
      for (const keepWaiting of [0, "1 hour"] as const) {
        const flow = fanning()
        const { calls, live } = worker(
          flow,
          {
            check: ({ item, next }) =>
              Effect.gen(function* () {
                if (item === 1) yield* Wait.event("go", { schema: Schema.Null })
                const got = yield* Work.call(item)
                return next.to("merge", { list: [`${got}`] })
              })
          },
          (n) => (n === 2 ? after(10, n) : Effect.succeed(n)),
          { keepWaiting }
        )
        const { boot } = machine()
        const { runs, worker: pool } = yield* boot(live)
        const run = yield* runs.start(flow, [1, 2, 3])
        yield* idle
        assert.deepStrictEqual(calls, [2, 3])
        // One waits, one is at work: the run as a whole does not wait.
        assert.strictEqual((yield* runs.get(run)).status, "running")
        assert.strictEqual((yield* runs.get(run)).waiting, 1)
        yield* TestClock.adjust("10 seconds")
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        if (keepWaiting === 0) assert.deepStrictEqual(yield* pool.running, [])
        yield* runs.signal(run, "go", null)
        assert.deepStrictEqual((yield* runs.await(run)).list, ["1", "2", "3"])
      }
    })
  )

  it.effect("that wait are woken while others are executed", () =>
    Effect.gen(function* () {
      for (const keepWaiting of [0, "1 hour"] as const) {
        const flow = fanning()
        const { live } = worker(
          flow,
          {
            check: ({ item, next }) =>
              Effect.gen(function* () {
                if (item === 1) yield* Wait.event("go", { schema: Schema.Null })
                if (item === 3) yield* Wait.sleep("5 seconds")
                const got = yield* Work.call(item)
                return next.to("merge", { list: [`${got}`] })
              })
          },
          (n) => (n === 2 ? after(60, n) : Effect.succeed(n)),
          { keepWaiting }
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(flow, [1, 2, 3])
        yield* idle
        yield* runs.signal(run, "go", null)
        yield* idle
        yield* TestClock.adjust("5 seconds")
        yield* idle
        // What finished is not held back, though nothing makes it durable yet.
        yield* TestClock.adjust("54 seconds")
        assert.strictEqual((yield* runs.get(run)).status, "running")
        yield* TestClock.adjust("1 second")
        yield* runs.await(run)
        const order = (yield* eventsOf(run, "callCompleted")).map(({ output }) => output)
        assert.deepStrictEqual(order, [1, 3, 2])
      }
    })
  )

  it.effect(
    "fail fast: the others are interrupted, the run fails, and a retry goes on with what is left",
    () =>
      Effect.gen(function* () {
        let broken = true
        const flow = fanning()
        const { calls, live } = worker(
          flow,
          {
            check: ({ item, next }) =>
              Effect.map(Work.call(item), (got) => next.to("merge", { list: [`${got}`] }))
          },
          (n) =>
            n === 2 && broken
              ? Effect.andThen(Effect.sleep("5 seconds"), Effect.fail(new Bad({ n })))
              : n === 3
                ? after(60, n)
                : Effect.succeed(n)
        )
        const { boot, eventsOf } = machine()
        const { runs, worker: pool } = yield* boot(live)
        const run = yield* runs.start(flow, [1, 2, 3])
        yield* TestClock.adjust("5 seconds")
        const error = yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(error, new Bad({ n: 2 }))
        assert.deepInclude((yield* eventsOf(run, "failed"))[0], { branch: "1.1", node: "check", visit: 1 })
        yield* idle
        assert.deepStrictEqual(yield* pool.running, [])
        broken = false
        calls.length = 0
        yield* runs.retry(run)
        yield* untilStatus(runs, run, "running")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual((yield* runs.await(run)).list, ["1", "2", "3"])
        assert.deepStrictEqual(
          [...calls].sort((a, b) => a - b),
          [2, 3]
        )
      })
  )

  it.effect("are collected, whatever failed, and the join sees how each came out", () =>
    Effect.gen(function* () {
      const flow = fanning({ policy: "collect" })
      const errors: Array<unknown> = []
      const layer = flow.toLayer({
        split,
        again: never,
        check: ({ item, next }) => {
          if (item === 3) return Effect.die(new Error("boom"))
          return Effect.map(Work.call(item), (got) => next.to("merge", { list: [`${got}`], sum: got }))
        },
        merge: ({ branches, next, state }) =>
          Effect.sync(() => {
            for (const branch of branches) if (branch.status === "failed") errors.push(branch.error)
            return next.end({
              list: state.list,
              sum: state.sum,
              statuses: branches.map(({ status }) => status)
            })
          })
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(layer),
        Layer.provide(Work.toLayer((n) => (n === 2 ? Effect.fail(new Bad({ n })) : Effect.succeed(n))))
      )
      const { runs } = yield* machine().boot(live)
      assert.deepStrictEqual(yield* runs.execute(flow, [1, 2, 3, 4]), {
        list: ["1", "4"],
        sum: 5,
        statuses: ["completed", "failed", "failed", "completed"]
      })
      assert.deepStrictEqual(errors[0], new Bad({ n: 2 }))
      assert.instanceOf(errors[1], Next.BranchFailed)
      assert.include((errors[1] as Error).message, "boom")
    })
  )

  it.effect("of a quorum: the first ones count, in branch order; the others are cancelled", () =>
    Effect.gen(function* () {
      const flow = fanning({ policy: { quorum: 2 } })
      const { live } = worker(
        flow,
        {
          check: ({ item, next }) =>
            Effect.gen(function* () {
              if (item === 9) yield* Wait.event("never", { schema: Schema.Null })
              const got = yield* Work.call(item)
              return next.to("merge", { list: [`${got}`] })
            })
        },
        (n) => (n === 5 ? Effect.fail(new Bad({ n })) : seconds(n))
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, [3, 60, 5, 1, 9])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* runs.await(run), {
        list: ["3", "1"],
        sum: 0,
        statuses: ["completed", "cancelled", "failed", "completed", "cancelled"]
      })
      assert.strictEqual((yield* eventsOf(run, "joined"))[0]!.dropped, 2)
      assert.deepInclude(yield* runs.get(run), { open: 0, waiting: 0, waits: [] })
      const failing = yield* runs.start(flow, [5, 5, 60])
      const error = yield* Effect.flip(runs.await(failing))
      assert.include((error as Error).message, "the 2 that are needed cannot complete")
    })
  )

  it.effect("retry by their nodes' policies, each for itself", () =>
    Effect.gen(function* () {
      const tries = new Map<number, number>()
      const flow = Flow.make("retrying", {
        input: Schema.Array(Schema.Int),
        state: { list: State.list(Schema.Int) },
        output: Schema.Array(Schema.Int),
        error: Bad,
        start: "split",
        nodes: {
          split: Node.make({ to: [], fanOut: { to: ["check"], join: "merge" } }),
          check: Node.make({
            item: Schema.Int,
            to: ["merge"],
            error: Bad,
            retry: Schedule.spaced("1 minute")
          }),
          merge: Node.make({ to: ["end"] })
        }
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            split: ({ input, next }) => Effect.succeed(next.each(input, "check")),
            check: ({ item, next }) =>
              Effect.suspend(() => {
                const tried = (tries.get(item) ?? 0) + 1
                tries.set(item, tried)
                return tried < item
                  ? Effect.fail(new Bad({ n: item }))
                  : Effect.succeed(next.to("merge", { list: [item] }))
              }),
            merge: ({ next, state }) => Effect.succeed(next.end(state.list))
          })
        )
      )
      const { boot, crash } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, [1, 2, 3, 4])
      yield* TestClock.adjust("1 minute")
      yield* idle
      assert.deepStrictEqual([...tries.values()], [1, 2, 2, 2])
      yield* crash
      const second = yield* boot(live)
      yield* idle
      for (let i = 0; i < 4; i++) yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* second.runs.await(run), [1, 2, 3, 4])
    })
  )

  it.effect("count as steps: exactly as many complete as may, and one more fails the run", () =>
    Effect.gen(function* () {
      for (const [items, fails] of [
        [[1, 2, 3], false],
        [[1, 2, 3, 4], true]
      ] as const) {
        const flow = fanning({ maxSteps: 5 })
        const { live } = worker(flow, { check: ({ next }) => Effect.succeed(next.to("merge", { sum: 1 })) })
        const { runs } = yield* machine().boot(live)
        const run = yield* runs.start(flow, items)
        if (!fails) assert.strictEqual((yield* runs.await(run)).sum, 3)
        else assert.include(((yield* Effect.flip(runs.await(run))) as Error).message, "5 steps")
        assert.strictEqual((yield* runs.get(run)).steps, 5)
      }
    })
  )

  it.effect("are paused at their checkpoints, resumed, and cancelled", () =>
    Effect.gen(function* () {
      const flow = fanning()
      const { calls, live } = worker(
        flow,
        {
          check: ({ item, next }) =>
            Effect.map(Work.call(item), (got) => next.to("again", { list: [`${got}`] })),
          again: ({ next, state }) => Effect.as(Work.call(10 + Number(state.list[0])), next.to("merge"))
        },
        (n) => (n < 10 ? seconds(n) : Effect.succeed(n))
      )
      const { boot } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, [1, 5])
      const other = yield* runs.start(flow, [1, 5])
      yield* TestClock.adjust("500 millis")
      yield* runs.pause(run)
      yield* idle
      yield* TestClock.adjust("500 millis")
      yield* TestClock.adjust("3 seconds")
      // The one that came to its checkpoint waits for the other.
      assert.strictEqual((yield* runs.get(run)).status, "running")
      assert.strictEqual(calls.filter((n) => n === 11).length, 1)
      yield* TestClock.adjust("1 second")
      yield* untilStatus(runs, run, "paused")
      yield* runs.resume(run)
      assert.deepStrictEqual((yield* runs.await(run)).list, ["1", "5"])
      assert.strictEqual(yield* runs.cancel(other, "no need"), "completed")
      const third = yield* runs.start(flow, [1, 9])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* runs.cancel(third, "no need"), "cancelled")
    })
  )

  it.effect("are replayed from what is recorded", () =>
    Effect.gen(function* () {
      const flow = fanning({ policy: "collect" })
      const check: Flow.Handler<Fanning, "check", Tool.Handler<"work"> | Visit> = ({ item, next }) =>
        Effect.map(Work.call(item), (got) => next.to("again", { list: [`${got}`], max: got }))
      const again: Flow.Handler<Fanning, "again"> = ({ next, state }) =>
        Effect.succeed(next.to("merge", { sum: state.max }))
      const { live } = worker(flow, { check, again }, (n) =>
        n === 2 ? Effect.fail(new Bad({ n })) : Effect.succeed(n)
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, [1, 2, 3])
      yield* runs.await(run)
      const handlers = flow
        .toLayer({ split, merge, check, again })
        .pipe(Layer.provide(Work.toLayer(() => Effect.die("nothing is called"))))
      assert.deepStrictEqual(
        yield* Effect.provide(Effect.provideService(Runs.replay(run), Runs.Runs, runs), handlers),
        { run: run.id, visits: 7, divergences: [] }
      )
      const changed = flow
        .toLayer({ split, merge, check, again: ({ next }) => Effect.succeed(next.to("merge", { sum: 9 })) })
        .pipe(Layer.provide(Work.toLayer(() => Effect.die("nothing is called"))))
      const report = yield* Effect.provide(Effect.provideService(Runs.replay(run), Runs.Runs, runs), changed)
      assert.strictEqual(report.divergences[0]?.node, "again")
    })
  )

  it.effect("of branches: fan-outs may be nested, and fail outwards", () =>
    Effect.gen(function* () {
      const flow = Flow.make("nested", {
        input: Schema.Array(Schema.Array(Schema.Int)),
        state: { list: State.list(Schema.String), max: State.reduce(Schema.Int, Reducer.make(Math.max, 0)) },
        output: Schema.Struct({
          list: Schema.Array(Schema.String),
          max: Schema.Int,
          statuses: Schema.Array(Schema.String)
        }),
        error: Bad,
        start: "outer",
        nodes: {
          outer: Node.make({ to: [], fanOut: { to: ["inner"], join: "all", policy: "collect" } }),
          inner: Node.make({
            item: Schema.Array(Schema.Int),
            to: [],
            fanOut: { to: ["leaf"], join: "some" }
          }),
          leaf: Node.make({ item: Schema.Int, to: ["some"], error: Bad }),
          some: Node.make({ to: ["all"] }),
          all: Node.make({ to: ["end"] })
        }
      })
      const calls: Array<number> = []
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            outer: ({ input, next }) => Effect.succeed(next.each(input, "inner")),
            inner: ({ item, next }) =>
              Effect.succeed(next.each(item, "leaf", { update: { list: [`in ${item.join()}`] } })),
            leaf: ({ item, next }) =>
              Effect.map(Work.call(item), (got) => next.to("some", { list: [`${got}`], max: got })),
            some: ({ next, state }) => Effect.succeed(next.to("all", { list: [`max ${state.max}`] })),
            all: ({ branches, next, state }) =>
              Effect.succeed(
                next.end({ list: state.list, max: state.max, statuses: branches.map(({ status }) => status) })
              )
          })
        ),
        Layer.provide(
          Work.toLayer((n) =>
            Effect.suspend(() => {
              calls.push(n)
              return n === 13 ? Effect.fail(new Bad({ n })) : n === 5 ? seconds(5) : Effect.succeed(n)
            })
          )
        )
      )
      const { boot, crash, eventsOf } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, [[1, 2], [13, 60, 5], [], [5]])
      yield* TestClock.adjust("1 second")
      yield* crash
      const second = yield* boot(live)
      yield* idle
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* second.runs.await(run), {
        list: ["in 1,2", "1", "2", "max 2", "in ", "max 0", "in 5", "5", "max 5"],
        max: 5,
        statuses: ["completed", "failed", "completed", "completed"]
      })
      const failed = yield* eventsOf(run, "branchFailed")
      assert.deepStrictEqual(
        failed.map(({ branch, node }) => [branch, node]),
        [
          ["1.1/1.0", "leaf"],
          ["1.1", "inner"]
        ]
      )
    })
  )

  it.effect("by the thousand: 10,000 branches complete, and after a crash exactly those that had not", () =>
    Effect.gen(function* () {
      const count = 10_000
      const flow = fanning({ concurrency: 2_500, maxSteps: 20_000 })
      const { calls, live } = worker(
        flow,
        { check: ({ item, next }) => Effect.map(Work.call(item), (got) => next.to("merge", { sum: got })) },
        () => Effect.as(Effect.sleep("1 second"), 1)
      )
      const { boot, crash, eventsOf } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(
        flow,
        Array.from({ length: count }, (_, i) => i)
      )
      yield* idle
      yield* TestClock.adjust("1 second")
      yield* idle
      yield* crash
      const finished = new Set((yield* eventsOf(run, "callCompleted")).map(({ branch }) => branch))
      assert.isAbove(finished.size, 0)
      assert.isBelow(finished.size, count)
      calls.length = 0
      const second = yield* boot(live)
      const ended = yield* Effect.forkChild(second.runs.await(run))
      while (ended.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(ended)).sum, count)
      const left = Array.from({ length: count }, (_, i) => i).filter((i) => !finished.has(`1.${i}`))
      assert.deepStrictEqual(
        calls.sort((a, b) => a - b),
        left
      )
    })
  )
})
