/**
 * What has changed, for those who want to know: in a store that writes, what it has done; in one that only reads, what the one
 * that writes has done meanwhile.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as ChangeHub from "@waymark/core/ChangeHub"
import type { StoreError } from "@waymark/core/Store"
import { coalesce } from "@waymark/store-kit/Coalesce"
import type { Within } from "@waymark/store-kit/Coalesce"
import type { Step } from "./operation.ts"
import * as Query from "./query.ts"
import * as State from "./state.ts"

export interface Following {
  /** Tells what was done. */
  readonly publish: (steps: ReadonlyArray<Step>) => void
  /** Takes in what the one that writes has written. What this instance writes itself, it knows. */
  readonly refresh: Effect.Effect<void, StoreError>
  /** Refreshes at regular intervals, as long as somebody wants to know. Runs until it is interrupted. */
  readonly poll: Effect.Effect<never>
  /** Somebody wants to know, until the scope is closed. */
  readonly interested: Effect.Effect<void, never, Scope.Scope>
}

export interface Options {
  readonly loading: State.Options
  readonly hub: ChangeHub.ChangeHub
  readonly readOnly: boolean
  /** Milliseconds. */
  readonly pollInterval: number
  readonly untilClosed: Within<StoreError>
  readonly state: () => State.State
  readonly replace: (state: State.State) => void
}

export const make = (options: Options): Following => {
  const { hub, loading, pollInterval, readOnly, replace, state } = options
  const { persistence } = loading

  const publish = (steps: ReadonlyArray<Step>): void => {
    for (const { entries, operation } of steps) {
      switch (operation.$) {
        case "created":
        case "appended":
          hub.publish({ run: operation.run, what: "journal" })
          hub.advanced(operation.run, entries[entries.length - 1]!.event.seq)
          break
        case "leased":
        case "released":
          hub.publish({ run: operation.run, what: "lease" })
          break
        case "sent":
          hub.publish({ run: operation.command.run, what: "inbox" })
          break
        case "deleted":
          hub.publish({ run: operation.run, what: "deleted" })
          hub.advanced(operation.run, Number.POSITIVE_INFINITY)
          break
      }
    }
  }

  /** What changed between two states that no log leads from one to the other of. */
  const publishAll = (before: State.State): void => {
    for (const row of before.database.rows("SELECT run, seq FROM run")) {
      const run = String(row[0])
      const now = Query.findRun(state().database, run)
      if (now === undefined) {
        hub.publish({ run, what: "deleted" })
        hub.advanced(run, Number.POSITIVE_INFINITY)
      }
    }
    for (const [name, seq] of state().database.rows("SELECT run, seq FROM run")) {
      const run = String(name)
      for (const what of ["journal", "inbox", "lease"] as const) hub.publish({ run, what })
      hub.advanced(run, Number(seq))
    }
  }

  const refresh: Effect.Effect<void, StoreError> = readOnly
    ? coalesce(
        Effect.gen(function* () {
          const steps: Array<Step> = []
          const followed = yield* State.follow(loading, state(), (taken) => void steps.push(...taken))
          if (!followed) {
            const before = state()
            replace(yield* State.load(loading))
            publishAll(before)
            before.database.close()
          }
          publish(steps)
        }),
        { within: options.untilClosed }
      )
    : Effect.void

  let interest = 0
  let wakePoller: (() => void) | undefined
  const poll = Effect.forever(
    Effect.suspend(() => {
      if (interest === 0) {
        return Effect.callback<void>((resume) => {
          wakePoller = () => {
            wakePoller = undefined
            resume(Effect.void)
          }
        })
      }
      return Effect.andThen(
        Effect.catch(refresh, (error) =>
          Effect.logWarning("a store cannot be followed", { place: persistence.place, error: error.message })
        ),
        persistence.pause(pollInterval)
      )
    })
  )
  const interested = Effect.acquireRelease(
    Effect.sync(() => {
      interest += 1
      wakePoller?.()
    }),
    () =>
      Effect.sync(() => {
        interest -= 1
      })
  )

  return { publish, refresh, poll, interested }
}
