/**
 * One row of the run index: what lists, searches and workers need to know of a run.
 *
 * A row is a projection of the run's durable events by {@link apply} and holds nothing else, so it cannot disagree
 * with the journal.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Event, Failure } from "./Event.ts"
import { Durability } from "./Event.ts"
import { fanOutId } from "./internal/branch.ts"
import * as Inbox from "./internal/inbox.ts"
import { get } from "./internal/record.ts"
import type { Mutable } from "./internal/record.ts"
import { isTerminal as isTerminalStatus, runStatuses, statusAfter } from "./internal/status.ts"

/**
 * @category schemas
 * @since 0.1.0
 */
export const RunStatus = Schema.Literals(runStatuses)
/**
 * The status of a run.
 *
 * - `pending`: waits for a worker
 * - `running`: a worker executes it
 * - `waiting`: waits for an event, a person, a time or another run
 * - `paused`: stopped at a checkpoint until it is resumed
 * - `cancelling`: is being cancelled; finalizers run
 * - `completed`, `failed`, `cancelled`: ended
 *
 * @category models
 * @since 0.1.0
 */
export type RunStatus = typeof RunStatus.Type

/**
 * Whether a run of this status has ended.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTerminal: (status: RunStatus) => boolean = isTerminalStatus

const optional = Schema.optionalKey

/**
 * A row of the run index. Times are milliseconds since 1970.
 *
 * - `seq`: the position of the run's last event; `epoch`: the fencing token it was written under
 * - `node`: the node the run's main line is in, or ended in; while branches are open, the one that joins them
 * - `steps`: how many visits are done; of a fork, those before it included
 * - `snapshot`: the position of the last complete snapshot
 * - `ended`: the position of the event that ended the run
 * - `open`: how many visits are open; `waiting`: how many of them wait; `waits`: what for
 * - `outbox`: how many messages to other runs are not known to have arrived
 * - `signals`: the names of the signals that are kept if they come early
 * - `codec`: the name of the codec that has sealed the run's values, if one has
 * - `bookmarks`: the checkpoints that were given a name
 * - `progress`: what the run last told of how far it is; `budgets`: what was spent, of how much
 * - `due`: when the earliest open wait is over, or when the run has taken as long as it may
 * - `timeout`, `deadline`: how long the run may take, and until when
 * - `compensating`: the run is going to end as failed or cancelled, and undoes its calls before it does
 * - `undone`: how many calls a run that has ended could not undo; there if it had any to undo
 * - `inbox`: which commands of the run's inboxes are dealt with, by source: all up to a position, and some beyond
 *
 * @category models
 * @since 0.1.0
 */
export const RunInfo = Schema.Struct({
  run: Schema.String,
  flow: Schema.String,
  version: Schema.Int,
  status: RunStatus,
  durability: Durability,
  seq: Schema.Int,
  epoch: Schema.Int,
  steps: Schema.Int,
  createdAt: Schema.Finite,
  updatedAt: Schema.Finite,
  endedAt: optional(Schema.Finite),
  ended: optional(Schema.Int),
  snapshot: optional(Schema.Int),
  node: optional(Schema.String),
  session: optional(Schema.String),
  actor: optional(Schema.String),
  correlation: optional(Schema.String),
  tags: Schema.Array(Schema.String),
  attributes: optional(Schema.Record(Schema.String, Schema.String)),
  parent: optional(Schema.String),
  forkOf: optional(Schema.Struct({ run: Schema.String, seq: Schema.Int })),
  error: optional(
    Schema.Struct({ kind: Schema.String, tag: optional(Schema.String), message: optional(Schema.String) })
  ),
  pause: optional(Schema.String),
  open: Schema.Int,
  waiting: Schema.Int,
  outbox: optional(Schema.Int),
  signals: optional(Schema.Array(Schema.String)),
  codec: optional(Schema.String),
  timeout: optional(Schema.Finite),
  deadline: optional(Schema.Finite),
  compensating: optional(Schema.Literal(true)),
  undone: optional(Schema.Int),
  waits: Schema.Array(
    Schema.Struct({
      wait: Schema.String,
      branch: optional(Schema.String),
      type: Schema.String,
      name: optional(Schema.String),
      key: optional(Schema.String),
      due: optional(Schema.Finite)
    })
  ),
  due: optional(Schema.Finite),
  bookmarks: optional(
    Schema.Array(
      Schema.Struct({ at: Schema.Int, name: Schema.String, tags: optional(Schema.Array(Schema.String)) })
    )
  ),
  progress: optional(
    Schema.Struct({
      node: Schema.String,
      done: Schema.Finite,
      total: Schema.Finite,
      note: optional(Schema.String)
    })
  ),
  budgets: optional(
    Schema.Record(Schema.String, Schema.Struct({ spent: Schema.Finite, limit: Schema.Finite }))
  ),
  inbox: optional(
    Schema.Record(Schema.String, Schema.Struct({ upTo: Schema.Int, beyond: Schema.Array(Schema.Int) }))
  )
})
/**
 * @category models
 * @since 0.1.0
 */
export type RunInfo = typeof RunInfo.Type

const errorOf = (failure: Failure): NonNullable<RunInfo["error"]> => {
  const error: Mutable<NonNullable<RunInfo["error"]>> = { kind: failure.kind }
  if (failure.kind === "error") error.tag = failure.tag
  if (failure.kind === "defect") error.tag = failure.name
  if ("message" in failure && typeof failure.message === "string") error.message = failure.message
  return error
}

const start = (event: Extract<Event, { kind: "created" | "forked" }>): RunInfo => {
  const info: Mutable<RunInfo> = {
    run: event.run,
    flow: event.flow,
    version: event.version,
    status: "pending",
    durability: event.durability ?? "pipelined",
    seq: event.seq,
    epoch: event.epoch,
    steps: event.kind === "forked" ? (event.steps ?? 0) : 0,
    createdAt: event.time,
    updatedAt: event.time,
    tags: event.tags ?? [],
    open: event.kind === "forked" ? (event.open ?? 1) : 1,
    waiting: 0,
    waits: []
  }
  if (event.session !== undefined) info.session = event.session
  if (event.actor !== undefined) info.actor = event.actor
  if (event.correlation !== undefined) info.correlation = event.correlation
  if (event.codec !== undefined) info.codec = event.codec
  if (event.timeout !== undefined) limit(info, event.time, event.timeout)
  if (event.kind === "created") {
    info.node = event.start
    if (event.attributes !== undefined) info.attributes = event.attributes
    if (event.parent !== undefined) info.parent = event.parent.run
    if (event.signals !== undefined) info.signals = event.signals
    if (event.budgets !== undefined) info.budgets = withLimits({}, event.budgets)
  } else {
    info.forkOf = event.from
    if (event.node !== undefined) info.node = event.node
  }
  setDue(info)
  return info
}

const withLimits = (
  budgets: NonNullable<RunInfo["budgets"]>,
  limits: { readonly [budget: string]: number }
): NonNullable<RunInfo["budgets"]> => {
  let changed = budgets
  for (const name of Object.keys(limits)) {
    changed = { ...changed, [name]: { spent: get(budgets, name)?.spent ?? 0, limit: limits[name]! } }
  }
  return changed
}

const limit = (info: Mutable<RunInfo>, now: number, timeout: number): void => {
  info.timeout = timeout
  info.deadline = now + timeout
}

/** When there is something to do for the run. Its own time counts as long as it could still be executed. */
const setDue = (info: Mutable<RunInfo>): void => {
  let due = Number.POSITIVE_INFINITY
  for (const wait of info.waits) if (wait.due !== undefined && wait.due < due) due = wait.due
  const { compensating, deadline, status } = info
  const isTimed = status === "pending" || status === "running" || status === "waiting"
  if (deadline !== undefined && isTimed && compensating === undefined) due = Math.min(due, deadline)
  if (due === Number.POSITIVE_INFINITY) delete info.due
  else info.due = due
}

/** A fan-out ended, and with it so many visits that were open in it. */
const dropBranches = (info: Mutable<RunInfo>, fanOut: string, dropped: number): void => {
  info.open -= dropped
  if (dropped === 0 || info.waits.length === 0) return
  const kept = info.waits.filter(({ branch }) => branch?.startsWith(`${fanOut}.`) !== true)
  if (kept.length === info.waits.length) return
  info.waiting = new Set(kept.map(({ branch }) => branch)).size
  info.waits = kept
}

/** The main line goes on to a node; at the end it stays where it was. */
const leadTo = (info: Mutable<RunInfo>, to: string): void => {
  if (to !== "end") info.node = to
}

/**
 * The row after an event. `info` is `undefined` for the first event of a run and only then.
 *
 * It trusts the order of the events: a store calls it with events that the journal's own checks have let through.
 *
 * @category projections
 * @since 0.1.0
 */
export const apply = (info: RunInfo | undefined, event: Event): RunInfo => {
  if (event.kind === "created" || event.kind === "forked" || info === undefined) {
    if (event.kind === "created" || event.kind === "forked") return start(event)
    throw new TypeError(
      `RunInfo.apply: run ${event.run} begins with a ${event.kind} event at seq ${event.seq}`
    )
  }
  const next: Mutable<RunInfo> = { ...info, seq: event.seq, epoch: event.epoch, updatedAt: event.time }
  const main = !("branch" in event) || event.branch === undefined || event.branch === ""
  if ("command" in event && event.command !== undefined) {
    const { position, source } = event.command
    next.inbox = { ...info.inbox, [source]: Inbox.handle(get(info.inbox ?? {}, source), position) }
  }
  switch (event.kind) {
    case "visited": {
      const to = event.next
      next.steps = info.steps + 1
      if ("to" in to) {
        if (main) leadTo(next, to.to)
        if (to.joins === true) next.open -= 1
      } else if ("join" in to) {
        if (main) leadTo(next, to.join)
        next.open += to.branches.length - 1
      } else next.open -= 1
      break
    }
    case "visitFailed":
      next.steps = info.steps + 1
      if (main) leadTo(next, event.outcome.to)
      if (event.outcome.joins === true || event.outcome.to === "end") next.open -= 1
      break
    case "branchFailed":
      if (event.attempt === undefined)
        dropBranches(next, fanOutId(event.branch ?? "", event.visit), event.dropped ?? 0)
      else next.open -= 1
      break
    case "joined":
      dropBranches(next, event.fanOut, event.dropped ?? 0)
      next.open += 1
      break
    case "sent":
      next.outbox = (info.outbox ?? 0) + 1
      break
    case "delivered":
      if (info.outbox === 1) delete next.outbox
      else next.outbox = (info.outbox ?? 1) - 1
      break
    case "waitOpened": {
      const wait: Mutable<RunInfo["waits"][number]> = { wait: event.wait, type: event.on.type }
      if (!main) wait.branch = event.branch
      if ("name" in event.on) wait.name = event.on.name
      if (event.on.type === "job") wait.name = event.on.id
      if (event.on.type === "run") wait.name = event.on.run
      if (event.on.type === "event" && event.on.key !== undefined) wait.key = event.on.key
      if (info.waits.every((other) => other.branch !== wait.branch)) next.waiting += 1
      if (event.due !== undefined) wait.due = event.due
      next.waits = [...info.waits, wait]
      break
    }
    case "waitEnded":
      next.waits = info.waits.filter((wait) => wait.wait !== event.wait)
      if (next.waits.every(({ branch }) => (branch ?? "") !== (event.branch ?? ""))) next.waiting -= 1
      break
    case "paused":
      next.pause = event.reason.kind
      break
    case "resumed":
    case "cancelRequested":
      delete next.pause
      break
    case "compensating":
      delete next.pause
      next.compensating = true
      if (event.error !== undefined) next.error = errorOf(event.error)
      if (next.waits.length > 0) next.waits = []
      next.waiting = 0
      break
    case "failed":
      delete next.pause
      next.error = errorOf(event.error)
      break
    case "restarted":
      if (info.undone === undefined) {
        delete next.error
        if (info.timeout !== undefined) limit(next, event.time, info.timeout)
      } else next.compensating = true
      delete next.undone
      delete next.ended
      delete next.endedAt
      break
    case "snapshot":
      next.snapshot = event.seq
      break
    case "migrated":
      next.version = event.version
      if (event.signals !== undefined) next.signals = event.signals
      if (info.node !== undefined) next.node = get(event.nodes ?? {}, info.node) ?? info.node
      break
    case "bookmarked": {
      const { at, name, tags } = event
      const others = info.bookmarks?.filter((bookmark) => bookmark.at !== at || bookmark.name !== name) ?? []
      next.bookmarks = [...others, tags === undefined ? { at, name } : { at, name, tags }]
      break
    }
    case "progressed": {
      const { done, node, note, total } = event
      next.progress = note === undefined ? { node, done, total } : { node, done, total, note }
      break
    }
    case "spent":
      next.budgets = { ...info.budgets, [event.budget]: { spent: event.total, limit: event.limit } }
      break
    case "limitsChanged":
      if (event.budgets !== undefined) next.budgets = withLimits(info.budgets ?? {}, event.budgets)
      break
    case "tagged":
      if (event.tags !== undefined) next.tags = [...new Set([...info.tags, ...event.tags])]
      if (event.attributes !== undefined) next.attributes = { ...info.attributes, ...event.attributes }
      break
  }
  next.status = statusAfter(info.status, event, next.waiting, next.open)
  if (isTerminal(next.status) && !isTerminal(info.status)) {
    next.ended = event.seq
    next.endedAt = event.time
    delete next.compensating
    if ("undone" in event && event.undone !== undefined) next.undone = event.undone.length
    if (next.waits.length > 0) next.waits = []
    next.waiting = 0
  }
  if (next.waits !== info.waits || next.status !== info.status || event.kind === "compensating") setDue(next)
  return next
}

/**
 * The last position of an inbox that the run's journal names; 0 if it names none.
 *
 * @category commands
 * @since 0.1.0
 */
export const lastNamed = (info: RunInfo, source: string): number => {
  const handled = get(info.inbox ?? {}, source)
  return handled === undefined ? 0 : Math.max(handled.upTo, ...handled.beyond)
}

/**
 * Whether the run's journal names the command at this position of an inbox.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isHandled = (info: RunInfo, source: string, position: number): boolean =>
  Inbox.isHandled(get(info.inbox ?? {}, source), position)
