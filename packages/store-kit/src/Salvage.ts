/**
 * Copies from a damaged store what can still be read, and says what cannot.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Hasher } from "@waymark/core/Hasher"
import * as Journal from "@waymark/core/Journal"
import * as RunInfo from "@waymark/core/RunInfo"
import { matches, RunNotFound } from "@waymark/core/Store"
import type { InboxCursor, Received, Store, StoreError, Stored } from "@waymark/core/Store"
import * as Transfer from "@waymark/core/Transfer"

type Instance = Store["Service"]

/** A run of which not everything was saved. `kept` entries were, from its first one on; none means that it is not there. */
export interface Loss {
  readonly run: string
  readonly kept: number
  readonly detail: string
}

export interface Salvaged {
  /** How many runs were saved, whole or in part. */
  readonly runs: number
  readonly entries: number
  readonly losses: ReadonlyArray<Loss>
}

const pageSize = 1000
const pageBytes = 2_000_000

/** The entries of a run, from the first on, that are what was written; and why it ends there, if not at its end. */
const intact = Effect.fnUntraced(function* (
  store: Instance,
  { head, info }: Stored,
  hash: (text: string) => string
) {
  let last: Journal.Head | undefined
  let row: RunInfo.RunInfo | undefined
  let detail: string | undefined
  let size = pageSize
  for (let at = 0; at <= head.seq;) {
    const page = yield* Effect.result(
      store.read(info.run, { from: at, limit: Math.min(size, head.seq + 1 - at), bytes: pageBytes })
    )
    if (Result.isFailure(page)) {
      const error = page.failure
      if (error._tag !== "StoreError" || error.reason._tag !== "Corrupt") return yield* Effect.fail(error)
      detail = error.message
      // What lies before the damage is read in smaller pieces.
      if (size === 1) break
      size = 1
      continue
    }
    for (const entry of page.success) {
      const next = Journal.follow(hash, last, entry)
      if (Result.isFailure(next)) return { last, row, detail: next.failure.message }
      last = next.success
      row = RunInfo.apply(row, entry.event)
      at += 1
    }
    if (page.success.length === 0) break
  }
  if (last?.seq !== head.seq) return { last, row, detail: detail ?? "entries are missing at its end" }
  // There may have been more, of which nothing is left but the damage.
  const beyond = yield* Effect.result(store.read(info.run, { from: head.seq + 1, limit: 1 }))
  if (Result.isSuccess(beyond)) return { last, row, detail: undefined }
  const error = beyond.failure
  if (error._tag !== "StoreError" || error.reason._tag !== "Corrupt") return yield* Effect.fail(error)
  return { last, row, detail: error.message }
})

/** The ids of all runs, the oldest first. */
export const listed = Effect.fnUntraced(function* (
  store: Instance
): Effect.fn.Return<Array<string>, StoreError> {
  const ids: Array<string> = []
  let cursor: string | undefined
  do {
    const page = yield* store.list({ order: "oldest", ...(cursor === undefined ? undefined : { cursor }) })
    for (const { run } of page.runs) ids.push(run)
    cursor = page.cursor
  } while (cursor !== undefined)
  return ids
})

/** The commands of a run that are what was sent, and whether there were others. */
export type Inbox = (
  run: string,
  cursor: InboxCursor
) => Effect.Effect<{ readonly found: ReadonlyArray<Received>; readonly lost: boolean }, StoreError>

/** Copies runs of one store to another, of damaged ones what comes before the damage. */
export const salvage = Effect.fnUntraced(function* (
  from: Instance,
  to: Instance,
  ids: ReadonlyArray<string>,
  inbox: Inbox
): Effect.fn.Return<Salvaged, StoreError> {
  const { hash } = yield* Hasher
  const saved = new Map<string, Stored>()
  const losses: Array<Loss> = []
  for (const run of ids) {
    const stored = yield* Effect.result(from.get(run))
    if (Result.isFailure(stored)) {
      losses.push({ run, kept: 0, detail: stored.failure.message })
      continue
    }
    const found = yield* Effect.catchTag(intact(from, stored.success, hash), "RunNotFound", (error) =>
      Effect.succeed({ last: undefined, row: undefined, detail: error.message })
    )
    if (found.detail !== undefined)
      losses.push({ run, kept: (found.last?.seq ?? -1) + 1, detail: found.detail })
    if (found.last !== undefined && found.row !== undefined)
      saved.set(run, { info: found.row, head: found.last })
  }
  const rows = [...saved.values()].map(({ info }) => info)

  const view: Instance = {
    ...from,
    get: (run) => {
      const known = saved.get(run)
      return known === undefined ? Effect.fail(new RunNotFound({ run })) : Effect.succeed(known)
    },
    read: (run, options) => {
      const last = saved.get(run)?.head.seq ?? -1
      return from.read(run, { ...options, to: Math.min(options?.to ?? last, last) })
    },
    list: (query) => Effect.succeed({ runs: rows.filter((info) => matches(query, info)) }),
    inbox: (run, cursor) =>
      Effect.map(inbox(run, cursor), ({ found, lost }) => {
        if (lost) {
          const kept = (saved.get(run)?.head.seq ?? -1) + 1
          losses.push({ run, kept, detail: "commands in its inbox are not what was sent, and were left out" })
        }
        return found
      })
  }
  const copied = yield* Effect.result(Transfer.copyRuns(view, to, { owned: "asItStands" }))
  if (Result.isSuccess(copied)) {
    const { entries, copied: runs } = copied.success
    return { runs, entries, losses }
  }
  const error = copied.failure
  if (error._tag === "StoreError") return yield* error
  for (const { detail, run } of error.notCopied) losses.push({ run, kept: 0, detail })
  return { runs: error.copied, entries: 0, losses }
})
