/**
 * What a visit tells while it is executed (outputs, logs, progress, what it spent), and the limits that a run has.
 *
 * `mark` names what was told within its visit, so that a visit that is executed again does not tell it twice.
 */
import * as Schema from "effect/Schema"
import { command, event, visit } from "./fields.ts"
import { Count, optional, Value } from "./values.ts"

const told = { ...visit, mark: Schema.String }

/** New limits, as far as they change. */
export const limits = {
  maxSteps: optional(Count),
  maxVisits: optional(Schema.Record(Schema.String, Count)),
  budgets: optional(Schema.Record(Schema.String, Schema.Finite))
}

/**
 * A visit gave an output of the run besides the one at its end.
 *
 * @category events
 * @since 0.1.0
 */
export const Emitted = event("emitted", { ...told, name: Schema.String, value: Value })

/**
 * A visit left a line in the run's log.
 *
 * @category events
 * @since 0.1.0
 */
export const Logged = event("logged", { ...told, text: Value, data: optional(Value) })

/**
 * A visit has done so much of its work. `nth` counts the reports of the visit, most of which are not written. The note
 * stands in the run index, and is therefore stored as it is.
 *
 * @category events
 * @since 0.1.0
 */
export const Progressed = event("progressed", {
  ...visit,
  nth: Count,
  done: Schema.Finite,
  total: Schema.Finite,
  note: optional(Schema.String)
})

/**
 * A visit gave the run tags and attributes to find it by.
 *
 * @category events
 * @since 0.1.0
 */
export const Tagged = event("tagged", {
  ...told,
  tags: optional(Schema.Array(Schema.String)),
  attributes: optional(Schema.Record(Schema.String, Schema.String))
})

/**
 * A visit spent some of a budget: `total` is what the run has spent of it now. More than `limit` is too much.
 *
 * @category events
 * @since 0.1.0
 */
export const Spent = event("spent", {
  ...told,
  budget: Schema.String,
  amount: Schema.Finite,
  total: Schema.Finite,
  limit: Schema.Finite
})

/**
 * So much of a budget is spent that somebody wished to be told.
 *
 * @category events
 * @since 0.1.0
 */
export const BudgetWarned = event("budgetWarned", {
  ...visit,
  budget: Schema.String,
  total: Schema.Finite,
  limit: Schema.Finite
})

/**
 * The run has taken so many of the steps that it may take that somebody wished to be told; with a `node`, so many of the
 * visits of that node.
 *
 * @category events
 * @since 0.1.0
 */
export const LimitWarned = event("limitWarned", {
  node: optional(Schema.String),
  steps: Count,
  limit: Count
})

/**
 * Somebody changed the limits of the run.
 *
 * @category events
 * @since 0.1.0
 */
export const LimitsChanged = event("limitsChanged", { ...command, ...limits })
