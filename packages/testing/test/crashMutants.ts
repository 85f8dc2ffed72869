/** Stores that make an engine do what it must not do: each one has one fault, as an engine or a disk could have it. */
import type { Body, Event, Kind } from "@waymark/core/Event"
import { Hasher } from "@waymark/core/Hasher"
import * as Journal from "@waymark/core/Journal"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { Batch, Store } from "@waymark/core/Store"
import * as Effect from "effect/Effect"

export type Mutant = (store: Store["Service"]) => Store["Service"]

const { hash } = Hasher.defaultValue()

/** Only in the processes that start after a power cut. */
export const afterCrash =
  (mutant: Mutant): Mutant =>
  (store) =>
    /^process-(?!1$)/.test(store.owner) ? mutant(store) : store

/** Workers find something else in a journal than is there. */
const reads =
  (change: (event: Event) => Event): Mutant =>
  (store) =>
    store.owner === "reader"
      ? store
      : {
          ...store,
          read: (run, options) =>
            Effect.map(store.read(run, options), (entries) =>
              entries.map(({ event, line }) => ({ event: change(event), line }))
            )
        }

/** Takes what it reads of this kind for a note, once it has been recovered: it forgets that it happened. */
export const forgets = (kind: Kind): Mutant =>
  afterCrash(
    reads((event) => {
      if (event.kind !== kind) return event
      const { epoch, prev, run, seq, time } = event
      return Journal.entry({ run, seq, epoch, time, prev }, { kind: "annotated", note: `was ${kind}` }).event
    })
  )

/** Does not know, once it has been recovered, which commands it has answered. */
export const forgetsAnswers: Mutant = afterCrash(
  reads((event) => {
    if (!("command" in event)) return event
    const { command: _, ...rest } = event
    return rest
  })
)

/** Finds no command in an inbox, once it has been recovered. */
export const losesCommands: Mutant = afterCrash((store) => ({
  ...store,
  inbox: () => Effect.succeed([])
}))

/** Keeps no command that a journal has answered. */
export const losesAnswered: Mutant = (store) => ({
  ...store,
  inbox: (run, cursor) =>
    Effect.gen(function* () {
      const answered = new Set<string>()
      for (const { line } of yield* store.read(run)) {
        const event = JSON.parse(line) as Event
        if ("command" in event && event.command !== undefined) answered.add(event.command.id)
      }
      const received = yield* store.inbox(run, cursor)
      return received.filter(({ command }) => !answered.has(command.id))
    })
})

/** Takes a run that was cancelled for one that is executed, once it has been recovered. */
export const revives: Mutant = afterCrash((store) => {
  const revived = (info: RunInfo): RunInfo => {
    if (info.status !== "cancelled") return info
    const { endedAt: _, ...rest } = info
    return { ...rest, status: "running" }
  }
  return {
    ...store,
    list: ({ status, ...query }) =>
      Effect.map(
        store.list(status?.includes("running") ? { ...query, status: [...status, "cancelled"] } : query),
        (page) => ({ ...page, runs: page.runs.map(revived) })
      ),
    get: (run) => Effect.map(store.get(run), (stored) => ({ ...stored, info: revived(stored.info) })),
    acquire: (run, holder) =>
      Effect.map(store.acquire(run, holder), (acquired) => ({ ...acquired, info: revived(acquired.info) }))
  }
})

/** Several faults at once. */
export const all =
  (...mutants: ReadonlyArray<Mutant>): Mutant =>
  (store) =>
    mutants.reduce((broken, mutant) => mutant(broken), store)

/** Says that it has synced what ends in such an event, and has not. What is synced later is synced with it. */
export const skipsSyncOf =
  (isMeant: (event: Event) => boolean): Mutant =>
  (store) => {
    let skips = false
    return {
      ...store,
      append: (lease, expected, batch) => {
        skips = isMeant(batch.entries.at(-1)!.event)
        return store.append(lease, expected, batch)
      },
      sync: (lease, options) => {
        const skipped = skips
        skips = false
        return skipped ? Effect.void : store.sync(lease, options)
      }
    }
  }

/** Says that it has synced, and never does. */
export const lies: Mutant = (store) => ({ ...store, sync: () => Effect.void })

/** Stores something else than it was told, in a chain that no longer holds. */
export const alters =
  (isMeant: (event: Event) => boolean): Mutant =>
  (store) => ({
    ...store,
    append: (lease, expected, batch) => {
      const entries = batch.entries.map((entry) =>
        isMeant(entry.event) ? { ...entry, line: `${entry.line} ` } : entry
      )
      return store.append(lease, expected, { ...batch, entries: entries as unknown as Batch["entries"] })
    }
  })

/** Stores something else than it was told, in a chain that holds. */
export const rewrites =
  (change: (event: Event) => Body): Mutant =>
  (store) => {
    const stored = new Map<string, string>()
    return {
      ...store,
      append: (lease, expected, batch) => {
        const entries = batch.entries.map(({ event, line }) => {
          const { epoch, run, seq, time } = event
          const prev = stored.get(event.prev) ?? event.prev
          const entry = Journal.entry({ run, seq, epoch, time, prev }, change(event))
          stored.set(hash(line), hash(entry.line))
          return entry
        })
        return store.append(lease, expected, {
          entries: entries as unknown as Batch["entries"],
          head: stored.get(batch.head)!
        })
      }
    }
  }

/** What is on the disk is not what was written any more: whoever reads it finds other bytes, workers do not. */
export const rots = (
  change: (entries: ReadonlyArray<Journal.Entry>) => ReadonlyArray<Journal.Entry>
): Mutant => {
  return (store) =>
    store.owner !== "reader"
      ? store
      : { ...store, read: (run, options) => Effect.map(store.read(run, options), change) }
}

/** Tells whoever reads that a journal ends elsewhere. */
export const misleads: Mutant = (store) =>
  store.owner !== "reader"
    ? store
    : {
        ...store,
        get: (run) =>
          Effect.map(store.get(run), (stored) => ({ ...stored, head: { seq: 0, hash: Journal.genesis } }))
      }
