import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Codec as CodecService } from "@waymark/core/Codec"
import { Codec } from "@waymark/core/Codec"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Middleware from "@waymark/core/Middleware"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import type { Request } from "@waymark/core/ToolExecutor"
import * as Worker from "@waymark/core/Worker"
import { Busy, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine, type StoreService, until, untilStatus } from "./process.ts"
import { makeWorld, Mail, Pay, saga, sagaWorker, toolsOf, undoneIn } from "./saga.ts"

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

const reversed = (text: string): string => text.split("").reverse().join("")

/** A codec whose values nobody takes for plain text. */
const reversing: CodecService = {
  name: "reversing",
  encrypts: true,
  encode: (value) => Effect.succeed(reversed(JSON.stringify(value))),
  decode: (value) => Effect.sync(() => JSON.parse(reversed(value as string)) as Schema.Json)
}

describe("a run that fails", () => {
  it.effect("undoes what it did, the last first, before it has failed", () =>
    Effect.gen(function* () {
      const computer = machine()
      const seen: Array<string | undefined> = []
      const world = makeWorld({
        undo: ({ input: { what } }) =>
          Effect.gen(function* () {
            const { compensating, error, status } = yield* runs.get("r")
            seen.push(`${what}: ${status}, ${compensating}, ${error?.tag}`)
          }).pipe(Effect.orDie)
      })
      const { runs } = yield* computer.boot(sagaWorker(world))
      const run = yield* runs.start(saga, {}, { id: "r" })
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Busy({ n: 1 }))
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
      assert.deepStrictEqual(
        world.undone.map(({ key, output }) => ({ key, output })),
        world.done.map(({ key, what }) => ({ key, output: `${what} is done` })).reverse()
      )
      // What others see while it does.
      assert.deepStrictEqual(
        seen,
        ["c", "b", "a"].map((what) => `${what}: running, true, Busy`)
      )
      const events = yield* computer.journal(run)
      const from = events.findIndex(isUndoing)
      assert.deepStrictEqual(
        events.slice(from).map(({ kind }) => kind),
        [
          "compensating",
          ...Array.from({ length: 3 }, () => ["compensationStarted", "compensationCompleted"]).flat(),
          "failed"
        ]
      )
      assert.deepInclude(events[from], { node: "second", visit: 2, attempt: 1 })
      assert.deepInclude(events[events.length - 1], { node: "second", visit: 2, attempt: 1, undone: [] })
      const { compensating, undone } = yield* runs.get(run)
      assert.deepStrictEqual([compensating, undone], [undefined, 0])
      assert.deepStrictEqual(
        (yield* runs.history(run, { order: "oldest" })).slice(-5).map(({ kind }) => kind),
        ["compensating", ...Array.from({ length: 3 }, () => "compensationCompleted"), "failed"]
      )
      // Each undoing has a key of its own, and says where the call was made.
      const own = world.undone.map(({ own }) => own)
      assert.strictEqual(new Set([...own, ...world.done].map(({ key }) => key)).size, 6)
      assert.deepStrictEqual(
        own.map(({ attempt, node, repeated, run: of, visit }) => [of, node, visit, attempt, repeated]),
        [
          ["r", "second", 2, 1, false],
          ["r", "first", 1, 1, false],
          ["r", "first", 1, 1, false]
        ]
      )
      yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
    })
  )

  it.effect("undoes a call once, however many attempts of its visit asked for it", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const flow = Flow.make("again", {
        input: Schema.Struct({}),
        error: Busy,
        start: "work",
        nodes: {
          work: Node.make({ to: ["end"], error: Busy, onError: { Busy: "more" } }),
          more: Node.make({ to: ["end"], error: Busy })
        }
      })
      const handlers = flow.toLayer({
        work: () => Effect.andThen(Pay.call({ what: "a" }), Effect.fail(new Busy({ n: 1 }))),
        more: () => Effect.andThen(Pay.call({ what: "b" }), Effect.fail(new Busy({ n: 2 })))
      })
      const computer = machine()
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers), Layer.provide(toolsOf(world)))
      )
      const run = yield* runs.start(flow, {})
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Busy({ n: 2 }))
      // What a failed visit did is undone when the run fails, not when its policy lets the run go on.
      assert.deepStrictEqual(undoneIn(world), ["b", "a"])
    })
  )

  it.effect("for whatever reason, its limit of steps among them", () =>
    Effect.gen(function* () {
      const world = makeWorld({ finally: () => Effect.void })
      const { runs } = yield* machine().boot(sagaWorker(world))
      const run = yield* runs.start(saga, {}, { maxSteps: 1 })
      const error = yield* Effect.flip(runs.await(run))
      assert.strictEqual(error._tag === "RunFailed" ? error.failure.kind : error._tag, "stepLimit")
      assert.deepStrictEqual(undoneIn(world), ["b", "a"])
      const defect = makeWorld({ finally: () => Effect.die(new Error("boom")) })
      const second = yield* machine().boot(sagaWorker(defect))
      const other = yield* second.runs.start(saga, {})
      assert.strictEqual((yield* Effect.flip(second.runs.await(other)))._tag, "RunFailed")
      assert.deepStrictEqual(undoneIn(defect), ["c", "b", "a"])
    })
  )

  it.effect("undoes nothing if it did nothing that can be undone, and can be retried as ever", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = { fails: true }
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [oneNode] }).pipe(
          Layer.provide(
            handlersOf(
              ({ next }) =>
                Effect.gen(function* () {
                  yield* Mail.call({ what: "x" })
                  return world.fails ? yield* new Busy({ n: 1 }) : next.end(["x"])
                }),
              toolsOf(makeWorld())
            )
          )
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* Effect.flip(runs.await(run))
      assert.isEmpty((yield* computer.journal(run)).filter(isUndoing))
      assert.isUndefined((yield* runs.get(run)).undone)
      world.fails = false
      yield* runs.retry(run)
      yield* untilStatus(runs, run, "completed")
    })
  )

  it.effect("and completes later, if it is retried before it had anything to undo, undoes nothing", () =>
    Effect.gen(function* () {
      const world = makeWorld({ finally: () => Effect.void })
      const { runs } = yield* machine().boot(sagaWorker(world))
      assert.deepStrictEqual(yield* runs.execute(saga, {}), ["a", "b"])
      assert.deepStrictEqual(world.undone, [])
    })
  )
})

describe("a run that is cancelled", () => {
  it.effect("undoes what it did, what its finalizers did included, and then is cancelled", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [oneNode] }).pipe(
          Layer.provide(
            handlersOf(
              () =>
                Effect.gen(function* () {
                  yield* Pay.call({ what: "a" })
                  return yield* Effect.onInterrupt(Effect.never, () =>
                    Effect.ignore(Pay.call({ what: "final" }))
                  )
                }),
              toolsOf(world)
            )
          )
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(yield* runs.cancel(run, "no need"), "cancelled")
      assert.deepStrictEqual(undoneIn(world), ["final", "a"])
      const events = yield* computer.journal(run)
      assert.deepInclude(events.find(isUndoing), { kind: "compensating", reason: "no need" })
      assert.deepInclude(events[events.length - 1], { kind: "cancelled", reason: "no need", undone: [] })
      assert.deepStrictEqual(
        yield* Effect.flip(runs.await(run)),
        new Runs.RunCancelled({ run: run.id, reason: "no need" })
      )
    })
  )

  it.effect("undoes what it did also if nothing of it is being executed: paused, or of another version", () =>
    Effect.gen(function* () {
      const world = makeWorld({ finally: () => Effect.never })
      const computer = machine()
      const first = yield* computer.boot(sagaWorker(world))
      const run = yield* first.runs.start(saga, {})
      yield* idle
      yield* first.runs.pause(run)
      yield* first.stop
      yield* computer.crash
      // Its handlers cannot read the run's state any more; that is not needed.
      const changed = Flow.make("saga", {
        version: 2,
        input: Schema.Struct({}),
        start: "only",
        nodes: { only: Node.make({ to: ["end"] }) }
      })
      // The context of its handlers is where tools are found.
      const handlers = changed.toLayer({
        only: ({ next }) => Effect.as(Effect.orDie(Pay.call({ what: "x" })), next.end())
      })
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [changed] }).pipe(Layer.provide(handlers), Layer.provide(toolsOf(world)))
      )
      yield* untilStatus(runs, run, "paused")
      assert.strictEqual(yield* runs.cancel(run, "no need"), "cancelled")
      assert.deepStrictEqual(undoneIn(world), ["c", "b", "a"])
    })
  )

  it.effect("undoes a call whose output a person gave", () =>
    Effect.gen(function* () {
      const Once = Tool.make("once", {
        input: {},
        output: Schema.String,
        delivery: "atMostOnce",
        compensate: true
      })
      const outputs: Array<string> = []
      const layer = Once.toLayer({
        call: () => Effect.never,
        compensate: ({ output }) => Effect.sync(() => void outputs.push(output))
      })
      const computer = machine()
      const live = Worker.layer({ flows: [oneNode] }).pipe(
        Layer.provide(handlersOf(({ next }) => Effect.as(Once.call({}), next.end([])), layer))
      )
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* computer.crash
      const { runs } = yield* computer.boot(live)
      yield* untilStatus(runs, run, "paused")
      const [call] = yield* computer.eventsOf(run, "callStarted")
      yield* runs.settle(run, call!.call, { output: "it did" })
      assert.strictEqual(yield* runs.cancel(run, "no"), "cancelled")
      assert.deepStrictEqual(outputs, ["it did"])
    })
  )
})

describe("undoing a call", () => {
  it.effect("begins when everything that led to it is durable, whatever the run's durability", () =>
    Effect.gen(function* () {
      for (const durability of ["pipelined", "strict", "ephemeral"] as const) {
        const computer = machine()
        const world = makeWorld()
        const durable: Array<string> = []
        world.undo = () =>
          Effect.map(computer.kinds("r"), (kinds) => {
            durable.push(kinds[kinds.length - 1]!)
          })
        const { runs } = yield* computer.boot(sagaWorker(world))
        const run = yield* runs.start(saga, {}, { id: "r", durability })
        yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(durable, ["compensationStarted", "compensationStarted", "compensationStarted"])
      }
    })
  )

  it.effect("does not begin while the disk holds back what led to it", () =>
    Effect.gen(function* () {
      const gate = Latch.makeUnsafe(true)
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        sync: (lease) => Effect.andThen(gate.await, store.sync(lease))
      })
      const world = makeWorld({ finally: () => Effect.andThen(gate.close, Effect.fail(new Busy({ n: 1 }))) })
      const { runs } = yield* machine().boot(sagaWorker(world), { wrap })
      const run = yield* runs.start(saga, {})
      yield* idle
      assert.deepStrictEqual(world.undone, [])
      yield* gate.open
      yield* Effect.flip(runs.await(run))
      assert.strictEqual(world.undone.length, 3)
    })
  )

  it.effect("is tried again by its own policy, which goes on after a crash where it was", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({
        undo: ({ own: { attempt } }) => (attempt < 3 ? Effect.fail(new Busy({ n: attempt })) : Effect.void)
      })
      const first = yield* computer.boot(sagaWorker(world))
      const run = yield* first.runs.start(saga, {})
      yield* idle
      yield* TestClock.adjust("1 minute")
      yield* idle
      assert.deepStrictEqual(
        world.undone.map(({ own }) => own.attempt),
        [1, 2]
      )
      yield* TestClock.adjust("30 seconds")
      yield* computer.crash
      const { runs } = yield* computer.boot(sagaWorker(world))
      yield* idle
      assert.strictEqual(world.undone.length, 2)
      yield* TestClock.adjust("30 seconds")
      yield* until(Effect.sync(() => world.undone.length > 2))
      assert.strictEqual(yield* untilEnded(runs, run), "failed")
      const keys = new Map(world.undone.map(({ input, own }) => [input.what, own.key]))
      assert.deepStrictEqual(
        world.undone.map(({ input: { what }, own }) => [what, own.attempt, own.repeated, own.key]),
        ["c", "b", "a"].flatMap((what) => [1, 2, 3].map((attempt) => [what, attempt, false, keys.get(what)]))
      )
      const retried = yield* computer.eventsOf(run, "compensationRetried")
      assert.strictEqual(retried.length, 6)
      assert.deepInclude(retried[0]!.error, { kind: "error", tag: "Busy" })
    })
  )

  it.effect("that takes too long counts as failed, and may have taken effect", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({
        undo: ({ own: { attempt } }) => (attempt === 1 ? Effect.never : Effect.void)
      })
      const { runs } = yield* computer.boot(sagaWorker(world))
      const run = yield* runs.start(saga, {})
      assert.strictEqual(yield* untilEnded(runs, run, "1 minute"), "failed")
      assert.deepStrictEqual(
        world.undone.map(({ own: { attempt, repeated } }) => [attempt, repeated]),
        [1, 1, 1].flatMap(() => [
          [1, false],
          [2, true]
        ])
      )
      const [retried] = yield* computer.eventsOf(run, "compensationRetried")
      assert.deepStrictEqual(retried!.error, { kind: "timeout", what: "tool", name: "pay", millis: 10_000 })
      assert.strictEqual((yield* runs.get(run)).undone, 0)
    })
  )

  it.effect(
    "goes on after a crash: what was under way is done again under its key, what was done is not",
    () =>
      Effect.gen(function* () {
        const computer = machine()
        const world = makeWorld()
        world.undo = ({ input: { what }, own: { repeated } }) =>
          what === "b" && !repeated ? Effect.never : Effect.void
        const first = yield* computer.boot(sagaWorker(world))
        const run = yield* first.runs.start(saga, {})
        yield* idle
        assert.deepStrictEqual(undoneIn(world), ["c", "b"])
        yield* computer.crash
        const { runs } = yield* computer.boot(sagaWorker(world))
        yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(undoneIn(world), ["c", "b", "b", "a"])
        assert.strictEqual(world.undone[2]!.own.key, world.undone[1]!.own.key)
        assert.deepStrictEqual([world.undone[2]!.own.attempt, world.undone[2]!.own.repeated], [1, true])
        assert.deepStrictEqual(world.done.length, 3)
      })
  )

  it.effect("stops when the worker drains, without a failure in the journal; the next worker goes on", () =>
    Effect.gen(function* () {
      for (const how of ["failed", "cancelled"] as const) {
        const computer = machine()
        const world = makeWorld(how === "failed" ? {} : { finally: () => Effect.never })
        let hangs = true
        const log: Array<string> = []
        world.undo = ({ input: { what } }) =>
          hangs && what === "b"
            ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("interrupted")))
            : Effect.void
        const first = yield* computer.boot(sagaWorker(world))
        const run = yield* first.runs.start(saga, {})
        yield* idle
        if (how === "cancelled") yield* Effect.forkChild(first.runs.cancel(run, "no"))
        yield* idle
        assert.deepStrictEqual(undoneIn(world), ["c", "b"])
        yield* first.worker.drain
        assert.deepStrictEqual(log, ["interrupted"])
        const last = (yield* computer.kinds(run)).at(-1)
        assert.strictEqual(last, "compensationStarted")
        hangs = false
        const second = yield* computer.boot(sagaWorker(world))
        yield* untilStatus(second.runs, run, how)
        assert.deepStrictEqual(undoneIn(world), ["c", "b", "b", "a"])
      }
    })
  )

  it.effect("stops when the worker drains during the delay before the next try", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({
        undo: ({ own: { attempt } }) => (attempt < 2 ? Effect.fail(new Busy({ n: 1 })) : Effect.void)
      })
      const first = yield* computer.boot(sagaWorker(world))
      const run = yield* first.runs.start(saga, {})
      yield* idle
      yield* first.worker.drain
      assert.deepStrictEqual(yield* first.worker.running, [])
      const { runs } = yield* computer.boot(sagaWorker(world))
      assert.strictEqual(yield* untilEnded(runs, run), "failed")
      assert.deepStrictEqual(undoneIn(world), ["c", "c", "b", "b", "a", "a"])
    })
  )

  it.effect("passes through executor and middleware, which are told that it is no call", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const note = (where: string, { invocation, tool, undo }: Request): void => {
        if (undo !== undefined)
          log.push(`${where} ${tool.name} ${JSON.stringify(undo.output)} ${undo.key !== invocation.key}`)
      }
      const executor = Layer.succeed(ToolExecutor, {
        execute: (request, local) => (note("call", request), local),
        compensate: (request, local) => (note("undo", request), local)
      })
      const middleware = Middleware.layerTool((call, request) => (note("around", request), call))
      const world = makeWorld()
      const { runs } = yield* machine().boot(
        sagaWorker(world).pipe(Layer.provide(middleware), Layer.provide(executor))
      )
      const run = yield* runs.start(saga, {})
      yield* Effect.flip(runs.await(run))
      assert.deepStrictEqual(log.slice(0, 2).sort(), [
        `around pay "c is done" true`,
        `undo pay "c is done" true`
      ])
      assert.isFalse(log.some((line) => line.startsWith("call")))
      // An executor that knows nothing of it leaves it to the handler here: it must not make the call again.
      const ignorant = Layer.succeed(ToolExecutor, { execute: (_request, local) => local })
      const other = yield* machine().boot(sagaWorker(world).pipe(Layer.provide(ignorant)))
      yield* Effect.flip(other.runs.execute(saga, {}))
      assert.strictEqual(world.undone.length, 6)
    })
  )

  it.effect("reads what the call did from the journal, sealed or not, after snapshots and crashes", () =>
    Effect.gen(function* () {
      const visits = 150
      const computer = machine()
      const world = makeWorld()
      const live = Worker.layer({ flows: [oneNode] }).pipe(
        Layer.provide(
          handlersOf(
            Effect.fnUntraced(function* ({ next, state }) {
              const count = state.got.length
              yield* Pay.call({ what: `${count} ${"x".repeat(1000)}` })
              return count === visits ? yield* Effect.never : next.to("work", { got: [""] })
            }),
            toolsOf(world)
          )
        ),
        Layer.provide(Layer.succeed(Codec, reversing))
      )
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* until(Effect.sync(() => world.done.length > visits))
      yield* idle
      yield* computer.crash
      const { runs } = yield* computer.boot(live)
      yield* until(Effect.sync(() => world.done.length > visits + 1))
      assert.isDefined((yield* runs.get(run)).snapshot)
      const how = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* until(Effect.sync(() => how.pollUnsafe() !== undefined))
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
      assert.deepStrictEqual(
        world.undone.map(({ input, output }) => [
          parseInt(input.what, 10),
          output === `${input.what} is done`
        ]),
        Array.from({ length: visits + 1 }, (_, i) => [visits - i, true])
      )
      assert.strictEqual((yield* runs.get(run)).undone, 0)
      const kept = JSON.stringify(yield* computer.journal(run))
      assert.notInclude(kept, "xxx is done")
    })
  )
})
