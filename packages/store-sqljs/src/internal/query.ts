/**
 * What is read from the database.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Command } from "@waymark/core/Command"
import { parse } from "@waymark/core/Journal"
import type { Entry, Head } from "@waymark/core/Journal"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { Feed, InboxCursor, ReadOptions, Received, StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import type { Database, Value } from "./database.ts"
import type { Place } from "./doubts.ts"

/** A row of `run`, as far as the store needs it. */
export interface RunRow {
  readonly id: number
  readonly info: RunInfo
  readonly head: Head
  readonly epoch: number
  readonly owner: string | undefined
  readonly crashed: boolean
}

export const findRun = (database: Database, run: string): RunRow | undefined => {
  const row = database.first(
    "SELECT id, info, seq, head, lease_epoch, owner, crashed FROM run WHERE run = ?",
    [run]
  )
  if (row === undefined) return undefined
  const [id, info, seq, head, epoch, owner, crashed] = row
  return {
    id: Number(id),
    info: JSON.parse(String(info)),
    head: { seq: Number(seq), hash: String(head) },
    epoch: Number(epoch),
    owner: owner === null ? undefined : String(owner),
    crashed: crashed === 1
  }
}

export const isForked = (database: Database, run: string): string | undefined => {
  const row = database.first("SELECT run FROM run WHERE fork_of = ?", [run])
  return row === undefined ? undefined : String(row[0])
}

/** Entries as they were stored, up to the one with which there are so many bytes; one that cannot be read is damage. */
const entriesOf = (
  place: string,
  lines: Iterable<ReadonlyArray<Value>>,
  bytes = Number.POSITIVE_INFINITY
): Effect.Effect<Array<Entry>, StoreError> => {
  const entries: Array<Entry> = []
  let size = 0
  for (const [line] of lines) {
    const entry = parse(String(line))
    if (Result.isFailure(entry)) {
      const { detail, run, seq } = entry.failure
      return failure({
        _tag: "Corrupt",
        path: place,
        detail,
        ...(run === undefined ? undefined : { run }),
        ...(seq === undefined ? undefined : { seq })
      })
    }
    entries.push(entry.success)
    size += entry.success.line.length
    if (size >= bytes) break
  }
  return Effect.succeed(entries)
}

const sizeOf = (entries: ReadonlyArray<Entry>): number =>
  entries.reduce((size, { line }) => size + line.length, 0)

/** How many entries are read unless somebody says otherwise. */
export const defaultLimit = 1000

export const readEntries = (
  database: Database,
  place: string,
  hash: (text: string) => string,
  { head, id, info }: RunRow,
  options: ReadOptions | undefined
): Effect.Effect<ReadonlyArray<Entry>, StoreError> => {
  const limit = Math.max(0, options?.limit ?? defaultLimit)
  const backwards = options?.direction === "backwards"
  const low = (backwards ? options.to : options?.from) ?? 0
  const high = (backwards ? options.from : options?.to) ?? head.seq
  const read = entriesOf(
    place,
    database.rows(
      `SELECT line FROM event WHERE run_id = ? AND seq BETWEEN ? AND ? ORDER BY seq ${backwards ? "DESC" : "ASC"} LIMIT ?`,
      [id, low, high, limit]
    ),
    options?.bytes
  )
  return Effect.flatMap(read, (entries) => {
    const damaged = (seq: number, detail: string) =>
      failure({ _tag: "Corrupt", path: place, run: info.run, seq, detail })
    const first = Math.max(0, low)
    const last = Math.min(high, head.seq)
    const isFull = sizeOf(entries) >= (options?.bytes ?? Number.POSITIVE_INFINITY)
    const wanted = isFull ? entries.length : Math.max(0, Math.min(limit, last - first + 1))
    const from = backwards ? last : first
    const step = backwards ? -1 : 1
    /** What the entry behind a position names as the hash of the one there. */
    const named = (seq: number): string | undefined => {
      if (seq === head.seq) return head.hash
      const line = database.first("SELECT line FROM event WHERE run_id = ? AND seq = ?", [id, seq + 1])?.[0]
      const next = typeof line === "string" ? parse(line) : undefined
      return next !== undefined && Result.isSuccess(next) ? next.success.event.prev : undefined
    }
    for (let i = 0; i < wanted; i++) {
      const seq = from + i * step
      const entry = entries[i]
      if (entry?.event.seq !== seq) return damaged(seq, "this entry is missing")
      const next = backwards ? entries[i - 1] : entries[i + 1]
      const expected = next === undefined ? named(seq) : next.event.prev
      if (expected !== undefined && hash(entry.line) !== expected) {
        return damaged(seq, "it is not what was written: its hash is not the one that follows")
      }
    }
    return Effect.succeed(entries)
  })
}

/** `undefined` if the cursor is none of this store. */
export const feed = (
  database: Database,
  place: string,
  cursor: string | undefined,
  { bytes, limit = defaultLimit }: Pick<ReadOptions, "limit" | "bytes">,
  end?: { readonly at: number; readonly place: Place }
): Effect.Effect<Feed, StoreError> | undefined => {
  const last = Number(database.first("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?.[0] ?? 0)
  const newest = end?.at ?? last
  if (cursor === "now") return Effect.succeed({ entries: [], cursor: String(newest) })
  const after = cursor === undefined ? 0 : /^\d+$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!(after <= Math.max(last, newest))) return undefined
  // What comes then is not known.
  if (end !== undefined && after >= newest) {
    return failure({
      _tag: "Corrupt",
      ...end.place,
      detail: "what was written here is damaged; the feed cannot go on beyond it before the store is repaired"
    })
  }
  let at = after
  const rows = function* () {
    for (const [line, id] of database.rows(
      "SELECT line, id FROM event WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
      [after, newest, Math.max(0, limit)]
    )) {
      at = Number(id)
      yield [line!]
    }
  }
  return Effect.map(entriesOf(place, rows(), bytes), (entries) => ({ entries, cursor: String(at) }))
}

export const inbox = (database: Database, { id }: RunRow, cursor: InboxCursor): ReadonlyArray<Received> =>
  Array.from(
    database.rows("SELECT position, body FROM command WHERE run_id = ? AND position > ? ORDER BY position", [
      id,
      cursor[""] ?? 0
    ]),
    ([position, body]) => ({
      source: "",
      position: Number(position),
      command: JSON.parse(String(body)) as Command
    })
  )
