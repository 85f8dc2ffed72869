/**
 * Which store and which flows a command works with.
 */
import * as Path from "node:path"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Flow from "@waymark/core/Flow"
import * as Runs from "@waymark/core/Runs"
import { type Store, StoreError } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import type { AnyFlowEntry, Config, StoreOpening } from "../Config.ts"
import * as ConfigFile from "./configFile.ts"
import { ConfigError, NoStore, UnknownName } from "./failures.ts"
import { like } from "./names.ts"
import { ConfigAt, type Settings, StoreAt } from "./settings.ts"
import * as Stores from "./stores.ts"

/** What choosing needs. */
export type Choosing = Settings | FileSystem.FileSystem

/** Where runs are read, in words, and how it is opened. */
export interface Place {
  readonly where: string
  readonly opening: StoreOpening
  readonly plugins: Layer.Layer<any, any>
  readonly config: ConfigFile.Loaded | undefined
}

const noPlugins: Layer.Layer<any, any> = Layer.empty as Layer.Layer<any>

const pluginsOf = (loaded: ConfigFile.Loaded | undefined): Layer.Layer<any, any> =>
  loaded?.config.plugins ?? noPlugins

/** The store at a path. */
export const storeAt = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.option(fs.stat(path))
  if (Option.isNone(info)) {
    // As long as nothing is folded into it, what a SQLite store wrote lies beside the file, which is not there.
    const beside = yield* Effect.orElseSucceed(fs.readDirectory(Path.dirname(path)), () => [])
    const isBegun = beside.some((name) => name.startsWith(`${Path.basename(path)}-`))
    return isBegun ? Stores.sqlite({ file: path }) : undefined
  }
  return info.value.type === "Directory"
    ? Stores.directory({ directory: path })
    : Stores.sqlite({ file: path })
})

const openingOf = ({ store }: Config): StoreOpening =>
  "write" in store ? store : { read: store, write: store }

/** The configuration, which has to be there. */
export const configured = Effect.gen(function* () {
  const loaded = yield* ConfigFile.choose(yield* ConfigAt)
  if (loaded !== undefined) return loaded
  return yield* new ConfigError({ file: ConfigFile.given("waymark.config.ts"), reason: { _tag: "Missing" } })
})

/** What was named with `--store`, or the configuration's, or a `.waymark` that is there. */
export const chosen = Effect.gen(function* (): Effect.fn.Return<Place, ConfigError | NoStore, Choosing> {
  const named = yield* StoreAt
  const configAt = yield* ConfigAt
  if (Option.isSome(named)) {
    const where = ConfigFile.given(named.value)
    const opening = yield* storeAt(where)
    if (opening === undefined) {
      const detail = `there is no store at ${where}; \`--store\` names a store's directory or its .sqlite file`
      return yield* new NoStore({ detail })
    }
    const config = Option.isSome(configAt) ? yield* ConfigFile.choose(configAt) : undefined
    return { where, opening, plugins: pluginsOf(config), config }
  }
  const config = yield* ConfigFile.choose(configAt)
  if (config !== undefined) {
    const { config: project, file } = config
    return { where: `the store of ${file}`, opening: openingOf(project), plugins: pluginsOf(config), config }
  }
  const where = ConfigFile.given(".waymark")
  const opening = yield* storeAt(where)
  if (opening === undefined) {
    const detail = `no waymark.config.ts here or above, and no ${where}: name a store with \`--store\`, or begin with \`waymark init\``
    return yield* new NoStore({ detail })
  }
  return { where, opening, plugins: noPlugins, config: undefined }
})

const client = (pick: (opening: StoreOpening) => Layer.Layer<Store, any>) =>
  Layer.unwrap(
    Effect.map(chosen, ({ opening, plugins }) =>
      Runs.layer.pipe(Layer.provideMerge(pick(opening)), Layer.provideMerge(plugins))
    )
  ) as Layer.Layer<Runs.Runs | Store, unknown, Choosing>

/** A store that is to be read is there, or nothing was ever written to it. */
const isThere = (error: unknown): boolean =>
  !(Schema.is(StoreError)(error) && error.operation === "open" && error.reason._tag === "Invalid")

/** Looks at runs, and disturbs nobody who writes. */
export const reading = client(({ read }) =>
  Layer.catch(read, (error: unknown) =>
    Layer.effectContext(
      Effect.fail(
        isThere(error)
          ? error
          : new NoStore({
              detail: `${(error as StoreError).message}; it is made when a run is started, with \`waymark run\` say`
            })
      )
    )
  )
)

/** Sends commands to runs. */
export const writing = client(({ write }) => write)

/** The flow of this id in a configuration. */
export const flowNamed = Effect.fnUntraced(function* ({ config }: ConfigFile.Loaded, id: string) {
  const entry = config.flows.find(({ flow }) => flow.id === id)
  if (entry !== undefined) return entry
  const known = config.flows.map(({ flow }) => flow.id)
  return yield* new UnknownName({
    what: "flow",
    name: id,
    like: like(id, known),
    known,
    hint: "the configuration has no flows"
  })
})

/** The layer of a flow's handlers, whose failures say which flow they are of. */
export const handlersOf = (file: string, { flow, handlers }: AnyFlowEntry): Layer.Layer<any, ConfigError> =>
  Layer.catchCause(handlers, (cause) => {
    const error = Cause.squash(cause)
    const detail = ConfigFile.detailOf(error)
    return Layer.effectDiscard(
      Effect.fail(
        new ConfigError({ file, reason: { _tag: "Handlers", flow: flow.id, detail }, cause: error })
      )
    )
  }) as Layer.Layer<any, ConfigError>

const workerWith = (takesUp: "all" | "asked", onRun: OnRun | undefined) =>
  Effect.gen(function* () {
    const loaded = yield* configured
    const place = yield* chosen
    const { config, file } = loaded
    const handlers = config.flows.map((entry) => handlersOf(file, entry))
    const worker: Layer.Layer<any, any, any> = Worker.layer({
      ...config.worker,
      flows: config.flows.map(({ flow }) => flow),
      takesUp,
      onRun
    })
    return handlers
      .reduce((layer, one) => Layer.provide(layer, one), worker)
      .pipe(Layer.provideMerge(place.opening.write), Layer.provideMerge(pluginsOf(loaded)))
  })

type OnRun = Worker.Options<ReadonlyArray<Flow.Any>>["onRun"]

/** Executes runs of the flows of the configuration, all or those that it is asked for, and is a client. */
export const working = (takesUp: "all" | "asked", onRun?: OnRun) =>
  Layer.unwrap(workerWith(takesUp, onRun)) as Layer.Layer<
    Runs.Runs | Worker.Worker | Store,
    unknown,
    Choosing
  >
