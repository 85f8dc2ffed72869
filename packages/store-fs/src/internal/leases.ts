/**
 * Which runs this instance holds: creating, taking, letting go of and deleting them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as RunInfo from "@waymark/core/RunInfo"
import type { Acquired, Batch, Lease, StoreError } from "@waymark/core/Store"
import { LeaseHeld, LeaseLost, RunExists, RunInUse, RunNotFound } from "@waymark/core/Store"
import type { ProcessIdentity } from "../ProcessIdentity.ts"
import type { Catalog } from "./catalog.ts"
import type { Claim, Claims, RunKey } from "./claims.ts"
import { failure } from "./failures.ts"
import { formatControl, ownerOf as ownerOfSeries, withIncarnation } from "./format.ts"
import { touchedLease } from "./model.ts"
import type { Run, Series } from "./model.ts"
import type { Observer } from "./observer.ts"
import type { Ownership } from "./ownership.ts"
import type { Pump } from "./pump.ts"

export interface Leases {
  readonly create: (batch: Batch, holder: string | undefined) => Effect.Effect<Lease, RunExists | StoreError>
  readonly acquire: (
    id: string,
    holder: string
  ) => Effect.Effect<Acquired, RunNotFound | LeaseHeld | StoreError>
  readonly release: (lease: Lease) => Effect.Effect<void, StoreError>
  readonly delete: (id: string) => Effect.Effect<void, RunNotFound | RunInUse | StoreError>
  /** The run, if the lease on it is still good. */
  readonly holding: (lease: Lease) => Run | undefined
  /** Why it is not. */
  readonly refusal: (lease: Lease) => Effect.Effect<never, LeaseLost | StoreError>
  /** Fails unless the lease is still there on disk. */
  readonly confirm: (lease: Lease) => Effect.Effect<void, LeaseLost | StoreError>
  /** Waits until all that was accepted is durable. */
  readonly awaitDurable: (run: Run, lease: Lease) => Effect.Effect<void, LeaseLost | StoreError>
  /** Who holds a run and is there. */
  readonly ownerOf: (run: Run) => string | undefined
  /** Makes leases void: those with something unsynced, or all if this instance was taken over. */
  readonly onFailure: (why: StoreError | "lost") => void
  readonly hasAny: () => boolean
  /** Calls back whenever this instance comes to hold a run after having held none. */
  readonly onFirst: (callback: () => void) => void
}

export interface Options {
  readonly catalog: Catalog
  readonly claims: Claims
  readonly identity: ProcessIdentity["Service"]
  readonly observer: Observer
  readonly ownership: Ownership
  readonly pump: Pump
}

/** How long to wait for another process to finish what it has begun with a run, in milliseconds. */
const patience = 5000
const patienceStep = 5

const takenOver = (): StoreError =>
  failure({
    _tag: "Busy",
    detail: "this process was taken for dead and its part of the store was taken over; try again"
  })

const asError = (why: StoreError | "lost"): StoreError => (why === "lost" ? takenOver() : why)

export const make = ({ catalog, claims, identity, observer, ownership, pump }: Options): Leases => {
  const held = new Set<Run>()
  let notifyFirst = (): void => {}

  const hold = (run: Run, epoch: number, holder: string): void => {
    run.lease = { epoch, holder }
    run.voided = undefined
    run.accepted = run.last
    held.add(run)
    if (held.size === 1) notifyFirst()
  }

  const letGo = (run: Run): void => {
    run.lease = undefined
    run.accepted = run.last
    held.delete(run)
  }

  const wakeWaiters = (run: Run, why: StoreError | "lost"): void => {
    const waiting = run.waiters ?? []
    run.waiters = undefined
    for (const waiter of waiting) waiter.done(why)
  }

  const releasedLine = (run: Run, epoch: number, lost: boolean): string =>
    formatControl({
      $: "released",
      run: run.id,
      epoch,
      ...withIncarnation(run.incarnation),
      ...(lost ? { lost: true as const } : undefined)
    })

  const onFailure = (why: StoreError | "lost"): void => {
    for (const run of held) {
      if (run.lease === undefined) continue
      const { epoch } = run.lease
      if (why === "lost") {
        letGo(run)
        catalog.touch(run, touchedLease)
      } else if (run.accepted > run.last) {
        letGo(run)
        run.voided = { epoch, error: why }
        run.owner = undefined
        run.crashed = true
        // Others learn it as soon as anything can be written again.
        pump.enqueueLazily(releasedLine(run, epoch, true))
      }
      wakeWaiters(run, why)
    }
    catalog.notify()
  }

  /** Whether a series may still write: as far as is known after a look. */
  const isGone = (id: string): boolean => {
    const series = catalog.series.get(id)
    return series === undefined || series.ended !== undefined
  }

  /** Waits for a moment, or gives up if that was tried for too long. */
  const waitFor = (since: number, detail: string): Effect.Effect<void, StoreError> =>
    identity.monotonic() - since > patience ? failure({ _tag: "Busy", detail }) : identity.pause(patienceStep)

  /** Ends the series of an owner that is not there any more, so that what it claimed is free. */
  const dispossess = (series: Series): Effect.Effect<void, StoreError> =>
    Effect.andThen(ownership.takeOver(series), observer.survey)

  // -----------------------------------------------------------------------------------------------------------------
  // creating

  /** Claims the id of a new run for this instance; its incarnation. */
  const claimId = Effect.fnUntraced(function* (id: string, origin: string | undefined) {
    const since = identity.monotonic()
    while (true) {
      if (catalog.find(id) !== undefined) {
        // Another instance may have deleted it.
        yield* observer.refresh
        if (catalog.find(id) !== undefined) return yield* new RunExists({ run: id })
      }
      const series = yield* ownership.ensure
      const incarnation = (catalog.tombstones.get(id) ?? 0) + 1
      const claim: Claim = { run: id, incarnation, epoch: 0 }
      const originKey: RunKey | undefined =
        origin === undefined ? undefined : { run: origin, incarnation: catalog.expect(origin).incarnation }
      const { holder, refused, renewed } = yield* claims.claim(series.id, claim, originKey)
      if (refused) {
        return yield* failure({
          _tag: "Invalid",
          detail: `run ${JSON.stringify(origin)}, which this one is to be forked from, is being deleted`
        })
      }
      if (renewed) yield* observer.survey
      if (holder === series.id) {
        const outdated = (catalog.tombstones.get(id) ?? 0) >= incarnation
        if (!outdated && catalog.find(id) === undefined) return { claim, series }
        yield* claims.withdraw(series.id, claim)
        continue
      }
      yield* observer.survey
      if (catalog.find(id) !== undefined || (catalog.tombstones.get(id) ?? 0) >= incarnation) continue
      const other = holder === undefined ? undefined : catalog.series.get(holder)
      if (holder !== undefined && isGone(holder)) {
        yield* claims.withdraw(holder, claim)
      } else if (other !== undefined && !observer.isLive(other)) {
        yield* dispossess(other)
      } else {
        yield* waitFor(
          since,
          `another process has begun to create run ${JSON.stringify(id)} and does not finish`
        )
      }
    }
  })

  const creating = new Map<string, Array<() => void>>()

  /** Claims the id, writes the entries, and waits for them; whoever waits for this id waits until `finished`. */
  const write = (
    batch: Batch,
    holder: string | undefined,
    restore: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>,
    finished: () => void
  ): Effect.Effect<Lease, RunExists | StoreError> =>
    Effect.gen(function* () {
      const { event } = batch.entries[0]
      const id = event.run
      const origin = event.kind === "forked" ? event.from.run : undefined
      const { claim, series } = yield* claimId(id, origin).pipe(Effect.onError(() => Effect.sync(finished)))
      const lease: Lease = { run: id, owner: series.owner, epoch: 0 }
      let abandoned = false
      const outcome = Deferred.makeUnsafe<Lease, StoreError>()
      const run = catalog.expect(id)
      run.incarnation = claim.incarnation
      pump.enqueue({
        run,
        batch,
        before:
          claim.incarnation === 1
            ? []
            : [formatControl({ $: "born", run: id, ...withIncarnation(claim.incarnation) })],
        after: holder === undefined ? [releasedLine(run, 0, false)] : [],
        done: () => {
          if (claim.incarnation !== 1) series.incarnations.set(id, claim.incarnation)
          if (holder === undefined) {
            run.owner = undefined
            run.accepted = run.last
          } else {
            hold(run, 0, holder)
            if (abandoned) Effect.runFork(Effect.ignore(release(lease)))
          }
          finished()
          Deferred.doneUnsafe(outcome, Effect.succeed(lease))
        },
        failed: (why) => {
          finished()
          Effect.runFork(Effect.ignore(claims.withdraw(series.id, claim)))
          Deferred.doneUnsafe(outcome, Effect.fail(asError(why)))
        }
      })
      return yield* restore(Deferred.await(outcome)).pipe(
        // Whoever wanted it is gone: nobody would ever let go of it.
        Effect.onInterrupt(() =>
          Effect.suspend(() => {
            abandoned = true
            return holder !== undefined && run.lease?.epoch === 0
              ? Effect.ignore(release(lease))
              : Effect.void
          })
        )
      )
    })

  const create: Leases["create"] = (batch, holder) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<Lease, RunExists | StoreError> => {
        const id = batch.entries[0].event.run
        const under = creating.get(id)
        if (under !== undefined) {
          // What becomes of the other decides.
          const over = Effect.callback<void>((resume) => {
            under.push(() => resume(Effect.void))
          })
          return Effect.andThen(restore(over), create(batch, holder))
        }
        creating.set(id, [])
        return write(batch, holder, restore, () => {
          const waiting = creating.get(id) ?? []
          creating.delete(id)
          for (const resume of waiting) resume()
        })
      })
    )

  // -----------------------------------------------------------------------------------------------------------------
  // taking

  /** Makes sure that nobody who is there holds the run; says who does. */
  const vacate = Effect.fnUntraced(function* (run: Run) {
    const { owner } = run
    if (owner === undefined || owner.own || owner.ended !== undefined) return undefined
    if (observer.isLive(owner)) return owner
    yield* dispossess(owner)
    return undefined
  })

  /** Claims the next epoch of a run that nobody holds, for this instance. */
  const claimEpoch = Effect.fnUntraced(function* (id: string) {
    while (true) {
      yield* observer.refresh
      const run = catalog.find(id)
      if (run === undefined) return yield* new RunNotFound({ run: id })
      if (run.lease !== undefined || run.busy)
        return yield* new LeaseHeld({ run: id, owner: ownership.current()?.owner ?? "" })
      const owner = yield* vacate(run)
      if (owner !== undefined) return yield* new LeaseHeld({ run: id, owner: owner.owner })
      if (catalog.find(id) !== run) continue
      if (run.info === undefined || run.damage !== undefined) return yield* damaged(run)
      const series = yield* ownership.ensure
      // In the meantime another holder of this process may have come.
      if (run.lease !== undefined || run.busy) continue
      run.busy = true
      const epoch = run.epoch + 1
      const claim: Claim = { run: id, incarnation: run.incarnation, epoch }
      const release = Effect.sync(() => {
        run.busy = false
      })
      const taken = yield* Effect.gen(function* () {
        const { holder, renewed } = yield* claims.claim(series.id, claim)
        if (renewed) yield* observer.survey
        if (holder === series.id) {
          if (catalog.find(id) === run && run.epoch === epoch - 1 && series.own) return { run, epoch, series }
          yield* claims.withdraw(series.id, claim)
          return undefined
        }
        yield* observer.survey
        if (holder !== undefined && isGone(holder)) {
          yield* claims.withdraw(holder, claim)
          return undefined
        }
        const other = holder === undefined ? undefined : catalog.series.get(holder)
        if (other === undefined || run.epoch >= epoch) return undefined
        if (observer.isLive(other)) return yield* new LeaseHeld({ run: id, owner: other.owner })
        yield* dispossess(other)
        return undefined
      }).pipe(Effect.onError(() => release))
      if (taken !== undefined) return taken
      yield* release
    }
  })

  const damaged = (run: Run): Effect.Effect<never, StoreError> => {
    const { damage } = run
    return failure({
      _tag: "Corrupt",
      run: run.id,
      detail: damage?.detail ?? "its first entry is missing",
      ...(damage === undefined ? undefined : { path: damage.path, offset: damage.offset, seq: damage.seq })
    })
  }

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
            before: [formatControl({ $: "opened", run: id, epoch, ...withIncarnation(run.incarnation) })],
            after: [],
            done: () => {
              run.busy = false
              catalog.takeOpened(series, id, epoch, run.incarnation)
              hold(run, epoch, holder)
              const head = { seq: run.last, hash: catalog.hashOf(run) }
              const lease: Lease = { run: id, owner: series.owner, epoch }
              resume(Effect.succeed({ lease, previous, info: run.info!, head }))
            },
            failed: (why) => {
              run.busy = false
              Effect.runFork(
                Effect.ignore(claims.withdraw(series.id, { run: id, incarnation: run.incarnation, epoch }))
              )
              resume(Effect.fail(asError(why)))
            }
          })
        })
      )
    )

  // -----------------------------------------------------------------------------------------------------------------
  // holding and letting go

  const holding: Leases["holding"] = (lease) => {
    const run = catalog.runs.get(lease.run)
    return run?.lease?.epoch === lease.epoch && lease.owner === ownership.current()?.owner ? run : undefined
  }

  const refusal: Leases["refusal"] = (lease) => {
    const voided = catalog.runs.get(lease.run)?.voided
    return voided !== undefined && voided.epoch === lease.epoch
      ? Effect.fail(voided.error)
      : Effect.fail(new LeaseLost({ run: lease.run, epoch: lease.epoch }))
  }

  const confirm: Leases["confirm"] = (lease) =>
    Effect.flatMap(ownership.isHeld, (isHeld) => {
      if (isHeld) return Effect.void
      if (ownership.current()?.owner === lease.owner && holding(lease) !== undefined) pump.giveUp()
      return Effect.fail(new LeaseLost({ run: lease.run, epoch: lease.epoch }))
    })

  const awaitDurable: Leases["awaitDurable"] = (run, lease) =>
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
      return Effect.sync(() => {
        const at = run.waiters?.indexOf(waiter) ?? -1
        if (at >= 0) run.waiters!.splice(at, 1)
      })
    })

  /** Runs that are being let go of, and the outcome. */
  const releasing = new Map<
    Run,
    { readonly epoch: number; readonly outcome: Deferred.Deferred<void, StoreError> }
  >()

  const release = (lease: Lease): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      const run = holding(lease)
      if (run === undefined) {
        const known = catalog.runs.get(lease.run)
        const under = known === undefined ? undefined : releasing.get(known)
        if (under?.epoch === lease.epoch) return Deferred.await(under.outcome)
        return known?.voided?.epoch === lease.epoch ? Effect.fail(known.voided.error) : Effect.void
      }
      const { accepted } = run
      const outcome = Deferred.makeUnsafe<void, StoreError>()
      const settle = (effect: Effect.Effect<void, StoreError>): void => {
        run.busy = false
        releasing.delete(run)
        Deferred.doneUnsafe(outcome, effect)
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
          run.owner = undefined
          run.crashed = accepted > run.last
          run.voided = { epoch: lease.epoch, error: why }
          run.accepted = run.last
          pump.enqueueLazily(releasedLine(run, lease.epoch, run.crashed))
          settle(Effect.fail(why))
        }
      })
      return Deferred.await(outcome)
    })

  // -----------------------------------------------------------------------------------------------------------------
  // deleting

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
        letGo(run)
        wakeWaiters(run, "lost")
        run.busy = true
        return run
      }
      const outcome = yield* claimEpoch(id).pipe(
        Effect.map((taken) => {
          taken.run.epoch = taken.epoch
          taken.run.owner = taken.series
          return taken.run
        }),
        Effect.catchTag("LeaseHeld", (error) =>
          // It has ended, so its owner is about to let go of it.
          identity.monotonic() - since > patience
            ? Effect.fail(new RunInUse({ run: id, detail: `it still belongs to ${error.owner}` }))
            : Effect.as(identity.pause(patienceStep), undefined)
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
        if (done || isGone(series)) break
        const other = catalog.series.get(series)!
        if (other.own && !creating.has(fork.run)) break
        if (!observer.isLive(other)) yield* dispossess(other)
        else
          yield* waitFor(
            since,
            `another process has begun to fork run ${JSON.stringify(run.id)} and does not finish`
          )
      }
    }
  })

  const remove = (id: string): Effect.Effect<void, RunNotFound | RunInUse | StoreError> =>
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
              before: [formatControl({ $: "deleted", run: id, incarnation: run.incarnation })],
              after: [],
              done: () => {
                catalog.takeDeleted(id, run.incarnation)
                resume(Effect.void)
              },
              failed: (why) => resume(Effect.fail(asError(why)))
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

  return {
    create,
    acquire,
    release,
    delete: remove,
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
