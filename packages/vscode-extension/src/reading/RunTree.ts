/**
 * The tree of runs: stores, in them runs (by flow or status, if somebody wishes), under these their children and forks.
 */
import * as Effect from "effect/Effect"
import type { RunInfo, RunStatus } from "@waymark/core/RunInfo"
import { isFiltering } from "./Catalog.ts"
import type { RunFilter } from "./Catalog.ts"
import { aboutRun, iconOf, statuses, statusIcon, statusText, waitsText } from "./Status.ts"
import type { Source, Stores } from "./Stores.ts"
import { ago, byCodeUnits, duration, line, moment } from "./Text.ts"
import type { Item, Model } from "./Tree.ts"
import { Shown } from "./Tree.ts"

export type RunNode =
  | { readonly kind: "store"; readonly store: string }
  | { readonly kind: "group"; readonly store: string; readonly by: "flow" | "status"; readonly value: string }
  | { readonly kind: "run"; readonly store: string; readonly run: string; readonly list: string }
  | { readonly kind: "more"; readonly store: string; readonly list: string; readonly left: number }
  | { readonly kind: "note"; readonly store: string; readonly text: string; readonly problem: boolean }

export type Grouping = "none" | "flow" | "status"

const isLive = (status: RunStatus): boolean =>
  status === "running" || status === "pending" || status === "cancelling"

/** What menus depend on: what the run is, and what can be done with it. */
const contextOf = (info: RunInfo): string => {
  const words = ["run", info.status]
  if (isLive(info.status) || info.status === "waiting") words.push("pausable")
  if (info.endedAt === undefined) words.push("open")
  else words.push("ended")
  if (info.waits.some(({ type }) => type === "user")) words.push("asks")
  if (info.waits.some(({ type }) => type === "event") || info.signals !== undefined) words.push("signals")
  if (info.error !== undefined) words.push("error")
  return words.join(" ")
}

const tooltipOf = (info: RunInfo): string => {
  const lines = [
    info.run,
    `${info.status}: ${statusText(info.status)}`,
    `flow ${info.flow}, version ${info.version}; ${info.steps} ${info.steps === 1 ? "step" : "steps"}, ${info.seq + 1} events`,
    `started ${moment(info.createdAt)}`
  ]
  if (info.endedAt !== undefined) lines.push(`took ${duration(info.endedAt - info.createdAt)}`)
  if (info.node !== undefined) lines.push(`node ${info.node}`)
  if (info.error !== undefined)
    lines.push(`${info.error.tag ?? info.error.kind}: ${line(info.error.message ?? "", 400)}`)
  if (info.waits.length > 0) lines.push(`waits for ${waitsText(info)}`)
  if (info.forkOf !== undefined) lines.push(`forked from ${info.forkOf.run} at ${info.forkOf.seq}`)
  if (info.parent !== undefined) lines.push(`started by ${info.parent}`)
  if (info.session !== undefined) lines.push(`session ${info.session}`)
  if (info.tags.length > 0) lines.push(`tags ${info.tags.join(", ")}`)
  for (const { at, name } of info.bookmarks ?? []) lines.push(`bookmark ${name} at ${at}`)
  return lines.map((text) => line(text, 500)).join("\n")
}

export interface RunTree extends Model<RunNode> {
  readonly filter: RunFilter
  readonly grouping: Grouping
  readonly setFilter: (filter: RunFilter) => void
  readonly setGrouping: (grouping: Grouping) => void
  readonly more: (list: string) => void
  /** The node of a run, wherever it stands. */
  readonly nodeOf: (store: string, run: string) => RunNode | undefined
  /** What is shown of how many, if somebody filters. */
  readonly summary: () => string | undefined
}

export const make = (stores: Pick<Stores["Service"], "sources" | "source">, now: () => number): RunTree => {
  const shown = new Shown()
  let filter: RunFilter = {}
  let grouping: Grouping = "none"

  const runNode = (store: string, run: string, list: string): RunNode => ({ kind: "run", store, run, list })

  const listed = (
    { catalog, place }: Source,
    list: string,
    wanted: RunFilter,
    rootsOnly: boolean
  ): ReadonlyArray<RunNode> => {
    const limit = shown.of(list)
    const infos = catalog.newest(limit + 1, wanted, rootsOnly)
    const nodes = infos.slice(0, limit).map(({ run }) => runNode(place.path, run, list))
    if (infos.length <= limit) return nodes
    const left = catalog.count(wanted, rootsOnly) - limit
    return [...nodes, { kind: "more", store: place.path, list, left }]
  }

  const inStore = (source: Source): ReadonlyArray<RunNode> => {
    const store = source.place.path
    const note = (text: string, problem = false): RunNode => ({ kind: "note", store, text, problem })
    const notes = source.problem === undefined ? [] : [note(source.problem, true)]
    if (source.catalog.size === 0) {
      if (notes.length > 0) return notes
      return [note(source.loaded ? "No run yet: start one, and it appears here" : "Reading…")]
    }
    const { catalog } = source
    if (grouping === "flow") {
      const flows = [...catalog.flows().keys()].sort(byCodeUnits)
      return [...notes, ...flows.map((value): RunNode => ({ kind: "group", store, by: "flow", value }))]
    }
    if (grouping === "status") {
      const counts = catalog.statuses()
      const present = statuses.filter((status) => counts.has(status))
      return [...notes, ...present.map((value): RunNode => ({ kind: "group", store, by: "status", value }))]
    }
    const runs = listed(source, store, filter, !isFiltering(filter))
    return [...notes, ...(runs.length === 0 ? [note("No run passes the filter")] : runs)]
  }

  const inGroup = (source: Source, node: Extract<RunNode, { kind: "group" }>): ReadonlyArray<RunNode> => {
    const wanted: RunFilter =
      node.by === "flow"
        ? { ...filter, flow: filter.flow ?? node.value }
        : { ...filter, statuses: [node.value as RunStatus] }
    if (node.by === "status" && filter.statuses?.includes(node.value as RunStatus) === false) return []
    if (node.by === "flow" && filter.flow !== undefined && filter.flow !== node.value) return []
    return listed(source, `${node.store}\0${node.by}\0${node.value}`, wanted, false)
  }

  const children = (node: RunNode | undefined): ReadonlyArray<RunNode> => {
    if (node === undefined) {
      return stores.sources().map(({ place }): RunNode => ({ kind: "store", store: place.path }))
    }
    const source = stores.source(node.store)
    if (source === undefined) return []
    switch (node.kind) {
      case "store":
        return inStore(source)
      case "group":
        return inGroup(source, node)
      case "run": {
        const list = `${node.store}\0under\0${node.run}`
        const under = source.catalog.under(node.run)
        const limit = shown.of(list)
        const nodes = under.slice(0, limit).map(({ run }) => runNode(node.store, run, list))
        const left = under.length - limit
        return left > 0 ? [...nodes, { kind: "more", store: node.store, list, left }] : nodes
      }
      default:
        return []
    }
  }

  const storeItem = (source: Source | undefined, store: string): Item => ({
    id: `store\0${store}`,
    label: source?.place.label ?? store,
    description:
      source?.problem !== undefined
        ? "cannot be read"
        : source?.loaded === true
          ? String(source.catalog.size)
          : "…",
    tooltip: source?.problem === undefined ? store : `${store}\n${line(source.problem, 1000)}`,
    icon:
      source?.problem === undefined
        ? { id: source?.place.kind === "file" ? "database" : "archive" }
        : { id: "warning", color: "list.warningForeground" },
    expand: "expanded",
    context: source?.problem === undefined ? "store" : "store problem"
  })

  const runItem = (node: Extract<RunNode, { kind: "run" }>): Item => {
    const catalog = stores.source(node.store)?.catalog
    const info = catalog?.get(node.run)
    const id = `run\0${node.list}\0${node.run}`
    if (info === undefined) return { id, label: line(node.run), description: "gone", expand: "never" }
    const relation = info.forkOf !== undefined ? "fork of " : info.parent !== undefined ? "child of " : ""
    const origin = info.forkOf?.run ?? info.parent ?? ""
    const isNested = catalog!.above(info) !== undefined
    const related = relation === "" || isNested ? relation.replace(" of ", " · ") : `${relation}${origin} · `
    return {
      id,
      label: line(info.run),
      description: line(`${related}${info.flow} · ${aboutRun(info)} · ${ago(info.updatedAt, now())}`),
      tooltip: tooltipOf(info),
      icon: iconOf(info),
      expand: catalog!.hasUnder(info.run) && !isFiltering(filter) ? "collapsed" : "never",
      context: contextOf(info),
      command: { id: "waymark.selectRun", title: "Select run" },
      spoken: `${info.status} run ${line(info.run)} of ${info.flow}, ${aboutRun(info)}`
    }
  }

  const item = (node: RunNode): Item => {
    switch (node.kind) {
      case "store":
        return storeItem(stores.source(node.store), node.store)
      case "run":
        return runItem(node)
      case "group": {
        const catalog = stores.source(node.store)?.catalog
        const status = node.value as RunStatus
        const count = node.by === "flow" ? catalog?.flows().get(node.value) : catalog?.statuses().get(status)
        return {
          id: `group\0${node.store}\0${node.by}\0${node.value}`,
          label: line(node.value),
          description: String(count ?? 0),
          icon: node.by === "flow" ? { id: "type-hierarchy" } : statusIcon(status),
          expand: "collapsed",
          context: "group"
        }
      }
      case "more":
        return {
          id: `more\0${node.list}`,
          label: "Load more…",
          description: `${node.left} left`,
          expand: "never",
          context: "more",
          command: { id: "waymark.moreRuns", title: "Load more" }
        }
      case "note":
        return {
          id: `note\0${node.store}\0${node.problem}`,
          label: line(node.text),
          tooltip: line(node.text, 2000),
          icon: node.problem ? { id: "warning", color: "list.warningForeground" } : { id: "info" },
          expand: "never",
          context: node.problem ? "note problem" : "note"
        }
    }
  }

  const nodeOf = (store: string, run: string): RunNode | undefined => {
    const catalog = stores.source(store)?.catalog
    const info = catalog?.get(run)
    if (catalog === undefined || info === undefined) return undefined
    const above = isFiltering(filter) || grouping !== "none" ? undefined : catalog.above(info)
    if (above !== undefined) return runNode(store, run, `${store}\0under\0${above}`)
    if (grouping === "none") return runNode(store, run, store)
    return runNode(store, run, `${store}\0${grouping}\0${grouping === "flow" ? info.flow : info.status}`)
  }

  const parent = (node: RunNode): RunNode | undefined => {
    if (node.kind === "store") return undefined
    if (node.kind !== "run") return { kind: "store", store: node.store }
    const [store, what, value] = node.list.split("\0")
    if (what === "under") return nodeOf(store!, value!)
    if (what === "flow" || what === "status") return { kind: "group", store: store!, by: what, value: value! }
    return { kind: "store", store: node.store }
  }

  return {
    children: (node) => Effect.sync(() => children(node)),
    item,
    parent,
    nodeOf,
    get filter() {
      return filter
    },
    get grouping() {
      return grouping
    },
    setFilter: (next) => {
      filter = next
      shown.reset()
    },
    setGrouping: (next) => {
      grouping = next
      shown.reset()
    },
    more: (list) => shown.more(list),
    summary: () => {
      if (!isFiltering(filter)) return undefined
      let passing = 0
      let all = 0
      for (const { catalog } of stores.sources()) {
        passing += catalog.count(filter, false)
        all += catalog.size
      }
      const parts = [filter.text, filter.flow, filter.statuses?.join(" or ")].filter(
        (part) => part !== undefined
      )
      return `${passing} of ${all} runs: ${parts.join(", ")}`
    }
  }
}
