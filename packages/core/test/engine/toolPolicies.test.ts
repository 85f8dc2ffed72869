import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Tool from "@waymark/core/Tool"
import { Broken, Busy, Errors, oneNode, program } from "./oneNode.ts"
import { machine } from "./process.ts"

describe("a tool's policy", () => {
  it.effect("retries by its schedule, only the errors that `while` names, and journals each try", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const Flaky = Tool.make("flaky", {
        input: Schema.Int,
        output: Schema.String,
        error: Errors,
        retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 9 })),
        while: (error) => error._tag === "Busy"
      })
      const live = program(
        ({ next }) => Effect.map(Flaky.call(1), (text) => next.end([text])),
        Flaky.toLayer(() =>
          Effect.gen(function* () {
            const { attempt } = yield* Tool.Invocation
            attempts.push(attempt)
            return attempt < 4 ? yield* new Busy({ n: attempt }) : yield* new Broken({ why: "enough" })
          })
        )
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      for (const [n, millis] of [
        [1, 100],
        [2, 200],
        [3, 400]
      ] as const) {
        yield* TestClock.adjust(Duration.millis(millis - 1))
        assert.strictEqual(attempts.length, n)
        yield* TestClock.adjust("1 millis")
      }
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Broken({ why: "enough" }))
      assert.deepStrictEqual(attempts, [1, 2, 3, 4])
      const retried = yield* eventsOf(run, "callRetried")
      assert.deepStrictEqual(
        retried.map(({ due, time }) => due - time),
        [100, 200, 400]
      )
      assert.strictEqual((yield* eventsOf(run, "callRepeated")).length, 3)
    })
  )

  it.effect("limits each try, and a try that took too long is told to the next one", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [number, boolean]> = []
      const released: Array<number> = []
      const Slow = Tool.make("slow", {
        input: Schema.Int,
        output: Schema.String,
        error: Busy,
        timeout: "1 second",
        retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 5 }))
      })
      const live = program(
        ({ next }) => Effect.map(Slow.call(1), (text) => next.end([text])),
        Slow.toLayer(() =>
          Effect.gen(function* () {
            const { attempt, repeated } = yield* Tool.Invocation
            seen.push([attempt, repeated])
            if (attempt === 1) return yield* new Busy({ n: 1 })
            return attempt < 4
              ? yield* Effect.onInterrupt(Effect.never, () => Effect.sync(() => released.push(attempt)))
              : "at last"
          })
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* runs.await(run), ["at last"])
      assert.deepStrictEqual(seen, [
        [1, false],
        [2, false],
        [3, true],
        [4, true]
      ])
      assert.deepStrictEqual(released, [2, 3])
    })
  )

  it.effect("ends with a ToolTimeout that says which tool, if every try took too long", () =>
    Effect.gen(function* () {
      const Slow = Tool.make("slow", { input: Schema.Int, timeout: "1 second" })
      const live = program(
        ({ next }) => Effect.as(Slow.call(1), next.end([])),
        Slow.toLayer(() => Effect.never)
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(runs.await(run))
      assert.deepStrictEqual(error._tag === "RunFailed" ? error.failure : error, {
        kind: "timeout",
        what: "tool",
        name: "slow",
        millis: 1000
      })
    })
  )

  it.effect("atMostOnce is not tried again after a timeout, whatever its schedule says", () =>
    Effect.gen(function* () {
      let tries = 0
      const Pay = Tool.make("pay", {
        input: Schema.Int,
        error: Busy,
        timeout: "1 second",
        delivery: "atMostOnce",
        retry: Schedule.recurs(5)
      })
      const live = program(
        ({ next }) => Effect.as(Pay.call(1), next.end([])),
        Pay.toLayer(() =>
          Effect.suspend(() => (++tries === 1 ? Effect.fail(new Busy({ n: 1 })) : Effect.never))
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(runs.await(run)))._tag, "RunFailed")
      assert.strictEqual(tries, 2)
    })
  )

  it.effect("that breaks is a defect of the visit", () =>
    Effect.gen(function* () {
      const Flaky = Tool.make("flaky", {
        input: Schema.Int,
        error: Busy,
        retry: Schedule.recurs(1),
        while: () => {
          throw new Error("broken policy")
        }
      })
      const live = program(
        ({ next }) => Effect.as(Flaky.call(1), next.end([])),
        Flaky.toLayer(() => Effect.fail(new Busy({ n: 1 })))
      )
      const { runs } = yield* machine().boot(live)
      assert.include((yield* Effect.flip(runs.execute(oneNode, {}))).message, "broken policy")
    })
  )
})
