/**
 * Requests that anyone may put in a run's inbox. The run's owner carries them out and journals what came of it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Bookmarked, Failure, Ops, Value } from "./Event.ts"
import { limits } from "./internal/event/noteKinds.ts"

const optional = Schema.optionalKey

/**
 * What became of a call that was in doubt: it succeeded with this output, it failed, or it is to be carried out (again).
 *
 * @category schemas
 * @since 0.1.0
 */
export const Settlement = Schema.Union([
  Schema.Struct({ output: Value }),
  Schema.Struct({ failure: Schema.Literal(true) }),
  Schema.Struct({ again: Schema.Literal(true) })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Settlement = typeof Settlement.Type

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
 * - `retry`: go on after a failure, from the visit that failed, with edits of the state and new limits if there are any,
 *   and with what became of calls that are in doubt
 * - `limits`: change the limits of the run
 * - `settle`: decide what became of a call that is in doubt
 * - `signal`: an event that the run may be waiting for; `answer`: the answer to a question it asked; `finish`: what came
 *   of a job that it waits for
 * - `ended`: a run that it waits for has ended: what with
 * - `annotate`: leave a note; `bookmark`: give the checkpoint `at` a name
 *
 * @category schemas
 * @since 0.1.0
 */
export const Request = Schema.Union([
  Schema.Struct({ type: Schema.Literal("cancel"), reason: Schema.String }),
  Schema.Struct({ type: Schema.Literal("pause"), note: optional(Schema.String) }),
  Schema.Struct({ type: Schema.Literal("resume") }),
  Schema.Struct({ type: Schema.Literal("limits"), limits: Limits }),
  Schema.Struct({
    type: Schema.Literal("retry"),
    edits: optional(Ops),
    limits: optional(Limits),
    settle: optional(Schema.Record(Schema.String, Settlement))
  }),
  Schema.Struct({ type: Schema.Literal("settle"), call: Schema.String, as: Settlement }),
  Schema.Struct({
    type: Schema.Literal("signal"),
    name: Schema.String,
    key: optional(Schema.String),
    payload: Value
  }),
  Schema.Struct({ type: Schema.Literal("answer"), wait: Schema.String, value: Value }),
  Schema.Struct({
    type: Schema.Literal("finish"),
    job: Schema.String,
    as: Schema.Union([Schema.Struct({ value: Value }), Schema.Struct({ failure: Schema.String })])
  }),
  Schema.Struct({
    type: Schema.Literal("ended"),
    run: Schema.String,
    wait: Schema.String,
    outcome: Schema.Union([Schema.Struct({ value: Value }), Schema.Struct({ failure: Failure })])
  }),
  Schema.Struct({ type: Schema.Literal("annotate"), note: Schema.String, data: optional(Value) }),
  Schema.Struct({
    type: Schema.Literal("bookmark"),
    at: Bookmarked.fields.at,
    name: Schema.String,
    note: optional(Schema.String),
    tags: optional(Schema.Array(Schema.String))
  })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Request = typeof Request.Type

/**
 * A request with its identity: two commands with one `id` are one command. `time` is when it was sent (milliseconds);
 * `actor`, `session` and `correlation` are the sender's.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Command = Schema.Struct({
  id: Schema.String,
  run: Schema.String,
  time: Schema.Finite,
  actor: optional(Schema.String),
  session: optional(Schema.String),
  correlation: optional(Schema.String),
  request: Request
})
/**
 * @category models
 * @since 0.1.0
 */
export type Command = typeof Command.Type
