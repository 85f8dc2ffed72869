/**
 * Requests that anyone may put in a run's inbox. The run's owner carries them out and journals what came of it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Ops, Value } from "./Event.ts"
import { limits } from "./internal/event/noteKinds.ts"

const optional = Schema.optionalKey

/**
 * Limits of a run; those that are left out stay as they are.
 *
 * - `maxSteps`: how many visits the run may complete
 * - `maxVisits`: how often it may visit a node, by node; a node that had no limit is counted from then on
 * - `budgets`: how much it may spend, by budget
 *
 * @category schemas
 * @since 0.1.0
 */
export const Limits = Schema.Struct(limits)
/**
 * @category models
 * @since 0.1.0
 */
export type Limits = typeof Limits.Type

/**
 * What is asked for.
 *
 * - `cancel`: end the run early
 * - `pause`: stop at the next checkpoint
 * - `resume`: go on after a pause
 * - `retry`: go on after a failure, from the visit that failed, with edits of the state and new limits if there are any
 * - `limits`: change the limits of the run
 * - `settle`: decide what became of a call that is in doubt: it succeeded with this output, it failed, or it is to be
 *   carried out (again)
 * - `signal`: an event that the run may be waiting for; `answer`: the answer to a question it asked
 *
 * @category schemas
 * @since 0.1.0
 */
export const Request = Schema.Union([
  Schema.Struct({ type: Schema.Literal("cancel"), reason: Schema.String }),
  Schema.Struct({ type: Schema.Literal("pause"), note: optional(Schema.String) }),
  Schema.Struct({ type: Schema.Literal("resume") }),
  Schema.Struct({ type: Schema.Literal("retry"), edits: optional(Ops), limits: optional(Limits) }),
  Schema.Struct({ type: Schema.Literal("limits"), limits: Limits }),
  Schema.Struct({
    type: Schema.Literal("settle"),
    call: Schema.String,
    as: Schema.Union([
      Schema.Struct({ output: Value }),
      Schema.Struct({ failure: Schema.Literal(true) }),
      Schema.Struct({ again: Schema.Literal(true) })
    ])
  }),
  Schema.Struct({
    type: Schema.Literal("signal"),
    name: Schema.String,
    key: optional(Schema.String),
    payload: Value
  }),
  Schema.Struct({ type: Schema.Literal("answer"), wait: Schema.String, value: Value })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Request = typeof Request.Type

/**
 * A request with its identity: two commands with one `id` are one command. `time` is when it was sent (milliseconds).
 *
 * @category schemas
 * @since 0.1.0
 */
export const Command = Schema.Struct({
  id: Schema.String,
  run: Schema.String,
  time: Schema.Finite,
  actor: optional(Schema.String),
  request: Request
})
/**
 * @category models
 * @since 0.1.0
 */
export type Command = typeof Command.Type
