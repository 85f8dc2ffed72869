import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

const shown = 5

/**
 * The first delays of a schedule in milliseconds, or `undefined` if they depend on what failed.
 *
 * A schedule is a function, so the only way to describe one is to try it.
 */
const delaysOf = (
  schedule: Schedule.Schedule<unknown, any>,
  seed: string
): ReadonlyArray<number> | undefined => {
  const exit = Effect.runSyncExit(
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(schedule)
      const delays: Array<number> = []
      let now = 0
      while (delays.length <= shown) {
        const delay = yield* step(now, undefined).pipe(
          Effect.map(([, duration]) => Duration.toMillis(duration)),
          Pull.catchDone(() => Effect.succeed(undefined))
        )
        if (delay === undefined || delay === Number.POSITIVE_INFINITY) break
        delays.push(delay)
        now += delay
      }
      return delays
    }).pipe(Random.withSeed(seed))
  )
  return Exit.isSuccess(exit) ? exit.value : undefined
}

const texts = (delays: ReadonlyArray<number>): ReadonlyArray<string> =>
  delays.map((delay) =>
    delay === 0 ? "at once" : `after ${Duration.format(Duration.millis(Math.round(delay)))}`
  )

/** A retry policy in words a person can read, such as "after 100ms, after 200ms, then no more". */
export const retryText = (schedule: Schedule.Schedule<unknown, any>): string => {
  const delays = delaysOf(schedule, "0")
  if (delays === undefined) return "by a schedule that depends on the error"
  if (delays.length === 0) return "never"
  const endless = delays.length > shown
  const jittered = delaysOf(schedule, "1")?.some((delay, index) => delay !== delays[index]) ?? true
  const about = jittered ? " (random)" : ""
  const first = texts(delays)
  if (endless && first.every((text) => text === first[0])) return `${first[0]}${about}, without end`
  return `${first.slice(0, shown).join(", ")}${about}, ${endless ? "and so on" : "then no more"}`
}
