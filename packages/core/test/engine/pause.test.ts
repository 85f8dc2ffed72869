import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

/** Three visits, each of which takes a second. */
const threeSteps = () => {
  const visits: Array<number> = []
  const live = program(
    ({ next, state }) =>
      Effect.gen(function* () {
        visits.push(state.got.length + 1)
        const got = yield* Effect.orDie(Echo.call({ text: `${state.got.length}` }))
        return state.got.length === 2 ? next.end([...state.got, got]) : next.to("work", { got: [got] })
      }),
    Echo.toLayer(({ text }) => Effect.as(Effect.sleep("1 second"), text))
  )
  return { live, visits }
}

describe("pausing a run", () => {
  it.effect("stops it at the next checkpoint, and resuming lets it go on from there", () =>
    Effect.gen(function* () {
      const { live, visits } = threeSteps()
      const { boot, eventsOf } = machine()
      const { runs, worker } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("500 millis")
      yield* runs.pause(run, { note: "look at it", actor: "ada" })
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "running")
      yield* TestClock.adjust("500 millis")
      yield* untilStatus(runs, run, "paused")
      const [paused] = yield* eventsOf(run, "paused")
      assert.deepInclude(paused, { actor: "ada", reason: { kind: "requested", note: "look at it" } })
      assert.deepStrictEqual(yield* worker.running, [])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(visits, [1])
      yield* runs.resume(run)
      yield* idle
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* runs.await(run), ["0", "1", "2"])
      assert.deepStrictEqual(visits, [1, 2, 3])
    })
  )

  it.effect("takes effect at once in a node's retry delay, and the delay goes on meanwhile", () =>
    Effect.gen(function* () {
      let attempts = 0
      const flow = Flow.make("waiting", {
        input: Schema.Struct({}),
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.spaced("1 hour") }) }
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            work: ({ next }) =>
              Effect.suspend(() =>
                ++attempts < 2 ? Effect.fail(new Busy({ n: 1 })) : Effect.succeed(next.end())
              )
          })
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("10 minutes")
      yield* runs.pause(run)
      yield* untilStatus(runs, run, "paused")
      yield* TestClock.adjust("20 minutes")
      yield* runs.resume(run)
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(attempts, 1)
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      assert.strictEqual(attempts, 2)
    })
  )

  it.effect("survives a crash: a paused run is not taken up by itself", () =>
    Effect.gen(function* () {
      const { live, visits } = threeSteps()
      const { boot, crash } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* first.runs.pause(run)
      yield* TestClock.adjust("1 second")
      yield* untilStatus(first.runs, run, "paused")
      yield* crash
      const second = yield* boot(live)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* second.runs.get(run)).status, "paused")
      yield* second.runs.resume(run)
      yield* idle
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* second.runs.await(run), ["0", "1", "2"])
      assert.deepStrictEqual(visits, [1, 2, 3])
    })
  )
})

describe("retrying a failed run", () => {
  const failing = () => {
    const log: Array<string> = []
    const world = { broken: true }
    const flow = Flow.make("failing", {
      input: Schema.Struct({}),
      state: {
        limit: State.value(Schema.Int, 1),
        items: State.list(Schema.String),
        note: State.optional(Schema.String)
      },
      output: Schema.Struct({
        limit: Schema.Int,
        items: Schema.Array(Schema.String),
        note: Schema.optionalKey(Schema.String)
      }),
      error: Busy,
      start: "prepare",
      nodes: { prepare: Node.make({ to: ["work"] }), work: Node.make({ to: ["end"], error: Busy }) }
    })
    const live = Worker.layer({ flows: [flow] }).pipe(
      Layer.provide(
        flow.toLayer({
          prepare: ({ next }) =>
            Effect.sync(() => (log.push("prepare"), next.to("work", { items: ["a"], note: "n" }))),
          work: ({ next, state }) =>
            Effect.gen(function* () {
              yield* Effect.orDie(Echo.call({ text: "good" }))
              log.push("work")
              if (world.broken) return yield* new Busy({ n: 1 })
              const { items, limit, note } = state
              return next.end(note === undefined ? { items, limit } : { items, limit, note })
            })
        })
      ),
      Layer.provide(Echo.toLayer(({ text }) => Effect.sync(() => (log.push(text), text))))
    )
    return { flow, live, log, world }
  }

  it.effect("goes on from the visit that failed and keeps what succeeded", () =>
    Effect.gen(function* () {
      const { flow, live, log, world } = failing()
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Busy({ n: 1 }))
      yield* runs.retry(run)
      yield* idle
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Busy({ n: 1 }))
      world.broken = false
      yield* runs.retry(run)
      yield* idle
      assert.deepStrictEqual(yield* runs.await(run), { limit: 1, items: ["a"], note: "n" })
      assert.deepStrictEqual(log, ["prepare", "good", "work", "work", "work"])
      assert.strictEqual((yield* kinds(run)).filter((kind) => kind === "restarted").length, 2)
      assert.strictEqual((yield* runs.get(run)).error, undefined)
    })
  )

  it.effect("gives it all its tries again, also when it is retried before its worker has let go of it", () =>
    Effect.gen(function* () {
      let attempts = 0
      const flow = Flow.make("tries", {
        input: Schema.Struct({}),
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.recurs(2) }) }
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({ work: () => Effect.suspend(() => Effect.fail(new Busy({ n: ++attempts }))) })
        )
      )
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live, {
        // Durable for everybody else before the worker knows it.
        wrap: (store) => ({
          ...store,
          sync: (lease) => Effect.tap(store.sync(lease), () => Effect.sleep("1 second"))
        })
      })
      const run = yield* runs.start(flow, {}, { durability: "strict" })
      for (let i = 0; i < 20 && (yield* runs.get(run)).status !== "failed"; i++)
        yield* TestClock.adjust("1 second")
      assert.strictEqual(attempts, 3)
      const retrying = yield* Effect.forkChild(runs.retry(run))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(retrying)
      assert.strictEqual(attempts, 6)
      assert.notInclude(yield* kinds(run), "claimed")
    })
  )

  it.effect("with edits, which are the whole new content of their channels", () =>
    Effect.gen(function* () {
      const { flow, live, world } = failing()
      const { boot } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* Effect.flip(runs.await(run))
      world.broken = false
      yield* runs.retry(run, { edits: { limit: 7, items: ["x", "y"], note: undefined } })
      yield* idle
      assert.deepStrictEqual(yield* runs.await(run), { limit: 7, items: ["x", "y"] })
    })
  )

  it.effect("refuses edits that do not fit the flow, before anything is done", () =>
    Effect.gen(function* () {
      const { flow, live } = failing()
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* Effect.flip(runs.await(run))
      const before = yield* kinds(run)
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ limit: "x" }, "limit"],
        [{ limit: undefined }, "limit"],
        [{ items: "x" }, "items"],
        [{ items: ["x", 1] }, "items"],
        [{ nope: 1 }, "nope"]
      ]
      for (const [edits, name] of wrong) {
        const error = yield* Effect.flip(runs.retry(run, { edits }))
        assert.strictEqual(error._tag, "InvalidValue")
        assert.include(error.message, name)
      }
      yield* idle
      assert.deepStrictEqual(yield* kinds(run), before)
    })
  )
})
