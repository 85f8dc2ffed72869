import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Worker from "@waymark/core/Worker"
import { Broken, Errors } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

const greet = Flow.make("greet", {
  input: Schema.Struct({ name: Schema.String, at: Schema.optionalKey(Schema.Date) }),
  output: Schema.Struct({ text: Schema.String, at: Schema.Date }),
  error: Errors,
  start: "work",
  nodes: { work: Node.make({ to: ["end"], error: Errors }) }
})

const other = Flow.make("other", {
  input: greet.input,
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

const live = Worker.layer({ flows: [greet, other] }).pipe(
  Layer.provide(
    greet.toLayer({
      work: ({ input, next }) =>
        Effect.gen(function* () {
          if (input.name === "slow") yield* Effect.sleep("1 hour")
          if (input.name === "bad") return yield* new Broken({ why: "bad name" })
          return next.end({ text: `hello ${input.name}`, at: input.at ?? new Date(0) })
        })
    })
  ),
  Layer.provide(other.toLayer({ work: ({ next }) => Effect.succeed(next.end()) }))
)

describe("starting a run", () => {
  it.effect("gives its output typed, as its schema decodes it", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      const output = yield* runs.execute(greet, { name: "a", at: new Date(7) })
      assert.deepStrictEqual(output, { text: "hello a", at: new Date(7) })
      const error: Broken | Runs.RunFailed = (yield* Effect.flip(
        runs.execute(greet, { name: "bad" })
      )) as Broken
      assert.deepStrictEqual(error, new Broken({ why: "bad name" }))
    })
  )

  it.effect("with an id that is taken joins that run if it was started with the same input", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const first = yield* runs.start(greet, { name: "slow", at: new Date(1) }, { id: "x" })
      const second = yield* runs.start(greet, { at: new Date(1), name: "slow" }, { id: "x" })
      assert.strictEqual(second.id, first.id)
      const fiber = yield* Effect.forkChild(
        runs.execute(greet, { name: "slow", at: new Date(1) }, { id: "x" })
      )
      yield* idle
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "hello slow")
      assert.strictEqual(
        (yield* runs.execute(greet, { name: "slow", at: new Date(1) }, { id: "x" })).text,
        "hello slow"
      )
      assert.strictEqual((yield* computer.eventsOf("x", "created")).length, 1)
    })
  )

  it.effect("and is a conflict that says why if it is another run", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      yield* runs.execute(greet, { name: "a" }, { id: "x" })
      const input = yield* Effect.flip(runs.start(greet, { name: "b" }, { id: "x" }))
      assert.strictEqual(input._tag, "RunConflict")
      assert.include(input.message, "another input")
      const flow = yield* Effect.flip(runs.start(other, { name: "a" }, { id: "x" }))
      assert.strictEqual(flow._tag, "RunConflict")
      assert.include(flow.message, '"greet"')
      const fork = yield* runs.fork(Runs.ref(greet, "x"), 0, { id: "y" })
      const forked = yield* Effect.flip(runs.start(greet, { name: "a" }, { id: fork.id }))
      assert.strictEqual(forked._tag, "RunConflict")
    })
  )

  it.effect("with an idempotency key does the same for each flow by itself", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      const key = { idempotencyKey: "order 7" }
      const first = yield* runs.start(greet, { name: "a" }, key)
      assert.strictEqual((yield* runs.start(greet, { name: "a" }, key)).id, first.id)
      assert.strictEqual((yield* Effect.flip(runs.start(greet, { name: "b" }, key)))._tag, "RunConflict")
      assert.notStrictEqual((yield* runs.start(other, { name: "a" }, key)).id, first.id)
      assert.notStrictEqual((yield* runs.start(greet, { name: "a" })).id, first.id)
    })
  )

  it.effect("many at once with one id starts one run", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const all = yield* Effect.all(
        Array.from({ length: 20 }, () => runs.execute(greet, { name: "a" }, { id: "one" })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(all.map(({ text }) => text)).size, 1)
      assert.deepStrictEqual(yield* computer.kinds("one"), ["created", "visited", "completed"])
    })
  )

  it.effect("refuses an input that does not fit, an empty id, and two ids at once, and writes nothing", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      const wrong = [
        runs.start(greet, { name: 5 } as never),
        runs.start(greet, { name: "a", extra: 1 } as never),
        runs.start(greet, { name: "a" }, { id: "" }),
        runs.start(greet, { name: "a" }, { id: "x", idempotencyKey: "y" })
      ]
      for (const start of wrong) assert.strictEqual((yield* Effect.flip(start))._tag, "InvalidValue")
      assert.deepStrictEqual((yield* runs.list()).runs, [])
    })
  )

  it.effect("by a fiber that is interrupted meanwhile leaves a run that executes, or none", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs, worker } = yield* computer.boot(live, {
        wrap: (store) => ({
          ...store,
          create: (batch, options) => Effect.tap(store.create(batch, options), () => Effect.sleep("1 second"))
        })
      })
      const fiber = yield* Effect.forkChild(runs.start(greet, { name: "a" }, { id: "x" }))
      yield* idle
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupted)
      assert.strictEqual((yield* runs.await(Runs.ref(greet, "x"))).text, "hello a")
      assert.deepStrictEqual(yield* worker.running, [])
    })
  )
})

describe("awaiting a run", () => {
  it.effect("by a later process gives the same typed output, or the same typed error", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const good = yield* runs.start(greet, { name: "a", at: new Date(3) })
      const bad = yield* runs.start(greet, { name: "bad" })
      yield* runs.await(good)
      yield* Effect.flip(runs.await(bad))
      yield* computer.crash
      const later = yield* computer.client
      assert.deepStrictEqual(yield* later.await(Runs.ref(greet, good.id)), {
        text: "hello a",
        at: new Date(3)
      })
      const error = yield* Effect.flip(later.await(Runs.ref(greet, bad.id)))
      assert.isTrue(error instanceof Broken && error.why === "bad name")
    })
  )

  it.effect("stops waiting after its timeout, says how the run is, and leaves it alone", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(greet, { name: "slow" })
      const fiber = yield* Effect.forkChild(Effect.flip(runs.await(run, { timeout: "10 minutes" })))
      yield* TestClock.adjust("10 minutes")
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        error,
        new Runs.AwaitTimeout({ run: run.id, status: "pending", millis: 600_000 })
      )
      yield* TestClock.adjust("50 minutes")
      assert.strictEqual((yield* runs.await(run, { timeout: "1 second" })).text, "hello slow")
    })
  )

  it.effect("of a run that is not there fails", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      assert.strictEqual((yield* Effect.flip(runs.await(Runs.ref(greet, "nope"))))._tag, "RunNotFound")
    })
  )

  it.effect("by many, in another process than the worker's, answers all of them", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* computer.boot(live)
      const client = yield* computer.client
      const run = yield* client.start(greet, { name: "slow" })
      const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.forkChild(client.await(run))
      )
      yield* idle
      yield* TestClock.adjust("1 hour")
      const outputs = yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(new Set(outputs.map(({ text }) => text)), new Set(["hello slow"]))
    })
  )
})
