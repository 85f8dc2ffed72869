/**
 * Looking at a run: how it is, what it did, and where it stands in its flow.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Manifest from "@waymark/core/Manifest"
import * as Shape from "@waymark/core/Shape"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type * as RunState from "@waymark/core/RunState"
import * as Timeline from "@waymark/core/Timeline"
import * as Graph from "./graph.ts"
import * as Moments from "./moments.ts"
import * as Place from "./place.ts"

/** What is known of a run's flow: from the configuration if it is the very flow, else from the store. */
const drawnOf = Effect.fnUntraced(function* (state: RunState.RunState, timeline: Timeline.Timeline) {
  const { config } = yield* Place.chosen
  const flow = config?.config.flows.find(({ flow: { id } }) => id === state.flow)?.flow
  if (flow !== undefined && flow.version === state.version && flow.fingerprint === state.fingerprint) {
    return Graph.graphOf(Graph.ofManifest(Manifest.manifest(flow)), "flow", timeline)
  }
  const shape = yield* Shape.read(state.fingerprint)
  if (shape !== undefined) return Graph.graphOf(shape, "store", timeline)
  return Graph.graphOf(Graph.ofTimeline(state.flow, timeline), "journal", timeline)
})

/** `from` is where the timeline begins: at most so many events are looked at. */
export interface Seen {
  readonly info: RunInfo
  readonly state: RunState.RunState
  readonly from: number
  readonly timeline: Timeline.Timeline
  readonly moments: ReadonlyArray<Moments.Moment>
  readonly graph: Graph.Graph
}

/** A run with what its last events tell, and the graph of its flow. */
export const look = Effect.fnUntraced(function* (info: RunInfo, most: number) {
  const runs = yield* Runs.Runs
  const state = yield* runs.stateAt(info.run)
  const from = Math.max(0, info.seq + 1 - most)
  const origin = from > 0 ? { run: info.run, seq: from - 1 } : info.forkOf
  const before = origin === undefined ? undefined : yield* runs.stateAt(origin.run, origin.seq)
  const builder = Timeline.make(before)
  const moments: Array<Moments.Moment> = []
  yield* Stream.runForEach(runs.events(info.run, { from, to: info.seq }), (event) =>
    Effect.sync(() => {
      builder.add(event)
      const moment = Moments.momentOf(event)
      if (moment !== undefined) moments.push(moment)
    })
  )
  const { timeline } = builder
  return { info, state, from, timeline, moments, graph: yield* drawnOf(state, timeline) } satisfies Seen
})
