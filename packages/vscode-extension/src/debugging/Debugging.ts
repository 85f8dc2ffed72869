/**
 * The history debugger of the editor: sessions over the stores of the workspace, which move the cursor and follow it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Editor } from "../Editor.ts"
import { positionOf } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import { absolute } from "../faces/Discovery.ts"
import { readAll, readOne } from "../reading/Journals.ts"
import { Stores } from "../reading/Stores.ts"
import type { Open } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import { Sources } from "../source/Sources.ts"
import * as HistoryAdapter from "./HistoryAdapter.ts"
import * as HistorySession from "./HistorySession.ts"
import type { Reader } from "./Journey.ts"
import { RequestRefused } from "./RequestRefused.ts"

/** What a launch configuration says. Without a store, the one that has the run is taken. */
const Configuration = Schema.Struct({
  run: Schema.String,
  store: Schema.optionalKey(Schema.String),
  checkpoint: Schema.optionalKey(Schema.Int)
})
const decodeConfiguration = Schema.decodeUnknownEffect(Configuration)

const by = "debugger"

/** Reading runs as the debugger does, for others that go through their checkpoints. */
export class Debugging extends Context.Service<
  Debugging,
  {
    readonly readerOf: (open: Open, run: string) => Reader
    /** The store that is named, or the one of the workspace that has the run. */
    readonly storeOf: (named: {
      readonly run: string
      readonly store?: string
    }) => Effect.Effect<string, RequestRefused>
  }
>()("waymark-vscode/Debugging") {}

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const sources = yield* Sources
  const runFork = Effect.runForkWith(yield* Effect.context())

  const readerOf = (open: Open, run: string): Reader => ({
    info: Effect.map(open.store.get(run), ({ info }) => info),
    event: (seq) => readOne(open, run, seq),
    stateAt: (seq) => open.runs.stateAt(run, seq),
    scan: (from, direction, take) => readAll(open, run, { from, direction }, take),
    sites: sources.sites
  })

  const storeOf = ({ run, store }: { readonly run: string; readonly store?: string }) =>
    Effect.gen(function* () {
      if (store !== undefined) return absolute(store, yield* editor.folders)
      const found = stores.sources().find(({ catalog }) => catalog.get(run) !== undefined)
      if (found !== undefined) return found.place.path
      return yield* new RequestRefused({
        detail: `No store of this workspace has a run ${JSON.stringify(run)}.`
      })
    })

  yield* editor.historyDebugger((_configuration, post) => {
    const adapter = HistoryAdapter.make(post, (given, send) =>
      Effect.gen(function* () {
        const configuration = yield* decodeConfiguration(given)
        const store = yield* storeOf(configuration)
        const { run } = configuration
        const session = HistorySession.make({
          reader: readerOf(yield* stores.open(store), run),
          send,
          moved: (seq) => void runFork(cursor.move({ store, run, seq }, by))
        })
        yield* session.launch(configuration.checkpoint)
        return session
      })
    )
    return { handle: (request) => void runFork(adapter.handle(request)), close: () => undefined }
  })

  yield* editor.command("waymark.debugHistory", (argument) =>
    Effect.gen(function* () {
      const at = positionOf(argument) ?? cursor.current()
      if (at === undefined) return yield* editor.inform("Select a run first, in the view Runs.")
      return yield* editor.debug({
        name: `History of ${line(at.run, 60)}`,
        mode: "history",
        store: at.store,
        run: at.run,
        ...(at.seq === undefined ? {} : { checkpoint: at.seq })
      })
    })
  )

  yield* cursor.moves.pipe(
    Stream.filter(({ by: mover, to }) => mover !== by && to?.seq !== undefined),
    Stream.runForEach(({ to }) => editor.askDebugger("waymark/goto", to)),
    Effect.forkScoped
  )
  return Debugging.of({ readerOf, storeOf })
})

export const layer: Layer.Layer<Debugging, never, Editor | Stores | Cursor | Sources> = Layer.effect(
  Debugging,
  make
)
