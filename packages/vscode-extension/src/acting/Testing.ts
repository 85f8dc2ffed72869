/**
 * Makes a test of a run, by a command of the project that reads the store and writes the file. What the test imports is looked
 * for in the workspace; where that leaves a choice, somebody makes it.
 */
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Editor } from "../Editor.ts"
import { runOf } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { readAll } from "../reading/Journals.ts"
import { Stores } from "../reading/Stores.ts"
import { fileName, line } from "../reading/Text.ts"
import { Sources } from "../source/Sources.ts"
import * as Obstacles from "./Obstacles.ts"
import { CommandFailed, Workers } from "./Workers.ts"

/** So many events of a run are looked through for the tools that it calls. */
const mostRead = 20_000

const isThere = (file: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.access(file).then(
      () => true,
      () => false
    )
  )

/** The layers that may have the handlers, if that is what a command asks. */
const candidatesIn = (detail: string): ReadonlyArray<string> =>
  /it may be (.+): say which, in `handlers`/.exec(detail)?.[1]?.split(" or ") ?? []

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const sources = yield* Sources

  /** The files that export what a run is made of, and the runs that it started. */
  const modulesOf = ({ run, store }: RunRef) =>
    Effect.gen(function* () {
      const open = yield* stores.open(store)
      const catalog = stores.source(store)?.catalog
      const flows = new Set<string>()
      const tools = new Set<string>()
      const runs = new Set([run])
      for (const id of runs) {
        const info = catalog?.get(id)
        if (info !== undefined) flows.add(info.flow)
        for (const under of catalog?.under(id) ?? []) if (under.parent === id) runs.add(under.run)
        let read = 0
        yield* readAll(open, id, { from: 0 }, (event) => {
          if (event.kind === "callStarted") tools.add(event.tool)
          return ++read < mostRead
        })
      }
      return yield* sources.modules(flows, tools)
    })

  const askFile = (ref: RunRef, folder: string, label: string) =>
    Effect.gen(function* () {
      const typed = yield* editor.input({
        title: `Make a test of ${line(ref.run, 60)}`,
        prompt: `The file of the test, from the folder of ${label} on`,
        value: `test/${fileName(ref.run)}.test.ts`,
        validate: (text) => (/\.[cm]?ts$/.test(text.trim()) ? undefined : "A test is a TypeScript file.")
      })
      if (typed === undefined) return undefined
      const file = Path.resolve(folder, typed.trim())
      const overwrites = yield* isThere(file)
      if (!overwrites) return { file, overwrites }
      const yes = yield* editor.confirm(
        `Write over ${Path.relative(folder, file)}?`,
        "The file is there already. What is in it is lost.",
        "Write Over It"
      )
      return yes ? { file, overwrites } : undefined
    })

  /** Makes the test; asks for the layer with the handlers where several may be meant. */
  const generate = (
    ref: RunRef,
    args: ReadonlyArray<string>,
    handlers: ReadonlyArray<string>
  ): Effect.Effect<string | undefined, Error> =>
    Effect.catchIf(
      editor.progress(
        `Making a test of ${line(ref.run, 60)}`,
        workers.command(ref.store, "test-from", [
          ...args,
          ...handlers.flatMap((name) => ["--handlers", name]),
          "--",
          ref.run
        ])
      ),
      (error) =>
        Schema.is(CommandFailed)(error) && handlers.length === 0 && candidatesIn(error.detail).length > 0,
      (error) =>
        Effect.flatMap(
          editor.pick(
            `Which layer has the handlers of ${line(ref.run, 60)}?`,
            candidatesIn((error as CommandFailed).detail).map((value) => ({ label: value, value }))
          ),
          (name) => (name === undefined ? Effect.undefined : generate(ref, args, [name]))
        )
    )

  const makeTest = (ref: RunRef) =>
    Effect.gen(function* () {
      const prospect = yield* workers.prospect(ref.store)
      if (prospect._tag === "None")
        return yield* Obstacles.tell(editor, "No test can be made", prospect.problem)
      const { config, label } = prospect.project
      const asked = yield* askFile(ref, Path.dirname(config), label)
      if (asked === undefined) return
      const modules = yield* modulesOf(ref)
      const args = [
        "--out",
        asked.file,
        ...(asked.overwrites ? ["--force"] : []),
        ...modules.flatMap((file) => ["--module", file])
      ]
      const made = yield* generate(ref, args, [])
      if (made !== undefined) yield* editor.showFile({ file: asked.file, line: 1 })
    })

  yield* editor.command("waymark.testFrom", (argument) =>
    Obstacles.inTrust(
      editor,
      "No test can be made",
      Effect.suspend((): Effect.Effect<unknown, Error> => {
        const ref = runOf(argument) ?? cursor.current()
        return ref === undefined ? editor.inform("Select a run first, in the view Runs.") : makeTest(ref)
      })
    )
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers | Sources> =
  Layer.effectDiscard(make)
