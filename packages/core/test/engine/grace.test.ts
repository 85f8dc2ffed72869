import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine, until, untilStatus } from "./process.ts"
import { makeWorld, Pay, toolsOf, undoneIn } from "./saga.ts"

/** A worker for a flow of one node, with options. */
const working = <R>(
  options: Omit<Worker.Options<[]>, "flows">,
  work: Flow.Handler<typeof oneNode, "work", R>,
  ...tools: ReadonlyArray<Layer.Layer<any>>
) => Worker.layer({ ...options, flows: [oneNode] }).pipe(Layer.provide(handlersOf(work, ...tools)))

const warnings = () => {
  const lines: Array<string> = []
  const layer = Logger.layer([
    Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") lines.push(JSON.stringify(message))
    })
  ])
  return { layer, lines }
}

describe("a handler whose run is cancelled", () => {
  it.effect("has the grace time to end in; its finalizers can call tools", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const computer = machine()
      const { runs, worker } = yield* computer.boot(
        working(
          { grace: "5 seconds" },
          () =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.gen(function* () {
                yield* Effect.sleep("4 seconds")
                log.push(yield* Echo.call({ text: "tidied up" }))
              }).pipe(Effect.orDie)
            ),
          Echo.toLayer(({ text }) => Effect.succeed(text))
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      const how = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
      assert.deepStrictEqual(log, ["tidied up"])
      assert.deepStrictEqual(yield* worker.stuck, [])
      assert.isEmpty(yield* computer.eventsOf(run, "annotated"))
      // Nothing is left that would still wait for the grace time.
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* computer.kinds(run), [
        "created",
        "cancelRequested",
        "callStarted",
        "callCompleted",
        "cancelled"
      ])
    })
  )

  it.effect("and that does not end in it is reported and left behind; its run goes on being cancelled", () =>
    Effect.gen(function* () {
      const { layer, lines } = warnings()
      const computer = machine()
      const world = makeWorld()
      const gate = Latch.makeUnsafe(false)
      const log: Array<string> = []
      const { runs, worker } = yield* computer.boot(
        working(
          { grace: "5 seconds", concurrency: 1 },
          ({ next, state: { got } }) =>
            Effect.gen(function* () {
              yield* Pay.call({ what: "before" })
              if (got.length > 0) return next.end([])
              yield* Effect.uninterruptible(gate.await)
              // It is none of the run's business any more.
              const exit = yield* Effect.exit(Pay.call({ what: "after" }))
              log.push(Exit.isSuccess(exit) ? "Success" : exit.cause.reasons.map(({ _tag }) => _tag).join())
              return next.to("work", { got: ["x"] })
            }).pipe(Effect.uninterruptible),
          toolsOf(world)
        ).pipe(Layer.provide(layer))
      )
      const run = yield* runs.start(oneNode, {}, { id: "r" })
      yield* idle
      const how = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(how.pollUnsafe())
      assert.deepStrictEqual(yield* worker.stuck, [])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
      // What it had done is undone, although it still runs.
      assert.deepStrictEqual(undoneIn(world), ["before"])
      assert.deepStrictEqual(yield* worker.stuck, [
        { run: "r", branch: "", node: "work", visit: 1, since: 5000 }
      ])
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /left behind.*"run":"r","node":"work","visit":1/)
      const [annotated] = yield* computer.eventsOf(run, "annotated")
      assert.match(annotated!.note, /visit 1 of node work/)
      assert.deepStrictEqual(annotated!.data, { node: "work", visit: 1 })
      const before = yield* computer.kinds(run)
      assert.deepStrictEqual(before, [
        "created",
        "callStarted",
        "callCompleted",
        "cancelRequested",
        "annotated",
        "compensating",
        "compensationStarted",
        "compensationCompleted",
        "cancelled"
      ])
      // Its place is free for others.
      yield* idle
      assert.deepStrictEqual(yield* worker.running, [])
      yield* gate.open
      yield* idle
      assert.deepStrictEqual(log, ["Interrupt"])
      assert.deepStrictEqual(
        world.done.map(({ what }) => what),
        ["before"]
      )
      assert.deepStrictEqual(yield* worker.stuck, [])
      yield* idle
      assert.deepStrictEqual(yield* computer.kinds(run), before)
      yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
    })
  )

  it.effect("in a tool that does not stop: the call stays in doubt, whatever comes of it later", () =>
    Effect.gen(function* () {
      const computer = machine()
      const gate = Latch.makeUnsafe(false)
      const Slow = Tool.make("slow", { input: {}, error: Busy, retry: Schedule.recurs(3), compensate: true })
      let tries = 0
      const live = (how: Effect.Effect<void, Busy>) =>
        working(
          { grace: 0 },
          ({ next }) => Effect.as(Slow.call({}), next.end([])),
          Slow.toLayer({
            call: () =>
              Effect.suspend(() => {
                tries += 1
                return Effect.uninterruptible(Effect.andThen(gate.await, how))
              }),
            compensate: () => Effect.void
          })
        )
      for (const how of [Effect.void, Effect.fail(new Busy({ n: 1 }))]) {
        tries = 0
        yield* gate.close
        const { runs, stop, worker } = yield* computer.boot(live(how))
        const run = yield* runs.start(oneNode, {})
        yield* idle
        const cancelled = yield* Effect.forkChild(runs.cancel(run, "no"))
        yield* idle
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Fiber.join(cancelled), "cancelled")
        assert.strictEqual((yield* runs.get(run)).undone, 1)
        const kinds = yield* computer.kinds(run)
        assert.lengthOf(yield* worker.stuck, 1)
        yield* gate.open
        yield* idle
        assert.deepStrictEqual(yield* worker.stuck, [])
        assert.deepStrictEqual(yield* computer.kinds(run), kinds)
        assert.strictEqual(tries, 1)
        yield* stop
      }
    })
  )

  it.effect("has all the time it wants if the grace time is infinite", () =>
    Effect.gen(function* () {
      const { runs, worker } = yield* machine().boot(
        working({ grace: Infinity }, () => Effect.onInterrupt(Effect.never, () => Effect.sleep("10 minutes")))
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      const how = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      yield* TestClock.adjust("9 minutes")
      assert.isUndefined(how.pollUnsafe())
      assert.deepStrictEqual(yield* worker.stuck, [])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
    })
  )
})

describe("a worker that drains", () => {
  it.effect("leaves behind what does not stop, and lets go of its run in good order", () =>
    Effect.gen(function* () {
      const { layer, lines } = warnings()
      const computer = machine()
      const gate = Latch.makeUnsafe(false)
      let blocked = true
      const live = working({ drainTimeout: "20 seconds" }, ({ next }) =>
        Effect.gen(function* () {
          if (blocked) yield* Effect.uninterruptible(gate.await)
          return next.end(["done"])
        })
      ).pipe(Layer.provide(layer))
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      const drained = yield* Effect.forkChild(first.worker.drain)
      yield* idle
      // The grace time of cancelled runs is not meant.
      yield* TestClock.adjust("19 seconds")
      assert.isUndefined(drained.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(drained)
      assert.lengthOf(yield* first.worker.stuck, 1)
      assert.lengthOf(lines, 1)
      blocked = false
      const second = yield* computer.boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["done"])
      const [claimed] = yield* computer.eventsOf(run, "claimed")
      assert.strictEqual(claimed!.cause, "handover")
      // What was left behind ends, and nothing comes of it.
      const kinds = yield* computer.kinds(run)
      yield* gate.open
      yield* idle
      assert.deepStrictEqual(yield* first.worker.stuck, [])
      assert.deepStrictEqual(yield* computer.kinds(run), kinds)
    })
  )
})

describe("cancelling", () => {
  it.effect("a run that waits for a place, or to be tried again after a failure, ends it at once", () =>
    Effect.gen(function* () {
      const computer = machine()
      const flow = Flow.make("retrying", {
        input: Schema.Struct({ fails: Schema.Boolean }),
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.spaced("1 hour") }) }
      })
      const handlers = flow.toLayer({
        work: ({ input }) => (input.fails ? Effect.fail(new Busy({ n: 1 })) : Effect.never)
      })
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [flow], concurrency: 2 }).pipe(Layer.provide(handlers))
      )
      const retried = yield* runs.start(flow, { fails: true })
      yield* runs.start(flow, { fails: false })
      const queued = yield* runs.start(flow, { fails: false })
      yield* idle
      assert.strictEqual((yield* runs.get(queued)).status, "pending")
      assert.strictEqual(yield* runs.cancel(queued, "no"), "cancelled")
      assert.strictEqual(yield* runs.cancel(retried, "no"), "cancelled")
      assert.deepStrictEqual(yield* computer.kinds(retried), [
        "created",
        "attemptFailed",
        "cancelRequested",
        "cancelled"
      ])
    })
  )

  it.effect("may wait only until the request is durable, or not longer than some time", () =>
    Effect.gen(function* () {
      const computer = machine()
      const client = yield* computer.client
      const run = yield* client.start(oneNode, {})
      const late = yield* Effect.forkChild(Effect.flip(client.cancel(run, "no", { timeout: "3 seconds" })))
      yield* idle
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(
        yield* Fiber.join(late),
        new Runs.AwaitTimeout({ run: run.id, status: "pending", millis: 3000 })
      )
      assert.strictEqual(
        yield* client.cancel(run, "no", { until: "accepted", commandId: "again" }),
        "pending"
      )
      // The requests stand.
      yield* computer.boot(working({}, () => Effect.never))
      yield* untilStatus(client, run, "cancelled")
      assert.strictEqual(yield* client.cancel(run, "no", { until: "accepted" }), "cancelled")
      assert.strictEqual(yield* client.cancel(run, "no", { until: "applied" }), "cancelled")
      assert.strictEqual(yield* client.cancel(run, "no", { timeout: "3 seconds" }), "cancelled")
    })
  )

  it.effect("what a handler does in the moment in which it is cancelled does not escape it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      // The handler itself has the run cancelled, and goes on at once.
      const { runs } = yield* computer.boot(
        working(
          {},
          ({ next }) =>
            Effect.gen(function* () {
              yield* Pay.call({ what: "a" })
              yield* computer.send("r", "cancel", { type: "cancel", reason: "by itself" })
              yield* Effect.yieldNow
              return yield* Effect.as(Effect.never, next.end([]))
            }),
          toolsOf(world)
        )
      )
      const run = yield* runs.start(oneNode, {}, { id: "r" })
      yield* until(Effect.map(runs.get(run), ({ status }) => status === "cancelled"))
      assert.deepStrictEqual(undoneIn(world), ["a"])
    })
  )
})
