import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Run from "@waymark/core/Run"
import * as Wait from "@waymark/core/Wait"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const echo = Echo.toLayer(({ text }) => Effect.as(Effect.sleep("10 seconds"), text))

const seconds = Effect.fnUntraced(function* (count: number) {
  for (let second = 0; second < count; second++) {
    yield* TestClock.adjust("1 second")
    yield* idle
  }
})

describe("inside a visit", () => {
  for (const [what, limited] of [
    [
      "a schedule that ends after some time ends",
      (poll: Effect.Effect<number>) =>
        Effect.repeat(poll, Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "10 seconds" })))
    ],
    [
      "retries that end after some time end",
      (poll: Effect.Effect<number>) =>
        Effect.flatMap(poll, (n) => Effect.fail(n)).pipe(
          Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "10 seconds" }))),
          Effect.flip
        )
    ]
  ] as const) {
    it.effect(what, () =>
      Effect.gen(function* () {
        let polls = 0
        const { runs } = yield* machine().boot(
          program(({ next }) =>
            Effect.map(limited(Effect.sync(() => ++polls)) as Effect.Effect<unknown>, () =>
              next.end(["through"])
            )
          )
        )
        const run = yield* runs.start(oneNode, {})
        for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 second")
        yield* idle
        assert.deepStrictEqual(yield* runs.await(run), ["through"])
        assert.isAtLeast(polls, 10)
        assert.isAtMost(polls, 12)
      })
    )
  }

  it.effect("it does not depend on which of several fibers is faster the next time", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            yield* Effect.all([Echo.call({ text: "a" }), Effect.sleep("20 seconds")], {
              concurrency: "unbounded"
            })
            yield* Effect.timeoutOption(Echo.call({ text: "b" }), "5 seconds")
            times.push(yield* Clock.currentTimeMillis)
            return next.end([yield* Effect.orDie(Wait.event("go", { schema: Schema.String }))])
          }),
        echo
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      for (let i = 0; i < 30; i++) yield* TestClock.adjust("1 second")
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run, "go", "gone")
      for (let i = 0; i < 30; i++) yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs.await(run), ["gone"])
      assert.deepStrictEqual(times, [25_000, 25_000])
    })
  )

  it.effect("it is later after a sleep, and the same each time the visit is executed", () =>
    Effect.gen(function* () {
      const times: Array<ReadonlyArray<number>> = []
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const seen: Array<number> = []
            const look = Effect.map(Clock.currentTimeMillis, (now) => void seen.push(now))
            times.push(seen)
            yield* look
            yield* Effect.sleep("3 seconds")
            yield* look
            yield* Effect.all(
              [Effect.sleep("1 second"), Effect.sleep("2 seconds"), Effect.sleep("1 second")],
              {
                concurrency: "unbounded"
              }
            )
            yield* look
            // One that is interrupted is not over.
            yield* Effect.timeoutOption(Effect.sleep("1 hour"), "1 second")
            yield* look
            yield* Echo.call({ text: "a" })
            yield* look
            yield* Effect.sleep("4 seconds")
            yield* look
            const value = yield* Wait.event("go", { schema: Schema.String, timeout: "1 day" }).pipe(
              Effect.catchTag("WaitTimeout", () => Effect.fail(new Busy({ n: 0 })))
            )
            yield* look
            return next.end([value])
          }),
        echo
      )
      const computer = machine()
      const first = yield* computer.boot(live)
      yield* TestClock.adjust("1 minute")
      const run = yield* first.runs.start(oneNode, {})
      yield* seconds(12)
      // It is killed while it calls, so that its call is made anew.
      yield* computer.crash
      yield* TestClock.adjust("1 hour")
      const second = yield* computer.boot(live)
      yield* seconds(30)
      yield* untilStatus(second.runs, run, "waiting")
      const [opened] = yield* computer.eventsOf(run, "waitOpened")
      const [called] = yield* computer.eventsOf(run, "callCompleted")
      // What is waited for counts from there.
      assert.strictEqual(opened!.due! - called!.time, 86_400_000 + 4_000)
      yield* second.runs.signal(run, "go", "gone")
      yield* seconds(30)
      assert.deepStrictEqual(yield* second.runs.await(run), ["gone"])
      const began = 60_000
      const before = [began, began + 3_000, began + 5_000, began + 6_000]
      const after = [...before, called!.time, called!.time + 4_000]
      const [ended] = yield* computer.eventsOf(run, "waitEnded")
      assert.deepStrictEqual(times, [before, after, [...after, ended!.time]])
    })
  )

  it.effect(
    "it is not that for which a store waits, nor are its random numbers those that a store takes",
    () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const look = Effect.gen(function* () {
          seen.push(yield* Clock.currentTimeMillis, yield* Random.nextIntBetween(0, 1_000_000))
        })
        const live = program(({ next }) =>
          Effect.gen(function* () {
            yield* look
            yield* Run.log("looked")
            yield* look
            return next.end([])
          })
        )
        const computers = [
          yield* machine().boot(live),
          yield* machine().boot(live, {
            wrap: (store) => ({
              ...store,
              append: (...given) =>
                Effect.andThen(Effect.andThen(Random.next, Effect.sleep("1 second")), store.append(...given))
            })
          })
        ]
        for (const { runs } of computers) {
          const run = yield* runs.start(oneNode, {}, { id: "run" })
          yield* idle
          yield* seconds(5)
          yield* runs.await(run)
        }
        const [at] = seen.splice(4, 1)
        assert.isAbove(at as number, 0)
        const chances = [1, 3, 4, 6].map((i) => seen[i])
        assert.deepStrictEqual(chances.slice(0, 2), chances.slice(2))
        assert.deepStrictEqual([seen[2], seen[5]], [seen[0], at])
      })
  )
})
