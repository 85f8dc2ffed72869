/**
 * The fold: what each event does to the state of a run.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { CommandRef, Event, Of, Op, Ops } from "../Event.ts"
import type { Call, Ending, OpenVisit, OpenWait, RunState, SnapshotState } from "../RunState.ts"
import { branchId, fanOutId, fanOutOf } from "./branch.ts"
import * as Cell from "./cell.ts"
import * as Inbox from "./inbox.ts"
import type { SnapshotHead } from "./snapshotHead.ts"
import { isTerminal, statusAfter } from "./status.ts"

/** Carries the detail of an `IllegalEvent` out of the nested functions of the fold. */
export class Illegal extends Error {}

export const illegal = (detail: string): never => {
  throw new Illegal(detail)
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const without = <A>(record: { readonly [key: string]: A }, key: string): { readonly [key: string]: A } => {
  const copy = { ...record }
  delete copy[key]
  return copy
}

/**
 * A channel after an operation; a cell of its own, whatever else shares its content.
 */
const applyOp = (channel: string, cell: Cell.Cell | undefined, op: Op, origin: Cell.Origin): Cell.Cell => {
  if ("set" in op) return Cell.plain(op.set, origin)
  if ("append" in op) {
    const next = cell === undefined ? Cell.list([...op.append]) : Cell.append(cell, op.append)
    return next ?? illegal(`channel ${JSON.stringify(channel)} holds no list to append to`)
  }
  if ("merge" in op) {
    const next = cell === undefined ? Cell.record(Object.entries(op.merge)) : Cell.merge(cell, op.merge)
    return next ?? illegal(`channel ${JSON.stringify(channel)} holds no record to merge into`)
  }
  if ("add" in op) {
    const value = cell === undefined ? 0 : cell._tag === "Plain" ? cell.value : undefined
    return typeof value === "number"
      ? Cell.plain(value + op.add)
      : illegal(`channel ${JSON.stringify(channel)} holds no number to add to`)
  }
  return Cell.plain(null)
}

/**
 * Channels after operations. An `unset` channel is absent.
 */
const applyOps = (
  channels: RunState["channels"],
  ops: Ops | undefined,
  origin: Cell.Origin
): RunState["channels"] => {
  if (ops === undefined) return channels
  const next: Mutable<RunState["channels"]> = { ...channels }
  for (const channel of Object.keys(ops)) {
    const op = ops[channel]!
    if ("unset" in op) delete next[channel]
    else next[channel] = applyOp(channel, Object.hasOwn(channels, channel) ? channels[channel] : undefined, op, origin)
  }
  return next
}

const branchOf = (event: { readonly branch?: string }): string => event.branch ?? ""

/** The open visit that an event names, or an error that says what is open instead. */
const openVisit = (
  state: RunState,
  event: { readonly branch?: string; readonly node: string; readonly visit: number; readonly attempt: number }
): OpenVisit => {
  const visit = state.open[branchOf(event)]
  if (visit === undefined) return illegal(`branch ${JSON.stringify(branchOf(event))} has no open visit`)
  if (visit.node !== event.node || visit.visit !== event.visit || visit.attempt !== event.attempt) {
    return illegal(
      `it belongs to visit ${event.visit} of node ${event.node}, attempt ${event.attempt}; ` +
        `open is visit ${visit.visit} of node ${visit.node}, attempt ${visit.attempt}`
    )
  }
  return visit
}

const opened = (event: Event, node: string, visit: number): OpenVisit => ({
  node,
  visit,
  attempt: 1,
  since: { seq: event.seq, time: event.time },
  failures: [],
  calls: HashMap.empty()
})

const callOf = (visit: OpenVisit, event: { readonly call: string; readonly tool: string }): Call => {
  const call = Option.getOrUndefined(HashMap.get(visit.calls, event.call))
  if (call === undefined) return illegal(`call ${event.call} was not started`)
  if (call.tool !== event.tool) return illegal(`call ${event.call} is one of ${call.tool}, not of ${event.tool}`)
  return call
}

const unfinished = (visit: OpenVisit, event: { readonly call: string; readonly tool: string }): Call => {
  const call = callOf(visit, event)
  return call.status === "started" ? call : illegal(`call ${event.call} has ${call.status} already`)
}

/** The next attempt keeps what succeeded and what is in doubt, and asks again for what failed. */
const callsForNextAttempt = (calls: OpenVisit["calls"]): OpenVisit["calls"] =>
  HashMap.filter(calls, (call) => call.status !== "failed")

const withVisit = (state: RunState, branch: string, visit: OpenVisit): RunState["open"] => ({
  ...state.open,
  [branch]: visit
})

const withCall = (
  state: RunState,
  event: { readonly branch?: string; readonly call: string },
  visit: OpenVisit,
  call: Call
): RunState["open"] =>
  withVisit(state, branchOf(event), { ...visit, calls: HashMap.set(visit.calls, event.call, call) })

const handled = (inbox: RunState["inbox"], command: CommandRef): RunState["inbox"] =>
  Inbox.isHandled(inbox[command.source], command.position)
    ? illegal(`command ${command.id} was dealt with already`)
    : { ...inbox, [command.source]: Inbox.handle(inbox[command.source], command.position) }

const leave = (
  state: RunState,
  next: Mutable<RunState>,
  event: Of<"visited"> | Of<"visitFailed">,
  visit: OpenVisit,
  to: string
): void => {
  const branch = branchOf(event)
  const fanOut = fanOutOf(branch)
  const open = fanOut === undefined ? undefined : state.fanOuts[fanOut]
  if (fanOut !== undefined && open === undefined) illegal(`fan-out ${fanOut} is not open`)
  if (to === "end") {
    if (branch !== "") illegal("a branch cannot end the run")
    next.open = without(state.open, branch)
  } else if (open !== undefined && open.join === to) {
    next.open = without(state.open, branch)
    next.fanOuts = { ...next.fanOuts, [fanOut!]: { ...next.fanOuts[fanOut!]!, open: open.open - 1 } }
  } else next.open = withVisit(state, branch, opened(event, to, visit.visit + 1))
}

/** Records an update: in the channels on the main line, with the branch's own updates inside a fan-out. */
const update = (state: RunState, next: Mutable<RunState>, branch: string, ops: Ops | undefined, event: Event): void => {
  const fanOut = fanOutOf(branch)
  if (fanOut === undefined) {
    next.channels = applyOps(state.channels, ops, { run: event.run, seq: event.seq })
    return
  }
  const open = state.fanOuts[fanOut] ?? illegal(`fan-out ${fanOut} is not open`)
  if (ops === undefined) return
  const before = Option.getOrUndefined(HashMap.get(open.updates, branch)) ?? []
  next.fanOuts = { ...state.fanOuts, [fanOut]: { ...open, updates: HashMap.set(open.updates, branch, [...before, ops]) } }
}

const visited = (state: RunState, next: Mutable<RunState>, event: Of<"visited">): void => {
  const visit = openVisit(state, event)
  const branch = branchOf(event)
  next.steps = state.steps + 1
  next.recoveries = 0
  update(state, next, branch, event.ops, event)
  if ("to" in event.next) leave(state, next, event, visit, event.next.to)
  else if ("end" in event.next) {
    if (branch !== "") illegal("a branch cannot end the run")
    next.open = without(state.open, branch)
  } else {
    const id = fanOutId(branch, event.visit)
    const open: Mutable<RunState["open"]> = { ...without(state.open, branch) }
    event.next.branches.forEach((target, index) => {
      const first = opened(event, target.node, 1)
      open[branchId(id, index)] = target.item === undefined ? first : { ...first, item: target.item }
    })
    next.open = open
    next.fanOuts = {
      ...next.fanOuts,
      [id]: {
        branch,
        visit: event.visit,
        join: event.next.join,
        open: event.next.branches.length,
        updates: HashMap.empty()
      }
    }
  }
}

const joined = (state: RunState, next: Mutable<RunState>, event: Of<"joined">): void => {
  const fanOut = state.fanOuts[event.fanOut] ?? illegal(`fan-out ${event.fanOut} is not open`)
  if (fanOut.branch !== branchOf(event)) illegal(`fan-out ${event.fanOut} belongs to branch ${fanOut.branch}`)
  if (fanOut.open > 0) illegal(`${fanOut.open} branches of fan-out ${event.fanOut} are open`)
  next.fanOuts = without(state.fanOuts, event.fanOut)
  update({ ...state, fanOuts: next.fanOuts }, next, fanOut.branch, event.ops, event)
  next.open = withVisit(state, fanOut.branch, opened(event, fanOut.join, fanOut.visit + 1))
}

const snapshotTaken = (state: RunState, event: Of<"snapshot">): SnapshotState => {
  const parts = (event.head as unknown as SnapshotHead).channels
  const channels: Mutable<SnapshotState["channels"]> = {}
  for (const channel of Object.keys(parts)) {
    const cell = state.channels[channel]
    if (cell === undefined) illegal(`the snapshot holds channel ${JSON.stringify(channel)}, which the state does not have`)
    else channels[channel] = { cell, parts: parts[channel]!.parts ?? [] }
  }
  return { seq: event.seq, bytes: event.bytes, since: 0, channels }
}

export const begin = (event: Of<"created">): RunState => {
  const origin = { run: event.run, seq: event.seq }
  const channels: Mutable<RunState["channels"]> = {}
  for (const channel of Object.keys(event.state)) channels[channel] = Cell.plain(event.state[channel]!, origin)
  const state: Mutable<RunState> = {
    run: event.run,
    flow: event.flow,
    version: event.version,
    fingerprint: event.fingerprint,
    seq: event.seq,
    epoch: event.epoch,
    time: event.time,
    status: "pending",
    input: Cell.plain(event.input, origin),
    channels,
    open: { "": opened(event, event.start, 1) },
    fanOuts: {},
    waits: {},
    outbox: {},
    inbox: {},
    steps: 0,
    recoveries: 0,
    restarts: 0,
    durability: event.durability,
    maxSteps: event.maxSteps,
    maxRecoveries: event.maxRecoveries,
    snapshot: { seq: undefined, bytes: 0, since: 0, channels: {} }
  }
  if (event.session !== undefined) state.session = event.session
  if (event.actor !== undefined) state.actor = event.actor
  if (event.correlation !== undefined) state.correlation = event.correlation
  if (event.parent !== undefined) state.parent = event.parent
  if (event.trace !== undefined) state.trace = event.trace
  return state
}

export const fork = (origin: RunState, event: Of<"forked">): RunState => {
  if (event.from.run !== origin.run || event.from.seq !== origin.seq) {
    illegal(`it forks seq ${event.from.seq} of run ${event.from.run}, not seq ${origin.seq} of run ${origin.run}`)
  }
  const { ending, pause, cancel, parent, trace, ...kept } = origin
  const open: Mutable<RunState["open"]> = {}
  for (const branch of Object.keys(origin.open)) {
    const visit = origin.open[branch]!
    open[branch] = {
      ...visit,
      // What finished before the fork is served; what had not is the origin's own business.
      calls: HashMap.filter(visit.calls, (call) => call.status === "completed")
    }
  }
  const state: Mutable<RunState> = {
    ...kept,
    run: event.run,
    seq: event.seq,
    epoch: event.epoch,
    time: Math.max(event.time, origin.time),
    status: "pending",
    channels: applyOps(origin.channels, event.edits, { run: event.run, seq: event.seq }),
    open,
    waits: {},
    outbox: {},
    inbox: {},
    recoveries: 0,
    restarts: 0,
    forkOf: event.from,
    snapshot: { ...origin.snapshot, seq: undefined, since: 0 }
  }
  if (event.session !== undefined) state.session = event.session
  if (event.actor !== undefined) state.actor = event.actor
  if (event.correlation !== undefined) state.correlation = event.correlation
  if (event.trace !== undefined) state.trace = event.trace
  return state
}

export const step = (state: RunState, event: Event, bytes: number): RunState => {
  if (event.run !== state.run) illegal(`it belongs to run ${event.run}`)
  if (event.seq !== state.seq + 1) illegal(`seq ${state.seq + 1} was expected`)
  if (event.time < state.time) illegal(`its time ${event.time} is before ${state.time}, that of the event before it`)
  if (event.kind !== "claimed" && event.epoch !== state.epoch) {
    illegal(`it was written under epoch ${event.epoch}, while the run is in epoch ${state.epoch}`)
  }
  if (
    isTerminal(state.status) &&
    event.kind !== "restarted" &&
    event.kind !== "annotated" &&
    event.kind !== "bookmarked" &&
    event.kind !== "commandIgnored" &&
    event.kind !== "claimed"
  ) {
    illegal(`the run has ${state.status} already`)
  }
  if (state.status === "paused" && (event.kind === "visited" || event.kind === "callStarted")) {
    illegal("the run is paused")
  }
  const next: Mutable<RunState> = { ...state, seq: event.seq, epoch: event.epoch, time: event.time }
  next.snapshot = { ...state.snapshot, since: state.snapshot.since + bytes }
  if ("command" in event && event.command !== undefined) next.inbox = handled(state.inbox, event.command)
  switch (event.kind) {
    case "created":
    case "forked":
      return illegal("a journal begins with it and holds it once")
    case "claimed":
      if (event.epoch <= state.epoch) illegal(`epoch ${event.epoch} does not follow epoch ${state.epoch}`)
      if (event.previous.epoch !== state.epoch || event.previous.seq !== state.seq) {
        illegal(`it takes over epoch ${event.previous.epoch} at seq ${event.previous.seq}`)
      }
      if (event.cause === "crash" && !isTerminal(state.status)) next.recoveries = state.recoveries + 1
      if (event.trace !== undefined) next.trace = event.trace
      break
    case "visited":
      visited(state, next, event)
      break
    case "visitFailed": {
      const visit = openVisit(state, event)
      next.steps = state.steps + 1
      next.recoveries = 0
      leave(state, next, event, visit, event.outcome.to)
      break
    }
    case "attemptFailed": {
      const visit = openVisit(state, event)
      next.open = withVisit(state, branchOf(event), {
        ...visit,
        attempt: visit.attempt + 1,
        failures: [...visit.failures, { time: event.time, error: event.error }],
        calls: callsForNextAttempt(visit.calls),
        due: event.due
      })
      break
    }
    case "callStarted": {
      const visit = openVisit(state, event)
      if (HashMap.has(visit.calls, event.call)) illegal(`call ${event.call} was started already`)
      next.open = withCall(state, event, visit, {
        tool: event.tool,
        status: "started",
        attempt: event.attempt,
        seq: event.seq,
        time: event.time,
        retries: []
      })
      break
    }
    case "callRepeated": {
      const visit = openVisit(state, event)
      const { due, released, ...call } = unfinished(visit, event)
      next.open = withCall(state, event, visit, { ...call, time: event.time })
      break
    }
    case "callRetried": {
      const visit = openVisit(state, event)
      const call = unfinished(visit, event)
      next.open = withCall(state, event, visit, {
        ...call,
        time: event.time,
        due: event.due,
        retries: [...call.retries, { time: event.time, error: event.error }]
      })
      break
    }
    case "callCompleted": {
      const visit = openVisit(state, event)
      const { due, released, ...call } = unfinished(visit, event)
      next.open = withCall(state, event, visit, {
        ...call,
        status: "completed",
        time: event.time,
        output: event.output,
        retries: []
      })
      break
    }
    case "callFailed": {
      const visit = openVisit(state, event)
      const { due, released, ...call } = unfinished(visit, event)
      next.open = withCall(state, event, visit, {
        ...call,
        status: "failed",
        time: event.time,
        error: event.error,
        retries: []
      })
      break
    }
    case "callReleased": {
      const visit = openVisit(state, event)
      next.open = withCall(state, event, visit, { ...unfinished(visit, event), released: true })
      break
    }
    case "waitOpened": {
      openVisit(state, event)
      if (Object.hasOwn(state.waits, event.wait)) illegal(`wait ${event.wait} is open already`)
      const wait: Mutable<OpenWait> = { branch: branchOf(event), on: event.on, seq: event.seq }
      if (event.schema !== undefined) wait.schema = event.schema
      if (event.due !== undefined) wait.due = event.due
      next.waits = { ...state.waits, [event.wait]: wait }
      break
    }
    case "waitEnded":
      if (!Object.hasOwn(state.waits, event.wait)) illegal(`wait ${event.wait} is not open`)
      next.waits = without(state.waits, event.wait)
      break
    case "joined":
      joined(state, next, event)
      break
    case "sent":
      if (Object.hasOwn(state.outbox, event.message)) illegal(`message ${event.message} was sent already`)
      next.outbox = { ...state.outbox, [event.message]: { to: event.to, body: event.body } }
      break
    case "delivered":
      if (!Object.hasOwn(state.outbox, event.message)) illegal(`message ${event.message} was not sent`)
      next.outbox = without(state.outbox, event.message)
      break
    case "paused":
      next.pause = event.reason
      break
    case "resumed":
      if (state.status !== "paused") illegal(`the run is ${state.status}, not paused`)
      delete next.pause
      break
    case "cancelRequested":
      delete next.pause
      next.cancel = event.reason
      break
    case "cancelled":
      if (state.status !== "cancelling") illegal(`the run is ${state.status}; cancelRequested comes first`)
      next.ending = { status: "cancelled", reason: event.reason }
      next.waits = {}
      break
    case "completed":
      if (Object.keys(state.open).length > 0) illegal("the run has open visits")
      next.ending = { status: "completed", output: event.output }
      break
    case "failed": {
      const ending: Mutable<Extract<Ending, { status: "failed" }>> = { status: "failed", error: event.error }
      if (event.node !== undefined) ending.node = event.node
      if (event.visit !== undefined) ending.visit = event.visit
      next.ending = ending
      next.waits = {}
      break
    }
    case "restarted": {
      if (state.status !== "failed") illegal(`the run is ${state.status}, not failed`)
      delete next.ending
      const open: Mutable<RunState["open"]> = {}
      for (const branch of Object.keys(state.open)) {
        const { due, ...visit } = state.open[branch]!
        open[branch] = {
          ...visit,
          attempt: visit.attempt + 1,
          failures: [],
          calls: callsForNextAttempt(visit.calls)
        }
      }
      next.open = open
      next.restarts = state.restarts + 1
      next.recoveries = 0
      next.channels = applyOps(state.channels, event.edits, { run: event.run, seq: event.seq })
      break
    }
    case "snapshot":
      next.snapshot = snapshotTaken(state, event)
      break
    case "migrated":
      if (event.from.version !== state.version || event.from.fingerprint !== state.fingerprint) {
        illegal(`it migrates version ${event.from.version}, while the run is at version ${state.version}`)
      }
      next.version = event.version
      next.fingerprint = event.fingerprint
      next.channels = applyOps(state.channels, event.ops, { run: event.run, seq: event.seq })
      break
    case "snapshotPart":
    case "commandIgnored":
    case "annotated":
    case "bookmarked":
      break
  }
  next.status = statusAfter(state.status, event, Object.keys(next.waits).length)
  return next
}
