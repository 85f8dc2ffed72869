/**
 * The documents in which the state of a checkpoint is edited: the draft, the recorded state beside it, and the JSON Schema
 * of both; and what a replay found.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { stateOf } from "@waymark/core/RunState"
import type { RunState } from "@waymark/core/RunState"
import * as Shape from "@waymark/core/Shape"
import { Store } from "@waymark/core/Store"
import { Editor } from "../Editor.ts"
import type { DocumentRef } from "../Editor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { jsonText } from "../reading/Documents.ts"
import { fileName } from "../reading/Text.ts"
import { Stores } from "../reading/Stores.ts"
import type { Open } from "../reading/Stores.ts"
import * as Divergences from "./Divergences.ts"
import { Replays } from "./Divergences.ts"
import * as Edits from "./Edits.ts"
import { KeptDrafts } from "./KeptDrafts.ts"
import { Workers } from "./Workers.ts"

/** A checkpoint whose state is edited. */
export interface At {
  readonly store: string
  readonly run: string
  readonly seq: number
}

const Subject = Schema.Union([
  Schema.Struct({
    store: Schema.String,
    run: Schema.String,
    seq: Schema.Int,
    what: Schema.Literals(["edited", "recorded", "schema", "expected", "got"])
  }),
  Schema.Struct({ store: Schema.String, run: Schema.String, what: Schema.Literal("divergences") })
])
type Subject = typeof Subject.Type
type OfCheckpoint = Extract<Subject, At>

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Subject))
const subjectOf = (query: string): Subject | undefined => {
  const decoded = Effect.runSync(Effect.option(decode(query)))
  return decoded._tag === "Some" ? decoded.value : undefined
}

/** The checkpoint that a draft is of. */
export const atOf = (query: string): At | undefined => {
  const subject = subjectOf(query)
  return subject?.what === "divergences" ? undefined : subject
}

export const refOf = ({ run, seq, store }: At, what: OfCheckpoint["what"]): DocumentRef => {
  return {
    title: `${fileName(run)}@${seq}.${what}.json`,
    query: JSON.stringify({ store, run, seq, what } satisfies Subject),
    draft: true
  }
}

/** The document that lists what a replay of a run found. */
export const listRefOf = ({ run, store }: RunRef): DocumentRef => ({
  title: `${fileName(run)}.replayed.jsonc`,
  query: JSON.stringify({ store, run, what: "divergences" } satisfies Subject),
  draft: true
})

/** The run whose divergences a document lists. */
export const listedIn = (query: string): RunRef | undefined => {
  const subject = subjectOf(query)
  return subject?.what === "divergences" ? { store: subject.store, run: subject.run } : undefined
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

/** What a replay of this window found; there is none after the window was loaded again. */
const replayedText = (replays: Replays["Service"], subject: Subject): string => {
  const report = replays.get(subject)
  if (report === undefined) return "// Replay the run again to see this.\n"
  if (subject.what === "divergences") return Divergences.listOf(report).text
  const divergence = report.divergences.find(({ seq }) => seq === subject.seq)
  if (divergence === undefined) return "// As recorded, when the run was last replayed.\n"
  return jsonText(subject.what === "expected" ? divergence.expected : divergence.got)
}

/** The text of a document; what is wrong, if it cannot be made. */
const provide = (
  editor: Editor["Service"],
  stores: Pick<Stores["Service"], "open">,
  workers: Pick<Workers["Service"], "manifest">,
  replays: Replays["Service"],
  query: string
) =>
  Effect.gen(function* () {
    const subject = yield* decode(query)
    const { what } = subject
    if (what === "expected" || what === "got" || what === "divergences") return replayedText(replays, subject)
    const open = yield* stores.open(subject.store)
    const state = yield* open.runs.stateAt(subject.run, subject.seq)
    if (what !== "schema") return Edits.textOf(stateOf(state), editor.addressOf(refOf(subject, "schema")))
    const channels = yield* channelsOf(open, workers, subject.store, state)
    const schema =
      channels === undefined
        ? {}
        : Edits.schemaOf(`State of flow ${state.flow}, version ${state.version}`, channels)
    return jsonText(schema)
  }).pipe(Effect.catch((error) => Effect.succeed(`This cannot be shown: ${error.message}\n`)))

const ofReplays = new Set<Subject["what"]>(["expected", "got", "divergences"])

/**
 * Registers the documents. Schemas are told again when a worker says more of its flows, and what replays found when a run
 * is replayed again.
 */
export const register = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const workers = yield* Workers
  const replays = yield* Replays
  const kept = yield* KeptDrafts
  const isStale = (predicate: (subject: Subject) => boolean) => (query: string) => {
    const subject = subjectOf(query)
    return subject !== undefined && predicate(subject)
  }
  yield* editor.drafts(
    (query) => provide(editor, stores, workers, replays, query),
    (query) => subjectOf(query)?.what !== "edited",
    Stream.merge(
      Stream.map(workers.manifests, (store) =>
        isStale((subject) => subject.what === "schema" && subject.store === store)
      ),
      Stream.map(replays.changes, ({ run, store }) =>
        isStale((subject) => ofReplays.has(subject.what) && subject.store === store && subject.run === run)
      )
    ),
    kept
  )
})
