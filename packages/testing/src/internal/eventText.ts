/**
 * Words for what stands in events.
 */
import { format } from "effect/Formatter"
import type { Failure, Of } from "@waymark/core/Event"

/** A value, JSON if it is that, cut off where it gets long. */
export const short = (value: unknown, length = 80): string => {
  const text = format(value)
  return text.length > length ? `${text.slice(0, length)}…` : text
}

/** A text as it was stored: what a codec has sealed is no text. */
export const textOf = (message: unknown): string => (typeof message === "string" ? message : short(message))

/** A failure in a few words. */
export const failureText = (failure: Failure): string => {
  switch (failure.kind) {
    case "error":
      return `${failure.tag} ${short(failure.error)}`
    case "defect":
      return `${failure.name}: ${textOf(failure.message)}`
    case "timeout":
      return `timeout of ${failure.what} ${failure.name} after ${failure.millis} ms`
    case "encoding":
      return `${failure.what}: ${textOf(failure.message)}`
    default:
      return failure.kind
  }
}

/** How many open visits end with an event. */
export const dropped = (event: { readonly dropped?: number }): string =>
  event.dropped === undefined ? "" : `; ${event.dropped} open visits end with it`

/** How a wait ended. */
export const outcomeText = (outcome: Of<"waitEnded">["outcome"]): string =>
  "value" in outcome
    ? short(outcome.value)
    : "failure" in outcome
      ? failureText(outcome.failure)
      : "lost" in outcome
        ? "lost"
        : "timed out"
