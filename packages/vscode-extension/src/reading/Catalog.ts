/**
 * The rows of a store's run index, in memory, with what belongs under what: for trees, filters and counts.
 *
 * It is filled from pages of `Store.list` and kept up to date run by run, so that nothing here costs more the more runs
 * there are than looking at a row each.
 */
import * as RunIndex from "@waymark/core/RunIndex"
import type { RunInfo, RunStatus } from "@waymark/core/RunInfo"

/** Which runs to show. `text` is looked for in ids, flows, errors, tags, attributes and what is waited for. */
export interface RunFilter {
  readonly text?: string
  readonly statuses?: ReadonlyArray<RunStatus>
  readonly flow?: string
}

export const isFiltering = (filter: RunFilter): boolean =>
  (filter.text ?? "") !== "" || filter.statuses !== undefined || filter.flow !== undefined

const textsOf = function* (info: RunInfo): Iterable<string | undefined> {
  yield info.run
  yield info.flow
  yield info.error?.tag
  yield info.error?.message
  yield info.session
  yield info.correlation
  yield info.node
  yield* info.tags
  for (const { name } of info.waits) yield name
  for (const { name } of info.bookmarks ?? []) yield name
  for (const [name, value] of Object.entries(info.attributes ?? {})) yield `${name}=${value}`
}

/** Whether a run is one of those that a filter lets through: all words of its text have to be in it. */
export const passes = (filter: RunFilter, info: RunInfo): boolean => {
  if (filter.statuses !== undefined && !filter.statuses.includes(info.status)) return false
  if (filter.flow !== undefined && filter.flow !== info.flow) return false
  const words = (filter.text ?? "")
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "")
  if (words.length === 0) return true
  const texts: Array<string> = []
  for (const text of textsOf(info)) if (text !== undefined) texts.push(text.toLowerCase())
  return words.every((word) => texts.some((text) => text.includes(word)))
}

export interface Catalog {
  readonly size: number
  readonly get: (run: string) => RunInfo | undefined
  readonly set: (info: RunInfo) => void
  readonly remove: (run: string) => void
  /** The newest runs that pass, at most `limit`; `rootsOnly` leaves out those that stand under another one. */
  readonly newest: (limit: number, filter: RunFilter, rootsOnly: boolean) => ReadonlyArray<RunInfo>
  /** How many runs pass. */
  readonly count: (filter: RunFilter, rootsOnly: boolean) => number
  /** The children and forks of a run, newest first. */
  readonly under: (run: string) => ReadonlyArray<RunInfo>
  readonly hasUnder: (run: string) => boolean
  /** The run that a run stands under: the one it was forked from, or the one that started it, if that is here. */
  readonly above: (info: RunInfo) => string | undefined
  /** The ids of all runs. */
  readonly runs: () => Iterable<string>
  readonly flows: () => ReadonlyMap<string, number>
  readonly statuses: () => ReadonlyMap<RunStatus, number>
}

const noFacts: RunIndex.Facts = { isOwned: () => false, isCommanded: () => false }
const pageSize = 1000

export const make = (): Catalog => {
  const index = RunIndex.make()
  const nested = new Map<string, Set<string>>()

  const originOf = ({ forkOf, parent }: RunInfo): string | undefined => forkOf?.run ?? parent

  const above: Catalog["above"] = (info) => {
    const origin = originOf(info)
    return origin !== undefined && index.get(origin) !== undefined ? origin : undefined
  }

  const newestFirst = function* (): Iterable<RunInfo> {
    let cursor: string | undefined
    do {
      const page: ReturnType<RunIndex.RunIndex["list"]> = index.list(
        cursor === undefined ? { limit: pageSize } : { limit: pageSize, cursor },
        noFacts
      )
      yield* page?.runs ?? []
      cursor = page?.cursor
    } while (cursor !== undefined)
  }

  const passing = function* (filter: RunFilter, rootsOnly: boolean): Iterable<RunInfo> {
    for (const info of newestFirst()) {
      if (rootsOnly && above(info) !== undefined) continue
      if (passes(filter, info)) yield info
    }
  }

  const tally = <K>(keyOf: (info: RunInfo) => K): ReadonlyMap<K, number> => {
    const counts = new Map<K, number>()
    for (const info of index.values()) counts.set(keyOf(info), (counts.get(keyOf(info)) ?? 0) + 1)
    return counts
  }

  return {
    get size() {
      return index.size
    },
    get: (run) => index.get(run),
    set: (info) => {
      index.set(info)
      const origin = originOf(info)
      if (origin === undefined) return
      const others = nested.get(origin)
      if (others === undefined) nested.set(origin, new Set([info.run]))
      else others.add(info.run)
    },
    remove: (run) => {
      const info = index.get(run)
      if (info === undefined) return
      index.remove(run)
      const origin = originOf(info)
      if (origin !== undefined) nested.get(origin)?.delete(run)
    },
    newest: (limit, filter, rootsOnly) => {
      const found: Array<RunInfo> = []
      for (const info of passing(filter, rootsOnly)) {
        if (found.length === limit) break
        found.push(info)
      }
      return found
    },
    count: (filter, rootsOnly) => {
      let count = 0
      for (const _ of passing(filter, rootsOnly)) count++
      return count
    },
    under: (run) =>
      Array.from(nested.get(run) ?? [], (id) => index.get(id))
        .filter((info) => info !== undefined)
        .sort((a, b) => b.createdAt - a.createdAt),
    hasUnder: (run) => (nested.get(run)?.size ?? 0) > 0,
    above,
    runs: () => Array.from(index.values(), ({ run }) => run),
    flows: () => tally(({ flow }) => flow),
    statuses: () => tally(({ status }) => status)
  }
}
