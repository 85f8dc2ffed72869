import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"
import { idle, machine } from "./process.ts"
import type { Program } from "./process.ts"

const input = Schema.Struct({})
const every = (delay: Duration.Input) => Schedule.spaced(delay).pipe(Schedule.upTo({ times: 2 }))

/** A clock that somebody sets: what sleeps by it does not notice. */
const settable = Effect.map(Clock.Clock, (clock) => {
  const setting = { by: 0 }
  const now = () => clock.currentTimeMillisUnsafe() + setting.by
  const set: Clock.Clock = Object.assign(Object.create(clock), {
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: () => BigInt(now()) * BigInt(1_000_000)
  })
  return { clock: set, setting }
})

/** A worker's flow whose attempts come after this delay. */
type Make = (
  delay: Duration.Input,
  attempt: Effect.Effect<never, Busy>
) => { readonly flow: any; readonly handlers: Layer.Layer<any> }

const cases: ReadonlyArray<readonly [string, Make]> = [
  [
    "the delay of a retry policy",
    (delay, attempt) => {
      const flow = Flow.make("f", {
        input,
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: every(delay) }) }
      })
      return { flow, handlers: flow.toLayer({ work: () => attempt }) }
    }
  ],
  [
    "the delay of a retry policy in a branch",
    (delay, attempt) => {
      const flow = Flow.make("f", {
        input,
        error: Busy,
        start: "spread",
        nodes: {
          spread: Node.make({ to: [], fanOut: { to: ["work"], join: "join" } }),
          work: Node.make({ to: ["join"], error: Busy, retry: every(delay) }),
          join: Node.make({ to: ["end"] })
        }
      })
      return {
        flow,
        handlers: flow.toLayer({
          spread: ({ next }) => Effect.succeed(next.all(["work"])),
          work: () => attempt,
          join: ({ next }) => Effect.succeed(next.end())
        })
      }
    }
  ],
  [
    "the delay of a restart",
    (delay, attempt) => {
      const flow = Flow.make("f", {
        input,
        error: Busy,
        start: "work",
        restart: { max: 2, schedule: Schedule.spaced(delay) },
        nodes: { work: Node.make({ to: ["end"], error: Busy }) }
      })
      return { flow, handlers: flow.toLayer({ work: () => attempt }) }
    }
  ],
  [
    "the delay of a call",
    (delay, attempt) => {
      const Try = Tool.make("try", { input: {}, error: Busy, retry: every(delay) })
      const flow = Flow.make("f", {
        input,
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy }) }
      })
      return {
        flow,
        handlers: flow
          .toLayer({ work: ({ next }) => Effect.as(Try.call({}), next.end()) })
          .pipe(Layer.provide(Try.toLayer(() => attempt)))
      }
    }
  ]
]

const working = Effect.fnUntraced(function* (make: Make, delay: Duration.Input) {
  const { clock, setting } = yield* settable
  const at: Array<number> = []
  const began = clock.monotonicTimeNanosUnsafe()
  const attempt = Effect.suspend(() => {
    at.push(Number((clock.monotonicTimeNanosUnsafe() - began) / BigInt(1_000_000_000)))
    return Effect.fail(new Busy({ n: at.length }))
  })
  const { flow, handlers } = make(delay, attempt)
  const live = Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)) as Program
  const computer = machine()
  const boot = Effect.provideService(computer.boot(live), Clock.Clock, clock)
  const { runs } = yield* boot
  const run: any = yield* runs.start(flow, {})
  yield* idle
  return { at, boot, computer, run, runs, setting }
})

for (const [what, make] of cases) {
  describe(`${what}, when the clock`, () => {
    it.effect("is set forward, is over within half a minute", () =>
      Effect.gen(function* () {
        const { at, run, runs, setting } = yield* working(make, "1 hour")
        assert.deepStrictEqual(at, [0])
        yield* TestClock.adjust("10 seconds")
        setting.by += 2 * 3_600_000
        yield* TestClock.adjust("10 seconds")
        yield* TestClock.adjust("10 seconds")
        yield* idle
        assert.deepStrictEqual(at, [0, 30])
        // The next one is as long as it is by the clock as it is now.
        yield* TestClock.adjust("59 minutes")
        yield* idle
        assert.deepStrictEqual(at, [0, 30])
        yield* TestClock.adjust("1 minute")
        yield* idle
        assert.deepStrictEqual(at, [0, 30, 3630])
        assert.strictEqual((yield* runs.get(run)).status, "failed")
      })
    )

    it.effect("is set back, does not begin anew", () =>
      Effect.gen(function* () {
        const { at, run, runs, setting } = yield* working(make, "1 hour")
        yield* TestClock.adjust("30 minutes")
        setting.by -= 24 * 3_600_000
        yield* TestClock.adjust("29 minutes")
        yield* idle
        assert.deepStrictEqual(at, [0])
        yield* TestClock.adjust("1 minute")
        yield* idle
        assert.deepStrictEqual(at, [0, 3600])
        setting.by += 24 * 3_600_000
        yield* TestClock.adjust("1 minute")
        yield* idle
        assert.deepStrictEqual(at, [0, 3600, 3630])
        assert.strictEqual((yield* runs.get(run)).status, "failed")
      })
    )

    it.effect("is set back while no worker runs, is over in the next one no later than it would be", () =>
      Effect.gen(function* () {
        const { at, boot, computer, run, setting } = yield* working(make, "1 hour")
        yield* TestClock.adjust("20 minutes")
        yield* computer.crash
        setting.by -= 10 * 60_000
        const { runs } = yield* boot
        yield* idle
        // 50 minutes are left by the clock.
        yield* TestClock.adjust("49 minutes")
        yield* idle
        assert.deepStrictEqual(at, [0])
        yield* TestClock.adjust("1 minute")
        yield* idle
        assert.deepStrictEqual(at, [0, 70 * 60])
        yield* TestClock.adjust("1 hour")
        yield* idle
        assert.deepStrictEqual(at, [0, 70 * 60, 130 * 60])
        assert.strictEqual((yield* runs.get(run)).status, "failed")
      })
    )
  })
}
