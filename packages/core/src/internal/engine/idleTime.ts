/**
 * Time that passes when nothing else happens: handlers are executed against their journal, and nothing of that takes any.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** How often whoever sleeps lets others go first before it takes it that they do nothing more. */
const turns = 16

export interface IdleTime {
  /** Takes no time: when nothing else goes on, the one that would wake first does. */
  readonly sleep: Clock.Clock["sleep"]
  /** Nobody wakes meanwhile. */
  readonly still: (meanwhile: Effect.Effect<void>) => Effect.Effect<void>
}

export const make = (moved?: (millis: number) => void): IdleTime => {
  const sleepers = new Set<{ readonly at: number }>()
  let now = 0
  let woken = 0
  let working = 0
  const ended = Effect.sync(() => {
    working -= 1
  })
  return {
    sleep: (duration) =>
      Effect.suspend(() => {
        const self = { at: now + Duration.toMillis(duration) }
        sleepers.add(self)
        const wait = (left: number, seen: number): Effect.Effect<void> =>
          Effect.suspend((): Effect.Effect<void> => {
            if (seen !== woken) return wait(turns, woken)
            if (working > 0) return Effect.andThen(Effect.yieldNow, wait(turns, woken))
            if (left > 0) return Effect.andThen(Effect.yieldNow, wait(left - 1, seen))
            for (const { at } of sleepers)
              if (at < self.at) return Effect.andThen(Effect.yieldNow, wait(0, seen))
            now = self.at
            moved?.(now)
            woken += 1
            return Effect.void
          })
        return Effect.ensuring(
          wait(turns, woken),
          Effect.sync(() => sleepers.delete(self))
        )
      }),
    still: (meanwhile) =>
      Effect.suspend(() => {
        working += 1
        return Effect.ensuring(meanwhile, ended)
      })
  }
}
