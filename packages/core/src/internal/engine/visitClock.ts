/**
 * Time and chance inside a visit: the same every time the visit is executed.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { OpenVisit } from "../../RunState.ts"

const nanosPerMilli = BigInt(1_000_000)

/**
 * A clock that tells the time of the last event that the visit consumed, and that the visit slept since and did nothing
 * else: sleeping takes real time, and afterwards it is as much later, every time the visit is executed. Else it stands still. The durations of
 * spans are real, which read the clock through `currentTimeNanosUnsafe`.
 */
export class VisitClock implements Clock.Clock {
  now: number
  /** Whether only this fiber of the visit is executed: what others consume meanwhile may come in another order. */
  isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => boolean = () => false
  readonly live: Clock.Clock
  constructor(live: Clock.Clock, now: number) {
    this.live = live
    this.now = now
  }
  currentTimeMillisUnsafe(): number {
    return this.now
  }
  currentTimeNanosUnsafe(): bigint {
    return this.live.currentTimeNanosUnsafe()
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.live.monotonicTimeNanosUnsafe()
  }
  get currentTimeMillis(): Effect.Effect<number> {
    return Effect.sync(() => this.now)
  }
  get currentTimeNanos(): Effect.Effect<bigint> {
    return Effect.sync(() => BigInt(Math.trunc(this.now)) * nanosPerMilli)
  }
  get monotonicTimeNanos(): Effect.Effect<bigint> {
    return this.live.monotonicTimeNanos
  }
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      if (!this.isAlone(fiber)) return this.live.sleep(duration)
      return Effect.map(this.live.sleep(duration), () => {
        this.now += Duration.toMillis(duration)
      })
    })
  }
}

/** Random numbers that follow from where a visit is; the seed is worked out when the first one is asked for. */
export class SeededRandom {
  private source: { nextIntUnsafe(): number; nextDoubleUnsafe(): number } | undefined
  private readonly run: string
  private readonly branch: string
  private readonly visit: OpenVisit
  constructor(run: string, branch: string, visit: OpenVisit) {
    this.run = run
    this.branch = branch
    this.visit = visit
  }
  private get numbers() {
    if (this.source === undefined) {
      const { node, openedAs, visit } = this.visit
      const seed = JSON.stringify([this.run, this.branch, openedAs ?? node, visit])
      this.source = Effect.runSync(Random.withSeed(Random.Random, seed))
    }
    return this.source
  }
  nextIntUnsafe(): number {
    return this.numbers.nextIntUnsafe()
  }
  nextDoubleUnsafe(): number {
    return this.numbers.nextDoubleUnsafe()
  }
}
