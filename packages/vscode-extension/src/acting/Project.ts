/**
 * What executes the runs of a store: the configuration of the folder that the store belongs to, the `waymark` command that
 * is installed there, and the Node of the user. The editor's own Node is never taken for it.
 */
import * as Fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { Editor } from "../Editor.ts"
import { labelOf } from "../reading/Place.ts"

/**
 * A folder whose runs can be executed.
 *
 * - `config`: its `waymark.config.ts`; `label` is that for people
 * - `program`, `args`: how the `waymark` command is called
 * - `node`: which Node that is, for people
 */
export interface Project {
  readonly config: string
  readonly label: string
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly node: string
}

const reasons = Schema.TaggedUnion({
  Untrusted: {},
  /** `folder` is where one would be made. */
  NoConfig: { searched: Schema.String, folder: Schema.optionalKey(Schema.String) },
  NoCommand: { folder: Schema.String },
  BrokenCommand: { folder: Schema.String, file: Schema.String, detail: Schema.String },
  NoNode: { node: Schema.String, detail: Schema.String },
  OldNode: { node: Schema.String, version: Schema.String, needed: Schema.String }
})

/** What makes a configuration, and what installs the command. */
export const init = "npx @waymark/cli init"
export const install = "npm install --save-dev @waymark/cli"

/** Why the runs of a store cannot be executed from here, and what to do about it. */
export class NoProject extends Schema.TaggedError<NoProject>()("NoProject", { reason: reasons }) {
  override get message(): string {
    const { reason } = this
    switch (reason._tag) {
      case "Untrusted":
        return "this workspace is not trusted, so none of its code is executed"
      case "NoConfig":
        return `there is no waymark.config.ts in ${reason.searched} or above it in the workspace: it names the flows and their handlers; \`${init}\` makes one`
      case "NoCommand":
        return `@waymark/cli is not installed for ${reason.folder}: it executes the runs; install it there with \`${install}\``
      case "BrokenCommand":
        return `the installed @waymark/cli cannot be used (${reason.file}: ${reason.detail}); install it again`
      case "NoNode":
        return `Node cannot be started as ${JSON.stringify(reason.node)} (${reason.detail}): name it in the setting waymark.node`
      case "OldNode":
        return `${reason.node} is Node ${reason.version}, and @waymark/cli needs ${reason.needed}: update it, or name another in the setting waymark.node`
    }
  }
}

/** The environment of what is started for the user, without what makes the editor's own Node what it is. */
export const environment = (): { [name: string]: string | undefined } => {
  const env: { [name: string]: string | undefined } = { ...process.env, NO_COLOR: "1" }
  for (const name of Object.keys(env)) {
    if (/^(?:ELECTRON_|VSCODE_|NODE_OPTIONS$|NODE_CHANNEL_|FORCE_COLOR$)/.test(name)) delete env[name]
  }
  return env
}

/** How a command of `waymark` is called for a project. The working directory is the folder of the configuration. */
export const commandOf = (
  { args, config, program }: Project,
  store: string,
  name: string,
  more: ReadonlyArray<string>
): ChildProcess.Command =>
  ChildProcess.make(program, [...args, name, "--config", config, "--store", store, ...more], {
    cwd: Path.dirname(config),
    env: environment(),
    extendEnv: false
  })

const names = ["waymark.config.ts", "waymark.config.mts", "waymark.config.js", "waymark.config.mjs"]

const isFile = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.stat(path).then(
      (stat) => stat.isFile(),
      // Nothing, or nothing that may be read: then it is not taken.
      () => false
    )
  )

/** Folders from one upwards, as far as they are in the workspace: only that is trusted. */
const upwards = (from: string, roots: ReadonlyArray<string>): ReadonlyArray<string> => {
  const within = (folder: string) =>
    roots.some(
      (root) => folder === root || folder.startsWith(root.endsWith(Path.sep) ? root : root + Path.sep)
    )
  const found: Array<string> = []
  for (let folder = from; within(folder); folder = Path.dirname(folder)) {
    found.push(folder)
    if (folder === Path.dirname(folder)) break
  }
  return found
}

/**
 * The configuration that the runs of a store are executed with: the nearest one, from the store upwards within the
 * workspace. Of a store that lies elsewhere it is that of a workspace folder.
 */
export const findConfig = Effect.fnUntraced(function* (
  store: string,
  roots: ReadonlyArray<string>
): Effect.fn.Return<string, NoProject> {
  const near = upwards(Path.dirname(store), roots)
  for (const folder of near.length === 0 ? roots : near) {
    for (const name of names) {
      const file = Path.join(folder, name)
      if (yield* isFile(file)) return file
    }
  }
  const searched = near[0] ?? (roots.length === 0 ? "this window" : roots.join(", "))
  const folder = near[0] ?? roots[0]
  const reason = { _tag: "NoConfig" as const, searched }
  return yield* new NoProject({ reason: folder === undefined ? reason : { ...reason, folder } })
})

const Manifest = Schema.fromJsonString(
  Schema.Struct({
    version: Schema.String,
    bin: Schema.Struct({ waymark: Schema.String }),
    engines: Schema.optionalKey(Schema.Struct({ node: Schema.optionalKey(Schema.String) }))
  })
)
const decodeManifest = Schema.decodeUnknownEffect(Manifest)

interface Installed {
  readonly bin: string
  readonly needs: string | undefined
}

/** The command that is installed where a configuration is. */
export const findCommand = Effect.fnUntraced(function* (
  config: string
): Effect.fn.Return<Installed, NoProject> {
  const manifest = yield* Effect.try({
    try: () => createRequire(config).resolve("@waymark/cli/package.json"),
    catch: () => new NoProject({ reason: { _tag: "NoCommand", folder: Path.dirname(config) } })
  })
  const broken = (file: string, detail: string) =>
    new NoProject({ reason: { _tag: "BrokenCommand", folder: Path.dirname(config), file, detail } })
  const text = yield* Effect.tryPromise({
    try: () => Fs.readFile(manifest, "utf8"),
    catch: (error) => broken(manifest, String(error))
  })
  const { bin, engines } = yield* Effect.mapError(decodeManifest(text), ({ message }) =>
    broken(manifest, message)
  )
  const file = Path.resolve(Path.dirname(manifest), bin.waymark)
  if (!(yield* isFile(file))) return yield* broken(file, "it is not there")
  return { bin: file, needs: engines?.node }
})

/** Whether a version is at least what a range such as `>=22.19` says. Ranges of other kinds are left to Node itself. */
export const suffices = (version: string, range: string | undefined): boolean => {
  const needed = /^>=\s*(\d+(?:\.\d+)*)$/.exec(range ?? "")?.[1]
  if (needed === undefined) return true
  const have = version.split(".").map(Number)
  for (const [i, part] of needed.split(".").map(Number).entries()) {
    const mine = have[i] ?? 0
    if (mine !== part) return mine > part
  }
  return true
}

export class Projects extends Context.Service<
  Projects,
  { readonly of: (store: string) => Effect.Effect<Project, NoProject> }
>()("waymark-vscode/Projects") {}

const decodeNode = Schema.decodeUnknownOption(Schema.String)

export const layer: Layer.Layer<Projects, never, Editor | ChildProcessSpawner> = Layer.effect(
  Projects,
  Effect.gen(function* () {
    const editor = yield* Editor
    const spawner = yield* ChildProcessSpawner
    /** Versions that were asked for. What could not be started may be there the next time. */
    const versions = new Map<string, string>()

    const versionOf = Effect.fnUntraced(function* (node: string) {
      const known = versions.get(node)
      if (known !== undefined) return known
      const asked = ChildProcess.make(node, ["--version"], { env: environment(), extendEnv: false })
      const failed = (detail: string) => new NoProject({ reason: { _tag: "NoNode", node, detail } })
      const said = yield* Effect.mapError(spawner.string(asked), ({ message }) => failed(message))
      const version = /^v(\d+\.\d+\.\d+)/.exec(said.trim())?.[1]
      if (version === undefined) return yield* failed("it does not say its version as Node does")
      versions.set(node, version)
      return version
    })

    return Projects.of({
      of: (store) =>
        Effect.gen(function* () {
          if (!(yield* editor.isTrusted)) return yield* new NoProject({ reason: { _tag: "Untrusted" } })
          const roots = yield* editor.folders
          const config = yield* findConfig(store, roots)
          const { bin, needs } = yield* findCommand(config)
          const setting = decodeNode(yield* editor.setting("node"))
          const given = setting._tag === "Some" && setting.value.trim() !== "" ? setting.value.trim() : "node"
          // A path is relative to the first folder; a name is looked for where programs are.
          const isPath = given.includes("/") || given.includes(Path.sep)
          const program = isPath ? Path.resolve(roots[0] ?? "", given) : given
          const version = yield* versionOf(program)
          if (!suffices(version, needs)) {
            const reason = { _tag: "OldNode" as const, node: program, version, needed: needs! }
            return yield* new NoProject({ reason })
          }
          const node = `Node ${version}${isPath ? ` (${given})` : ""}`
          return { config, label: labelOf(config, roots), program, args: [bin], node }
        })
    })
  })
)
