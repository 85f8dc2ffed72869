/**
 * Times until which something is put off, by clocks that may be set meanwhile.
 */
import type * as Clock from "effect/Clock"

export interface Due {
  readonly at: number
  /** So many milliseconds are left: by the clock, but in all no more than there were at first. */
  readonly left: () => number
}

/** Nobody sleeps for longer without a look at the clock, in milliseconds: it may be set. */
export const lookInterval = 30_000

/** Whoever executes nothing for longer than this lets others have its place, in milliseconds. */
export const moment = 1_000

const nanosPerMilli = 1e6

export const make = (clock: Clock.Clock, at: number): Due => {
  const most = at - clock.currentTimeMillisUnsafe()
  const began = clock.monotonicTimeNanosUnsafe()
  const passed = () => Number(clock.monotonicTimeNanosUnsafe() - began) / nanosPerMilli
  return { at, left: () => Math.min(at - clock.currentTimeMillisUnsafe(), most - passed()) }
}
