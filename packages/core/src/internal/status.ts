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

/**
 * The status after an event. The fold and the run index both use it, so they cannot disagree.
 *
 * `openWaits` is the number of waits that are open after the event.
 */
export const statusAfter = (status: RunStatus, event: Event, openWaits: number): RunStatus => {
  switch (event.kind) {
    case "created":
    case "forked":
      return "pending"
    case "restarted":
      return status === "cancelled" ? "cancelling" : "pending"
    case "paused":
      return "paused"
    case "resumed":
      return openWaits > 0 ? "waiting" : "running"
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
    case "delivered":
    case "migrated":
      return status
    default:
      if (status === "cancelling" || status === "paused" || isTerminal(status)) return status
      return openWaits > 0 ? "waiting" : "running"
  }
}
