/**
 * A run index in memory: for stores that keep their rows there.
 *
 * Rows stand in order of creation, so that a page costs what it reads and not what there is.
 *
 * @since 0.1.0
 */
import type { RunInfo } from "./RunInfo.ts"
import type { ListQuery, Page } from "./Store.ts"
import { matches } from "./Store.ts"

const precedes = (a: RunInfo, b: RunInfo): boolean =>
  a.createdAt < b.createdAt || (a.createdAt === b.createdAt && a.run < b.run)

/**
 * What no row tells of a run.
 *
 * - `isOwned`: whether somebody alive owns it
 * - `isCommanded`: whether its inboxes hold commands that its journal does not name
 *
 * @category models
 * @since 0.1.0
 */
export interface Facts {
  readonly isOwned: (run: string) => boolean
  readonly isCommanded: (info: RunInfo) => boolean
}

/**
 * @category models
 * @since 0.1.0
 */
export interface RunIndex {
  readonly size: number
  /** The row of a run. */
  readonly get: (run: string) => RunInfo | undefined
  /** Adds a row, or replaces the row of the same run. */
  readonly set: (info: RunInfo) => void
  readonly remove: (run: string) => void
  /** All rows, oldest first. */
  readonly values: () => Iterable<RunInfo>
  /**
   * A page of the rows that match; `facts` are asked only for queries that need them. `undefined` if the cursor is none
   * that this function gave.
   */
  readonly list: (query: ListQuery, facts: Facts) => Page | undefined
}

/**
 * How many rows a page has if the query does not say.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultPageSize = 100

const formatCursor = (at: number, run: string): string => `${at}:${run}`

const parseCursor = (cursor: string): { readonly at: number; readonly run: string } | undefined => {
  const colon = cursor.indexOf(":")
  const at = Number(cursor.slice(0, colon))
  return colon < 1 || Number.isNaN(at) ? undefined : { at, run: cursor.slice(colon + 1) }
}

/** Statuses of runs that go on by themselves. */
const moving: ReadonlySet<string> = new Set(["pending", "running", "cancelling"])

/** So many rows are put in order for a page; if there are more, it is looked through all. */
const fewRows = 1000

interface Due {
  readonly run: string
  readonly due: number
}

/**
 * An empty index.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): RunIndex => {
  const rows = new Map<string, RunInfo>()
  // Oldest first, each row as it was when it was added: neither its id nor its time of creation ever changes.
  const order: Array<RunInfo> = []

  // Workers ask for these again and again, and usually they are few among very many.
  const movingRuns = new Set<string>()
  const sendingRuns = new Set<string>()

  const note = (runs: Set<string>, run: string, belongs: boolean): void => {
    if (belongs) runs.add(run)
    else if (runs.size > 0) runs.delete(run)
  }

  /** The rows among which all that match are, oldest first. */
  const among = (query: ListQuery): ReadonlyArray<RunInfo> => {
    const runs =
      query.sending === true
        ? sendingRuns
        : query.status?.every((status) => moving.has(status)) === true
          ? movingRuns
          : undefined
    if (runs === undefined || runs.size > fewRows || runs.size * 4 > order.length) return order
    return Array.from(runs, (run) => rows.get(run)!).sort((a, b) => (precedes(a, b) ? -1 : 1))
  }

  /** The first position whose row does not precede `info`. */
  const search = (
    info: Pick<RunInfo, "createdAt" | "run">,
    within: ReadonlyArray<RunInfo> = order
  ): number => {
    let low = 0
    let high = within.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (precedes(within[middle]!, info as RunInfo)) low = middle + 1
      else high = middle
    }
    return low
  }

  // Those that have a due, the earliest first.
  const dues: Array<Due> = []

  const searchDue = (due: Due): number => {
    let low = 0
    let high = dues.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = dues[middle]!
      if (other.due < due.due || (other.due === due.due && other.run < due.run)) low = middle + 1
      else high = middle
    }
    return low
  }

  const setDue = (run: string, before: number | undefined, after: number | undefined): void => {
    if (before === after) return
    if (before !== undefined) dues.splice(searchDue({ run, due: before }), 1)
    if (after !== undefined) dues.splice(searchDue({ run, due: after }), 0, { run, due: after })
  }

  /** The page of the rows from a position on, of which `rowAt` gives the next. */
  const pageOf = (
    query: ListQuery,
    facts: Facts,
    rowAt: () => RunInfo | undefined,
    cursorOf: (info: RunInfo) => string
  ): Page => {
    const limit = query.limit ?? defaultPageSize
    const runs: Array<RunInfo> = []
    if (limit <= 0) return { runs }
    for (let info = rowAt(); info !== undefined; info = rowAt()) {
      if (!matches(query, info)) continue
      if (query.unowned === true && facts.isOwned(info.run)) continue
      if (query.commanded === true && !facts.isCommanded(info)) continue
      if (runs.length === limit) return { runs, cursor: cursorOf(runs[runs.length - 1]!) }
      runs.push(info)
    }
    return { runs }
  }

  const listDue = (query: ListQuery, facts: Facts): Page | undefined => {
    let at = 0
    if (query.cursor !== undefined) {
      const cursor = parseCursor(query.cursor)
      if (cursor === undefined) return undefined
      const last = { run: cursor.run, due: cursor.at }
      at = searchDue(last)
      if (dues[at]?.run === last.run && dues[at]!.due === last.due) at += 1
    }
    return pageOf(
      query,
      facts,
      () => (at < dues.length ? rows.get(dues[at++]!.run) : undefined),
      ({ due, run }) => formatCursor(due!, run)
    )
  }

  const set = (info: RunInfo): void => {
    const known = rows.get(info.run)
    rows.set(info.run, info)
    setDue(info.run, known?.due, info.due)
    note(movingRuns, info.run, moving.has(info.status))
    note(sendingRuns, info.run, (info.outbox ?? 0) > 0)
    if (known !== undefined && known.createdAt === info.createdAt) return
    if (known !== undefined) order.splice(search(known), 1)
    const last = order[order.length - 1]
    if (last === undefined || precedes(last, info)) order.push(info)
    else order.splice(search(info), 0, info)
  }

  return {
    get size() {
      return rows.size
    },
    get: (run) => rows.get(run),
    set,
    remove: (run) => {
      const known = rows.get(run)
      if (known === undefined) return
      setDue(run, known.due, undefined)
      rows.delete(run)
      movingRuns.delete(run)
      sendingRuns.delete(run)
      order.splice(search(known), 1)
    },
    values: function* () {
      // `order` holds the row each run was added with; `rows` holds the latest.
      for (const row of order) yield rows.get(row.run)!
    },
    list: (query, facts) => {
      if (query.order === "due") return listDue(query, facts)
      const newest = query.order !== "oldest"
      const step = newest ? -1 : 1
      const found = among(query)
      let at = newest ? found.length - 1 : 0
      if (query.cursor !== undefined) {
        const cursor = parseCursor(query.cursor)
        if (cursor === undefined) return undefined
        at = search({ createdAt: cursor.at, run: cursor.run }, found)
        if (newest) at -= 1
        else if (found[at]?.run === cursor.run) at += 1
      }
      const rowAt = () => {
        const row = found[at]
        at += step
        return row === undefined ? undefined : rows.get(row.run)
      }
      return pageOf(query, facts, rowAt, ({ createdAt, run }) => formatCursor(createdAt, run))
    }
  }
}
