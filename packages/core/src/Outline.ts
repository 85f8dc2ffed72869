/**
 * What a store knows of a flow without its code: the nodes, and where they lead.
 *
 * Runs name the shape of their flow by its fingerprint, and the store keeps the shape under it. So a run can be drawn, nodes
 * that were never visited included, by who has nothing but the store. `Manifest` says more, and needs the flow.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Shape } from "./internal/definition/fingerprint.ts"
import type { Edge } from "./Manifest.ts"
import { Store, StoreError } from "./Store.ts"

/**
 * A flow as it is drawn.
 *
 * - `nodes`, `channels`, `signals`: by name, in order
 * - `edges`: as in `Manifest`, except that a node's errors are those that are routed
 *
 * @category models
 * @since 0.1.0
 */
export interface Outline {
  readonly flow: string
  readonly start: string
  readonly nodes: ReadonlyArray<string>
  readonly edges: ReadonlyArray<Edge>
  readonly channels: ReadonlyArray<{ readonly name: string; readonly kind: string }>
  readonly signals: ReadonlyArray<string>
}

/** The first words of the text of a shape: another format begins with others. */
const format = "waymark flow 1"

type Route = string | readonly ["skipped" | "tolerated", to: string] | null

const routeEdge = (from: string, route: Route, on: Pick<Edge, "tag" | "defect">): ReadonlyArray<Edge> => {
  if (route === null || route === "stop") return []
  if (typeof route === "string") return [{ from, to: route, kind: "route", ...on }]
  const [status, to] = route
  return [{ from, to, kind: status === "skipped" ? "skip" : "tolerate", ...on }]
}

type NodeShape = readonly [
  name: string,
  to: ReadonlyArray<string>,
  error: Shape,
  routes: ReadonlyArray<readonly [tag: string, route: Route]>,
  onDefect: Route,
  fanOut: readonly [to: ReadonlyArray<string>, join: string] | null
]

const edgesOf = ([from, targets, , routes, onDefect, fanOut]: NodeShape): ReadonlyArray<Edge> => [
  ...targets.map((to): Edge => ({ from, to, kind: to === "end" ? "end" : "next" })),
  ...(fanOut === null ? [] : fanOut[0].map((to): Edge => ({ from, to, kind: "branch" }))),
  ...(fanOut === null ? [] : [{ from, to: fanOut[1], kind: "join" } satisfies Edge]),
  ...routes.flatMap(([tag, route]) => routeEdge(from, route, { tag })),
  ...routeEdge(from, onDefect, { defect: true })
]

type FlowShape = readonly [
  format: string,
  flow: string,
  start: string,
  input: Shape,
  output: Shape,
  error: Shape,
  channels: ReadonlyArray<readonly [name: string, kind: string, schema: Shape]>,
  nodes: ReadonlyArray<NodeShape>,
  signals?: ReadonlyArray<readonly [name: string, schema: Shape]>
]

const parse = (text: string): Outline | undefined => {
  const shape = JSON.parse(text) as FlowShape
  if (shape[0] !== format) return undefined
  const [, flow, start, , , , channels, nodes, signals = []] = shape
  return {
    flow,
    start,
    nodes: nodes.map(([name]) => name),
    edges: nodes.flatMap(edgesOf),
    channels: channels.map(([name, kind]) => ({ name, kind })),
    signals: signals.map(([name]) => name)
  }
}

/**
 * The outline of the flow with this fingerprint (`RunState.fingerprint`), as the store keeps it. `undefined` if it does not:
 * the journals were copied from another store, or another release wrote it.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (fingerprint: string): Effect.Effect<Outline | undefined, StoreError, Store> =>
  Effect.gen(function* () {
    const { getArtifact } = yield* Store
    const bytes = yield* getArtifact(fingerprint)
    if (bytes === undefined) return undefined
    return yield* Effect.try({
      try: () => parse(new TextDecoder().decode(bytes)),
      catch: (cause) =>
        new StoreError({
          operation: "getArtifact",
          reason: { _tag: "Corrupt", detail: `the shape of a flow, ${fingerprint}, cannot be read` },
          cause
        })
    })
  })
