/**
 * The events of a run that is going to end as failed or cancelled, and undoes its calls before it does.
 */
import * as Schema from "effect/Schema"
import { branch, event } from "./fields.ts"
import { Count, Failure, optional } from "./values.ts"

/**
 * The run executes nothing any more, and undoes the calls that it completed, the last one first. Then it ends: as failed
 * with `error`, in the named visit if there was one, or as cancelled for `reason`.
 *
 * @category events
 * @since 0.1.0
 */
export const Compensating = event("compensating", {
  error: optional(Failure),
  reason: optional(Schema.String),
  ...branch,
  node: optional(Schema.String),
  visit: optional(Count),
  attempt: optional(Count)
})

/** The call that is undone, and where it was made; `of` is the position of its `callStarted`. */
const undo = {
  ...branch,
  node: Schema.String,
  visit: Count,
  call: Schema.String,
  tool: Schema.String,
  of: Count
}

/**
 * A call is about to be undone, for the first time or (after a failed try, or because its process died before the
 * result was known) again under the same key. `key` is the idempotency key that the tool's `compensate` gets.
 *
 * @category events
 * @since 0.1.0
 */
export const CompensationStarted = event("compensationStarted", { ...undo, key: Schema.String })

/**
 * Undoing a call failed, and the retry policy gives it another try, not before `due` (milliseconds).
 *
 * @category events
 * @since 0.1.0
 */
export const CompensationRetried = event("compensationRetried", {
  ...undo,
  error: Failure,
  due: Schema.Finite
})

/**
 * A call is undone.
 *
 * @category events
 * @since 0.1.0
 */
export const CompensationCompleted = event("compensationCompleted", undo)

/**
 * Undoing a call failed for good. The calls before it are undone all the same, and the run's last event names it.
 *
 * @category events
 * @since 0.1.0
 */
export const CompensationFailed = event("compensationFailed", { ...undo, error: Failure })
