/**
 * Which runs this instance holds. Nobody else writes, so what is durable of that is for whoever comes after a crash.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { LeaseHeld, LeaseLost, RunNotFound } from "@waymark/core/Store"
import type { Acquired, Batch, Lease, StoreError } from "@waymark/core/Store"
import type { Wakeups } from "@waymark/store-kit/Wakeups"
import { step } from "./operation.ts"
import type { RunRow } from "./query.ts"
import type { Writer } from "./writer.ts"

interface Waiter {
  readonly seq: number
  readonly done: (why: StoreError | undefined) => void
}

export interface Held {
  readonly run: string
  readonly epoch: number
  readonly term: number
  /** The positions of the last entry that was accepted, and that is durable. */
  accepted: number
  durable: number
  waiters: Array<Waiter>
}

/** Two leases on one run can be for the same epoch, if its creation failed. They never are for the same term. */
interface GivenLease extends Lease {
  readonly term?: number
}

export interface Leases {
  readonly acquire: (run: string) => Effect.Effect<Acquired, RunNotFound | LeaseHeld | StoreError>
  readonly release: (lease: Lease) => Effect.Effect<void, StoreError>
  /** Gives a run to a holder of this process. */
  readonly hold: (run: string, epoch: number, accepted: number, durable: number) => Lease
  readonly holding: (lease: Lease) => Held | undefined
  /** Why a lease is void. */
  readonly refusal: (lease: Lease) => Effect.Effect<never, LeaseLost | StoreError>
  /** Notes that a run is durable up to a position. */
  readonly confirm: (lease: Lease, upTo: number) => void
  readonly append: (held: Held, batch: Batch) => void
  readonly awaitDurable: (held: Held) => Effect.Effect<void, StoreError>
  /** Makes a lease void: the run is gone. */
  readonly drop: (run: string) => void
  readonly onFailure: (why: StoreError) => void
  /** Does something with a run while nobody else takes it, lets go of it or deletes it. */
  readonly exclusively: <A, E>(run: string, work: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Runs that nobody holds though the database says so. */
  readonly free: () => ReadonlyArray<string>
  readonly isFree: (run: string) => boolean
}

export interface Options {
  readonly owner: string
  readonly writer: () => Writer
  readonly wakeups: Wakeups
  readonly find: (run: string) => RunRow | undefined
}

export const make = ({ find, owner, wakeups, writer }: Options): Leases => {
  const held = new Map<string, Held>()
  /** Why leases are void, until the run is held again. */
  const voided = new Map<
    string,
    { readonly term: number; readonly why: StoreError; readonly there: boolean }
  >()
  /** What is being done with runs, one thing at a time. */
  const busy = new Map<string, Deferred.Deferred<void>>()
  let terms = 0

  const exclusively: Leases["exclusively"] = (run, work) =>
    Effect.suspend(() => {
      const other = busy.get(run)
      if (other !== undefined) return Effect.andThen(Deferred.await(other), exclusively(run, work))
      const mine = Deferred.makeUnsafe<void>()
      busy.set(run, mine)
      return Effect.ensuring(
        work,
        Effect.sync(() => {
          busy.delete(run)
          Deferred.doneUnsafe(mine, Effect.void)
        })
      )
    })

  const hold: Leases["hold"] = (run, epoch, accepted, durable) => {
    const term = ++terms
    held.set(run, { run, epoch, term, accepted, durable, waiters: [] })
    voided.delete(run)
    const lease: GivenLease = { run, owner, epoch, term }
    return lease
  }

  const isSame = ({ epoch, term }: Held, lease: GivenLease): boolean =>
    epoch === lease.epoch && term === (lease.term ?? term)

  const holding: Leases["holding"] = (lease) => {
    const known = held.get(lease.run)
    return known !== undefined && lease.owner === owner && isSame(known, lease) ? known : undefined
  }

  const tell = (known: Held, why: StoreError | undefined): void => {
    const { waiters } = known
    known.waiters = []
    for (const waiter of waiters) {
      if (why !== undefined || waiter.seq <= known.durable) wakeups.later(() => waiter.done(why))
      else known.waiters.push(waiter)
    }
  }

  const invalidate = (known: Held, why: StoreError): void => {
    if (held.get(known.run) === known) held.delete(known.run)
    // One that could not even be created is not there.
    const there = known.durable >= 0
    voided.set(known.run, { term: known.term, why, there })
    if (there) {
      // Those who come later learn it as soon as anything can be written again.
      writer().enqueueLazily([step({ $: "released", run: known.run, epoch: known.epoch, lost: true })])
    }
    tell(known, why)
  }

  const acquire: Leases["acquire"] = (run) =>
    Effect.uninterruptible(
      exclusively(
        run,
        Effect.suspend((): Effect.Effect<Acquired, RunNotFound | LeaseHeld | StoreError> => {
          if (held.has(run)) return new LeaseHeld({ run, owner })
          const row = find(run)
          if (row === undefined) return new RunNotFound({ run })
          const epoch = row.epoch + 1
          return Effect.callback((resume) => {
            // Durable before anybody hears of it: an epoch is never given twice, whatever happens.
            writer().enqueue({
              steps: [step({ $: "leased", run, epoch, owner })],
              done: () => {
                // Nobody here holds it: an owner that is still named was lost.
                const previous = row.crashed || row.owner !== undefined ? "crash" : "handover"
                const lease = hold(run, epoch, row.head.seq, row.head.seq)
                wakeups.later(() =>
                  resume(Effect.succeed({ lease, previous, info: row.info, head: row.head }))
                )
              },
              failed: (why) => wakeups.later(() => resume(Effect.fail(why)))
            })
          })
        })
      )
    )

  const release: Leases["release"] = (lease) =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        const known = holding(lease)
        if (known === undefined) {
          const why = voided.get(lease.run)
          // Somebody may be letting go of it just now.
          if (why === undefined)
            return busy.has(lease.run) ? exclusively(lease.run, Effect.void) : Effect.void
          return why.term === (lease as GivenLease).term ? Effect.fail(why.why) : Effect.void
        }
        held.delete(lease.run)
        return exclusively(
          lease.run,
          Effect.callback<void, StoreError>((resume) => {
            writer().enqueue({
              steps: [step({ $: "released", run: lease.run, epoch: lease.epoch })],
              done: () => {
                known.durable = known.accepted
                tell(known, undefined)
                wakeups.later(() => resume(Effect.void))
              },
              failed: (why) => {
                invalidate(known, why)
                wakeups.later(() => resume(Effect.fail(why)))
              }
            })
          })
        )
      })
    )

  const confirmHeld = (known: Held, upTo: number): void => {
    known.durable = Math.max(known.durable, upTo)
    tell(known, undefined)
  }

  return {
    acquire,
    release,
    hold,
    holding,
    refusal: (lease) => {
      const why = voided.get(lease.run)
      return why !== undefined && why.term === (lease as GivenLease).term
        ? Effect.fail(why.why)
        : Effect.fail(new LeaseLost({ run: lease.run, epoch: lease.epoch }))
    },
    confirm: (lease, upTo) => {
      const known = holding(lease)
      if (known !== undefined) confirmHeld(known, upTo)
    },
    append: (known, { entries, head }) => {
      const last = entries[entries.length - 1]!.event.seq
      known.accepted = last
      writer().enqueueSoon({
        steps: [step({ $: "appended", run: known.run, head, entries: entries.length }, entries)],
        done: () => confirmHeld(known, last),
        // What becomes of the run then is decided for all that it waited to write.
        failed: () => {}
      })
    },
    awaitDurable: (known) =>
      Effect.callback<void, StoreError>((resume) => {
        const waiter: Waiter = {
          seq: known.accepted,
          done: (why) => resume(why === undefined ? Effect.void : Effect.fail(why))
        }
        known.waiters.push(waiter)
        writer().hurry()
        return Effect.sync(() => {
          known.waiters = known.waiters.filter((other) => other !== waiter)
        })
      }),
    drop: (run) => {
      const known = held.get(run)
      held.delete(run)
      voided.delete(run)
      if (known !== undefined) tell(known, undefined)
    },
    onFailure: (why) => {
      for (const known of held.values()) if (known.accepted > known.durable) invalidate(known, why)
    },
    exclusively,
    free: () => [...voided].flatMap(([run, { there }]) => (there ? [run] : [])),
    isFree: (run) => voided.get(run)?.there === true
  }
}
