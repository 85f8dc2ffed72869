/**
 * A flow as a graph, with what a run did in it.
 */
import type { Manifest } from "@waymark/core/Manifest"
import type { Shape } from "@waymark/core/Shape"
import * as Timeline from "@waymark/core/Timeline"

/** A node of the graph: `visits` is how many there were, `open` how many of them have not ended. */
export interface GraphNode {
  readonly name: string
  readonly status: Timeline.NodeStatus
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
export type Drawn = Pick<Shape, "flow" | "start" | "nodes" | "edges">

export const ofManifest = ({ edges, id, nodes, start }: Manifest): Drawn => ({
  flow: id,
  start,
  nodes: nodes.map(({ name }) => name),
  edges
})

/** Only what a run did, of a flow of which nothing else is known. */
export const ofTimeline = (flow: string, { edges, visits }: Timeline.Timeline): Drawn => ({
  flow,
  start: visits[0]?.node ?? "",
  nodes: [...new Set(visits.map(({ node }) => node))],
  edges: edges.map(({ from, to }) => ({ from, to, kind: to === "end" ? "end" : "next" }))
})

const edgeKey = (from: string, to: string): string => JSON.stringify([from, to])

/** The graph of a flow, and with a timeline the statuses of its nodes. */
export const graphOf = (drawn: Drawn, known: Graph["known"], timeline?: Timeline.Timeline): Graph => {
  const open = new Map<string, number>()
  for (const { ended, node } of timeline?.visits ?? []) {
    if (ended === undefined) open.set(node, (open.get(node) ?? 0) + 1)
  }
  const taken = new Map(timeline?.edges.map(({ count, from, to }) => [edgeKey(from, to), count]))
  const merged = new Map<string, { from: string; to: string; kinds: Array<string> }>()
  for (const { from, kind, tag, to } of drawn.edges) {
    const key = edgeKey(from, to)
    const edge = merged.get(key) ?? { from, to, kinds: [] }
    const name = tag === undefined ? kind : `${kind} ${tag}`
    if (!edge.kinds.includes(name)) edge.kinds.push(name)
    merged.set(key, edge)
  }
  const none: ReadonlyArray<Timeline.NodeEntry> = drawn.nodes.map((node) => ({
    node,
    status: "pending",
    visits: 0,
    attempts: 0
  }))
  const nodes = timeline === undefined ? none : Timeline.nodes(timeline, drawn.nodes)
  return {
    flow: drawn.flow,
    start: drawn.start,
    known,
    nodes: nodes.map(({ node, status, visits }) => ({
      name: node,
      status,
      visits,
      open: open.get(node) ?? 0
    })),
    edges: [...merged.entries()].map(([key, edge]) => ({ ...edge, taken: taken.get(key) ?? 0 }))
  }
}
