/**
 * What a run needs to go on, and no more: the fold of its journal.
 *
 * The fold is pure and total. It knows nothing of the flow that wrote the journal, so that a run can be read, shown
 * and searched without the code that it ran.
 *
 * @since 0.1.0
 */
import type * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type {
  Event,
  Failure,
  JoinPolicy,
  Of,
  Ops,
  PauseReason,
  Undoable,
  Undone,
  WaitTarget
} from "./Event.ts"
import * as Cell from "./internal/cell.ts"
import { begin, fork } from "./internal/begin.ts"
import { step } from "./internal/fold.ts"
import { illegal, isIllegal } from "./internal/illegal.ts"
import type { Handled } from "./internal/inbox.ts"
import { mainNode, visitIn, visitsOf } from "./internal/visits.ts"
import type { RunStatus } from "./RunInfo.ts"

/**
 * A tool call of an open visit.
 *
 * - `started`: no result is known; in a later process it is in doubt
 * - `attempt`: the attempt of the visit that asked for it first
 * - `seq`: where its `callStarted` stands, and `ended` where its result does; `atOnce`: that came in the
 *   millisecond in which the call was made; `again`: where the last attempt that was not the first to make it began it again;
 *   `time`: when its last event happened. What a fork has of its origin stands at
 *   negative positions: -1 is that of the checkpoint, and so on backwards
 * - `retries`: the tries that failed so far, for the tool's retry policy to go on from
 * - `undoable`: whether it is undone if the run fails or is cancelled
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly tool: string
  readonly status: "started" | "completed" | "failed"
  readonly attempt: number
  readonly seq: number
  readonly time: number
  readonly ended?: number
  readonly atOnce?: true
  readonly again?: number
  readonly output?: Schema.Json
  readonly error?: Failure
  readonly retries: ReadonlyArray<{ readonly time: number; readonly error: Failure }>
  readonly due?: number
  /** A person decided that the call is to be carried out (again). */
  readonly released?: true
  /** It failed and may have taken effect, and must not be made twice. */
  readonly undecided?: true
  readonly undoable?: Undoable
}

/**
 * A call that is undone if the run fails or is cancelled: the positions of its events, where its input and output stand.
 * One that never completed is in doubt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Undo {
  readonly tool: string
  readonly started: number
  readonly completed?: number
}

/**
 * How far a run has come that undoes its calls and then ends.
 *
 * - `error`: what it ends as failed with, and in which visit; without it, it ends as cancelled
 * - `current`: what is being undone: `started` is the position of the call, `retries` the tries that failed, and the
 *   next one does not begin before `due` (milliseconds)
 * - `undone`: what could not be undone
 *
 * @category models
 * @since 0.1.0
 */
export interface Compensation {
  readonly error?: Failure
  readonly branch?: string
  readonly node?: string
  readonly visit?: number
  readonly attempt?: number
  readonly current?: Pick<Call, "time" | "retries" | "due"> & { readonly started: number }
  readonly undone: ReadonlyArray<Undone>
}

/**
 * A wait of an open visit that ended: what the visit finds when it is executed again. `seq` (as that of a call) and `time`
 * are those of its `waitEnded` (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export interface EndedWait {
  readonly seq: number
  readonly time: number
  readonly outcome: Of<"waitEnded">["outcome"]
}

/**
 * A sleep of an open visit that is over: the position (as that of a call) and the time of its `slept` (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export type Slept = Pick<EndedWait, "seq" | "time">

/**
 * How many branches of a fan-out begin at a node, one after the other in branch order.
 *
 * @category models
 * @since 0.1.0
 */
export interface BranchStarts {
  readonly node: string
  readonly count: number
}

/**
 * How a branch ended: `node` is the one it was in last, `error` why it failed, if it did.
 *
 * @category models
 * @since 0.1.0
 */
export interface EndedBranch {
  readonly index: number
  readonly node: string
  readonly error?: Failure
}

/**
 * A visit that is not done.
 *
 * - `since`: the event that opened it; `after`: the position of the event that ended the attempt before this one. Positions
 *   are like those of calls
 * - `failures`: the attempts that failed so far, for the node's retry policy to go on from
 * - `waiting`: its waits that are open, in the order in which they were opened; `ended`: those that are over; `slept`: the
 *   sleeps of this attempt that are
 * - `due`: the next attempt does not begin before this time (milliseconds)
 * - `item`: what a fan-out handed to this branch
 * - `joined`: where the branches began that this visit joins, and those that ended, in the order in which they did; of a
 *   quorum only the first ones count
 * - `openedAs`: what the node was called when the visit was opened, if a migration renamed it since: keys of calls and
 *   chance go on under that name
 * - `marks`: what it told so far, by identity; 1 for what exceeded a budget. `progress`: its last report
 * - `nth`: which visit of its node it is, counted from 1, if the node has a limit of visits
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenVisit {
  readonly node: string
  readonly visit: number
  readonly attempt: number
  readonly after?: number
  readonly since: { readonly seq: number; readonly time: number }
  readonly failures: ReadonlyArray<{ readonly time: number; readonly error: Failure }>
  readonly calls: HashMap.HashMap<string, Call>
  readonly waiting: ReadonlyArray<string>
  readonly ended: { readonly [wait: string]: EndedWait }
  readonly slept?: HashMap.HashMap<string, Slept>
  readonly due?: number
  readonly item?: Schema.Json
  readonly joined?: {
    readonly starts: ReadonlyArray<BranchStarts>
    readonly ended: Cell.List<EndedBranch>
    readonly quorum?: number
  }
  readonly openedAs?: string
  readonly marks?: HashMap.HashMap<string, 0 | 1>
  readonly progress?: Pick<Of<"progressed">, "nth" | "done" | "total" | "note">
  readonly nth?: number
}

/**
 * A budget of a run: what was spent of it, and whether the warning about it was given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget {
  readonly spent: number
  readonly limit: number
  readonly warned?: true
}

/**
 * A wait that is open. Of those with the same `race` the first to end decides.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenWait {
  readonly branch: string
  readonly on: WaitTarget
  readonly seq: number
  readonly race?: string
  readonly schema?: Schema.Json
  readonly due?: number
}

/**
 * What a visit of a branch changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface BranchUpdate {
  readonly node: string
  readonly ops: Ops
}

/**
 * A fan-out whose join has not happened.
 *
 * - `id`: its name; `node`, `visit`: the visit that fanned out
 * - `count`: how many branches it has; `starts`: where they begin; `ended`: those that ended, in the order in which they did; `completed`: how many
 *   of them without failing
 * - `updates`: what the branches changed so far, by branch
 *
 * @category models
 * @since 0.1.0
 */
export interface FanOut {
  readonly id: string
  readonly node: string
  readonly visit: number
  readonly join: string
  readonly policy: JoinPolicy
  readonly concurrency?: number
  readonly count: number
  readonly starts: ReadonlyArray<BranchStarts>
  readonly completed: number
  readonly ended: Cell.List<EndedBranch>
  readonly updates: HashMap.HashMap<string, Cell.List<BranchUpdate>>
}

/**
 * A signal that came before the run waited for it; `seq` is where it stands in the journal.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeptSignal {
  readonly seq: number
  readonly time: number
  readonly name: string
  readonly key?: string
  readonly payload: Schema.Json
}

/**
 * How a run ended. `undone` names what it did and could not undo; it is there if the run had something to undo.
 *
 * @category models
 * @since 0.1.0
 */
export type Ending =
  | { readonly status: "completed"; readonly output: Schema.Json }
  | {
      readonly status: "failed"
      readonly error: Failure
      readonly node?: string
      readonly visit?: number
      readonly undone?: ReadonlyArray<Undone>
    }
  | { readonly status: "cancelled"; readonly reason: string; readonly undone?: ReadonlyArray<Undone> }

/**
 * Where the content of a channel can be read again: the events that hold it. `from` is the index of a list's first
 * item in that event; `bytes` is roughly how much there is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Part {
  readonly run: string
  readonly seq: number
  readonly from: number
  readonly bytes: number
}

/**
 * What the last snapshot wrote, so that the next one writes only what changed.
 *
 * - `seq`: where the snapshot stands; `bytes`: what it wrote; `since`: what the journal grew by after it
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotState {
  readonly seq: number | undefined
  readonly bytes: number
  readonly since: number
  readonly channels: {
    readonly [channel: string]: { readonly cell: Cell.Cell; readonly parts: ReadonlyArray<Part> }
  }
}

/**
 * @category models
 * @since 0.1.0
 */
export interface RunState {
  readonly run: string
  readonly flow: string
  readonly version: number
  readonly fingerprint: string
  readonly seq: number
  readonly epoch: number
  readonly time: number
  readonly status: RunStatus
  readonly input: Cell.Plain<Schema.Json>
  readonly channels: { readonly [channel: string]: Cell.Cell }
  /** The open visit of the main line under `""`; nothing while branches are open, and at the end. */
  readonly open: { readonly [branch: string]: OpenVisit }
  /** The open visits of branches: there may be thousands, so that no event copies them. */
  readonly branches: HashMap.HashMap<string, OpenVisit>
  /** Open fan-outs by the branch that fanned out: `""` is the main line. */
  readonly fanOuts: HashMap.HashMap<string, FanOut>
  readonly waits: HashMap.HashMap<string, OpenWait>
  /** How many open visits wait. */
  readonly waiting: number
  /** Signals that nothing has waited for yet, oldest first. */
  readonly signals: ReadonlyArray<KeptSignal>
  /** The names of the signals that are kept. */
  readonly keeps?: ReadonlyArray<string>
  /** Commands for other runs that are not known to have arrived. */
  readonly outbox: HashMap.HashMap<string, { readonly to: string; readonly body: Schema.Json }>
  /** What of the inbox is dealt with: everything up to `upTo`, and some positions beyond. */
  readonly inbox: { readonly [source: string]: Handled }
  readonly steps: number
  /** Take-overs after crashes since a visit last completed. */
  readonly recoveries: number
  readonly restarts: number
  /** The failures after which the flow had the run restarted, since a person last had; absent if there are none. */
  readonly autoRestarts?: ReadonlyArray<{ readonly time: number; readonly error: Failure }>
  readonly durability: "pipelined" | "strict" | "ephemeral"
  readonly maxSteps: number
  readonly maxRecoveries: number
  /** Whether the warning about the number of steps was given. */
  readonly warned?: true
  /** The nodes of which the warning about the number of their visits was given. */
  readonly warnedNodes?: ReadonlyArray<string>
  /** By node, for those that have one: how often it may be visited; `visits`: how often it was. */
  readonly maxVisits?: { readonly [node: string]: number }
  readonly visits?: { readonly [node: string]: number }
  readonly budgets?: { readonly [budget: string]: Budget }
  /** How long the run may take, and until when (milliseconds); absent if there is no limit. */
  readonly timeout?: number
  readonly deadline?: number
  readonly session?: string
  readonly actor?: string
  readonly correlation?: string
  readonly parent?: NonNullable<Of<"created">["parent"]>
  readonly forkOf?: { readonly run: string; readonly seq: number }
  readonly trace?: NonNullable<Of<"created">["trace"]>
  readonly pause?: PauseReason
  readonly cancel?: string
  /** What is undone if the run fails or is cancelled, in the order in which it completed; absent if there is nothing. */
  readonly undo?: Cell.List<Undo>
  readonly compensating?: Compensation
  readonly ending?: Ending
  readonly snapshot: SnapshotState
}

/**
 * An event cannot follow the state: the journal was not written by this engine, or not in this order.
 *
 * @category errors
 * @since 0.1.0
 */
export class IllegalEvent extends Schema.TaggedError<IllegalEvent>()("IllegalEvent", {
  run: Schema.String,
  seq: Schema.Int,
  kind: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)}: the ${this.kind} event at seq ${this.seq} cannot stand there: ${this.detail}`
  }
}

/**
 * The state after an event.
 *
 * `state` is `undefined` before the first event of a run that was not forked, and the state of the origin at the fork
 * before the first event of a fork. `bytes` is the length of the event's stored line, which decides when the next
 * snapshot is due.
 *
 * @category folding
 * @since 0.1.0
 */
export const apply = (
  state: RunState | undefined,
  event: Event,
  bytes: number
): Result.Result<RunState, IllegalEvent> => {
  try {
    if (event.kind === "created" || event.kind === "forked") {
      if (event.seq !== 0) illegal("a journal begins with it and holds it once")
      if (event.kind === "created") {
        return state === undefined
          ? Result.succeed(begin(event))
          : illegal("a journal begins with it and holds it once")
      }
      return state === undefined
        ? illegal("the state of its origin is not known")
        : Result.succeed(fork(state, event))
    }
    if (state === undefined) return illegal("a journal begins with a created or a forked event")
    return Result.succeed(step(state, event, bytes))
  } catch (error) {
    if (isIllegal(error)) {
      return Result.fail(
        new IllegalEvent({ run: event.run, seq: event.seq, kind: event.kind, detail: error.message })
      )
    }
    throw error
  }
}

/**
 * The content of the channels as plain JSON, with the keys of records in order.
 *
 * @category getters
 * @since 0.1.0
 */
export const stateOf = (state: RunState): { readonly [channel: string]: Schema.Json } => {
  const plain: { [channel: string]: Schema.Json } = {}
  for (const channel of Object.keys(state.channels).sort()) {
    Cell.define(plain, channel, Cell.toValue(state.channels[channel]!))
  }
  return plain
}

/**
 * The node that the run's main line is in; while branches are open, the one that joins them. `undefined` when nothing is
 * left to execute.
 *
 * @category getters
 * @since 0.1.0
 */
export const nodeOf: (state: RunState) => string | undefined = mainNode

/**
 * The open visit of a branch; that of the main line is under `""`.
 *
 * @category getters
 * @since 0.1.0
 */
export const visitOf: (state: RunState, branch: string) => OpenVisit | undefined = visitIn

/**
 * All open visits by branch, that of the main line first.
 *
 * @category getters
 * @since 0.1.0
 */
export const openVisits: (state: RunState) => Iterable<readonly [branch: string, visit: OpenVisit]> = visitsOf
