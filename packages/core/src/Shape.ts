/**
 * The shape of a flow, as a store keeps it for the runs of that flow: its nodes and where they lead, its channels.
 *
 * It is there without the code of the flow, so whoever shows a run can draw the flow that it is a run of.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Edge } from "./Manifest.ts"
import { Store } from "./Store.ts"
import type { StoreError } from "./Store.ts"

/**
 * A flow's nodes and where they lead.
 *
 * - `edges`: as in a `Manifest`
 * - `channels`: their names and kinds
 * - `signals`: the names of the signals that are kept if they come early
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  readonly flow: string
  readonly start: string
  readonly nodes: ReadonlyArray<string>
  readonly edges: ReadonlyArray<Edge>
  readonly channels: ReadonlyArray<{ readonly name: string; readonly kind: string }>
  readonly signals: ReadonlyArray<string>
}

/** A route as it stands in a shape: a node, a status and a node, or a status alone, which leads nowhere. */
type Route = string | readonly [status: string, to: string] | null

type Stored = readonly [
  format: string,
  flow: string,
  start: string,
  input: unknown,
  output: unknown,
  error: unknown,
  channels: ReadonlyArray<readonly [name: string, kind: string, schema: unknown]>,
  nodes: ReadonlyArray<
    readonly [
      name: string,
      to: ReadonlyArray<string>,
      error: unknown,
      onError: ReadonlyArray<readonly [tag: string, route: Route]>,
      onDefect: Route,
      fanOut: readonly [to: ReadonlyArray<string>, join: string] | null
    ]
  >,
  signals?: ReadonlyArray<readonly [name: string, schema: unknown]>
]

const statusKinds: { readonly [status: string]: Edge["kind"] } = { skipped: "skip", tolerated: "tolerate" }

const routeEdges = (from: string, route: Route, on: Pick<Edge, "tag" | "defect">): ReadonlyArray<Edge> => {
  if (route === null || route === "stop") return []
  if (typeof route === "string") return [{ from, to: route, kind: "route", ...on }]
  const kind = statusKinds[route[0]]
  return kind === undefined ? [] : [{ from, to: route[1], kind, ...on }]
}

/**
 * Reads the text of a shape. `undefined` if it is none, or one of a newer release.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Shape | undefined => {
  try {
    const stored = JSON.parse(text) as Stored
    if (stored[0] !== "waymark flow 1") return undefined
    const [, flow, start, , , , channels, nodes, signals = []] = stored
    return {
      flow,
      start,
      channels: channels.map(([name, kind]) => ({ name, kind })),
      signals: signals.map(([name]) => name),
      nodes: nodes.map(([name]) => name),
      edges: nodes.flatMap(([from, to, , onError, onDefect, fanOut]) => [
        ...to.map((target): Edge => ({ from, to: target, kind: target === "end" ? "end" : "next" })),
        ...(fanOut === null ? [] : fanOut[0].map((target): Edge => ({ from, to: target, kind: "branch" }))),
        ...(fanOut === null ? [] : [{ from, to: fanOut[1], kind: "join" } satisfies Edge]),
        ...onError.flatMap(([tag, route]) => routeEdges(from, route, { tag })),
        ...routeEdges(from, onDefect, { defect: true })
      ])
    }
  } catch {
    // It is not JSON, or not made like a shape: whoever asks is told that there is none.
    return undefined
  }
}

/**
 * The shape of the flow with this fingerprint, which stands in the first event of its runs; `undefined` if the store does
 * not have it.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (fingerprint: string): Effect.Effect<Shape | undefined, StoreError, Store> =>
  Effect.flatMap(Store, (store) =>
    Effect.map(store.getArtifact(fingerprint), (bytes) =>
      bytes === undefined ? undefined : parse(new TextDecoder().decode(bytes))
    )
  )
