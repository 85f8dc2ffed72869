/**
 * The events of visits: their results, calls, waits, branches, and what they send to other runs.
 */
import * as Schema from "effect/Schema"
import { branch, command, event, visit } from "./fields.ts"
import { Count, Failure, Next, optional, Ops, Outcome, Undoable, Value, WaitTarget } from "./values.ts"

/**
 * A visit completed: the update it made and where it leads. `started` is when its handler began (milliseconds).
 *
 * @category events
 * @since 0.1.0
 */
export const Visited = event("visited", { ...visit, started: Schema.Finite, ops: optional(Ops), next: Next })

/**
 * An attempt of a visit failed and its node's retry policy gives it another, not before `due` (milliseconds); or, with
 * `restart`, the run would have failed, and its flow has it restarted from there.
 *
 * @category events
 * @since 0.1.0
 */
export const AttemptFailed = event("attemptFailed", {
  ...visit,
  started: Schema.Finite,
  error: Failure,
  due: Schema.Finite,
  restart: optional(Schema.Literal(true))
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
 * of calls before it that had the same; `key` is the idempotency key that the tool's handler gets. `undoable` is there if
 * the call can be undone.
 *
 * @category events
 * @since 0.1.0
 */
export const CallStarted = event("callStarted", {
  ...visit,
  call: Schema.String,
  tool: Schema.String,
  key: Schema.String,
  input: Value,
  undoable: optional(Undoable)
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
 * A call failed for good. The same attempt of the visit is served this failure; the next attempt calls again, unless the
 * call may have taken effect: then it is in doubt for that one, too. After what the tool did not declare, that is so for
 * at-most-once calls: the event says that it is `undecided`.
 *
 * @category events
 * @since 0.1.0
 */
export const CallFailed = event("callFailed", {
  ...visit,
  ...command,
  call: Schema.String,
  tool: Schema.String,
  error: Failure,
  undecided: optional(Schema.Literal(true))
})

/**
 * Somebody decided that a call that was in doubt is to be carried out (again) under the same key.
 *
 * @category events
 * @since 0.1.0
 */
export const CallReleased = event("callReleased", {
  ...visit,
  ...command,
  call: Schema.String,
  tool: Schema.String
})

/**
 * A branch failed for good, and its fan-out goes on without it. If the branch had fanned out itself, `dropped` visits of
 * its own branches end with it.
 *
 * @category events
 * @since 0.1.0
 */
export const BranchFailed = event("branchFailed", {
  ...branch,
  node: Schema.String,
  visit: Count,
  attempt: optional(Count),
  error: Failure,
  dropped: optional(Count)
})

/**
 * A visit waits for something that may take arbitrarily long. `due` is when it stops waiting (milliseconds).
 *
 * Waits of which the first to end decides are opened together and have one `race`: the name of the first of them.
 *
 * @category events
 * @since 0.1.0
 */
export const WaitOpened = event("waitOpened", {
  ...visit,
  wait: Schema.String,
  on: WaitTarget,
  race: optional(Schema.String),
  schema: optional(Value),
  due: optional(Schema.Finite)
})

/**
 * A wait ended: with a value, because its time was over, or because another wait of the same race won. `signal` names
 * the `signalled` event whose value it is, if that came before the wait.
 *
 * @category events
 * @since 0.1.0
 */
export const WaitEnded = event("waitEnded", {
  ...branch,
  ...command,
  wait: Schema.String,
  signal: optional(Count),
  outcome: Schema.Union([
    Schema.Struct({ value: Value }),
    Schema.Struct({ failure: Failure }),
    Schema.Struct({ timedOut: Schema.Literal(true) }),
    Schema.Struct({ lost: Schema.Literal(true) })
  ])
})

/**
 * A sleep of a handler is over that does other things meanwhile: which of them came first decides races. `sleep` is
 * `<since>/<duration>/<n>`: when it began, as the visit's clock has it, for how long it was (both in milliseconds), and how
 * many like it had begun then.
 *
 * @category events
 * @since 0.1.0
 */
export const Slept = event("slept", { ...visit, sleep: Schema.String })

/**
 * The branches of a fan-out are joined: the updates of those that completed, in branch order, as one. If some were open
 * still, `dropped` visits of theirs end with them.
 *
 * @category events
 * @since 0.1.0
 */
export const Joined = event("joined", {
  ...branch,
  fanOut: Schema.String,
  ops: optional(Ops),
  dropped: optional(Count)
})

/**
 * A message to another run, delivered again until it is known to have arrived. With a `mark` the open visit of the branch
 * sends it once, as it tells things once.
 *
 * @category events
 * @since 0.1.0
 */
export const Sent = event("sent", {
  ...branch,
  to: Schema.String,
  message: Schema.String,
  body: Value,
  mark: optional(Schema.String)
})

/**
 * A message has arrived: it lies in the receiver's inbox, durably, or its journal begins with it.
 *
 * @category events
 * @since 0.1.0
 */
export const Delivered = event("delivered", { message: Schema.String })
