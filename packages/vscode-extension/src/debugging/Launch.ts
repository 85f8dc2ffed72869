/**
 * Launch configurations of the modes `replay` and `fork`, and the configuration of the Node debugger that each becomes: the
 * project's own `waymark` command, with the handlers in it.
 */
import * as Path from "node:path"
import * as Schema from "effect/Schema"
import type { LaunchConfiguration } from "../Editor.ts"

/**
 * What a launch configuration says.
 *
 * - `checkpoint`: the position to begin from; without it, the last visit
 * - `node`: begin with the last visit of this node instead
 * - `stopAtNode`: stop where the handler of the first visit begins
 * - `edits`, `id`: of a fork: the new content of channels, by name; and the id of the new run
 */
export const Request = Schema.Struct({
  mode: Schema.Literals(["replay", "fork"]),
  run: Schema.NonEmptyString,
  store: Schema.optionalKey(Schema.String),
  checkpoint: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  node: Schema.optionalKey(Schema.String),
  stopAtNode: Schema.optionalKey(Schema.Boolean),
  edits: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  id: Schema.optionalKey(Schema.String)
})
export type Request = typeof Request.Type

/** How the command of a project is called. */
export interface Command {
  readonly config: string
  readonly program: string
  readonly args: ReadonlyArray<string>
}

/** The attribute by which a session is known to be one of these. */
export const mark = "waymark"

/** What is ours in a configuration; all else is for the Node debugger. */
const ours: ReadonlySet<string> = new Set([...Object.keys(Request.fields), "type", "request"])

/** The arguments of `waymark`. A run is executed here from a position; a fork, and what it starts, and nothing else. */
export const argumentsOf = (
  { edits = {}, id, mode, run }: Request,
  seq: number,
  store: string,
  config: string
): ReadonlyArray<string> => {
  const position = `${run}@${seq}`
  const where = ["--config", config, "--store", store]
  if (mode === "replay") return ["replay", ...where, "--", position]
  const changed = Object.entries(edits).flatMap(([channel, value]) => [
    "--edit",
    `${channel}=${JSON.stringify(value)}`
  ])
  return ["fork", "--work", ...changed, ...(id === undefined ? [] : ["--id", id]), ...where, "--", position]
}

/**
 * The configuration of the Node debugger. What the person wrote besides (`env`, `skipFiles`, `console`, ...) is kept. Node
 * strips the types of TypeScript in place, so breakpoints are where they are in the source.
 */
export const nodeConfiguration = (
  given: LaunchConfiguration,
  request: Request,
  command: Command,
  store: string,
  seq: number
): LaunchConfiguration => {
  const rest = Object.fromEntries(Object.entries(given).filter(([key]) => !ours.has(key)))
  const [program, ...before] = command.args
  return {
    skipFiles: ["<node_internals>/**", "**/node_modules/**"],
    autoAttachChildProcesses: true,
    outputCapture: "std",
    internalConsoleOptions: "openOnSessionStart",
    ...rest,
    type: "node",
    request: "launch",
    runtimeExecutable: command.program,
    program,
    args: [...before, ...argumentsOf(request, seq, store, command.config)],
    cwd: Path.dirname(command.config),
    [mark]: { mode: request.mode, store, run: request.run, seq }
  }
}
