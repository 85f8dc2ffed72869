/**
 * Whether a handler that is executed again asks for the calls that were recorded the first time.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { PauseReason } from "../../Event.ts"
import type { OpenVisit } from "../../RunState.ts"
import { askedFor } from "../visits.ts"
import * as Order from "./order.ts"

/** A recorded call, or a wait as if it were one, and where it stands: what was asked for, or for a wait what ended it. */
export type Recorded = Extract<PauseReason, { kind: "diverged" }>["expected"]

/** A call, or a wait or a run as if it were one, that is asked for and not recorded. */
export type Asked = Extract<PauseReason, { kind: "diverged" }>["got"]

/** What is to become of a visit that asks for what is not recorded. */
export interface Host {
  /** Pauses the run; is interrupted. */
  readonly pause: (reason: PauseReason) => Effect.Effect<never>
  /**
   * In a replay: nothing is done that is not recorded. `missing` gives what is, and is not asked for, once everybody had
   * time to do so.
   */
  readonly refuse?: (asked: Asked, missing: Effect.Effect<Recorded | undefined>) => Effect.Effect<never>
  /** In a replay: what is recorded and has no result never gets one. */
  readonly unanswered?: (asked: Asked) => Effect.Effect<never>
  /** Where time passes when nothing else happens: lets none pass meanwhile. */
  readonly still?: (meanwhile: Effect.Effect<void>) => Effect.Effect<void>
}

export interface Claims {
  /** In which order recorded results come out; `undefined` if it does not matter. */
  readonly order: Order.Order | undefined
  /** The handler asks for a recorded call. */
  readonly claim: (id: string) => void
  /** The first recorded call or wait that the handler has not asked for. */
  readonly unclaimed: () => (Recorded & { readonly time: number }) | undefined
  /**
   * Pauses the run if something that is recorded is not asked for, but this, which is not; `undefined` if there is no such
   * thing. Others of the visit's fibers get time to ask for what is recorded: as long as it took them the first time, when
   * the calls that they made before took time, too.
   */
  readonly unrecorded: (asked: Asked) => Effect.Effect<void> | undefined
}

export const make = (options: {
  readonly host: Host
  readonly node: string
  readonly visit: number
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
  const { clock, host, isAlone, node, open, visit } = options
  const claimed = new Set<string>()
  /** Calls that wait until all recorded ones are claimed. */
  const waiting = new Set<() => void>()
  /** Once no recorded call is unclaimed, none will be. */
  let recovering = options.recovered
  let recorded: ReturnType<typeof recordedCalls> | undefined
  /** So many of them are claimed. */
  let passed = 0
  const behind = clock.currentTimeMillisUnsafe() - options.began
  const order = Order.make({ began: options.began, clock, visit: open(), isAlone, still: host.still })

  /** In the order of the journal. In a fork, what its origin had asked for is there for whoever asks, and need not be. */
  const recordedCalls = (): ReadonlyArray<Recorded & { readonly time: number }> => {
    const at = open()
    const calls = [...at.calls].flatMap(([id, call]) => {
      const { error, seq, time, tool } = call
      const isOwn = askedFor(at, call) !== undefined && error?.kind !== "interrupted"
      return isOwn ? [{ tool, call: id, seq, time }] : []
    })
    const waits = Array.from(options.waits(), ([call, { seq, time }]) => ({ tool: "wait", call, seq, time }))
    return [...calls, ...waits].filter(({ seq }) => seq >= 0).sort((a, b) => a.seq - b.seq)
  }

  const unclaimed = (): (Recorded & { readonly time: number }) | undefined => {
    if (!recovering) return undefined
    recorded ??= recordedCalls()
    while (passed < recorded.length && claimed.has(recorded[passed]!.call)) passed++
    recovering = passed < recorded.length
    return recorded[passed]
  }

  const allClaimed = Effect.callback<void>((resume) => {
    const wake = () => resume(Effect.void)
    waiting.add(wake)
    return Effect.sync(() => waiting.delete(wake))
  })

  /** Waits until no recorded call is unclaimed; gives one that is not going to be claimed. */
  const wait = (alone: boolean, turns: number, awaited?: string): Effect.Effect<Recorded | undefined> =>
    Effect.suspend((): Effect.Effect<Recorded | undefined> => {
      const first = unclaimed()
      if (first === undefined) return Effect.undefined
      const { time, ...found } = first
      // Nobody else can claim it, or has done so in time.
      if (alone || found.call === awaited) return Effect.succeed(found)
      if (turns > 0) return Effect.andThen(Effect.yieldNow, wait(false, turns - 1))
      const left = Math.max(time, options.began) + behind + Order.grace - clock.currentTimeMillisUnsafe()
      if (left <= 0) return Effect.succeed(found)
      const slept = clock.sleep(Duration.millis(left))
      return Effect.andThen(Effect.raceFirst(allClaimed, slept), wait(false, 0, found.call))
    })

  const missing = Effect.withFiber((fiber) => wait(isAlone(fiber), Order.turns))

  return {
    order,
    unclaimed,
    claim: (id) => {
      claimed.add(id)
      order?.asked(id)
      if (waiting.size > 0 && unclaimed() === undefined) for (const wake of waiting) wake()
    },
    unrecorded: (asked) => {
      if (host.refuse !== undefined) return host.refuse(asked, missing)
      if (unclaimed() === undefined) return undefined
      return Effect.flatMap(missing, (expected) =>
        expected === undefined
          ? Effect.void
          : host.pause({ kind: "diverged", node, visit, expected, got: asked })
      )
    }
  }
}
