/**
 * Who gets the next epoch of a run, and from where it goes on.
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"
import { LeaseHeld, RunNotFound } from "@waymark/core/Store"
import type { Catalog } from "./catalog.ts"
import type { Claim, Claims } from "./claims.ts"
import type { Contest } from "./contest.ts"
import { failure } from "@waymark/store-kit/Failures"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Damage, Run, Series } from "./model.ts"
import type { Observer } from "./observer.ts"
import type { Ownership } from "./ownership.ts"
import type { Pump } from "./pump.ts"
import { damageOf, ensureAbsent, ensureThere } from "./reading.ts"

/** A run whose next epoch this instance has claimed. */
export interface Claimed {
  readonly run: Run
  readonly epoch: number
  readonly series: Series
}

export interface Epochs {
  /** Claims the next epoch of a run that nobody holds for this instance; the run is `busy` then until that is written. */
  readonly claimEpoch: (id: string) => Effect.Effect<Claimed, RunNotFound | LeaseHeld | StoreError>
}

export interface Options {
  readonly catalog: Catalog
  readonly claims: Claims
  readonly contest: Contest
  readonly identity: ProcessIdentity["Service"]
  readonly observer: Observer
  readonly ownership: Ownership
  readonly pump: Pump
}

export const make = ({ catalog, claims, contest, identity, observer, ownership, pump }: Options): Epochs => {
  /** Whether everything was read that is known to come before something else. */
  const isWhole = (run: Run): boolean => run.parked === undefined && run.last >= run.reach

  /** Claims an epoch; `undefined` if another instance has done so, which is out of the way now. */
  const contend = Effect.fnUntraced(function* (run: Run, claim: Claim, series: Series) {
    const { epoch, run: id } = claim
    const { holder, renewed } = yield* claims.claim(series.id, claim)
    if (renewed) yield* observer.survey
    if (holder === series.id) {
      if (catalog.find(id) === run && run.epoch === epoch - 1 && isWhole(run) && series.own)
        return { run, epoch, series }
      yield* claims.withdraw(series.id, claim)
      return undefined
    }
    yield* observer.survey
    if (holder !== undefined && contest.isGone(holder)) {
      yield* claims.withdraw(holder, claim)
      return undefined
    }
    const other = holder === undefined ? undefined : catalog.series.get(holder)
    if (other === undefined || run.epoch >= epoch) return undefined
    if (observer.isLive(other)) return yield* new LeaseHeld({ run: id, owner: other.owner })
    yield* contest.dispossess(other)
    return undefined
  })

  /** Claims the next epoch of a run that nobody holds, for this instance. */
  const claimEpoch = Effect.fnUntraced(function* (id: string) {
    const since = identity.monotonic()
    while (true) {
      yield* observer.refresh
      // From here until the run is busy nothing else may happen, or what is found would not hold any more.
      const run = catalog.find(id)
      if (run === undefined) {
        yield* ensureAbsent(catalog, id)
        return yield* new RunNotFound({ run: id })
      }
      if (run.lease !== undefined || run.busy)
        return yield* new LeaseHeld({ run: id, owner: ownership.current()?.owner ?? "" })
      const { owner } = run
      if (owner !== undefined && !owner.own && owner.ended === undefined) {
        if (observer.isLive(owner)) return yield* new LeaseHeld({ run: id, owner: owner.owner })
        yield* contest.dispossess(owner)
        continue
      }
      const damage = damageOf(catalog, run)
      if (run.info === undefined || damage !== undefined) return yield* damaged(run, damage)
      if (catalog.doubts.deletionOf(run) !== undefined) {
        yield* ensureThere(catalog, run)
        continue
      }
      if (!isWhole(run)) {
        // It may be what this instance wrote itself, before it was taken over, and it does not know that yet.
        if (ownership.current() !== undefined && !(yield* ownership.isHeld)) pump.giveUp()
        let upTo = run.parked === undefined ? run.reach : Number.POSITIVE_INFINITY
        for (const seq of run.parked?.keys() ?? []) upTo = Math.min(upTo, seq - 1)
        yield* contest.waitFor(
          since,
          `run ${JSON.stringify(id)} goes up to seq ${upTo} at least, and is found up to seq ${run.last} only`
        )
        continue
      }
      const series = ownership.current()
      if (series === undefined) {
        yield* ownership.ensure
        continue
      }
      run.busy = true
      const epoch = run.epoch + 1
      const claim: Claim = { run: id, incarnation: run.incarnation, epoch }
      const release = Effect.sync(() => {
        run.busy = false
      })
      const taken = yield* contend(run, claim, series).pipe(Effect.onError(() => release))
      if (taken !== undefined) return taken
      yield* release
    }
  })

  const damaged = (run: Run, damage: Damage | undefined): Effect.Effect<never, StoreError> =>
    failure({
      _tag: "Corrupt",
      run: run.id,
      detail: damage?.detail ?? "its first entry is missing",
      ...(damage === undefined ? undefined : { path: damage.path, offset: damage.offset, seq: damage.seq })
    })

  return { claimEpoch }
}
