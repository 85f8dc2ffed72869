/**
 * Executes the handlers of a run again, as they are now, against what is recorded, and shows the first difference. It reads
 * the store and nothing more, by a command of the project.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ReplayReport } from "@waymark/cli/WorkerProtocol"
import { Editor } from "../Editor.ts"
import { runOf } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { Stores } from "../reading/Stores.ts"
import { count, line } from "../reading/Text.ts"
import * as Drafts from "./Drafts.ts"
import * as Obstacles from "./Obstacles.ts"
import { Workers } from "./Workers.ts"

const decodeReport = Schema.decodeUnknownEffect(Schema.fromJsonString(ReplayReport))

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const comparisons = yield* Drafts.Comparisons

  const tellDivergence = (
    ref: RunRef,
    visits: string,
    { attempt, expected, got, node, seq, visit }: NonNullable<ReplayReport["divergence"]>
  ) =>
    Effect.gen(function* () {
      const at = { ...ref, seq }
      comparisons.set(at, expected, got)
      yield* editor.showDiff(
        Drafts.refOf(at, "expected"),
        Drafts.refOf(at, "got"),
        `${line(ref.run, 60)}@${seq}: recorded ↔ replayed`
      )
      const flow = stores.source(ref.store)?.catalog.get(ref.run)?.flow
      const tries = attempt > 1 ? `, attempt ${attempt}` : ""
      const text = `${visits}. Not as recorded: visit ${visit} of ${line(node, 60)}${tries}, position ${seq}.`
      const chosen = yield* editor.warn(text, "Go to Handler", "Go to Checkpoint")
      if (chosen === "Go to Handler") yield* editor.execute("waymark.goToHandler", { flow, node })
      if (chosen === "Go to Checkpoint") yield* cursor.move(at, "acting")
    })

  const replay = (ref: RunRef) =>
    Effect.gen(function* () {
      const name = line(ref.run, 60)
      const printed = yield* editor.progress(
        `Replaying ${name}`,
        workers.command(ref.store, "replay", ["--", ref.run])
      )
      if (printed === undefined) return
      const { divergence, skipped, visits } = yield* decodeReport(printed)
      const left = skipped === undefined ? "" : `, ${skipped} skipped (a migration came since)`
      const done = `${name}: ${count(visits, "visit")} replayed${left}`
      const telling =
        divergence === undefined
          ? Effect.asVoid(editor.inform(`${done}. All as recorded.`))
          : tellDivergence(ref, done, divergence)
      // A message is not waited for.
      yield* Effect.forkDetach(Effect.catch(telling, ({ message }) => editor.log("error", message)))
    })

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

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers | Drafts.Comparisons> =
  Layer.effectDiscard(make)
