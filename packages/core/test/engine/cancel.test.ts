import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, handlersOf, oneNode, program } from "./oneNode.ts"
import { idle, machine, type StoreService, untilStatus } from "./process.ts"

const hanging = Echo.toLayer(() => Effect.never)

describe("cancelling a run", () => {
  it.effect(
    "interrupts its handler and its tools, runs their finalizers, and only then says `cancelled`, with the reason",
    () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const computer = machine()
        const slow = (name: string, kinds: () => Effect.Effect<ReadonlyArray<string>>) =>
          Effect.gen(function* () {
            yield* Effect.sleep("1 second")
            log.push(name)
            assert.notInclude(yield* kinds(), "cancelled")
          })
        let id = ""
        const kinds = () => computer.kinds(id)
        const live = program(
          ({ next }) =>
            Effect.gen(function* () {
              yield* Effect.acquireRelease(Effect.void, () => slow("scope", kinds))
              yield* Effect.ensuring(Echo.call({ text: "x" }), slow("handler", kinds))
              return next.end([])
            }),
          Echo.toLayer(() => Effect.onInterrupt(Effect.never, () => slow("tool", kinds)))
        )
        const { runs } = yield* computer.boot(live)
        const run = yield* runs.start(oneNode, {})
        id = run.id
        yield* idle
        const how = yield* Effect.forkChild(runs.cancel(run, "changed my mind", { actor: "ada" }))
        yield* idle
        assert.strictEqual((yield* runs.get(run)).status, "running")
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* Fiber.join(how), "cancelled")
        assert.deepStrictEqual(log, ["tool", "handler", "scope"])
        assert.deepStrictEqual(yield* computer.kinds(run), [
          "created",
          "callStarted",
          "cancelRequested",
          "cancelled"
        ])
        const [requested] = yield* computer.eventsOf(run, "cancelRequested")
        assert.deepInclude(requested, { reason: "changed my mind", actor: "ada" })
        const error = yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(error, new Runs.RunCancelled({ run: run.id, reason: "changed my mind" }))
      })
  )

  it.effect("takes effect at once in a node's and in a tool's retry delay", () =>
    Effect.gen(function* () {
      const flow = Flow.make("waiting", {
        input: Schema.Struct({}),
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.spaced("1 hour") }) }
      })
      const node = yield* machine().boot(
        Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(flow.toLayer({ work: () => Effect.fail(new Busy({ n: 1 })) }))
        )
      )
      const first = yield* node.runs.start(flow, {})
      yield* idle
      assert.strictEqual(yield* node.runs.cancel(first, "enough"), "cancelled")

      const Flaky = Tool.make("flaky", { input: Schema.Int, error: Busy, retry: Schedule.spaced("1 hour") })
      const tool = yield* machine().boot(
        program(
          ({ next }) => Effect.as(Flaky.call(1), next.end([])),
          Flaky.toLayer(() => Effect.fail(new Busy({ n: 1 })))
        )
      )
      const second = yield* tool.runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(yield* tool.runs.cancel(second, "enough"), "cancelled")
    })
  )

  it.effect("does not wait for a place among the runs that execute", () =>
    Effect.gen(function* () {
      const live = Worker.layer({ flows: [oneNode], concurrency: 1 }).pipe(
        Layer.provide(handlersOf(({ next }) => Effect.as(Echo.call({ text: "x" }), next.end([])), hanging))
      )
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const runsThere = yield* Effect.forEach(["a", "b", "c", "d"], (id) => runs.start(oneNode, {}, { id }))
      yield* idle
      assert.strictEqual(yield* runs.cancel("c", "no"), "cancelled")
      yield* computer.crash
      const second = yield* computer.boot(live)
      yield* idle
      assert.strictEqual((yield* second.worker.running).length, 3)
      assert.strictEqual(yield* second.runs.cancel("d", "no"), "cancelled")
      assert.strictEqual(yield* second.runs.cancel("b", "no"), "cancelled")
      assert.strictEqual(yield* second.runs.cancel("a", "no"), "cancelled")
      yield* Effect.provideService(Runs.verify(runsThere[3]!), Runs.Runs, second.runs)
      yield* idle
      assert.deepStrictEqual(yield* second.worker.running, [])
    })
  )

  it.effect("nor does that of a run that the worker does not have", () =>
    Effect.gen(function* () {
      const live = Worker.layer({ flows: [oneNode], concurrency: 1 }).pipe(
        Layer.provide(handlersOf(({ next }) => Effect.as(Echo.call({ text: "x" }), next.end([])), hanging))
      )
      const computer = machine()
      const client = yield* computer.client
      yield* client.start(oneNode, {}, { id: "paused" })
      yield* client.pause("paused")
      const { runs } = yield* computer.boot(live)
      yield* untilStatus(runs, "paused", "paused")
      yield* runs.start(oneNode, {}, { id: "hanging" })
      yield* idle
      assert.strictEqual(yield* runs.cancel("paused", "no"), "cancelled")
      assert.strictEqual((yield* runs.get("hanging")).status, "running")
    })
  )

  it.effect("ends a paused run, also one that no worker has", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = program(({ next }) => Effect.as(Echo.call({ text: "x" }), next.end([])), hanging)
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.pause(run)
      yield* idle
      yield* computer.crash
      const { runs: later } = yield* computer.boot(
        program(({ next }) => Effect.succeed(next.to("work")), hanging)
      )
      yield* untilStatus(later, run, "paused")
      assert.strictEqual(yield* later.cancel(run, "no"), "cancelled")
      assert.strictEqual((yield* later.get(run)).pause, undefined)
    })
  )

  it.effect("changes nothing about a run that has ended, and says how it ended", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(
        program(({ next, state }) =>
          state.got.length > 5 ? Effect.die("x") : Effect.succeed(next.end(["x"]))
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const before = yield* computer.kinds(run)
      assert.strictEqual(yield* runs.cancel(run, "too late"), "completed")
      yield* idle
      assert.deepStrictEqual(yield* computer.kinds(run), before)
    })
  )

  it.effect("that comes too late by a moment finds the run as it ended", () =>
    Effect.gen(function* () {
      const computer = machine()
      const gate = Latch.makeUnsafe(false)
      // The run has ended for its worker, and the disk does not know it yet.
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        sync: (lease) => Effect.andThen(gate.await, store.sync(lease))
      })
      const { runs } = yield* computer.boot(
        program(({ next }) => Effect.succeed(next.end(["x"]))),
        { wrap }
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      const how = yield* Effect.forkChild(runs.cancel(run, "too late"))
      yield* idle
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(how), "completed")
      yield* idle
      assert.deepStrictEqual(yield* computer.kinds(run), [
        "created",
        "visited",
        "completed",
        "claimed",
        "commandIgnored"
      ])
      assert.deepStrictEqual(yield* runs.await(run), ["x"])
    })
  )

  it.effect("goes on after a crash between the request and the end", () =>
    Effect.gen(function* () {
      const computer = machine()
      const log: Array<string> = []
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            log.push("visit")
            yield* Effect.onInterrupt(Echo.call({ text: "x" }), () => Effect.sleep("1 hour"))
            return next.end([])
          }),
        hanging
      )
      const { runs, store } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* Effect.forkChild(runs.cancel(run, "stop"))
      yield* idle
      yield* store.sync({ run: run.id, owner: store.owner, epoch: 0 })
      assert.strictEqual((yield* runs.get(run)).status, "cancelling")
      yield* computer.crash
      const { runs: later } = yield* computer.boot(live)
      yield* untilStatus(later, run, "cancelled")
      assert.deepStrictEqual(log, ["visit"])
      assert.deepStrictEqual(yield* computer.kinds(run), [
        "created",
        "callStarted",
        "cancelRequested",
        "claimed",
        "cancelled"
      ])
      assert.strictEqual((yield* Effect.flip(later.await(run)))._tag, "RunCancelled")
    })
  )

  it.effect("of a run whose command was lost in no crash: it lies in the inbox until a worker comes", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = program(({ next }) => Effect.as(Echo.call({ text: "x" }), next.end([])), hanging)
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* computer.crash
      const client = yield* computer.client
      const how = yield* Effect.forkChild(client.cancel(run, "nobody there"))
      yield* idle
      yield* computer.boot(live)
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
    })
  )

  it.effect("twice, with the same id or not, is cancelling once", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = program(
        ({ next }) =>
          Effect.as(
            Effect.onInterrupt(Echo.call({ text: "x" }), () => Effect.sleep("1 second")),
            next.end([])
          ),
        hanging
      )
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      const fibers = yield* Effect.forEach(["one", "one", "two"], (commandId) =>
        Effect.forkChild(runs.cancel(run, "stop", { commandId }))
      )
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["cancelled", "cancelled", "cancelled"])
      yield* idle
      const kinds = yield* computer.kinds(run)
      assert.strictEqual(kinds.filter((kind) => kind === "cancelRequested").length, 1)
      assert.strictEqual(kinds.filter((kind) => kind === "commandIgnored").length, 1)
    })
  )
})
