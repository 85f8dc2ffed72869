import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Runs from "@waymark/core/Runs"
import { StoreError } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine, type StoreService, until, untilStatus } from "./process.ts"
import { Book, makeWorld, Pay, saga, sagaHandlers, sagaWorker, toolsOf, undoneIn } from "./saga.ts"

const isUndoing = ({ kind }: Event): boolean => kind.startsWith("compensat")

/** Lets time pass until the run has ended. */
const untilEnded = (runs: Runs.Runs["Service"], run: Runs.Run<any>, step = "1 minute" as const) =>
  Effect.gen(function* () {
    for (let i = 0; i < 100; i++) {
      yield* idle
      const { endedAt, status } = yield* runs.get(run)
      if (endedAt !== undefined) return status
      yield* TestClock.adjust(step)
    }
    return assert.fail("the run does not end")
  })

describe("a call that cannot be undone", () => {
  it.effect(
    "is named by the run's end; those before it are undone all the same, and a retry tries it again",
    () =>
      Effect.gen(function* () {
        for (const how of ["failed", "cancelled"] as const) {
          const computer = machine()
          const world = makeWorld(how === "failed" ? {} : { finally: () => Effect.never })
          let broken = true
          world.undo = ({ input: { what } }) =>
            broken && what !== "b" ? Effect.fail(new Busy({ n: 7 })) : Effect.void
          const { runs } = yield* computer.boot(sagaWorker(world))
          const run = yield* runs.start(saga, {}, { id: "r" })
          yield* idle
          if (how === "cancelled") yield* Effect.forkChild(runs.cancel(run, "no"))
          assert.strictEqual(yield* untilEnded(runs, run), how)
          assert.deepStrictEqual(undoneIn(world), ["c", "c", "c", "b", "a", "a", "a"])
          const calls = yield* computer.eventsOf(run, "callStarted")
          const left = ["c", "a"].map((what) => {
            const { call, node, seq, visit } = calls.find(
              ({ input, tool }) => tool === "pay" && (input as { what: string }).what === what
            )!
            return { node, visit, call, tool: "pay", started: seq, completed: seq + 1 }
          })
          const { ending } = yield* runs.stateAt(run)
          assert.deepStrictEqual(ending?.status === "completed" ? [] : ending?.undone, left)
          assert.strictEqual((yield* runs.get(run)).undone, 2)
          const error = yield* Effect.flip(runs.await(run))
          if (how === "cancelled") {
            assert.match((error as Runs.RunCancelled).message, /could not undo pay\/.*, pay\//)
            assert.deepStrictEqual((error as Runs.RunCancelled).undone, left)
          } else assert.deepStrictEqual(error, new Busy({ n: 1 }))
          const failures = yield* computer.eventsOf(run, "compensationFailed")
          assert.deepStrictEqual(
            failures.map(({ error: { kind } }) => kind),
            ["error", "error"]
          )

          const refused = yield* Effect.flip(runs.retry(run, { edits: { done: [] } }))
          assert.match((refused as Runs.CommandRefused).message, /no state to edit/)
          broken = false
          world.undone.length = 0
          yield* runs.retry(run)
          yield* until(Effect.map(runs.get(run), ({ undone }) => undone === 0))
          assert.deepStrictEqual(undoneIn(world), ["c", "a"])
          assert.strictEqual((yield* runs.get(run)).status, how)
          assert.strictEqual(world.done.length, 3)
          const again = yield* Effect.flip(runs.retry(run))
          assert.strictEqual(again._tag, "CommandRefused")
          assert.match((again as Runs.CommandRefused).message, /has undone what it did/)
          // A command that was under way when that became so changes nothing.
          yield* computer.send(run, "late", { type: "retry" })
          yield* until(Effect.map(computer.eventsOf(run, "commandIgnored"), (ignored) => ignored.length > 0))
          yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
        }
      })
  )

  it.effect("may be one whose undoing dies, interrupts itself, or whose retry policy breaks", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      world.undo = ({ input: { what } }) =>
        what === "c" ? Effect.die(new Error("boom")) : what === "b" ? Effect.interrupt : Effect.void
      const { runs } = yield* computer.boot(sagaWorker(world))
      const run = yield* runs.start(saga, {})
      assert.strictEqual(yield* untilEnded(runs, run), "failed")
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
      const failures = yield* computer.eventsOf(run, "compensationFailed")
      assert.deepInclude(failures[0]!.error, { kind: "defect", message: "boom" })
      assert.deepStrictEqual(failures[1]!.error, { kind: "interrupted" })
    })
  )

  it.effect("may be one whose retry policy breaks", () =>
    Effect.gen(function* () {
      const Broken = Tool.make("broken", {
        input: {},
        error: Busy,
        compensate: {
          retry: Schedule.forever.pipe(
            Schedule.while((_: Schedule.Metadata<number, Busy | Tool.ToolTimeout>) => {
              throw new Error("no policy")
            })
          )
        }
      })
      const layer = Broken.toLayer({
        call: () => Effect.void,
        compensate: () => Effect.fail(new Busy({ n: 1 }))
      })
      const computer = machine()
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [oneNode] }).pipe(
          Layer.provide(
            handlersOf(() => Effect.andThen(Broken.call({}), Effect.fail(new Busy({ n: 1 }))), layer)
          )
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* Effect.flip(runs.await(run))
      const [lost] = yield* computer.eventsOf(run, "compensationFailed")
      assert.deepInclude(lost!.error, { kind: "defect", message: "no policy" })
    })
  )

  it.effect("may be one whose handler is not there any more, or cannot read what the call did", () =>
    Effect.gen(function* () {
      const PayOther = Tool.make("pay", {
        input: { what: Schema.String },
        output: Schema.Finite,
        compensate: true
      })
      const PayPlain = Tool.make("pay", { input: { what: Schema.String }, output: Schema.String })
      const other = PayOther.toLayer({ call: () => Effect.succeed(1), compensate: () => Effect.void })
      const plain = PayPlain.toLayer(() => Effect.succeed(""))
      for (const [tools, message] of [
        [Layer.empty as Layer.Layer<any>, /tool pay has no handler here/],
        [other, /recorded output of tool pay/],
        [plain, /tool pay has no `compensate` here/]
      ] as const) {
        const computer = machine()
        const world = makeWorld({ finally: () => Effect.never })
        const first = yield* computer.boot(sagaWorker(world))
        const run = yield* first.runs.start(saga, {})
        yield* idle
        yield* first.stop
        const later = Worker.layer({ flows: [saga] }).pipe(
          Layer.provide(sagaHandlers(makeWorld({ finally: () => Effect.never })) as Layer.Layer<any>),
          Layer.provide(tools)
        )
        yield* computer.send(run, "cancel", { type: "cancel", reason: "no" })
        const wrong = yield* computer.boot(later)
        yield* untilStatus(wrong.runs, run, "cancelled")
        assert.strictEqual((yield* wrong.runs.get(run)).undone, 3)
        for (const { error } of yield* computer.eventsOf(run, "compensationFailed")) {
          const text = error.kind === "encoding" ? error.what : error.kind === "defect" ? error.message : ""
          assert.match(text as string, message)
        }
        // With the right handler it can be.
        yield* wrong.stop
        const { runs } = yield* computer.boot(sagaWorker(world))
        yield* runs.retry(run)
        yield* until(Effect.map(runs.get(run), ({ undone }) => undone === 0))
        assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
      }
    })
  )

  it.effect(
    "may be one that takes its process with it again and again: that ends, and the others are undone",
    () =>
      Effect.gen(function* () {
        const flow = Flow.make("saga", {
          input: saga.input,
          state: saga.state,
          output: saga.output,
          error: Busy,
          start: "first",
          maxRecoveries: 2,
          nodes: saga.nodes
        })
        const computer = machine()
        const world = makeWorld({
          undo: ({ input: { what } }) => (what === "b" ? Effect.never : Effect.void)
        })
        const live = Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(sagaHandlers(world)),
          Layer.provide(toolsOf(world))
        )
        const first = yield* computer.boot(live)
        const run = yield* first.runs.start(flow, {})
        yield* idle
        for (let crash = 1; crash <= 3; crash++) {
          assert.strictEqual(undoneIn(world).filter((what) => what === "b").length, crash)
          yield* computer.crash
          yield* computer.boot(live)
          yield* idle
        }
        const client = yield* computer.client
        yield* untilStatus(client, run, "failed")
        assert.deepStrictEqual(undoneIn(world), ["c", "b", "b", "b", "a"])
        const [lost] = yield* computer.eventsOf(run, "compensationFailed")
        assert.deepStrictEqual(lost!.error, { kind: "recoveries", limit: 2 })
        assert.deepStrictEqual(yield* Effect.flip(client.await(run)), new Busy({ n: 1 }))
      })
  )
})

describe("a call of which nobody knows whether it took effect", () => {
  const oneCall = (call: Effect.Effect<unknown, any, any>, world: ReturnType<typeof makeWorld>) =>
    Worker.layer({ flows: [oneNode] }).pipe(
      Layer.provide(
        handlersOf(({ next }) => Effect.as(call, next.end([])) as Effect.Effect<any, any>, toolsOf(world))
      )
    )

  it.effect("is named by the end of a cancelled run, and not undone", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({ do: () => Effect.never })
      const { runs } = yield* computer.boot(oneCall(Pay.call({ what: "a" }), world))
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(yield* runs.cancel(run, "no"), "cancelled")
      assert.deepStrictEqual(world.undone, [])
      const { ending } = yield* runs.stateAt(run)
      const [started] = yield* computer.eventsOf(run, "callStarted")
      const call = started!.call
      assert.deepStrictEqual(ending, {
        status: "cancelled",
        reason: "no",
        undone: [{ node: "work", visit: 1, call, tool: "pay", started: 1, inDoubt: true }]
      })
      assert.match((yield* Effect.flip(runs.retry(run))).message, /nobody knows/)
      const error = yield* Effect.flip(runs.await(run))
      assert.match(error.message, /could not undo pay\/.* \(in doubt\)/)
    })
  )

  it.effect("is undone if its tool says so, without an output", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({ do: (what) => (what === "b" ? Effect.never : Effect.void) })
      const both = Effect.andThen(Book.call({ what: "a" }), Book.call({ what: "b" }))
      const { runs } = yield* computer.boot(oneCall(both, world))
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(yield* runs.cancel(run, "no"), "cancelled")
      assert.deepStrictEqual(
        world.undone.map(({ input, output }) => [input.what, output]),
        [
          ["b", undefined],
          ["a", "a is done"]
        ]
      )
      assert.strictEqual((yield* runs.get(run)).undone, 0)
    })
  )

  it.effect("is not one whose last try is known to have failed", () =>
    Effect.gen(function* () {
      const Later = Tool.make("later", {
        input: {},
        error: Busy,
        retry: Schedule.spaced("1 hour"),
        compensate: { inDoubt: true }
      })
      const undone: Array<string> = []
      const layer = Later.toLayer({
        call: () => Effect.fail(new Busy({ n: 1 })),
        compensate: () => Effect.sync(() => void undone.push("later"))
      })
      const { runs } = yield* machine().boot(
        Worker.layer({ flows: [oneNode] }).pipe(
          Layer.provide(handlersOf(({ next }) => Effect.as(Later.call({}), next.end([])), layer))
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(yield* runs.cancel(run, "no"), "cancelled")
      assert.deepStrictEqual(undone, [])
      assert.isUndefined((yield* runs.get(run)).undone)
    })
  )
})

describe("while a run undoes its calls after a failure", () => {
  it.effect("a cancel changes nothing, and is told how the run ended; a pause is refused", () =>
    Effect.gen(function* () {
      const computer = machine()
      const gate = Latch.makeUnsafe(false)
      const world = makeWorld({ undo: () => gate.await })
      const { runs } = yield* computer.boot(sagaWorker(world))
      const run = yield* runs.start(saga, {})
      yield* idle
      const how = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      assert.strictEqual((yield* Effect.flip(runs.pause(run)))._tag, "CommandRefused")
      yield* computer.send(run, "pause", { type: "pause" })
      yield* computer.send(run, "settle", { type: "settle", call: "x", as: { failure: true } })
      yield* idle
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(how), "failed")
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
      const ignored = yield* computer.eventsOf(run, "commandIgnored")
      assert.match(ignored[0]!.note, /undoing its calls/)
      assert.strictEqual(ignored.length, 3)
    })
  )

  it.effect("commands are answered also in the delay before the next try", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({ undo: () => Effect.fail(new Busy({ n: 1 })) })
      const { runs } = yield* computer.boot(sagaWorker(world))
      const run = yield* runs.start(saga, {})
      yield* idle
      yield* computer.send(run, "resume", { type: "resume" })
      yield* idle
      // The sleep that follows syncs what came of it.
      assert.lengthOf(yield* computer.eventsOf(run, "commandIgnored"), 1)
      assert.strictEqual((yield* runs.get(run)).compensating, true)
      assert.strictEqual(world.undone.length, 1)
    })
  )

  it.effect("it cannot be forked; before, it can, and the fork undoes only what it does itself", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      const { runs } = yield* computer.boot(sagaWorker(world))
      const run = yield* runs.start(saga, {})
      yield* Effect.flip(runs.await(run))
      const events = yield* computer.journal(run)
      const { seq } = events.find(isUndoing)!
      for (const at of [seq, seq + 2, events.length - 1]) {
        const error = yield* Effect.flip(runs.fork(run, at))
        assert.strictEqual(error._tag, "InvalidCheckpoint")
        assert.match(error.message, /fork from before/)
      }
      world.undone.length = 0
      // The visit that it is forked in had completed a call, which is served to the fork.
      const fork = yield* runs.fork(run, seq - 1)
      assert.deepStrictEqual(yield* Effect.flip(runs.await(fork)), new Busy({ n: 1 }))
      assert.deepStrictEqual(world.undone, [])
      const from = yield* runs.fork(run, 0)
      yield* Effect.flip(runs.await(from))
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
      assert.deepStrictEqual(new Set(world.undone.map(({ own }) => own.run)), new Set([from.id]))
    })
  )

  it.effect("the store may fail: the run goes back to what is durable, and goes on", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      let failing = 0
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        read: (run, options) =>
          options?.limit === 1 && world.done.length === 3 && failing++ < 2
            ? Effect.fail(new StoreError({ operation: "read", reason: { _tag: "Io", code: "EIO" } }))
            : store.read(run, options)
      })
      const { runs } = yield* computer.boot(sagaWorker(world), { wrap })
      const run = yield* runs.start(saga, {})
      assert.strictEqual(yield* untilEnded(runs, run, "1 minute"), "failed")
      assert.isAbove(failing, 1)
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
    })
  )

  it.effect("a journal that cannot be read stops it, and it is left alone until that has changed", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      const reason = { _tag: "Corrupt", run: "r", seq: 1, detail: "a bit flipped" } as const
      let reads = 0
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        read: (run, options) =>
          options?.limit === 1 && world.done.length === 3 && world.undone.length === 1
            ? Effect.suspend(() => {
                reads += 1
                return Effect.fail(new StoreError({ operation: "read", reason }))
              })
            : store.read(run, options)
      })
      const { runs } = yield* computer.boot(sagaWorker(world), { wrap })
      const run = yield* runs.start(saga, {}, { id: "r" })
      for (let i = 0; i < 10; i++) {
        yield* idle
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(reads, 1)
      const { compensating, status } = yield* runs.get(run)
      assert.deepStrictEqual([compensating, status], [true, "running"])
      yield* computer.crash
      const second = yield* computer.boot(sagaWorker(world))
      assert.deepStrictEqual(yield* Effect.flip(second.runs.await(run)), new Busy({ n: 1 }))
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
    })
  )
})

describe("a run that has undone its calls", () => {
  it.effect("is replayed as it was executed", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const { runs } = yield* machine().boot(sagaWorker(world))
      const run = yield* runs.start(saga, {})
      yield* Effect.flip(runs.await(run))
      const again = Layer.provide(sagaHandlers(world), toolsOf(world))
      const report = yield* Effect.provide(Effect.provideService(Runs.replay(run), Runs.Runs, runs), again)
      assert.deepStrictEqual(report, { run: run.id, visits: 2, divergences: [] })
      const changed = makeWorld({ finally: () => Effect.fail(new Busy({ n: 2 })) })
      const other = yield* Effect.provide(
        Effect.provideService(Runs.replay(run), Runs.Runs, runs),
        Layer.provide(sagaHandlers(changed), toolsOf(changed))
      )
      assert.deepInclude(other.divergences[0], { node: "second", visit: 2 })
    })
  )
})
