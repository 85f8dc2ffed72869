/**
 * Whether a handler that is executed again asks for the calls that were recorded the first time.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { OpenVisit } from "../../RunState.ts"
import * as Order from "./order.ts"

/** A recorded call, or a wait as if it were one. */
export type Recorded = readonly [id: string, call: { readonly tool: string; readonly seq: number }]

export interface Claims {
  /** In which order recorded results come out; `undefined` if it does not matter. */
  readonly order: Order.Order | undefined
  /** The handler asks for a recorded call. */
  readonly claim: (id: string) => void
  /** A recorded call or wait of this attempt that the handler has not asked for. */
  readonly unclaimed: () => Recorded | undefined
  /**
   * Waits until no recorded call is unclaimed; gives one that is not going to be claimed. If there is only this fiber
   * nobody else can claim them. Other fibers get time to: as long as it took them the first time, when the calls that
   * they made before took time, too.
   */
  readonly wait: Effect.Effect<Recorded | undefined>
}

export const make = (options: {
  readonly attempt: number
  /** Whether an earlier process may have executed this attempt of the visit. */
  readonly recovered: boolean
  /** The time at which the attempt began, as the journal has it. */
  readonly began: number
  readonly clock: Clock.Clock
  readonly open: () => OpenVisit
  /** The waits that the attempt came to. */
  readonly waits: () => Iterable<readonly [id: string, at: { readonly seq: number; readonly time: number }]>
  readonly isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
}): Claims => {
  const { attempt, clock, isAlone, open } = options
  const claimed = new Set<string>()
  /** Calls that wait until all recorded ones are claimed. */
  const waiting = new Set<() => void>()
  /** Once no recorded call is unclaimed, none will be. */
  let recovering = options.recovered
  const behind = clock.currentTimeMillisUnsafe() - options.began
  const order = Order.make({ attempt, began: options.began, clock, calls: open().calls, isAlone })

  const unclaimed = (): readonly [string, Recorded[1] & { readonly time: number }] | undefined => {
    if (!recovering) return undefined
    for (const [id, call] of open().calls) {
      const interrupted = call.error?.kind === "interrupted"
      if (call.attempt === attempt && !interrupted && !claimed.has(id)) return [id, call]
    }
    for (const [id, { seq, time }] of options.waits())
      if (!claimed.has(id)) return [id, { tool: "wait", seq, time }]
    recovering = false
    return undefined
  }

  const allClaimed = Effect.callback<void>((resume) => {
    const wake = () => resume(Effect.void)
    waiting.add(wake)
    return Effect.sync(() => waiting.delete(wake))
  })

  const wait = (alone: boolean, turns: number): Effect.Effect<Recorded | undefined> =>
    Effect.suspend((): Effect.Effect<Recorded | undefined> => {
      const first = unclaimed()
      if (first === undefined || alone) return Effect.succeed(first)
      if (turns > 0) return Effect.andThen(Effect.yieldNow, wait(false, turns - 1))
      const left =
        Math.max(first[1].time, options.began) + behind + Order.grace - clock.currentTimeMillisUnsafe()
      if (left <= 0) return Effect.succeed(first)
      return Effect.andThen(Effect.raceFirst(allClaimed, clock.sleep(Duration.millis(left))), wait(false, 0))
    })

  return {
    order,
    claim: (id) => {
      claimed.add(id)
      order?.asked(id)
      if (waiting.size > 0 && unclaimed() === undefined) for (const wake of waiting) wake()
    },
    unclaimed,
    wait: Effect.withFiber((fiber) => wait(isAlone(fiber), Order.turns))
  }
}
