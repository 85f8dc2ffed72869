import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const input = Schema.Struct({})
const quick = Flow.make("quick", { input, start: "work", nodes: { work: Node.make({ to: ["end"] }) } })
const quickHandlers = quick.toLayer({ work: ({ next }) => Effect.succeed(next.end()) })

const busy = Effect.fail(new Busy({ n: 1 }))

/** A worker with places for so many runs, and what it counts of a flow whose attempts take a second and fail. */
const counting = () => {
  const counts = { attempts: 0, active: 0, most: 0 }
  const work = Effect.gen(function* () {
    counts.attempts += 1
    counts.most = Math.max(counts.most, ++counts.active)
    yield* Effect.sleep("1 second")
    return yield* busy
  }).pipe(Effect.ensuring(Effect.sync(() => (counts.active -= 1))))
  return { counts, work }
}

describe("a run that only waits for its next attempt leaves its place to others", () => {
  it.effect("while it is restarted", () =>
    Effect.gen(function* () {
      const slow = Flow.make("slow", {
        input,
        error: Busy,
        start: "work",
        restart: { max: 5, schedule: Schedule.spaced("10 minutes") },
        nodes: { work: Node.make({ to: ["end"], error: Busy }) }
      })
      const live = Worker.layer({ flows: [slow, quick] }).pipe(
        Layer.provide(slow.toLayer({ work: () => busy })),
        Layer.provide(quickHandlers)
      )
      const { runs, worker } = yield* machine().boot(live)
      for (let i = 0; i < 64; i++) yield* runs.start(slow, {}, { id: `slow-${i}` })
      yield* idle
      const run = yield* runs.start(quick, {})
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "completed")
      yield* TestClock.adjust("51 minutes")
      assert.strictEqual((yield* runs.list({ status: ["failed"] })).runs.length, 64)
      assert.deepStrictEqual(yield* worker.running, [])
    })
  )

  it.effect("and takes one again before it goes on", () =>
    Effect.gen(function* () {
      const { counts, work } = counting()
      const slow = Flow.make("slow", {
        input,
        error: Busy,
        start: "work",
        nodes: {
          work: Node.make({
            to: ["end"],
            error: Busy,
            retry: Schedule.spaced("1 hour").pipe(Schedule.upTo({ times: 3 }))
          })
        }
      })
      const live = Worker.layer({ flows: [slow, quick], concurrency: 2 }).pipe(
        Layer.provide(slow.toLayer({ work: () => work })),
        Layer.provide(quickHandlers)
      )
      const computer = machine()
      const { runs, worker } = yield* computer.boot(live)
      for (let i = 0; i < 10; i++) yield* runs.start(slow, {}, { id: `slow-${i}` })
      yield* TestClock.adjust("10 seconds")
      yield* idle
      assert.deepStrictEqual(counts, { attempts: 10, active: 0, most: 2 })
      yield* runs.await(yield* runs.start(quick, {}))
      yield* TestClock.adjust("4 hours")
      yield* idle
      assert.deepStrictEqual(counts, { attempts: 40, active: 0, most: 2 })
      assert.deepStrictEqual(yield* worker.running, [])
      for (let i = 0; i < 10; i++) {
        const failed = yield* computer.eventsOf(`slow-${i}`, "attemptFailed")
        assert.deepStrictEqual(
          failed.map(({ attempt, due, time }) => [attempt, due - time]),
          [
            [1, 3_600_000],
            [2, 3_600_000],
            [3, 3_600_000]
          ]
        )
      }
    })
  )

  it.effect("in branches", () =>
    Effect.gen(function* () {
      const { counts, work } = counting()
      const wide = Flow.make("wide", {
        input,
        error: Busy,
        start: "spread",
        nodes: {
          spread: Node.make({ to: [], fanOut: { to: ["work"], join: "join" } }),
          work: Node.make({
            item: Schema.Int,
            to: ["join"],
            error: Busy,
            retry: Schedule.spaced("1 hour").pipe(Schedule.upTo({ times: 1 }))
          }),
          join: Node.make({ to: ["end"] })
        }
      })
      const live = Worker.layer({ flows: [wide, quick], concurrency: 1 }).pipe(
        Layer.provide(
          wide.toLayer({
            spread: ({ next }) => Effect.succeed(next.each([1, 2, 3], "work")),
            work: () => work,
            join: ({ next }) => Effect.succeed(next.end())
          })
        ),
        Layer.provide(quickHandlers)
      )
      const { runs } = yield* machine().boot(live)
      const first = yield* runs.start(wide, {})
      const second = yield* runs.start(wide, {})
      yield* TestClock.adjust("10 seconds")
      yield* idle
      assert.deepStrictEqual(counts, { attempts: 6, active: 0, most: 3 })
      yield* runs.await(yield* runs.start(quick, {}))
      yield* TestClock.adjust("2 hours")
      yield* idle
      assert.strictEqual(counts.most, 3)
      assert.strictEqual((yield* runs.get(first)).status, "failed")
      assert.strictEqual((yield* runs.get(second)).status, "failed")
    })
  )

  for (const branches of [false, true]) {
    it.effect(`before the next try of a call${branches ? ", in branches" : ""}`, () =>
      Effect.gen(function* () {
        const { counts, work } = counting()
        const Slow = Tool.make("slow", {
          input: Schema.Struct({ n: Schema.Int }),
          error: Busy,
          retry: Schedule.spaced("1 hour").pipe(Schedule.upTo({ times: 2 }))
        })
        const slow = Flow.make("slow", {
          input,
          error: Busy,
          start: "spread",
          nodes: {
            spread: Node.make({ to: ["work"], fanOut: { to: ["branch"], join: "join", policy: "collect" } }),
            work: Node.make({ to: ["end"], error: Busy }),
            branch: Node.make({ item: Schema.Int, to: ["join"], error: Busy }),
            join: Node.make({ to: ["end"] })
          }
        })
        const live = Worker.layer({ flows: [slow, quick], concurrency: 1 }).pipe(
          Layer.provide(
            slow
              .toLayer({
                spread: ({ next }) =>
                  Effect.succeed(branches ? next.each([1, 2], "branch") : next.to("work")),
                work: ({ next }) => Effect.as(Slow.call({ n: 0 }), next.end()),
                branch: ({ item, next }) => Effect.as(Slow.call({ n: item }), next.to("join")),
                join: ({ next }) => Effect.succeed(next.end())
              })
              .pipe(Layer.provide(Slow.toLayer(() => work)))
          ),
          Layer.provide(quickHandlers)
        )
        const { runs, worker } = yield* machine().boot(live)
        for (let i = 0; i < 3; i++) yield* runs.start(slow, {}, { id: `slow-${i}` })
        yield* TestClock.adjust("5 seconds")
        yield* idle
        const most = branches ? 2 : 1
        assert.deepStrictEqual(counts, { attempts: 3 * most, active: 0, most })
        yield* runs.await(yield* runs.start(quick, {}))
        yield* TestClock.adjust("3 hours")
        yield* idle
        assert.deepStrictEqual(counts, { attempts: 9 * most, active: 0, most })
        assert.deepStrictEqual(yield* worker.running, [])
      })
    )
  }

  it.effect("while what it did is to be undone again", () =>
    Effect.gen(function* () {
      let tries = 0
      const Book = Tool.make("book", {
        input: {},
        output: Schema.String,
        compensate: { retry: Schedule.spaced("1 hour").pipe(Schedule.upTo({ times: 2 })) },
        error: Busy
      })
      const trip = Flow.make("trip", {
        input,
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy }) }
      })
      const live = Worker.layer({ flows: [trip, quick], concurrency: 1 }).pipe(
        Layer.provide(trip.toLayer({ work: () => Effect.andThen(Book.call({}), busy) })),
        Layer.provide(
          Book.toLayer({
            call: () => Effect.succeed("booked"),
            compensate: () => (++tries < 3 ? busy : Effect.void)
          })
        ),
        Layer.provide(quickHandlers)
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(trip, {})
      yield* idle
      assert.strictEqual(tries, 1)
      yield* runs.await(yield* runs.start(quick, {}))
      yield* TestClock.adjust("2 hours")
      yield* idle
      assert.strictEqual(tries, 3)
      assert.strictEqual((yield* runs.get(run)).status, "failed")
    })
  )

  it.effect("and can be cancelled, paused and resumed while no place is free", () =>
    Effect.gen(function* () {
      let attempts = 0
      const slow = Flow.make("slow", {
        input,
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.spaced("1 hour") }) }
      })
      const stubborn = Flow.make("stubborn", {
        input,
        start: "work",
        nodes: { work: Node.make({ to: ["end"] }) }
      })
      const live = Worker.layer({ flows: [slow, stubborn], concurrency: 1 }).pipe(
        Layer.provide(slow.toLayer({ work: () => Effect.suspend(() => (attempts++, busy)) })),
        Layer.provide(
          stubborn.toLayer({ work: ({ next }) => Effect.as(Effect.sleep("10 hours"), next.end()) })
        )
      )
      const { runs } = yield* machine().boot(live)
      const first = yield* runs.start(slow, {})
      const second = yield* runs.start(slow, {})
      yield* idle
      const third = yield* runs.start(stubborn, {})
      yield* idle
      // Both are due, and there is no place.
      yield* TestClock.adjust("2 hours")
      yield* idle
      assert.strictEqual(attempts, 2)
      yield* runs.cancel(first, "no")
      assert.strictEqual((yield* runs.get(first)).status, "cancelled")
      yield* runs.pause(second)
      yield* untilStatus(runs, second, "paused")
      yield* runs.resume(second)
      yield* idle
      assert.strictEqual(attempts, 2)
      yield* TestClock.adjust("8 hours")
      yield* runs.await(third)
      yield* idle
      assert.strictEqual(attempts, 3)
    })
  )
})

describe("a run whose handler is kept while it waits", () => {
  const asking = Flow.make("asking", {
    input,
    output: Schema.String,
    signals: { go: Schema.String },
    start: "work",
    nodes: { work: Node.make({ to: ["end"] }) }
  })
  const askingHandlers = (log: Array<string>) =>
    asking.toLayer({
      work: ({ next }) =>
        Effect.gen(function* () {
          log.push("begins")
          const value = yield* Wait.event("go", { schema: Schema.String })
          log.push("goes on")
          yield* Effect.sleep("1 second")
          log.push("ends")
          return next.end(value)
        })
    })

  it.effect("leaves its place to the run that it waits for, and takes one again", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const slow = Flow.make("slow", { input, start: "work", nodes: { work: Node.make({ to: ["end"] }) } })
      const live = Worker.layer({ flows: [asking, slow, quick], keepWaiting: "1 hour", concurrency: 1 }).pipe(
        Layer.provide(askingHandlers(log)),
        Layer.provide(
          slow.toLayer({
            work: ({ next }) =>
              Effect.gen(function* () {
                log.push("slow begins")
                yield* Effect.sleep("10 seconds")
                log.push("slow ends")
                return next.end()
              })
          })
        ),
        Layer.provide(quickHandlers)
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(asking, {})
      yield* untilStatus(runs, run, "waiting")
      yield* runs.await(yield* runs.start(quick, {}))
      const other = yield* runs.start(slow, {})
      yield* idle
      yield* runs.signal(run, "go", "now", { until: "applied" })
      yield* TestClock.adjust("5 seconds")
      yield* idle
      assert.deepStrictEqual(log, ["begins", "slow begins"])
      yield* TestClock.adjust("5 seconds")
      yield* runs.await(other)
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* runs.await(run), "now")
      assert.deepStrictEqual(log, ["begins", "slow begins", "slow ends", "goes on", "ends"])
    })
  )

  it.effect("is cancelled while it has no place to go on in", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const slow = Flow.make("slow", { input, start: "work", nodes: { work: Node.make({ to: ["end"] }) } })
      const live = Worker.layer({ flows: [asking, slow], keepWaiting: "1 hour", concurrency: 1 }).pipe(
        Layer.provide(askingHandlers(log)),
        Layer.provide(slow.toLayer({ work: () => Effect.never }))
      )
      const { runs, stop } = yield* machine().boot(live)
      const run = yield* runs.start(asking, {})
      yield* untilStatus(runs, run, "waiting")
      yield* runs.start(slow, {})
      yield* idle
      yield* runs.signal(run, "go", "now", { until: "applied" })
      yield* idle
      assert.deepStrictEqual(log, ["begins"])
      const cancelled = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      assert.strictEqual(yield* Fiber.join(cancelled), "cancelled")
      yield* stop
    })
  )
})
