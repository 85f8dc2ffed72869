/**
 * The events of a run as a whole: how it begins, changes hands, pauses, ends, and what is noted about it.
 */
import * as Schema from "effect/Schema"
import { branch, command, event } from "./fields.ts"
import {
  Count,
  Durability,
  Failure,
  optional,
  Ops,
  PauseReason,
  RefusalReason,
  TraceRef,
  Undone,
  Value
} from "./values.ts"

/**
 * A run was started. It fails if it takes longer than `timeout` (milliseconds).
 *
 * `parent` is the visit that started it, if a run did: `wait` is where it waits for the end, `depth` how many runs are
 * above. `signals` are the names of signals that are kept if they come before the run waits for them. `codec` is the name
 * of the codec that has sealed its values, if one has.
 *
 * @category events
 * @since 0.1.0
 */
export const Created = event("created", {
  flow: Schema.String,
  version: Count,
  fingerprint: Schema.String,
  start: Schema.String,
  input: Value,
  state: Schema.Record(Schema.String, Value),
  durability: Durability,
  maxSteps: Count,
  maxRecoveries: Count,
  maxVisits: optional(Schema.Record(Schema.String, Count)),
  budgets: optional(Schema.Record(Schema.String, Schema.Finite)),
  timeout: optional(Schema.Finite),
  session: optional(Schema.String),
  actor: optional(Schema.String),
  correlation: optional(Schema.String),
  tags: optional(Schema.Array(Schema.String)),
  attributes: optional(Schema.Record(Schema.String, Schema.String)),
  parent: optional(
    Schema.Struct({
      run: Schema.String,
      branch: optional(Schema.String),
      node: Schema.String,
      visit: Count,
      wait: optional(Schema.String),
      depth: optional(Count)
    })
  ),
  signals: optional(Schema.Array(Schema.String)),
  codec: optional(Schema.String),
  trace: optional(TraceRef)
})

/**
 * A run was forked from a checkpoint of another. Its state is that of `from`, with the edits applied.
 *
 * `node`, `steps`, `open` (the number of open visits), `durability` and `timeout` repeat what the run had at `from`, for the
 * run index, which does not read the origin. Its time begins anew. `codec` is as for a run that was started.
 *
 * @category events
 * @since 0.1.0
 */
export const Forked = event("forked", {
  from: Schema.Struct({ run: Schema.String, seq: Count }),
  flow: Schema.String,
  version: Count,
  node: optional(Schema.String),
  steps: optional(Count),
  open: optional(Count),
  durability: optional(Durability),
  timeout: optional(Schema.Finite),
  edits: optional(Ops),
  actor: optional(Schema.String),
  session: optional(Schema.String),
  correlation: optional(Schema.String),
  tags: optional(Schema.Array(Schema.String)),
  codec: optional(Schema.String),
  trace: optional(TraceRef)
})

/**
 * Another owner took the run over: a new epoch, which names where the one before it ended.
 *
 * `crash` says that the owner before it did not let go in good order; such take-overs count as recoveries. With the
 * purpose `command` the run was taken only to answer a command, and nothing of it was executed.
 *
 * @category events
 * @since 0.1.0
 */
export const Claimed = event("claimed", {
  owner: Schema.String,
  cause: Schema.Literals(["handover", "crash"]),
  previous: Schema.Struct({ epoch: Count, seq: Count, hash: Schema.String }),
  purpose: optional(Schema.Literal("command")),
  trace: optional(TraceRef)
})

/**
 * The run stopped at a checkpoint and goes on when it is resumed.
 *
 * @category events
 * @since 0.1.0
 */
export const Paused = event("paused", { ...command, reason: PauseReason })

/**
 * A paused run goes on.
 *
 * @category events
 * @since 0.1.0
 */
export const Resumed = event("resumed", command)

/**
 * A command was looked at and changed nothing (for example a pause of a run that is paused already).
 *
 * @category events
 * @since 0.1.0
 */
export const CommandIgnored = event("commandIgnored", {
  ...command,
  reason: optional(RefusalReason),
  note: Schema.String
})

/**
 * A signal came before the run waited for it, and is kept until it does.
 *
 * @category events
 * @since 0.1.0
 */
export const Signalled = event("signalled", {
  ...command,
  name: Schema.String,
  key: optional(Schema.String),
  payload: Value
})

/**
 * Somebody asked for the run to end early: its fibers are interrupted, then `cancelled` follows.
 *
 * @category events
 * @since 0.1.0
 */
export const CancelRequested = event("cancelRequested", { ...command, reason: Schema.String })

/**
 * The run ended because it was cancelled. `undone` names what it did and could not undo; it is there if the run had
 * something to undo.
 *
 * @category events
 * @since 0.1.0
 */
export const Cancelled = event("cancelled", {
  reason: Schema.String,
  undone: optional(Schema.Array(Undone))
})

/**
 * The run ended with its output.
 *
 * @category events
 * @since 0.1.0
 */
export const Completed = event("completed", { output: Value })

/**
 * The run ended with a failure, in the named visit if there was one. `undone` names what it did and could not undo; it is
 * there if the run had something to undo.
 *
 * @category events
 * @since 0.1.0
 */
export const Failed = event("failed", {
  error: Failure,
  ...branch,
  node: optional(Schema.String),
  visit: optional(Count),
  attempt: optional(Count),
  undone: optional(Schema.Array(Undone))
})

/**
 * A failed run goes on from the visit that failed, with its state edited if somebody wished so. A run that had undone
 * what it did goes on undoing what it could not, and nothing else.
 *
 * @category events
 * @since 0.1.0
 */
export const Restarted = event("restarted", { ...command, edits: optional(Ops) })

/**
 * A part of a snapshot that was begun after event `at`: content of one channel.
 *
 * @category events
 * @since 0.1.0
 */
export const SnapshotPart = event("snapshotPart", { at: Count, content: Value })

/**
 * A snapshot of the run as it is here is complete: `head` is the small rest of the state, and names the events that hold
 * the parts. It was begun after event `at`, and no channel changed since. `bytes` is roughly what it wrote, `previous`
 * where the snapshot before it stands in this journal.
 *
 * @category events
 * @since 0.1.0
 */
export const Snapshot = event("snapshot", { at: Count, head: Value, previous: optional(Count), bytes: Count })

/**
 * The run was brought to another version of the flow.
 *
 * - `ops`: what became of the channels; `input`: the input, if it became another
 * - `nodes`: the new names of the nodes at which visits or fan-outs are open, by their old names
 * - `updates`: what the branches of open fan-outs changed, as it would have been, by fan-out and branch
 * - `signals`: the names of the signals that are kept from now on, if they became others
 *
 * @category events
 * @since 0.1.0
 */
export const Migrated = event("migrated", {
  from: Schema.Struct({ version: Count, fingerprint: Schema.String }),
  version: Count,
  fingerprint: Schema.String,
  ops: Ops,
  input: optional(Value),
  nodes: optional(Schema.Record(Schema.String, Schema.String)),
  updates: optional(Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Array(Ops)))),
  signals: optional(Schema.Array(Schema.String))
})

/**
 * Somebody left a note. It changes nothing.
 *
 * @category events
 * @since 0.1.0
 */
export const Annotated = event("annotated", { ...command, note: Schema.String, data: optional(Value) })

/**
 * Somebody gave the checkpoint `at` a name.
 *
 * @category events
 * @since 0.1.0
 */
export const Bookmarked = event("bookmarked", {
  ...command,
  at: Count,
  name: Schema.String,
  note: optional(Schema.String),
  tags: optional(Schema.Array(Schema.String))
})
