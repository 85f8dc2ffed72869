/**
 * Deleting runs that have ended and that no fork needs.
 */
import * as Effect from "effect/Effect"
import * as RunInfo from "@waymark/core/RunInfo"
import { RunInUse, RunNotFound } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Catalog } from "./catalog.ts"
import type { Claims, RunKey } from "./claims.ts"
import type { Contest } from "./contest.ts"
import { asError, patience, patienceStep, releasedLine } from "./contest.ts"
import type { Creation } from "./creation.ts"
import { formatControl } from "./format.ts"
import type { Leases } from "./leases.ts"
import type { Run } from "./model.ts"
import type { Observer } from "./observer.ts"
import type { Ownership } from "./ownership.ts"
import type { Pump } from "./pump.ts"
import * as Sums from "./sums.ts"
import type { Wakeups } from "@waymark/store-kit/Wakeups"

export interface Options {
  readonly catalog: Catalog
  readonly claims: Claims
  readonly contest: Contest
  readonly creation: Creation
  readonly identity: ProcessIdentity["Service"]
  readonly leases: Leases
  readonly observer: Observer
  readonly ownership: Ownership
  readonly pump: Pump
  readonly wakeups: Wakeups
}

export const make = (
  options: Options
): ((id: string) => Effect.Effect<void, RunNotFound | RunInUse | StoreError>) => {
  const { catalog, claims, contest, creation, identity, leases, observer, ownership, pump, wakeups } = options

  const refuseDeletion = (run: Run): Effect.Effect<void, RunInUse> => {
    const { info } = run
    if (info !== undefined && !RunInfo.isTerminal(info.status)) {
      return Effect.fail(new RunInUse({ run: run.id, detail: `it is ${info.status}; cancel it first` }))
    }
    for (const fork of catalog.forks.get(run.id) ?? []) {
      return Effect.fail(new RunInUse({ run: run.id, detail: `run ${JSON.stringify(fork)} is a fork of it` }))
    }
    return Effect.void
  }

  /** Gets hold of a run that is to be deleted: no one else can take it then. Its epoch, and what to claim it by. */
  const seize = Effect.fnUntraced(function* (id: string) {
    const since = identity.monotonic()
    while (true) {
      yield* observer.refresh
      const run = catalog.find(id)
      if (run === undefined) return yield* new RunNotFound({ run: id })
      yield* refuseDeletion(run)
      if (run.lease !== undefined) {
        leases.letGo(run, "lost")
        run.busy = true
        wakeups.flush()
        return run
      }
      const outcome = yield* leases.claimEpoch(id).pipe(
        Effect.map((taken) => {
          taken.run.epoch = taken.epoch
          taken.run.owner = taken.series
          return taken.run
        }),
        Effect.catchTag("LeaseHeld", (error) =>
          // It has ended, so its owner is about to let go of it.
          identity.monotonic() - since > patience
            ? Effect.fail(new RunInUse({ run: id, detail: `it still belongs to ${error.owner}` }))
            : Effect.as(identity.pause(patienceStep, "busy"), undefined)
        )
      )
      if (outcome !== undefined) return outcome
    }
  })

  /** Waits until no fork of the run is being created, and refuses the deletion if one was. */
  const awaitForks = Effect.fnUntraced(function* (
    run: Run,
    forks: ReadonlyArray<{ readonly series: string; readonly fork: RunKey }>
  ) {
    const since = identity.monotonic()
    for (const { fork, series } of forks) {
      while (true) {
        yield* observer.survey
        yield* refuseDeletion(run)
        const done =
          catalog.find(fork.run) !== undefined || (catalog.tombstones.get(fork.run) ?? 0) >= fork.incarnation
        if (done || contest.isGone(series)) break
        const other = catalog.series.get(series)!
        if (other.own && !creation.isCreating(fork.run)) break
        if (!observer.isLive(other)) yield* contest.dispossess(other)
        else
          yield* contest.waitFor(
            since,
            `another process has begun to fork run ${JSON.stringify(run.id)} and does not finish`
          )
      }
    }
  })

  return (id) =>
    Effect.uninterruptible(
      Effect.gen(function* () {
        const run = yield* seize(id)
        const series = yield* ownership.ensure
        const key: RunKey = { run: id, incarnation: run.incarnation }
        yield* Effect.gen(function* () {
          yield* awaitForks(run, yield* claims.announceDeletion(series.id, key))
          yield* refuseDeletion(run)
          yield* Effect.callback<void, StoreError>((resume) => {
            pump.enqueue({
              run: undefined,
              batch: undefined,
              tag: Sums.tagOf("deleted", id, run.incarnation),
              before: [formatControl({ $: "deleted", run: id, incarnation: run.incarnation })],
              after: [],
              done: () => {
                catalog.takeDeleted(id, run.incarnation)
                wakeups.later(() => resume(Effect.void))
              },
              failed: (why) => wakeups.later(() => resume(Effect.fail(asError(why))))
            })
          })
        }).pipe(
          Effect.onError(() =>
            Effect.suspend(() => {
              run.busy = false
              run.owner = undefined
              pump.enqueueLazily(releasedLine(run, run.epoch, false))
              return Effect.ignore(claims.withdrawDeletion(series.id, key))
            })
          )
        )
      })
    )
}
