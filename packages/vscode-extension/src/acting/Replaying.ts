/**
 * Executes the handlers of a run again, as they are now, against what is recorded, and shows the first difference; makes a
 * test of a run. Both read the store and nothing more, by commands of the project.
 */
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ReplayReport } from "@waymark/cli/WorkerProtocol"
import { Editor } from "../Editor.ts"
import { runOf } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import * as Drafts from "./Drafts.ts"
import { Workers } from "./Workers.ts"

const decodeReport = Schema.decodeUnknownEffect(Schema.fromJsonString(ReplayReport))

const isThere = (file: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.access(file).then(
      () => true,
      () => false
    )
  )

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const comparisons = yield* Drafts.Comparisons

  /** Does something with the code of the project for a run, in a workspace that is trusted. */
  const command = (id: string, body: (ref: RunRef) => Effect.Effect<void, Error>) =>
    editor.command(id, (argument) =>
      Effect.gen(function* () {
        if (!(yield* editor.isTrusted)) {
          yield* editor.warn("This workspace is not trusted, so none of its code is executed.")
          return
        }
        const ref = runOf(argument) ?? cursor.current()
        if (ref === undefined) yield* editor.inform("Select a run first, in the view Runs.")
        else yield* body(ref)
      })
    )

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

  yield* command("waymark.replay", (ref) =>
    Effect.gen(function* () {
      const name = line(ref.run, 60)
      const printed = yield* editor.progress(
        `Replaying ${name}`,
        workers.command(ref.store, "replay", ["--", ref.run])
      )
      if (printed === undefined) return
      const { divergence, skipped, visits } = yield* decodeReport(printed)
      const left = skipped === undefined ? "" : `, ${skipped} skipped (a migration came since)`
      const done = `${name}: ${visits} ${visits === 1 ? "visit" : "visits"} replayed${left}`
      const telling =
        divergence === undefined
          ? Effect.asVoid(editor.inform(`${done}. All as recorded.`))
          : tellDivergence(ref, done, divergence)
      // A message is not waited for.
      yield* Effect.forkDetach(Effect.catch(telling, ({ message }) => editor.log("error", message)))
    })
  )

  yield* command("waymark.testFrom", (ref) =>
    Effect.gen(function* () {
      const prospect = yield* workers.prospect(ref.store)
      if (prospect._tag === "None") {
        yield* editor.warn(`No test can be made: ${prospect.problem.message}.`)
        return
      }
      const folder = Path.dirname(prospect.project.config)
      const typed = yield* editor.input({
        title: `Make a test of ${line(ref.run, 60)}`,
        prompt: `The file of the test, from the folder of ${prospect.project.label} on`,
        value: `test/${ref.run.replaceAll(/[^\w.-]/g, "_")}.test.ts`,
        validate: (text) => (/\.[cm]?ts$/.test(text.trim()) ? undefined : "A test is a TypeScript file.")
      })
      if (typed === undefined) return
      const file = Path.resolve(folder, typed.trim())
      const overwrites = yield* isThere(file)
      if (overwrites) {
        const yes = yield* editor.confirm(
          `Write over ${Path.relative(folder, file)}?`,
          "The file is there already. What is in it is lost.",
          "Write Over It"
        )
        if (!yes) return
      }
      const made = yield* editor.progress(
        `Making a test of ${line(ref.run, 60)}`,
        workers.command(ref.store, "test-from", [
          "--out",
          file,
          ...(overwrites ? ["--force"] : []),
          "--",
          ref.run
        ])
      )
      if (made !== undefined) yield* editor.showFile({ file, line: 1 })
    })
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers | Drafts.Comparisons> =
  Layer.effectDiscard(make)
