/**
 * Documents of runs, comparisons of them, and what stands above flows and nodes in the source.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Checkpoint } from "@waymark/core/Checkpoint"
import { Editor } from "../Editor.ts"
import type { Choice, CodeLens } from "../Editor.ts"
import { kindIcon, kindText, placeText } from "../reading/Checkpoints.ts"
import * as Documents from "../reading/Documents.ts"
import type { Subject } from "../reading/Documents.ts"
import { iconOf } from "../reading/Status.ts"
import { Stores } from "../reading/Stores.ts"
import { ago, clock, line } from "../reading/Text.ts"
import { siteAt, siteOf, Sources } from "../source/Sources.ts"
import type { Site } from "../source/Sources.ts"
import { positionOf, textField } from "./Arguments.ts"
import { Cursor } from "./Cursor.ts"
import type { Position } from "./Cursor.ts"

/** So many checkpoints and runs are offered to compare with. */
const mostOffered = 500

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const sources = yield* Sources

  yield* editor.documents(
    Documents.provide(stores),
    Stream.map(
      stores.changes,
      ({ runs, store }) =>
        (query: string) =>
          Documents.isAbout(query, store, runs)
    )
  )

  /** What a command is about: its argument, else what is looked at. */
  const subjectOf = (argument: unknown): Position | undefined => positionOf(argument) ?? cursor.current()

  const show = (what: Subject["what"], argument: unknown) =>
    Effect.suspend(() => {
      const at = subjectOf(argument)
      if (at === undefined) return Effect.asVoid(editor.inform("Select a run first, in the view Runs."))
      return Effect.andThen(
        cursor.move(at, "documents"),
        editor.showDocument(Documents.refOf({ ...at, what }))
      )
    })

  for (const what of ["state", "input", "output", "error", "event", "row"] as const) {
    const id = `waymark.show${what[0]!.toUpperCase()}${what.slice(1)}`
    yield* editor.command(id, (argument) => show(what, argument))
  }

  // -----------------------------------------------------------------------------------------------------------------
  // comparing

  const pickCheckpoint = (at: Position, title: string) =>
    Effect.gen(function* () {
      const { runs } = yield* stores.open(at.store)
      const found = yield* runs.history(at.run, { limit: mostOffered })
      return yield* editor.pick<number>(
        title,
        found.map((checkpoint: Checkpoint) => ({
          label: `${checkpoint.seq}  ${line(placeText(checkpoint))}`,
          description: `${kindText(checkpoint.kind)} · ${clock(checkpoint.time)}`,
          icon: kindIcon(checkpoint.kind),
          value: checkpoint.seq
        }))
      )
    })

  const compare = (left: Position, right: Position) => {
    const name = ({ run, seq }: Position) => `${line(run, 40)}${seq === undefined ? "" : ` @${seq}`}`
    return editor.showDiff(
      Documents.refOf({ ...left, what: "state" }),
      Documents.refOf({ ...right, what: "state" }),
      `${name(left)} ↔ ${name(right)}`
    )
  }

  yield* editor.command("waymark.compareCheckpoints", (argument) =>
    Effect.gen(function* () {
      const at = subjectOf(argument)
      if (at === undefined) return
      const first = at.seq ?? (yield* pickCheckpoint(at, "Compare the state at"))
      if (first === undefined) return
      const second = yield* pickCheckpoint(at, `Compare the state at ${first} with that at`)
      if (second === undefined) return
      const [before, after] = first < second ? [first, second] : [second, first]
      yield* compare({ ...at, seq: before }, { ...at, seq: after })
    })
  )
  yield* editor.command("waymark.compareWithPrevious", (argument) =>
    Effect.gen(function* () {
      const at = subjectOf(argument)
      if (at === undefined) return
      const { runs, store } = yield* stores.open(at.store)
      const seq = at.seq ?? (yield* store.get(at.run)).info.seq
      const [previous] = yield* runs.history(at.run, { limit: 1, before: seq })
      if (previous === undefined) return yield* editor.inform("There is no checkpoint before this one.")
      return yield* compare({ ...at, seq: previous.seq }, { ...at, seq })
    })
  )
  yield* editor.command("waymark.compareRuns", (argument) =>
    Effect.gen(function* () {
      const at = subjectOf(argument)
      if (at === undefined) return
      const flow = stores.source(at.store)?.catalog.get(at.run)?.flow
      const others = stores.sources().flatMap(({ catalog, place }) =>
        catalog
          .newest(mostOffered, flow === undefined ? {} : { flow }, false)
          .filter(({ run }) => run !== at.run || place.path !== at.store)
          .map((info): Choice<Position> => ({
            label: line(info.run),
            description: info.status,
            icon: iconOf(info),
            value: { store: place.path, run: info.run }
          }))
      )
      const other = yield* editor.pick(`Compare the state of ${line(at.run, 60)} with that of`, others)
      if (other !== undefined) yield* compare({ store: at.store, run: at.run }, other)
    })
  )

  // -----------------------------------------------------------------------------------------------------------------
  // checkpoints and source

  /** The node that a run stands in at a position. */
  const nodeAt = (at: Position) =>
    Effect.gen(function* () {
      const { runs, store } = yield* stores.open(at.store)
      const { info } = yield* store.get(at.run)
      if (at.seq === undefined) return { flow: info.flow, node: info.node }
      const [checkpoint] = yield* runs.history(at.run, { limit: 1, before: at.seq + 1 })
      return { flow: info.flow, node: checkpoint?.node }
    })

  const showSite = (flow: string, node: string | undefined, what?: Site["what"], keepFocus = false) =>
    Effect.gen(function* () {
      const site = siteOf(yield* sources.sites, flow, node, what)
      if (site === undefined) return false
      yield* editor.showFile(site, { keepFocus })
      return true
    })

  yield* editor.command("waymark.showSource", (argument) =>
    Effect.gen(function* () {
      const at = subjectOf(argument)
      if (at === undefined) return
      const place = yield* nodeAt(at)
      const node = textField(argument, "node") ?? place.node
      if (yield* showSite(place.flow, node)) return
      const what = node === undefined ? `flow ${place.flow}` : `node ${node} of flow ${place.flow}`
      yield* editor.inform(`The source of ${what} was not found in this workspace.`)
    })
  )
  yield* editor.command("waymark.showCheckpoint", (argument) =>
    Effect.gen(function* () {
      const at = positionOf(argument)
      if (at?.seq === undefined) return
      yield* cursor.move(at, "checkpoints")
      yield* editor.showDocument(Documents.refOf({ ...at, what: "state" }))
    })
  )

  // -----------------------------------------------------------------------------------------------------------------
  // code lenses

  /** The run of a flow that is looked at, or its newest one. */
  const lastRun = (flow: string): Position | undefined => {
    const at = cursor.current()
    if (at !== undefined && stores.source(at.store)?.catalog.get(at.run)?.flow === flow)
      return { store: at.store, run: at.run }
    const [newest] = stores
      .sources()
      .flatMap(({ catalog, place }) =>
        catalog.newest(1, { flow }, false).map((info) => ({ info, store: place.path }))
      )
      .sort((a, b) => b.info.createdAt - a.info.createdAt)
    return newest === undefined ? undefined : { store: newest.store, run: newest.info.run }
  }

  const lensesOf = ({ flow, line: at, node, what }: Site): ReadonlyArray<CodeLens> => {
    if (node !== undefined) {
      if (what === "definition") {
        return [
          { line: at, title: "Go to handler", command: "waymark.goToHandler", arguments: [{ flow, node }] }
        ]
      }
      const last = lastRun(flow)
      const definition = {
        line: at,
        title: "Go to definition in the flow",
        command: "waymark.goToDefinition",
        arguments: [{ flow, node }]
      }
      if (last === undefined) return [definition]
      return [
        definition,
        { line: at, title: "Show in the graph", command: "waymark.showInGraph", arguments: [{ flow, node }] },
        {
          line: at,
          title: "Debug replay",
          command: "waymark.debugReplay",
          arguments: [{ ...last, node }]
        }
      ]
    }
    const found = stores
      .sources()
      .flatMap(({ catalog, place }) =>
        catalog
          .newest(1, { flow }, false)
          .map((info) => ({ info, store: place.path, count: catalog.flows().get(flow) ?? 0 }))
      )
    const count = found.reduce((sum, each) => sum + each.count, 0)
    const [last] = found.sort((a, b) => b.info.createdAt - a.info.createdAt)
    const start: CodeLens = {
      line: at,
      title: "Start a run",
      command: "waymark.start",
      arguments: [{ flow }]
    }
    if (last === undefined)
      return [{ line: at, title: "No runs", command: "waymark.refresh", arguments: [] }, start]
    const { info, store } = last
    return [
      {
        line: at,
        title: `${count} ${count === 1 ? "run" : "runs"}`,
        command: "waymark.findRun",
        arguments: [flow]
      },
      {
        line: at,
        title: `last ${info.status} ${ago(info.updatedAt, Date.now())}`,
        command: "waymark.openRun",
        arguments: [{ store, run: info.run }]
      },
      start
    ]
  }

  yield* editor.codeLenses(
    (file, text) => Effect.sync(() => sources.sitesOfText(file, text).flatMap(lensesOf)),
    stores.changes.pipe(
      Stream.groupedWithin(4096, "1 second"),
      Stream.map(() => undefined)
    )
  )
  /** The flow and the node that a command is about: its argument's, else those at the cursor. */
  const placeOf = (argument: unknown) =>
    Effect.gen(function* () {
      const given = { flow: textField(argument, "flow"), node: textField(argument, "node") }
      const place = yield* editor.textCursor
      const sites = yield* sources.sites
      const here = place === undefined ? undefined : siteAt(sites, place.file, place.line)
      return { flow: given.flow ?? here?.flow, node: given.node ?? here?.node }
    })
  const goTo = (what: Site["what"]) => (argument: unknown) =>
    Effect.gen(function* () {
      const { flow, node } = yield* placeOf(argument)
      if (flow === undefined) return
      if (!(yield* showSite(flow, node, what))) {
        yield* editor.inform(`No ${what} of ${node ?? flow} was found in this workspace.`)
      }
    })
  yield* editor.command("waymark.goToHandler", goTo("handler"))
  yield* editor.command("waymark.goToDefinition", goTo("definition"))
  yield* editor.command("waymark.showInGraph", (argument) =>
    Effect.gen(function* () {
      const { flow, node } = yield* placeOf(argument)
      if (flow === undefined) return yield* editor.inform("There is no node of a flow at the cursor.")
      const run = lastRun(flow)
      if (run === undefined)
        return yield* editor.inform(`Flow ${line(flow, 60)} has no runs yet: its graph is drawn from one.`)
      return yield* editor.execute("waymark.openRun", { ...run, ...(node === undefined ? {} : { node }) })
    })
  )
  // The workspace is searched once, so that lenses know the flows of other files.
  yield* Effect.forkScoped(sources.sites)
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Sources> = Layer.effectDiscard(make)
