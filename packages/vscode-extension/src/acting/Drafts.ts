/**
 * The documents in which the state of a checkpoint is edited: the draft, the recorded state beside it, and the JSON Schema
 * of both; and the two sides of what a replay found.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { stateOf } from "@waymark/core/RunState"
import type { RunState } from "@waymark/core/RunState"
import * as Shape from "@waymark/core/Shape"
import { Store } from "@waymark/core/Store"
import { Editor } from "../Editor.ts"
import type { DocumentRef } from "../Editor.ts"
import { jsonText } from "../reading/Documents.ts"
import { fileName } from "../reading/Text.ts"
import { Stores } from "../reading/Stores.ts"
import type { Open } from "../reading/Stores.ts"
import * as Edits from "./Edits.ts"
import { Workers } from "./Workers.ts"

/** A checkpoint whose state is edited. */
export interface At {
  readonly store: string
  readonly run: string
  readonly seq: number
}

const Subject = Schema.Struct({
  store: Schema.String,
  run: Schema.String,
  seq: Schema.Int,
  what: Schema.Literals(["edited", "recorded", "schema", "expected", "got"])
})
type Subject = typeof Subject.Type

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Subject))
const subjectOf = (query: string): Subject | undefined => {
  const decoded = Effect.runSync(Effect.option(decode(query)))
  return decoded._tag === "Some" ? decoded.value : undefined
}

interface Sides {
  readonly expected: unknown
  readonly got: unknown
}

const keyOf = ({ run, seq, store }: At): string => JSON.stringify([store, run, seq])

/** What replays of this window found: what was recorded at a position, and what came instead. */
export class Comparisons extends Context.Service<
  Comparisons,
  {
    readonly get: (at: At) => Sides | undefined
    readonly set: (at: At, expected: unknown, got: unknown) => void
  }
>()("waymark-vscode/Comparisons") {
  static readonly layer = Layer.sync(Comparisons, () => {
    const found = new Map<string, Sides>()
    return Comparisons.of({
      get: (at) => found.get(keyOf(at)),
      set: (at, expected, got) => void found.set(keyOf(at), { expected, got })
    })
  })
}

/** The checkpoint that a draft is of. */
export const atOf = (query: string): At | undefined => subjectOf(query)

export const refOf = ({ run, seq, store }: At, what: Subject["what"]): DocumentRef => {
  return {
    title: `${fileName(run)}@${seq}.${what}.json`,
    query: JSON.stringify({ store, run, seq, what } satisfies Subject),
    draft: true
  }
}

/**
 * What is known of the channels of a run: all, where the code of its version was asked; else their names and kinds, if the
 * store has them.
 */
export const channelsOf = (
  { store: opened }: Open,
  workers: Pick<Workers["Service"], "manifest">,
  store: string,
  { fingerprint, flow, version }: RunState
): Effect.Effect<ReadonlyArray<Edits.KnownChannel> | undefined, Error> => {
  const manifest = workers.manifest(store, flow)
  if (manifest?.version === version) return Effect.succeed(Edits.channelsOf(manifest.state))
  return Effect.map(Effect.provideService(Shape.read(fingerprint), Store, opened), (shape) => shape?.channels)
}

/** The text of a document; what is wrong, if it cannot be made. */
const provide = (
  editor: Editor["Service"],
  stores: Pick<Stores["Service"], "open">,
  workers: Pick<Workers["Service"], "manifest">,
  comparisons: Comparisons["Service"],
  query: string
) =>
  Effect.gen(function* () {
    const { what, ...at } = yield* decode(query)
    if (what === "expected" || what === "got") {
      const sides = comparisons.get(at)
      return sides === undefined ? "Replay the run again to see this.\n" : jsonText(sides[what])
    }
    const open = yield* stores.open(at.store)
    const state = yield* open.runs.stateAt(at.run, at.seq)
    if (what !== "schema") return Edits.textOf(stateOf(state), editor.addressOf(refOf(at, "schema")))
    const channels = yield* channelsOf(open, workers, at.store, state)
    const schema =
      channels === undefined
        ? {}
        : Edits.schemaOf(`State of flow ${state.flow}, version ${state.version}`, channels)
    return jsonText(schema)
  }).pipe(Effect.catch((error) => Effect.succeed(`This cannot be shown: ${error.message}\n`)))

/** Registers the documents. Schemas are told again when a worker says more of its flows. */
export const register = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const workers = yield* Workers
  const comparisons = yield* Comparisons
  yield* editor.drafts(
    (query) => provide(editor, stores, workers, comparisons, query),
    (query) => subjectOf(query)?.what !== "edited",
    Stream.map(workers.manifests, (store) => (query: string) => {
      const subject = subjectOf(query)
      return subject?.what === "schema" && subject.store === store
    })
  )
})
