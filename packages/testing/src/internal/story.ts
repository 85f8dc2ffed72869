/**
 * What a run did, line by line, in words that stay the same when it does the same: without positions, times, hashes, ids
 * and owners, and without what only the engine cares for.
 */
import * as Duration from "effect/Duration"
import type { Event, Next, Of, Op, Ops, WaitTarget } from "@waymark/core/Event"
import { failureText, outcomeText, short, textOf } from "./eventText.ts"

const limit = 500

const json = (value: unknown): string => short(value, limit)

const after = (millis: number): string => Duration.format(Duration.millis(Math.max(0, millis)))

const opText = (channel: string, op: Op): string => {
  if ("set" in op) return `${channel} = ${json(op.set)}`
  if ("append" in op) return `${channel} += ${op.append.map(json).join(", ")}`
  if ("merge" in op) return `${channel} += ${json(op.merge)}`
  if ("add" in op) return `${channel} ${op.add < 0 ? "-" : "+"}= ${Math.abs(op.add)}`
  if ("combine" in op) return `${channel} combined with ${json(op.combine)}`
  return `${channel} is empty`
}

const opsText = (ops: Ops | undefined): string => {
  const changes = Object.entries(ops ?? {}).map(([channel, op]) => opText(channel, op))
  return changes.length === 0 ? "" : ` (${changes.join("; ")})`
}

const nextText = (next: Next): string => {
  if ("to" in next) return next.to
  if ("end" in next) return "end"
  return `${next.branches.map(({ item, node }) => (item === undefined ? node : `${node} ${json(item)}`)).join(" | ")} → ${next.join}`
}

const endedText = (on: WaitTarget): string => (on.type === "user" ? on.name : targetText(on))

/** What a wait is for, in a few words. */
const targetText = (on: WaitTarget): string => {
  switch (on.type) {
    case "event":
      return on.key === undefined ? on.name : `${on.name} (${on.key})`
    case "until":
      return "a time"
    case "user":
      return `${on.name} ${typeof on.prompt === "string" ? JSON.stringify(on.prompt) : json(on.prompt)}`
    case "job":
      return `job ${on.id}`
    case "run":
      return `run ${on.run}`
  }
}

/** The name of a wait, as the run index has it. */
export const nameOf = ({ on }: Of<"waitOpened">): string | undefined =>
  on.type === "until" ? undefined : on.type === "run" ? on.run : on.type === "job" ? on.id : on.name

const placeOf = ({
  branch,
  node
}: {
  readonly branch?: string
  readonly node?: string | undefined
}): string =>
  [branch === undefined || branch === "" ? "" : `[${branch}]`, node ?? ""]
    .filter((part) => part !== "")
    .join(" ")

const told = (event: Event): string | undefined => {
  switch (event.kind) {
    case "emitted":
      return `gave ${event.name} ${json(event.value)}`
    case "logged":
      return `noted ${textOf(event.text)}`
    case "progressed":
      return `${event.done} of ${event.total}${event.note === undefined ? "" : `: ${event.note}`}`
    case "tagged":
      return `tagged ${json(event.tags ?? event.attributes)}`
    case "spent":
      return `spent ${event.amount} of ${event.budget}: ${event.total} of ${event.limit}`
    default:
      return undefined
  }
}

const compensation = (event: Event): string | undefined => {
  switch (event.kind) {
    case "compensating":
      return `undoes its calls: ${event.error === undefined ? `cancelled, ${event.reason ?? ""}` : failureText(event.error)}`
    case "compensationStarted":
      return `${placeOf(event)} undoes ${event.tool}`
    case "compensationRetried":
      return `${placeOf(event)} could not undo ${event.tool}: ${failureText(event.error)}; again in ${after(event.due - event.time)}`
    case "compensationCompleted":
      return `${placeOf(event)} undid ${event.tool}`
    case "compensationFailed":
      return `${placeOf(event)} could not undo ${event.tool}: ${failureText(event.error)}`
    default:
      return undefined
  }
}

const visits = (event: Event): string | undefined => {
  switch (event.kind) {
    case "visited":
      return `→ ${nextText(event.next)}${opsText(event.ops)}`
    case "attemptFailed":
      return `failed: ${failureText(event.error)}; again in ${after(event.due - event.time)}`
    case "visitFailed":
      return `failed: ${failureText(event.error)}; ${event.outcome.status} → ${event.outcome.to}`
    case "branchFailed":
      return `failed: ${failureText(event.error)}`
    case "callStarted":
      return `calls ${event.tool} ${json(event.input)}`
    case "callRepeated":
      return `calls ${event.tool} again`
    case "callRetried":
      return `${event.tool} failed: ${failureText(event.error)}; again in ${after(event.due - event.time)}`
    case "callCompleted":
      return event.output === null ? `${event.tool} succeeded` : `${event.tool} gave ${json(event.output)}`
    case "callFailed":
      return `${event.tool} failed: ${failureText(event.error)}`
    case "callReleased":
      return `${event.tool} is to be called again`
    case "waitOpened":
      return `waits for ${targetText(event.on)}${event.due === undefined ? "" : `, ${after(event.due - event.time)}`}`
    default:
      return told(event)
  }
}

const runs = (event: Event): string | undefined => {
  switch (event.kind) {
    case "created":
      return `started ${event.flow} ${json(event.input)}`
    case "forked":
      return `forked from event ${event.from.seq} of run ${event.from.run}${opsText(event.edits)}`
    case "claimed":
      return event.cause === "crash" ? "recovered after a crash" : undefined
    case "paused":
      return `paused: ${json(event.reason)}`
    case "resumed":
      return "resumed"
    case "commandIgnored":
      return `a command came to nothing: ${event.note}`
    case "signalled":
      return `kept ${event.name}${event.key === undefined ? "" : ` (${event.key})`}: ${json(event.payload)}`
    case "cancelRequested":
      return `is to be cancelled: ${event.reason}`
    case "cancelled":
      return `cancelled: ${event.reason}`
    case "completed":
      return `completed ${json(event.output)}`
    case "failed":
      return `failed${event.node === undefined ? "" : ` at ${placeOf(event)}`}: ${failureText(event.error)}`
    case "restarted":
      return `retried${opsText(event.edits)}`
    case "joined":
      return `${placeOf(event)} joined${opsText(event.ops)}`.trim()
    case "migrated":
      return `migrated from version ${event.from.version} to ${event.version}${opsText(event.ops)}`
    case "annotated":
      return `note: ${event.note}`
    case "bookmarked":
      return `bookmark ${event.name}`
    case "limitsChanged":
      return `limits: ${json({ maxSteps: event.maxSteps, maxVisits: event.maxVisits, budgets: event.budgets })}`
    case "budgetWarned":
      return `${event.total} of budget ${event.budget} is spent, of ${event.limit}`
    case "limitWarned":
      return `${event.steps} steps${event.node === undefined ? "" : ` at ${event.node}`}, of ${event.limit}`
    default:
      return compensation(event)
  }
}

/** The lines of these events; those that are about the engine only have none. */
export const storyOf = (events: Iterable<Event>): ReadonlyArray<string> => {
  const waits = new Map<string, Of<"waitOpened">>()
  const lines: Array<string> = []
  for (const event of events) {
    if (event.kind === "waitOpened") waits.set(event.wait, event)
    if (event.kind === "waitEnded") {
      const opened = waits.get(event.wait)
      // A fork goes on with waits that its origin opened.
      const what = opened === undefined ? event.wait : `${placeOf(opened)} ${endedText(opened.on)}`
      lines.push(`${what}: ${outcomeText(event.outcome)}`)
      continue
    }
    const visit = visits(event)
    const line = visit === undefined ? runs(event) : `${placeOf(event as never)} ${visit}`
    if (line !== undefined) lines.push(line)
  }
  return lines
}
