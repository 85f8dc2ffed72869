import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { Codec } from "@waymark/core/Codec"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const call = (text: string) => Effect.orDie(Echo.call({ text }))

/** Reports what is done and sleeps, so many times. */
const counting = (total: number, step: Duration.Input) =>
  Effect.forEach(
    Array.from({ length: total }, (_, i) => i + 1),
    (done) => Effect.andThen(Effect.sleep(step), Run.progress(done, total)),
    { discard: true }
  )

describe("progress", () => {
  it.effect("of a loop of 100,000 reports in no time is two events: the first report and the last", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(
        program(({ next }) =>
          Effect.gen(function* () {
            for (let done = 1; done <= 100_000; done++) yield* Run.progress(done, 100_000)
            return next.end([])
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const reports = yield* eventsOf(run, "progressed")
      assert.deepStrictEqual(
        reports.map(({ done, nth }) => [nth, done]),
        [
          [1, 1],
          [100_000, 100_000]
        ]
      )
      assert.deepStrictEqual((yield* runs.get(run)).progress, { node: "work", done: 100_000, total: 100_000 })
    })
  )

  it.effect("is written once a second, and seldom in a visit that takes long", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(program(({ next }) => Effect.as(counting(600, "1 second"), next.end([]))))
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("20 minutes")
      yield* runs.await(run)
      const times = (yield* eventsOf(run, "progressed")).map(({ time }) => time / 1_000)
      // Every second for 200 of them, then once in a 200th of the time that went by.
      assert.deepStrictEqual(
        times.slice(0, 200),
        Array.from({ length: 200 }, (_, i) => i + 1)
      )
      assert.isBelow(times.length, 450)
      assert.strictEqual(times.at(-1), 600)
      for (let i = 1; i < times.length - 1; i++) {
        assert.isAtMost(times[i]! - times[i - 1]!, Math.ceil(times[i]! / 200) + 1)
      }
    })
  )

  it.effect("is written when its time has come, not when the visit ends", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(
        program(({ next }) =>
          Effect.gen(function* () {
            yield* Run.progress(1, 3)
            yield* Run.progress(2, 3)
            yield* Effect.sleep("1 hour")
            yield* Run.progress(3, 3)
            return next.end([])
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("2 hours")
      yield* runs.await(run)
      assert.deepStrictEqual(
        (yield* eventsOf(run, "progressed")).map(({ done, time }) => [done, time]),
        [
          [1, 0],
          [2, 1_000],
          [3, 3_600_000]
        ]
      )
    })
  )

  it.effect("does not fall back when the visit is executed again after a crash, and goes on from there", () =>
    Effect.gen(function* () {
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            for (let done = 1; done <= 6; done++) {
              yield* Run.progress(done, 6)
              yield* call(`${done}`)
            }
            // Another phase begins at the beginning again.
            yield* Run.progress(0, 2, "second")
            yield* call("a")
            yield* Run.progress(2, 2, "second")
            return next.end([])
          }),
        Echo.toLayer(({ text }) => Effect.as(Effect.sleep("10 seconds"), text))
      )
      const { boot, crash, eventsOf } = machine()
      let before: ReadonlyArray<number> = []
      for (let process = 0; process < 4; process++) {
        const { runs } = yield* boot(live)
        if (process === 0) yield* runs.start(oneNode, {}, { id: "r" })
        yield* TestClock.adjust("25 seconds")
        yield* crash
        const nth = (yield* eventsOf("r", "progressed")).map((event) => event.nth)
        assert.deepStrictEqual(nth.slice(0, before.length), before)
        before = nth
      }
      const { runs } = yield* boot(live)
      yield* TestClock.adjust("1 hour")
      yield* untilStatus(runs, "r", "completed")
      const reports = yield* eventsOf("r", "progressed")
      assert.deepStrictEqual(
        reports.map(({ done, total }) => `${done}/${total}`),
        ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6", "0/2", "2/2"]
      )
      assert.deepStrictEqual((yield* runs.get("r")).progress, {
        node: "work",
        done: 2,
        total: 2,
        note: "second"
      })
    })
  )

  it.effect(
    "of another attempt goes on behind that of the first, and ends at what the last one reached",
    () =>
      Effect.gen(function* () {
        const flow = Flow.make("attempts", {
          input: Schema.Struct({}),
          error: Busy,
          start: "work",
          nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.recurs(2) }) }
        })
        let attempt = 0
        const live = Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(
            flow.toLayer({
              work: ({ next }) =>
                Effect.gen(function* () {
                  attempt += 1
                  const reach = [0, 5, 2, 3][attempt]!
                  for (let done = 1; done <= reach; done++) yield* Run.progress(done, reach)
                  if (attempt < 3) return yield* new Busy({ n: attempt })
                  return next.end()
                })
            })
          )
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(flow, {})
        yield* TestClock.adjust("1 minute")
        yield* runs.await(run)
        const reports = yield* eventsOf(run, "progressed")
        assert.deepStrictEqual(
          reports.map(({ attempt: of, done, nth, total }) => [of, nth, done, total]),
          [
            [1, 1, 1, 5],
            [1, 5, 5, 5],
            [3, 6, 3, 3]
          ]
        )
      })
  )

  it.effect("is written when the run is drained in the midst of a visit", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs, stop } = yield* boot(
        program(() =>
          Effect.gen(function* () {
            yield* Run.progress(1, 9)
            yield* Run.progress(2, 9)
            return yield* Effect.never
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* stop
      assert.deepStrictEqual(
        (yield* eventsOf(run, "progressed")).map(({ done }) => done),
        [1, 2]
      )
    })
  )

  it.effect("is written before its visit ends, whatever a codec takes to seal it", () =>
    Effect.gen(function* () {
      const codec: Codec = {
        name: "slow",
        encrypts: false,
        encode: (value) => Effect.as(Effect.yieldNow, value),
        decode: Effect.succeed
      }
      const live = program(({ next, state }) =>
        Effect.gen(function* () {
          yield* Run.progress(1, 2)
          yield* Run.progress(2, 2)
          yield* Effect.sleep("1 second")
          return state.got.length === 3 ? next.end([]) : next.to("work", { got: ["x"] })
        })
      ).pipe(Layer.provide(Layer.succeed(Codec, codec)))
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      assert.deepStrictEqual(
        (yield* kinds(run)).filter((kind) => kind === "progressed" || kind === "visited"),
        Array.from({ length: 4 }, () => ["progressed", "progressed", "visited"] as const).flat()
      )
    })
  )

  it.effect("that is no number is a defect", () =>
    Effect.gen(function* () {
      const { boot } = machine()
      const { runs } = yield* boot(program(({ next }) => Effect.as(Run.progress(1, NaN), next.end([]))))
      assert.match((yield* Effect.flip(runs.execute(oneNode, {}))).message, /1 of NaN are not numbers/)
    })
  )

  it.effect("leaves no fiber behind that would write after the visit", () =>
    Effect.gen(function* () {
      const { boot, journal } = machine()
      const { runs } = yield* boot(
        program(({ next }) =>
          Effect.gen(function* () {
            yield* Run.progress(1, 2)
            yield* Run.progress(2, 2)
            return next.end([])
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const before = yield* journal(run)
      yield* TestClock.adjust("1 hour")
      yield* idle
      assert.deepStrictEqual(yield* journal(run), before)
    })
  )
})
