/**
 * What somebody does to runs, through their inboxes: it works when another process owns the run, and when none does.
 *
 * Only in trusted workspaces. What cannot be taken back is named first, with what it leads to.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Json } from "effect/Schema"
import * as Runs from "@waymark/core/Runs"
import type { OpenWait } from "@waymark/core/RunState"
import { Editor } from "../Editor.ts"
import type { Choice } from "../Editor.ts"
import { positionOf, runOf, textField } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import * as Form from "./Form.ts"

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor

  const runFrom = (argument: unknown): RunRef | undefined => runOf(argument) ?? cursor.current()

  /** Does something to a run in a workspace that is trusted, and says that it was done. */
  const act = (
    id: string,
    body: (ref: RunRef, argument: unknown) => Effect.Effect<string | undefined, Error>
  ) =>
    editor.command(id, (argument) =>
      Effect.gen(function* () {
        if (!(yield* editor.isTrusted)) {
          yield* editor.warn("This workspace is not trusted, so runs in it are only shown.")
          return
        }
        const ref = runFrom(argument)
        if (ref === undefined) {
          yield* editor.inform("Select a run first, in the view Runs.")
          return
        }
        const done = yield* body(ref, argument)
        // Whoever did it sees it happen in the trees: the message is not waited for.
        if (done !== undefined) yield* Effect.forkDetach(editor.inform(done))
      })
    )

  const send = <A, E>(ref: RunRef, title: string, use: (runs: Runs.Runs["Service"]) => Effect.Effect<A, E>) =>
    editor.progress(title, stores.writing(ref.store, Effect.flatMap(Runs.Runs, use)))

  const name = ({ run }: RunRef): string => line(run, 80)

  // -----------------------------------------------------------------------------------------------------------------
  // forms

  /** Asks for a value that fits a schema, field by field. `undefined` if somebody stops. */
  const ask = (title: string, prompt: string, document: Form.Document) =>
    Effect.gen(function* () {
      const fields = Form.fieldsOf(document)
      const filled: Array<readonly [Form.Field, Json | undefined]> = []
      for (const [i, field] of fields.entries()) {
        const step = fields.length === 1 ? title : `${title} (${i + 1}/${fields.length})`
        const about = [field.name, field.description, field.isOptional ? "may be left out" : undefined]
        const what = about.filter((part) => part !== undefined).join(": ")
        if (field.kind === "choice") {
          const leaveOut: ReadonlyArray<Choice<{ readonly value: Json | undefined }>> = field.isOptional
            ? [{ label: "(leave out)", value: { value: undefined } }]
            : []
          const chosen = yield* editor.pick<{ readonly value: Json | undefined }>(
            step,
            [...field.choices.map((value) => ({ label: line(text(value)), value: { value } })), ...leaveOut],
            what === "" ? prompt : what
          )
          if (chosen === undefined) return undefined
          filled.push([field, chosen.value])
          continue
        }
        const typed = yield* editor.input({
          title: step,
          prompt: what === "" ? prompt : `${prompt} — ${what}`,
          ...(field.kind === "json" ? { placeholder: "JSON" } : {}),
          validate: (input) => {
            const read = Form.read(field, input)
            return "problem" in read ? read.problem : undefined
          }
        })
        if (typed === undefined) return undefined
        const read = Form.read(field, typed)
        if ("problem" in read) return undefined
        filled.push([field, read.value])
      }
      const value = Form.assemble(filled)
      return value === undefined ? undefined : { value }
    })

  const anything: Form.Document = { schema: {}, definitions: {} }

  /** The answer to a question: one of its choices, or what its schema takes. */
  const askAnswer = (title: string, { on, schema }: OpenWait) =>
    Effect.gen(function* () {
      const prompt = on.type === "user" && typeof on.prompt === "string" ? line(on.prompt, 300) : ""
      const choices =
        on.type === "user" && Array.isArray(on.choices) ? (on.choices as ReadonlyArray<Json>) : []
      const document = Form.documentOf(schema) ?? anything
      if (choices.length === 0) return yield* ask(title, prompt, document)
      const other = on.type === "user" && on.freeText === true
      const chosen = yield* editor.pick<{ readonly value: Json } | "other">(
        title,
        [
          ...choices.map((value) => ({ label: line(text(value)), value: { value } })),
          ...(other ? [{ label: "Something else…", value: "other" as const }] : [])
        ],
        prompt
      )
      return chosen === "other" ? yield* ask(title, prompt, document) : chosen
    })

  const openWaits = (ref: RunRef, type: OpenWait["on"]["type"]) =>
    Effect.gen(function* () {
      const { runs } = yield* stores.open(ref.store)
      const { waits } = yield* runs.stateAt(ref.run)
      return [...waits].filter(([, { on }]) => on.type === type)
    })

  yield* act("waymark.answer", (ref, argument) =>
    Effect.gen(function* () {
      const questions = yield* openWaits(ref, "user")
      const asked = textField(argument, "wait")
      const chosen =
        questions.find(([wait]) => wait === asked) ??
        (questions.length === 1
          ? questions[0]
          : yield* editor.pick(
              `Which question of ${name(ref)}?`,
              questions.map((question) => ({
                label: line(question[1].on.type === "user" ? text(question[1].on.prompt) : question[0]),
                value: question
              }))
            ))
      if (chosen === undefined) return questions.length === 0 ? `${name(ref)} asks nothing.` : undefined
      const [wait, open] = chosen
      const answer = yield* askAnswer(`Answer ${name(ref)}`, open)
      if (answer === undefined) return undefined
      yield* send(ref, `Answering ${name(ref)}`, (runs) => runs.answer(ref.run, wait, answer.value))
      return `Answered ${name(ref)}.`
    })
  )

  yield* act("waymark.signal", (ref) =>
    Effect.gen(function* () {
      const waits = yield* openWaits(ref, "event")
      const kept = stores.source(ref.store)?.catalog.get(ref.run)?.signals ?? []
      const names = [...new Set([...waits.map(([, { on }]) => ("name" in on ? on.name : "")), ...kept])]
      const chosen = yield* editor.pick(
        `Send ${name(ref)} a signal`,
        names.map((value) => ({
          label: line(value),
          description: waits.some(([, { on }]) => "name" in on && on.name === value)
            ? "it waits for this"
            : "is kept",
          value
        })),
        names.length === 0 ? "This run waits for no signal, and keeps none" : "Which?"
      )
      if (chosen === undefined) return undefined
      const open = waits.find(([, { on }]) => "name" in on && on.name === chosen)?.[1]
      const payload = yield* ask(
        `Signal ${line(chosen)}`,
        "its payload",
        Form.documentOf(open?.schema) ?? anything
      )
      if (payload === undefined) return undefined
      const key = open?.on.type === "event" ? open.on.key : undefined
      yield* send(ref, `Signalling ${name(ref)}`, (runs) =>
        runs.signal(ref.run, chosen, payload.value, key === undefined ? {} : { key })
      )
      return `Sent ${line(chosen)} to ${name(ref)}.`
    })
  )

  // -----------------------------------------------------------------------------------------------------------------
  // steering

  yield* act("waymark.pause", (ref) =>
    Effect.gen(function* () {
      const note = yield* editor.input({
        title: `Pause ${name(ref)}`,
        prompt: "It stops at its next checkpoint, until somebody resumes it. Why? (may be empty)"
      })
      if (note === undefined) return undefined
      yield* send(ref, `Pausing ${name(ref)}`, (runs) => runs.pause(ref.run, note === "" ? {} : { note }))
      return `Asked ${name(ref)} to pause.`
    })
  )
  yield* act("waymark.resume", (ref) =>
    Effect.as(
      send(ref, `Resuming ${name(ref)}`, (runs) => runs.resume(ref.run)),
      `Asked ${name(ref)} to go on.`
    )
  )
  yield* act("waymark.retry", (ref) =>
    Effect.gen(function* () {
      const node = stores.source(ref.store)?.catalog.get(ref.run)?.node
      const from = node === undefined ? "where it failed" : `node ${line(node, 60)}`
      const yes = yield* editor.confirm(
        `Retry run ${name(ref)}?`,
        `The run goes on from ${from}. Calls that completed are not made again; those that failed are. A worker has to be running.`,
        "Retry"
      )
      if (!yes) return undefined
      yield* send(ref, `Retrying ${name(ref)}`, (runs) => runs.retry(ref.run))
      return `${name(ref)} goes on.`
    })
  )
  yield* act("waymark.cancel", (ref) =>
    Effect.gen(function* () {
      const yes = yield* editor.confirm(
        `Cancel run ${name(ref)}?`,
        "The run ends and cannot go on. What it did is undone, as far as its tools can; the runs that it started and waits for are cancelled, too.",
        "Cancel the Run"
      )
      if (!yes) return undefined
      const reason = yield* editor.input({
        title: `Cancel ${name(ref)}`,
        prompt: "Why? It stands in the journal."
      })
      if (reason === undefined) return undefined
      yield* send(ref, `Cancelling ${name(ref)}`, (runs) =>
        runs.cancel(ref.run, reason === "" ? "cancelled in the editor" : reason, { until: "accepted" })
      )
      return `Asked ${name(ref)} to end.`
    })
  )
  yield* act("waymark.bookmark", (ref, argument) =>
    Effect.gen(function* () {
      const { store } = yield* stores.open(ref.store)
      const seq = (positionOf(argument) ?? cursor.current())?.seq ?? (yield* store.get(ref.run)).info.seq
      const label = yield* editor.input({
        title: `Bookmark checkpoint ${seq} of ${name(ref)}`,
        prompt: "A name to find it by",
        validate: (typed) => (typed.trim() === "" ? "A bookmark has a name." : undefined)
      })
      if (label === undefined) return undefined
      yield* editor.progress(
        `Bookmarking ${name(ref)}`,
        stores.writing(ref.store, Runs.bookmark(ref.run, seq, { name: label.trim() }))
      )
      return `Checkpoint ${seq} is called “${line(label, 60)}”.`
    })
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor> = Layer.effectDiscard(make)
