import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Durability } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { LeaseLost, StoreError } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { Echo } from "./oneNode.ts"
import { idle, machine } from "./process.ts"
import type { StoreService } from "./process.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { by: Schema.String }) {}

const flow = Flow.make("ahead", {
  input: Schema.Struct({ calls: Schema.Boolean, fails: Schema.optionalKey(Schema.Boolean) }),
  output: Schema.String,
  error: Refused,
  start: "a",
  nodes: { a: Node.make({ to: ["b"] }), b: Node.make({ to: ["end"], error: Refused }) }
})

const observed = () => {
  const log: Array<string> = []
  const note = (what: string) => Effect.sync(() => void log.push(what))
  const handlers = flow.toLayer({
    a: ({ next }) => Effect.as(note("a"), next.to("b")),
    b: ({ input, next }) =>
      Effect.gen(function* () {
        yield* note("b")
        if (input.calls) yield* Effect.orDie(Echo.call({ text: "x" }))
        if (input.fails === true) return yield* new Refused({ by: "b" })
        return next.end("done")
      })
  })
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(handlers),
    Layer.provide(Echo.toLayer(({ text }) => Effect.as(note("tool"), text)))
  )
  return { live, log, note }
}

/** A store whose syncs, and releases, wait until they are let through. */
const held = () => {
  const latch = Latch.makeUnsafe(false)
  const behind = <A, E>(effect: Effect.Effect<A, E>) => Effect.andThen(latch.await, effect)
  return {
    letThrough: Effect.andThen(latch.open, idle),
    wrap: (store: StoreService): StoreService => ({
      ...store,
      sync: (lease) => behind(store.sync(lease)),
      release: (lease) => behind(store.release(lease))
    })
  }
}

const executed = (durability: Durability, input: Flow.Input<typeof flow> = { calls: false }) =>
  Effect.gen(function* () {
    const { live, log, note } = observed()
    const { letThrough, wrap } = held()
    const computer = machine()
    const { runs, store } = yield* computer.boot(live, { wrap })
    const answer = yield* Effect.forkChild(
      Effect.tap(runs.execute(flow, input, { id: "run", durability }), () => note("answered"))
    )
    yield* idle
    return { ...computer, answer, letThrough, log, runs, store }
  })

const noSpace = new StoreError({ operation: "sync", reason: { _tag: "NoSpace" } })

describe("executing a run", () => {
  it.effect(
    "begins before its creation is durable; nobody sees it, and nobody is answered, before all is",
    () =>
      Effect.gen(function* () {
        const { answer, letThrough, log, runs } = yield* executed("pipelined")
        assert.deepStrictEqual(log, ["a", "b"])
        assert.strictEqual((yield* Effect.flip(runs.get("run")))._tag, "RunNotFound")
        assert.deepStrictEqual((yield* runs.list()).runs, [])
        yield* letThrough
        assert.deepStrictEqual(log, ["a", "b", "answered"])
        assert.strictEqual(yield* Fiber.join(answer), "done")
        assert.strictEqual((yield* runs.get("run")).status, "completed")
      })
  )

  it.effect("calls no tool before its creation is durable", () =>
    Effect.gen(function* () {
      const { letThrough, log } = yield* executed("pipelined", { calls: true })
      assert.deepStrictEqual(log, ["a", "b"])
      yield* letThrough
      assert.deepStrictEqual(log, ["a", "b", "tool", "answered"])
    })
  )

  it.effect("that is strict begins when its creation is durable", () =>
    Effect.gen(function* () {
      const { log, runs } = yield* executed("strict")
      assert.deepStrictEqual(log, ["a"])
      assert.strictEqual((yield* runs.get("run")).seq, 0)
    })
  )

  it.effect("that is ephemeral is durable from its start, though a tool need not wait", () =>
    Effect.gen(function* () {
      const { log, runs } = yield* executed("ephemeral", { calls: true })
      assert.deepStrictEqual(log, ["a", "b", "tool"])
      assert.strictEqual((yield* runs.get("run")).seq, 0)
    })
  )

  it.effect("that a crash undoes can be started again under its id, with another input", () =>
    Effect.gen(function* () {
      const { boot, crash, kinds } = yield* executed("pipelined")
      yield* crash
      const { live } = observed()
      const { runs } = yield* boot(live)
      assert.strictEqual((yield* Effect.flip(runs.get("run")))._tag, "RunNotFound")
      assert.strictEqual(yield* runs.execute(flow, { calls: true }, { id: "run" }), "done")
      assert.strictEqual((yield* kinds("run")).filter((kind) => kind === "created").length, 1)
    })
  )

  it.effect("under an id that is being executed joins it, whatever of it is durable", () =>
    Effect.gen(function* () {
      const { letThrough, log, runs } = yield* executed("pipelined")
      const second = yield* Effect.forkChild(runs.execute(flow, { calls: false }, { id: "run" }))
      const other = yield* Effect.forkChild(Effect.flip(runs.execute(flow, { calls: true }, { id: "run" })))
      yield* idle
      yield* letThrough
      assert.strictEqual(yield* Fiber.join(second), "done")
      assert.strictEqual((yield* Fiber.join(other))._tag, "RunConflict")
      assert.deepStrictEqual(log, ["a", "b", "answered"])
    })
  )

  it.effect("gives the typed error of the flow, and the reason of a cancellation", () =>
    Effect.gen(function* () {
      const { live } = observed()
      const { runs } = yield* machine().boot(live)
      const error = yield* Effect.flip(runs.execute(flow, { calls: false, fails: true }))
      assert.deepInclude(error, { _tag: "Refused", by: "b" })
    })
  )

  it.effect("that is paused waits for whoever resumes it", () =>
    Effect.gen(function* () {
      const { answer, letThrough, runs, send } = yield* Effect.gen(function* () {
        const latch = Latch.makeUnsafe(false)
        const handlers = flow.toLayer({
          a: ({ next }) => Effect.as(latch.await, next.to("b")),
          b: ({ next }) => Effect.succeed(next.end("done"))
        })
        const computer = machine()
        const live = Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers))
        const { runs, store } = yield* computer.boot(live)
        const answer = yield* Effect.forkChild(runs.execute(flow, { calls: false }, { id: "run" }))
        yield* idle
        yield* store.sync({ run: "run", owner: store.owner, epoch: 0 })
        return { ...computer, answer, letThrough: latch.open, runs }
      })
      yield* runs.pause("run")
      yield* idle
      yield* letThrough
      yield* idle
      assert.strictEqual((yield* runs.get("run")).status, "paused")
      assert.isUndefined(answer.pollUnsafe())
      yield* send("run", "resume", { type: "resume" })
      assert.strictEqual(yield* Fiber.join(answer), "done")
    })
  )

  it.effect("whose creation cannot be written fails with the store's error, and there is no such run", () =>
    Effect.gen(function* () {
      const { live, log } = observed()
      const computer = machine()
      let failing = true
      const { runs } = yield* computer.boot(live, {
        owner: "owner",
        wrap: (store) => ({
          ...store,
          sync: (lease) =>
            Effect.suspend((): ReturnType<StoreService["sync"]> => {
              if (!failing) return store.sync(lease)
              // What could not be written is void, and the lease with it.
              computer.disk.lapse("owner")
              return Effect.fail(noSpace)
            })
        })
      })
      const error = yield* Effect.flip(runs.execute(flow, { calls: false }, { id: "run" }))
      assert.strictEqual(error._tag, "StoreError")
      assert.strictEqual(error.message, noSpace.message)
      assert.strictEqual((yield* Effect.flip(runs.get("run")))._tag, "RunNotFound")
      failing = false
      assert.strictEqual(yield* runs.execute(flow, { calls: true }, { id: "run" }), "done")
      // What the first execution might still do is of no use to it.
      yield* TestClock.adjust("5 seconds")
      yield* idle
      assert.deepStrictEqual(log, ["a", "b", "a", "b", "tool"])
      assert.strictEqual((yield* runs.get("run")).status, "completed")
      yield* Effect.provideService(Runs.verify("run"), Runs.Runs, runs)
    })
  )

  it.effect("whose lease is lost before it is durable says that it was not created", () =>
    Effect.gen(function* () {
      const { live } = observed()
      const computer = machine()
      let lapsing = true
      const { runs } = yield* computer.boot(live, {
        owner: "owner",
        wrap: (store) => ({
          ...store,
          sync: (lease) =>
            Effect.suspend((): ReturnType<StoreService["sync"]> => {
              if (lapsing) computer.disk.lapse("owner")
              return lapsing
                ? Effect.fail(new LeaseLost({ run: lease.run, epoch: lease.epoch }))
                : store.sync(lease)
            })
        })
      })
      const error = yield* Effect.flip(runs.execute(flow, { calls: false }, { id: "run" }))
      assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "Busy")
      assert.include(error.message, `run "run" was not created`)
      lapsing = false
      assert.strictEqual(yield* runs.execute(flow, { calls: false }, { id: "run" }), "done")
    })
  )

  it.effect("whose later events cannot be written goes on from what was durable, and is answered", () =>
    Effect.gen(function* () {
      const { live, log } = observed()
      const computer = machine()
      let syncs = 0
      const { runs } = yield* computer.boot(live, {
        owner: "owner",
        wrap: (store) => ({
          ...store,
          sync: (lease) =>
            Effect.suspend((): ReturnType<StoreService["sync"]> => {
              // The first one is that before the tool is called.
              if (++syncs !== 2) return store.sync(lease)
              computer.disk.lapse("owner")
              return Effect.fail(noSpace)
            })
        })
      })
      const answer = yield* Effect.forkChild(runs.execute(flow, { calls: true }, { id: "run" }))
      yield* idle
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* Fiber.join(answer), "done")
      assert.strictEqual(log.filter((what) => what === "tool").length, 2)
      assert.strictEqual((yield* runs.get("run")).epoch, 1)
    })
  )
})

describe("starting a run", () => {
  it.effect("is answered when its creation is durable, and not before", () =>
    Effect.gen(function* () {
      const { live } = observed()
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      yield* runs.start(flow, { calls: false }, { id: "run" })
      yield* computer.crash
      const kinds = yield* computer.kinds("run")
      assert.strictEqual(kinds[0], "created")
    })
  )
})
