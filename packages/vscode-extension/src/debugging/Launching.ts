/**
 * Debugging the code of a run: a replay of it, or a fork, under the Node debugger. What is executed is the project's own
 * `waymark` command, in trusted workspaces only.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Obstacles from "../acting/Obstacles.ts"
import { Projects } from "../acting/Project.ts"
import { Editor } from "../Editor.ts"
import type { LaunchConfiguration } from "../Editor.ts"
import { positionOf, recordField, textField } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import { runChoices } from "../faces/RunChoices.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import { siteOf, Sources } from "../source/Sources.ts"
import { beginningAt } from "./Beginning.ts"
import { Debugging } from "./Debugging.ts"
import { mark, nodeConfiguration, Request } from "./Launch.ts"
import { RequestRefused } from "./RequestRefused.ts"

const decode = Schema.decodeUnknownEffect(Request)

/** So many runs are offered as configurations of their own. */
const mostConfigurations = 5
/** At so many nodes it stops for somebody who asked to stop at the node: there may be many branches. */
const mostStops = 10

const by = "launching"
const label = { history: "History", replay: "Replay", fork: "Fork" }

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const sources = yield* Sources
  const projects = yield* Projects
  const { readerOf, storeOf } = yield* Debugging
  /** What takes away the breakpoints of a session, by the number that it has. */
  const stops = new Map<number, Effect.Effect<void>>()
  let launches = 0

  /** Sets breakpoints where the handlers of nodes begin. */
  const stopAt = (flow: string, nodes: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const sites = yield* sources.sites
      const undo: Array<Effect.Effect<void>> = []
      for (const node of nodes.slice(0, mostStops)) {
        const site = siteOf(sites, flow, node, "handler")
        if (site?.body === undefined) continue
        undo.push(yield* editor.breakpoint({ file: site.file, ...site.body }, site.end))
      }
      if (undo.length === 0) {
        const which = `the handler of ${nodes.map((node) => line(node, 40)).join(", ")}`
        yield* Effect.forkDetach(
          editor.inform(`Where ${which} begins was not found in the source: set a breakpoint in it yourself.`)
        )
      }
      return Effect.all(undo, { discard: true })
    })

  const launch = (given: LaunchConfiguration) =>
    Effect.gen(function* () {
      const request = yield* Effect.mapError(
        decode(given),
        ({ message }) => new RequestRefused({ detail: `This launch configuration is not valid: ${message}` })
      )
      const { checkpoint, mode, node, run } = request
      const store = yield* storeOf(request)
      // Whether it may be executed at all comes first.
      const project = yield* projects.of(store)
      const open = yield* stores.open(store)
      const { info } = yield* open.store.get(run)
      const from = yield* beginningAt(readerOf(open, run), checkpoint, node)
      if (from === undefined) {
        const what = node === undefined ? "anything" : `node ${JSON.stringify(node)}`
        const detail = `Run ${JSON.stringify(run)} has not executed ${what} that could be executed again.`
        return yield* new RequestRefused({ detail })
      }
      const launched = ++launches
      if (request.stopAtNode === true) stops.set(launched, yield* stopAt(info.flow, from.nodes))
      const made = nodeConfiguration(given, request, project, store, from.seq)
      return {
        name: `${label[mode]} of ${line(run, 60)} from ${from.seq}`,
        ...made,
        [mark]: { ...(made[mark] as object), mode, run, launched }
      }
    })

  const pickRun = Effect.suspend(() => editor.pick("Debug which run?", runChoices(stores)))

  yield* editor.launcher({
    resolve: (given) =>
      Effect.gen(function* () {
        const asked = typeof given["run"] === "string" && given["run"] !== "" ? {} : yield* pickRun
        if (asked === undefined) return undefined
        const mode = given["mode"] ?? "history"
        const whole: LaunchConfiguration = { ...given, ...asked, mode, type: "waymark", request: "launch" }
        if (mode !== "history") {
          return yield* Effect.catchTag(launch(whole), "NoProject", (problem) =>
            Effect.as(Obstacles.tell(editor, "No code can be debugged here", problem), undefined)
          )
        }
        return { ...whole, name: given["name"] ?? `History of ${line(String(whole["run"]), 60)}` }
      }),
    offered: Effect.sync(() => {
      const at = cursor.current()
      const newest = stores
        .sources()
        .flatMap(({ catalog, place }) =>
          catalog.newest(mostConfigurations, {}, false).map((info) => ({ info, store: place.path }))
        )
        .sort((a, b) => b.info.updatedAt - a.info.updatedAt)
        .map(({ info, store }) => ({ store, run: info.run }))
      const runs = [...(at === undefined ? [] : [{ store: at.store, run: at.run }]), ...newest]
      const distinct = new Map(runs.map((each) => [`${each.store}\0${each.run}`, each]))
      return [...distinct.values()].slice(0, mostConfigurations).flatMap(({ run, store }) =>
        (["history", "replay", "fork"] as const).map((mode) => ({
          name: `${label[mode]} of ${line(run, 60)}`,
          type: "waymark",
          request: "launch",
          mode,
          store,
          run,
          ...(mode === "history" ? {} : { stopAtNode: true })
        }))
      )
    }),
    ended: (configuration, printed) =>
      Effect.gen(function* () {
        const { launched, mode, run, store } = configuration[mark] as {
          readonly launched: number
          readonly mode: "replay" | "fork"
          readonly run: string
          readonly store: string
        }
        yield* stops.get(launched) ?? Effect.void
        stops.delete(launched)
        // The command says which run it made: that is looked at now.
        const forked = /^run (.*), forked from /m.exec(printed)?.[1]
        if (forked !== undefined && stores.source(store)?.catalog.get(forked) !== undefined)
          yield* cursor.move({ store, run: forked }, by)
        const problem = /^error: (.*)$/m.exec(printed)?.[1]
        if (problem === undefined) return
        yield* editor.warn(`${label[mode]} of ${line(run, 60)}: ${line(problem, 500)}`)
      })
  })

  const start = (mode: "replay" | "fork") => (argument: unknown) =>
    Obstacles.inTrust(editor, "No code can be debugged here", begin(mode, argument))
  const begin = (mode: "replay" | "fork", argument: unknown) =>
    Effect.gen(function* () {
      const at = positionOf(argument) ?? cursor.current()
      if (at === undefined) return yield* editor.inform("Select a run first, in the view Runs.")
      const where = at.seq === undefined ? "before its last step" : `at ${at.seq}`
      const isWanted =
        mode === "replay" ||
        (yield* editor.confirm(
          `Fork ${line(at.run, 60)} ${where}, and debug the fork?`,
          "A new run is started from that checkpoint. Its handlers are executed in the debugger, and they call their tools.",
          "Debug Fork"
        ))
      if (!isWanted) return
      const node = textField(argument, "node")
      const edits = recordField(argument, "edits")
      return yield* editor.debug({
        name: `${label[mode]} of ${line(at.run, 60)}`,
        mode,
        store: at.store,
        run: at.run,
        stopAtNode: true,
        ...(at.seq === undefined ? {} : { checkpoint: at.seq }),
        ...(node === undefined ? {} : { node }),
        ...(edits === undefined ? {} : { edits })
      })
    })
  yield* editor.command("waymark.debugReplay", start("replay"))
  yield* editor.command("waymark.debugFork", start("fork"))
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Sources | Debugging | Projects> =
  Layer.effectDiscard(make)
