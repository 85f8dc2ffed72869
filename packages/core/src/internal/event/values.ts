/**
 * What events are made of: values of the flow's author, operations on channels, failures, targets.
 */
import * as Schema from "effect/Schema"

/**
 * A JSON value that the author of a flow defined: the encoded side of one of the flow's schemas.
 *
 * It is not validated when an event is read: it was parsed from JSON, and its own schema checks it when it is decoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Value: Schema.Codec<Schema.Json> = Schema.declare(
  (_value: unknown): _value is Schema.Json => true,
  {
    identifier: "Value"
  }
)

/** A number of something, or a position. */
export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
/** A field that may be absent. */
export const optional: typeof Schema.optionalKey = Schema.optionalKey

/**
 * One change of one channel.
 *
 * - `set`: the channel has this value now
 * - `unset`: an optional channel is empty now
 * - `append`: these items follow what the list holds
 * - `merge`: these entries are added to the record, or replaced in it
 * - `add`: the counter grows by this number
 * - `combine`: this update is combined with the channel by its reducer when the branch is joined (in branches only)
 *
 * @category schemas
 * @since 0.1.0
 */
export const Op = Schema.Union([
  Schema.Struct({ set: Value }),
  Schema.Struct({ append: Schema.Array(Value) }),
  Schema.Struct({ merge: Schema.Record(Schema.String, Value) }),
  Schema.Struct({ add: Schema.Finite }),
  Schema.Struct({ combine: Value }),
  Schema.Struct({ unset: Schema.Literal(true) })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Op = typeof Op.Type

/**
 * Changes of the state, by channel.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Ops = Schema.Record(Schema.String, Op)
/**
 * @category models
 * @since 0.1.0
 */
export type Ops = typeof Ops.Type

/**
 * Why something did not succeed, as it is stored.
 *
 * - `error`: a declared, typed failure; `error` is its encoded form
 * - `defect`: an unexpected exception
 * - `interrupted`: the handler interrupted itself
 * - `timeout`: a node, a tool or the run took longer than its limit (milliseconds); `heartbeat`: a tool showed for so long
 *   no sign of life
 * - `stepLimit`: the run took as many steps as its limit allows
 * - `recoveries`: the run crashed more often in a row than `maxRecoveries` allows
 * - `visitLimit`: the run visited a node as often as its limit allows
 * - `budget`: more of a budget was spent than there is
 * - `inDoubt`: an at-most-once call has no result, and its policy is to fail; while it is `undecided`, nobody has said
 *   what became of it
 * - `encoding`: a value could not be encoded with, or decoded by, its schema
 * - `conflict`: two branches of a fan-out wrote one plain channel; `nodes` wrote it in `branches`
 * - `quorum`: so many branches of a fan-out failed that not as many as `needed` can complete
 * - `cancelled`: a run that was waited for was cancelled
 *
 * @category schemas
 * @since 0.1.0
 */
export const Failure = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("error"), tag: Schema.String, error: Value, message: Value }),
  Schema.Struct({
    kind: Schema.Literal("defect"),
    name: Schema.String,
    message: Value,
    stack: optional(Value)
  }),
  Schema.Struct({ kind: Schema.Literal("interrupted") }),
  Schema.Struct({
    kind: Schema.Literal("timeout"),
    what: Schema.Literals(["node", "tool", "run", "heartbeat"]),
    name: Schema.String,
    millis: Schema.Finite
  }),
  Schema.Struct({ kind: Schema.Literal("stepLimit"), limit: Count }),
  Schema.Struct({ kind: Schema.Literal("recoveries"), limit: Count }),
  Schema.Struct({ kind: Schema.Literal("visitLimit"), node: Schema.String, limit: Count }),
  Schema.Struct({ kind: Schema.Literal("budget"), budget: Schema.String, limit: Schema.Finite }),
  Schema.Struct({
    kind: Schema.Literal("inDoubt"),
    tool: Schema.String,
    call: Schema.String,
    undecided: optional(Schema.Literal(true))
  }),
  Schema.Struct({ kind: Schema.Literal("encoding"), what: Schema.String, message: Value }),
  Schema.Struct({
    kind: Schema.Literal("conflict"),
    channel: Schema.String,
    branches: Schema.Array(Schema.String),
    nodes: Schema.Array(Schema.String)
  }),
  Schema.Struct({ kind: Schema.Literal("quorum"), needed: Count, completed: Count, failed: Count }),
  Schema.Struct({ kind: Schema.Literal("cancelled"), run: Schema.String, reason: Schema.String })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Failure = typeof Failure.Type

/**
 * Names the command in the inbox that an event answers, so that no command is carried out twice.
 *
 * `source` and `position` are the inbox's cursor: everything up to `position` of that source is dealt with.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CommandRef = Schema.Struct({ id: Schema.String, source: Schema.String, position: Count })
/**
 * @category models
 * @since 0.1.0
 */
export type CommandRef = typeof CommandRef.Type

/**
 * A position in the tracing system (W3C trace context), so that the spans of a recovery link to those before it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const TraceRef = Schema.Struct({ traceId: Schema.String, spanId: Schema.String })
/**
 * @category models
 * @since 0.1.0
 */
export type TraceRef = typeof TraceRef.Type

/**
 * When what a run did becomes durable.
 *
 * - `pipelined`: before anyone can see it: a tool is called, an output is published, a caller is answered
 * - `strict`: before the next node starts
 * - `ephemeral`: soon; completed tools may be called again after a crash, but started runs, waits, children,
 *   at-most-once tools and the end are as in `pipelined`
 *
 * @category schemas
 * @since 0.1.0
 */
export const Durability = Schema.Literals(["pipelined", "strict", "ephemeral"])
/**
 * @category models
 * @since 0.1.0
 */
export type Durability = typeof Durability.Type

/**
 * When the branches of a fan-out are joined, and what a failed one means.
 *
 * - `failFast`: when all have completed; a failure is one of the visit that fanned out
 * - `collect`: when all have ended, whatever failed
 * - `quorum`: when so many have completed; those that are open then are cancelled
 *
 * @category schemas
 * @since 0.1.0
 */
export const JoinPolicy = Schema.Union([
  Schema.Literals(["failFast", "collect"]),
  Schema.Struct({ quorum: Count })
])
/**
 * @category models
 * @since 0.1.0
 */
export type JoinPolicy = typeof JoinPolicy.Type

/**
 * Where a visit leads: to a node, to the end of the run (whose output the `completed` event holds), or into branches.
 *
 * `joins` says that `to` is the join of the branch's fan-out: the branch is through. `policy` is `failFast` unless
 * given; `concurrency` is how many branches may be executed at once.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Next = Schema.Union([
  Schema.Struct({ to: Schema.String, joins: optional(Schema.Literal(true)) }),
  Schema.Struct({ end: Schema.Literal(true) }),
  Schema.Struct({
    branches: Schema.Array(Schema.Struct({ node: Schema.String, item: optional(Value) })),
    join: Schema.String,
    policy: optional(JoinPolicy),
    concurrency: optional(Count)
  })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Next = typeof Next.Type

/**
 * What becomes of a failed visit whose node's policy lets the run go on; `joins` as in `Next`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Outcome = Schema.Struct({
  status: Schema.Literals(["failed", "tolerated", "skipped"]),
  to: Schema.String,
  joins: optional(Schema.Literal(true))
})
/**
 * @category models
 * @since 0.1.0
 */
export type Outcome = typeof Outcome.Type

/**
 * Why a command comes to nothing.
 *
 * - `ended`, `ending`: the run has ended, or is being cancelled or undoing its calls; `status`: it is in another status than
 *   those that the command is for
 * - `nothingWaits`: nothing waits for it; `wrongKey`: something does, with another key; `ambiguous`: several do
 * - `notAChoice`: the answer is none of the choices; `doesNotFit`: what was given does not fit its schema
 * - `full`: so many signals are kept that no more are
 * - `notInDoubt`: the call is not in doubt
 * - `unknown`: it names something that the run does not have
 * - `unreadable`: the codec could not open it
 * - `idTaken`: under its id the run was sent another command before. Only its sender is told so: in no journal is this
 *
 * @category schemas
 * @since 0.1.0
 */
export const RefusalReason = Schema.Literals([
  "ended",
  "ending",
  "status",
  "nothingWaits",
  "wrongKey",
  "ambiguous",
  "notAChoice",
  "doesNotFit",
  "full",
  "notInDoubt",
  "unknown",
  "unreadable",
  "idTaken"
])
/**
 * @category models
 * @since 0.1.0
 */
export type RefusalReason = typeof RefusalReason.Type

/**
 * Why a run is paused.
 *
 * - `requested`: somebody asked for it
 * - `diverged`: in recovery the handler asked for a call that was not recorded (`got`) while a recorded one
 *   (`expected`) was still unclaimed
 * - `inDoubt`: an at-most-once call has no result and waits for a person
 * - `incompatible`: the journal was written by another version or shape of the flow
 * - `budget`: more of a budget was spent than there is; it goes on when the limit was raised
 * - `stepLimit`, `visitLimit`: the run took as many steps, or visited a node as often, as it may; the same
 *
 * @category schemas
 * @since 0.1.0
 */
export const PauseReason = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("requested"), note: optional(Schema.String) }),
  Schema.Struct({
    kind: Schema.Literal("diverged"),
    node: Schema.String,
    visit: Count,
    expected: Schema.Struct({ tool: Schema.String, call: Schema.String, seq: Count }),
    got: Schema.Struct({ tool: Schema.String, call: Schema.String, input: Value })
  }),
  Schema.Struct({
    kind: Schema.Literal("inDoubt"),
    node: Schema.String,
    visit: Count,
    tool: Schema.String,
    call: Schema.String
  }),
  Schema.Struct({ kind: Schema.Literal("incompatible"), message: Schema.String }),
  Schema.Struct({
    kind: Schema.Literal("budget"),
    node: Schema.String,
    visit: Count,
    budget: Schema.String,
    spent: Schema.Finite,
    limit: Schema.Finite
  }),
  Schema.Struct({ kind: Schema.Literal("stepLimit"), limit: Count }),
  Schema.Struct({ kind: Schema.Literal("visitLimit"), node: Schema.String, limit: Count })
])
/**
 * @category models
 * @since 0.1.0
 */
export type PauseReason = typeof PauseReason.Type

/**
 * What a wait waits for.
 *
 * @category schemas
 * @since 0.1.0
 */
export const WaitTarget = Schema.Union([
  Schema.Struct({ type: Schema.Literal("event"), name: Schema.String, key: optional(Schema.String) }),
  Schema.Struct({ type: Schema.Literal("until") }),
  Schema.Struct({
    type: Schema.Literal("user"),
    name: Schema.String,
    prompt: Value,
    choices: optional(Value),
    freeText: optional(Schema.Literal(true))
  }),
  Schema.Struct({ type: Schema.Literal("job"), id: Schema.String }),
  Schema.Struct({ type: Schema.Literal("run"), run: Schema.String })
])
/**
 * @category models
 * @since 0.1.0
 */
export type WaitTarget = typeof WaitTarget.Type

/**
 * Whether a call is undone if its run fails or is cancelled.
 *
 * - `completed`: if it completed
 * - `inDoubt`: also if nobody knows whether it took effect
 *
 * @category schemas
 * @since 0.1.0
 */
export const Undoable = Schema.Literals(["completed", "inDoubt"])
/**
 * @category models
 * @since 0.1.0
 */
export type Undoable = typeof Undoable.Type

/**
 * A call that a run could not undo before it ended. `started` and `completed` are the positions of its events.
 *
 * With `inDoubt` nobody knows whether the call took effect, so that nothing was tried.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Undone = Schema.Struct({
  branch: optional(Schema.String),
  node: Schema.String,
  visit: Count,
  call: Schema.String,
  tool: Schema.String,
  started: Count,
  completed: optional(Count),
  inDoubt: optional(Schema.Literal(true))
})
/**
 * @category models
 * @since 0.1.0
 */
export type Undone = typeof Undone.Type
