import type { Json } from "effect/Schema"
import type { Failure } from "../Event.ts"

/** A text as it was stored: what a codec has sealed is no text. */
const textOf = (message: Json): string => (typeof message === "string" ? message : JSON.stringify(message))

/** A failure in words. */
export const describe = (failure: Failure): string => {
  switch (failure.kind) {
    case "error":
      return `${failure.tag === "" ? "an error" : failure.tag}${failure.message === "" ? "" : `: ${textOf(failure.message)}`}`
    case "defect":
      return `${failure.name}: ${textOf(failure.message)}`
    case "interrupted":
      return "its handler interrupted itself"
    case "timeout":
      if (failure.what === "heartbeat")
        return `tool ${failure.name} has not shown for ${failure.millis} ms that it is alive`
      return `${failure.what} ${failure.name} took longer than ${failure.millis} ms`
    case "stepLimit":
      return `it has taken ${failure.limit} steps, as many as it may`
    case "recoveries":
      return `it crashed${failure.limit === 0 ? "" : ` more than ${failure.limit === 1 ? "once" : `${failure.limit} times`}`} without completing a visit`
    case "visitLimit":
      return `node ${failure.node} was visited ${failure.limit} times, as often as it may be`
    case "budget":
      return `more of budget ${failure.budget} was spent than its limit of ${failure.limit}`
    case "inDoubt":
      return `whether call ${failure.call} of tool ${failure.tool} took effect is not known, and it must not be made twice`
    case "encoding":
      return `${failure.what} does not fit its schema: ${textOf(failure.message)}`
    case "conflict":
      return `branches ${failure.branches.join(" and ")} (${failure.nodes.join(", ")}) both wrote channel ${failure.channel}`
    case "quorum":
      return `${failure.failed === 1 ? "1 branch" : `${failure.failed} branches`} failed: the ${failure.needed} that are needed cannot complete any more`
    case "cancelled":
      return `run ${failure.run} was cancelled: ${failure.reason}`
  }
}
