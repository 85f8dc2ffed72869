/**
 * What events do to open visits, their calls and waits, and the fan-outs they belong to.
 *
 * They work on a copy of the state that nobody has seen; what it holds is shared with the state before, and replaced.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Event, Of, Ops } from "../Event.ts"
import type {
  BranchStarts,
  BranchUpdate,
  Call,
  EndedBranch,
  EndedWait,
  FanOut,
  OpenVisit,
  OpenWait,
  RunState,
  Slept
} from "../RunState.ts"
import { branchId, branchOfFanOut, fanOutId, fanOutOf, indexOf } from "./branch.ts"
import * as Cell from "./cell.ts"
import { applyOps } from "./channels.ts"
import { illegal } from "./illegal.ts"
import { define, get } from "./record.ts"
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
export const mainNode = (state: RunState): string | undefined =>
  state.open[""]?.node ?? fanOutBy(state, "")?.join

/** How many visits are open. */
export const openCount = (state: RunState): number =>
  (state.open[""] === undefined ? 0 : 1) + HashMap.size(state.branches)

/** The open fan-out that a branch made. */
export const fanOutBy = (state: RunState, branch: string): FanOut | undefined =>
  Option.getOrUndefined(HashMap.get(state.fanOuts, branch))

/** The open fan-out that a branch belongs to. */
export const fanOutAround = (state: RunState, branch: string): FanOut | undefined => {
  const id = fanOutOf(branch)
  return id === undefined ? undefined : fanOutBy(state, branchOfFanOut(id))
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

/** A new visit; of a node that may not be visited any number of times, it is counted. */
export const opened = (next: Mutable<RunState>, event: Event, node: string, visit: number): OpenVisit => {
  const fresh: OpenVisit = {
    node,
    visit,
    attempt: 1,
    since: { seq: event.seq, time: event.time },
    failures: [],
    calls: HashMap.empty(),
    waiting: [],
    ended: {}
  }
  if (next.maxVisits === undefined || !Object.hasOwn(next.maxVisits, node)) return fresh
  const nth = (get(next.visits ?? {}, node) ?? 0) + 1
  next.visits = { ...next.visits, [node]: nth }
  return { ...fresh, nth }
}

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

/** Whether what stands at a position happened in the attempt that the visit is in. */
export const isOfAttempt = ({ after }: OpenVisit, seq: number): boolean => after === undefined || seq > after

/** Where the attempt that a visit is in asked for a call; `undefined` if it is not known to have done so. */
export const askedFor = (visit: OpenVisit, { again, attempt, ended, seq }: Call): number | undefined => {
  if (attempt === visit.attempt) return seq
  if (again !== undefined && isOfAttempt(visit, again)) return again
  // It is not known of all, but that it was before it ended.
  return ended !== undefined && isOfAttempt(visit, ended) ? ended - 0.5 : undefined
}

const endOf = (call: Call, { seq: ended, time }: Of<"callCompleted" | "callFailed">) =>
  time > call.time ? { time, ended } : { time, ended, atOnce: true as const }

/** Something became of a call that had no result. */
export const callChanged = (
  next: Mutable<RunState>,
  event: Of<"callRepeated"> | Of<"callRetried"> | Of<"callCompleted"> | Of<"callFailed"> | Of<"callReleased">
): void => {
  const visit = openVisit(next, event)
  const { due, released, ...call } = unfinished(visit, event)
  const { time } = event
  switch (event.kind) {
    case "callRepeated": {
      const isKnown = askedFor(visit, call) !== undefined
      return setCall(next, event, visit, isKnown ? { ...call, time } : { ...call, time, again: event.seq })
    }
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
        ...endOf(call, event),
        status: "completed",
        output: event.output,
        retries: []
      })
    case "callFailed":
      return setCall(next, event, visit, {
        ...call,
        ...endOf(call, event),
        status: "failed",
        error: event.error,
        ...(event.undecided === undefined ? undefined : { undecided: true }),
        retries: []
      })
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
  if (event.race !== undefined) wait.race = event.race
  if (event.schema !== undefined) wait.schema = event.schema
  if (event.due !== undefined) wait.due = event.due
  next.waits = HashMap.set(next.waits, event.wait, wait)
  if (visit.waiting.length === 0) next.waiting += 1
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
  const waiting = visit.waiting.filter((name) => name !== wait)
  if (waiting.length === 0) next.waiting -= 1
  if (event.signal !== undefined) {
    const kept = next.signals.filter((signal) => signal.seq !== event.signal)
    if (kept.length === next.signals.length) illegal(`signal ${event.signal} is not kept`)
    next.signals = kept
  }
  setVisit(next, branch, { ...visit, waiting, ended })
}

/** The handler finds its sleep over when it is executed again. */
export const slept = (next: Mutable<RunState>, event: Of<"slept">): void => {
  const { seq, sleep, time } = event
  const visit = openVisit(next, event)
  const before = visit.slept ?? HashMap.empty<string, Slept>()
  if (HashMap.has(before, sleep)) illegal(`sleep ${sleep} has ended already`)
  setVisit(next, branchOf(event), { ...visit, slept: HashMap.set(before, sleep, { seq, time }) })
}

// -------------------------------------------------------------------------------------------------------------------
// attempts
// -------------------------------------------------------------------------------------------------------------------

/** Whether a call may have taken effect although it counts as failed. */
const failedInDoubt = ({ error, undecided }: Call): boolean =>
  undecided === true ||
  error?.kind === "interrupted" ||
  error?.kind === "timeout" ||
  (error?.kind === "inDoubt" && error.undecided === true)

/** Whether the next attempt would find the call in doubt. */
export const staysInDoubt = (call: Call): boolean => call.status === "started" || failedInDoubt(call)

/** The next attempt keeps what succeeded and what is in doubt, and asks again for what failed. */
const keptCalls = (calls: OpenVisit["calls"]): OpenVisit["calls"] =>
  HashMap.map(
    HashMap.filter(calls, (call) => call.status !== "failed" || failedInDoubt(call)),
    (call): Call => {
      if (call.status !== "failed") return call
      const { atOnce, ended, error, undecided, ...open } = call
      return { ...open, status: "started" }
    }
  )

const nextAttempt = (after: number, visit: OpenVisit, failures: OpenVisit["failures"]): OpenVisit => {
  const { due, slept, ...kept } = visit
  const ended: { [wait: string]: EndedWait } = {}
  for (const wait of Object.keys(visit.ended)) {
    if ("value" in visit.ended[wait]!.outcome) define(ended, wait, visit.ended[wait]!)
  }
  return {
    ...kept,
    attempt: visit.attempt + 1,
    after,
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
  setVisit(next, branchOf(event), { ...nextAttempt(event.seq, visit, failures), due: event.due })
}

/** All open visits get another attempt, and their retry policies begin anew. */
export const restart = (next: Mutable<RunState>): void => {
  if (isThrough(next)) illegal("nothing is left to execute")
  for (const [branch, visit] of visitsOf(next)) setVisit(next, branch, nextAttempt(next.seq, visit, []))
}

/** The run has ended, and nothing waits any more. */
export const stopWaiting = (next: Mutable<RunState>): void => {
  if (HashMap.isEmpty(next.waits)) return
  next.waits = HashMap.empty()
  next.waiting = 0
  for (const [branch, visit] of visitsOf(next)) {
    if (visit.waiting.length > 0) setVisit(next, branch, { ...visit, waiting: [] })
  }
}

// -------------------------------------------------------------------------------------------------------------------
// visits and fan-outs
// -------------------------------------------------------------------------------------------------------------------

/** Records an update: in the channels on the main line, with the branch's own updates inside a fan-out. */
const update = (
  next: Mutable<RunState>,
  branch: string,
  node: string,
  ops: Ops | undefined,
  event: Event
): void => {
  if (branch === "") {
    next.channels = applyOps(next.channels, ops, { run: event.run, seq: event.seq })
    return
  }
  if (ops === undefined) return
  const fanOut = fanOutAround(next, branch)!
  const before = Option.getOrElse(HashMap.get(fanOut.updates, branch), () => Cell.list<BranchUpdate>([]))
  const updates = HashMap.set(fanOut.updates, branch, Cell.append(before, [{ node, ops }])!)
  setFanOut(next, branchOfFanOut(fanOut.id), { ...fanOut, updates })
}

const setFanOut = (next: Mutable<RunState>, branch: string, fanOut: FanOut): void => {
  next.fanOuts = HashMap.set(next.fanOuts, branch, fanOut)
}

/** The branch is through: with its updates, or without them if it failed. */
const endBranch = (next: Mutable<RunState>, branch: string, ended: EndedBranch): void => {
  const fanOut = fanOutAround(next, branch)!
  setFanOut(next, branchOfFanOut(fanOut.id), {
    ...fanOut,
    ended: Cell.append(fanOut.ended, [ended])!,
    completed: fanOut.completed + (ended.error === undefined ? 1 : 0),
    updates: ended.error === undefined ? fanOut.updates : HashMap.remove(fanOut.updates, branch)
  })
}

/** The branch leaves a visit for another node, for the join of its fan-out, or for the end of the run. */
const leave = (
  next: Mutable<RunState>,
  event: Of<"visited"> | Of<"visitFailed">,
  visit: OpenVisit,
  to: string,
  joins: true | undefined
): void => {
  const branch = branchOf(event)
  const isJoin = fanOutAround(next, branch)?.join === to
  if (isJoin !== (joins === true)) illegal(`${to} is ${isJoin ? "" : "not "}the join of its fan-out`)
  if (to === "end") {
    if (branch !== "") illegal("a branch cannot end the run")
    closeVisit(next, branch)
  } else if (isJoin) {
    closeVisit(next, branch)
    endBranch(next, branch, { index: indexOf(branch), node: visit.node })
  } else setVisit(next, branch, opened(next, event, to, visit.visit + 1))
}

const finished = (next: Mutable<RunState>): void => {
  next.steps += 1
  next.recoveries = 0
}

export const visited = (next: Mutable<RunState>, event: Of<"visited">): void => {
  const visit = endingVisit(next, event)
  const branch = branchOf(event)
  finished(next)
  update(next, branch, visit.node, event.ops, event)
  if ("to" in event.next) return leave(next, event, visit, event.next.to, event.next.joins)
  if ("end" in event.next) return leave(next, event, visit, "end", undefined)
  const { branches, concurrency, join, policy } = event.next
  const id = fanOutId(branch, event.visit)
  closeVisit(next, branch)
  const starts: Array<Mutable<BranchStarts>> = []
  branches.forEach(({ item, node }, index) => {
    const last = starts[starts.length - 1]
    if (last?.node === node) last.count += 1
    else starts.push({ node, count: 1 })
    const first = opened(next, event, node, 1)
    setVisit(next, branchId(id, index), item === undefined ? first : { ...first, item })
  })
  setFanOut(next, branch, {
    id,
    node: visit.node,
    visit: event.visit,
    join,
    policy: policy ?? "failFast",
    ...(concurrency === undefined ? undefined : { concurrency }),
    count: branches.length,
    starts,
    completed: 0,
    ended: Cell.list<EndedBranch>([]),
    updates: HashMap.empty()
  })
}

export const visitFailed = (next: Mutable<RunState>, event: Of<"visitFailed">): void => {
  const visit = endingVisit(next, event)
  finished(next)
  leave(next, event, visit, event.outcome.to, event.outcome.joins)
}

/** What of a fan-out is open still: visits, by branch, and fan-outs, by the branch that made them. */
export const openIn = (
  state: RunState,
  branch: string
): { readonly visits: ReadonlyArray<string>; readonly fanOuts: ReadonlyArray<string> } => {
  const visits: Array<string> = []
  const fanOuts: Array<string> = []
  const fanOut = fanOutBy(state, branch)
  if (fanOut !== undefined && fanOut.ended.length < fanOut.count) {
    for (let i = 0; i < fanOut.count; i++) {
      const inner = branchId(fanOut.id, i)
      if (HashMap.has(state.branches, inner)) visits.push(inner)
      else if (HashMap.has(state.fanOuts, inner)) {
        fanOuts.push(inner)
        const nested = openIn(state, inner)
        visits.push(...nested.visits)
        fanOuts.push(...nested.fanOuts)
      }
    }
  }
  return { visits, fanOuts }
}

/** Ends a fan-out with all that is open in it. */
const closeFanOut = (next: Mutable<RunState>, branch: string, dropped: number | undefined): void => {
  const { fanOuts, visits } = openIn(next, branch)
  if (visits.length !== (dropped ?? 0)) illegal(`${visits.length} visits of its branches are open`)
  for (const inner of visits) {
    const { waiting } = visitIn(next, inner)!
    if (waiting.length > 0) next.waiting -= 1
    for (const wait of waiting) next.waits = HashMap.remove(next.waits, wait)
    next.branches = HashMap.remove(next.branches, inner)
  }
  for (const inner of fanOuts) next.fanOuts = HashMap.remove(next.fanOuts, inner)
  next.fanOuts = HashMap.remove(next.fanOuts, branch)
}

export const branchFailed = (next: Mutable<RunState>, event: Of<"branchFailed">): void => {
  const { attempt, dropped, error, node, visit } = event
  const branch = branchOf(event)
  if (branch === "") illegal("the main line is no branch")
  if (attempt === undefined) {
    const made = fanOutBy(next, branch)
    if (made?.node !== node || made.visit !== visit)
      illegal(`branch ${JSON.stringify(branch)} did not fan out there`)
    closeFanOut(next, branch, dropped)
  } else {
    endingVisit(next, { branch, node, visit, attempt })
    closeVisit(next, branch)
  }
  endBranch(next, branch, { index: indexOf(branch), node, error })
}

export const joined = (next: Mutable<RunState>, event: Of<"joined">): void => {
  const branch = branchOf(event)
  const fanOut = fanOutBy(next, branch)
  if (fanOut?.id !== event.fanOut) return illegal(`fan-out ${event.fanOut} is not open`)
  const open = fanOut.count - fanOut.ended.length
  const { policy } = fanOut
  if (typeof policy === "object" ? fanOut.completed < policy.quorum : open > 0) {
    illegal(`${open} branches of fan-out ${event.fanOut} are open`)
  }
  closeFanOut(next, branch, event.dropped)
  update(next, branch, fanOut.node, event.ops, event)
  const { ended, starts } = fanOut
  const quorum = typeof policy === "object" ? { quorum: policy.quorum } : undefined
  setVisit(next, branch, {
    ...opened(next, event, fanOut.join, fanOut.visit + 1),
    joined: { starts, ended, ...quorum }
  })
}
