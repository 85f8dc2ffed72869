/**
 * What somebody does to runs: answers, signals, pauses, and the rest. It works when another process owns the run, when this
 * window's worker does, and when nobody does.
 *
 * Only in trusted workspaces. What cannot be taken back is named first, with what it leads to.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runs from "@waymark/core/Runs"
import type { OpenWait } from "@waymark/core/RunState"
import { Editor } from "../Editor.ts"
import { positionOf, runOf, textField } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import * as Asking from "./Asking.ts"
import { anything, text } from "./Asking.ts"
import { follow, hasMoved } from "./Following.ts"
import * as Form from "./Form.ts"
import * as Obstacles from "./Obstacles.ts"
import * as Steering from "./Steering.ts"
import { Workers } from "./Workers.ts"

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const { ask, askAnswer, askSettlement } = Asking.make(editor)

  const runFrom = (argument: unknown): RunRef | undefined => runOf(argument) ?? cursor.current()

  /** Does something to a run in a workspace that is trusted, and says that it was done. */
  const act = (
    id: string,
    body: (ref: RunRef, argument: unknown) => Effect.Effect<string | undefined, Error>,
    isGoingOn = false
  ) =>
    editor.command(id, (argument) =>
      Obstacles.inTrust(
        editor,
        "Nothing was done",
        Effect.gen(function* () {
          const ref = runFrom(argument)
          if (ref === undefined) {
            yield* editor.inform("Select a run first, in the view Runs.")
            return
          }
          const before = stores.source(ref.store)?.catalog.get(ref.run)?.seq ?? -1
          const done = yield* body(ref, argument)
          if (done === undefined) return
          // Whoever did it sees it happen in the trees: the message is not waited for.
          const telling = isGoingOn ? goesOn(ref, done, before) : editor.inform(done)
          yield* Effect.forkDetach(
            Effect.catch(Effect.asVoid(telling), (error) => editor.log("error", error.message))
          )
        })
      )
    )

  /** Says what was done to a run that goes on by it, and offers to execute it if nobody does. */
  const goesOn = (ref: RunRef, done: string, from: number) =>
    Effect.gen(function* () {
      if (workers.running(ref.store) !== undefined) {
        yield* workers.use(ref.store, () => follow(editor, stores, workers, ref, from))
        return
      }
      const isTaken = yield* hasMoved(stores, ref, from)
      const prospect = yield* workers.prospect(ref.store)
      if (isTaken || prospect._tag === "None") {
        yield* editor.inform(done)
        return
      }
      const text = `${done} Nobody executes it now: it goes on as soon as a worker does.`
      const chosen = yield* editor.inform(text, "Execute It Here")
      if (chosen !== undefined) yield* editor.execute("waymark.execute", ref)
    })

  const send = (
    ref: RunRef,
    title: string,
    use: (steering: Steering.Steering) => Effect.Effect<void, Error>
  ) =>
    editor.progress(
      title,
      Effect.as(
        Effect.suspend(() => use(Steering.of(stores, workers, ref))),
        true as const
      )
    )

  const name = ({ run }: RunRef): string => line(run, 80)

  const openWaits = (ref: RunRef, type: OpenWait["on"]["type"]) =>
    Effect.gen(function* () {
      const { runs } = yield* stores.open(ref.store)
      const { waits } = yield* runs.stateAt(ref.run)
      return [...waits].filter(([, { on }]) => on.type === type)
    })

  /** Asks what became of the calls of a run that are in doubt, if any are. `undefined` if somebody stops. */
  const settle = (ref: RunRef) =>
    Effect.gen(function* () {
      const { runs } = yield* stores.open(ref.store)
      const calls = yield* Effect.provideService(Runs.callsInDoubt(ref.run), Runs.Runs, runs)
      const settled: { [call: string]: Runs.Settlement } = {}
      for (const call of calls) {
        const as = yield* askSettlement(call)
        if (as === undefined) return undefined
        settled[call.call] = as
      }
      return settled
    })

  yield* act(
    "waymark.answer",
    (ref, argument) =>
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
        const sent = yield* send(ref, `Answering ${name(ref)}`, (run) => run.answer(wait, answer.value))
        return sent && `Answered ${name(ref)}.`
      }),
    true
  )

  yield* act(
    "waymark.signal",
    (ref) =>
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
        const sent = yield* send(ref, `Signalling ${name(ref)}`, (run) =>
          run.signal(chosen, payload.value, key)
        )
        return sent && `Sent ${line(chosen)} to ${name(ref)}.`
      }),
    true
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
      const sent = yield* send(ref, `Pausing ${name(ref)}`, (run) =>
        run.pause(note === "" ? undefined : note)
      )
      return sent && `Asked ${name(ref)} to pause.`
    })
  )
  yield* act(
    "waymark.resume",
    (ref) =>
      Effect.gen(function* () {
        const settled = yield* settle(ref)
        if (settled === undefined) return undefined
        const sent = yield* send(ref, `Resuming ${name(ref)}`, (run) => run.resume(settled))
        return sent && `Asked ${name(ref)} to go on.`
      }),
    true
  )
  yield* act(
    "waymark.retry",
    (ref) =>
      Effect.gen(function* () {
        const node = stores.source(ref.store)?.catalog.get(ref.run)?.node
        const from = node === undefined ? "where it failed" : `node ${line(node, 60)}`
        const yes = yield* editor.confirm(
          `Retry run ${name(ref)}?`,
          `The run goes on from ${from}. Calls that completed are not made again; those that failed are.`,
          "Retry"
        )
        const settled = yes ? yield* settle(ref) : undefined
        if (settled === undefined) return undefined
        const sent = yield* send(ref, `Retrying ${name(ref)}`, (run) => run.retry(settled))
        return sent && `${name(ref)} goes on.`
      }),
    true
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
      const sent = yield* send(ref, `Cancelling ${name(ref)}`, (run) =>
        run.cancel(reason === "" ? "cancelled in the editor" : reason)
      )
      return sent && `Asked ${name(ref)} to end.`
    })
  )
  yield* editor.command("waymark.stopWorkers", () =>
    Effect.gen(function* () {
      const ended = yield* editor.progress("Ending workers", workers.stop)
      const text =
        ended === 0 ? "No worker of this window is there." : "The workers of this window end in good order."
      if (ended !== undefined) yield* Effect.forkDetach(editor.inform(text))
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
      const sent = yield* send(ref, `Bookmarking ${name(ref)}`, (run) => run.bookmark(seq, label.trim()))
      return sent && `Checkpoint ${seq} is called “${line(label, 60)}”.`
    })
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers> = Layer.effectDiscard(make)
