/**
 * Failures as they are stored, and back.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import type * as Schema from "effect/Schema"
import type { Failure } from "../../Event.ts"
import { BudgetExceeded, InDoubt, Unencodable } from "../../Failures.ts"
import { NodeTimeout } from "../../Node.ts"
import { InvalidValue, RunCancelled } from "../../RunError.ts"
import { ToolStalled, ToolTimeout } from "../../Tool.ts"
import { makeCodec } from "../definition/codec.ts"
import { errorTags } from "../definition/inspect.ts"
import { describe } from "../describe.ts"
import { frozen } from "../frozen.ts"
import { encode } from "./encoded.ts"

/** What a cause amounts to: its defect if it has one, else its error, else that it was interrupted. */
export type Outcome =
  | { readonly _tag: "Error"; readonly error: unknown }
  | { readonly _tag: "Defect"; readonly defect: unknown }
  | { readonly _tag: "Interrupted" }

export const outcomeOf = (cause: Cause.Cause<unknown>): Outcome => {
  let outcome: Outcome = { _tag: "Interrupted" }
  for (const reason of cause.reasons) {
    if (reason._tag === "Die") return { _tag: "Defect", defect: reason.defect }
    if (reason._tag === "Fail" && outcome._tag === "Interrupted")
      outcome = { _tag: "Error", error: reason.error }
  }
  return outcome
}

/** The tag by which policies know an error; `""` if it has none. */
export const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : ""

const messageOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "message" in error && typeof error.message === "string"
    ? error.message
    : typeof error === "string"
      ? error
      : ""

const nameOf = (value: unknown): string =>
  typeof value === "object" && value !== null && "name" in value && typeof value.name === "string"
    ? value.name
    : `(${typeof value})`

/** A failure to encode something is itself a failure that can always be stored. */
export const encoding = (what: string, message: string): Extract<Failure, { kind: "encoding" }> => ({
  kind: "encoding",
  what,
  message
})

/** What is wrong with a value that does not fit its schema; or what its schema broke with, by the stack that is full. */
export const problemOf = ({ cause }: Exit.Failure<unknown, unknown>): string => {
  const message = messageOf(Cause.squash(cause))
  return /call stack|recursion/.test(message) ? "it is nested too deeply" : message
}

/** The same, for whoever gave the value. */
export const invalid = (what: string, exit: Exit.Failure<unknown, unknown>): InvalidValue =>
  new InvalidValue({ what, detail: problemOf(exit) })

/** The same as a failure of what was executed. */
export const mismatch = (
  what: string,
  exit: Exit.Failure<unknown, unknown>
): Extract<Failure, { kind: "encoding" }> => encoding(what, problemOf(exit))

const defect = (value: unknown): Failure => {
  if (typeof value === "object" && value !== null) {
    const name = "name" in value && typeof value.name === "string" ? value.name : "Defect"
    const stack = "stack" in value && typeof value.stack === "string" ? value.stack : undefined
    // Of what is no error the message would be empty.
    const message = stack === undefined && !("message" in value) ? format(value) : messageOf(value)
    return stack === undefined ? { kind: "defect", name, message } : { kind: "defect", name, message, stack }
  }
  return { kind: "defect", name: "Defect", message: String(value) }
}

/** The stored form of an outcome, its error encoded by the first of the schemas that it fits. */
export const store = (outcome: Outcome, schemas: ReadonlyArray<Schema.Codec<any, any>>): Failure => {
  if (outcome._tag === "Interrupted") return { kind: "interrupted" }
  if (outcome._tag === "Defect") {
    // A program may have errors of the same tags.
    const known = outcome.defect
    if (known instanceof Unencodable) return encoding(known.what, known.detail)
    if (known instanceof InDoubt) return { kind: "inDoubt", tool: known.tool, call: known.call }
    if (known instanceof BudgetExceeded) return { kind: "budget", budget: known.budget, limit: known.limit }
    if (known instanceof ToolTimeout)
      return { kind: "timeout", what: "tool", name: known.tool, millis: known.millis }
    if (known instanceof ToolStalled)
      return { kind: "timeout", what: "heartbeat", name: known.tool, millis: known.millis }
    if (known instanceof RunCancelled) return { kind: "cancelled", run: known.run, reason: known.reason }
    if (known instanceof NodeTimeout)
      return { kind: "timeout", what: "node", name: known.node, millis: known.millis }
    return defect(known)
  }
  const { error } = outcome
  const tag = tagOf(error)
  let problem = ""
  for (const schema of schemas) {
    const exit = encode(schema, error)
    if (Exit.isSuccess(exit)) return { kind: "error", tag, error: exit.value, message: messageOf(error) }
    problem = problemOf(exit)
  }
  const isDeclared = schemas.some((schema) => {
    const { complete, tags } = errorTags(schema)
    return !complete || tags.includes(tag)
  })
  if (isDeclared) return encoding(`the error ${tag}`, problem)
  // What it says stands nowhere else.
  const message = messageOf(error)
  const said = message === "" ? "" : ` (it says ${JSON.stringify(message)})`
  return encoding(
    `the error ${tag === "" ? nameOf(error) : tag}`,
    `it is not declared: name it in \`error\` of the node or the tool, or catch it${said}`
  )
}

/** The text of a failure as it was stored; a codec may have made something else of it. */
const textOf = (message: Schema.Json): string =>
  typeof message === "string" ? message : JSON.stringify(message)

/** What a failure says, in words. */
export const detailOf = (failure: Failure): string =>
  "message" in failure ? textOf(failure.message) : describe(failure)

/** An error or a defect that stands for a stored failure, where its schema does not say what it was. */
export const load = (failure: Failure, schemas: ReadonlyArray<Schema.Codec<any, any>>): Outcome => {
  switch (failure.kind) {
    case "error": {
      for (const schema of schemas) {
        const exit = makeCodec(schema).decode(frozen(failure.error))
        if (Exit.isSuccess(exit)) return { _tag: "Error", error: exit.value }
      }
      return {
        _tag: "Defect",
        defect: new Unencodable({
          what: `the error ${failure.tag}`,
          detail: "its schema does not decode it any more"
        })
      }
    }
    case "interrupted":
      return { _tag: "Interrupted" }
    case "timeout":
      return {
        _tag: "Defect",
        defect:
          failure.what === "tool" || failure.what === "heartbeat"
            ? new (failure.what === "tool" ? ToolTimeout : ToolStalled)({
                tool: failure.name,
                millis: failure.millis
              })
            : new NodeTimeout({ node: failure.name, millis: failure.millis })
      }
    case "inDoubt":
      return { _tag: "Defect", defect: new InDoubt({ tool: failure.tool, call: failure.call }) }
    case "budget":
      return {
        _tag: "Defect",
        defect: new BudgetExceeded({ budget: failure.budget, limit: failure.limit })
      }
    case "cancelled":
      return { _tag: "Defect", defect: new RunCancelled({ run: failure.run, reason: failure.reason }) }
    case "encoding":
      return {
        _tag: "Defect",
        defect: new Unencodable({ what: failure.what, detail: textOf(failure.message) })
      }
    case "defect": {
      const error = new Error(textOf(failure.message))
      error.name = failure.name
      if (typeof failure.stack === "string") error.stack = failure.stack
      return { _tag: "Defect", defect: error }
    }
    default:
      return { _tag: "Defect", defect: new Error(describe(failure)) }
  }
}

/** The error or defect of an outcome, for policies that look at it. */
export const valueOf = (outcome: Outcome): unknown =>
  outcome._tag === "Error" ? outcome.error : outcome._tag === "Defect" ? outcome.defect : undefined
