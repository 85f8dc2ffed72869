/**
 * The graph of a flow with what a run made of it up to a position: which nodes were visited and how that went, which edges
 * were taken.
 */
import type { Event } from "@waymark/core/Event"
import type { Edge, Manifest, Node } from "@waymark/core/Manifest"
import type { Shape } from "@waymark/core/Shape"
import { duration } from "./Text.ts"

export type NodeStatus =
  | "unvisited"
  | "running"
  | "waiting"
  | "completed"
  | "failed"
  | "tolerated"
  | "skipped"
  | "cancelled"

/** A flow as it is drawn, whether its shape is known or only what a run did. */
export interface Drawing {
  readonly flow: string
  readonly start: string
  readonly nodes: ReadonlyArray<string>
  readonly edges: ReadonlyArray<Pick<Edge, "from" | "to" | "kind"> & { readonly label?: string }>
  /** What is to be said of nodes, where the code was asked: what they are for, and their policies. */
  readonly notes?: ReadonlyMap<string, string>
}

/** The name under which the end of the flow is drawn. */
export const end = "end"

const labelOf = ({ defect, kind, tag }: Edge): string | undefined =>
  defect === true ? "defect" : (tag ?? (kind === "branch" ? "each" : undefined))

const fanOutText = ({ concurrency, policy }: NonNullable<Node["fanOut"]>): string => {
  const stops =
    policy === "failFast"
      ? "the first failure ends them"
      : policy === "collect"
        ? "failures are collected"
        : `${policy.quorum} have to complete`
  return `branches: ${stops}${concurrency === undefined ? "" : `, ${concurrency} at once`}`
}

/** What is to be said of a node: its description and its policies, a line for each. */
const noteOf = (node: Node): string =>
  [
    node.description,
    node.retry === undefined
      ? undefined
      : `retries: ${node.retry}${node.retryOnly === true ? ", if a condition holds" : ""}`,
    node.timeout === undefined ? undefined : `an attempt may take ${duration(node.timeout)}`,
    node.maxVisits === undefined
      ? undefined
      : `at most ${node.maxVisits} visits, then the run ${node.onExceeded === "pause" ? "pauses" : "fails"}`,
    node.fanOut === undefined ? undefined : fanOutText(node.fanOut),
    node.errors.length === 0 ? undefined : `may fail with ${node.errors.join(", ")}`
  ]
    .filter((text) => text !== undefined)
    .join("\n")

/** The drawing of a flow as its code describes it. */
export const drawingOfManifest = (manifest: Manifest): Drawing => ({
  ...drawingOf({
    flow: manifest.id,
    start: manifest.start,
    nodes: manifest.nodes.map(({ name }) => name),
    edges: manifest.edges
  }),
  notes: new Map(
    manifest.nodes.flatMap((node): ReadonlyArray<readonly [string, string]> => {
      const note = noteOf(node)
      return note === "" ? [] : [[node.name, note]]
    })
  )
})

/** The drawing of a shape. Edges between the same nodes are one, of the kind that comes first. */
export const drawingOf = (shape: Pick<Shape, "flow" | "start" | "nodes" | "edges">): Drawing => {
  const edges = new Map<string, Drawing["edges"][number]>()
  for (const edge of shape.edges) {
    const key = `${edge.from}\0${edge.to}`
    const label = labelOf(edge)
    const known = edges.get(key)
    if (known === undefined) {
      const { from, kind, to } = edge
      edges.set(key, label === undefined ? { from, to, kind } : { from, to, kind, label })
    } else if (label !== undefined && known.kind !== "next" && known.kind !== "end") {
      edges.set(key, { ...known, label: known.label === undefined ? label : `${known.label}, ${label}` })
    }
  }
  const leaves = shape.edges.some(({ to }) => to === end)
  return {
    flow: shape.flow,
    start: shape.start,
    nodes: leaves ? [...shape.nodes, end] : shape.nodes,
    edges: [...edges.values()]
  }
}

/** What became of a node: how often it was visited, and how it stands now. */
export interface NodeState {
  status: NodeStatus
  visits: number
  failures: number
  /** How many visits of it are open; of branches there may be many. */
  open: number
}

export interface GraphState {
  readonly nodes: Map<string, NodeState>
  /** How often an edge was taken, under its `from` and `to` with a NUL between. */
  readonly edges: Map<string, number>
  /** Where branches stand: the node each is in. */
  readonly at: Map<string, string>
  /** Where an open wait stands. */
  readonly waits: Map<string, string>
  /** Where the branches of an open fan-out are joined, by the branch that fanned out. */
  readonly joins: Map<string, { readonly join: string; readonly visit: number }>
}

export const emptyState = (): GraphState => ({
  nodes: new Map(),
  edges: new Map(),
  at: new Map(),
  waits: new Map(),
  joins: new Map()
})

const nodeIn = ({ nodes }: GraphState, name: string): NodeState => {
  let node = nodes.get(name)
  if (node === undefined) {
    node = { status: "unvisited", visits: 0, failures: 0, open: 0 }
    nodes.set(name, node)
  }
  return node
}

const enter = (state: GraphState, branch: string, name: string): void => {
  state.at.set(branch, name)
  const node = nodeIn(state, name)
  node.open++
  node.status = "running"
}

const leave = (state: GraphState, branch: string, name: string, status: NodeStatus): void => {
  state.at.delete(branch)
  const node = nodeIn(state, name)
  node.open = Math.max(0, node.open - 1)
  node.visits++
  node.status = node.open > 0 && status === "completed" ? "running" : status
}

const takeEdge = ({ edges }: GraphState, from: string, to: string): void => {
  const key = `${from}\0${to}`
  edges.set(key, (edges.get(key) ?? 0) + 1)
}

/** Ends what is open in branches that begin with a prefix, or everywhere. */
const drop = (state: GraphState, prefix: string, status: NodeStatus): void => {
  for (const [branch, name] of state.at) {
    if (prefix !== "" && !branch.startsWith(prefix)) continue
    state.at.delete(branch)
    const node = nodeIn(state, name)
    node.open = Math.max(0, node.open - 1)
    if (node.status === "running" || node.status === "waiting") node.status = status
  }
}

const reachEnd = (state: GraphState, status: NodeStatus): void => {
  const node = nodeIn(state, end)
  node.visits = 1
  node.status = status
}

/** The name of the i-th branch of a visit, as the engine gives it. */
const branchName = (branch: string, visit: number, index: number): string =>
  `${branch === "" ? "" : `${branch}/`}${visit}.${index}`

/** Takes an event in. `branchOf` says which branch a fan-out's first events name. */
export const take = (state: GraphState, event: Event): void => {
  const branch = "branch" in event && event.branch !== undefined ? event.branch : ""
  switch (event.kind) {
    case "created":
      enter(state, "", event.start)
      break
    case "forked":
      if (event.node !== undefined) enter(state, "", event.node)
      break
    case "visited": {
      const { next, node } = event
      leave(state, branch, node, "completed")
      if ("to" in next) {
        takeEdge(state, node, next.to)
        if (next.joins !== true) enter(state, branch, next.to)
      } else if ("join" in next) {
        next.branches.forEach(({ node: to }, i) => {
          takeEdge(state, node, to)
          enter(state, branchName(branch, event.visit, i), to)
        })
        state.joins.set(branch, { join: next.join, visit: event.visit })
      } else {
        takeEdge(state, node, end)
        reachEnd(state, "completed")
      }
      break
    }
    case "visitFailed": {
      const { node, outcome } = event
      leave(state, branch, node, outcome.status)
      nodeIn(state, node).failures++
      takeEdge(state, node, outcome.to)
      if (outcome.to === end) reachEnd(state, "completed")
      else if (outcome.joins !== true) enter(state, branch, outcome.to)
      break
    }
    case "attemptFailed":
      nodeIn(state, event.node).failures++
      break
    case "branchFailed":
      leave(state, branch, event.node, "failed")
      nodeIn(state, event.node).failures++
      break
    case "waitOpened":
      nodeIn(state, event.node).status = "waiting"
      state.waits.set(event.wait, event.node)
      break
    case "waitEnded": {
      const name = state.waits.get(event.wait)
      state.waits.delete(event.wait)
      if (name === undefined) break
      const others = [...state.waits.values()].includes(name)
      const node = nodeIn(state, name)
      if (!others && node.status === "waiting") node.status = "running"
      break
    }
    case "joined": {
      const opened = state.joins.get(branch)
      state.joins.delete(branch)
      drop(state, `${event.fanOut}.`, "cancelled")
      if (opened !== undefined) enter(state, branch, opened.join)
      break
    }
    case "failed":
    case "compensating":
      if (event.node !== undefined) {
        const node = nodeIn(state, event.node)
        if (event.error !== undefined) {
          node.status = "failed"
          node.failures++
        }
        state.at.delete(branch)
      }
      drop(state, "", "cancelled")
      break
    case "cancelled":
      drop(state, "", "cancelled")
      break
    case "restarted": {
      // It goes on from the visit that failed.
      for (const [name, node] of state.nodes) {
        if (node.status === "failed") enter(state, "", name)
      }
      break
    }
  }
}

/** A drawing of what a run did, where the shape of its flow is not known. */
export const observed = (flow: string, start: string, state: GraphState): Drawing => ({
  flow,
  start,
  nodes: [...new Set([start, ...state.nodes.keys()])],
  edges: Array.from(state.edges.keys(), (key) => {
    const [from = "", to = ""] = key.split("\0")
    return { from, to, kind: to === end ? "end" : "next" }
  })
})
