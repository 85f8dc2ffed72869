/**
 * Creating runs: of all that want one id, one gets it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { RunExists } from "@waymark/core/Store"
import type { Batch, Lease, StoreError } from "@waymark/core/Store"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Catalog } from "./catalog.ts"
import type { Claim, Claims, RunKey } from "./claims.ts"
import type { Contest } from "./contest.ts"
import { asError, releasedLine } from "./contest.ts"
import { failure } from "@waymark/store-kit/Failures"
import { formatControl, withIncarnation } from "./format.ts"
import type { Leases } from "./leases.ts"
import type { Observer } from "./observer.ts"
import type { Ownership } from "./ownership.ts"
import type { Pump } from "./pump.ts"
import { ensureAbsent } from "./reading.ts"
import type { Wakeups } from "@waymark/store-kit/Wakeups"

export interface Creation {
  /** With `ahead` it does not wait until the run of a holder is durable. */
  readonly create: (
    batch: Batch,
    holder: string | undefined,
    ahead: boolean
  ) => Effect.Effect<Lease, RunExists | StoreError>
  /** Whether this instance is just creating a run of this id. */
  readonly isCreating: (id: string) => boolean
}

export interface Options {
  readonly catalog: Catalog
  readonly claims: Claims
  readonly contest: Contest
  readonly identity: ProcessIdentity["Service"]
  readonly leases: Leases
  readonly observer: Observer
  readonly ownership: Ownership
  readonly pump: Pump
  readonly wakeups: Wakeups
}

export const make = (options: Options): Creation => {
  const { catalog, claims, contest, identity, leases, observer, ownership, pump, wakeups } = options

  /** Claims the id of a new run for this instance; its incarnation. */
  const claimId = Effect.fnUntraced(function* (id: string, origin: string | undefined) {
    const since = identity.monotonic()
    while (true) {
      if (catalog.find(id) !== undefined) {
        // Another instance may have deleted it.
        yield* observer.refresh
        if (catalog.find(id) !== undefined) return yield* new RunExists({ run: id })
      }
      yield* ensureAbsent(catalog, id)
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
      if (holder !== undefined && contest.isGone(holder)) {
        yield* claims.withdraw(holder, claim)
      } else if (other !== undefined && !observer.isLive(other)) {
        yield* contest.dispossess(other)
      } else {
        yield* contest.waitFor(
          since,
          `another process has begun to create run ${JSON.stringify(id)} and does not finish`
        )
      }
    }
  })

  const creating = new Map<string, Array<() => void>>()

  /** Claims the id and writes the entries; whoever else wants this id waits until `finished`. */
  const write = Effect.fnUntraced(function* (
    batch: Batch,
    holder: string | undefined,
    ahead: boolean,
    restore: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>,
    finished: () => void
  ): Effect.fn.Return<Lease, RunExists | StoreError> {
    const { event } = batch.entries[0]
    const id = event.run
    const origin = event.kind === "forked" ? event.from.run : undefined
    const { claim, series } = yield* claimId(id, origin).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          finished()
          wakeups.flush()
        })
      )
    )
    const run = catalog.expect(id)
    run.incarnation = claim.incarnation
    // A journal that was written elsewhere may have been written under several epochs.
    const { epoch, seq: accepted } = batch.entries[batch.entries.length - 1]!.event
    let lease: Lease =
      holder !== undefined && ahead
        ? leases.hold(run, series, epoch, holder, accepted)
        : { run: id, owner: series.owner, epoch }
    let abandoned = false
    const outcome = ahead ? undefined : Deferred.makeUnsafe<Lease, StoreError>()
    const answer = (effect: Effect.Effect<Lease, StoreError>): void => {
      if (outcome !== undefined) wakeups.later(() => Deferred.doneUnsafe(outcome, effect))
    }
    const enqueue = ahead ? pump.enqueueSoon : pump.enqueue
    enqueue({
      run,
      batch,
      before:
        claim.incarnation === 1
          ? []
          : [formatControl({ $: "born", run: id, ...withIncarnation(claim.incarnation) })],
      after: holder === undefined ? [releasedLine(run, epoch, false)] : [],
      done: () => {
        if (claim.incarnation !== 1) series.incarnations.set(id, claim.incarnation)
        if (holder === undefined) {
          run.owner = undefined
          run.accepted = run.last
        } else if (!ahead) {
          lease = leases.hold(run, series, epoch, holder, accepted)
          if (abandoned) wakeups.fork(Effect.ignore(leases.release(lease)))
        }
        finished()
        answer(Effect.succeed(lease))
      },
      failed: (why) => {
        finished()
        wakeups.fork(Effect.ignore(claims.withdraw(series.id, claim)))
        answer(Effect.fail(asError(why)))
      }
    })
    if (outcome === undefined) return lease
    return yield* restore(Deferred.await(outcome)).pipe(
      // Whoever wanted it is gone: nobody would ever let go of it.
      Effect.onInterrupt(() =>
        Effect.suspend(() => {
          abandoned = true
          return holder !== undefined && run.lease?.epoch === epoch
            ? Effect.ignore(leases.release(lease))
            : Effect.void
        })
      )
    )
  })

  const create: Creation["create"] = (batch, holder, ahead) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<Lease, RunExists | StoreError> => {
        const id = batch.entries[0].event.run
        const under = creating.get(id)
        if (under !== undefined) {
          // What becomes of the other decides.
          const over = Effect.callback<void>((resume) => {
            under.push(() => resume(Effect.void))
            pump.hurry()
          })
          return Effect.andThen(restore(over), create(batch, holder, ahead))
        }
        creating.set(id, [])
        return write(batch, holder, ahead, restore, () => {
          const waiting = creating.get(id) ?? []
          creating.delete(id)
          for (const resume of waiting) wakeups.later(resume)
        })
      })
    )

  return { create, isCreating: (id) => creating.has(id) }
}
