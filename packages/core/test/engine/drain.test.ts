import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Echo, handlersOf, oneNode, program } from "./oneNode.ts"
import { idle, machine, type StoreService } from "./process.ts"

describe("draining a worker", () => {
  it.effect(
    "is no crash: nothing is journaled as a failure, and the call under way is made again with its key",
    () =>
      Effect.gen(function* () {
        const computer = machine()
        const world = { hang: true }
        const seen: Array<Tool.Invocation["Service"]> = []
        const log: Array<string> = []
        const live = program(
          ({ next }) =>
            Effect.gen(function* () {
              yield* Echo.call({ text: "done" })
              const got = yield* Effect.ensuring(
                Echo.call({ text: "slow" }),
                Effect.sync(() => log.push("finalizer"))
              )
              return next.end([got])
            }),
          Echo.toLayer(({ text }) =>
            Effect.gen(function* () {
              seen.push(yield* Tool.Invocation)
              return world.hang && text === "slow" ? yield* Effect.never : text
            })
          )
        )
        const first = yield* computer.boot(live)
        const run = yield* first.runs.start(oneNode, {})
        yield* idle
        yield* first.worker.drain
        assert.deepStrictEqual(log, ["finalizer"])
        assert.deepStrictEqual(yield* first.worker.running, [])
        assert.deepStrictEqual(yield* computer.kinds(run), [
          "created",
          "callStarted",
          "callCompleted",
          "callStarted"
        ])
        assert.strictEqual((yield* first.runs.get(run)).status, "running")
        world.hang = false
        const second = yield* computer.boot(live)
        assert.deepStrictEqual(yield* second.runs.await(run), ["slow"])
        assert.strictEqual(seen.length, 3)
        assert.strictEqual(seen[2]!.key, seen[1]!.key)
        const [claimed] = yield* computer.eventsOf(run, "claimed")
        assert.strictEqual(claimed!.cause, "handover")
        assert.strictEqual(
          (yield* computer.journal(run)).filter(({ kind }) => kind === "callFailed").length,
          0
        )
      })
  )

  it.effect("makes durable what was done, and executes nothing that waits for a place", () =>
    Effect.gen(function* () {
      const computer = machine()
      const visits: Array<string> = []
      const live = Worker.layer({ flows: [oneNode], concurrency: 1 }).pipe(
        Layer.provide(
          handlersOf(({ next, state }) =>
            Effect.gen(function* () {
              visits.push("visit")
              if (state.got.length === 2) return yield* Effect.never
              return next.to("work", { got: ["x"] })
            })
          )
        )
      )
      const first = yield* computer.boot(live)
      const a = yield* first.runs.start(oneNode, {}, { id: "a" })
      const b = yield* first.runs.start(oneNode, {}, { id: "b" })
      yield* idle
      assert.deepStrictEqual(yield* computer.kinds(a), ["created"])
      yield* first.stop
      assert.deepStrictEqual(yield* computer.kinds(a), ["created", "visited", "visited"])
      assert.deepStrictEqual(yield* computer.kinds(b), ["created"])
      assert.strictEqual(visits.length, 3)
      const client = yield* computer.client
      const page = yield* client.list({ unowned: true })
      assert.deepStrictEqual(page.runs.map(({ run }) => run).sort(), ["a", "b"])
    })
  )

  it.effect("waits for what cannot be interrupted, but not longer than drainTimeout", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = Worker.layer({ flows: [oneNode], drainTimeout: "10 seconds" }).pipe(
        Layer.provide(
          handlersOf(({ input: _, next }) =>
            Effect.gen(function* () {
              yield* Effect.uninterruptible(Effect.sleep("5 seconds"))
              yield* Effect.uninterruptible(Effect.sleep("1 hour"))
              return next.end([])
            })
          )
        )
      )
      const first = yield* computer.boot(live)
      yield* first.runs.start(oneNode, {}, { id: "a" })
      yield* idle
      const drained = yield* Effect.forkChild(first.worker.drain)
      yield* TestClock.adjust("9 seconds")
      assert.isDefined(drained.pollUnsafe())
      yield* first.runs.start(oneNode, {}, { id: "b" })
      yield* idle
      assert.strictEqual((yield* first.runs.get("b")).status, "pending")

      const stuck = Worker.layer({ flows: [oneNode], drainTimeout: "10 seconds" }).pipe(
        Layer.provide(
          handlersOf(({ next }) => Effect.uninterruptible(Effect.as(Effect.sleep("1 hour"), next.end([]))))
        )
      )
      const second = yield* computer.boot(stuck)
      yield* idle
      const late = yield* Effect.forkChild(second.worker.drain)
      yield* idle
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(late)
    })
  )

  it.effect("lets go of runs that are created, or taken up, while it drains", () =>
    Effect.gen(function* () {
      const computer = machine()
      const gate = Latch.makeUnsafe(true)
      const slow = (store: StoreService): StoreService => ({
        ...store,
        create: (batch, options) => Effect.tap(store.create(batch, options), () => gate.await),
        acquire: (run, holder) => Effect.tap(store.acquire(run, holder), () => gate.await)
      })
      let visits = 0
      const live = program(({ next }) => Effect.sync(() => (visits++, next.end(["x"]))))
      const first = yield* computer.boot(live, { wrap: slow })
      yield* gate.close
      const client = yield* computer.client
      yield* client.start(oneNode, {}, { id: "adopted" })
      yield* idle
      yield* Effect.forkChild(first.runs.start(oneNode, {}, { id: "created" }))
      yield* idle
      const drained = yield* Effect.forkChild(first.worker.drain)
      yield* idle
      yield* gate.open
      yield* Fiber.join(drained)
      yield* idle
      assert.strictEqual(visits, 0)
      const page = yield* client.list({ unowned: true })
      assert.deepStrictEqual(page.runs.map(({ run }) => run).sort(), ["adopted", "created"])
    })
  )

  it.effect("leaves a cancelled run to the next worker, which goes on cancelling it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = program(({ next }) =>
        Effect.as(
          Effect.onInterrupt(Effect.never, () => Effect.sleep("1 minute")),
          next.end([])
        )
      )
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* Effect.forkChild(first.runs.cancel(run, "stop"))
      yield* idle
      const stopped = yield* Effect.forkChild(first.stop)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(stopped)
      const client = yield* computer.client
      assert.include(["cancelling", "cancelled"], (yield* client.get(run)).status)
      yield* computer.boot(live)
      yield* idle
      assert.strictEqual((yield* client.get(run)).status, "cancelled")
    })
  )
})
