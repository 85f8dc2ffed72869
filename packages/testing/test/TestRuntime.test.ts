import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as IdGenerator from "@waymark/core/IdGenerator"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as FakeTools from "../src/FakeTools.ts"
import * as TestRuntime from "../src/TestRuntime.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

const Charge = Tool.make("charge", {
  input: { amount: Schema.Int },
  output: Schema.String,
  error: Refused,
  retry: Schedule.spaced("1 day").pipe(Schedule.upTo({ times: 3 }))
})
const Order = Flow.make("order", {
  input: Schema.Int,
  state: { log: State.list(Schema.String) },
  output: Schema.Struct({ receipt: Schema.String, chance: Schema.Finite, log: Schema.Array(Schema.String) }),
  error: Refused,
  start: "pay",
  nodes: { pay: Node.make({ to: ["close"] }), close: Node.make({ to: ["end"] }) }
})
const handlers = Order.toLayer({
  pay: Effect.fnUntraced(function* ({ input, next }) {
    const receipt = yield* Charge.call({ amount: input })
    return next.to("close", { log: [receipt] })
  }),
  close: Effect.fnUntraced(function* ({ next, state }) {
    return next.end({
      receipt: state.log[0]!,
      chance: yield* Random.nextIntBetween(0, 1_000_000),
      log: state.log
    })
  })
})

const charging = (
  ...replies: readonly [FakeTools.ReplyOf<typeof Charge>, ...ReadonlyArray<FakeTools.ReplyOf<typeof Charge>>]
) => {
  const tools = FakeTools.make(FakeTools.script(Charge, ...replies))
  return {
    tools,
    layer: TestRuntime.layer({ flows: [Order], handlers: Layer.provide(handlers, tools.layer) })
  }
}
const receipt = FakeTools.succeed("receipt")
const refused = FakeTools.fail(new Refused())

const kinds = (run: string) =>
  Effect.gen(function* () {
    const store = yield* Store
    return (yield* store.read(run)).map(({ event }) => event.kind)
  })

describe("TestRuntime", () => {
  it.effect("lets time stand still until the test moves it", () => {
    const { layer, tools } = charging(refused, refused, receipt)
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Order, 5, { id: "r" })
      yield* TestClock.adjust("23 hours")
      assert.strictEqual(tools.calls().length, 1)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(tools.calls().length, 2)
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* runs.await(run)).receipt, "receipt")
      assert.strictEqual(yield* Clock.currentTimeMillis, Duration.toMillis("2 days"))
    }).pipe(Effect.provide(layer))
  })

  it.effect("jumps to the next timer", () => {
    const { layer } = charging(FakeTools.after("3 seconds", receipt))
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const runtime = yield* TestRuntime.TestRuntime
      const run = yield* runs.start(Order, 5, { id: "r" })
      assert.deepStrictEqual(yield* runtime.advanceToNext, Option.some(Duration.seconds(3)))
      assert.strictEqual((yield* runs.get(run)).status, "completed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("recovers a run after a crash of the worker, from what was durable", () => {
    const { layer, tools } = charging(FakeTools.after("1 minute", receipt))
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const runtime = yield* TestRuntime.TestRuntime
      const result = yield* Effect.forkChild(runs.execute(Order, 5, { id: "r" }), { startImmediately: true })
      yield* runtime.idle
      yield* runtime.stop("crash")
      // A dead worker does nothing, however long one waits.
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        tools.calls().map(({ result }) => result),
        ["pending"]
      )
      assert.strictEqual((yield* runs.get("r")).status, "running")
      yield* runtime.start
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(result)).receipt, "receipt")
      assert.deepStrictEqual(yield* kinds("r"), [
        "created",
        "callStarted",
        "claimed",
        "callRepeated",
        "callCompleted",
        "visited",
        "visited",
        "completed"
      ])
      const [, , claimed] = yield* Stream.runCollect(runs.events("r"))
      assert.isTrue(claimed?.kind === "claimed" && claimed.cause === "crash")
      assert.isTrue((yield* Runs.verify("r")).to === 7)
    }).pipe(Effect.provide(layer))
  })

  it.effect("stops and starts the worker in good order", () => {
    const { layer } = charging(FakeTools.after("1 minute", receipt))
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const runtime = yield* TestRuntime.TestRuntime
      const worker = yield* Worker.Worker
      const run = yield* runs.start(Order, 5, { id: "r" })
      yield* runtime.idle
      assert.deepStrictEqual(yield* worker.running, ["r"])
      yield* runtime.stop("drain")
      assert.deepStrictEqual(yield* worker.running, [])
      yield* runtime.start
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      const [, , claimed] = yield* Stream.runCollect(runs.events(run))
      assert.isTrue(claimed?.kind === "claimed" && claimed.cause === "handover")
    }).pipe(Effect.provide(layer))
  })

  it.effect("takes a run that is started while no worker runs up later", () => {
    const { layer } = charging(receipt)
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const runtime = yield* TestRuntime.TestRuntime
      yield* runtime.stop("crash")
      const run = yield* runs.start(Order, 5, { id: "r" })
      yield* runtime.idle
      assert.strictEqual((yield* runs.get(run)).status, "pending")
      yield* runtime.start
      yield* runtime.idle
      assert.strictEqual((yield* runs.get(run)).status, "completed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("builds the handlers anew for each worker, in virtual time", () => {
    class Counter extends Context.Service<Counter, { count: number; readonly since: number }>()(
      "test/Counter"
    ) {}
    let built = 0
    let released = 0
    const counter = Layer.effect(
      Counter,
      Effect.acquireRelease(
        Effect.gen(function* () {
          built += 1
          return { count: 0, since: yield* Clock.currentTimeMillis }
        }),
        () => Effect.sync(() => (released += 1))
      )
    )
    const Count = Flow.make("count", {
      input: Schema.Void,
      output: Schema.Array(Schema.Finite),
      start: "count",
      nodes: { count: Node.make({ to: ["end"] }) }
    })
    const counting = Count.toLayer({
      count: Effect.fnUntraced(function* ({ next }) {
        const service = yield* Counter
        service.count += 1
        return next.end([service.count, service.since])
      })
    })
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const runtime = yield* TestRuntime.TestRuntime
      yield* runs.execute(Count, undefined)
      assert.deepStrictEqual(yield* runs.execute(Count, undefined), [2, 1000])
      yield* TestClock.adjust("1 second")
      yield* runtime.restart("crash")
      assert.deepStrictEqual(yield* runs.execute(Count, undefined), [1, 2000])
      // Nothing is released in a crash.
      assert.deepStrictEqual([built, released], [2, 0])
      yield* runtime.restart("drain")
      assert.deepStrictEqual([built, released], [3, 1])
    }).pipe(
      Effect.provide(
        TestRuntime.layer({ flows: [Count], handlers: Layer.provide(counting, counter), now: 1000 })
      ),
      Effect.andThen(Effect.sync(() => assert.deepStrictEqual([built, released], [3, 2])))
    )
  })

  it.effect("does the same every time, ids and random numbers included", () => {
    const story = () => {
      const { layer } = charging(refused, receipt, receipt)
      return Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const runtime = yield* TestRuntime.TestRuntime
        const run = yield* runs.start(Order, 5)
        yield* runtime.advanceToNext
        yield* runtime.restart("crash")
        yield* TestClock.adjust("1 day")
        yield* runs.await(run)
        const store = yield* Store
        const ids = yield* IdGenerator.IdGenerator
        return {
          id: run.id,
          lines: (yield* store.read(run.id)).map(({ line }) => line),
          next: yield* ids.next,
          random: yield* Random.nextInt
        }
      }).pipe(Effect.provide(layer))
    }
    return Effect.gen(function* () {
      const first = yield* story()
      assert.strictEqual(first.id, "id-1")
      assert.deepStrictEqual(yield* story(), first)
    })
  })

  it.live("needs no test clock around it", () => {
    const { layer } = charging(refused, receipt)
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Order, 5)
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* runs.await(run)).receipt, "receipt")
    }).pipe(Effect.provide(layer))
  })

  it.effect("ends with the test, whatever its runs wait for", () => {
    const { layer, tools } = charging(FakeTools.hang)
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      yield* runs.start(Order, 5, { id: "r" })
      yield* (yield* TestRuntime.TestRuntime).idle
    }).pipe(
      Effect.provide(layer),
      Effect.andThen(
        Effect.sync(() =>
          assert.deepStrictEqual(
            tools.calls().map(({ result }) => result),
            ["interrupted"]
          )
        )
      )
    )
  })
})
