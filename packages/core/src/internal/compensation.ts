/**
 * What a run has to undo if it fails or is cancelled, and how far it has come with that: the fold's part of it.
 *
 * The list holds no inputs and outputs: they are read from the journal when their turn comes.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Of, Undone } from "../Event.ts"
import type { Call, Compensation, RunState, Undo } from "../RunState.ts"
import * as Cell from "./cell.ts"
import { illegal } from "./illegal.ts"
import type { Mutable } from "./record.ts"
import { branchOf, stopWaiting, visitIn, visitsOf } from "./visits.ts"

/** What the run has to undo, in the order in which it completed. */
export const undosOf = ({ undo }: RunState): ReadonlyArray<Undo> =>
  undo === undefined ? [] : Cell.toArray(undo)

/** What is undone next. */
export const lastOf = ({ undo }: RunState): Undo | undefined => undo?.items[undo.length - 1]

const setUndos = (next: Mutable<RunState>, undo: Cell.List<Undo>): void => {
  if (undo.length === 0) delete next.undo
  else next.undo = undo
}

const isUnknown = ({ error }: Call["retries"][number]): boolean => error.kind !== "error"

/** Whether a call may have taken effect although it did not complete: a declared error says that it did not. */
export const isInDoubt = (call: Call): boolean =>
  call.status === "failed"
    ? call.error!.kind !== "error"
    : call.status === "started" && (call.due === undefined || call.retries.some(isUnknown))

/** The calls in doubt of the open visits, as they began. */
export const callsInDoubt = (
  state: RunState
): ReadonlyArray<{ readonly place: Omit<Undone, "started">; readonly call: Call }> => {
  const found: Array<{ readonly place: Omit<Undone, "started">; readonly call: Call }> = []
  for (const [branch, { calls, node, visit }] of visitsOf(state)) {
    for (const [id, call] of calls) {
      if (call.undoable === undefined || !isInDoubt(call)) continue
      const place = { ...(branch === "" ? undefined : { branch }), node, visit, call: id, tool: call.tool }
      found.push({ place, call })
    }
  }
  return found.sort((a, b) => a.call.seq - b.call.seq)
}

/** The same, but only those that are undone, and that the list does not hold. */
const doubtsToUndo = (state: RunState): ReadonlyArray<Undo> => {
  const doubts = callsInDoubt(state).filter(({ call }) => call.undoable === "inDoubt")
  if (doubts.length === 0) return []
  const known = new Set(undosOf(state).map(({ started }) => started))
  return doubts.flatMap(({ call: { seq, tool } }) => (known.has(seq) ? [] : [{ tool, started: seq }]))
}

/** Whether the run has to undo something before it ends as failed or cancelled. */
export const isDue = (state: RunState): boolean =>
  state.compensating === undefined && (state.undo !== undefined || doubtsToUndo(state).length > 0)

/** A call ended: from now on it is among what the run has to undo, if it can be undone and took effect. */
export const callEnded = (next: Mutable<RunState>, event: Of<"callCompleted"> | Of<"callFailed">): void => {
  const visit = visitIn(next, branchOf(event))!
  const call = Option.getOrThrow(HashMap.get(visit.calls, event.call))
  const { attempt, seq: started, tool, undoable } = call
  const completed = event.kind === "callCompleted"
  if (undoable === undefined || !(completed || (undoable === "inDoubt" && isInDoubt(call)))) return
  // An earlier attempt may have left the call in doubt.
  const before =
    attempt === event.attempt
      ? (next.undo ?? Cell.list<Undo>([]))
      : Cell.list(undosOf(next).filter((undo) => undo.started !== started))
  next.undo = Cell.append(before, [completed ? { tool, started, completed: event.seq } : { tool, started }])!
}

/** The run executes nothing any more. */
export const compensating = (next: Mutable<RunState>, event: Of<"compensating">): void => {
  if (next.compensating !== undefined) illegal("the run is undoing its calls already")
  const { attempt, branch, error, node, reason, visit } = event
  if ((error === undefined) === (reason === undefined)) illegal("it has a failure or a reason, and not both")
  if ((next.status === "cancelling") !== (reason !== undefined)) {
    illegal(`a run that is ${next.status} cannot end as ${reason === undefined ? "failed" : "cancelled"}`)
  }
  const state: Mutable<Compensation> = { undone: [] }
  if (error !== undefined) state.error = error
  if (branch !== undefined) state.branch = branch
  if (node !== undefined) state.node = node
  if (visit !== undefined) state.visit = visit
  if (attempt !== undefined) state.attempt = attempt
  setUndos(next, Cell.append(next.undo ?? Cell.list<Undo>([]), doubtsToUndo(next))!)
  next.compensating = state
  next.recoveries = 0
  delete next.pause
  stopWaiting(next)
}

/** Whether none of the flow's nodes is executed any more: the run has ended, or undoes what it did before it does. */
export const isEnding = ({ compensating, ending }: RunState): boolean =>
  compensating !== undefined || ending !== undefined

/** What became of the call that is to be undone next. */
export const compensated = (
  next: Mutable<RunState>,
  event:
    | Of<"compensationStarted">
    | Of<"compensationRetried">
    | Of<"compensationCompleted">
    | Of<"compensationFailed">
): void => {
  const { call, node, of, seq: _seq, time, tool, visit } = event
  const last = lastOf(next)
  if (next.compensating === undefined || last === undefined) return illegal("the run has nothing to undo")
  if (last.started !== of || last.tool !== tool) {
    return illegal(`next to be undone is the call of ${last.tool} that started at seq ${last.started}`)
  }
  const { current, ...state } = next.compensating
  const isTried = current?.started === of && current.due === undefined
  if (event.kind === "compensationStarted") {
    next.compensating = { ...state, current: { started: of, time, retries: current?.retries ?? [] } }
    return
  }
  if (!isTried && event.kind !== "compensationFailed") return illegal("nobody has begun to undo it")
  next.recoveries = 0
  if (event.kind === "compensationRetried") {
    const retries = [...current!.retries, { time, error: event.error }]
    next.compensating = { ...state, current: { started: of, time, retries, due: event.due } }
    return
  }
  setUndos(next, { ...next.undo!, length: next.undo!.length - 1 })
  if (event.kind === "compensationCompleted") next.compensating = state
  else {
    const branch = event.branch === undefined ? undefined : { branch: event.branch }
    const undone = [...state.undone, { ...branch, node, visit, call, ...last }]
    next.compensating = { ...state, undone }
  }
}

/** The run ends as failed or cancelled: with nothing left to undo. */
export const ended = (next: Mutable<RunState>, event: Of<"failed"> | Of<"cancelled">): void => {
  if (isDue(next) || next.undo !== undefined) illegal("the run has calls to undo before it ends")
  const { compensating: state } = next
  if (state !== undefined && (state.error === undefined) !== (event.kind === "cancelled")) {
    illegal(`the run is undoing its calls, and does not end as ${event.kind}`)
  }
  const named = (event.undone ?? []).filter(({ inDoubt }) => inDoubt === undefined).length
  const undone = state?.undone.length ?? 0
  if (named !== undone) illegal(`it names ${named} calls that the run could not undo, which are ${undone}`)
  delete next.compensating
}

/** What a run that has ended could not undo, and that can be tried again. */
export const undoneOf = ({ ending }: RunState): ReadonlyArray<Undone> =>
  ending === undefined || ending.status === "completed"
    ? []
    : (ending.undone ?? []).filter(({ inDoubt }) => inDoubt === undefined)

/** Whether the run has undone what it did: then nothing of it can be executed any more. */
export const hasCompensated = ({ compensating: state, ending }: RunState): boolean =>
  state !== undefined ||
  (ending !== undefined && ending.status !== "completed" && ending.undone !== undefined)

/** The run goes on undoing what it could not. */
export const restart = (next: Mutable<RunState>, edited: boolean): void => {
  const undone = undoneOf(next)
  if (undone.length === 0) illegal("the run has undone what it did")
  if (edited) illegal("the run only goes on to undo its calls: there is no state to edit")
  const ending = next.ending!
  const state: Mutable<Compensation> = { undone: [] }
  if (ending.status === "failed") {
    state.error = ending.error
    if (ending.node !== undefined) state.node = ending.node
    if (ending.visit !== undefined) state.visit = ending.visit
  }
  const order = ({ completed, started }: Undo): number => completed ?? started
  const undos = undone.map(({ completed, started, tool }): Undo =>
    completed === undefined ? { tool, started } : { tool, started, completed }
  )
  next.undo = Cell.list(undos.sort((a, b) => order(a) - order(b)))
  next.compensating = state
}
