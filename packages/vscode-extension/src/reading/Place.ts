/**
 * Where stores lie: directories of `@waymark/store-fs`, files of `@waymark/store-sqljs`.
 */
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A store on disk. `path` is absolute and identifies it; `label` is for people.
 */
export interface Place {
  readonly kind: "directory" | "file"
  readonly path: string
  readonly label: string
}

/** A path that a setting names, or a search found, is no store. */
export class NoStoreThere extends Schema.TaggedError<NoStoreThere>()("NoStoreThere", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.detail}`
  }
}

const FormatFile = Schema.fromJsonString(Schema.Struct({ store: Schema.Literal("waymark") }))
const decodeFormat = Schema.decodeUnknownEffect(FormatFile)

const magic = "SQLite format 3\0"
/** So much of a file is looked at: the table definitions of a store stand in its first pages. */
const prefixBytes = 256 * 1024

/** A path as people know it: from the workspace folder on. */
export const labelOf = (path: string, roots: ReadonlyArray<string>): string => {
  const root = roots.find((folder) => path === folder || path.startsWith(folder + Path.sep))
  return root === undefined ? path : Path.relative(Path.dirname(root), path)
}

const readPrefix = async (path: string): Promise<string> => {
  const file = await Fs.open(path, "r")
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(prefixBytes), 0, prefixBytes, 0)
    return buffer.toString("latin1", 0, bytesRead)
  } finally {
    await file.close()
  }
}

/**
 * Says what lies at a path, without opening it: a directory whose `format.json` names Waymark, or an SQLite file with the
 * tables of a store. `roots` are the workspace folders, from which labels are told.
 */
export const recognise = Effect.fnUntraced(function* (
  path: string,
  roots: ReadonlyArray<string>
): Effect.fn.Return<Place, NoStoreThere> {
  const absolute = Path.resolve(path)
  const nothing = (detail: string) => new NoStoreThere({ path: absolute, detail })
  const attempt = <A>(run: () => Promise<A>, detail: string) =>
    Effect.tryPromise({ try: run, catch: () => nothing(detail) })
  const stat = yield* attempt(() => Fs.stat(absolute), "there is nothing, or it may not be read")
  if (stat.isDirectory()) {
    const text = yield* attempt(
      () => Fs.readFile(Path.join(absolute, "format.json"), "utf8"),
      "the directory has no format.json, so it is no store of Waymark"
    )
    yield* Effect.mapError(decodeFormat(text), () => nothing("its format.json is not that of a store"))
    return { kind: "directory", path: absolute, label: labelOf(absolute, roots) }
  }
  const prefix = yield* attempt(() => readPrefix(absolute), "the file cannot be read")
  if (!prefix.startsWith(magic)) return yield* nothing("the file is no SQLite database")
  if (!prefix.includes("CREATE TABLE store (") || !prefix.includes("run_key BLOB")) {
    return yield* nothing("the SQLite database has not the tables of a store of Waymark")
  }
  return { kind: "file", path: absolute, label: labelOf(absolute, roots) }
})
