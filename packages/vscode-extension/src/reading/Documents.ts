/**
 * What is shown of a run as read-only documents: states, inputs, outputs, errors, events.
 *
 * A document says in its query what it is, so that it can be made again whenever the editor asks for it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Event, Failure } from "@waymark/core/Event"
import { stateOf } from "@waymark/core/RunState"
import type { DocumentRef } from "../Editor.ts"
import { readAll, readOne } from "./Journals.ts"
import type { Open, Stores } from "./Stores.ts"
import { beginning, duration, fileName, moment } from "./Text.ts"

/** What a document shows. Without a `seq` it shows the run as it is now, and follows it. */
export const Subject = Schema.Struct({
  store: Schema.String,
  run: Schema.String,
  what: Schema.Literals(["state", "input", "output", "error", "event", "row"]),
  seq: Schema.optionalKey(Schema.Int)
})
export type Subject = typeof Subject.Type

const SubjectText = Schema.fromJsonString(Subject)
const decodeSubject = Schema.decodeUnknownEffect(SubjectText)

/** The document of a subject. Its title cannot be taken for a path: it is one name. */
export const refOf = (subject: Subject): DocumentRef => {
  const at = subject.seq === undefined ? "" : `@${subject.seq}`
  const extension = subject.what === "error" ? "txt" : "json"
  return {
    title: `${fileName(subject.run)}${at}.${subject.what}.${extension}`,
    query: JSON.stringify(subject)
  }
}

/** More text than this is cut: editors do not take documents of any size. In characters. */
export const mostText = 5_000_000

export const jsonText = (value: unknown): string => {
  const text = `${JSON.stringify(value, null, 2) ?? "null"}\n`
  if (text.length <= mostText) return text
  return `${beginning(text, mostText)}\n… cut here: ${text.length} characters in all, of which ${mostText} are shown\n`
}

const describe = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value, null, 2)

/** Why something failed, for people: the kind, what it says, the parts of it that are data, the stack. */
export const failureText = (failure: Failure): string => {
  switch (failure.kind) {
    case "error":
      return `${failure.tag}: ${describe(failure.message)}\n\n${describe(failure.error)}`
    case "defect": {
      const said = `${failure.name}: ${describe(failure.message)}`
      const stack = failure.stack === undefined ? "" : describe(failure.stack)
      return stack.startsWith(said) ? stack : stack === "" ? said : `${said}\n\n${stack}`
    }
    case "timeout":
      return `timeout: ${failure.what} ${failure.name} took longer than ${duration(failure.millis)}`
    case "inDoubt":
      return `in doubt: nobody knows whether call ${failure.call} of tool ${failure.tool} took effect`
    case "encoding":
      return `${failure.what} does not fit its schema: ${describe(failure.message)}`
    default:
      return `${failure.kind}\n\n${JSON.stringify(failure, null, 2)}`
  }
}

/** The failure that an event tells of. */
export const failureOf = (event: Event): Failure | undefined => {
  if ("error" in event && event.error !== undefined) return event.error
  if (event.kind === "waitEnded" && "failure" in event.outcome) return event.outcome.failure
  return undefined
}

const whereText = (event: Event): string => {
  const parts = [`position ${event.seq}`, moment(event.time)]
  if ("node" in event && event.node !== undefined) parts.unshift(`node ${event.node}`)
  if ("visit" in event && event.visit !== undefined) parts.push(`visit ${event.visit}`)
  if ("attempt" in event && event.attempt !== undefined) parts.push(`attempt ${event.attempt}`)
  if ("branch" in event && event.branch !== undefined && event.branch !== "")
    parts.push(`branch ${event.branch}`)
  if ("tool" in event) parts.push(`tool ${event.tool}`)
  return parts.join(", ")
}

const titles: { readonly [kind: string]: string } = {
  failed: "The run failed",
  branchFailed: "A branch failed",
  visitFailed: "A visit failed, and its node's policy let the run go on",
  attemptFailed: "An attempt failed, and the visit was tried again",
  callFailed: "A tool call failed for good",
  callRetried: "A try of a tool call failed",
  compensating: "The run began to undo its calls",
  compensationFailed: "A call could not be undone",
  compensationRetried: "A try to undo a call failed",
  waitEnded: "A wait ended with a failure"
}

/** So many failures before the last are told. */
const mostCauses = 20

/**
 * Why a run failed up to a position: the last failure first, then what had failed before it, since the visit that it stands
 * in began.
 */
const errorText = (open: Open, run: string, upTo: number | undefined) =>
  Effect.gen(function* () {
    const end = upTo ?? (yield* open.store.get(run)).info.seq
    const found: Array<string> = []
    let first: Event | undefined
    yield* readAll(open, run, { from: end, direction: "backwards" }, (event) => {
      const failure = failureOf(event)
      const node = "node" in event ? event.node : undefined
      if (failure !== undefined) {
        first ??= event
        found.push(`${titles[event.kind] ?? event.kind}\n${whereText(event)}\n\n${failureText(failure)}`)
      }
      // What led to the failure stands in the same visit; what is before it is another story.
      const began = event.kind === "visited" && first !== undefined && node !== undefined
      return found.length <= mostCauses && !began
    })
    const [last, ...before] = found
    if (last === undefined) return `Nothing has failed in run ${run} up to position ${end}.\n`
    const rule = `\n\n${"─".repeat(40)}\n\n`
    const causes =
      before.length === 0 ? "" : `${rule}Before that, the latest first:${rule}${before.join(rule)}`
    return `Run ${run}\n\n${last}${causes}\n`
  })

const outputOf = (event: Event): unknown => {
  switch (event.kind) {
    case "completed":
    case "callCompleted":
      return event.output
    case "visited":
      return { changes: event.ops ?? {}, next: event.next }
    case "joined":
      return { changes: event.ops ?? {} }
    case "emitted":
      return event.value
    case "waitEnded":
      return event.outcome
    default:
      return "error" in event ? (event.error ?? null) : null
  }
}

const textOf = (open: Open, { run, seq, what }: Subject) =>
  Effect.gen(function* () {
    const { runs, store } = open
    switch (what) {
      case "state":
        return jsonText(stateOf(yield* runs.stateAt(run, seq)))
      case "input": {
        const event = seq === undefined ? undefined : yield* readOne(open, run, seq)
        if (event?.kind === "callStarted") return jsonText(event.input)
        return jsonText((yield* runs.stateAt(run, seq)).input.value)
      }
      case "output": {
        const { info } = yield* store.get(run)
        const event = yield* readOne(open, run, seq ?? info.ended ?? info.seq)
        return jsonText(outputOf(event))
      }
      case "event":
        return jsonText(yield* readOne(open, run, seq ?? (yield* store.get(run)).info.seq))
      case "row":
        return jsonText((yield* store.get(run)).info)
      case "error": {
        const text = yield* errorText(open, run, seq)
        return text.length > mostText ? `${beginning(text, mostText)}\n… cut here\n` : text
      }
    }
  })

/** The text of a document; what is wrong, if it cannot be made. */
export const provide =
  (stores: Pick<Stores["Service"], "open">) =>
  (query: string): Effect.Effect<string> =>
    Effect.gen(function* () {
      const subject = yield* decodeSubject(query)
      return yield* textOf(yield* stores.open(subject.store), subject)
    }).pipe(Effect.catch((error) => Effect.succeed(`This cannot be shown: ${error.message}\n`)))

/** Whether a document shows something of one of these runs that is not over. */
export const isAbout = (query: string, store: string, runs: ReadonlySet<string> | undefined): boolean => {
  const subject = Effect.runSync(Effect.option(decodeSubject(query)))
  if (subject._tag === "None") return false
  const { value } = subject
  return value.seq === undefined && value.store === store && (runs?.has(value.run) ?? true)
}
