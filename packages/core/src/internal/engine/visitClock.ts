/**
 * Time and chance inside a visit: the same every time the visit is executed.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { OpenVisit } from "../../RunState.ts"

const nanosPerMilli = BigInt(1_000_000)

/** The visit that sleeps. */
export interface Sleeper {
  /** Whether only this fiber of the visit is executed. */
  readonly isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
  /** When what is recorded next was asked for at the latest (milliseconds), if there is something. */
  readonly ahead: () => number | undefined
  /** Sleeps while others are executed, who may do something meanwhile. */
  readonly sleep: (duration: Duration.Duration) => Effect.Effect<void>
}

/**
 * A clock that tells the time of the last event that the visit consumed, and that the visit slept since: sleeping takes
 * real time, but not again what was slept before something that is recorded, and afterwards it is as much later, every time
 * the visit is executed. Else it stands still. The durations of spans are real, which read the clock through
 * `currentTimeNanosUnsafe`.
 */
export class VisitClock implements Clock.Clock {
  now: number
  readonly live: Clock.Clock
  private readonly sleeper: Sleeper
  constructor(live: Clock.Clock, now: number, sleeper: Sleeper) {
    this.live = live
    this.now = now
    this.sleeper = sleeper
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
      if (!this.sleeper.isAlone(fiber)) return this.sleeper.sleep(duration)
      const over = this.now + Duration.toMillis(duration)
      const ahead = this.sleeper.ahead()
      const slept = ahead !== undefined && over <= ahead ? Effect.void : this.live.sleep(duration)
      return Effect.map(slept, () => {
        this.now = over
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

/**
 * Has something that is done for a visit, on one of its fibers, go by the time and chance of the world outside: how often a
 * store tries again, and how long it waits in between, is none of the visit's business.
 */
export const outside = (
  world: Context.Context<never>
): (<A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) => {
  const real = Context.make(Clock.Clock, Context.get(world, Clock.Clock)).pipe(
    Context.add(Random.Random, Context.get(world, Random.Random))
  )
  // Most fibers of a visit have the same.
  let inside: Context.Context<never> | undefined
  let made: Context.Context<never>
  return (effect) =>
    Effect.withFiber((fiber) => {
      const context = fiber.context
      if (context !== inside) {
        inside = context
        made = Context.merge(context, real)
      }
      return Effect.setContext(effect, made)
    })
}
