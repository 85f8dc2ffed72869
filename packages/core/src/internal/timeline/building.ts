/**
 * Builds a timeline, event by event: a step costs what its event changes, however long the run is.
 */
import * as HashMap from "effect/HashMap"
import type { Event, Of, WaitTarget } from "../../Event.ts"
import { openVisits } from "../../RunState.ts"
import type { RunState } from "../../RunState.ts"
import type { Builder, Edge, Moment, Point, Timeline, VisitEntry } from "../../Timeline.ts"
import { branchId, fanOutId } from "../branch.ts"
import { hasCompensated } from "../compensation.ts"
import { get } from "../record.ts"
import type { Mutable } from "../record.ts"
import { statusAfter } from "../status.ts"
import { OpenVisit } from "./visit.ts"

const pointOf = ({ seq, time }: Event): Point => ({ seq, time })

const branchOf = (event: { readonly branch?: string }): string => event.branch ?? ""

interface OpenFanOut {
  readonly id: string
  readonly count: number
  readonly visit: number
  join: string
}

class Building implements Builder {
  readonly timeline: Mutable<Timeline>
  private readonly visits: Array<VisitEntry> = []
  private readonly moments: Array<Moment> = []
  private readonly edges: Array<Edge> = []
  private readonly edgesFrom = new Map<string, Map<string, Mutable<Edge>>>()
  private readonly open = new Map<string, OpenVisit>()
  /** The branches of open fan-outs, by the branch that fanned out. */
  private readonly fanOuts = new Map<string, OpenFanOut>()
  /** The visits that wait, by wait. */
  private readonly waits = new Map<string, OpenVisit>()
  /** The visits that wait. */
  private readonly waiting = new Set<OpenVisit>()
  /** The visits whose calls may be undone, by the positions of the calls. */
  private readonly undoable = new Map<number, OpenVisit>()

  private readonly before: RunState | undefined
  private begun = false
  /** Whether the run has begun to undo its calls: then it only ever goes on with that. */
  private compensated: boolean

  constructor(before: RunState | undefined) {
    this.before = before
    this.compensated = before !== undefined && hasCompensated(before)
    const { edges, moments, visits } = this
    this.timeline = { run: before?.run ?? "", status: before?.status ?? "pending", visits, moments, edges }
  }

  readonly add = (event: Event): void => {
    const { timeline } = this
    if (!this.begun) this.begin(event)
    this.apply(event)
    timeline.status = statusAfter(timeline.status, event, this.waiting.size, this.open.size)
  }

  /** What is open before the first event. */
  private begin(event: Event): void {
    this.begun = true
    this.timeline.run = event.run
    if (this.before === undefined) return
    for (const [branch, visit] of openVisits(this.before)) {
      // A fork asks anew for what the other run waited for, and makes its own calls.
      const isFork = event.kind === "forked"
      const { seq, time } = visit.since
      // What its origin opened is there from a fork's first event on.
      const at = isFork ? pointOf(event) : { seq: Math.max(seq, 0), time }
      const open = this.start(at, branch, visit.node, visit.visit)
      open.entry.attempt = visit.attempt
      if (isFork) continue
      open.running()
      for (const [call, made] of visit.calls) if (made.seq >= 0) open.made(call, made)
      for (const wait of visit.waiting) {
        // The state does not say when a wait was opened: at the latest now.
        const { due, on, race, seq } = HashMap.getUnsafe(this.before.waits, wait)
        this.wait(open, wait, on, { seq, time: this.before.time }, due, race)
      }
    }
    for (const [branch, { count, id, join, visit }] of HashMap.entries(this.before.fanOuts)) {
      this.fanOuts.set(branch, { id, count, join, visit })
    }
  }

  private start(at: Point, branch: string, node: string, visit: number): OpenVisit {
    const open = new OpenVisit(branch, node, visit, at)
    this.open.set(branch, open)
    this.visits.push(open.entry)
    return open
  }

  /** The open visit that an event names. */
  private of(
    event: Event & { readonly branch?: string; readonly node: string; readonly visit: number }
  ): OpenVisit {
    const branch = branchOf(event)
    const open = this.open.get(branch)
    if (open?.entry.visit === event.visit) return open
    return this.start(pointOf(event), branch, event.node, event.visit)
  }

  private took(from: string, to: string): void {
    let edges = this.edgesFrom.get(from)
    if (edges === undefined) this.edgesFrom.set(from, (edges = new Map()))
    let edge = edges.get(to)
    if (edge === undefined) {
      edges.set(to, (edge = { from, to, count: 0 }))
      this.edges.push(edge)
    }
    edge.count += 1
  }

  /** The visit of a branch is over, in whichever way. */
  private close(branch: string, open: OpenVisit): void {
    this.open.delete(branch)
    this.rest(open)
  }

  private wait(
    open: OpenVisit,
    wait: string,
    on: WaitTarget,
    at: Point,
    due: number | undefined,
    race: string | undefined
  ): void {
    open.waitOpened(wait, on, at, due, race)
    this.waits.set(wait, open)
    this.waiting.add(open)
  }

  /** A visit waits no more. */
  private rest(open: OpenVisit): void {
    for (const wait of open.waits.keys()) this.waits.delete(wait)
    this.waiting.delete(open)
  }

  private leave(event: Of<"visited"> | Of<"visitFailed">, open: OpenVisit): void {
    const branch = branchOf(event)
    const next = event.kind === "visited" ? event.next : event.outcome
    this.close(branch, open)
    if ("branches" in next) {
      const id = fanOutId(branch, event.visit)
      this.fanOuts.set(branch, { id, count: next.branches.length, join: next.join, visit: event.visit })
      const to = new Set<string>()
      next.branches.forEach(({ node }, index) => {
        to.add(node)
        this.took(event.node, node)
        const opened = this.start(pointOf(event), branchId(id, index), node, 1)
        // Which of the others has begun shows only when it does something.
        if (next.concurrency === undefined || index < next.concurrency) opened.running()
      })
      open.entry.to = [...to]
      return
    }
    const to = "to" in next ? next.to : "end"
    open.entry.to = [to]
    this.took(event.node, to)
    if ("to" in next && to !== "end" && next.joins !== true) {
      this.start(pointOf(event), branch, to, event.visit + 1).running()
    }
  }

  /** Ends a fan-out with all that is open in it. */
  private closeFanOut(branch: string, event: Event): void {
    const fanOut = this.fanOuts.get(branch)
    if (fanOut === undefined) return
    this.fanOuts.delete(branch)
    for (let i = 0; i < fanOut.count; i++) {
      const inner = branchId(fanOut.id, i)
      const open = this.open.get(inner)
      if (open !== undefined) {
        open.end("cancelled", pointOf(event))
        this.close(inner, open)
      } else this.closeFanOut(inner, event)
    }
  }

  /** The run fails, in the named visit if there is one, or is cancelled: it goes on only if it is restarted. */
  private stop(event: Of<"compensating"> | Of<"failed"> | Of<"cancelled">): void {
    const at = pointOf(event)
    if (event.kind === "compensating" || event.undone !== undefined) this.compensated = true
    for (const [branch, open] of this.open) {
      this.rest(open)
      if (open.entry.ended !== undefined) continue
      const isCause = "node" in event && event.node === open.entry.node && branchOf(event) === branch
      if (isCause && "error" in event) open.fail(event.error, at)
      else open.end("cancelled", at)
    }
  }

  private note(event: Event): void {
    const moment: Mutable<Moment> = { seq: event.seq, time: event.time, kind: event.kind }
    if ("actor" in event && event.actor !== undefined) moment.actor = event.actor
    this.moments.push(moment)
  }

  private apply(event: Event): void {
    switch (event.kind) {
      case "created":
        this.note(event)
        this.start(pointOf(event), "", event.start, 1)
        break
      case "visited": {
        const open = this.of(event)
        open.entry.started = event.started
        open.end("completed", pointOf(event))
        this.leave(event, open)
        break
      }
      case "visitFailed": {
        const open = this.of(event)
        open.entry.started = event.started
        open.entry.error = event.error
        open.end(event.outcome.status, pointOf(event))
        this.leave(event, open)
        break
      }
      case "attemptFailed":
        this.of(event).again(event)
        break
      case "branchFailed": {
        const branch = branchOf(event)
        const open = this.open.get(branch)
        if (event.attempt === undefined) this.closeFanOut(branch, event)
        else if (open !== undefined) {
          open.fail(event.error, pointOf(event))
          this.close(branch, open)
        }
        break
      }
      case "joined": {
        const branch = branchOf(event)
        const fanOut = this.fanOuts.get(branch)
        this.closeFanOut(branch, event)
        if (fanOut !== undefined) this.start(pointOf(event), branch, fanOut.join, fanOut.visit + 1).running()
        break
      }
      case "callStarted": {
        const open = this.of(event)
        open.callStarted(event)
        if (event.undoable !== undefined) this.undoable.set(event.seq, open)
        break
      }
      case "callRepeated":
      case "callRetried":
      case "callReleased":
      case "callCompleted":
      case "callFailed":
        this.of(event).callChanged(event)
        break
      case "compensationStarted":
      case "compensationRetried":
      case "compensationCompleted":
      case "compensationFailed":
        this.undoable.get(event.of)?.undone(event)
        break
      case "waitOpened":
        this.wait(this.of(event), event.wait, event.on, pointOf(event), event.due, event.race)
        break
      case "waitEnded": {
        const open = this.waits.get(event.wait)
        this.waits.delete(event.wait)
        if (open?.waitEnded(event) === true) this.waiting.delete(open)
        break
      }
      case "emitted":
      case "logged":
      case "tagged":
      case "spent":
      case "slept":
        this.of(event).running()
        break
      case "progressed":
        this.of(event).progressed(event)
        break
      case "compensating":
      case "failed":
      case "cancelled":
        this.note(event)
        this.stop(event)
        break
      case "restarted":
        this.note(event)
        // What was being undone is not executed again.
        if (!this.compensated) for (const open of this.open.values()) open.restart(pointOf(event))
        break
      case "migrated":
        this.note(event)
        for (const open of this.open.values()) open.rename(event.nodes ?? {})
        for (const fanOut of this.fanOuts.values())
          fanOut.join = get(event.nodes ?? {}, fanOut.join) ?? fanOut.join
        break
      case "forked":
      case "claimed":
      case "paused":
      case "resumed":
      case "cancelRequested":
      case "completed":
      case "signalled":
      case "commandIgnored":
      case "annotated":
      case "bookmarked":
      case "budgetWarned":
      case "limitWarned":
      case "limitsChanged":
        this.note(event)
        break
      case "snapshotPart":
      case "snapshot":
      case "sent":
      case "delivered":
        break
    }
  }
}

export const building = (before: RunState | undefined): Builder => new Building(before)
