/**
 * What is read from the database.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Command } from "@waymark/core/Command"
import { parse } from "@waymark/core/Journal"
import type { Entry, Head } from "@waymark/core/Journal"
import { defaultPageSize } from "@waymark/core/RunIndex"
import type { RunInfo } from "@waymark/core/RunInfo"
import { matches } from "@waymark/core/Store"
import type {
  Feed,
  InboxCursor,
  ListQuery,
  Page,
  ReadOptions,
  Received,
  StoreError
} from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import { keyOf } from "./apply.ts"
import type { Database, Value } from "./database.ts"

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

/** Entries as they were stored; one that cannot be read is damage. */
const entriesOf = (
  place: string,
  lines: Iterable<ReadonlyArray<Value>>
): Effect.Effect<Array<Entry>, StoreError> => {
  const entries: Array<Entry> = []
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
  }
  return Effect.succeed(entries)
}

const defaultLimit = 1000

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
    )
  )
  return Effect.flatMap(read, (entries) => {
    const damaged = (seq: number, detail: string) =>
      failure({ _tag: "Corrupt", path: place, run: info.run, seq, detail })
    const first = Math.max(0, low)
    const last = Math.min(high, head.seq)
    const wanted = Math.max(0, Math.min(limit, last - first + 1))
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
  limit: number = defaultLimit
): Effect.Effect<Feed, StoreError> | undefined => {
  const newest = Number(database.first("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?.[0] ?? 0)
  if (cursor === "now") return Effect.succeed({ entries: [], cursor: String(newest) })
  const after = cursor === undefined ? 0 : /^\d+$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!(after <= newest)) return undefined
  let at = after
  const rows = function* () {
    for (const [line, id] of database.rows("SELECT line, id FROM event WHERE id > ? ORDER BY id LIMIT ?", [
      after,
      Math.max(0, limit)
    ])) {
      at = Number(id)
      yield [line!]
    }
  }
  return Effect.map(entriesOf(place, rows()), (entries) => ({ entries, cursor: String(at) }))
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

// -------------------------------------------------------------------------------------------------------------------
// lists
// -------------------------------------------------------------------------------------------------------------------

/**
 * Who writes, if anyone does: runs of others have lost their owners. `free` are runs that it does not hold though the
 * database says so.
 */
export interface Owning {
  readonly owner: string | undefined
  readonly free: ReadonlyArray<string>
}

interface Conditions {
  readonly sql: Array<string>
  readonly values: Array<Value>
}

const formatCursor = (at: number, run: string): string => `${at}:${run}`

const parseCursor = (cursor: string): { readonly at: number; readonly run: string } | undefined => {
  const colon = cursor.indexOf(":")
  const at = Number(cursor.slice(0, colon))
  return colon < 1 || Number.isNaN(at) ? undefined : { at, run: cursor.slice(colon + 1) }
}

/** The conditions of a query that an index answers; `matches` has the last word. */
const conditionsOf = (query: ListQuery, owning: Owning): Conditions => {
  const sql: Array<string> = []
  const values: Array<Value> = []
  const where = (text: string, ...bound: ReadonlyArray<Value>): void => {
    sql.push(text)
    values.push(...bound)
  }
  if (query.status !== undefined)
    where("status IN (SELECT value FROM json_each(?))", JSON.stringify(query.status))
  if (query.flow !== undefined) where("flow = ?", query.flow)
  if (query.session !== undefined) where("session = ?", query.session)
  if (query.correlation !== undefined) where("correlation = ?", query.correlation)
  if (query.parent !== undefined) where("parent = ?", query.parent)
  if (query.forkOf !== undefined) where("fork_of = ?", query.forkOf)
  if (query.tag !== undefined) where("id IN (SELECT run_id FROM tag WHERE tag = ?)", query.tag)
  for (const [name, value] of Object.entries(query.attributes ?? {})) {
    where("id IN (SELECT run_id FROM attribute WHERE name = ? AND value = ?)", name, value)
  }
  if (query.bookmark !== undefined) {
    where("id IN (SELECT run_id FROM bookmark WHERE name = ?)", query.bookmark)
  }
  if (query.createdAfter !== undefined) where("created_at >= ?", query.createdAfter)
  if (query.createdBefore !== undefined) where("created_at < ?", query.createdBefore)
  if (query.dueBefore !== undefined) where("due < ?", query.dueBefore)
  if (query.sending === true) where("outbox > 0")
  if (query.commanded === true) where("unhandled > 0")
  if (query.unowned === true && owning.owner !== undefined) {
    where(
      "(owner IS NULL OR owner <> ? OR run IN (SELECT value FROM json_each(?)))",
      owning.owner,
      JSON.stringify(owning.free)
    )
  }
  return { sql, values }
}

/** A page of runs; `undefined` if the cursor is none of this store. */
export const list = (database: Database, query: ListQuery, owning: Owning): Page | undefined => {
  const { sql, values } = conditionsOf(query, owning)
  const byDue = query.order === "due"
  const column = byDue ? "due" : "created_at"
  const ascending = byDue || query.order === "oldest"
  if (byDue) sql.push("due IS NOT NULL")
  if (query.cursor !== undefined) {
    const cursor = parseCursor(query.cursor)
    if (cursor === undefined) return undefined
    sql.push(`(${column}, run_key) ${ascending ? ">" : "<"} (?, ?)`)
    values.push(cursor.at, keyOf(cursor.run))
  }
  const limit = query.limit ?? defaultPageSize
  const runs: Array<RunInfo> = []
  if (limit <= 0) return { runs }
  const direction = ascending ? "ASC" : "DESC"
  const found = database.rows(
    `SELECT info FROM run ${sql.length === 0 ? "" : `WHERE ${sql.join(" AND ")}`}
     ORDER BY ${column} ${direction}, run_key ${direction}`,
    values
  )
  for (const [text] of found) {
    const info: RunInfo = JSON.parse(String(text))
    if (!matches(query, info)) continue
    if (runs.length === limit) {
      const last = runs[limit - 1]!
      return { runs, cursor: formatCursor(byDue ? last.due! : last.createdAt, last.run) }
    }
    runs.push(info)
  }
  return { runs }
}

/** The words of a text as an FTS query: all of them have to be there, each at least as a beginning. */
const wordsOf = (text: string): string =>
  text
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")
    .map((word) => `"${word}*"`)
    .join(" ")

/** The newest runs in whose input or error these words are. */
export const search = (
  database: Database,
  text: string,
  limit: number = defaultPageSize
): ReadonlyArray<RunInfo> => {
  const words = wordsOf(text)
  if (words === "") return []
  return Array.from(
    database.rows(
      `SELECT info FROM run WHERE id IN (SELECT docid FROM run_text WHERE run_text MATCH ?)
       ORDER BY created_at DESC, run_key DESC LIMIT ?`,
      [words, limit]
    ),
    ([info]) => JSON.parse(String(info)) as RunInfo
  )
}
