/**
 * What can happen to a run. A journal is a list of these events and nothing else.
 *
 * Events hold plain JSON. Whatever a flow's author defined (inputs, state, outputs, errors) stands in them as the
 * *encoded* side of its schema, so that a journal can be read, folded and shown without the code that wrote it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import {
  Created,
  Forked,
  Claimed,
  Paused,
  Resumed,
  CommandIgnored,
  Signalled,
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
} from "./internal/event/runKinds.ts"
import {
  Visited,
  AttemptFailed,
  VisitFailed,
  CallStarted,
  CallRepeated,
  CallRetried,
  CallCompleted,
  CallFailed,
  CallReleased,
  BranchFailed,
  WaitOpened,
  WaitEnded,
  Slept,
  Joined,
  Sent,
  Delivered
} from "./internal/event/visitKinds.ts"
import {
  Emitted,
  Logged,
  Progressed,
  Tagged,
  Spent,
  BudgetWarned,
  LimitWarned,
  LimitsChanged
} from "./internal/event/noteKinds.ts"
import {
  Compensating,
  CompensationCompleted,
  CompensationFailed,
  CompensationRetried,
  CompensationStarted
} from "./internal/event/compensationKinds.ts"

export * from "./internal/event/compensationKinds.ts"
export * from "./internal/event/runKinds.ts"
export * from "./internal/event/visitKinds.ts"
export {
  Emitted,
  Logged,
  Progressed,
  Tagged,
  Spent,
  BudgetWarned,
  LimitWarned,
  LimitsChanged
} from "./internal/event/noteKinds.ts"
export { mapValues } from "./internal/event/mapValues.ts"
export {
  CommandRef,
  Durability,
  Failure,
  JoinPolicy,
  Next,
  Op,
  Ops,
  Outcome,
  PauseReason,
  RefusalReason,
  TraceRef,
  Undoable,
  Undone,
  Value,
  WaitTarget
} from "./internal/event/values.ts"

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
  BranchFailed,
  WaitOpened,
  WaitEnded,
  Slept,
  Joined,
  Sent,
  Delivered,
  Paused,
  Resumed,
  CommandIgnored,
  Signalled,
  CancelRequested,
  Cancelled,
  Completed,
  Failed,
  Restarted,
  SnapshotPart,
  Snapshot,
  Migrated,
  Annotated,
  Bookmarked,
  Emitted,
  Logged,
  Progressed,
  Tagged,
  Spent,
  BudgetWarned,
  LimitWarned,
  LimitsChanged,
  Compensating,
  CompensationStarted,
  CompensationRetried,
  CompensationCompleted,
  CompensationFailed
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
