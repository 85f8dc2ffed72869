/**
 * What happened to a run as a whole, in words.
 */
import type { Event } from "@waymark/core/Event"
import { describe } from "@waymark/core/RunError"

/** Something that happened to the run as a whole. */
export interface Moment {
  readonly seq: number
  readonly time: number
  readonly kind: Event["kind"]
  readonly text: string
}

const by = (event: Event): string =>
  "actor" in event && event.actor !== undefined ? ` by ${event.actor}` : ""

const textOf = (event: Event): string | undefined => {
  switch (event.kind) {
    case "created":
      return "started"
    case "forked":
      return `forked from ${event.from.run}@${event.from.seq}${by(event)}`
    case "claimed":
      return event.cause === "crash" ? "taken up after a crash" : undefined
    case "paused":
      return `paused (${event.reason.kind})${by(event)}`
    case "resumed":
      return `resumed${by(event)}`
    case "restarted": {
      const edits = event.edits === undefined ? "" : `, with edits of ${Object.keys(event.edits).join(", ")}`
      return `retried${by(event)}${edits}`
    }
    case "cancelRequested":
      return `to be cancelled: ${event.reason}${by(event)}`
    case "cancelled":
      return `cancelled: ${event.reason}`
    case "completed":
      return "completed"
    case "failed":
      return `failed: ${describe(event.error)}`
    case "compensating":
      return "undoes its calls"
    case "compensationCompleted":
      return `call ${event.call} of ${event.tool} is undone`
    case "compensationFailed":
      return `call ${event.call} of ${event.tool} could not be undone: ${describe(event.error)}`
    case "joined":
      return "branches joined"
    case "branchFailed":
      return event.attempt === undefined ? `a branch failed: ${describe(event.error)}` : undefined
    case "migrated":
      return `migrated from version ${event.from.version} to ${event.version}`
    case "annotated":
      return `note${by(event)}: ${event.note}`
    case "bookmarked":
      return `bookmark ${event.name} at ${event.at}${by(event)}`
    case "limitsChanged":
      return `limits changed${by(event)}`
    default:
      return undefined
  }
}

/** An event in words, if it is one that people want to be told of. */
export const momentOf = (event: Event): Moment | undefined => {
  const text = textOf(event)
  const { kind, seq, time } = event
  return text === undefined ? undefined : { seq, time, kind, text }
}
