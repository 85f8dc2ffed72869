/**
 * What a run did, as data to be shown: its visits with their attempts, calls and waits, the statuses of its nodes, and the
 * edges it took.
 *
 * A timeline is a projection of the journal, like everything else. It knows nothing of the flow, and costs what is added
 * to it: for a run that goes on, add its events as they come.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Event, Failure, Kind, Of, WaitTarget } from "./Event.ts"
import { building } from "./internal/timeline/building.ts"
import type { InvalidCheckpoint } from "./RunError.ts"
import type { RunStatus } from "./RunInfo.ts"
import { Runs } from "./Runs.ts"
import type { ReadError, RunLike } from "./Runs.ts"
import type { RunState } from "./RunState.ts"

/**
 * The status of a node, or of one of its visits.
 *
 * - `pending`: it has not begun
 * - `running`, `waiting`: it is being executed, or something has to happen before it is
 * - `completed`, `failed`: how it ended
 * - `tolerated`, `skipped`: it failed, and the policy of its node let the run go on
 * - `cancelled`: it was open when its run ended, or its fan-out was joined without it
 *
 * @category models
 * @since 0.1.0
 */
export type NodeStatus =
  | "pending"
  | "running"
  | "waiting"
  | "completed"
  | "failed"
  | "tolerated"
  | "skipped"
  | "cancelled"

/**
 * Where and when something happened: the position of the event, and its time in milliseconds since 1970.
 *
 * @category models
 * @since 0.1.0
 */
export interface Point {
  readonly seq: number
  readonly time: number
}

/**
 * A call of a tool.
 *
 * - `call`: its name within the visit; `attempt`: the attempt of the visit that made it first
 * - `status`: `started` as long as no result is known
 * - `tries`: how often it was carried out
 * - `undo`: what became of undoing it, if it was undone or is being
 *
 * @category models
 * @since 0.1.0
 */
export interface CallEntry {
  readonly call: string
  readonly tool: string
  readonly attempt: number
  readonly started: Point
  readonly ended?: Point
  readonly status: "started" | "completed" | "failed"
  readonly tries: number
  readonly error?: Failure
  readonly undo?: {
    readonly status: "started" | "completed" | "failed"
    readonly at: Point
    readonly error?: Failure
  }
}

/**
 * A wait.
 *
 * - `due`: when it stops waiting (milliseconds); `race`: the waits of one race have the same
 * - `outcome`: how it ended: `lost` if another one of its race was first, `stopped` if the run ended before it did
 * - `actor`: who ended it, if somebody did
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitEntry {
  readonly wait: string
  readonly on: WaitTarget
  readonly opened: Point
  readonly due?: number
  readonly race?: string
  readonly ended?: Point
  readonly outcome?: "value" | "failure" | "timedOut" | "lost" | "stopped"
  readonly actor?: string
}

/**
 * An attempt of a visit that failed and was followed by another; `due` is when that one might begin (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export interface FailedAttempt {
  readonly attempt: number
  readonly started?: number
  readonly ended: Point
  readonly error: Failure
  readonly due?: number
}

/**
 * A visit of a node.
 *
 * - `branch`: `""` on the main line
 * - `opened`: the event that made it the next thing to do; what lies between it and `started` was spent in the queue
 * - `started`: when its handler began (milliseconds), which is known once an attempt has ended. A handler that waited, or
 *   whose process died, began more than once: this is the last time
 * - `attempt`: the one it is at, or ended with, from 1; `failures` are those before it
 * - `to`: the nodes it led to, each one once, or `end`
 * - `error`: why it failed, if it did
 * - `progress`: what it reported last
 *
 * @category models
 * @since 0.1.0
 */
export interface VisitEntry {
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly status: NodeStatus
  readonly opened: Point
  readonly started?: number
  readonly ended?: Point
  readonly attempt: number
  readonly failures: ReadonlyArray<FailedAttempt>
  readonly calls: ReadonlyArray<CallEntry>
  readonly waits: ReadonlyArray<WaitEntry>
  readonly to?: ReadonlyArray<string>
  readonly error?: Failure
  readonly progress?: Pick<Of<"progressed">, "done" | "total" | "note">
}

/**
 * Something that happened to the run and to none of its visits: that it changed hands, was paused, was bookmarked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Moment extends Point {
  readonly kind: Kind
  readonly actor?: string
}

/**
 * A way from a node to another, or to `end`, and how often it was taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Edge {
  readonly from: string
  readonly to: string
  readonly count: number
}

/**
 * What a run did, up to the last event that was added. Visits are in the order in which they were opened.
 *
 * @category models
 * @since 0.1.0
 */
export interface Timeline {
  readonly run: string
  readonly status: RunStatus
  readonly visits: ReadonlyArray<VisitEntry>
  readonly moments: ReadonlyArray<Moment>
  readonly edges: ReadonlyArray<Edge>
}

/**
 * A timeline that grows: what is in `timeline` changes with each event that is added.
 *
 * Events are added in the order of the journal. Where that begins in the middle, or with a fork, the state before the
 * first of them tells what was open; without it, visits appear as soon as an event names them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Builder {
  readonly timeline: Timeline
  readonly add: (event: Event) => void
}

/**
 * A timeline to add events to; `before` is the state before the first of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (before?: RunState): Builder => building(before)

/**
 * The timeline of a run so far. With `from` it begins at a position of the journal, with `to` it ends at one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = /* @__PURE__ */ Effect.fnUntraced(function* (
  run: RunLike,
  options: { readonly from?: number | undefined; readonly to?: number | undefined } = {}
): Effect.fn.Return<Timeline, ReadError | InvalidCheckpoint, Runs> {
  const runs = yield* Runs
  const { forkOf, seq } = yield* runs.get(run)
  const { from = 0, to = seq } = options
  const before =
    from > 0
      ? yield* runs.stateAt(run, from - 1)
      : forkOf === undefined
        ? undefined
        : yield* runs.stateAt(forkOf.run, forkOf.seq)
  const builder = make(before)
  yield* Stream.runForEach(runs.events(run, { from, to: Math.min(to, seq) }), (event) =>
    Effect.sync(() => builder.add(event))
  )
  return builder.timeline
})

/**
 * What became of a node: the status of its visits as one (what is open comes first, then how the last one ended), how many
 * there were, and how many attempts they took.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeEntry {
  readonly node: string
  readonly status: NodeStatus
  readonly visits: number
  readonly attempts: number
  readonly first?: number
  readonly last?: number
}

const rank = (status: NodeStatus): number => ["running", "waiting", "pending"].indexOf(status)

/** Whether the status of a visit says more about its node than that of one before it. */
const saysMore = (status: NodeStatus, than: NodeStatus): boolean => {
  const [a, b] = [rank(status), rank(than)]
  return a >= 0 ? b < 0 || a <= b : b < 0
}

/**
 * The nodes of a timeline: first those that are named, which may not have been visited (a flow's manifest has them), then
 * others in the order of their first visits.
 *
 * @category projections
 * @since 0.1.0
 */
export const nodes = (timeline: Timeline, named: Iterable<string> = []): ReadonlyArray<NodeEntry> => {
  const entries = new Map<string, { -readonly [K in keyof NodeEntry]: NodeEntry[K] }>()
  for (const node of named) entries.set(node, { node, status: "pending", visits: 0, attempts: 0 })
  for (const { attempt, ended, node, opened, status } of timeline.visits) {
    let entry = entries.get(node)
    if (entry === undefined) entries.set(node, (entry = { node, status, visits: 0, attempts: 0 }))
    if (entry.visits === 0 || saysMore(status, entry.status)) entry.status = status
    entry.visits += 1
    entry.attempts += attempt
    entry.first ??= opened.time
    if (ended !== undefined) entry.last = Math.max(entry.last ?? 0, ended.time)
  }
  return [...entries.values()]
}
