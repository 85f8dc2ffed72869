/**
 * How a journal begins: from nothing, or from a checkpoint of another.
 */
import * as HashMap from "effect/HashMap"
import type { Of } from "../Event.ts"
import type { Call, EndedWait, OpenVisit, RunState } from "../RunState.ts"
import * as Cell from "./cell.ts"
import { applyOps } from "./channels.ts"
import { hasCompensated } from "./compensation.ts"
import { illegal } from "./illegal.ts"
import { changeBudgets } from "./notes.ts"
import { define } from "./record.ts"
import type { Mutable } from "./record.ts"
import { isThrough, mainNode, openCount, opened, setVisit, stopWaiting, visitsOf } from "./visits.ts"

/** From now on the run may take so long. */
export const limit = (state: Mutable<RunState>, now: number, timeout: number): void => {
  state.timeout = timeout
  state.deadline = now + timeout
}

export const begin = (event: Of<"created">): RunState => {
  const origin = { run: event.run, seq: event.seq }
  const channels: { [channel: string]: Cell.Cell } = {}
  for (const channel of Object.keys(event.state))
    define(channels, channel, Cell.plain(event.state[channel]!, origin))
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
    open: {},
    branches: HashMap.empty(),
    fanOuts: HashMap.empty(),
    waits: HashMap.empty(),
    waiting: 0,
    signals: [],
    outbox: HashMap.empty(),
    inbox: {},
    steps: 0,
    recoveries: 0,
    restarts: 0,
    durability: event.durability,
    maxSteps: event.maxSteps,
    maxRecoveries: event.maxRecoveries,
    snapshot: { seq: undefined, bytes: 0, since: 0, channels: {} }
  }
  if (event.maxVisits !== undefined) state.maxVisits = event.maxVisits
  if (event.budgets !== undefined) changeBudgets(state, event.budgets)
  setVisit(state, "", opened(state, event, event.start, 1))
  if (event.timeout !== undefined) limit(state, event.time, event.timeout)
  if (event.session !== undefined) state.session = event.session
  if (event.actor !== undefined) state.actor = event.actor
  if (event.correlation !== undefined) state.correlation = event.correlation
  if (event.parent !== undefined) state.parent = event.parent
  if (event.signals !== undefined) state.keeps = event.signals
  if (event.trace !== undefined) state.trace = event.trace
  return state
}

/** What a fork repeats of its origin has to be so: the run index believes it. */
const repeats = <A extends string | number>(what: string, said: A | undefined, is: A | undefined): void => {
  if (said !== undefined && said !== is)
    illegal(`it says that the origin's ${what} is ${said}, which is ${is ?? "none"}`)
}

/** What finished before the fork is served; what had not is the origin's own business. */
const inherited = (origin: RunState, visit: OpenVisit): OpenVisit => {
  /** Positions in another journal: before all of this one, and in their order. */
  const before = (seq: number): number => seq - origin.seq - 1
  const calls = HashMap.map(
    HashMap.filter(visit.calls, (call) => call.status === "completed"),
    ({ again, ...call }): Call => ({
      ...call,
      seq: before(call.seq),
      ended: before(call.ended!),
      ...(again === undefined ? undefined : { again: before(again) })
    })
  )
  const ended: { [wait: string]: EndedWait } = {}
  for (const wait of Object.keys(visit.ended)) {
    const over = visit.ended[wait]!
    define(ended, wait, { ...over, seq: before(over.seq) })
  }
  const slept = visit.slept && {
    slept: HashMap.map(visit.slept, (over) => ({ ...over, seq: before(over.seq) }))
  }
  const after = visit.after === undefined ? undefined : { after: before(visit.after) }
  return {
    ...visit,
    ...after,
    ...slept,
    since: { ...visit.since, seq: before(visit.since.seq) },
    calls,
    ended
  }
}

export const fork = (origin: RunState, event: Of<"forked">): RunState => {
  if (event.from.run !== origin.run || event.from.seq !== origin.seq) {
    illegal(
      `it forks seq ${event.from.seq} of run ${event.from.run}, not seq ${origin.seq} of run ${origin.run}`
    )
  }
  if (event.run === origin.run) illegal("a fork has an id of its own")
  repeats("flow", event.flow, origin.flow)
  repeats("version", event.version, origin.version)
  repeats("node", event.node, mainNode(origin))
  repeats("number of steps", event.steps, origin.steps)
  repeats("number of open visits", event.open, openCount(origin))
  repeats("durability", event.durability, origin.durability)
  repeats("timeout", event.timeout, origin.timeout)
  // What the origin did is the origin's to undo.
  const {
    actor,
    autoRestarts,
    cancel,
    compensating,
    correlation,
    deadline,
    ending,
    parent,
    pause,
    session,
    timeout,
    trace,
    undo,
    ...kept
  } = origin
  if (hasCompensated(origin)) illegal(`run ${origin.run} has undone its calls at seq ${origin.seq}`)
  if (isThrough(origin)) illegal(`nothing is left to execute at seq ${origin.seq} of run ${origin.run}`)
  const state: Mutable<RunState> = {
    ...kept,
    run: event.run,
    seq: event.seq,
    epoch: event.epoch,
    time: Math.max(event.time, origin.time),
    status: "pending",
    channels: applyOps(origin.channels, event.edits, { run: event.run, seq: event.seq }),
    outbox: HashMap.empty(),
    inbox: {},
    recoveries: 0,
    restarts: 0,
    forkOf: event.from,
    snapshot: { ...origin.snapshot, seq: undefined, since: 0 }
  }
  stopWaiting(state)
  for (const [branch, visit] of visitsOf(state)) setVisit(state, branch, inherited(origin, visit))
  if (event.timeout !== undefined) limit(state, event.time, event.timeout)
  if (event.session !== undefined) state.session = event.session
  if (event.actor !== undefined) state.actor = event.actor
  if (event.correlation !== undefined) state.correlation = event.correlation
  if (event.trace !== undefined) state.trace = event.trace
  return state
}
