/**
 * Which runs this instance holds: taking them and letting go of them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Acquired, Lease, LeaseHeld, RunNotFound, StoreError } from "@waymark/core/Store"
import { LeaseLost } from "@waymark/core/Store"
import { asError, releasedLine } from "./contest.ts"
import * as Epochs from "./epochs.ts"
import { formatControl, ownerOf as ownerOfSeries, withIncarnation } from "./format.ts"
import { touchedLease } from "./model.ts"
import type { Run, Series } from "./model.ts"
import type { Wakeups } from "@waymark/store-kit/Wakeups"

export interface Leases {
  readonly acquire: (
    id: string,
    holder: string
  ) => Effect.Effect<Acquired, RunNotFound | LeaseHeld | StoreError>
  readonly release: (lease: Lease) => Effect.Effect<void, StoreError>
  /** Gives a run to a holder of this process, at an epoch that is durable or about to be, with what was accepted so far. */
  readonly hold: (run: Run, series: Series, epoch: number, holder: string, accepted: number) => Lease
  /** Makes the lease on a run void, and tells those who wait for it why, with the next wake-ups. */
  readonly letGo: (run: Run, why: StoreError | "lost") => void
  /** Claims the next epoch of a run that nobody holds for this instance; the run is `busy` then until that is written. */
  readonly claimEpoch: (id: string) => Effect.Effect<Epochs.Claimed, RunNotFound | LeaseHeld | StoreError>
  /** The run, if the lease on it is still good. */
  readonly holding: (lease: Lease) => Run | undefined
  /** Why it is not. */
  readonly refusal: (lease: Lease) => Effect.Effect<never, LeaseLost | StoreError>
  /** Fails unless the lease is still there on disk. */
  readonly confirm: (lease: Lease) => Effect.Effect<void, LeaseLost | StoreError>
  /** Waits until all that was accepted is durable; with `isLast` the run is let go of with the same write. */
  readonly awaitDurable: (
    run: Run,
    lease: Lease,
    isLast: boolean
  ) => Effect.Effect<void, LeaseLost | StoreError>
  /** Who holds a run and is there. */
  readonly ownerOf: (run: Run) => string | undefined
  /** Makes leases void: those with something unsynced, or all if this instance was taken over. */
  readonly onFailure: (why: StoreError | "lost") => void
  readonly hasAny: () => boolean
  /** Calls back whenever this instance comes to hold a run after having held none. */
  readonly onFirst: (callback: () => void) => void
}

/**
 * Two leases on one run can be for the same epoch, if a creation failed and the run was created again later, or if it was
 * deleted meanwhile. They never are for the same term.
 */
interface FileLease extends Lease {
  readonly term?: number
}

export interface Options extends Epochs.Options {
  readonly wakeups: Wakeups
}

export const make = (options: Options): Leases => {
  const { catalog, claims, observer, ownership, pump, wakeups } = options
  const held = new Set<Run>()
  let notifyFirst = (): void => {}

  let terms = 0
  const hold: Leases["hold"] = (run, series, epoch, holder, accepted) => {
    const lease: FileLease = { run: run.id, owner: series.owner, epoch, term: ++terms }
    run.lease = { epoch, term: terms, holder }
    run.voided = undefined
    run.accepted = accepted
    held.add(run)
    if (held.size === 1) notifyFirst()
    return lease
  }

  const wakeWaiters = (run: Run, why: StoreError | "lost"): void => {
    const waiting = run.waiters ?? []
    run.waiters = undefined
    for (const waiter of waiting) wakeups.later(() => waiter.done(why))
  }

  const letGo = (run: Run, why: StoreError | "lost"): void => {
    run.lease = undefined
    run.accepted = run.last
    held.delete(run)
    wakeWaiters(run, why)
  }

  const onFailure = (why: StoreError | "lost"): void => {
    for (const run of held) {
      if (run.lease === undefined) continue
      const { epoch } = run.lease
      if (why === "lost") {
        letGo(run, why)
        catalog.touch(run, touchedLease)
      } else if (run.accepted > run.last) {
        letGo(run, why)
        run.voided = { epoch, error: why }
        // One that could not even be created is not there.
        if (run.last < 0) continue
        run.owner = undefined
        run.crashed = true
        // Others learn it as soon as anything can be written again.
        pump.enqueueLazily(releasedLine(run, epoch, true))
      }
    }
    catalog.notify()
  }

  // -----------------------------------------------------------------------------------------------------------------
  // taking

  const { claimEpoch } = Epochs.make(options)

  const wasCrashed = (run: Run): boolean =>
    run.owner === undefined ? run.crashed : run.owner.own || run.owner.ended === "crashed"

  const acquire: Leases["acquire"] = (id, holder) =>
    Effect.uninterruptible(
      Effect.flatMap(claimEpoch(id), ({ epoch, run, series }) =>
        Effect.callback<Acquired, StoreError>((resume) => {
          const previous = wasCrashed(run) ? "crash" : "handover"
          // Durable before anybody hears of it: an epoch is never given twice, whatever happens.
          pump.enqueue({
            run: undefined,
            batch: undefined,
            before: [
              formatControl({
                $: "opened",
                run: id,
                epoch,
                ...withIncarnation(run.incarnation),
                seq: run.last
              })
            ],
            after: [],
            done: () => {
              run.busy = false
              catalog.takeOpened(series, id, epoch, run.incarnation, run.last)
              const lease = hold(run, series, epoch, holder, run.last)
              const head = { seq: run.last, hash: catalog.hashOf(run) }
              const acquired = { lease, previous, info: run.info!, head } as const
              wakeups.later(() => resume(Effect.succeed(acquired)))
            },
            failed: (why) => {
              run.busy = false
              wakeups.fork(
                Effect.ignore(claims.withdraw(series.id, { run: id, incarnation: run.incarnation, epoch }))
              )
              wakeups.later(() => resume(Effect.fail(asError(why))))
            }
          })
        })
      )
    )

  // -----------------------------------------------------------------------------------------------------------------
  // holding and letting go

  const holding: Leases["holding"] = (lease) => {
    const run = catalog.runs.get(lease.run)
    return run?.lease !== undefined &&
      run.lease.epoch === lease.epoch &&
      run.lease.term === ((lease as FileLease).term ?? run.lease.term) &&
      lease.owner === ownership.current()?.owner
      ? run
      : undefined
  }

  const lost = (lease: Lease): Effect.Effect<never, LeaseLost> =>
    Effect.fail(new LeaseLost({ run: lease.run, epoch: lease.epoch }))

  const refusal: Leases["refusal"] = (lease) => {
    const voided = catalog.runs.get(lease.run)?.voided
    return voided !== undefined && voided.epoch === lease.epoch ? Effect.fail(voided.error) : lost(lease)
  }

  /**
   * Looks again if this process may have been stopped since its lease was seen, for so long that it may have been taken over
   * meanwhile: what it does next, others may have done already.
   */
  const ensureRecent = (
    lease: Lease,
    series: Series | undefined
  ): Effect.Effect<void, LeaseLost | StoreError> =>
    Effect.suspend(() => {
      if (series === undefined) return lost(lease)
      if (ownership.isRecent(series)) return Effect.void
      return series === ownership.current() ? confirm(lease) : lost(lease)
    })

  const confirm: Leases["confirm"] = (lease) =>
    Effect.suspend(() => {
      const series = ownership.current()
      return Effect.flatMap(ownership.isHeld, (isHeld) => {
        if (isHeld) return ensureRecent(lease, series)
        if (ownership.current()?.owner === lease.owner && holding(lease) !== undefined) pump.giveUp()
        return lost(lease)
      })
    })

  /** Runs that are being let go of, and the outcome. */
  const releasing = new Map<
    Run,
    { readonly epoch: number; readonly outcome: Deferred.Deferred<void, StoreError> }
  >()

  /** Enqueues that a run is let go of, behind all that was appended to it. */
  const letGoOf = (run: Run, lease: Lease): Deferred.Deferred<void, StoreError> => {
    const { accepted } = run
    const outcome = Deferred.makeUnsafe<void, StoreError>()
    const settle = (effect: Effect.Effect<void, StoreError>): void => {
      run.busy = false
      releasing.delete(run)
      wakeups.later(() => Deferred.doneUnsafe(outcome, effect))
    }
    run.lease = undefined
    run.busy = true
    held.delete(run)
    releasing.set(run, { epoch: lease.epoch, outcome })
    pump.enqueue({
      run: undefined,
      batch: undefined,
      before: [releasedLine(run, lease.epoch, false)],
      after: [],
      done: () => {
        catalog.takeReleased(run.id, lease.epoch, run.incarnation, false)
        settle(Effect.void)
      },
      failed: (why) => {
        wakeWaiters(run, why)
        if (why === "lost") return settle(Effect.void)
        run.voided = { epoch: lease.epoch, error: why }
        run.accepted = run.last
        if (run.last >= 0) {
          run.owner = undefined
          run.crashed = accepted > run.last
          pump.enqueueLazily(releasedLine(run, lease.epoch, run.crashed))
        }
        settle(Effect.fail(why))
      }
    })
    return outcome
  }

  const awaitDurable: Leases["awaitDurable"] = (run, lease, isLast) =>
    Effect.suspend(() => {
      const series = ownership.current()
      const durable = awaitWritten(run, lease, isLast)
      // Nothing is begun under a lease that was let go of.
      return isLast ? durable : Effect.andThen(durable, ensureRecent(lease, series))
    })

  const awaitWritten: Leases["awaitDurable"] = (run, lease, isLast) =>
    Effect.callback<void, LeaseLost | StoreError>((resume) => {
      const waiter = {
        seq: run.accepted,
        done: (error: StoreError | "lost" | undefined) =>
          resume(
            error === undefined
              ? Effect.void
              : Effect.fail(error === "lost" ? new LeaseLost({ run: lease.run, epoch: lease.epoch }) : error)
          )
      }
      const waiters = (run.waiters ??= [])
      waiters.push(waiter)
      if (isLast) letGoOf(run, lease)
      else pump.hurry()
      return Effect.sync(() => {
        const at = run.waiters?.indexOf(waiter) ?? -1
        if (at >= 0) run.waiters!.splice(at, 1)
      })
    })

  const release = (lease: Lease): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      const run = holding(lease)
      if (run !== undefined) return Deferred.await(letGoOf(run, lease))
      const known = catalog.runs.get(lease.run)
      const under = known === undefined ? undefined : releasing.get(known)
      if (under?.epoch === lease.epoch) return Deferred.await(under.outcome)
      return known?.voided?.epoch === lease.epoch ? Effect.fail(known.voided.error) : Effect.void
    })

  return {
    acquire,
    release,
    hold,
    letGo,
    claimEpoch,
    holding,
    refusal,
    confirm,
    awaitDurable,
    onFailure,
    ownerOf: (run) => {
      const { owner } = run
      if (owner === undefined) return undefined
      if (owner.own) return run.lease !== undefined || run.busy ? owner.owner : undefined
      return observer.isLive(owner) ? ownerOfSeries(owner.id) : undefined
    },
    hasAny: () => held.size > 0,
    onFirst: (callback) => {
      notifyFirst = callback
    }
  }
}
