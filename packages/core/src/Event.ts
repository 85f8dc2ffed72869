/**
 * What can happen to a run. A journal is a list of these events and nothing else.
 *
 * Events hold plain JSON. Whatever a flow's author defined (inputs, state, outputs, errors) stands in them as the
 * *encoded* side of its schema, so that a journal can be read, folded and shown without the code that wrote it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A JSON value that the author of a flow defined: the encoded side of one of the flow's schemas.
 *
 * It is not validated when an event is read: it was parsed from JSON, and its own schema checks it when it is decoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Value: Schema.Codec<Schema.Json> = Schema.declare((_value: unknown): _value is Schema.Json => true, {
  identifier: "Value"
})

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const optional = Schema.optionalKey

/**
 * One change of one channel.
 *
 * - `set`: the channel has this value now
 * - `unset`: an optional channel is empty now
 * - `append`: these items follow what the list holds
 * - `merge`: these entries are added to the record, or replaced in it
 * - `add`: the counter grows by this number
 *
 * @category schemas
 * @since 0.1.0
 */
export const Op = Schema.Union([
  Schema.Struct({ set: Value }),
  Schema.Struct({ append: Schema.Array(Value) }),
  Schema.Struct({ merge: Schema.Record(Schema.String, Value) }),
  Schema.Struct({ add: Schema.Finite }),
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
 * - `timeout`: a node or a tool took longer than its limit (milliseconds)
 * - `stepLimit`: the run took as many steps as its limit allows
 * - `recoveries`: the run crashed more often in a row than `maxRecoveries` allows
 * - `inDoubt`: an at-most-once call has no result, and its policy is to fail
 * - `encoding`: a value could not be encoded with, or decoded by, its schema
 *
 * @category schemas
 * @since 0.1.0
 */
export const Failure = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("error"), tag: Schema.String, error: Value, message: Value }),
  Schema.Struct({ kind: Schema.Literal("defect"), name: Schema.String, message: Value, stack: optional(Value) }),
  Schema.Struct({ kind: Schema.Literal("interrupted") }),
  Schema.Struct({
    kind: Schema.Literal("timeout"),
    what: Schema.Literals(["node", "tool"]),
    name: Schema.String,
    millis: Schema.Finite
  }),
  Schema.Struct({ kind: Schema.Literal("stepLimit"), limit: Count }),
  Schema.Struct({ kind: Schema.Literal("recoveries"), limit: Count }),
  Schema.Struct({ kind: Schema.Literal("inDoubt"), tool: Schema.String, call: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("encoding"), what: Schema.String, message: Value })
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
 * The branch an event belongs to; absent (or `""`) for the run's main line.
 */
const branch = { branch: optional(Schema.String) }

/**
 * The visit an event belongs to: `visit` counts the visits of a branch from 1, `attempt` the tries of the visit from 1.
 */
const visit = { ...branch, node: Schema.String, visit: Count, attempt: Count }

const command = { command: optional(CommandRef), actor: optional(Schema.String) }

const header = {
  run: Schema.String,
  seq: Count,
  epoch: Count,
  time: Schema.Finite,
  prev: Schema.String
}

/**
 * What every event carries.
 *
 * - `run`: the run's id
 * - `seq`: its position in the journal, from 0
 * - `epoch`: the fencing token of the owner that wrote it
 * - `time`: milliseconds since 1970, never smaller than that of the event before it
 * - `prev`: the SHA-256 of the stored bytes of the event before it
 *
 * @category models
 * @since 0.1.0
 */
export interface Header {
  readonly run: string
  readonly seq: number
  readonly epoch: number
  readonly time: number
  readonly prev: string
}

const event = <const Kind extends string, const Fields extends Schema.Struct.Fields>(kind: Kind, fields: Fields) =>
  Schema.Struct({ ...header, kind: Schema.Literal(kind), ...fields })

/**
 * Where a visit leads: to a node, to the end of the run (whose output the `completed` event holds), or into branches.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Next = Schema.Union([
  Schema.Struct({ to: Schema.String }),
  Schema.Struct({ end: Schema.Literal(true) }),
  Schema.Struct({
    branches: Schema.Array(Schema.Struct({ node: Schema.String, item: optional(Value) })),
    join: Schema.String
  })
])
/**
 * @category models
 * @since 0.1.0
 */
export type Next = typeof Next.Type

/**
 * What becomes of a failed visit whose node's policy lets the run go on.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Outcome = Schema.Struct({ status: Schema.Literals(["failed", "tolerated", "skipped"]), to: Schema.String })
/**
 * @category models
 * @since 0.1.0
 */
export type Outcome = typeof Outcome.Type

/**
 * Why a run is paused.
 *
 * - `requested`: somebody asked for it
 * - `diverged`: in recovery the handler asked for a call that was not recorded (`got`) while a recorded one
 *   (`expected`) was still unclaimed
 * - `inDoubt`: an at-most-once call has no result and waits for a person
 * - `incompatible`: the journal was written by another version or shape of the flow
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
  Schema.Struct({ kind: Schema.Literal("incompatible"), message: Schema.String })
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
  Schema.Struct({ type: Schema.Literal("user"), name: Schema.String, prompt: Value, choices: optional(Value) }),
  Schema.Struct({ type: Schema.Literal("job"), id: Schema.String }),
  Schema.Struct({ type: Schema.Literal("run"), run: Schema.String })
])
/**
 * @category models
 * @since 0.1.0
 */
export type WaitTarget = typeof WaitTarget.Type

/**
 * A run was started.
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
  session: optional(Schema.String),
  actor: optional(Schema.String),
  correlation: optional(Schema.String),
  tags: optional(Schema.Array(Schema.String)),
  attributes: optional(Schema.Record(Schema.String, Schema.String)),
  parent: optional(Schema.Struct({ run: Schema.String, branch: optional(Schema.String), node: Schema.String, visit: Count })),
  trace: optional(TraceRef)
})

/**
 * A run was forked from a checkpoint of another. Its state is that of `from`, with the edits applied.
 *
 * @category events
 * @since 0.1.0
 */
export const Forked = event("forked", {
  from: Schema.Struct({ run: Schema.String, seq: Count }),
  flow: Schema.String,
  version: Count,
  edits: optional(Ops),
  actor: optional(Schema.String),
  session: optional(Schema.String),
  correlation: optional(Schema.String),
  tags: optional(Schema.Array(Schema.String)),
  trace: optional(TraceRef)
})

/**
 * Another owner took the run over: a new epoch, which names where the one before it ended.
 *
 * `crash` says that the owner before it did not let go in good order; such take-overs count as recoveries.
 *
 * @category events
 * @since 0.1.0
 */
export const Claimed = event("claimed", {
  owner: Schema.String,
  cause: Schema.Literals(["handover", "crash"]),
  previous: Schema.Struct({ epoch: Count, seq: Count, hash: Schema.String }),
  trace: optional(TraceRef)
})

/**
 * A visit completed: the update it made and where it leads. `started` is when its handler began (milliseconds).
 *
 * @category events
 * @since 0.1.0
 */
export const Visited = event("visited", { ...visit, started: Schema.Finite, ops: optional(Ops), next: Next })

/**
 * An attempt of a visit failed and its node's retry policy gives it another, not before `due` (milliseconds).
 *
 * @category events
 * @since 0.1.0
 */
export const AttemptFailed = event("attemptFailed", {
  ...visit,
  started: Schema.Finite,
  error: Failure,
  due: Schema.Finite
})

/**
 * A visit failed and its node's policy lets the run go on elsewhere.
 *
 * @category events
 * @since 0.1.0
 */
export const VisitFailed = event("visitFailed", {
  ...visit,
  started: Schema.Finite,
  error: Failure,
  outcome: Outcome
})

/**
 * A tool call is about to be carried out. `call` names it within its visit: the tool, the call's own key, and the number
 * of calls before it that had the same; `key` is the idempotency key that the tool's handler gets.
 *
 * @category events
 * @since 0.1.0
 */
export const CallStarted = event("callStarted", {
  ...visit,
  call: Schema.String,
  tool: Schema.String,
  key: Schema.String,
  input: Value
})

/**
 * A call is carried out again under the same key: after a failed try, or because its process died before its result was
 * known.
 *
 * @category events
 * @since 0.1.0
 */
export const CallRepeated = event("callRepeated", { ...visit, call: Schema.String, tool: Schema.String })

/**
 * A try of a call failed and the tool's retry policy gives it another, not before `due` (milliseconds).
 *
 * @category events
 * @since 0.1.0
 */
export const CallRetried = event("callRetried", {
  ...visit,
  call: Schema.String,
  tool: Schema.String,
  error: Failure,
  due: Schema.Finite
})

/**
 * A call succeeded. It is never carried out again.
 *
 * @category events
 * @since 0.1.0
 */
export const CallCompleted = event("callCompleted", {
  ...visit,
  ...command,
  call: Schema.String,
  tool: Schema.String,
  output: Value
})

/**
 * A call failed for good. The same attempt of the visit is served this failure; the next attempt calls again.
 *
 * @category events
 * @since 0.1.0
 */
export const CallFailed = event("callFailed", {
  ...visit,
  ...command,
  call: Schema.String,
  tool: Schema.String,
  error: Failure
})

/**
 * Somebody decided that a call that was in doubt is to be carried out (again) under the same key.
 *
 * @category events
 * @since 0.1.0
 */
export const CallReleased = event("callReleased", { ...visit, ...command, call: Schema.String, tool: Schema.String })

/**
 * A visit waits for something that may take arbitrarily long. `due` is when it stops waiting (milliseconds).
 *
 * @category events
 * @since 0.1.0
 */
export const WaitOpened = event("waitOpened", {
  ...visit,
  wait: Schema.String,
  on: WaitTarget,
  schema: optional(Value),
  due: optional(Schema.Finite)
})

/**
 * A wait ended: with a value, because its time was over, or because another wait of the same race won.
 *
 * @category events
 * @since 0.1.0
 */
export const WaitEnded = event("waitEnded", {
  ...branch,
  ...command,
  wait: Schema.String,
  outcome: Schema.Union([
    Schema.Struct({ value: Value }),
    Schema.Struct({ failure: Failure }),
    Schema.Struct({ timedOut: Schema.Literal(true) }),
    Schema.Struct({ lost: Schema.Literal(true) })
  ])
})

/**
 * All branches of a fan-out are through: the updates of those that completed, in branch order, as one.
 *
 * @category events
 * @since 0.1.0
 */
export const Joined = event("joined", { ...branch, fanOut: Schema.String, ops: optional(Ops) })

/**
 * A command for another run, delivered again until that run's journal names its id.
 *
 * @category events
 * @since 0.1.0
 */
export const Sent = event("sent", { ...branch, to: Schema.String, message: Schema.String, body: Value })

/**
 * The receiver's journal names the command.
 *
 * @category events
 * @since 0.1.0
 */
export const Delivered = event("delivered", { message: Schema.String })

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
export const CommandIgnored = event("commandIgnored", { ...command, note: Schema.String })

/**
 * Somebody asked for the run to end early: its fibers are interrupted, then `cancelled` follows.
 *
 * @category events
 * @since 0.1.0
 */
export const CancelRequested = event("cancelRequested", { ...command, reason: Schema.String })

/**
 * The run ended because it was cancelled.
 *
 * @category events
 * @since 0.1.0
 */
export const Cancelled = event("cancelled", { reason: Schema.String })

/**
 * The run ended with its output.
 *
 * @category events
 * @since 0.1.0
 */
export const Completed = event("completed", { output: Value })

/**
 * The run ended with a failure, in the named visit if there was one.
 *
 * @category events
 * @since 0.1.0
 */
export const Failed = event("failed", {
  error: Failure,
  ...branch,
  node: optional(Schema.String),
  visit: optional(Count),
  attempt: optional(Count)
})

/**
 * A failed run goes on from the visit that failed, with its state edited if somebody wished so.
 *
 * @category events
 * @since 0.1.0
 */
export const Restarted = event("restarted", { ...command, edits: optional(Ops) })

/**
 * A part of a snapshot of the run as it was at event `at`: content of channels, or of the open visits' calls.
 *
 * @category events
 * @since 0.1.0
 */
export const SnapshotPart = event("snapshotPart", { at: Count, content: Value })

/**
 * A snapshot of the run as it was at event `at` is complete: `head` is the small rest of the state, and names the
 * events that hold the parts. `bytes` is what this snapshot wrote.
 *
 * @category events
 * @since 0.1.0
 */
export const Snapshot = event("snapshot", { at: Count, head: Value, previous: optional(Count), bytes: Count })

/**
 * The state was brought to another version of the flow.
 *
 * @category events
 * @since 0.1.0
 */
export const Migrated = event("migrated", {
  from: Schema.Struct({ version: Count, fingerprint: Schema.String }),
  version: Count,
  fingerprint: Schema.String,
  ops: Ops
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

/**
 * Any event.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Event = Schema.Union([
  Created,
  Forked,
  Claimed,
  Visited,
  AttemptFailed,
  VisitFailed,
  CallStarted,
  CallRepeated,
  CallRetried,
  CallCompleted,
  CallFailed,
  CallReleased,
  WaitOpened,
  WaitEnded,
  Joined,
  Sent,
  Delivered,
  Paused,
  Resumed,
  CommandIgnored,
  CancelRequested,
  Cancelled,
  Completed,
  Failed,
  Restarted,
  SnapshotPart,
  Snapshot,
  Migrated,
  Annotated,
  Bookmarked
])
/**
 * Any event.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = typeof Event.Type

/**
 * The names of the kinds of events.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = Event["kind"]

/**
 * The event of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<K extends Kind> = Extract<Event, { readonly kind: K }>

/**
 * An event without its header: what the engine says; the journal adds where and when.
 *
 * @category models
 * @since 0.1.0
 */
export type Body = { [K in Kind]: Omit<Of<K>, keyof Header> }[Kind]

const mapOp = <E, R>(
  op: Op,
  f: (value: Schema.Json) => Effect.Effect<Schema.Json, E, R>
): Effect.Effect<Op, E, R> => {
  if ("set" in op) return Effect.map(f(op.set), (set) => ({ set }))
  if ("append" in op) return Effect.map(Effect.forEach(op.append, f), (append) => ({ append }))
  if ("merge" in op) return Effect.map(mapRecord(op.merge, f), (merge) => ({ merge }))
  return Effect.succeed(op)
}

const mapRecord = <A, B, E, R>(
  record: { readonly [key: string]: A },
  f: (value: A) => Effect.Effect<B, E, R>
): Effect.Effect<{ readonly [key: string]: B }, E, R> =>
  Effect.map(
    Effect.forEach(Object.entries(record), ([key, value]) => Effect.map(f(value), (mapped) => [key, mapped] as const)),
    (entries) => Object.fromEntries(entries)
  )

/** The fields of events that hold a value, a record of operations, or a failure; by name, the same in every kind. */
const valueFields = ["input", "output", "body", "content", "head", "schema", "data"] as const
const opsFields = ["ops", "edits"] as const

/**
 * Applies `f` to every value in an event that the flow's author defined, and to the texts of failures: what a
 * {@link Codec} seals and opens. Everything the run index needs stays as it is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapValues = <B extends { readonly kind: Kind }, E, R>(
  event: B,
  f: (value: Schema.Json) => Effect.Effect<Schema.Json, E, R>
): Effect.Effect<B, E, R> =>
  Effect.gen(function*() {
    const mapped: Record<string, any> = { ...event }
    for (const field of valueFields) {
      if (mapped[field] !== undefined) mapped[field] = yield* f(mapped[field])
    }
    for (const field of opsFields) {
      if (mapped[field] !== undefined) mapped[field] = yield* mapRecord(mapped[field], (op: Op) => mapOp(op, f))
    }
    if (event.kind === "created") mapped["state"] = yield* mapRecord(mapped["state"], f)
    if (mapped["error"] !== undefined) mapped["error"] = yield* mapFailure(mapped["error"], f)
    if (event.kind === "visited") {
      const next: Next = mapped["next"]
      if ("branches" in next) {
        mapped["next"] = {
          ...next,
          branches: yield* Effect.forEach(next.branches, (branch) =>
            branch.item === undefined
              ? Effect.succeed(branch)
              : Effect.map(f(branch.item), (item) => ({ ...branch, item })))
        }
      }
    }
    if (event.kind === "waitOpened" && mapped["on"].type === "user") {
      mapped["on"] = { ...mapped["on"], prompt: yield* f(mapped["on"].prompt) }
    }
    if (event.kind === "waitEnded") {
      if ("value" in mapped["outcome"]) mapped["outcome"] = { value: yield* f(mapped["outcome"].value) }
      else if ("failure" in mapped["outcome"]) {
        mapped["outcome"] = { failure: yield* mapFailure(mapped["outcome"].failure, f) }
      }
    }
    if (event.kind === "paused" && mapped["reason"].kind === "diverged") {
      const { got } = mapped["reason"]
      mapped["reason"] = { ...mapped["reason"], got: { ...got, input: yield* f(got.input) } }
    }
    return mapped as B
  })

const mapFailure = <E, R>(
  failure: Failure,
  f: (value: Schema.Json) => Effect.Effect<Schema.Json, E, R>
): Effect.Effect<Failure, E, R> =>
  Effect.gen(function*() {
    switch (failure.kind) {
      case "error":
        return { ...failure, error: yield* f(failure.error), message: yield* f(failure.message) }
      case "defect":
        return failure.stack === undefined
          ? { ...failure, message: yield* f(failure.message) }
          : { ...failure, message: yield* f(failure.message), stack: yield* f(failure.stack) }
      case "encoding":
        return { ...failure, message: yield* f(failure.message) }
      default:
        return failure
    }
  })
