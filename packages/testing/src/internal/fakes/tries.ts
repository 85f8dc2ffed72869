/**
 * The tries of tool calls that a journal tells of.
 */
import type { Json } from "effect/Schema"
import type { Event, Failure } from "@waymark/core/Event"

/** How a try ended, its values as they are stored. `hangs`: it did not, or took too long. */
export type Result =
  | { readonly output: Json }
  | { readonly error: Json }
  | { readonly defect: { readonly name: string; readonly message: string } }
  | { readonly hangs: true }
  | { readonly unplayable: string }

export interface Try {
  readonly tool: string
  readonly input: Json
  readonly result: Result
  /** Milliseconds from the event that says that it begins to the one that says how it ended. */
  readonly millis: number
  readonly place: string
  readonly seq: number
}

/** A try at undoing the call that began with the event at `of`. */
export interface UndoTry {
  readonly tool: string
  readonly input: Json
  readonly result: Result
}

export interface Tries {
  readonly calls: ReadonlyArray<Try>
  readonly undos: ReadonlyArray<UndoTry>
}

const text = (message: Json): string => (typeof message === "string" ? message : JSON.stringify(message))

const resultOf = (failure: Failure): Result => {
  switch (failure.kind) {
    case "error":
      return { error: failure.error }
    case "defect":
      return { defect: { name: failure.name, message: text(failure.message) } }
    case "timeout":
    case "interrupted":
      return { hangs: true }
    default:
      return { unplayable: failure.kind }
  }
}

/** Where a try is made, as fakes see it too. */
export const placeOf = (at: {
  readonly branch?: string
  readonly node: string
  readonly visit: number
}): string => JSON.stringify([at.branch ?? "", at.node, at.visit])

/** The tries of these events, in the order in which they ended; those that did not end come last. */
export const triesOf = (events: Iterable<Event>): Tries => {
  interface Open {
    readonly tool: string
    readonly input: Json
    readonly place: string
    readonly seq: number
    since: number
  }
  const open = new Map<string, Open>()
  /** The last start of each call, by where it was made; of all runs. */
  const inputs = new Map<string, Open>()
  const started = new Map<string, Open>()
  const calls: Array<Try> = []
  const undos: Array<UndoTry> = []
  for (const event of events) {
    if (event.kind === "callStarted") {
      const place = placeOf(event)
      const call = { tool: event.tool, input: event.input, place, seq: event.seq, since: event.time }
      const id = JSON.stringify([event.run, place, event.call])
      open.set(id, call)
      inputs.set(id, call)
      started.set(JSON.stringify([event.run, event.seq]), call)
      continue
    }
    if (
      event.kind === "compensationRetried" ||
      event.kind === "compensationFailed" ||
      event.kind === "compensationCompleted"
    ) {
      const of = started.get(JSON.stringify([event.run, event.of]))
      const result: Result = event.kind === "compensationCompleted" ? { output: null } : resultOf(event.error)
      undos.push({ tool: event.tool, input: of?.input ?? null, result })
      continue
    }
    if (
      event.kind !== "callRepeated" &&
      event.kind !== "callRetried" &&
      event.kind !== "callCompleted" &&
      event.kind !== "callFailed"
    )
      continue
    const id = JSON.stringify([event.run, placeOf(event), event.call])
    const call = inputs.get(id)
    // A fork goes on with calls that its origin started.
    if (call === undefined) continue
    if (event.kind === "callRepeated") {
      call.since = event.time
      open.set(id, call)
      continue
    }
    open.delete(id)
    const { input, place, since, tool } = call
    const result = event.kind === "callCompleted" ? { output: event.output } : resultOf(event.error)
    calls.push({ tool, input, place, result, millis: event.time - since, seq: event.seq })
  }
  for (const { input, place, seq, tool } of open.values())
    calls.push({ tool, input, place, result: { hangs: true }, millis: 0, seq })
  return { calls, undos }
}
