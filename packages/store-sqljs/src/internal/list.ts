/**
 * Lists of runs, each of which an index answers in its order: a page costs what is on it, however many runs match.
 */
import { defaultPageSize } from "@waymark/core/RunIndex"
import type { RunInfo } from "@waymark/core/RunInfo"
import { matches } from "@waymark/core/Store"
import type { ListQuery, Page } from "@waymark/core/Store"
import { keyOf } from "./apply.ts"
import type { Database, Value } from "./database.ts"

/**
 * Who writes, if anyone does: runs of others have lost their owners. `free` are runs that it does not hold though the
 * database says so.
 */
export interface Owning {
  readonly owner: string | undefined
  readonly free: ReadonlyArray<string>
}

/** A place in a list. */
interface Place {
  readonly at: number
  readonly key: Uint8Array
}

const formatCursor = (at: number, run: string): string => `${at}:${run}`

const parseCursor = (cursor: string): Place | undefined => {
  const colon = cursor.indexOf(":")
  const at = Number(cursor.slice(0, colon))
  return colon < 1 || Number.isNaN(at) ? undefined : { at, key: keyOf(cursor.slice(colon + 1)) }
}

/** A part of a statement, with the values that belong to it. */
interface Part {
  readonly sql: string
  readonly values: ReadonlyArray<Value>
}

const part = (sql: string, ...values: ReadonlyArray<Value>): Part => ({ sql, values })

/** The tables that list runs by what they were given, in the order of lists. One of them is gone through, if any can be. */
const marksOf = (query: ListQuery): ReadonlyArray<{ readonly table: string; readonly condition: Part }> => [
  ...(query.bookmark === undefined
    ? []
    : [{ table: "bookmark", condition: part("mark.name = ?", query.bookmark) }]),
  ...Object.entries(query.attributes ?? {}).map(([name, value]) => ({
    table: "attribute",
    condition: part("mark.name = ? AND mark.value = ?", name, value)
  })),
  ...(query.tag === undefined ? [] : [{ table: "tag", condition: part("mark.tag = ?", query.tag) }])
]

/** The conditions on the rows of runs, the status aside; `matches` has the last word. */
const conditionsOf = (query: ListQuery, owning: Owning, created: string): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  const where = (sql: string, ...values: ReadonlyArray<Value>): void => void parts.push({ sql, values })
  if (query.flow !== undefined) where("run.flow = ?", query.flow)
  if (query.session !== undefined) where("run.session = ?", query.session)
  if (query.correlation !== undefined) where("run.correlation = ?", query.correlation)
  if (query.parent !== undefined) where("run.parent = ?", query.parent)
  if (query.forkOf !== undefined) where("run.fork_of = ?", query.forkOf)
  if (query.createdAfter !== undefined) where(`${created} >= ?`, query.createdAfter)
  if (query.createdBefore !== undefined) where(`${created} < ?`, query.createdBefore)
  if (query.dueBefore !== undefined) where("run.due < ?", query.dueBefore)
  if (query.sending === true) where("run.outbox > 0")
  if (query.commanded === true) where("run.unhandled > 0")
  if (query.unowned === true && owning.owner !== undefined) {
    where(
      "(run.owner IS NULL OR run.owner <> ? OR run.run IN (SELECT value FROM json_each(?)))",
      owning.owner,
      JSON.stringify(owning.free)
    )
  }
  return parts
}

interface Selection {
  /** The statement, from which rows after a place are to be had, at most so many. */
  readonly after: (place: Place | undefined, limit: number) => Part
}

const join = (parts: ReadonlyArray<Part>, between: string): Part => ({
  sql: parts.map(({ sql }) => sql).join(between),
  values: parts.flatMap(({ values }) => values)
})

const selectionOf = (query: ListQuery, owning: Owning): Selection => {
  const byDue = query.order === "due"
  const ascending = byDue || query.order === "oldest"
  const direction = ascending ? "ASC" : "DESC"
  const marks = marksOf(query)
  const first = byDue ? undefined : marks[0]
  const others = first === undefined ? marks : marks.slice(1)
  const created = first === undefined ? "run.created_at" : "mark.created_at"
  const at = byDue ? "run.due" : created
  const key = byDue || first === undefined ? "run.run_key" : "mark.run_key"
  // Few runs have something to do at any moment, and many have each status: so these are looked for by the former.
  const few = query.commanded === true || query.sending === true
  // What is due is in the order of lists only by chance.
  const sorted = query.dueBefore !== undefined && !byDue && first === undefined
  const from =
    first === undefined ? "FROM run" : `FROM ${first.table} AS mark CROSS JOIN run ON run.id = mark.run_id`
  const conditions: ReadonlyArray<Part> = [
    ...(first === undefined ? [] : [first.condition]),
    ...others.map(({ condition, table }) =>
      part(
        `EXISTS (SELECT 1 FROM ${table} AS mark WHERE ${condition.sql} AND mark.created_at = run.created_at
           AND mark.run_key = run.run_key)`,
        ...condition.values
      )
    ),
    ...(byDue ? [part("run.due IS NOT NULL")] : []),
    ...conditionsOf(query, owning, created)
  ]
  // One list for each status, and these merged: no index has several of them in one order.
  const statuses: ReadonlyArray<Part | undefined> =
    query.status === undefined
      ? [undefined]
      : [...new Set(query.status)].map((status) => part(`${few ? "+" : ""}run.status = ?`, status))
  return {
    after: (place, limit) => {
      const beyond =
        place === undefined
          ? []
          : [part(`(${at}, ${key}) ${ascending ? ">" : "<"} (?, ?)`, place.at, place.key)]
      const lists = statuses.map((status): Part => {
        const where = join([...(status === undefined ? [] : [status]), ...conditions, ...beyond], " AND ")
        return part(
          `SELECT ${at} AS at, ${key} AS key, run.info AS info ${from} ${where.sql === "" ? "" : `WHERE ${where.sql}`}
           ORDER BY ${sorted ? "+" : ""}${at} ${direction}, ${key} ${direction} LIMIT ?`,
          ...where.values,
          limit
        )
      })
      if (lists.length === 1) return lists[0]!
      const all = join(
        lists.map(({ sql, values }) => part(`SELECT * FROM (${sql})`, ...values)),
        " UNION ALL "
      )
      return part(`${all.sql} ORDER BY at ${direction}, key ${direction} LIMIT ?`, ...all.values, limit)
    }
  }
}

/** A page of runs; `undefined` if the cursor is none of this store. */
export const list = (database: Database, query: ListQuery, owning: Owning): Page | undefined => {
  let place = query.cursor === undefined ? undefined : parseCursor(query.cursor)
  if (query.cursor !== undefined && place === undefined) return undefined
  const limit = query.limit ?? defaultPageSize
  const runs: Array<RunInfo> = []
  if (limit <= 0 || query.status?.length === 0) return { runs }
  const { after } = selectionOf(query, owning)
  // Some of what is found may not match: then more is looked for, and more at once.
  for (let atOnce = Math.min(limit, maxAtOnce) + 1; ; atOnce = Math.min(atOnce * 2, maxAtOnce)) {
    const { sql, values } = after(place, atOnce)
    let found = 0
    for (const [at, key, text] of database.rows(sql, values)) {
      found += 1
      place = { at: Number(at), key: key as Uint8Array }
      const info: RunInfo = JSON.parse(String(text))
      if (!matches(query, info)) continue
      if (runs.length === limit) {
        const last = runs[limit - 1]!
        return { runs, cursor: formatCursor(query.order === "due" ? last.due! : last.createdAt, last.run) }
      }
      runs.push(info)
    }
    if (found < atOnce) return { runs }
  }
}

const maxAtOnce = 1000

/** The words of a text as an FTS query: all of them have to be there, each at least as a beginning. */
const wordsOf = (text: string): string =>
  text
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")
    .map((word) => `"${word}*"`)
    .join(" ")

/** The runs in whose input or error these words are, those first that came to this store last. */
export const search = (
  database: Database,
  text: string,
  limit: number = defaultPageSize
): ReadonlyArray<RunInfo> => {
  const words = wordsOf(text)
  if (words === "") return []
  return Array.from(
    database.rows(
      `SELECT run.info FROM run_text CROSS JOIN run ON run.id = run_text.docid WHERE run_text MATCH ?
       ORDER BY run_text.docid DESC LIMIT ?`,
      [words, limit]
    ),
    ([info]) => JSON.parse(String(info)) as RunInfo
  )
}
