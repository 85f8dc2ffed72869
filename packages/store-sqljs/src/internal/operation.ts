/**
 * What can be done to the database, as it stands in the redo log.
 *
 * An operation is a line of JSON; the journal entries that belong to it follow, as they are stored.
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Command } from "@waymark/core/Command"
import { parse } from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const operation = <const Kind extends string, const Fields extends Schema.Struct.Fields>(
  kind: Kind,
  fields: Fields
) => Schema.Struct({ $: Schema.Literal(kind), ...fields })

/**
 * - `log`: begins a log. `follows` is the byte at which the log before it ends
 * - `created`, `appended`: the next `entries` lines are added to a journal; `head` is the hash of the last. An `owner` has
 *   the run from its beginning
 * - `leased`, `released`: a run was given to an owner at an epoch, or let go of; `lost` if not everything that was
 *   accepted could be written. An owner that is not there any more has lost its runs, without any line
 * - `closed`: the owner let go of all its runs in good order
 * - `sent`: a command was put in the inbox of a run, unless its id is there already
 * - `deleted`, `meta`, `artifact` (`bytes` in Base64)
 */
export const Operation = Schema.Union([
  operation("log", {
    format: Count,
    generation: Count,
    owner: Schema.String,
    follows: Schema.optionalKey(Count)
  }),
  operation("created", {
    run: Schema.String,
    head: Schema.String,
    entries: Count,
    owner: Schema.optionalKey(Schema.String)
  }),
  operation("appended", { run: Schema.String, head: Schema.String, entries: Count }),
  operation("leased", { run: Schema.String, epoch: Count, owner: Schema.String }),
  operation("released", {
    run: Schema.String,
    epoch: Count,
    lost: Schema.optionalKey(Schema.Literal(true))
  }),
  operation("closed", { owner: Schema.String }),
  operation("sent", { command: Command }),
  operation("deleted", { run: Schema.String }),
  operation("meta", { key: Schema.String, value: Schema.String }),
  operation("artifact", { hash: Schema.String, bytes: Schema.String })
])
export type Operation = typeof Operation.Type

/** An operation with the journal entries that belong to it. */
export interface Step {
  readonly operation: Operation
  readonly entries: ReadonlyArray<Entry>
}

export const step = (operation: Operation, entries: ReadonlyArray<Entry> = []): Step => ({
  operation,
  entries
})

/** The lines of a step. */
export const linesOf = ({ entries, operation }: Step): ReadonlyArray<string> => [
  JSON.stringify(operation),
  ...entries.map(({ line }) => line)
]

const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Operation))

/** The steps that lines stand for, or what is wrong with them. */
export const stepsOf = (lines: ReadonlyArray<string>): Result.Result<ReadonlyArray<Step>, string> => {
  const steps: Array<Step> = []
  for (let at = 0; at < lines.length;) {
    const decoded = decode(lines[at++]!)
    if (Exit.isFailure(decoded)) return Result.fail("an operation of the redo log cannot be read")
    const operation = decoded.value
    const entries: Array<Entry> = []
    const count = "entries" in operation ? operation.entries : 0
    for (let i = 0; i < count; i++) {
      const entry = parse(lines[at++] ?? "")
      if (Result.isFailure(entry)) return Result.fail(entry.failure.message)
      entries.push(entry.success)
    }
    steps.push({ operation, entries })
  }
  return Result.succeed(steps)
}
