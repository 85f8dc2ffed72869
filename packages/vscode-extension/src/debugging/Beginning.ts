/**
 * Where the code of a run is to be executed from: the nearest position, from one backwards, at which visits are open.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunState } from "@waymark/core/RunState"
import { checkpointAt, visitsOf } from "./Journey.ts"
import type { Reader } from "./Journey.ts"

/** A position, and the nodes that are executed next from there. */
export interface Beginning {
  readonly seq: number
  readonly nodes: ReadonlyArray<string>
}

/** So far back it is looked: what follows the last visit of a run is short. */
const mostSteps = 1000

/** The nodes of the open visits of a run: none once it has ended. */
export const openNodes = ({ branches, open, status }: RunState): ReadonlyArray<string> => {
  if (isTerminal(status)) return []
  const nodes = new Set(Object.values(open).map(({ node }) => node))
  for (const { node } of HashMap.values(branches)) nodes.add(node)
  return [...nodes]
}

/** From a position, or the end. Where nothing is open any more, it is the visit before; with a node, the last one of it. */
export const beginningAt = (
  reader: Reader,
  seq: number | undefined,
  node?: string
): Effect.Effect<Beginning | undefined, Error> =>
  Effect.gen(function* () {
    let from = seq ?? (yield* reader.info).seq
    if (node !== undefined && seq === undefined) {
      const last = (yield* visitsOf(reader, node)).at(-1)
      if (last === undefined) return undefined
      from = last.seq - 1
    }
    for (let steps = 0; from >= 0 && steps < mostSteps; steps++) {
      const at = yield* checkpointAt(reader, from)
      if (at === undefined) return undefined
      const nodes = openNodes(yield* reader.stateAt(at.seq))
      if (nodes.length > 0 && (node === undefined || nodes.includes(node)))
        return { seq: at.seq, nodes: node === undefined ? nodes : [node] }
      from = at.seq - 1
    }
    return undefined
  })
