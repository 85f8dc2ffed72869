/**
 * A user of a store who notes what it is told, and tries again what fails.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Batch } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import { broken, isStoreError } from "./told.ts"
import type { Instance, Known, Steps, Told } from "./told.ts"

/** How often something is tried. */
const attempts = 6

const isTyped = (error: unknown): error is { readonly _tag: string; readonly message: string } =>
  typeof error === "object" && error !== null && "_tag" in error && "message" in error

export const make = (store: Instance, told: Told) => {
  const known = (run: string): Known => told.runs.get(run)!

  /** Tries something until it succeeds, and does `between` before it is tried again. */
  const persist = <A>(
    what: string,
    work: Effect.Effect<A, unknown>,
    between: Effect.Effect<unknown, unknown> = Effect.void,
    left = attempts
  ): Effect.Effect<A, unknown> =>
    Effect.flatMap(Effect.exit(work), (exit): Effect.Effect<A, unknown> => {
      if (Exit.isSuccess(exit)) return exit
      const error = Cause.findErrorOption(exit.cause)
      if (error._tag === "None" || !isTyped(error.value)) return Effect.failCause(exit.cause)
      if (error.value._tag === "Broken") return exit
      told.errors.push(`${what}: ${error.value._tag}: ${error.value.message}`)
      if (left === 1) {
        return broken(`${what} fails again and again: ${told.errors.slice(-attempts).join("; ")}`)
      }
      // What has to be done before may fail as well, and is done again then.
      return Effect.andThen(Effect.exit(between), persist(what, work, between, left - 1))
    })

  const write = (run: string, steps: Steps): Batch => {
    const { ends, journal } = known(run)
    const batch = journal.batch(...steps)
    ends.add(journal.seq)
    return batch
  }

  /** Takes a run again that was lost, and goes on where it stands. */
  const regain = (run: string): Effect.Effect<void, unknown> =>
    Effect.gen(function* () {
      const mine = known(run)
      const acquired = yield* store.acquire(run, "user")
      const { head } = acquired
      if (head.seq < mine.durable) {
        return yield* broken(`run ${run} was durable up to ${mine.durable}, and was given at ${head.seq}`)
      }
      if (head.seq > mine.journal.seq || mine.journal.headAt(head.seq).hash !== head.hash) {
        return yield* broken(`run ${run} was given at ${head.seq}, with a head that nobody wrote`)
      }
      mine.lease = acquired.lease
      const batch = mine.journal.claim(acquired)
      mine.ends.add(mine.journal.seq)
      yield* store.append(acquired.lease, head.seq, batch)
      yield* again(mine)
    })

  /** Appends once more what was accepted and is void. */
  const again = (mine: Known): Effect.Effect<void, unknown> =>
    Effect.gen(function* () {
      const { journal } = mine
      const claimed = journal.seq
      for (const each of mine.unsynced) {
        if (each.end < claimed) continue
        const at = journal.seq
        each.end = Number.POSITIVE_INFINITY
        yield* store.append(mine.lease!, at, write(journal.run, each.steps))
        each.end = journal.seq
      }
    })

  const create = (run: string, ahead: boolean) =>
    Effect.gen(function* () {
      const journal = yield* Journal.make(run)
      const mine: Known = {
        journal,
        ends: new Set(),
        durable: -1,
        deleted: "no",
        sent: new Set(),
        tried: new Set(),
        lease: undefined,
        unsynced: []
      }
      told.runs.set(run, mine)
      const batch = write(run, [Journal.created(), Journal.annotated("first")])
      mine.lease = yield* persist(`create ${run}`, store.create(batch, { holder: "user", ahead }))
      if (!ahead) mine.durable = journal.seq
    })

  return {
    create: (run: string) => create(run, false),
    /** Creates it ahead of the disk. */
    begin: (run: string) => create(run, true),
    append: (run: string, ...steps: Steps) =>
      persist(
        `append to ${run}`,
        Effect.suspend(() => {
          const { journal, lease } = known(run)
          const at = journal.seq
          const batch = write(run, steps)
          const end = journal.seq
          return Effect.map(store.append(lease!, at, batch), () => {
            known(run).unsynced.push({ steps, end })
          })
        }),
        Effect.suspend(() => {
          // One that was begun ahead of the disk may be gone with what was not written.
          return known(run).durable < 0 ? recreate(run) : regain(run)
        })
      ),
    sync: (run: string) =>
      persist(
        `sync ${run}`,
        Effect.suspend(() => {
          const mine = known(run)
          const upTo = mine.journal.seq
          return Effect.map(store.sync(mine.lease!), () => {
            mine.durable = upTo
            mine.unsynced = mine.unsynced.filter(({ end }) => end > upTo)
          })
        }),
        Effect.suspend(() => (known(run).durable < 0 ? recreate(run) : regain(run)))
      ),
    release: (run: string) =>
      persist(
        `release ${run}`,
        Effect.suspend(() => {
          const mine = known(run)
          return Effect.map(store.release(mine.lease!), () => {
            mine.lease = undefined
          })
        }),
        // What could not be synced is void, and the lease with it.
        Effect.suspend(() => regain(run))
      ),
    take: (run: string) => persist(`acquire ${run}`, regain(run)),
    send: (run: string, id: string) =>
      persist(
        `send ${id} to ${run}`,
        Effect.suspend(() => {
          known(run).tried.add(id)
          return Effect.map(store.send({ id, run, time: 0, request: { type: "resume" } }), () => {
            known(run).sent.add(id)
          })
        })
      ),
    delete: (run: string) =>
      persist(
        `delete ${run}`,
        Effect.suspend(() => {
          known(run).deleted = "asked"
          return Effect.map(store.delete(run), () => {
            known(run).deleted = "yes"
          })
        })
      ),
    setMeta: (key: string, value: string) =>
      persist(
        `set ${key}`,
        Effect.suspend(() => {
          const mine = told.values.get(key) ?? { value: undefined, maybe: new Set<string>() }
          told.values.set(key, mine)
          mine.maybe.add(value)
          return Effect.map(store.setMeta(key, value), () => {
            mine.value = value
            mine.maybe.clear()
          })
        })
      ),
    putArtifact: (bytes: Uint8Array) =>
      persist(
        "put an artifact",
        Effect.map(store.putArtifact(bytes), (hash) => {
          told.artifacts.set(hash, bytes)
        })
      ),
    tend: (what: string, work: Effect.Effect<unknown, unknown>) => persist(what, work)
  }

  /** A run of which nothing was said to be durable: it is there, or it is created again. */
  function recreate(run: string): Effect.Effect<void, unknown> {
    return Effect.catchIf(
      regain(run),
      (error) => !isStoreError(error) && isTyped(error) && error._tag === "RunNotFound",
      () =>
        Effect.gen(function* () {
          const mine = known(run)
          mine.journal = yield* Journal.make(run)
          const batch = write(run, [Journal.created(), Journal.annotated("first")])
          for (const each of mine.unsynced) each.end = Number.POSITIVE_INFINITY
          mine.lease = yield* store.create(batch, { holder: "user" })
          mine.durable = mine.journal.seq
          yield* again(mine)
        })
    )
  }
}

export type User = ReturnType<typeof make>
