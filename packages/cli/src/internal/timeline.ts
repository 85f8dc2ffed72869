/**
 * What a run did, as people think of it: visits, with the calls and waits in them, from a piece of its journal.
 */
import type { Event, Failure, WaitTarget } from "@waymark/core/Event"
import { describe } from "@waymark/core/RunError"

/** A call of a tool in a visit. `retries` are the tries that failed before the last one. */
export interface CallStep {
  readonly tool: string
  readonly call: string
  readonly seq: number
  status: "running" | "completed" | "failed"
  readonly started: number
  ended?: number
  retries: number
  error?: string
}

/** A wait in a visit. */
export interface WaitStep {
  readonly wait: string
  readonly seq: number
  readonly on: WaitTarget
  readonly opened: number
  ended?: number
  due?: number
}

export type StepStatus = "running" | "waiting" | "completed" | "failed" | "retried" | "tolerated" | "skipped"

/**
 * One attempt of a visit. `seq` is where its last event stands; `to` where it led; `waitedMillis` of `millis` it waited.
 */
export interface Step {
  readonly type: "visit"
  seq: number
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
  status: StepStatus
  started?: number
  ended?: number
  to?: ReadonlyArray<string>
  error?: string
  readonly calls: Array<CallStep>
  readonly waits: Array<WaitStep>
}

/** Something that happened to the run as a whole. */
export interface Mark {
  readonly type: "mark"
  readonly seq: number
  readonly time: number
  readonly kind: Event["kind"]
  readonly text: string
}

export type Item = Step | Mark

const actorOf = (event: Event): string =>
  "actor" in event && event.actor !== undefined ? ` by ${event.actor}` : ""

/** The event in words, if it is one that people want to know of. */
const markOf = (event: Event): string | undefined => {
  switch (event.kind) {
    case "created":
      return "started"
    case "forked":
      return `forked from ${event.from.run}@${event.from.seq}${actorOf(event)}`
    case "claimed":
      return event.cause === "crash" ? "taken up after a crash" : undefined
    case "paused":
      return `paused (${event.reason.kind})${actorOf(event)}`
    case "resumed":
      return `resumed${actorOf(event)}`
    case "restarted":
      return `retried${actorOf(event)}${event.edits === undefined ? "" : `, with edits of ${Object.keys(event.edits).join(", ")}`}`
    case "cancelRequested":
      return `to be cancelled: ${event.reason}${actorOf(event)}`
    case "cancelled":
      return `cancelled: ${event.reason}`
    case "completed":
      return "completed"
    case "failed":
      return `failed: ${describe(event.error)}`
    case "compensating":
      return "undoes its calls"
    case "compensationCompleted":
      return `call ${event.call} of ${event.tool} is undone`
    case "compensationFailed":
      return `call ${event.call} of ${event.tool} could not be undone: ${describe(event.error)}`
    case "joined":
      return "branches joined"
    case "migrated":
      return `migrated from version ${event.from.version} to ${event.version}`
    case "annotated":
      return `note${actorOf(event)}: ${event.note}`
    case "bookmarked":
      return `bookmark ${event.name} at ${event.at}${actorOf(event)}`
    case "limitsChanged":
      return `limits changed${actorOf(event)}`
    case "branchFailed":
      return event.attempt === undefined ? `a branch failed: ${describe(event.error)}` : undefined
    default:
      return undefined
  }
}

/** Builds items from events, oldest first; what began before the first of them is shown as far as they tell. */
export const itemsOf = (events: Iterable<Event>): ReadonlyArray<Item> => {
  const items: Array<Item> = []
  const open = new Map<string, Step>()
  const calls = new Map<string, CallStep>()
  const waits = new Map<string, { readonly step: Step; readonly wait: WaitStep }>()

  type InVisit = { readonly node: string; readonly visit: number; readonly attempt: number; readonly branch?: string; readonly seq: number; readonly time: number }
  const stepOf = (event: InVisit): Step => {
    const branch = event.branch ?? ""
    const key = JSON.stringify([branch, event.node, event.visit, event.attempt])
    let step = open.get(key)
    if (step === undefined) {
      const { attempt, node, seq, visit } = event
      step = { type: "visit", seq, branch, node, visit, attempt, status: "running", calls: [], waits: [] }
      open.set(key, step)
      items.push(step)
    }
    step.seq = event.seq
    return step
  }
  const close = (event: InVisit & { readonly started?: number }, status: StepStatus, error?: Failure) => {
    const step = stepOf(event)
    step.status = status
    step.ended = event.time
    if (event.started !== undefined) step.started = event.started
    if (error !== undefined) step.error = describe(error)
    open.delete(JSON.stringify([step.branch, step.node, step.visit, step.attempt]))
    return step
  }
  const callOf = (event: InVisit & { readonly call: string; readonly tool: string }): CallStep => {
    const step = stepOf(event)
    const key = JSON.stringify([step.branch, step.visit, event.call])
    let call = calls.get(key)
    if (call === undefined || !step.calls.includes(call)) {
      const { seq, time, tool } = event
      call = { tool, call: event.call, seq, status: "running", started: time, retries: 0 }
      calls.set(key, call)
      step.calls.push(call)
    }
    return call
  }

  for (const event of events) {
    const text = markOf(event)
    if (text !== undefined) items.push({ type: "mark", seq: event.seq, time: event.time, kind: event.kind, text })
    switch (event.kind) {
      case "visited": {
        const { next } = event
        const to = "to" in next ? [next.to] : "end" in next ? ["end"] : next.branches.map(({ node }) => node)
        close(event, "completed").to = [...new Set(to)]
        break
      }
      case "attemptFailed":
        close(event, "retried", event.error)
        break
      case "visitFailed":
        close(event, event.outcome.status, event.error).to = [event.outcome.to]
        break
      case "branchFailed":
        if (event.attempt !== undefined) close({ ...event, attempt: event.attempt }, "failed", event.error)
        break
      case "failed":
      case "compensating": {
        const { attempt, error, node, visit } = event
        if (node !== undefined && visit !== undefined && attempt !== undefined && error !== undefined) {
          close({ ...event, node, visit, attempt }, "failed", error)
        }
        break
      }
      case "callStarted":
        callOf(event)
        break
      case "callRetried":
        callOf(event).retries++
        break
      case "callCompleted": {
        const call = callOf(event)
        call.status = "completed"
        call.ended = event.time
        break
      }
      case "callFailed": {
        const call = callOf(event)
        call.status = "failed"
        call.ended = event.time
        call.error = describe(event.error)
        break
      }
      case "waitOpened": {
        const step = stepOf(event)
        const wait: WaitStep = { wait: event.wait, seq: event.seq, on: event.on, opened: event.time }
        if (event.due !== undefined) wait.due = event.due
        step.waits.push(wait)
        step.status = "waiting"
        waits.set(event.wait, { step, wait })
        break
      }
      case "waitEnded": {
        const known = waits.get(event.wait)
        if (known === undefined) break
        known.wait.ended = event.time
        if (known.step.waits.every(({ ended }) => ended !== undefined) && known.step.status === "waiting") {
          known.step.status = "running"
        }
        break
      }
    }
  }
  return items
}

/** How long a visit waited while it was open. */
export const waitedMillis = ({ ended, waits }: Step): number => {
  let sum = 0
  for (const wait of waits) {
    const until = wait.ended ?? ended
    if (until !== undefined) sum = Math.max(sum, until - wait.opened)
  }
  return sum
}
