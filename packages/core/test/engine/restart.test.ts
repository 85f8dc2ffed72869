import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Manifest from "@waymark/core/Manifest"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Broken, Busy, Errors } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"
import { makeWorld, Pay, toolsOf, undoneIn } from "./saga.ts"

const flowWith = (
  restart: Flow.Restart<"Busy" | "Broken" | "NodeTimeout">,
  retry?: Schedule.Schedule<unknown>
) =>
  Flow.make("phoenix", {
    input: Schema.Struct({}),
    state: { got: State.list(Schema.String) },
    output: Schema.Array(Schema.String),
    error: Errors,
    start: "first",
    maxSteps: 20,
    restart,
    nodes: {
      first: Node.make({ to: ["second"] }),
      second: Node.make({
        to: ["second", "end"],
        error: Errors,
        timeout: "1 minute",
        ...(retry && { retry })
      })
    }
  })

type Phoenix = ReturnType<typeof flowWith>

/** A worker whose second node does as the test says, told how often it has been executed. */
const working = <R>(
  flow: Phoenix,
  second: (
    count: number,
    context: Parameters<Flow.Handler<Phoenix, "second">>[0]
  ) => ReturnType<Flow.Handler<Phoenix, "second", R>>
) => {
  const log: Array<string> = []
  let count = 0
  const handlers = flow.toLayer({
    first: ({ next }) => Effect.sync(() => (log.push("first"), next.to("second", { got: ["first"] }))),
    second: (context) => Effect.suspend(() => (log.push("second"), second(++count, context)))
  }) as unknown as Layer.Layer<Flow.Handlers<"phoenix">, never, Tool.Handler<"pay">>
  return { log, handlers, live: Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)) }
}

const without = (live: ReturnType<typeof working>["live"]) => live.pipe(Layer.provide(toolsOf(makeWorld())))

const busy = (n: number) => Effect.fail(new Busy({ n }))

describe("a run that would fail", () => {
  it.effect(
    "is restarted from the node that failed, after the delays of its schedule, and may come through",
    () =>
      Effect.gen(function* () {
        const flow = flowWith({ max: 3, schedule: Schedule.exponential("1 minute") })
        const { live, log } = working(flow, (count, { next, state }) =>
          count < 3 ? busy(count) : Effect.succeed(next.end(state.got))
        )
        const computer = machine()
        const { runs } = yield* computer.boot(without(live))
        const run = yield* runs.start(flow, {})
        const awaiting = yield* Effect.forkChild(runs.await(run))
        yield* idle
        // Whoever awaits it sees nothing of that.
        assert.isUndefined(awaiting.pollUnsafe())
        assert.deepStrictEqual(log, ["first", "second"])
        assert.strictEqual((yield* runs.get(run)).status, "running")
        yield* TestClock.adjust("59 seconds")
        yield* idle
        assert.strictEqual(log.length, 2)
        yield* TestClock.adjust("1 second")
        yield* idle
        assert.strictEqual(log.length, 3)
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* runs.await(run), ["first"])
        assert.deepStrictEqual(log, ["first", "second", "second", "second"])
        assert.deepStrictEqual(
          (yield* computer.eventsOf(run, "attemptFailed")).map(({ attempt, due, error, restart, time }) => [
            attempt,
            due - time,
            error.kind,
            restart
          ]),
          [
            [1, 60_000, "error", true],
            [2, 120_000, "error", true]
          ]
        )
      })
  )

  it.effect("is restarted so often and no more, whatever crashes meanwhile", () =>
    Effect.gen(function* () {
      const flow = flowWith({ max: 2, schedule: Schedule.spaced("1 minute") })
      const { live, log } = working(flow, (count) => busy(count))
      const computer = machine()
      let { runs } = yield* computer.boot(without(live))
      const run = yield* runs.start(flow, {})
      for (let i = 0; i < 2; i++) {
        yield* idle
        yield* TestClock.adjust("30 seconds")
        yield* computer.crash
        ;({ runs } = yield* computer.boot(without(live)))
        yield* idle
        // The delay is not over.
        assert.strictEqual(log.length, 2 + i)
        yield* TestClock.adjust("30 seconds")
      }
      yield* untilStatus(runs, run, "failed")
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Busy({ n: 3 }))
      assert.deepStrictEqual(log, ["first", "second", "second", "second"])
      yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
    })
  )

  it.effect("has the policies of its node begin anew: three tries, twice", () =>
    Effect.gen(function* () {
      const flow = flowWith({ max: 1 }, Schedule.recurs(2))
      const { live, log } = working(flow, (count) => busy(count))
      const computer = machine()
      const { runs } = yield* computer.boot(without(live))
      const run = yield* runs.start(flow, {})
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Busy({ n: 6 }))
      assert.strictEqual(log.length, 7)
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "attemptFailed")).map(({ restart }) => restart === true),
        [false, false, true, false, false]
      )
    })
  )

  it.effect("fails at once after an error that is fatal, by its tag or by a condition", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const byTag = flowWith({ max: 5, fatal: ["Broken"] })
      const byCondition = flowWith({
        max: 5,
        fatal: (error) => {
          seen.push(error)
          return error instanceof Broken || (error instanceof Error && error.message === "fatal")
        }
      })
      for (const flow of [byTag, byCondition]) {
        const { live, log } = working(flow, (count) =>
          count === 1 ? busy(1) : Effect.fail(new Broken({ why: "for good" }))
        )
        const { runs } = yield* machine().boot(without(live))
        const error = yield* Effect.flip(runs.execute(flow, {}))
        assert.deepStrictEqual(error, new Broken({ why: "for good" }))
        assert.strictEqual(log.length, 3)
      }
      assert.deepStrictEqual(seen, [new Busy({ n: 1 }), new Broken({ why: "for good" })])
      const { live } = working(byCondition, () => Effect.die(new Error("fatal")))
      const { runs } = yield* machine().boot(without(live))
      const error = yield* Effect.flip(runs.execute(byCondition, {}))
      assert.strictEqual(error._tag, "RunFailed")
      assert.lengthOf(seen, 3)
    })
  )

  it.effect("is restarted after a defect, a timeout, or an interruption by itself, too", () =>
    Effect.gen(function* () {
      const flow = flowWith({ max: 3 })
      const { live } = working(flow, (count, { next, state }) =>
        count === 1
          ? Effect.die(new Error("boom"))
          : count === 2
            ? Effect.never
            : count === 3
              ? Effect.interrupt
              : Effect.succeed(next.end(state.got))
      )
      const computer = machine()
      const { runs } = yield* computer.boot(without(live))
      const run = yield* runs.start(flow, {})
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* runs.await(run), ["first"])
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "attemptFailed")).map(({ error }) => error.kind),
        ["defect", "timeout", "interrupted"]
      )
    })
  )

  it.effect(
    "is not restarted for its limit of steps, for values that do not fit, or once it is cancelled",
    () =>
      Effect.gen(function* () {
        const flow = flowWith({ max: 5 })
        const endless = working(flow, (_count, { next }) => Effect.succeed(next.to("second")))
        const first = yield* machine().boot(without(endless.live))
        const steps = yield* Effect.flip(first.runs.execute(flow, {}))
        assert.strictEqual(steps._tag === "RunFailed" ? steps.failure.kind : steps._tag, "stepLimit")
        const unfit = working(flow, (_count, { next }) => Effect.succeed(next.end([1 as never])))
        const second = yield* machine().boot(without(unfit.live))
        const encoding = yield* Effect.flip(second.runs.execute(flow, {}))
        assert.strictEqual(encoding._tag === "RunFailed" ? encoding.failure.kind : encoding._tag, "encoding")
        assert.strictEqual(unfit.log.length, 2)
        const delayed = flowWith({ max: 5, schedule: Schedule.spaced("1 hour") })
        const failing = working(delayed, busy)
        const third = yield* machine().boot(without(failing.live))
        const run = yield* third.runs.start(delayed, {})
        yield* idle
        assert.strictEqual(yield* third.runs.cancel(run, "no"), "cancelled")
      })
  )

  it.effect("keeps what its calls achieved, and undoes it only when it fails in the end", () =>
    Effect.gen(function* () {
      const flow = flowWith({ max: 2 })
      const world = makeWorld()
      const { live } = working(flow, (count) => Effect.andThen(Pay.call({ what: "a" }), busy(count)))
      const { runs } = yield* machine().boot(live.pipe(Layer.provide(toolsOf(world))))
      assert.deepStrictEqual(yield* Effect.flip(runs.execute(flow, {})), new Busy({ n: 3 }))
      assert.strictEqual(world.done.length, 1)
      assert.deepStrictEqual(undoneIn(world), ["a"])
    })
  )

  it.effect("can be retried by a person when it has failed, and is restarted as often again", () =>
    Effect.gen(function* () {
      const flow = flowWith({ max: 1 })
      const { live, log } = working(flow, busy)
      const computer = machine()
      const { runs } = yield* computer.boot(without(live))
      const run = yield* runs.start(flow, {})
      yield* Effect.flip(runs.await(run))
      assert.lengthOf(log, 3)
      yield* runs.retry(run)
      yield* idle
      yield* untilStatus(runs, run, "failed")
      assert.lengthOf(log, 5)
    })
  )

  it.effect("is replayed as it was executed, restarts included", () =>
    Effect.gen(function* () {
      const flow = flowWith({ max: 2, fatal: ["Broken"] })
      const { live } = working(flow, (count) =>
        count < 2 ? busy(count) : Effect.fail(new Broken({ why: "so" }))
      )
      const { runs } = yield* machine().boot(without(live))
      const run = yield* runs.start(flow, {})
      yield* Effect.flip(runs.await(run))
      const again = working(flow, (count) =>
        count < 2 ? busy(count) : Effect.fail(new Broken({ why: "so" }))
      )
      const handlers = again.handlers.pipe(Layer.provide(toolsOf(makeWorld())))
      assert.deepStrictEqual(
        yield* Effect.provide(Effect.provideService(Runs.replay(run), Runs.Runs, runs), handlers),
        { run: run.id, visits: 3, divergences: [] }
      )
    })
  )

  it.effect("fails with what broke if it is the policy that does", () =>
    Effect.gen(function* () {
      const flow = flowWith({
        max: 2,
        fatal: () => {
          throw new Error("no policy")
        }
      })
      const { live } = working(flow, busy)
      const { runs } = yield* machine().boot(without(live))
      const error = yield* Effect.flip(runs.execute(flow, {}))
      assert.strictEqual(error._tag === "RunFailed" ? error.failure.kind : error._tag, "defect")
    })
  )
})

describe("the policy for restarts", () => {
  it("is checked when the flow is defined, and is in its manifest", () => {
    assert.throws(() => flowWith({ max: 0 }), /`restart.max` is 0; it must be a whole number from 1/)
    const manifest = Manifest.manifest(flowWith({ max: 4, schedule: Schedule.spaced("1 minute") }))
    assert.deepStrictEqual([manifest.maxRestarts, manifest.restart], [4, "after 1m, without end"])
    const plain = Manifest.manifest(flowWith({ max: 4 }))
    assert.deepStrictEqual([plain.maxRestarts, plain.restart], [4, undefined])
  })
})
