/**
 * What a node can meet besides the errors that its author declared.
 *
 * They are defects: they do not stand in the types of handlers, and end the run unless the node's `onDefect` says
 * otherwise.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * An at-most-once call was under way when its process died: nobody knows whether it took effect, and the tool's policy
 * is to fail then.
 *
 * @category errors
 * @since 0.1.0
 */
export class InDoubt extends Schema.TaggedError<InDoubt>()("InDoubt", {
  tool: Schema.String,
  /** The call's name within its visit. */
  call: Schema.String
}) {
  override get message(): string {
    return `whether call ${this.call} of tool ${this.tool} took effect is not known, and it must not be made twice`
  }
}

/**
 * More of a budget was spent than there is, and the budget's policy is to fail then.
 *
 * @category errors
 * @since 0.1.0
 */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  budget: Schema.String,
  limit: Schema.Finite
}) {
  override get message(): string {
    return `more of budget ${this.budget} was spent than its limit of ${this.limit}; retry the run with a higher one`
  }
}

/**
 * A value does not fit the schema it was declared with, so it cannot be stored (or not be read any more).
 *
 * @category errors
 * @since 0.1.0
 */
export class Unencodable extends Schema.TaggedError<Unencodable>()("Unencodable", {
  /** Which value. */
  what: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.what} does not fit its schema: ${this.detail}`
  }
}
