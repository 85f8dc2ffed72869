/**
 * Finds the stores of the workspace, and looks again when something changes that may bring or take one.
 */
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Editor } from "../Editor.ts"
import { labelOf, recognise } from "../reading/Place.ts"
import type { Place } from "../reading/Place.ts"
import { Stores } from "../reading/Stores.ts"

/** What a directory store has, and what SQLite files are usually called. */
const directoryGlob = "**/.waymark/format.json"
const fileGlob = "**/*.{sqlite,sqlite3,db}"
/** So many of each are looked at. */
const mostFound = 500

const decodePaths = Schema.decodeUnknownOption(Schema.Array(Schema.String))

/** Paths of the setting `waymark.stores` are relative to the first folder. */
export const absolute = (path: string, folders: ReadonlyArray<string>): string =>
  Path.isAbsolute(path) ? path : Path.resolve(folders[0] ?? "", path)

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores

  const search = Effect.gen(function* () {
    const folders = yield* editor.folders
    const setting = decodePaths((yield* editor.setting("stores")) ?? [])
    const named = setting._tag === "Some" ? setting.value : []
    const directories = yield* editor.findFiles(directoryGlob, mostFound)
    const files = yield* editor.findFiles(fileGlob, mostFound)
    const places = new Map<string, Place>()
    const look = (path: string, asked: boolean) =>
      Effect.gen(function* () {
        const found = yield* Effect.exit(recognise(path, folders))
        if (Exit.isSuccess(found)) places.set(found.value.path, found.value)
        else if (asked) {
          const why = found.cause.reasons
            .map((reason) => ("error" in reason ? reason.error.message : ""))
            .join("; ")
          yield* editor.log("warn", `setting waymark.stores: ${why}`)
        }
      })
    for (const path of named) yield* look(absolute(path, folders), true)
    // A directory of that name is shown also if it cannot be read: then with the reason.
    for (const file of directories) {
      const path = Path.dirname(file)
      places.set(path, { kind: "directory", path, label: labelOf(path, folders) })
    }
    for (const file of files) yield* look(file, false)
    yield* stores.use([...places.values()])
    yield* editor.setContext("waymark.hasStores", places.size > 0)
    yield* editor.setContext("waymark.searched", true)
  })

  yield* editor.command("waymark.refresh", () => Effect.andThen(search, stores.retry))
  yield* editor.workspaceChanges([directoryGlob, fileGlob]).pipe(
    Stream.debounce("200 millis"),
    Stream.runForEach(() => search),
    Effect.forkScoped
  )
  yield* Effect.forkScoped(search)
})

export const layer: Layer.Layer<never, never, Editor | Stores> = Layer.effectDiscard(make)
