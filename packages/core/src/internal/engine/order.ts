/**
 * The order in which recorded results come out when a handler is executed again that did several things at once. It is
 * that of the journal: otherwise another fiber would win a race, or be interrupted before it has asked for what it had
 * asked for the first time.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { OpenVisit } from "../../RunState.ts"
import { askedFor, isOfAttempt } from "../visits.ts"

/** How often a fiber lets others go first before it takes it that they do nothing more. */
export const turns = 16

/** Lets other fibers begin what they are about to do. */
export const othersFirst: Effect.Effect<void> = /* @__PURE__ */ Effect.forEach(
  /* @__PURE__ */ Array.from({ length: turns }),
  () => Effect.yieldNow,
  { discard: true }
)

/** How long something that is recorded may take longer than the first time, in milliseconds. */
export const grace = 2_000

export interface Order {
  /** The handler asks for a recorded call or wait. */
  readonly asked: (id: string) => void
  /**
   * Waits until it is the turn of a recorded result, that of a call or a wait: every call that had begun by then is asked for
   * again, and what came out before has. `undefined` if it is.
   */
  readonly turnOf: (id: string) => Effect.Effect<void> | undefined
  /** The same for the end of a call that was interrupted, and is so again. */
  readonly turnOfInterrupted: (id: string) => Effect.Effect<void>
  /** A call is asked for that has no turn: others may have waited for that. */
  readonly noticed: Effect.Effect<void>
  /** The same, and waits until what is recorded has led to all that it leads to, as far as no time has to pass for that. */
  readonly rest: Effect.Effect<void>
  readonly close: () => void
}

/** Where a recorded call began, and when its last event happened (milliseconds). */
interface Start {
  readonly id: string
  readonly seq: number
  readonly time: number
  readonly interrupted: boolean
}

interface End {
  readonly id: string
  readonly seq: number
  readonly time: number
  readonly atOnce: boolean
  /** Nothing comes out then: whatever interrupted it does so again. That ends when its turn comes, too. */
  readonly interrupted: boolean
}

/** What an attempt has recorded, in order; `undefined` if nothing of it has come out. */
const recordedBy = (visit: OpenVisit) => {
  const starts: Array<Start> = []
  const ends: Array<End> = []
  for (const [id, call] of visit.calls) {
    const { atOnce, ended, error, time } = call
    const seq = askedFor(visit, call)
    if (seq === undefined) continue
    const interrupted = error?.kind === "interrupted"
    starts.push({ id, seq, time, interrupted })
    if (ended !== undefined) ends.push({ id, seq: ended, time, atOnce: atOnce === true, interrupted })
  }
  for (const id of Object.keys(visit.ended)) {
    const { outcome, seq, time } = visit.ended[id]!
    if (!isOfAttempt(visit, seq) || "lost" in outcome) continue
    // Where it began is not known, but that it was before it ended.
    starts.push({ id, seq: seq - 0.5, time, interrupted: false })
    ends.push({ id, seq, time, atOnce: false, interrupted: false })
  }
  for (const [id, { seq, time }] of visit.slept ?? []) {
    starts.push({ id, seq: seq - 0.5, time, interrupted: false })
    ends.push({ id, seq, time, atOnce: false, interrupted: false })
  }
  if (ends.every(({ interrupted }) => interrupted)) return undefined
  const bySeq = (a: { readonly seq: number }, b: { readonly seq: number }) => a.seq - b.seq
  return { starts: starts.sort(bySeq), ends: ends.sort(bySeq) }
}

export const make = (options: {
  /** The time at which the attempt began, as the journal has it. */
  readonly began: number
  readonly clock: Clock.Clock
  readonly visit: OpenVisit
  readonly isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
  /** Where time passes when nothing else happens: lets none pass meanwhile. */
  readonly still: ((meanwhile: Effect.Effect<void>) => Effect.Effect<void>) | undefined
}): Order | undefined => {
  const { began, clock, isAlone, still } = options
  const recorded = recordedBy(options.visit)
  if (recorded === undefined) return undefined
  const { ends, starts } = recorded
  const behind = clock.currentTimeMillisUnsafe() - began
  const asked = new Set<string>()
  /** The results that have not come out. */
  const pending = new Set(ends.flatMap(({ id, interrupted }) => (interrupted ? [] : [id])))
  const held = new Map<string, () => void>()
  let nextStart = 0
  let nextEnd = 0
  /** Counts what was asked for and what has come out. */
  let moves = 0
  /** When what came out last had come, and whether it has led to all that it leads to. */
  let came = began
  let calm = false
  let scheduled = false
  /** Nobody waits any more for calls that were interrupted the first time and began before this position. */
  let relaxedBefore = Number.NEGATIVE_INFINITY
  /** Has the driver, if it sleeps, look again. */
  let nudge: (() => void) | undefined
  let driver: Fiber.Fiber<unknown, unknown> | undefined

  /** The first call that had begun before this position and is not asked for. */
  const missingBefore = (seq: number): Start | undefined => {
    for (; nextStart < starts.length; nextStart++) {
      const start = starts[nextStart]!
      if (!asked.has(start.id) && !(start.interrupted && start.seq < relaxedBefore))
        return start.seq < seq ? start : undefined
    }
    return undefined
  }

  const head = (): End | undefined => {
    for (; nextEnd < ends.length; nextEnd++) {
      const end = ends[nextEnd]!
      // Nobody waits for an interruption that has not come.
      if (pending.has(end.id) || held.has(end.id)) return end
    }
    return undefined
  }

  const isTurn = (end: End | undefined): end is End =>
    end !== undefined && missingBefore(end.seq) === undefined

  /**
   * What came later comes when that which was there has led to all that it leads to. So does the end of what was interrupted:
   * it took as long as it takes to write it.
   */
  const isTime = ({ atOnce, interrupted, time }: End): boolean =>
    calm || (!interrupted && (atOnce || time <= came))

  const pass = (id: string): void => {
    pending.delete(id)
    moves += 1
  }

  const passInTurn = ({ id, time }: End): void => {
    pass(id)
    came = time
    calm = false
  }

  /** Lets those go on whose turn it is. Each one goes as far as it gets before the next does. */
  const release = (): void => {
    scheduled = false
    for (let end = head(); isTurn(end); end = head()) {
      const resume = held.get(end.id)
      if (resume === undefined) return
      if (!isTime(end)) return nudge?.()
      held.delete(end.id)
      passInTurn(end)
      resume()
    }
  }

  /** Whoever asks goes on first with what comes of it. */
  const releaseSoon = (fiber: Fiber.Fiber<unknown, unknown>): void => {
    if (scheduled || held.size === 0) return
    scheduled = true
    fiber.currentDispatcher.scheduleTask(release, 0)
  }

  /** From here on everything comes out as it is asked for. */
  const giveUp = (): void => {
    const waiting = ends.flatMap(({ id }) => (held.has(id) ? [held.get(id)!] : []))
    held.clear()
    pending.clear()
    moves += 1
    for (const resume of waiting) resume()
  }

  const noticed: Effect.Effect<void> = Effect.withFiber((fiber) => {
    releaseSoon(fiber)
    return Effect.void
  })

  const settled: Effect.Effect<void> = Effect.suspend(() => {
    const wait = (left: number, seen: number): Effect.Effect<void> =>
      Effect.suspend((): Effect.Effect<void> => {
        if (seen !== moves) return wait(turns, moves)
        return left === 0 ? Effect.void : Effect.andThen(Effect.yieldNow, wait(left - 1, seen))
      })
    return wait(turns, moves)
  })

  /** Lets those go on whose turn comes by that, too. */
  const calmed: Effect.Effect<void> = Effect.flatMap(still === undefined ? settled : still(settled), () => {
    const end = head()
    calm = true
    release()
    return head() === end ? Effect.void : calmed
  })

  const nudged = Effect.callback<void>((resume) => {
    nudge = () => resume(Effect.void)
  })

  /** Gives those who have not asked the time that it took them the first time, when what they did before took time, too. */
  const drive: Effect.Effect<void> = Effect.gen(function* () {
    let last: Start | undefined
    for (yield* calmed; held.size > 0; yield* calmed) {
      // What is held has not come out.
      const end = head()!
      relaxedBefore = end.seq
      release()
      if (head() !== end) continue
      const missing = missingBefore(end.seq)
      if (missing === undefined || missing === last) return giveUp()
      last = missing
      const left = Math.max(missing.time, began) + behind + grace - clock.currentTimeMillisUnsafe()
      if (left > 0) yield* Effect.raceFirst(clock.sleep(Duration.millis(left)), nudged)
    }
  })

  const park = (id: string): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      // Nobody is left who could be waited for.
      if (isAlone(fiber)) return Effect.sync(giveUp)
      const parked = Effect.callback<void>((resume) => {
        held.set(id, () => resume(Effect.void))
        releaseSoon(fiber)
        return Effect.sync(() => {
          held.delete(id)
          pass(id)
          releaseSoon(fiber)
        })
      })
      if (driver !== undefined && driver.pollUnsafe() === undefined) return parked
      return Effect.flatMap(Effect.forkDetach(drive), (started) => {
        driver = started
        return parked
      })
    })

  /** Whose turn it is goes on at once if nobody else could do anything before. */
  const inTime = (end: End): Effect.Effect<void> | undefined => {
    if (!isTime(end)) {
      return Effect.withFiber((fiber) => {
        if (!isAlone(fiber)) return park(end.id)
        passInTurn(end)
        return Effect.void
      })
    }
    passInTurn(end)
    return held.size === 0 ? undefined : noticed
  }

  return {
    asked: (id) => {
      asked.add(id)
      moves += 1
    },
    turnOf: (id) => {
      if (!pending.has(id)) return undefined
      const end = head()
      return end?.id === id && isTurn(end) ? inTime(end) : park(id)
    },
    turnOfInterrupted: (id) =>
      Effect.suspend(() => {
        const end = head()
        const own = ends.find((each) => each.id === id)
        return own !== undefined && end !== undefined && end.seq < own.seq ? park(id) : Effect.void
      }),
    noticed,
    rest: Effect.withFiber((fiber) => {
      if (isAlone(fiber)) return Effect.void
      releaseSoon(fiber)
      return calmed
    }),
    close: () => {
      driver?.interruptUnsafe()
      giveUp()
    }
  }
}
