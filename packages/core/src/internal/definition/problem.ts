import * as Schema from "effect/Schema"
import type { Finding } from "./inspect.ts"
import { quoted } from "./quoted.ts"

const name = Schema.String

/** One thing that is wrong with a definition. `node` is there where it concerns a node. */
export const Problem = Schema.TaggedUnion({
  InvalidName: {
    what: Schema.Literals(["flow", "tool", "node", "channel", "signal", "output", "budget"]),
    name,
    detail: Schema.String
  },
  InvalidOption: { node: Schema.optionalKey(name), option: Schema.String, detail: Schema.String },
  UnknownStart: { start: name, nodes: Schema.Array(name) },
  UnknownTarget: { node: name, option: Schema.String, target: name, nodes: Schema.Array(name) },
  NoTarget: { node: name },
  AmbiguousTarget: { node: name, option: Schema.String, targets: Schema.Array(name) },
  EndWithoutOutput: { node: name, option: Schema.String },
  Unreachable: { node: name, start: name },
  DeadEnd: { node: name, join: Schema.optionalKey(name) },
  ItemMissing: { node: Schema.optionalKey(name), option: Schema.String, target: name },
  LeavesBranch: { node: name, option: Schema.String, target: name, join: name },
  JoinsOutside: { node: name, join: name },
  UnknownErrorTag: { node: name, tag: Schema.String, tags: Schema.Array(Schema.String) },
  UnroutedError: { node: name, tag: Schema.String },
  OpaqueSchema: { path: Schema.String, schema: Schema.String },
  NoJsonForm: { path: Schema.String, schema: Schema.String },
  MissingHandler: { node: name },
  UnknownHandler: { node: name, nodes: Schema.Array(name) },
  InvalidInitial: { channel: name, detail: Schema.String },
  InvalidMigration: { from: Schema.Number, to: Schema.Number, detail: Schema.String }
})
export type Problem = typeof Problem.Type

const at = ({ node, option }: { readonly node?: string; readonly option: string }): string =>
  `${node === undefined ? "" : `node "${node}": `}\`${option}\``

export const describe = (problem: Problem): string => {
  switch (problem._tag) {
    case "InvalidName":
      return `"${problem.name}" cannot be the name of ${problem.what === "output" ? "an" : "a"} ${problem.what}: ${problem.detail}`
    case "InvalidOption":
      return `${at(problem)} ${problem.detail}`
    case "UnknownStart":
      return `\`start\` names "${problem.start}", which is not a node; the nodes are ${quoted(problem.nodes)}`
    case "UnknownTarget":
      return `${at(problem)} names "${problem.target}", which is not a node; the nodes are ${quoted(problem.nodes)}`
    case "NoTarget":
      return `node "${problem.node}": \`to\` is empty; name the nodes it may go on to, or "end"`
    case "AmbiguousTarget":
      return `${at(problem)} does not say where the run goes on, and \`to\` has not exactly one target (${quoted(problem.targets)}); name one`
    case "EndWithoutOutput":
      return `${at(problem)} goes to "end", but the flow has an output, which only a handler can give; name a node that ends the run`
    case "Unreachable":
      return `node "${problem.node}" cannot be reached from the start "${problem.start}"; let a node name it as a target, or remove it`
    case "DeadEnd":
      return `node "${problem.node}" cannot reach ${problem.join === undefined ? "the end" : `"${problem.join}", at which its branches end`}; let it, or a node after it, name "${problem.join ?? "end"}" as a target`
    case "ItemMissing":
      return `${at(problem)} names "${problem.target}", which takes an item; only \`fanOut.to\` can name it`
    case "LeavesBranch":
      return `${at(problem)} names "${problem.target}", but the branches that end at "${problem.join}" have nodes of their own until there, and do not end the run`
    case "JoinsOutside":
      return `node "${problem.node}": \`fanOut.join\` names "${problem.join}", at which branches end that the node itself runs in; join before that`
    case "UnknownErrorTag":
      return `node "${problem.node}": \`onError\` names the error "${problem.tag}", but the node's errors are ${quoted(problem.tags)}`
    case "UnroutedError":
      return `node "${problem.node}": the error "${problem.tag}" is neither routed by \`onError\` nor in the flow's \`error\` schema`
    case "OpaqueSchema":
      return `${problem.path} is a Schema.${problem.schema}, so that nothing tells how to store it; describe it, or use Schema.Json`
    case "NoJsonForm":
      return `${problem.path} (${problem.schema}) has no JSON form; annotate it with \`toCodecJson\`, or encode it to something that has one`
    case "MissingHandler":
      return `node "${problem.node}" has no handler; give \`toLayer\` a function under its name`
    case "UnknownHandler":
      return `there is a handler "${problem.node}", which is not a node; the nodes are ${quoted(problem.nodes)}`
    case "InvalidInitial":
      return `channel "${problem.channel}": its initial value does not fit its schema: ${problem.detail}`
    case "InvalidMigration":
      return `the migration from version ${problem.from} to ${problem.to}: ${problem.detail}`
  }
}

/**
 * A flow, a tool, a wait, an output or a budget is defined in a way that cannot work. It lists everything that is wrong at once.
 *
 * @category errors
 * @since 0.1.0
 */
export class DefinitionError extends Schema.TaggedError<DefinitionError>()("DefinitionError", {
  definition: Schema.Literals(["flow", "tool", "wait", "output", "budget"]),
  id: Schema.String,
  problems: Schema.Array(Problem)
}) {
  override get message(): string {
    return `${this.definition} "${this.id}" cannot be defined:\n${this.problems.map((problem) => `- ${describe(problem)}`).join("\n")}`
  }
}

/** The problems that a schema's findings make. Secrets make none: whether they can be stored is known at start only. */
export const problemsOf = (findings: ReadonlyArray<Finding>): ReadonlyArray<Problem> =>
  findings.flatMap((finding): ReadonlyArray<Problem> => {
    switch (finding.kind) {
      case "opaque":
        return [{ _tag: "OpaqueSchema", path: finding.path, schema: finding.what }]
      case "noJson":
        return [{ _tag: "NoJsonForm", path: finding.path, schema: finding.what }]
      case "noSchema":
        return [
          {
            _tag: "InvalidOption",
            option: finding.path,
            detail: "is not a schema, such as Schema.String, Schema.Struct({ … }), or Schema.Void for nothing"
          }
        ]
      case "redacted":
        return []
    }
  })
