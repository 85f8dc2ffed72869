/**
 * The times at which runs that a worker holds have taken too long.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Body } from "../../Event.ts"
import type { RunState } from "../../RunState.ts"
import { hasCompensated } from "../compensation.ts"
import { isTerminal } from "../status.ts"
import * as Waking from "./waking.ts"

/** Whether the run's time counts: not while it is paused, and not once it is about to end. */
export const isTimed = (state: RunState): boolean =>
  state.deadline !== undefined &&
  state.status !== "paused" &&
  state.status !== "cancelling" &&
  !isTerminal(state.status) &&
  !hasCompensated(state)

/** Whether the run has taken too long. */
export const isExpired = (state: RunState, now: number): boolean => isTimed(state) && now >= state.deadline!

/** When a run that rests has something to do by itself: the next of its waits is over, or its time. */
export const nextDue = (state: RunState): number =>
  Math.min(
    Waking.nextDue(state) ?? Number.POSITIVE_INFINITY,
    isTimed(state) ? state.deadline! : Number.POSITIVE_INFINITY
  )

/** What becomes of it then. */
export const expire = ({ run, timeout }: RunState): Body => ({
  kind: "failed",
  error: { kind: "timeout", what: "run", name: run, millis: timeout! }
})

/** It looks at the clock at least this often: what a system that was asleep missed is not missed for longer. */
const longest = 30_000

export interface Deadlines {
  readonly add: (run: string, deadline: number | undefined) => void
  readonly remove: (run: string) => void
  readonly close: () => void
}

/** One sleep for all of them; `expired` is told of each one whose time has come. */
export const make = (
  clock: Clock.Clock,
  runFork: <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>,
  expired: (run: string) => Effect.Effect<void>
): Deadlines => {
  const deadlines = new Map<string, number>()
  let armed = Number.POSITIVE_INFINITY
  let timer: Fiber.Fiber<unknown> | undefined

  const arm = (at: number): void => {
    if (at >= armed) return
    timer?.interruptUnsafe()
    armed = at
    const left = Math.min(longest, Math.max(0, at - clock.currentTimeMillisUnsafe()))
    timer = runFork(Effect.andThen(clock.sleep(Duration.millis(left)), fire))
  }

  const fire: Effect.Effect<void> = Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    const due: Array<string> = []
    let next = Number.POSITIVE_INFINITY
    for (const [run, at] of deadlines) {
      if (at <= now) due.push(run)
      else next = Math.min(next, at)
    }
    for (const run of due) deadlines.delete(run)
    timer = undefined
    armed = Number.POSITIVE_INFINITY
    arm(next)
    return Effect.forEach(due, expired, { discard: true })
  })

  return {
    add: (run, deadline) => {
      if (deadline === undefined) return
      deadlines.set(run, deadline)
      arm(deadline)
    },
    remove: (run) => {
      deadlines.delete(run)
    },
    close: () => {
      deadlines.clear()
      timer?.interruptUnsafe()
    }
  }
}
