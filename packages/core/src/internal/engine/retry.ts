/**
 * Retry policies whose position survives a crash: the schedule is stepped through the failures that the journal holds.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type { Failure } from "../../Event.ts"
import * as Failures from "./failure.ts"

/** A failure that was, or is about to be, retried. */
export interface Tried {
  readonly time: number
  readonly error: unknown
}

export interface Retry {
  /**
   * Milliseconds to wait before the next try after the last of so many failures; `undefined` if there is none. Only those are
   * looked at that it has not been stepped through.
   */
  readonly delayAfter: (count: number, tried: (index: number) => Tried) => Effect.Effect<number | undefined>
}

/**
 * Steps a schedule. It remembers how far it has come, so a failure costs one step; in a later process it first steps
 * through the failures that were recorded.
 */
export const make = (schedule: Schedule.Schedule<unknown, any>): Retry => {
  let step:
    | ((now: number, input: unknown) => Pull.Pull<[unknown, Duration.Duration], never, unknown>)
    | undefined
  let stepped = 0
  return {
    delayAfter: (count, tried) =>
      Effect.gen(function* () {
        // The count began anew: the run was retried.
        if (stepped >= count) {
          step = undefined
          stepped = 0
        }
        step ??= yield* Schedule.toStep(schedule) as Effect.Effect<NonNullable<typeof step>>
        let delay: number | undefined
        while (stepped < count) {
          const { error, time } = tried(stepped)
          stepped += 1
          delay = yield* step(time, error).pipe(
            Effect.map(([, duration]) => Duration.toMillis(duration)),
            // A try that comes after an infinite delay does not come.
            Effect.map((millis) => (Number.isFinite(millis) ? millis : undefined)),
            Pull.catchDone(() => Effect.succeed(undefined))
          )
          if (delay === undefined) return undefined
        }
        return delay
      })
  }
}

/** The same after failures as they were recorded, and one that was not yet. */
export const delayAfter = (
  retry: Retry,
  recorded: ReadonlyArray<{ readonly time: number; readonly error: Failure }>,
  schemas: ReadonlyArray<Schema.Codec<any, any>>,
  last: Tried
): Effect.Effect<number | undefined> =>
  retry.delayAfter(recorded.length + 1, (index) => {
    if (index === recorded.length) return last
    const { error, time } = recorded[index]!
    return { time, error: Failures.valueOf(Failures.load(error, schemas)) }
  })
