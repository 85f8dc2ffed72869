/**
 * What the panel of a run and its page say to each other. Both check what they are told; texts of runs are data for the
 * page, never markup.
 */
import * as Schema from "effect/Schema"

const optional = Schema.optionalKey
const Index = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Point = Schema.Struct({ x: Schema.Finite, y: Schema.Finite })

export const Row = Schema.Struct({
  index: Index,
  kind: Schema.Literals(["visit", "call", "wait", "run"]),
  status: Schema.Literals(["open", "completed", "failed", "tolerated", "skipped", "cancelled", "retried"]),
  name: Schema.String,
  branch: Schema.String,
  attempt: Schema.Int,
  from: Index,
  to: Index,
  queued: Schema.Finite,
  started: optional(Schema.Finite),
  ended: optional(Schema.Finite)
})
export type Row = typeof Row.Type

const Graph = Schema.Struct({
  width: Schema.Finite,
  height: Schema.Finite,
  nodes: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      label: Schema.String,
      x: Schema.Finite,
      y: Schema.Finite,
      width: Schema.Finite,
      height: Schema.Finite,
      role: Schema.Literals(["node", "start", "end"]),
      note: optional(Schema.String)
    })
  ),
  edges: Schema.Array(
    Schema.Struct({
      from: Schema.String,
      to: Schema.String,
      kind: Schema.String,
      label: optional(Schema.String),
      points: Schema.Array(Point)
    })
  )
})
export type Graph = typeof Graph.Type

/** How a node stands at a position. */
const NodeState = Schema.Struct({
  id: Schema.String,
  status: Schema.String,
  visits: Index,
  failures: Index,
  open: Index
})
export type NodeState = typeof NodeState.Type

/**
 * To the page.
 *
 * - `run`: which run it is, and the graph of its flow
 * - `size`: how much there is by now; `reading` while not all of it is known
 * - `at`: where the cursor stands: the row and checkpoint, the nodes, the edges taken, and the state in short
 * - `rows`: those it asked for
 * - `focus`: the node that somebody came for
 */
export const ToPage = Schema.Union([
  Schema.TaggedStruct("run", {
    store: Schema.String,
    run: Schema.String,
    flow: Schema.String,
    known: Schema.Boolean,
    graph: Graph
  }),
  Schema.TaggedStruct("size", {
    rows: Index,
    seq: Index,
    status: Schema.String,
    about: Schema.String,
    reading: Schema.Boolean
  }),
  Schema.TaggedStruct("at", {
    seq: Index,
    row: Index,
    title: Schema.String,
    time: Schema.Finite,
    node: optional(Schema.String),
    nodes: Schema.Array(NodeState),
    edges: Schema.Array(Schema.Struct({ from: Schema.String, to: Schema.String, count: Index })),
    state: Schema.Array(Schema.Struct({ name: Schema.String, text: Schema.String, changed: Schema.Boolean })),
    error: optional(Schema.String)
  }),
  Schema.TaggedStruct("rows", { from: Index, rows: Schema.Array(Row) }),
  Schema.TaggedStruct("focus", { node: Schema.String }),
  Schema.TaggedStruct("problem", { text: Schema.String })
])
export type ToPage = typeof ToPage.Type

/** From the page: what somebody did in it, and which rows it shows. */
export const FromPage = Schema.Union([
  Schema.TaggedStruct("ready", {}),
  Schema.TaggedStruct("rows", { from: Index, count: Index.check(Schema.isLessThanOrEqualTo(500)) }),
  Schema.TaggedStruct("goto", { seq: Index }),
  Schema.TaggedStruct("step", { by: Schema.Literals(["first", "previous", "next", "last"]) }),
  Schema.TaggedStruct("visit", { node: Schema.String, by: Schema.Literals(["previous", "next"]) }),
  Schema.TaggedStruct("open", {
    what: Schema.Literals(["state", "source", "error", "event", "debug", "replay", "fork", "compare"]),
    node: optional(Schema.String)
  })
])
export type FromPage = typeof FromPage.Type

/** What the page keeps, and the panel is restored from. */
export const Kept = Schema.Struct({ store: Schema.String, run: Schema.String })
