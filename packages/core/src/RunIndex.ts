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

const formatCursor = (info: RunInfo): string => `${info.createdAt}:${info.run}`

const parseCursor = (cursor: string): { readonly createdAt: number; readonly run: string } | undefined => {
  const colon = cursor.indexOf(":")
  const createdAt = Number(cursor.slice(0, colon))
  return colon < 1 || Number.isNaN(createdAt) ? undefined : { createdAt, run: cursor.slice(colon + 1) }
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

  /** The first position whose row does not precede `info`. */
  const search = (info: Pick<RunInfo, "createdAt" | "run">): number => {
    let low = 0
    let high = order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (precedes(order[middle]!, info as RunInfo)) low = middle + 1
      else high = middle
    }
    return low
  }

  const set = (info: RunInfo): void => {
    const known = rows.get(info.run)
    rows.set(info.run, info)
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
      rows.delete(run)
      order.splice(search(known), 1)
    },
    values: function* () {
      // `order` holds the row each run was added with; `rows` holds the latest.
      for (const row of order) yield rows.get(row.run)!
    },
    list: (query, facts) => {
      const limit = query.limit ?? defaultPageSize
      const newest = query.order !== "oldest"
      const step = newest ? -1 : 1
      let at = newest ? order.length - 1 : 0
      if (query.cursor !== undefined) {
        const cursor = parseCursor(query.cursor)
        if (cursor === undefined) return undefined
        at = search(cursor)
        if (newest) at -= 1
        else if (order[at]?.run === cursor.run) at += 1
      }
      const runs: Array<RunInfo> = []
      if (limit <= 0) return { runs }
      for (; at >= 0 && at < order.length; at += step) {
        const info = rows.get(order[at]!.run)!
        if (!matches(query, info)) continue
        if (query.unowned === true && facts.isOwned(info.run)) continue
        if (query.commanded === true && !facts.isCommanded(info)) continue
        if (runs.length === limit) return { runs, cursor: formatCursor(runs[runs.length - 1]!) }
        runs.push(info)
      }
      return { runs }
    }
  }
}
