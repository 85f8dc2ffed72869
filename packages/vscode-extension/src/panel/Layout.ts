/** Where the nodes and edges of a drawing stand, in pixels. It depends on the flow alone, not on what a run does. */
import { Graph, layout } from "@dagrejs/dagre"
import type { Drawing } from "../reading/Graph.ts"
import { end } from "../reading/Graph.ts"
import { beginning, line } from "../reading/Text.ts"

export interface Point {
  readonly x: number
  readonly y: number
}

/** A node by its centre and size. */
export interface PlacedNode extends Point {
  readonly id: string
  readonly label: string
  readonly width: number
  readonly height: number
  readonly role: "node" | "start" | "end"
  readonly note?: string
}

export interface PlacedEdge {
  readonly from: string
  readonly to: string
  readonly kind: string
  readonly label?: string
  readonly points: ReadonlyArray<Point>
}

export interface Placed {
  readonly width: number
  readonly height: number
  readonly nodes: ReadonlyArray<PlacedNode>
  readonly edges: ReadonlyArray<PlacedEdge>
}

const height = 44
/** More is not said of a node. */
const mostNote = 1000
const widthOf = (label: string): number => Math.min(260, Math.max(96, 56 + label.length * 8))

/** Edges come in kinds that one flow may have between the same two nodes: a name for each keeps them apart. */
export const place = ({ edges, nodes, notes, start }: Drawing): Placed => {
  const graph = new Graph({ multigraph: true })
  graph.setGraph({ rankdir: "TB", nodesep: 28, ranksep: 28, marginx: 10, marginy: 10 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const id of nodes)
    graph.setNode(id, { width: id === end ? 64 : widthOf(id), height: id === end ? 32 : height })
  for (const { from, kind, label, to } of edges) {
    if (!graph.hasNode(from) || !graph.hasNode(to)) continue
    const size =
      label === undefined ? {} : { width: Math.min(160, label.length * 7 + 8), height: 16, labelpos: "c" }
    graph.setEdge(from, to, { ...size }, kind)
  }
  layout(graph)
  const size = graph.graph() as { readonly width?: number; readonly height?: number }
  return {
    width: size.width ?? 0,
    height: size.height ?? 0,
    nodes: nodes.map((id) => {
      const {
        height: h,
        width,
        x,
        y
      } = graph.node(id) as { x: number; y: number; width: number; height: number }
      const role = id === end ? "end" : id === start ? "start" : "node"
      const note = notes?.get(id)
      const placed = { id, label: line(id, 28), x, y, width, height: h, role } as const
      return note === undefined ? placed : { ...placed, note: beginning(note, mostNote) }
    }),
    edges: edges.flatMap(({ from, kind, label, to }) => {
      const placed = graph.edge(from, to, kind) as { readonly points: ReadonlyArray<Point> } | undefined
      if (placed === undefined) return []
      const points = placed.points.map(({ x, y }) => ({ x, y }))
      return [
        label === undefined ? { from, to, kind, points } : { from, to, kind, label: line(label, 24), points }
      ]
    })
  }
}
