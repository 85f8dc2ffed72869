/**
 * The sleeps of a visit that does other things meanwhile. When one is over decides races, and what else the visit does
 * then: it stands in the journal, as the end of a call does. While a fiber is alone nothing comes before or after it, and
 * what it slept has no place there.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { OpenVisit, RunState, Slept } from "../../RunState.ts"
import { visitIn } from "../visits.ts"
import type * as Calls from "./calls.ts"
import type { Claims } from "./claims.ts"

export type Sleep = (duration: Duration.Duration) => Effect.Effect<void>

const recorded = ({ slept }: OpenVisit, sleep: string): Slept | undefined =>
  slept && Option.getOrUndefined(HashMap.get(slept, sleep))

/** Waits for something without having a part in it: whoever is interrupted is so at once, as where a clock wakes it. */
const apart = (effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.withFiber(({ context }) =>
    Effect.callback((resume) => {
      const fiber = Effect.runForkWith(context)(effect)
      fiber.addObserver(resume)
      return Effect.sync(() => fiber.interruptUnsafe())
    })
  )

export const make = (host: Calls.Host, claims: Claims, place: Calls.Place): Sleep => {
  const { attempt, branch, clock, node, visit } = place
  const where = branch === "" ? { node, visit, attempt } : { branch, node, visit, attempt }
  const { order } = claims
  const occurrences = new Map<string, number>()

  const consume = (sleep: string): void => {
    const slept = recorded(host.open(), sleep)
    if (slept !== undefined && slept.time > clock.now) clock.now = slept.time
  }

  /** Whether the attempt goes on, so that it may be executed again. */
  const isOpen = (state: RunState): boolean => {
    const open = visitIn(state, branch)
    return (
      open?.visit === visit &&
      open.attempt === attempt &&
      state.status !== "paused" &&
      state.compensating === undefined
    )
  }

  const over = (sleep: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      // What is stopped does not get here again, and against its journal nothing is written.
      if (place.isClosed() || host.stopping()) return Effect.void
      return Effect.map(
        host.appendTo((state) => (isOpen(state) ? [{ kind: "slept", ...where, sleep }] : undefined)),
        () => consume(sleep)
      )
    })

  /** What is recorded was there before it was over. */
  const asleep = (sleep: Effect.Effect<void>): Effect.Effect<void> => {
    if (order !== undefined) return apart(Effect.andThen(order.rest, sleep))
    return host.still === undefined ? sleep : apart(sleep)
  }

  return (duration) =>
    Effect.suspend(() => {
      if (host.halted()) return clock.live.sleep(duration)
      const base = `${clock.now}/${Duration.toMillis(duration)}`
      const occurrence = occurrences.get(base) ?? 0
      occurrences.set(base, occurrence + 1)
      const sleep = `${base}/${occurrence}`
      if (recorded(host.open(), sleep) !== undefined) {
        order?.asked(sleep)
        // What is begun together with it is begun.
        const turn = Effect.suspend(() => order?.turnOf(sleep) ?? Effect.void)
        return Effect.map(Effect.andThen(Effect.yieldNow, turn), () => consume(sleep))
      }
      return Effect.andThen(asleep(clock.live.sleep(duration)), Effect.uninterruptible(over(sleep)))
    })
}
