/**
 * The place that a run has among those that its worker executes: left while it rests, taken again before it goes on.
 */
import * as Effect from "effect/Effect"
import type { Places } from "./environment.ts"
import * as Due from "./due.ts"

export interface Placing {
  /** Whether the run has no place now. */
  readonly isAway: () => boolean
  readonly leave: () => void
  /** Ends what the execution itself waits for, if it does: whether it did. */
  readonly wake: () => boolean
  /** Until the run has a place again, or something else is to be done. */
  readonly enter: Effect.Effect<boolean>
  /** The same for a handler, which is interrupted if something else is to be done. */
  readonly reenter: Effect.Effect<void>
  /** Until something is to be done, or so many milliseconds have passed; if nothing else goes on, without a place. */
  readonly idle: (millis: number, isQuiet?: boolean) => Effect.Effect<void>
}

export const make = (
  places: Places,
  run: string,
  timer: (millis: number, callback: () => void) => () => void
): Placing => {
  let away = false
  let wake: (() => void) | undefined
  /** Handlers that are to go on and have no place to do so. */
  const entering = new Set<() => void>()

  const leave = (): void => {
    away = true
    places.leave(run)
  }

  const ask = (): void =>
    places.ask(run, () => {
      away = false
      wake?.()
      for (const enter of entering) enter()
    })

  return {
    isAway: () => away,
    leave,
    wake: () => {
      if (wake === undefined) return false
      wake()
      return true
    },
    enter: Effect.suspend(() => {
      if (!away) return Effect.succeed(true)
      return Effect.callback<boolean>((resume) => {
        wake = () => {
          wake = undefined
          resume(Effect.sync(() => !away))
        }
        ask()
      })
    }),
    reenter: Effect.suspend(() => {
      if (!away) return Effect.void
      return Effect.callback<void>((resume) => {
        const go = () => {
          entering.delete(go)
          resume(Effect.void)
        }
        entering.add(go)
        ask()
        return Effect.sync(() => entering.delete(go))
      })
    }),
    idle: (millis, isQuiet = true) =>
      Effect.callback<void>((resume) => {
        const cancel = Number.isFinite(millis) ? timer(Math.max(1, millis), () => wake?.()) : () => {}
        wake = () => {
          wake = undefined
          cancel()
          resume(Effect.void)
        }
        if (isQuiet && millis > Due.moment) leave()
      })
  }
}
