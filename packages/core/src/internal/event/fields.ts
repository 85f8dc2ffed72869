/**
 * The fields that many kinds of events have.
 */
import * as Schema from "effect/Schema"
import { CommandRef, Count, optional } from "./values.ts"

/**
 * The branch an event belongs to; absent (or `""`) for the run's main line.
 */
export const branch = { branch: optional(Schema.String) }

/**
 * The visit an event belongs to: `visit` counts the visits of a branch from 1, `attempt` the tries of the visit from 1.
 */
export const visit = { ...branch, node: Schema.String, visit: Count, attempt: Count }

/** The command that an event answers, and who sent it: for which session, and on which occasion. */
export const command = {
  command: optional(CommandRef),
  actor: optional(Schema.String),
  session: optional(Schema.String),
  correlation: optional(Schema.String)
}

const header = {
  run: Schema.String,
  seq: Count,
  epoch: Count,
  time: Schema.Finite,
  prev: Schema.String
}

/** The schema of one kind of event: its header and its own fields. */
export const event = <const Kind extends string, const Fields extends Schema.Struct.Fields>(
  kind: Kind,
  fields: Fields
) => Schema.Struct({ ...header, kind: Schema.Literal(kind), ...fields })
