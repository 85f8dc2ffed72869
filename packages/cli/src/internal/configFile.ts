/**
 * Finding and loading `waymark.config.ts`.
 */
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type { AnyFlowEntry, Config } from "../Config.ts"
import { ConfigError } from "./failures.ts"

export interface Loaded {
  readonly file: string
  readonly config: Config
}

/** Where the command was called: loading a configuration goes to its folder. */
const calledIn = process.cwd()

/** A path that was given on the command line. */
export const given = (path: string): string => Path.resolve(calledIn, path)

const names = ["waymark.config.ts", "waymark.config.mts", "waymark.config.js", "waymark.config.mjs"]

/** The nearest configuration, from where the command was called upwards. */
export const find = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  let folder = calledIn
  while (true) {
    for (const name of names) {
      const file = Path.join(folder, name)
      if (yield* Effect.orElseSucceed(fs.exists(file), () => false)) return file
    }
    const above = Path.dirname(folder)
    if (above === folder) return undefined
    folder = above
  }
})

const hints: { readonly [code: string]: string } = {
  ERR_UNKNOWN_FILE_EXTENSION: "this Node does not read TypeScript; use Node 22.18 or later",
  ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX:
    "Node only strips types: enums, namespaces and parameter properties do not work",
  ERR_MODULE_NOT_FOUND: "is it installed, and does a relative import end in .ts?",
  ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING: "TypeScript inside node_modules is not read"
}

/** The first line of a stack that is in somebody's own code. */
const placeOf = (stack: string | undefined): string => {
  const line = stack
    ?.split("\n")
    .find((text) => /^\s+at .*file:\/\//.test(text) && !text.includes("/node_modules/"))
  const place = line === undefined ? undefined : /file:\/\/[^)\s]+/.exec(line)?.[0]
  return place === undefined ? "" : ` (${place})`
}

export const detailOf = (error: unknown): string => {
  if (!(typeof error === "object" && error !== null && "message" in error)) return String(error)
  const code = "code" in error && typeof error.code === "string" ? hints[error.code] : undefined
  const stack = "stack" in error && typeof error.stack === "string" ? error.stack : undefined
  return `${String(error.message)}${placeOf(stack)}${code === undefined ? "" : `; ${code}`}`
}

const kindOf = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "a list"
  if (Layer.isLayer(value)) return "a layer"
  if (value === undefined) return "missing"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

const isFlow = (value: unknown): boolean =>
  isRecord(value) && typeof value["id"] === "string" && isRecord(value["nodes"]) && "toLayer" in value

const isOpening = (value: unknown): boolean =>
  isRecord(value) && Layer.isLayer(value["write"]) && Layer.isLayer(value["read"])

const siteOf = ({ flow }: AnyFlowEntry): ReadonlyArray<string> => {
  const site = flow.site()
  return site === undefined ? [] : [`${site.file}:${site.line}`]
}

/** What is wrong with a default export, if anything is. */
export const problemOf = (value: unknown): ConfigError["reason"] | undefined => {
  const wrong = (at: string, expected: string, found: unknown): ConfigError["reason"] => ({
    _tag: "WrongType",
    at,
    expected,
    found: kindOf(found)
  })
  if (!isRecord(value)) return wrong("the default export", "what `defineConfig` gives", value)
  if (!Layer.isLayer(value["store"]) && !isOpening(value["store"])) {
    return wrong("`store`", "the layer of a store, or `fsStore()` or `sqliteStore()`", value["store"])
  }
  const { flows, plugins } = value
  if (!Array.isArray(flows)) return wrong("`flows`", "a list of `{ flow, handlers }`", flows)
  for (const [i, entry] of flows.entries()) {
    if (!isRecord(entry)) return wrong(`\`flows[${i}]\``, "`{ flow, handlers }`", entry)
    if (isFlow(entry)) return wrong(`\`flows[${i}]\``, "`{ flow, handlers }`, and not the flow alone", entry)
    if (!isFlow(entry["flow"])) return wrong(`\`flows[${i}].flow\``, "what `Flow.make` gives", entry["flow"])
    if (!Layer.isLayer(entry["handlers"])) {
      return wrong(`\`flows[${i}].handlers\``, "the layer that the flow's `toLayer` gives", entry["handlers"])
    }
  }
  if (plugins !== undefined && !Layer.isLayer(plugins)) return wrong("`plugins`", "a layer", plugins)
  const seen = new Map<string, AnyFlowEntry>()
  for (const entry of flows as ReadonlyArray<AnyFlowEntry>) {
    const other = seen.get(entry.flow.id)
    if (other !== undefined) {
      return { _tag: "TwoFlows", flow: entry.flow.id, sites: [...siteOf(other), ...siteOf(entry)] }
    }
    seen.set(entry.flow.id, entry)
  }
  return undefined
}

const loaded = new Map<string, Promise<{ readonly [name: string]: unknown }>>()

const importOnce = (file: string): Promise<{ readonly [name: string]: unknown }> => {
  let module = loaded.get(file)
  if (module === undefined) loaded.set(file, (module = import(pathToFileURL(file).href)))
  return module
}

/** Loads a configuration. Relative paths in it count from its folder, which becomes the working directory. */
export const load = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<Loaded, ConfigError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* Effect.orElseSucceed(fs.exists(file), () => false))) {
    return yield* new ConfigError({ file, reason: { _tag: "Missing" } })
  }
  process.chdir(Path.dirname(file))
  const module = yield* Effect.tryPromise({
    try: () => importOnce(file),
    catch: (cause) => new ConfigError({ file, reason: { _tag: "Threw", detail: detailOf(cause) }, cause })
  })
  if (!("default" in module)) {
    return yield* new ConfigError({ file, reason: { _tag: "NoExport", exports: Object.keys(module) } })
  }
  const reason = problemOf(module["default"])
  if (reason !== undefined) return yield* new ConfigError({ file, reason })
  return { file, config: module["default"] as Config }
})

/** The configuration that was named, or the nearest one; `undefined` if there is none and none was named. */
export const choose = (
  named: Option.Option<string>
): Effect.Effect<Loaded | undefined, ConfigError, FileSystem.FileSystem> =>
  named._tag === "Some"
    ? load(given(named.value))
    : Effect.flatMap(find, (file) => (file === undefined ? Effect.undefined : load(file)))
