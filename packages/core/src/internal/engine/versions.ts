/**
 * Whether a flow can go on with a run, and what has to happen before.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Body, PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { RunState } from "../../RunState.ts"
import type * as Store from "../../Store.ts"
import { differences } from "../definition/difference.ts"
import type { Difference } from "../definition/difference.ts"
import { shapeTextOf } from "../definition/fingerprint.ts"
import { visitsOf } from "../visits.ts"
import type { Journals } from "./reader.ts"
import * as TypedState from "./typedState.ts"

type StoreService = Store.Store["Service"]

/** What each store is known to keep. */
const kept = /* @__PURE__ */ new WeakMap<StoreService, Set<string>>()

/**
 * Keeps the shape of a flow in the store, once: a run names it by its fingerprint, which is the hash of that text, so that
 * another version can say what became different.
 */
export const keepShape = (store: StoreService, flow: Flow.Any): Effect.Effect<void, Store.StoreError> =>
  Effect.suspend(() => {
    let known = kept.get(store)
    if (known === undefined) kept.set(store, (known = new Set()))
    const { fingerprint } = flow
    if (known.has(fingerprint)) return Effect.void
    return Effect.flatMap(store.getArtifact(fingerprint), (there) =>
      there === undefined
        ? Effect.asVoid(store.putArtifact(new TextEncoder().encode(shapeTextOf(flow))))
        : Effect.void
    ).pipe(Effect.tap(() => Effect.sync(() => known.add(fingerprint))))
  })

/** The nodes at which visits or fan-outs of a run are open and that a flow does not have, once they are renamed. */
export const stranded = (
  flow: Flow.Any,
  state: RunState,
  rename: (node: string) => string = (node) => node
): ReadonlyArray<Difference> => {
  const open = new Map<string, number>()
  const add = (node: string): void => void open.set(node, (open.get(node) ?? 0) + 1)
  for (const [, { node }] of visitsOf(state)) add(node)
  for (const { join } of HashMap.values(state.fanOuts)) add(join)
  return [...open].flatMap(([node, count]): ReadonlyArray<Difference> => {
    const name = rename(node)
    if (Object.hasOwn(flow.nodes, name)) return []
    const by = name === node ? "" : `, by then called "${name}",`
    const message = `the run is in node "${node}"${by} (${count} open), and version ${flow.version} has no such node`
    return [{ kind: "stranded", message }]
  })
}

/** A value that does not fit its schema. */
export const unfit = ({ message, what }: TypedState.Mismatch): Difference => ({
  kind: "state",
  message: `${what}: ${message}`
})

/** What a flow cannot read of a run, as far as the run itself tells. */
const unreadable = (flow: Flow.Any, { channels }: RunState): ReadonlyArray<Difference> => {
  const found: Array<Difference> = Object.keys(channels)
    .filter((name) => !Object.hasOwn(flow.state, name))
    .map((name) => ({ kind: "gone", message: `channel "${name}" is gone` }))
  const typed = TypedState.decode(flow.state, channels)
  if (Result.isFailure(typed)) found.push(unfit(typed.failure))
  return found
}

/** In what a run of another version or shape does not fit a flow. */
const compare = (
  { store }: Journals,
  flow: Flow.Any,
  state: RunState
): Effect.Effect<ReadonlyArray<Difference>> =>
  store.getArtifact(state.fingerprint).pipe(
    Effect.map((bytes) =>
      bytes === undefined
        ? unreadable(flow, state)
        : differences(new TextDecoder().decode(bytes), shapeTextOf(flow))
    ),
    Effect.catch(({ message }) =>
      Effect.succeed<ReadonlyArray<Difference>>([
        ...unreadable(flow, state),
        { kind: "journal", message: `what the flow was like cannot be read (${message})` }
      ])
    ),
    Effect.map((found) => [...stranded(flow, state), ...found])
  )

/** `undefined` if the flow can go on with the run as it is. */
export type Assessment =
  | { readonly migrated: Extract<Body, { kind: "migrated" }> }
  | { readonly differences: ReadonlyArray<Difference> }
  | undefined

export const assess = Effect.fnUntraced(function* (
  journals: Journals,
  flow: Flow.Any,
  state: RunState
): Effect.fn.Return<Assessment> {
  if (state.version === flow.version && state.fingerprint === flow.fingerprint) return undefined
  const first = flow.migrations.find(({ from }) => from.version === state.version)
  if (first !== undefined) {
    const result = yield* first["~engine"].migrate(flow, state)
    return Result.isSuccess(result) ? { migrated: result.success } : { differences: result.failure }
  }
  const found = yield* compare(journals, flow, state)
  const missing = `no migration from version ${state.version} is declared`
  return {
    differences: state.version < flow.version ? [{ kind: "migration", message: missing }, ...found] : found
  }
})

/** So much of the differences stands in a journal. */
const mostLines = 20
const mostText = 300

/** These say what is stored. */
const quoting: ReadonlySet<Difference["kind"]> = new Set(["state", "call", "migration"])

const shortened = (text: string): string => (text.length > mostText ? `${text.slice(0, mostText)}…` : text)

/** Differences as a text for people. Where what is stored is encrypted, it quotes nothing of it. */
export const incompatible = (
  flow: Flow.Any,
  state: RunState,
  found: ReadonlyArray<Difference>,
  encrypts: boolean
): PauseReason => {
  const lines = found
    .slice(0, mostLines)
    .map(({ kind, message }) =>
      shortened(encrypts && quoting.has(kind) ? `${kind}: checkCompatibility says what it is` : message)
    )
  if (found.length > mostLines) lines.push(`and ${found.length - mostLines} more`)
  const head =
    `the run is at version ${state.version} of flow ${flow.id} (${state.fingerprint.slice(0, 12)}); ` +
    `this worker has version ${flow.version} (${flow.fingerprint.slice(0, 12)})`
  return { kind: "incompatible", message: [head, ...lines].join("\n- ") }
}

/** The event that has to come before the flow can go on with a run, if there is one. */
export const follow = (
  journals: Journals,
  flow: Flow.Any,
  state: RunState
): Effect.Effect<Extract<Body, { kind: "migrated" | "paused" }> | undefined> =>
  Effect.map(assess(journals, flow, state), (assessment) =>
    assessment === undefined
      ? undefined
      : "migrated" in assessment
        ? assessment.migrated
        : {
            kind: "paused",
            reason: incompatible(flow, state, assessment.differences, journals.codec?.encrypts === true)
          }
  )
