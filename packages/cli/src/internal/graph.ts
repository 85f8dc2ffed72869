/**
 * A flow as a graph, with what a run did in it.
 */
import type { Event } from "@waymark/core/Event"
import type { Manifest } from "@waymark/core/Manifest"
import type { Outline } from "@waymark/core/Outline"
import * as RunState from "@waymark/core/RunState"

export type NodeStatus =
  | "pending"
  | "running"
  | "waiting"
  | "completed"
  | "failed"
  | "tolerated"
  | "skipped"
  | "cancelled"

/** A node of the graph: `visits` is how many were seen to end, `open` how many are open. */
export interface GraphNode {
  readonly name: string
  readonly status: NodeStatus
  readonly visits: number
  readonly open: number
}

/** One way on: `kinds` are those of the edges that lead from the one to the other; `taken` is how often one was taken. */
export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly kinds: ReadonlyArray<string>
  readonly taken: number
}

/**
 * - `known`: where the graph comes from: the flow itself, the store, or only what the run did
 */
export interface Graph {
  readonly flow: string
  readonly start: string
  readonly known: "flow" | "store" | "journal"
  readonly nodes: ReadonlyArray<GraphNode>
  readonly edges: ReadonlyArray<GraphEdge>
}

/** What is drawn of a flow. */
export type Drawn = Pick<Outline, "flow" | "start" | "edges"> & { readonly nodes: ReadonlyArray<string> }

export const ofManifest = ({ edges, id, nodes, start }: Manifest): Drawn => ({
  flow: id,
  start,
  nodes: nodes.map(({ name }) => name),
  edges
})

/** What happened at the nodes and edges of a run. */
export interface Traffic {
  readonly ends: Map<string, { visits: number; last: NodeStatus }>
  readonly taken: Map<string, number>
  readonly joins: Map<string, string>
}

const edgeKey = (from: string, to: string): string => JSON.stringify([from, to])

export const emptyTraffic = (): Traffic => ({ ends: new Map(), taken: new Map(), joins: new Map() })

/** Counts an event, oldest first. */
export const see = ({ ends, joins, taken }: Traffic, event: Event): void => {
  const end = (node: string, last: NodeStatus) => {
    const seen = ends.get(node) ?? { visits: 0, last }
    ends.set(node, { visits: seen.visits + 1, last })
  }
  const take = (from: string, to: string) => {
    const key = edgeKey(from, to)
    taken.set(key, (taken.get(key) ?? 0) + 1)
  }
  switch (event.kind) {
    case "visited": {
      end(event.node, "completed")
      const { next } = event
      if ("to" in next) take(event.node, next.to)
      else if ("end" in next) take(event.node, "end")
      else {
        for (const { node } of next.branches) take(event.node, node)
        joins.set(event.node, next.join)
      }
      break
    }
    case "visitFailed":
      end(event.node, event.outcome.status)
      take(event.node, event.outcome.to)
      break
    case "branchFailed":
      end(event.node, "failed")
      break
    case "failed":
    case "compensating":
      if (event.node !== undefined && event.kind === "failed") end(event.node, "failed")
      break
  }
}

/** Only what a run did, for a flow of which nothing else is known. */
const drawnFrom = ({ ends, joins, taken }: Traffic, flow: string, open: Iterable<string>): Drawn => {
  const nodes = new Set<string>(open)
  const edges: Array<Drawn["edges"][number]> = []
  for (const node of ends.keys()) nodes.add(node)
  for (const key of taken.keys()) {
    const [from, to] = JSON.parse(key) as [string, string]
    nodes.add(from)
    if (to !== "end") nodes.add(to)
    edges.push({ from, to, kind: to === "end" ? "end" : "next" })
  }
  for (const [from, to] of joins) edges.push({ from, to, kind: "join" })
  const [start = ""] = ends.keys()
  return { flow, start: start === "" ? ([...nodes][0] ?? "") : start, nodes: [...nodes], edges }
}

const statusOf = (state: RunState.RunState, last: NodeStatus | undefined, open: number, waits: number): NodeStatus => {
  if (open > 0 && (state.status === "cancelled" || state.status === "cancelling")) return "cancelled"
  if (open > 0 && state.ending?.status === "failed") return "failed"
  if (open > 0 && waits === open) return "waiting"
  if (open > 0 && state.status !== "pending") return "running"
  if (last === undefined) return "pending"
  return open > 0 ? "pending" : last
}

/** The graph of a flow, and with a run the statuses of its nodes. */
export const graphOf = (
  drawn: Drawn | undefined,
  known: Graph["known"],
  run?: { readonly state: RunState.RunState; readonly traffic: Traffic }
): Graph => {
  const open = new Map<string, { open: number; waiting: number }>()
  if (run !== undefined) {
    for (const [, visit] of RunState.openVisits(run.state)) {
      const seen = open.get(visit.node) ?? { open: 0, waiting: 0 }
      seen.open++
      if (visit.waiting.length > 0) seen.waiting++
      open.set(visit.node, seen)
    }
  }
  const shown = drawn ?? drawnFrom(run?.traffic ?? emptyTraffic(), run?.state.flow ?? "", open.keys())
  const merged = new Map<string, { from: string; to: string; kinds: Array<string> }>()
  for (const { from, kind, tag, to } of shown.edges) {
    const key = edgeKey(from, to)
    const edge = merged.get(key) ?? { from, to, kinds: [] }
    const name = tag === undefined ? kind : `${kind} ${tag}`
    if (!edge.kinds.includes(name)) edge.kinds.push(name)
    merged.set(key, edge)
  }
  return {
    flow: shown.flow,
    start: shown.start,
    known: drawn === undefined ? "journal" : known,
    nodes: shown.nodes.map((name) => {
      const end = run?.traffic.ends.get(name)
      const now = open.get(name) ?? { open: 0, waiting: 0 }
      return {
        name,
        status: run === undefined ? "pending" : statusOf(run.state, end?.last, now.open, now.waiting),
        visits: end?.visits ?? 0,
        open: now.open
      }
    }),
    edges: [...merged.values()].map((edge) => ({
      ...edge,
      taken: run?.traffic.taken.get(edgeKey(edge.from, edge.to)) ?? 0
    }))
  }
}
