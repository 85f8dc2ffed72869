import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { Codec } from "@waymark/core/Codec"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine, untilStatus, type Program } from "./process.ts"

const quiet = Logger.layer([])

const fragile = Reducer.make<number>((a, b) => {
  if (a + b > 20) throw new Error("too much for it")
  return a + b
}, 0)

const split = (state: { readonly n: State.Any }) =>
  Flow.make("split", {
    input: Schema.Array(Schema.Finite),
    state,
    start: "split",
    nodes: {
      split: Node.make({ to: [], fanOut: { to: ["one"], join: "merge" } }),
      one: Node.make({ to: ["merge"], item: Schema.Finite }),
      merge: Node.make({ to: ["end"] })
    }
  })

const splitting = (flow: ReturnType<typeof split>): Program =>
  Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        split: ({ input, next }) => Effect.succeed(next.each(input, "one")),
        one: ({ item, next }) => Effect.succeed(next.to("merge", { n: item })),
        merge: ({ next }) => Effect.succeed(next.end())
      })
    ),
    Layer.provide(quiet)
  )

describe("what breaks when branches are joined", () => {
  it.effect("is a defect of the run, if it is a reducer that throws", () =>
    Effect.gen(function* () {
      const flow = split({ n: State.reduce(Schema.Finite, fragile) })
      const { runs } = yield* machine().boot(splitting(flow))
      const run = yield* runs.start(flow, [11, 13])
      yield* idle
      const { error, status } = yield* runs.get(run)
      assert.strictEqual(status, "failed")
      assert.deepStrictEqual(error, { kind: "defect", tag: "Error", message: "too much for it" })
    })
  )

  it.effect("is told, if a sum is too large for a number", () =>
    Effect.gen(function* () {
      const flow = split({ n: State.counter() })
      const { runs } = yield* machine().boot(splitting(flow))
      const run = yield* runs.start(flow, [1e308, 1e308])
      yield* idle
      const { error, status } = yield* runs.get(run)
      assert.strictEqual(status, "failed")
      assert.deepStrictEqual(error, { kind: "encoding", message: "the sum is too large for a number" })
    })
  )

  it.effect("is told where branches have branches, too", () =>
    Effect.gen(function* () {
      const flow = Flow.make("nested", {
        input: Schema.Struct({}),
        state: { n: State.counter() },
        start: "outer",
        nodes: {
          outer: Node.make({ to: [], fanOut: { to: ["inner"], join: "last" } }),
          inner: Node.make({ to: [], fanOut: { to: ["one"], join: "merge" } }),
          one: Node.make({ to: ["merge"], item: Schema.Finite }),
          merge: Node.make({ to: ["last"] }),
          last: Node.make({ to: ["end"] })
        }
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            outer: ({ next }) => Effect.succeed(next.all(["inner"])),
            inner: ({ next }) => Effect.succeed(next.each([6e307, 6e307], "one", { update: { n: 1e308 } })),
            one: ({ item, next }) => Effect.succeed(next.to("merge", { n: item })),
            merge: ({ next }) => Effect.succeed(next.to("last")),
            last: ({ next }) => Effect.succeed(next.end())
          })
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* idle
      const { error, status } = yield* runs.get(run)
      assert.strictEqual(status, "failed")
      assert.deepStrictEqual(error, { kind: "encoding", message: "the sum is too large for a number" })
    })
  )
})

describe("a run whose store breaks once", () => {
  it.effect("goes on", () =>
    Effect.gen(function* () {
      let broken = true
      const live = Worker.layer({ flows: [oneNode] }).pipe(
        Layer.provide(handlersOf(({ next }) => Effect.as(Effect.sleep("1 second"), next.end(["x"])))),
        Layer.provide(quiet)
      )
      const { runs } = yield* machine().boot(live, {
        wrap: (store) => ({
          ...store,
          append: (lease, expected, batch) =>
            broken
              ? Effect.sync(() => {
                  broken = false
                  throw new Error("a hiccup")
                })
              : store.append(lease, expected, batch)
        })
      })
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* runs.await(run), ["x"])
    })
  )
})

/** A codec that breaks at some values. */
const breaking = (breaks: (text: string) => boolean): Codec => ({
  name: "breaking",
  encrypts: false,
  encode: (value) =>
    Effect.sync(() => {
      if (breaks(JSON.stringify(value))) throw new Error("the codec broke")
      return value
    }),
  decode: Effect.succeed
})

const withCodec = (codec: Codec, work: Flow.Handler<typeof oneNode, "work", any>): Program =>
  Worker.layer({ flows: [oneNode] }).pipe(
    Layer.provide(handlersOf(work)),
    Layer.provide(Layer.succeed(Codec, codec)),
    Layer.provide(quiet)
  )

describe("a run whose execution dies", () => {
  it.effect("goes on from what is durable, if it dies once", () =>
    Effect.gen(function* () {
      let broken = true
      const codec = breaking((text) => {
        if (!text.includes("poison") || !broken) return false
        broken = false
        return true
      })
      const { boot, eventsOf } = machine()
      const { runs, worker } = yield* boot(
        withCodec(codec, ({ next }) => Effect.succeed(next.end(["poison"])))
      )
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* runs.await(run), ["poison"])
      assert.deepStrictEqual(
        (yield* eventsOf(run, "claimed")).map(({ cause }) => cause),
        ["crash"]
      )
      yield* idle
      assert.deepStrictEqual(yield* worker.running, [])
    })
  )

  it.effect("fails after so many recoveries, if it dies every time", () =>
    Effect.gen(function* () {
      let steps = 0
      const codec = breaking((text) => text.includes("poison"))
      const { runs } = yield* machine().boot(
        withCodec(codec, ({ next }) =>
          Effect.sync(() => {
            steps += 1
            return next.end(["poison"])
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("1 second")
      yield* idle
      assert.strictEqual(steps, 2)
      yield* TestClock.adjust("1 second")
      yield* idle
      // It is left alone for longer each time.
      assert.strictEqual(steps, 2)
      yield* TestClock.adjust("1 hour")
      yield* idle
      const { error, status } = yield* runs.get(run)
      assert.strictEqual(status, "failed")
      assert.strictEqual(error?.kind, "recoveries")
      assert.strictEqual(steps, 1 + oneNode.maxRecoveries)
    })
  )

  it.effect("is cancelled when that is asked for", () =>
    Effect.gen(function* () {
      const codec = breaking((text) => text.includes("poison"))
      const { runs } = yield* machine().boot(
        withCodec(codec, ({ next }) => Effect.succeed(next.end(["poison"])))
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      const cancelling = yield* Effect.forkChild(runs.cancel(run, "enough"))
      yield* idle
      yield* TestClock.adjust("1 second")
      yield* idle
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(cancelling)))
      assert.strictEqual((yield* runs.get(run)).status, "cancelled")
    })
  )

  it.effect("is let go of when its worker stops", () =>
    Effect.gen(function* () {
      let broken = true
      const codec = breaking((text) => text.includes("poison") && broken)
      const live = withCodec(codec, ({ next }) =>
        Effect.gen(function* () {
          yield* Wait.sleep("1 minute")
          return next.end(["poison"])
        })
      )
      const computer = machine()
      const first = yield* computer.boot(live, { owner: "first" })
      const run = yield* first.runs.start(oneNode, {})
      yield* untilStatus(first.runs, run, "waiting")
      yield* TestClock.adjust("1 minute")
      yield* idle
      yield* first.stop
      broken = false
      const second = yield* computer.boot(live, { owner: "second" })
      assert.deepStrictEqual(yield* second.runs.await(run), ["poison"])
    })
  )
})
