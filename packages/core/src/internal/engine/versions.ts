/**
 * Whether a flow can go on with a run, and what has to happen before.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Body, PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { Call, RunState } from "../../RunState.ts"
import type * as Store from "../../Store.ts"
import { differences } from "../definition/difference.ts"
import type { Difference } from "../definition/difference.ts"
import { shapeTextOf } from "../definition/fingerprint.ts"
import { visitsOf } from "../visits.ts"
import type { Journals } from "./reader.ts"
import type { Mismatch } from "./typedState.ts"

/** The shapes that each store is known to keep. */
const kept = /* @__PURE__ */ new WeakMap<object, Set<string>>()

/**
 * Keeps the shape of a flow in the store, once: a run names it by its fingerprint, which is the hash of that text, so that
 * another version can say what became different.
 */
export const keepShape = (
  store: Store.Store["Service"],
  flow: Flow.Any
): Effect.Effect<void, Store.StoreError> => {
  const { fingerprint } = flow
  const known = kept.get(store) ?? new Set()
  return known.has(fingerprint)
    ? Effect.void
    : Effect.gen(function* () {
        if ((yield* store.getArtifact(fingerprint)) === undefined)
          yield* store.putArtifact(new TextEncoder().encode(shapeTextOf(flow)))
        kept.set(store, known.add(fingerprint))
      })
}

/** The nodes at which visits or fan-outs of a run are open and that a flow does not have, once they are renamed. */
export const stranded = (
  flow: Flow.Any,
  state: RunState,
  rename: (node: string) => string = (node) => node
): ReadonlyArray<Difference> => {
  const open = new Set<string>()
  for (const [, { node }] of visitsOf(state)) open.add(node)
  for (const { join } of HashMap.values(state.fanOuts)) open.add(join)
  return [...open]
    .filter((node) => !Object.hasOwn(flow.nodes, rename(node)))
    .map((node) => ({
      kind: "stranded",
      message: `the run is in node "${node}", of which nothing is left in version ${flow.version}`
    }))
}

/** A value that does not fit its schema. */
export const unfit = ({ message, what }: Mismatch): Difference => ({
  kind: "state",
  message: `${what}: ${message}`
})

/** Whether the flow can go on with the run as it is. */
export const isCurrent = (flow: Flow.Any, { fingerprint, version }: RunState): boolean =>
  version === flow.version && fingerprint === flow.fingerprint

/** `undefined` if it can. */
export type Assessment = Result.Result<Extract<Body, { kind: "migrated" }>, ReadonlyArray<Difference>>

export const assess = (
  { store }: Journals,
  flow: Flow.Any,
  state: RunState
): Effect.Effect<Assessment | undefined> => {
  const { fingerprint, version } = state
  if (isCurrent(flow, state)) return Effect.succeed(undefined)
  const first = flow.migrations.find(({ from }) => from.version === version)
  if (first !== undefined) return first["~engine"].migrate(flow, state)
  return Effect.map(Effect.result(store.getArtifact(fingerprint)), (kept) => {
    const found = [...stranded(flow, state)]
    if (version < flow.version)
      found.unshift({ kind: "version", message: `no migration from version ${version} is declared` })
    if (Result.isSuccess(kept) && kept.success !== undefined)
      found.push(...differences(new TextDecoder().decode(kept.success), shapeTextOf(flow)))
    else {
      const why = Result.isFailure(kept) ? `: ${kept.failure.message}` : ""
      found.push({ kind: "journal", message: `what the flow was like is not in the store${why}` })
    }
    return Result.fail(found)
  })
}

/** So much of the differences stands in a journal. */
const mostLines = 20
const mostText = 300

/** Differences as a text for people. Where what is stored is encrypted, it quotes nothing of it. */
export const incompatible = (
  flow: Flow.Any,
  { fingerprint, version }: RunState,
  found: ReadonlyArray<Difference>,
  encrypts: boolean
): PauseReason => {
  const of = (at: number, print: string) => `version ${at} (${print.slice(0, 12)})`
  const lines = [
    `the run is at ${of(version, fingerprint)} of flow ${flow.id}, the worker has ${of(flow.version, flow.fingerprint)}`,
    ...found.map(({ kind, message }) =>
      encrypts && (kind === "state" || kind === "migration")
        ? `its ${kind}: checkCompatibility says more`
        : message.slice(0, mostText)
    )
  ]
  if (lines.length > mostLines) lines.splice(mostLines, Infinity, `and ${lines.length - mostLines} more`)
  return { kind: "incompatible", message: lines.join("\n- ") }
}

/** A recorded call that does not fit the schemas of its tool. */
export const unreadableCall = (
  { node, visit }: { readonly node: string; readonly visit: number },
  { seq, tool }: Call,
  why: string
): PauseReason => ({
  kind: "incompatible",
  message: `visit ${visit} of node ${node} has a call of tool ${tool}, recorded at seq ${seq}, that does not fit the schemas of the tool${why}`
})

/** The event that has to come before the flow can go on with a run, if there is one. */
export const follow = /* @__PURE__ */ Effect.fnUntraced(function* (
  journals: Journals,
  flow: Flow.Any,
  state: RunState
): Effect.fn.Return<Extract<Body, { kind: "migrated" | "paused" }> | undefined, Store.StoreError> {
  const assessment = yield* assess(journals, flow, state)
  if (assessment === undefined) return undefined
  if (Result.isFailure(assessment)) {
    const { codec } = journals
    return {
      kind: "paused",
      reason: incompatible(flow, state, assessment.failure, codec?.encrypts === true)
    }
  }
  yield* keepShape(journals.store, flow)
  return assessment.success
})
