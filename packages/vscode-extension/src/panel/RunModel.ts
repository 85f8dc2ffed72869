/**
 * What the panel of a run shows, read in pieces: the timeline of all events, and the graph at any position.
 */
import * as Effect from "effect/Effect"
import type { Event } from "@waymark/core/Event"
import type { Manifest } from "@waymark/core/Manifest"
import { stateOf } from "@waymark/core/RunState"
import * as Shape from "@waymark/core/Shape"
import { Store } from "@waymark/core/Store"
import { changesOf, checkpointAt, nodeOf } from "../debugging/Journey.ts"
import type { Reader } from "../debugging/Journey.ts"
import { kindText, placeText } from "../reading/Checkpoints.ts"
import { failureOf, failureText } from "../reading/Documents.ts"
import * as Graph from "../reading/Graph.ts"
import { readAll } from "../reading/Journals.ts"
import type { Open } from "../reading/Stores.ts"
import { beginning, line } from "../reading/Text.ts"
import * as Layout from "./Layout.ts"
import type { ToPage } from "./Messages.ts"
import * as Timeline from "./Timeline.ts"

/** So far apart are the positions at which the state of the graph is kept, to begin from. */
const keepEvery = 2000
/** So much of a channel's content is shown beside the graph. */
const mostText = 400

const copyOf = (state: Graph.GraphState): Graph.GraphState => ({
  nodes: new Map(Array.from(state.nodes, ([name, node]) => [name, { ...node }])),
  edges: new Map(state.edges),
  at: new Map(state.at),
  waits: new Map(state.waits),
  joins: new Map(state.joins)
})

export interface RunModel {
  readonly timeline: Timeline.Timeline
  /** Takes in what is new; `told` is called now and then while there is much. */
  readonly update: (told: Effect.Effect<void>) => Effect.Effect<void, Error>
  /** The graph of the flow; what the run did of it, where its shape is not known. */
  readonly graph: Effect.Effect<
    { readonly flow: string; readonly known: boolean; readonly graph: Layout.Placed },
    Error
  >
  /** What is to be shown at the checkpoint at a position or before it. */
  readonly at: (seq: number) => Effect.Effect<Extract<ToPage, { _tag: "at" }>, Error>
}

export const make = (
  open: Open,
  run: string,
  reader: Reader,
  manifestOf: (flow: string) => Manifest | undefined
): RunModel => {
  const timeline = Timeline.make()
  const state = Graph.emptyState()
  const kept: Array<{ readonly seq: number; readonly state: Graph.GraphState }> = []
  let start = ""

  const takeIn = (event: Event): void => {
    if (event.kind === "created") start = event.start
    timeline.take(event)
    Graph.take(state, event)
    if (event.seq % keepEvery === 0) kept.push({ seq: event.seq, state: copyOf(state) })
  }

  const update: RunModel["update"] = (told) =>
    Effect.gen(function* () {
      let full = true
      while (full) {
        let taken = 0
        yield* readAll(open, run, { from: timeline.seq + 1 }, (event) => {
          takeIn(event)
          return ++taken < 10_000
        })
        full = taken >= 10_000
        if (full) yield* told
      }
    })

  const graphAt = (seq: number) =>
    Effect.gen(function* () {
      const nearest = kept.findLast((each) => each.seq <= seq)
      const at = nearest === undefined ? Graph.emptyState() : copyOf(nearest.state)
      const from = nearest === undefined ? 0 : nearest.seq + 1
      if (from <= seq) {
        yield* readAll(open, run, { from, to: seq }, (event) => {
          Graph.take(at, event)
          return true
        })
      }
      return at
    })

  return {
    timeline,
    update,
    graph: Effect.gen(function* () {
      const { fingerprint, flow } = yield* open.runs.stateAt(run)
      const manifest = manifestOf(flow)
      // What the code is now, if that is what the run is executed by.
      if (manifest?.fingerprint === fingerprint)
        return { flow, known: true, graph: Layout.place(Graph.drawingOfManifest(manifest)) }
      const shape = yield* Effect.provideService(Shape.read(fingerprint), Store, open.store)
      const drawing = shape === undefined ? Graph.observed(flow, start, state) : Graph.drawingOf(shape)
      return { flow, known: shape !== undefined, graph: Layout.place(drawing) }
    }),
    at: (seq) =>
      Effect.gen(function* () {
        const event = (yield* checkpointAt(reader, seq)) ?? (yield* reader.event(0))
        const graph = yield* graphAt(event.seq)
        const changes = changesOf(event) ?? {}
        const content = stateOf(yield* open.runs.stateAt(run, event.seq))
        const failure = failureOf(event)
        const node = nodeOf(event)
        return {
          _tag: "at" as const,
          seq: event.seq,
          row: timeline.rowAt(event.seq),
          title: `${line(placeText(event as never), 120)}${node === undefined ? "" : `: ${kindText(event.kind)}`}`,
          time: event.time,
          ...(node === undefined ? {} : { node }),
          nodes: Array.from(graph.nodes, ([id, { failures, open: opened, status, visits }]) => ({
            id,
            status,
            visits,
            failures,
            open: opened
          })),
          edges: Array.from(graph.edges, ([key, count]) => {
            const [from = "", to = ""] = key.split("\0")
            return { from, to, count }
          }),
          state: Object.entries(content).map(([name, value]) => ({
            name,
            text: line(JSON.stringify(value), mostText),
            changed: Object.hasOwn(changes, name)
          })),
          ...(failure === undefined ? {} : { error: beginning(failureText(failure), 2000) })
        }
      })
  }
}
