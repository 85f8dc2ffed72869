/**
 * How a worker comes by runs: it is told of changes, looks at what is due, and from time to time through the index.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RunInfo } from "../../RunInfo.ts"
import type { Change, Store, StoreError } from "../../Store.ts"

/** Why to look at a run: something about it changed, a command came for it, it was due, or it has something to send. */
export type Why = "changed" | "commanded" | "due" | "sending"

export interface Looking {
  /** Begins to look, until the scope is closed or it is ended. */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
  /** A run came to rest whose wait is due then (milliseconds). */
  readonly note: (due: number) => void
  /** Looks through the index, now. */
  readonly look: Effect.Effect<void>
  readonly end: Effect.Effect<void>
}

export const isDue = ({ due, status }: RunInfo, clock: Clock.Clock): boolean =>
  status === "waiting" && due !== undefined && due <= clock.currentTimeMillisUnsafe()

export const make = (options: {
  readonly store: Store["Service"]
  readonly clock: Clock.Clock
  readonly sweep: Duration.Input
  readonly timers: Duration.Input
  /** Whether the worker executes runs like this one. */
  readonly has: (info: RunInfo) => boolean
  readonly onChanges: (changes: ReadonlyArray<Change>) => Effect.Effect<void>
  readonly consider: (run: string, why: Why) => Effect.Effect<void>
  readonly isDraining: () => boolean
}): Looking => {
  const { clock, consider, has, isDraining, store } = options
  const interval = Duration.toMillis(Duration.fromInputUnsafe(options.timers))
  /** When the earliest wait is due of the runs that came to rest since it was looked, and what makes it looked now. */
  let noted = Number.POSITIVE_INFINITY
  let lookNow: (() => void) | undefined
  let fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = []

  const report = (message: string, error: { readonly message: string }) =>
    Effect.logWarning(message, { error: error.message })

  /** Takes up the runs whose waits are over, in the order in which they were due. */
  const takeUpDue = Effect.gen(function* () {
    noted = Number.POSITIVE_INFINITY
    let cursor: string | undefined
    do {
      const page = yield* store.list({
        unowned: true,
        status: ["waiting"],
        order: "due",
        limit: 100,
        ...(cursor === undefined ? undefined : { cursor })
      })
      for (const info of page.runs) {
        if (!isDue(info, clock)) return info.due
        if (has(info)) yield* consider(info.run, "due")
      }
      cursor = page.cursor
    } while (cursor !== undefined && !isDraining())
    return undefined
  })

  /** Until the next wait is due, but not for longer than clocks and other processes are to be trusted. */
  const untilDue = (due: number | undefined): Effect.Effect<void> =>
    Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      const next = Math.min(due ?? Number.POSITIVE_INFINITY, noted, now + interval)
      noted = next
      const sooner = Effect.callback<void>((resume) => {
        lookNow = () => resume(Effect.void)
      })
      return next === Number.POSITIVE_INFINITY
        ? sooner
        : Effect.raceFirst(clock.sleep(Duration.millis(Math.max(1, next - now))), sooner)
    })

  /** Looks through the index for runs that nobody owns and that have something to do. */
  const sweep = Effect.gen(function* () {
    const queries = [
      { why: "changed", query: { status: ["pending", "running", "cancelling"] } },
      { why: "sending", query: { sending: true } },
      {
        why: "commanded",
        query: { commanded: true, status: ["paused", "failed", "waiting", "completed", "cancelled"] }
      }
    ] as const
    for (const { query, why } of queries) {
      let cursor: string | undefined
      do {
        const page = yield* store.list({
          ...query,
          unowned: true,
          order: "oldest",
          limit: 100,
          ...(cursor === undefined ? undefined : { cursor })
        })
        for (const info of page.runs) if (has(info)) yield* consider(info.run, why)
        cursor = page.cursor
      } while (cursor !== undefined && !isDraining())
    }
  })

  const reportedly = <A>(looking: Effect.Effect<A, StoreError>, what: string) =>
    Effect.catch(looking, (error) =>
      Effect.as(report(`the store could not be searched for ${what}`, error), undefined)
    )
  const sweeps = reportedly(sweep, "runs")
  const takesUpDue = reportedly(takeUpDue, "waits that are due")

  return {
    look: Effect.andThen(sweeps, Effect.asVoid(takesUpDue)),
    begin: Effect.gen(function* () {
      const scope = yield* Effect.scope
      const watching = yield* Stream.runForEachArray(store.changes, options.onChanges).pipe(
        Effect.catchIf(
          // What is closed tells of nothing any more.
          ({ reason }) => reason._tag !== "Closed",
          (error) =>
            Effect.andThen(report("changes of the store cannot be followed", error), Effect.sleep("1 second"))
        ),
        Effect.forever,
        Effect.forkIn(scope, { startImmediately: true })
      )
      const sweeping = yield* sweeps.pipe(
        Effect.andThen(Effect.sleep(options.sweep)),
        Effect.forever,
        Effect.forkIn(scope)
      )
      const timing = yield* takesUpDue.pipe(Effect.flatMap(untilDue), Effect.forever, Effect.forkIn(scope))
      fibers = [watching, sweeping, timing]
    }),
    note: (due) => {
      if (due >= noted) return
      noted = due
      lookNow?.()
    },
    end: Effect.suspend(() => Fiber.interruptAll(fibers))
  }
}
