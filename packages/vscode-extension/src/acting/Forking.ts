/**
 * Forks a run from a checkpoint, with an edited state: the state is a document with its schema; what was edited is shown
 * as a diff, and named with what it leads to, before anything begins.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { stateOf, nodeOf } from "@waymark/core/RunState"
import type { RunState } from "@waymark/core/RunState"
import * as State from "@waymark/core/State"
import { Editor } from "../Editor.ts"
import { positionOf } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { Position } from "../faces/Cursor.ts"
import { isForkable, kindIcon, kindText, placeText } from "../reading/Checkpoints.ts"
import { readAll } from "../reading/Journals.ts"
import { Stores } from "../reading/Stores.ts"
import type { Open } from "../reading/Stores.ts"
import { clock, count, line } from "../reading/Text.ts"
import type { Replays } from "./Divergences.ts"
import * as Drafts from "./Drafts.ts"
import * as Edits from "./Edits.ts"
import { follow, listed } from "./Following.ts"
import { KeptDrafts } from "./KeptDrafts.ts"
import * as Obstacles from "./Obstacles.ts"
import { writing } from "./Steering.ts"
import { Workers } from "./Workers.ts"
import type { Prospect } from "./Workers.ts"

/** So many checkpoints are offered, and so many events looked through for what may be called. */
const mostOffered = 500
const mostRead = 20_000
/** In characters: larger documents are kept from extensions by the editor. */
const mostEdited = 50_000_000

const channel = (kind: string) =>
  kind === "list"
    ? State.list(Schema.Json)
    : kind === "record"
      ? State.record(Schema.Json)
      : kind === "optional"
        ? State.optional(Schema.Json)
        : State.value(Schema.Json, null)

/** What of a flow a fork takes that nobody executes here: values stay as they are stored. */
const standIn = ({ flow, version }: RunState, channels: ReadonlyArray<Edits.KnownChannel>) =>
  Flow.make(flow, {
    version,
    input: Schema.Json,
    state: Object.fromEntries(channels.map(({ kind, name }) => [name, channel(kind)])),
    output: Schema.Json,
    start: "node",
    nodes: { node: Node.make({ to: ["end"] }) }
  })

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const kept = yield* KeptDrafts
  yield* Drafts.register

  const nameOf = ({ run, seq }: Drafts.At): string => `${line(run, 60)}@${seq}`

  const pickCheckpoint = (store: string, run: string) =>
    Effect.gen(function* () {
      const { runs } = yield* stores.open(store)
      const found = yield* runs.history(run, { limit: mostOffered })
      return yield* editor.pick<number>(
        `Fork ${line(run, 60)} from`,
        found
          .filter(({ kind }) => isForkable(kind))
          .map((checkpoint) => ({
            label: `${checkpoint.seq}  ${line(placeText(checkpoint))}`,
            description: `${kindText(checkpoint.kind)} · ${clock(checkpoint.time)}`,
            icon: kindIcon(checkpoint.kind),
            value: checkpoint.seq
          }))
      )
    })

  /** The checkpoint at a position, or one that somebody chooses: from the end of a run nothing can go on. */
  const forkableAt = ({ run, seq, store }: Position) =>
    Effect.gen(function* () {
      if (seq !== undefined) {
        const { runs } = yield* stores.open(store)
        const [at] = yield* runs.history(run, { limit: 1, before: seq + 1 })
        if (at !== undefined && isForkable(at.kind)) return at.seq
      }
      return yield* pickCheckpoint(store, run)
    })

  const trusted = <E>(body: Effect.Effect<unknown, E>) => Obstacles.inTrust(editor, "Not forked", body)

  yield* editor.command("waymark.fork", (argument) =>
    trusted(
      Effect.gen(function* () {
        const from = positionOf(argument) ?? cursor.current()
        if (from === undefined) return yield* editor.inform("Select a run first, in the view Runs.")
        const seq = yield* forkableAt(from)
        if (seq === undefined) return undefined
        const at: Drafts.At = { store: from.store, run: from.run, seq }
        const open = yield* stores.open(at.store)
        const text = Edits.textOf(stateOf(yield* open.runs.stateAt(at.run, seq)), "")
        if (text.length > mostEdited) {
          const size = `${Math.round(text.length / 1_000_000)} million characters`
          return yield* editor.warn(
            `The state of ${nameOf(at)} has ${size}, and the editor takes no more than ${mostEdited / 1_000_000} million. Fork it in a terminal: \`npx waymark fork ${line(at.run, 200)}@${seq} --edit channel=json\`.`
          )
        }
        yield* editor.showDocument(Drafts.refOf(at, "edited"))
        // The worker that will execute the fork also says what the channels may hold.
        const asked = workers.use(at.store, () => Effect.void)
        yield* Effect.forkDetach(
          Effect.catch(asked, (error) =>
            editor.log("info", `no worker yet for ${at.store}: ${error.message}`)
          )
        )
        const message = `Edit the state of ${nameOf(at)}, then fork the run: here, or in the title of the editor.`
        return yield* Effect.forkDetach(
          Effect.flatMap(editor.inform(message, "Fork…"), (chosen) =>
            chosen === undefined ? Effect.void : editor.execute("waymark.forkDraft", at)
          )
        )
      })
    )
  )

  /** The draft that a command is about: its argument's, else the one in front. */
  const draftOf = (argument: unknown) =>
    Effect.gen(function* () {
      const given = positionOf(argument)
      if (given?.seq !== undefined) return { store: given.store, run: given.run, seq: given.seq }
      const query = yield* editor.draftInFront
      return query === undefined ? undefined : Drafts.atOf(query)
    })

  const compare = (at: Drafts.At) =>
    editor.showDiff(
      Drafts.refOf(at, "recorded"),
      Drafts.refOf(at, "edited"),
      `${nameOf(at)}: recorded ↔ edited`
    )

  yield* editor.command("waymark.compareDraft", (argument) =>
    Effect.gen(function* () {
      const at = yield* draftOf(argument)
      if (at !== undefined) yield* compare(at)
    })
  )

  /** What the run called after the checkpoint, and how often: what the fork is likely to call. */
  const callsAfter = (open: Open, { run, seq }: Drafts.At) =>
    Effect.gen(function* () {
      const tools = new Map<string, number>()
      let read = 0
      yield* readAll(open, run, { from: seq + 1 }, (event) => {
        if (event.kind === "callStarted") tools.set(event.tool, (tools.get(event.tool) ?? 0) + 1)
        return ++read < mostRead
      })
      return [...tools].map(([tool, times]) => (times === 1 ? tool : `${tool} (${times} times)`))
    })

  const effectText = (
    at: Drafts.At,
    state: RunState,
    names: ReadonlyArray<string>,
    calls: ReadonlyArray<string>,
    prospect: Prospect
  ): string => {
    const node = nodeOf(state)
    const where = node === undefined ? "" : `, at node ${line(node, 60)}`
    const edited =
      names.length === 0
        ? "Its state is as recorded."
        : `Its state is as recorded but for ${count(names.length, "channel")}: ${line(names.join(", "), 200)}.`
    const after =
      calls.length === 0
        ? `${line(at.run, 60)} itself called no tool after that.`
        : `After that, ${line(at.run, 60)} itself called ${line(calls.join(", "), 200)}: the fork calls tools for real.`
    const how =
      prospect._tag === "None"
        ? `Nothing is executed now: ${prospect.problem.message}. The fork waits for a worker.`
        : `It is executed at once, by ${prospect._tag === "Running" ? "the" : "a"} worker of ${prospect.project.label}, with ${prospect.project.node}.`
    return [
      `A new run of flow ${line(state.flow, 60)} begins at checkpoint ${at.seq} of ${line(at.run, 60)}${where}. ${line(at.run, 60)} stays as it is.`,
      edited,
      `Calls that had completed by then are not made again. ${after}`,
      how
    ].join("\n\n")
  }

  /** Makes the fork in the store, for whichever worker takes it up. */
  const forkHere = (
    { run, seq, store }: Drafts.At,
    state: RunState,
    channels: ReadonlyArray<Edits.KnownChannel>,
    { empty, set }: Edits.Edits
  ) => {
    const edits = { ...set, ...Object.fromEntries(empty.map((name) => [name, undefined])) }
    const isEdited = Object.keys(edits).length > 0
    return writing(
      stores,
      store,
      Effect.flatMap(Runs.Runs, (runs) =>
        Effect.map(
          runs.fork(Runs.ref(standIn(state, channels), run), seq, isEdited ? { edits } : {}),
          ({ id }) => id
        )
      )
    )
  }

  /** The state is in the fork now. Its draft stays as it is until the window is closed. */
  const begun = (at: Drafts.At) =>
    Effect.catch(kept.drop(Drafts.refOf(at, "edited").query), ({ message }) => editor.log("warn", message))

  const select = (store: string, run: string) =>
    Effect.gen(function* () {
      yield* listed(stores, { store, run })
      yield* cursor.move({ store, run }, "acting")
    })

  yield* editor.command("waymark.forkDraft", (argument) =>
    trusted(
      Effect.gen(function* () {
        const at = yield* draftOf(argument)
        if (at === undefined) return yield* editor.inform("Choose a checkpoint to fork from first.")
        const text = yield* editor.draftText(Drafts.refOf(at, "edited"))
        if (text === undefined) return yield* editor.showDocument(Drafts.refOf(at, "edited"))
        const parsed = Edits.parse(text)
        if ("problem" in parsed) return yield* editor.warn(`Not forked: ${parsed.problem}`)

        const open = yield* stores.open(at.store)
        const state = yield* open.runs.stateAt(at.run, at.seq)
        const channels = (yield* Drafts.channelsOf(open, workers, at.store, state)) ?? []
        const edits = Edits.complete(channels, Edits.between(stateOf(state), parsed.state))
        const problems = Edits.problemsOf(channels, edits)
        if (problems.length > 0) return yield* editor.warn(`Not forked: ${problems.join("; ")}`)
        const names = Edits.namesOf(edits)
        const prospect = yield* workers.prospect(at.store)
        if (prospect._tag !== "None" && names.length > 0) {
          // The schemas of the code may say more than JSON Schema can.
          const checked = yield* workers.use(at.store, ({ client }) =>
            client.orDied(client.requests.validate({ flow: state.flow, edits }))
          )
          if (checked === undefined) return
          if (checked.problems.length > 0)
            return yield* editor.warn(`Not forked: ${checked.problems.join("; ")}`)
        }
        if (names.length > 0) yield* compare(at)
        const yes = yield* editor.confirm(
          `Fork run ${line(at.run, 60)} from checkpoint ${at.seq}?`,
          effectText(at, state, names, yield* callsAfter(open, at), prospect),
          prospect._tag === "None" ? "Fork, Do Not Execute" : "Fork and Execute"
        )
        if (!yes) return
        if (prospect._tag === "None") {
          const run = yield* forkHere(at, state, channels, edits)
          yield* begun(at)
          yield* select(at.store, run)
          yield* Effect.forkDetach(editor.inform(`Forked ${line(run, 60)}. It waits for a worker.`))
          return
        }
        yield* workers.use(at.store, ({ client }) =>
          Effect.gen(function* () {
            const forked = yield* editor.progress(
              `Forking ${nameOf(at)}`,
              client.orDied(
                client.requests.fork({ run: at.run, seq: at.seq, ...(names.length === 0 ? {} : { edits }) })
              )
            )
            if (forked === undefined) return
            yield* begun(at)
            yield* select(at.store, forked.run)
            yield* follow(editor, stores, workers, { store: at.store, run: forked.run })
          })
        )
      })
    )
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers | Replays | KeptDrafts> =
  Layer.effectDiscard(make)
