/**
 * What happens to one visit of a timeline.
 */
import type { Event, Failure, Of, WaitTarget } from "../../Event.ts"
import type { Call } from "../../RunState.ts"
import type { CallEntry, FailedAttempt, NodeStatus, Point, VisitEntry, WaitEntry } from "../../Timeline.ts"
import { get } from "../record.ts"
import type { Mutable } from "../record.ts"

type CallChanged =
  | Of<"callRepeated">
  | Of<"callRetried">
  | Of<"callReleased">
  | Of<"callCompleted">
  | Of<"callFailed">
type Undoing =
  | Of<"compensationStarted">
  | Of<"compensationRetried">
  | Of<"compensationCompleted">
  | Of<"compensationFailed">

const pointOf = ({ seq, time }: Event): Point => ({ seq, time })

const outcomeOf = ({ outcome }: Of<"waitEnded">): NonNullable<WaitEntry["outcome"]> =>
  "value" in outcome
    ? "value"
    : "failure" in outcome
      ? "failure"
      : "timedOut" in outcome
        ? "timedOut"
        : "lost"

/** A visit that is open, and the entry of the timeline that says what it did so far. */
export class OpenVisit {
  readonly entry: Mutable<VisitEntry>
  /** Its open waits. */
  readonly waits = new Map<string, Mutable<WaitEntry>>()
  private readonly failures: Array<FailedAttempt> = []
  private readonly calls = new Map<string, Mutable<CallEntry>>()

  constructor(branch: string, node: string, visit: number, opened: Point) {
    const { failures } = this
    this.entry = {
      branch,
      node,
      visit,
      status: "pending",
      opened,
      attempt: 1,
      failures,
      calls: [],
      waits: []
    }
  }

  /** It does something. */
  running(): void {
    if (this.waits.size === 0) this.entry.status = "running"
  }

  end(status: NodeStatus, at: Point): void {
    this.entry.status = status
    this.entry.ended = at
    for (const wait of this.waits.values()) {
      wait.ended = at
      wait.outcome = "stopped"
    }
    this.waits.clear()
  }

  fail(error: Failure, at: Point): void {
    this.entry.error = error
    this.end("failed", at)
  }

  /** An attempt failed, and another follows. */
  again(event: Of<"attemptFailed">): void {
    const { attempt, due, error, started } = event
    this.failures.push({ attempt, started, ended: pointOf(event), error, due })
    this.entry.attempt = attempt + 1
    this.running()
  }

  /** The run, which had ended, goes on with another attempt. */
  restart(at: Point): void {
    const { entry } = this
    const { attempt, ended, error } = entry
    if (error !== undefined) {
      this.failures.push({ attempt, ended: ended ?? at, error })
      delete entry.error
    }
    delete entry.ended
    entry.attempt = attempt + 1
    entry.status = "pending"
  }

  rename(names: { readonly [node: string]: string }): void {
    this.entry.node = get(names, this.entry.node) ?? this.entry.node
  }

  callStarted(event: Of<"callStarted">): void {
    this.running()
    const { attempt, call, tool } = event
    const entry: Mutable<CallEntry> = {
      call,
      tool,
      attempt,
      started: pointOf(event),
      status: "started",
      tries: 1
    }
    this.calls.set(call, entry)
    this.push("calls", entry)
  }

  /** A call that was made before the timeline begins, by what the state knows of it. */
  made(call: string, { attempt, error, retries, seq, status, time, tool }: Call): void {
    // The state has the time of its last event only.
    const at = { seq, time }
    const entry: Mutable<CallEntry> = { call, tool, attempt, started: at, status, tries: retries.length + 1 }
    if (status !== "started") entry.ended = at
    if (error !== undefined) entry.error = error
    this.calls.set(call, entry)
    this.push("calls", entry)
  }

  callChanged(event: CallChanged): void {
    const entry = this.calls.get(event.call)
    if (entry === undefined) return
    switch (event.kind) {
      case "callRepeated":
        entry.tries += 1
        entry.status = "started"
        delete entry.ended
        break
      case "callRetried":
        entry.error = event.error
        break
      case "callReleased":
        entry.status = "started"
        delete entry.ended
        break
      case "callCompleted":
        entry.status = "completed"
        entry.ended = pointOf(event)
        delete entry.error
        break
      case "callFailed":
        entry.status = "failed"
        entry.ended = pointOf(event)
        entry.error = event.error
        break
    }
  }

  undone(event: Undoing): void {
    const entry = this.calls.get(event.call)
    if (entry === undefined) return
    const at = pointOf(event)
    switch (event.kind) {
      case "compensationStarted":
        entry.undo = { status: "started", at }
        break
      case "compensationRetried":
        entry.undo = { status: "started", at, error: event.error }
        break
      case "compensationCompleted":
        entry.undo = { status: "completed", at }
        break
      case "compensationFailed":
        entry.undo = { status: "failed", at, error: event.error }
        break
    }
  }

  waitOpened(
    wait: string,
    on: WaitTarget,
    opened: Point,
    due: number | undefined,
    race: string | undefined
  ): void {
    const entry: Mutable<WaitEntry> = { wait, on, opened }
    if (due !== undefined) entry.due = due
    if (race !== undefined) entry.race = race
    this.waits.set(wait, entry)
    this.push("waits", entry)
    this.entry.status = "waiting"
  }

  /** A wait is over; says whether it was the last one that was open. */
  waitEnded(event: Of<"waitEnded">): boolean {
    const entry = this.waits.get(event.wait)
    if (entry === undefined) return false
    entry.ended = pointOf(event)
    entry.outcome = outcomeOf(event)
    if (event.actor !== undefined) entry.actor = event.actor
    this.waits.delete(event.wait)
    this.running()
    return this.waits.size === 0
  }

  progressed({ done, note, total }: Of<"progressed">): void {
    this.running()
    this.entry.progress = note === undefined ? { done, total } : { done, total, note }
  }

  private push<K extends "calls" | "waits">(to: K, entry: VisitEntry[K][number]): void {
    // The entry's own list, which nobody else changes.
    ;(this.entry[to] as Array<VisitEntry[K][number]>).push(entry)
  }
}
