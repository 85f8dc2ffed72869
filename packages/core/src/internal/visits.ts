/**
 * What events do to open visits, their calls and waits, and the fan-outs they belong to.
 *
 * They work on a copy of the state that nobody has seen; what it holds is shared with the state before, and replaced.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Event, Of, Ops } from "../Event.ts"
import type { Call, EndedWait, FanOut, OpenVisit, OpenWait, RunState } from "../RunState.ts"
import { branchId, fanOutId, fanOutOf } from "./branch.ts"
import * as Cell from "./cell.ts"
import { applyOps } from "./channels.ts"
import { illegal } from "./illegal.ts"
import { define } from "./record.ts"
import type { Mutable } from "./record.ts"

interface InBranch {
  readonly branch?: string
}
interface InVisit extends InBranch {
  readonly node: string
  readonly visit: number
  readonly attempt: number
}
interface OfCall extends InVisit {
  readonly call: string
  readonly tool: string
}

export const branchOf = (event: InBranch): string => event.branch ?? ""

/** The open visit of a branch, or of the main line. */
export const visitIn = (state: RunState, branch: string): OpenVisit | undefined =>
  branch === "" ? state.open[""] : Option.getOrUndefined(HashMap.get(state.branches, branch))

/** All open visits, that of the main line first. */
export function* visitsOf(state: RunState): Generator<readonly [branch: string, visit: OpenVisit]> {
  if (state.open[""] !== undefined) yield ["", state.open[""]]
  yield* state.branches
}

/** Whether nothing is left to execute. */
export const isThrough = (state: RunState): boolean =>
  state.open[""] === undefined && HashMap.isEmpty(state.branches) && HashMap.isEmpty(state.fanOuts)

/** The node that the main line is in, or that joins its branches. */
export const mainNode = (state: RunState): string | undefined => {
  if (state.open[""] !== undefined) return state.open[""].node
  for (const fanOut of HashMap.values(state.fanOuts)) if (fanOut.branch === "") return fanOut.join
  return undefined
}

export const setVisit = (next: Mutable<RunState>, branch: string, visit: OpenVisit): void => {
  if (branch === "") next.open = { "": visit }
  else next.branches = HashMap.set(next.branches, branch, visit)
}

const closeVisit = (next: Mutable<RunState>, branch: string): void => {
  if (branch === "") next.open = {}
  else next.branches = HashMap.remove(next.branches, branch)
}

/** The open visit that an event names, or an error that says what is open instead. */
export const openVisit = (state: RunState, event: InVisit): OpenVisit => {
  const visit = visitIn(state, branchOf(event))
  if (visit === undefined) return illegal(`branch ${JSON.stringify(branchOf(event))} has no open visit`)
  if (visit.node !== event.node || visit.visit !== event.visit || visit.attempt !== event.attempt) {
    return illegal(
      `it belongs to visit ${event.visit} of node ${event.node}, attempt ${event.attempt}; ` +
        `open is visit ${visit.visit} of node ${visit.node}, attempt ${visit.attempt}`
    )
  }
  return visit
}

/** The same for an event that ends the attempt: nothing may be waiting in it any more. */
const endingVisit = (state: RunState, event: InVisit): OpenVisit => {
  const visit = openVisit(state, event)
  return visit.waiting.length === 0 ? visit : illegal(`wait ${visit.waiting[0]} is open`)
}

export const opened = (event: Event, node: string, visit: number): OpenVisit => ({
  node,
  visit,
  attempt: 1,
  since: { seq: event.seq, time: event.time },
  failures: [],
  calls: HashMap.empty(),
  waiting: [],
  ended: {}
})

// -------------------------------------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------------------------------------

const unfinished = (visit: OpenVisit, event: OfCall): Call => {
  const call = Option.getOrUndefined(HashMap.get(visit.calls, event.call))
  if (call === undefined) return illegal(`call ${event.call} was not started`)
  if (call.tool !== event.tool)
    return illegal(`call ${event.call} is one of ${call.tool}, not of ${event.tool}`)
  return call.status === "started" ? call : illegal(`call ${event.call} has ${call.status} already`)
}

const setCall = (next: Mutable<RunState>, event: OfCall, visit: OpenVisit, call: Call): void =>
  setVisit(next, branchOf(event), { ...visit, calls: HashMap.set(visit.calls, event.call, call) })

export const callStarted = (next: Mutable<RunState>, event: Of<"callStarted">): void => {
  const visit = openVisit(next, event)
  if (HashMap.has(visit.calls, event.call)) illegal(`call ${event.call} was started already`)
  const { attempt, seq, time, tool, undoable } = event
  const call: Call = { tool, status: "started", attempt, seq, time, retries: [] }
  setCall(next, event, visit, undoable === undefined ? call : { ...call, undoable })
}

/** Something became of a call that had no result. */
export const callChanged = (
  next: Mutable<RunState>,
  event: Of<"callRepeated"> | Of<"callRetried"> | Of<"callCompleted"> | Of<"callFailed"> | Of<"callReleased">
): void => {
  const visit = openVisit(next, event)
  const { due, released, ...call } = unfinished(visit, event)
  const { time } = event
  switch (event.kind) {
    case "callRepeated":
      return setCall(next, event, visit, { ...call, time })
    case "callRetried":
      return setCall(next, event, visit, {
        ...call,
        ...(released === undefined ? undefined : { released }),
        time,
        due: event.due,
        retries: [...call.retries, { time, error: event.error }]
      })
    case "callCompleted":
      return setCall(next, event, visit, {
        ...call,
        status: "completed",
        time,
        output: event.output,
        retries: []
      })
    case "callFailed":
      return setCall(next, event, visit, { ...call, status: "failed", time, error: event.error, retries: [] })
    case "callReleased":
      return setCall(next, event, visit, {
        ...call,
        ...(due === undefined ? undefined : { due }),
        released: true
      })
  }
}

// -------------------------------------------------------------------------------------------------------------------
// waits
// -------------------------------------------------------------------------------------------------------------------

export const waitOpened = (next: Mutable<RunState>, event: Of<"waitOpened">): void => {
  const visit = openVisit(next, event)
  if (HashMap.has(next.waits, event.wait)) illegal(`wait ${event.wait} is open already`)
  if (Object.hasOwn(visit.ended, event.wait)) illegal(`wait ${event.wait} has ended already`)
  const wait: Mutable<OpenWait> = { branch: branchOf(event), on: event.on, seq: event.seq }
  if (event.schema !== undefined) wait.schema = event.schema
  if (event.due !== undefined) wait.due = event.due
  next.waits = HashMap.set(next.waits, event.wait, wait)
  setVisit(next, wait.branch, { ...visit, waiting: [...visit.waiting, event.wait] })
}

/** The visit that waited finds the outcome when it is executed again. */
export const waitEnded = (next: Mutable<RunState>, event: Of<"waitEnded">): void => {
  const { outcome, seq, time, wait } = event
  const branch = branchOf(event)
  const open = Option.getOrElse(HashMap.get(next.waits, wait), () => illegal(`wait ${wait} is not open`))
  if (open.branch !== branch) illegal(`wait ${wait} belongs to branch ${JSON.stringify(open.branch)}`)
  const visit = visitIn(next, branch)!
  const ended: { [wait: string]: EndedWait } = { ...visit.ended }
  define(ended, wait, { seq, time, outcome })
  next.waits = HashMap.remove(next.waits, wait)
  setVisit(next, branch, { ...visit, waiting: visit.waiting.filter((name) => name !== wait), ended })
}

// -------------------------------------------------------------------------------------------------------------------
// attempts
// -------------------------------------------------------------------------------------------------------------------

/** Whether a call may have taken effect although it counts as failed. */
const isInDoubt = ({ error }: Call): boolean => error?.kind === "interrupted" || error?.kind === "timeout"

/** The next attempt keeps what succeeded and what is in doubt, and asks again for what failed. */
const keptCalls = (calls: OpenVisit["calls"]): OpenVisit["calls"] =>
  HashMap.map(
    HashMap.filter(calls, (call) => call.status !== "failed" || isInDoubt(call)),
    (call): Call => {
      if (call.status !== "failed") return call
      const { error, ...open } = call
      return { ...open, status: "started" }
    }
  )

const nextAttempt = (visit: OpenVisit, failures: OpenVisit["failures"]): OpenVisit => {
  const { due, ...kept } = visit
  const ended: { [wait: string]: EndedWait } = {}
  for (const wait of Object.keys(visit.ended)) {
    if ("value" in visit.ended[wait]!.outcome) define(ended, wait, visit.ended[wait]!)
  }
  return {
    ...kept,
    attempt: visit.attempt + 1,
    failures,
    calls: keptCalls(visit.calls),
    ended
  }
}

export const attemptFailed = (next: Mutable<RunState>, event: Of<"attemptFailed">): void => {
  const visit = endingVisit(next, event)
  const failed = { time: event.time, error: event.error }
  if (event.restart) next.autoRestarts = [...(next.autoRestarts ?? []), failed]
  // After a restart the node's retry policy begins anew.
  const failures = event.restart ? [] : [...visit.failures, failed]
  setVisit(next, branchOf(event), { ...nextAttempt(visit, failures), due: event.due })
}

/** All open visits get another attempt, and their retry policies begin anew. */
export const restart = (next: Mutable<RunState>): void => {
  if (isThrough(next)) illegal("nothing is left to execute")
  for (const [branch, visit] of visitsOf(next)) setVisit(next, branch, nextAttempt(visit, []))
}

/** The run has ended, and nothing waits any more. */
export const stopWaiting = (next: Mutable<RunState>): void => {
  if (HashMap.isEmpty(next.waits)) return
  next.waits = HashMap.empty()
  for (const [branch, visit] of visitsOf(next)) {
    if (visit.waiting.length > 0) setVisit(next, branch, { ...visit, waiting: [] })
  }
}

// -------------------------------------------------------------------------------------------------------------------
// visits and fan-outs
// -------------------------------------------------------------------------------------------------------------------

const fanOutIn = (state: RunState, id: string): FanOut =>
  Option.getOrElse(HashMap.get(state.fanOuts, id), () => illegal(`fan-out ${id} is not open`))

/** Records an update: in the channels on the main line, with the branch's own updates inside a fan-out. */
const update = (next: Mutable<RunState>, branch: string, ops: Ops | undefined, event: Event): void => {
  const id = fanOutOf(branch)
  if (id === undefined) {
    next.channels = applyOps(next.channels, ops, { run: event.run, seq: event.seq })
    return
  }
  const fanOut = fanOutIn(next, id)
  if (ops === undefined) return
  const before = Option.getOrElse(HashMap.get(fanOut.updates, branch), () => Cell.list<Ops>([]))
  const updates = HashMap.set(fanOut.updates, branch, Cell.append(before, [ops])!)
  next.fanOuts = HashMap.set(next.fanOuts, id, { ...fanOut, updates })
}

/** The branch leaves a visit for another node, for the join of its fan-out, or for the end of the run. */
const leave = (
  next: Mutable<RunState>,
  event: Of<"visited"> | Of<"visitFailed">,
  visit: OpenVisit,
  to: string
): void => {
  const branch = branchOf(event)
  const id = fanOutOf(branch)
  const fanOut = id === undefined ? undefined : fanOutIn(next, id)
  if (to === "end") {
    if (branch !== "") illegal("a branch cannot end the run")
    closeVisit(next, branch)
  } else if (fanOut?.join === to) {
    closeVisit(next, branch)
    next.fanOuts = HashMap.set(next.fanOuts, id!, { ...fanOut, open: fanOut.open - 1 })
  } else setVisit(next, branch, opened(event, to, visit.visit + 1))
}

const finished = (next: Mutable<RunState>): void => {
  next.steps += 1
  next.recoveries = 0
}

export const visited = (next: Mutable<RunState>, event: Of<"visited">): void => {
  const visit = endingVisit(next, event)
  const branch = branchOf(event)
  finished(next)
  update(next, branch, event.ops, event)
  if ("to" in event.next) return leave(next, event, visit, event.next.to)
  if ("end" in event.next) return leave(next, event, visit, "end")
  const { branches, join } = event.next
  const id = fanOutId(branch, event.visit)
  closeVisit(next, branch)
  branches.forEach(({ item, node }, index) => {
    const first = opened(event, node, 1)
    setVisit(next, branchId(id, index), item === undefined ? first : { ...first, item })
  })
  next.fanOuts = HashMap.set(next.fanOuts, id, {
    branch,
    visit: event.visit,
    join,
    open: branches.length,
    updates: HashMap.empty()
  })
}

export const visitFailed = (next: Mutable<RunState>, event: Of<"visitFailed">): void => {
  const visit = endingVisit(next, event)
  finished(next)
  leave(next, event, visit, event.outcome.to)
}

export const joined = (next: Mutable<RunState>, event: Of<"joined">): void => {
  const fanOut = fanOutIn(next, event.fanOut)
  if (fanOut.branch !== branchOf(event)) {
    illegal(`fan-out ${event.fanOut} belongs to branch ${JSON.stringify(fanOut.branch)}`)
  }
  if (fanOut.open > 0) illegal(`${fanOut.open} branches of fan-out ${event.fanOut} are open`)
  next.fanOuts = HashMap.remove(next.fanOuts, event.fanOut)
  update(next, fanOut.branch, event.ops, event)
  setVisit(next, fanOut.branch, opened(event, fanOut.join, fanOut.visit + 1))
}
