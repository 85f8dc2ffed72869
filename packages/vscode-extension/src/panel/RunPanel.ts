/**
 * The panel "Graph & Timeline" of a run, in an editor tab. It moves the cursor and follows it, so that graph, timeline,
 * trees, state and source show the same checkpoint.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Workers } from "../acting/Workers.ts"
import { Editor } from "../Editor.ts"
import type { Panel, PanelKind } from "../Editor.ts"
import { Debugging } from "../debugging/Debugging.ts"
import { step, visitsOf } from "../debugging/Journey.ts"
import { positionOf, textField } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { Position } from "../faces/Cursor.ts"
import { aboutRun } from "../reading/Status.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import { FromPage, Kept } from "./Messages.ts"
import type { ToPage } from "./Messages.ts"
import * as RunModel from "./RunModel.ts"

const decode = Schema.decodeUnknownEffect(FromPage)
const decodeKept = Schema.decodeUnknownOption(Kept)

const by = "panel"

/** Where a node's visits are, relative to a position. */
const other = (
  seqs: ReadonlyArray<number>,
  seq: number,
  direction: "previous" | "next"
): number | undefined =>
  direction === "next"
    ? (seqs.find((each) => each > seq) ?? seqs[0])
    : (seqs.findLast((each) => each < seq) ?? seqs.at(-1))

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const { readerOf } = yield* Debugging
  /** What is shown, and where in it. */
  const panels = new Map<string, { readonly panel: Panel; readonly at: () => Position }>()
  /** Nodes that somebody came for, until their page is there. */
  const wanted = new Map<string, string>()

  const serve = (panel: Panel, store: string, run: string) =>
    Effect.gen(function* () {
      let seq: number | undefined
      panels.set(keyOf(store, run), {
        panel,
        at: () => (seq === undefined ? { store, run } : { store, run, seq })
      })
      const post = (message: ToPage) => panel.post(message)
      const open = yield* stores.open(store)
      const reader = readerOf(open, run)
      const model = RunModel.make(open, run, reader, (flow) => workers.manifest(store, flow))

      const size = (reading: boolean) =>
        Effect.flatMap(Effect.orDie(reader.info), (info) =>
          post({
            _tag: "size",
            rows: model.timeline.size,
            seq: Math.max(0, model.timeline.seq),
            status: info.status,
            about: line(aboutRun(info), 120),
            reading
          })
        )
      const show = Effect.suspend(() => Effect.flatMap(model.at(seq ?? model.timeline.seq), post))
      const update = Effect.andThen(model.update(size(true)), size(false))
      const draw = Effect.flatMap(model.graph, ({ flow, graph, known }) =>
        post({ _tag: "run", store, run, flow, known, graph })
      )
      const focus = Effect.suspend(() => {
        const node = wanted.get(keyOf(store, run))
        wanted.delete(keyOf(store, run))
        return node === undefined ? Effect.void : post({ _tag: "focus", node })
      })
      /** Moves to a position, and the whole window with it. At the end it stays at the end of a run that goes on. */
      const moveTo = (to: number) =>
        Effect.gen(function* () {
          seq = to >= model.timeline.seq ? undefined : to
          const at = yield* model.at(to)
          yield* post(at)
          yield* cursor.move({ store, run, seq: at.seq }, by)
        })
      const stepBy = (direction: "first" | "previous" | "next" | "last") =>
        Effect.gen(function* () {
          if (direction === "first") return yield* moveTo(0)
          if (direction === "last") return yield* moveTo(model.timeline.seq)
          const { seq: now } = yield* model.at(seq ?? model.timeline.seq)
          const at = yield* reader.event(now)
          const found = yield* step(reader, at, direction === "next" ? "forwards" : "backwards", "into")
          if (found !== undefined) yield* moveTo(found.seq)
        })

      const openWhat = (message: Extract<FromPage, { _tag: "open" }>) => {
        const at: Position = seq === undefined ? { store, run } : { store, run, seq }
        const commands = {
          state: "waymark.showState",
          source: "waymark.showSource",
          error: "waymark.showError",
          event: "waymark.showEvent",
          debug: "waymark.debugHistory",
          replay: "waymark.debugReplay",
          fork: "waymark.debugFork",
          compare: "waymark.compareWithPrevious"
        }
        return editor.execute(
          commands[message.what],
          message.node === undefined ? at : { ...at, node: message.node }
        )
      }

      const obey = (message: FromPage): Effect.Effect<void, Error> => {
        switch (message._tag) {
          case "ready":
            return update.pipe(Effect.andThen(draw), Effect.andThen(show), Effect.andThen(focus))
          case "rows":
            return post({
              _tag: "rows",
              from: message.from,
              rows: model.timeline.rows(message.from, message.count).map(plainRow)
            })
          case "goto":
            return moveTo(message.seq)
          case "step":
            return stepBy(message.by)
          case "visit":
            return Effect.gen(function* () {
              const seqs = (yield* visitsOf(reader, message.node)).map((event) => event.seq)
              const to = other(seqs, (yield* model.at(seq ?? model.timeline.seq)).seq, message.by)
              if (to !== undefined) yield* moveTo(to)
            })
          case "open":
            return openWhat(message)
        }
      }
      const report = <A>(work: Effect.Effect<A, Error>) =>
        Effect.catch(Effect.asVoid(work), (error) =>
          Effect.andThen(editor.log("error", error.message), post({ _tag: "problem", text: error.message }))
        )

      const listening = panel.messages.pipe(
        Stream.runForEach((message) => report(Effect.flatMap(decode(message), obey)))
      )
      const following = stores.changes.pipe(
        Stream.filter((change) => change.store === store && (change.runs?.has(run) ?? false)),
        Stream.runForEach(() => report(Effect.andThen(update, seq === undefined ? show : Effect.void)))
      )
      // The code says more of the flow than the store keeps.
      const described = workers.manifests.pipe(
        Stream.filter((told) => told === store),
        Stream.runForEach(() => report(Effect.andThen(draw, show)))
      )
      const pointed = cursor.moves.pipe(
        Stream.filter(
          ({ by: mover, to }) => mover !== by && to?.store === store && to.run === run && to.seq !== undefined
        ),
        Stream.runForEach(({ to }) =>
          Effect.suspend(() => {
            seq = to!.seq
            return report(show)
          })
        )
      )
      yield* Effect.all([listening, following, described, pointed], { concurrency: 4, discard: true }).pipe(
        Effect.raceFirst(panel.closed)
      )
    })

  const keyOf = (store: string, run: string): string => `${store}\0${run}`
  const serveUntilClosed = (panel: Panel, store: string, run: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      yield* Effect.catch(serve(panel, store, run), (error) =>
        Effect.andThen(
          panel.post({ _tag: "problem", text: error.message } satisfies ToPage),
          Effect.andThen(editor.log("error", error.message), panel.closed)
        )
      )
      panels.delete(keyOf(store, run))
    })

  const kind: PanelKind = {
    type: "waymark.run",
    script: "run",
    serve: (panel, state) => {
      const kept = decodeKept(state)
      if (kept._tag === "None") return Effect.void
      const { run, store } = kept.value
      // The store may not have been found yet: it is waited for.
      const opened = Stream.runHead(
        Stream.filter(stores.changes, () => stores.source(store)?.open !== undefined)
      )
      const ready = Effect.suspend(() =>
        stores.source(store)?.open === undefined ? Effect.asVoid(opened) : Effect.void
      )
      return Effect.andThen(Effect.raceFirst(ready, panel.closed), serveUntilClosed(panel, store, run))
    }
  }
  yield* editor.panels(kind)
  // Of the run that the panel shows, whichever one is selected in the trees.
  yield* editor.command("waymark.forkShown", () =>
    Effect.suspend(() => {
      const shown = [...panels.values()].find(({ panel }) => panel.isInFront())
      return shown === undefined ? Effect.void : editor.execute("waymark.fork", shown.at())
    })
  )
  yield* editor.command("waymark.openRun", (argument) =>
    Effect.gen(function* () {
      const at = positionOf(argument) ?? cursor.current()
      if (at === undefined) {
        yield* editor.inform("Select a run first, in the view Runs.")
        return
      }
      const key = keyOf(at.store, at.run)
      const known = panels.get(key)
      const node = textField(argument, "node")
      if (known === undefined) {
        if (node !== undefined) wanted.set(key, node)
        const panel = yield* editor.openPanel(kind, line(at.run, 40))
        yield* Effect.forkDetach(serveUntilClosed(panel, at.store, at.run))
      } else {
        yield* known.panel.reveal
        if (node !== undefined) yield* known.panel.post({ _tag: "focus", node } satisfies ToPage)
      }
      if (node === undefined || at.seq !== undefined) return yield* cursor.move(at, "command")
      // Where the node was visited last, if it was.
      const visits = yield* visitsOf(readerOf(yield* stores.open(at.store), at.run), node)
      const seq = visits.at(-1)?.seq
      yield* cursor.move(seq === undefined ? at : { ...at, seq }, "command")
    })
  )
})

/** Without the keys that have nothing. */
const plainRow = ({ ended, started, ...row }: ReturnType<RunModel.RunModel["timeline"]["rows"]>[number]) => ({
  ...row,
  ...(started === undefined ? {} : { started }),
  ...(ended === undefined ? {} : { ended })
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Debugging | Workers> =
  Layer.effectDiscard(make)
