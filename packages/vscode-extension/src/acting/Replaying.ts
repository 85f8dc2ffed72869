/**
 * Executes the handlers of a run again, as they are now, against what is recorded, and shows what is different. It reads the
 * store and nothing more, by a command of the project.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { isTerminal } from "@waymark/core/RunInfo"
import { ReplayReport } from "@waymark/cli/WorkerProtocol"
import type { Divergence } from "@waymark/cli/WorkerProtocol"
import { Editor } from "../Editor.ts"
import { positionOf, runOf } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import * as Divergences from "./Divergences.ts"
import * as Drafts from "./Drafts.ts"
import * as Obstacles from "./Obstacles.ts"
import { Workers } from "./Workers.ts"

const decodeReport = Schema.decodeUnknownEffect(Schema.fromJsonString(ReplayReport))

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const replays = yield* Divergences.Replays

  const rowOf = ({ run, store }: RunRef) => stores.source(store)?.catalog.get(run)
  const flowOf = (ref: RunRef) => rowOf(ref)?.flow

  /** What a replay leaves alone: visits that have not ended. */
  const restOf = (ref: RunRef): string => {
    const row = rowOf(ref)
    return row === undefined || isTerminal(row.status) || row.open === 0
      ? ""
      : " What has not ended was not compared: `waymark check` looks at that."
  }

  const compare = (at: Drafts.At) =>
    editor.showDiff(
      Drafts.refOf(at, "expected"),
      Drafts.refOf(at, "got"),
      `${line(at.run, 60)}@${at.seq}: recorded ↔ replayed`
    )

  /** One is compared at once; several are listed, each with its links. */
  const tell = (ref: RunRef, report: ReplayReport, first: Divergence) =>
    Effect.gen(function* () {
      const at = { ...ref, seq: first.seq }
      const { length } = report.divergences
      yield* length === 1 ? compare(at) : editor.showDocument(Drafts.listRefOf(ref))
      const many = length < Divergences.most ? length : `At least ${length}`
      const found = length === 1 ? "Not as recorded" : `${many} are not as recorded, the first`
      const text = `${Divergences.doneText(report)}. ${found}: ${Divergences.placeText(first)}.`
      const chosen = yield* editor.warn(text, "Go to Handler", "Go to Checkpoint")
      if (chosen === "Go to Handler")
        yield* editor.execute("waymark.goToHandler", { flow: flowOf(ref), node: first.node })
      if (chosen === "Go to Checkpoint") yield* cursor.move(at, "acting")
    })

  const replay = (ref: RunRef) =>
    Effect.gen(function* () {
      const printed = yield* editor.progress(
        `Replaying ${line(ref.run, 60)}`,
        workers.command(ref.store, "replay", ["--limit", String(Divergences.most), "--", ref.run])
      )
      if (printed === undefined) return
      const report = yield* decodeReport(printed)
      yield* replays.set(ref, report)
      const [first] = report.divergences
      const telling =
        first === undefined
          ? Effect.asVoid(editor.inform(`${Divergences.doneText(report)}. All as recorded.${restOf(ref)}`))
          : tell(ref, report, first)
      // A message is not waited for.
      yield* Effect.forkDetach(Effect.catch(telling, ({ message }) => editor.log("error", message)))
    })

  yield* editor.draftLenses((query) =>
    Effect.sync(() => {
      const ref = Drafts.listedIn(query)
      const report = ref && replays.get(ref)
      return report === undefined ? [] : Divergences.lensesOf(ref!, flowOf(ref!), report)
    })
  )

  yield* editor.command("waymark.compareReplayed", (argument) =>
    Effect.suspend(() => {
      const at = positionOf(argument)
      return at?.seq === undefined ? Effect.void : compare({ ...at, seq: at.seq })
    })
  )

  yield* editor.command("waymark.replay", (argument) =>
    Obstacles.inTrust(
      editor,
      "The run cannot be replayed",
      Effect.suspend((): Effect.Effect<unknown, Error> => {
        const ref = runOf(argument) ?? cursor.current()
        return ref === undefined ? editor.inform("Select a run first, in the view Runs.") : replay(ref)
      })
    )
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers | Divergences.Replays> =
  Layer.effectDiscard(make)
