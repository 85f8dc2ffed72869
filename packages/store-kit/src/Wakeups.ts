/**
 * Telling those who wait, when everything they may look at is as it should be.
 *
 * Whoever waits goes on at once when it is told, in the middle of whatever tells it. So it is told last.
 */
import type * as Effect from "effect/Effect"

export interface Wakeups {
  readonly later: (wake: () => void) => void
  /** Tells everyone. */
  readonly flush: () => void
  /** Starts something that nobody waits for. */
  readonly fork: (work: Effect.Effect<unknown>) => void
}

export const make = (fork: Wakeups["fork"]): Wakeups => {
  let pending: Array<() => void> = []
  return {
    fork,
    later: (wake) => {
      pending.push(wake)
    },
    flush: () => {
      while (pending.length > 0) {
        const wakes = pending
        pending = []
        for (const wake of wakes) wake()
      }
    }
  }
}
