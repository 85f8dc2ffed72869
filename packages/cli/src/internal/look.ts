/**
 * Looking at a run: how it is, what it did, and where it stands in its flow.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Event } from "@waymark/core/Event"
import * as Manifest from "@waymark/core/Manifest"
import * as Outline from "@waymark/core/Outline"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type * as RunState from "@waymark/core/RunState"
import * as Graph from "./graph.ts"
import * as Place from "./place.ts"

/** The newest events of a run, oldest first. */
const newest = (run: string, most: number) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const events = yield* Stream.runCollect(runs.events(run, { order: "newest" }).pipe(Stream.take(most)))
    return events.reverse()
  })

/** What is known of a run's flow: from the configuration if it is the very flow, else from the store. */
export const drawnOf = Effect.fnUntraced(function* (state: RunState.RunState) {
  const { config } = yield* Place.chosen
  const flow = config?.config.flows.find(({ flow: { id } }) => id === state.flow)?.flow
  if (flow !== undefined && flow.version === state.version && flow.fingerprint === state.fingerprint) {
    return { drawn: Graph.ofManifest(Manifest.manifest(flow)), known: "flow" as const }
  }
  const outline = yield* Outline.read(state.fingerprint)
  if (outline === undefined) return { drawn: undefined, known: "journal" as const }
  return { drawn: outline as Graph.Drawn, known: "store" as const }
})

export interface Seen {
  readonly info: RunInfo
  readonly state: RunState.RunState
  readonly events: ReadonlyArray<Event>
  readonly graph: Graph.Graph
}

/** A run with its last events, and the graph of its flow with what they say. */
export const look = Effect.fnUntraced(function* (info: RunInfo, most: number) {
  const runs = yield* Runs.Runs
  const state = yield* runs.stateAt(info.run)
  const events = yield* newest(info.run, most)
  const traffic = Graph.emptyTraffic()
  for (const event of events) Graph.see(traffic, event)
  const { drawn, known } = yield* drawnOf(state)
  return { info, state, events, graph: Graph.graphOf(drawn, known, { state, traffic }) } satisfies Seen
})
