/**
 * The fold: what each event does to the state of a run.
 */
import * as HashMap from "effect/HashMap"
import type { CommandRef, Event, Kind, Of } from "../Event.ts"
import type { Ending, KeptSignal, RunState, SnapshotState } from "../RunState.ts"
import { limit } from "./begin.ts"
import { applyOps } from "./channels.ts"
import * as Compensation from "./compensation.ts"
import { illegal } from "./illegal.ts"
import * as Inbox from "./inbox.ts"
import { migrate } from "./migrated.ts"
import * as Notes from "./notes.ts"
import { define, get } from "./record.ts"
import type { Mutable } from "./record.ts"
import { disagreement, isHeadFor } from "./snapshotHead.ts"
import { isTerminal, statusAfter } from "./status.ts"
import * as Visits from "./visits.ts"

/** What may follow the end of a run. What it sent before it ended has yet to arrive. */
const afterEnd: ReadonlySet<Kind> = new Set([
  "restarted",
  "annotated",
  "bookmarked",
  "commandIgnored",
  "claimed",
  "delivered"
])

/** What a paused run does not do. Calls that are in doubt may be settled, and waits may end. */
const notWhilePaused: ReadonlySet<Kind> = new Set([
  "visited",
  "attemptFailed",
  "visitFailed",
  "branchFailed",
  "callStarted",
  "callRepeated",
  "callRetried",
  "waitOpened",
  "slept",
  "joined",
  "paused",
  "completed",
  "emitted",
  "logged",
  "progressed",
  "tagged",
  "spent",
  "budgetWarned",
  "limitWarned"
])

/** What a run does not do that undoes its calls, or only goes on doing so. */
const notWhileCompensating: ReadonlySet<Kind> = new Set([
  "visited",
  "attemptFailed",
  "visitFailed",
  "callStarted",
  "callRepeated",
  "callRetried",
  "callCompleted",
  "callFailed",
  "callReleased",
  "waitOpened",
  "waitEnded",
  "slept",
  "joined",
  "paused",
  "cancelRequested",
  "completed",
  "migrated"
])

const handled = (inbox: RunState["inbox"], { id, position, source }: CommandRef): RunState["inbox"] => {
  const before = get(inbox, source)
  if (Inbox.isHandled(before, position)) return illegal(`command ${id} was dealt with already`)
  return { ...inbox, [source]: Inbox.handle(before, position) }
}

const claimed = (
  state: RunState,
  next: Mutable<RunState>,
  { cause, epoch, prev, previous, trace }: Of<"claimed">
) => {
  if (epoch <= state.epoch) illegal(`epoch ${epoch} does not follow epoch ${state.epoch}`)
  if (previous.epoch !== state.epoch || previous.seq !== state.seq || previous.hash !== prev) {
    illegal(
      `it takes over epoch ${previous.epoch} at seq ${previous.seq}, ${previous.hash}; ` +
        `the run is in epoch ${state.epoch} at seq ${state.seq}, ${prev}`
    )
  }
  if (cause === "crash" && !isTerminal(state.status)) next.recoveries = state.recoveries + 1
  if (trace !== undefined) next.trace = trace
}

const snapshotTaken = (
  state: RunState,
  { at, bytes, head, previous, seq }: Of<"snapshot">
): SnapshotState => {
  if (at > state.seq) illegal(`it was begun after seq ${at}, which had not happened`)
  if (previous !== state.snapshot.seq) {
    illegal(
      `it names ${previous ?? "no event"} as the snapshot before it, which is ${state.snapshot.seq ?? "none"}`
    )
  }
  if (!isHeadFor(head, state)) return illegal("its head is not that of a snapshot")
  const different = disagreement(head, state)
  if (different !== undefined) illegal(`its head disagrees with the run: ${different}`)
  const channels: { [channel: string]: SnapshotState["channels"][string] } = {}
  for (const channel of Object.keys(head.channels)) {
    const held = head.channels[channel]!
    define(channels, channel, { cell: state.channels[channel]!, parts: "parts" in held ? held.parts : [] })
  }
  return { seq, bytes, since: 0, channels }
}

/** Checks what holds for events of every kind. */
const check = (state: RunState, event: Event): void => {
  if (event.run !== state.run) illegal(`it belongs to run ${event.run}`)
  if (event.seq !== state.seq + 1) illegal(`seq ${state.seq + 1} was expected`)
  if (event.time < state.time)
    illegal(`its time ${event.time} is before ${state.time}, that of the event before it`)
  if (event.kind !== "claimed" && event.epoch !== state.epoch) {
    illegal(`it was written under epoch ${event.epoch}, while the run is in epoch ${state.epoch}`)
  }
  if (isTerminal(state.status) && !afterEnd.has(event.kind)) illegal(`the run has ${state.status} already`)
  if (state.status === "paused" && notWhilePaused.has(event.kind)) illegal("the run is paused")
  if (state.compensating !== undefined && notWhileCompensating.has(event.kind))
    illegal("the run is undoing its calls")
}

const undoneIn = ({ undone }: Of<"failed"> | Of<"cancelled">) =>
  undone === undefined ? undefined : { undone }

export const step = (state: RunState, event: Event, bytes: number): RunState => {
  check(state, event)
  const next: Mutable<RunState> = { ...state, seq: event.seq, epoch: event.epoch, time: event.time }
  next.snapshot = { ...state.snapshot, since: state.snapshot.since + bytes }
  if ("command" in event && event.command !== undefined) next.inbox = handled(state.inbox, event.command)
  switch (event.kind) {
    case "created":
    case "forked":
      return illegal("a journal begins with it and holds it once")
    case "claimed":
      claimed(state, next, event)
      break
    case "visited":
      Visits.visited(next, event)
      break
    case "visitFailed":
      Visits.visitFailed(next, event)
      break
    case "branchFailed":
      Visits.branchFailed(next, event)
      break
    case "signalled": {
      const signal: Mutable<KeptSignal> = {
        seq: event.seq,
        time: event.time,
        name: event.name,
        payload: event.payload
      }
      if (event.key !== undefined) signal.key = event.key
      next.signals = [...state.signals, signal]
      break
    }
    case "attemptFailed":
      Visits.attemptFailed(next, event)
      break
    case "callStarted":
      Visits.callStarted(next, event)
      break
    case "callRepeated":
    case "callRetried":
    case "callCompleted":
    case "callFailed":
    case "callReleased":
      Visits.callChanged(next, event)
      if (event.kind === "callCompleted" || event.kind === "callFailed") Compensation.callEnded(next, event)
      break
    case "compensating":
      Compensation.compensating(next, event)
      break
    case "compensationStarted":
    case "compensationRetried":
    case "compensationCompleted":
    case "compensationFailed":
      Compensation.compensated(next, event)
      break
    case "waitOpened":
      Visits.waitOpened(next, event)
      break
    case "waitEnded":
      Visits.waitEnded(next, event)
      break
    case "slept":
      Visits.slept(next, event)
      break
    case "joined":
      Visits.joined(next, event)
      break
    case "sent":
      Notes.sent(next, event)
      break
    case "delivered":
      if (!HashMap.has(state.outbox, event.message)) illegal(`message ${event.message} was not sent`)
      next.outbox = HashMap.remove(state.outbox, event.message)
      break
    case "paused":
      if (state.status === "cancelling") illegal("the run is being cancelled")
      next.pause = event.reason
      break
    case "resumed":
      if (state.status !== "paused") illegal(`the run is ${state.status}, not paused`)
      delete next.pause
      break
    case "cancelRequested":
      if (state.status === "cancelling") illegal("the run is being cancelled already")
      delete next.pause
      next.cancel = event.reason
      break
    case "cancelled":
      if (state.status !== "cancelling") illegal(`the run is ${state.status}; cancelRequested comes first`)
      Compensation.ended(next, event)
      next.ending = { status: "cancelled", reason: event.reason, ...undoneIn(event) }
      Visits.stopWaiting(next)
      break
    case "completed":
      if (!Visits.isThrough(state)) illegal("the run has open visits, or branches that were not joined")
      next.ending = { status: "completed", output: event.output }
      delete next.undo
      break
    case "failed": {
      Compensation.ended(next, event)
      const ending: Mutable<Extract<Ending, { status: "failed" }>> = {
        status: "failed",
        error: event.error,
        ...undoneIn(event)
      }
      if (event.node !== undefined) ending.node = event.node
      if (event.visit !== undefined) ending.visit = event.visit
      delete next.pause
      next.ending = ending
      Visits.stopWaiting(next)
      break
    }
    case "restarted":
      if (Compensation.hasCompensated(state)) Compensation.restart(next, event.edits !== undefined)
      else {
        if (state.status !== "failed") illegal(`the run is ${state.status}, not failed`)
        // A run that failed while it was being cancelled goes on; who still wants it cancelled asks again.
        delete next.cancel
        delete next.autoRestarts
        if (state.timeout !== undefined) limit(next, event.time, state.timeout)
        Visits.restart(next)
      }
      delete next.ending
      next.restarts = state.restarts + 1
      next.recoveries = 0
      next.channels = applyOps(state.channels, event.edits, { run: event.run, seq: event.seq })
      break
    case "snapshot":
      next.snapshot = snapshotTaken(state, event)
      break
    case "migrated":
      migrate(next, event)
      break
    case "emitted":
    case "logged":
    case "tagged":
      Notes.told(next, event, 0)
      break
    case "spent":
      Notes.spent(next, event)
      break
    case "progressed":
      Notes.progressed(next, event)
      break
    case "budgetWarned":
      Notes.budgetWarned(next, event)
      break
    case "limitWarned":
      Notes.limitWarned(next, event)
      break
    case "limitsChanged":
      Notes.limitsChanged(next, event)
      break
    case "snapshotPart":
    case "commandIgnored":
    case "annotated":
    case "bookmarked":
      break
  }
  next.status = statusAfter(state.status, event, next.waiting, Visits.openCount(next))
  return next
}
