import type { Event } from "../Event.ts"

/** The statuses of a run, in the order in which a person would list them. */
export const runStatuses = [
  "pending",
  "running",
  "waiting",
  "paused",
  "cancelling",
  "completed",
  "failed",
  "cancelled"
] as const

export type RunStatus = (typeof runStatuses)[number]

/** Whether nothing of the run is executed any more. */
export const isTerminal = (status: RunStatus): boolean =>
  status === "completed" || status === "failed" || status === "cancelled"

/** Whether what happens in a run of this status leaves it as it is. */
const resting = (status: RunStatus): boolean =>
  status === "cancelling" || status === "paused" || isTerminal(status)

/**
 * The status after an event. The fold and the run index both use it, so they cannot disagree.
 *
 * `waiting` of the `open` visits wait after the event: a run waits when all of them do.
 */
export const statusAfter = (status: RunStatus, event: Event, waiting: number, open: number): RunStatus => {
  const going = waiting > 0 && waiting >= open ? "waiting" : "running"
  switch (event.kind) {
    case "created":
    case "forked":
      return "pending"
    case "restarted":
      return status === "cancelled" ? "cancelling" : "pending"
    case "paused":
      return "paused"
    case "resumed":
      return going
    case "cancelRequested":
      return "cancelling"
    case "compensating":
      return status === "cancelling" ? status : "running"
    case "cancelled":
      return "cancelled"
    case "completed":
      return "completed"
    case "failed":
      return "failed"
    case "snapshotPart":
    case "snapshot":
    case "annotated":
    case "bookmarked":
    case "commandIgnored":
    case "signalled":
    case "sent":
    case "delivered":
    case "migrated":
    case "limitsChanged":
      return status
    case "callCompleted":
    case "callFailed":
    case "callReleased":
      // Before anybody executes the run, these are what a person said of a call that was in doubt.
      if (status === "pending") return status
      return resting(status) ? status : going
    default:
      // Whoever takes a run only to answer a command does not execute it.
      if (event.kind === "claimed" && event.purpose !== undefined) return status
      return resting(status) ? status : going
  }
}
