import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

/** JSON Schema cannot say it. */
const Odd = Schema.Int.check(Schema.makeFilter((n: number) => (n % 2 === 1 ? undefined : "it is even")))
const Kept = Schema.Struct({ a: Schema.Int })

const flow = Flow.make("declaring", {
  input: Schema.Struct({}),
  state: { list: State.list(Schema.Int) },
  output: Schema.Int,
  signals: { odd: Odd, kept: Kept },
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

const worker = (wait: Effect.Effect<number, any, any>, keepWaiting: Duration.Input = 0) =>
  Worker.layer({ flows: [flow], keepWaiting }).pipe(
    Layer.provide(
      flow.toLayer({
        work: ({ next }) => Effect.map(Effect.orDie(wait), (value) => next.end(value)) as Effect.Effect<any>
      })
    )
  )

const early = Effect.andThen(
  Wait.sleep("1 minute"),
  Effect.map(Wait.event("kept", { schema: Kept }), ({ a }) => a)
)

describe("a signal whose payload is not what the flow declares", () => {
  it.effect("does not end a wait, whatever JSON Schema says of it", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(worker(Wait.event("odd", { schema: Odd })))
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run.id, "odd", 2)
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "waiting")
      const [ignored] = yield* eventsOf(run, "commandIgnored")
      assert.include(ignored!.note, "its payload is not what flow declaring declares: it is even")
      yield* runs.signal(run.id, "odd", 3)
      assert.strictEqual(yield* runs.await(run), 3)
    })
  )

  it.effect("does not end a wait that is kept", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const live = worker(Wait.event("odd", { schema: Odd }), "1 hour")
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run.id, "odd", 2)
      yield* idle
      assert.strictEqual((yield* eventsOf(run, "commandIgnored")).length, 1)
      yield* runs.signal(run.id, "odd", 3)
      assert.strictEqual(yield* runs.await(run), 3)
    })
  )

  it.effect("is not kept", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(worker(early))
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run.id, "kept", { a: "no" })
      yield* idle
      assert.deepStrictEqual(yield* eventsOf(run, "signalled"), [])
      yield* runs.signal(run.id, "kept", { a: 1 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 1)
    })
  )
})

describe("a signal to a run that nobody has, until it is applied", () => {
  /** A run that waits, whose process is gone. */
  const left = Effect.gen(function* () {
    const computer = machine()
    const live = worker(early)
    const first = yield* computer.boot(live)
    const run = yield* first.runs.start(flow, {})
    yield* untilStatus(first.runs, run, "waiting")
    yield* computer.crash
    return { ...computer, live, run, runs: yield* computer.client }
  })

  it.effect("is left to a worker if only that knows what the flow declares", () =>
    Effect.gen(function* () {
      const { boot, eventsOf, live, run, runs } = yield* left
      const other = Flow.make("declaring", {
        input: Schema.Struct({}),
        version: 2,
        signals: { kept: Schema.Struct({ a: Schema.String }) },
        start: "work",
        nodes: { work: Node.make({ to: ["end"] }) }
      })
      const signalling = yield* Effect.forEach([run.id, Runs.ref(other, run.id)], (to) =>
        Effect.forkChild(Effect.flip(runs.signal(to, "kept", { a: "no" }, { until: "applied" })))
      )
      yield* idle
      for (const fiber of signalling) assert.isUndefined(fiber.pollUnsafe())
      yield* boot(live)
      for (const refused of yield* Fiber.joinAll(signalling)) {
        assert.deepInclude(refused, { _tag: "CommandRefused", reason: "doesNotFit" })
      }
      assert.deepStrictEqual(yield* eventsOf(run, "signalled"), [])
    })
  )

  it.effect("is answered by the client if that knows the flow, or if the flow declares nothing", () =>
    Effect.gen(function* () {
      const { eventsOf, run, runs } = yield* left
      yield* runs.signal(run, "kept", { a: 1 }, { until: "applied" })
      assert.lengthOf(yield* eventsOf(run, "signalled"), 1)
      const refused = yield* Effect.flip(runs.signal(run.id, "other", 1, { until: "applied" }))
      assert.deepInclude(refused, { _tag: "CommandRefused", reason: "nothingWaits" })
    })
  )
})

describe("what no signal of the flow declares", () => {
  for (const [what, wait, give] of [
    ["an answer", Wait.user("n", { prompt: "?", schema: Odd }), (runs, run, n) => runs.answer(run, "n", n)],
    ["a result", Wait.job("n", Odd), (runs, run, n) => runs.finishJob(run, "n", { value: n })],
    ["a signal", Wait.event("n", { schema: Odd }), (runs, run, n) => runs.signal(run, "n", n)]
  ] as ReadonlyArray<
    readonly [
      string,
      Effect.Effect<number, any, any>,
      (runs: Runs.Runs["Service"], run: string, n: number) => Effect.Effect<void, any>
    ]
  >) {
    it.effect(`does not end a wait by whose schema it does not decode, either: ${what}`, () =>
      Effect.gen(function* () {
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(worker(wait))
        const run = yield* runs.start(flow, {})
        yield* untilStatus(runs, run, "waiting")
        yield* give(runs, run.id, 2)
        yield* idle
        assert.strictEqual((yield* runs.get(run)).status, "waiting")
        const [ignored] = yield* eventsOf(run, "commandIgnored")
        assert.include(ignored!.note, "it is even")
        yield* give(runs, run.id, 3)
        assert.strictEqual(yield* runs.await(run), 3)
      })
    )
  }
})

describe("a command that cannot be carried out", () => {
  it.effect("is ignored, and holds up nothing", () =>
    Effect.gen(function* () {
      const { boot, eventsOf, send } = machine()
      const { runs } = yield* boot(worker(Effect.die(new Error("broken"))))
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "failed")
      yield* idle
      yield* send(run, "c1", { type: "retry", edits: { list: { combine: 1 } } })
      yield* send(run, "c2", { type: "annotate", note: "here" })
      yield* TestClock.adjust("1 minute")
      yield* idle
      const [ignored] = yield* eventsOf(run, "commandIgnored")
      assert.include(ignored!.note, `channel "list" is combined where branches are joined`)
      assert.strictEqual((yield* eventsOf(run, "annotated")).length, 1)
      assert.strictEqual((yield* runs.get(run)).status, "failed")
    })
  )
})
