/**
 * What happened in a trial, for people to read.
 */
import * as Duration from "effect/Duration"
import type { Event } from "@waymark/core/Event"
import { dropped, failureText, outcomeText, short, textOf } from "../eventText.ts"
import type { Execution, PlacedCut } from "./outcome.ts"
import type { Ledger } from "./ledger.ts"

/** How long after the beginning. */
type Since = (time: number) => string

const detailOf = (event: Event, since: Since): string => {
  switch (event.kind) {
    case "created":
      return `${event.flow} ${short(event.input)}`
    case "forked":
      return `from seq ${event.from.seq} of ${event.from.run}`
    case "claimed":
      return `by ${event.owner} after a ${event.cause}`
    case "visited":
      return `→ ${"to" in event.next ? event.next.to : "end" in event.next ? "end" : "branches"} ${short(event.ops ?? {})}`
    case "attemptFailed":
      return `${failureText(event.error)}; again at ${since(event.due)}`
    case "visitFailed":
      return `${failureText(event.error)}; ${event.outcome.status} → ${event.outcome.to}`
    case "callStarted":
      return `${event.tool} ${short(event.input)} key ${event.key.slice(0, 8)}`
    case "callRetried":
      return `${event.tool} ${failureText(event.error)}; again at ${since(event.due)}`
    case "callCompleted":
      return `${event.tool} ${short(event.output)}`
    case "callFailed":
      return `${event.tool} ${failureText(event.error)}`
    case "callRepeated":
    case "callReleased":
      return event.tool
    case "branchFailed":
      return `${failureText(event.error)}${dropped(event)}`
    case "joined":
      return `fan-out ${event.fanOut} ${short(event.ops ?? {})}${dropped(event)}`
    case "signalled":
      return `${event.name}${event.key === undefined ? "" : ` (${event.key})`} ${short(event.payload)}`
    case "waitOpened":
      return `${event.wait}${event.due === undefined ? "" : `, until ${since(event.due)}`}`
    case "waitEnded":
      return `${event.wait} ${outcomeText(event.outcome)}${event.signal === undefined ? "" : `, kept at seq ${event.signal}`}`
    case "slept":
      return event.sleep
    case "paused":
      return short(event.reason)
    case "commandIgnored":
      return event.note
    case "cancelRequested":
    case "cancelled":
      return event.reason
    case "completed":
      return short(event.output)
    case "failed":
      return failureText(event.error)
    case "emitted":
      return `${event.name} ${short(event.value)}`
    case "logged":
      return textOf(event.text)
    case "progressed":
      return `${event.done} of ${event.total}`
    case "tagged":
      return short(event.tags ?? event.attributes)
    case "spent":
      return `${event.amount} of ${event.budget}: ${event.total} of ${event.limit}`
    case "limitsChanged":
      return short({
        ...(event.maxSteps === undefined ? undefined : { maxSteps: event.maxSteps }),
        ...(event.maxVisits === undefined ? undefined : { maxVisits: event.maxVisits }),
        ...(event.budgets === undefined ? undefined : { budgets: event.budgets })
      })
    case "compensating":
      return event.error === undefined ? (event.reason ?? "") : failureText(event.error)
    case "compensationStarted":
      return `${event.tool}, the call at seq ${event.of}, key ${event.key.slice(0, 8)}`
    case "compensationCompleted":
      return `${event.tool}, the call at seq ${event.of}`
    case "compensationRetried":
      return `${event.tool} ${failureText(event.error)}; again at ${since(event.due)}`
    case "compensationFailed":
      return `${event.tool}, the call at seq ${event.of}: ${failureText(event.error)}`
    default:
      return ""
  }
}

const eventLine = (event: Event, since: Since): string => {
  const node = "node" in event && event.node !== undefined ? event.node : ""
  const visit = "visit" in event && event.visit !== undefined ? `/${event.visit}` : ""
  const attempt =
    "attempt" in event && event.attempt !== undefined && event.attempt > 1
      ? ` (attempt ${event.attempt})`
      : ""
  const branch = "branch" in event && event.branch !== undefined ? `${event.branch} ` : ""
  const where = `${branch}${node}${visit}${attempt}`
  return [
    String(event.seq).padStart(5),
    since(event.time).padStart(9),
    `epoch ${event.epoch}`,
    event.kind.padEnd(15),
    where.padEnd(12),
    detailOf(event, since)
  ]
    .join("  ")
    .trimEnd()
}

const cutLine = ({ detail, lost, operation, point, process, run, when }: PlacedCut): string => {
  const about = [run === undefined ? "" : ` of run ${run}`, detail === "" ? "" : ` (${detail})`].join("")
  const gone = lost.length === 0 ? "" : `; lost: ${lost.map(({ kind, seq }) => `${seq} ${kind}`).join(", ")}`
  return `  ──── the power was cut ${when} operation ${point} of process ${process}: ${operation}${about}${gone}`
}

export const render = (
  ledger: Ledger,
  cuts: ReadonlyArray<PlacedCut>,
  executions: ReadonlyArray<Execution>,
  logs: ReadonlyArray<string>
): string => {
  const lines: Array<string> = []
  const first = [...ledger.runs.values()].flatMap(({ durable }) => durable.slice(0, 1))
  const start = Math.min(...first.map(({ event }) => event.time))
  const since: Since = (time) => `+${Duration.format(Duration.millis(Math.max(0, time - start)))}`
  for (const run of ledger.runs.values()) {
    const state = run.states[run.states.length - 1]
    lines.push(`run ${run.run} of flow ${state?.flow ?? "?"}: ${state?.status ?? "?"}`)
    const open = cuts.map((cut) => ({ cut, before: cut.durable[run.run] ?? -1 }))
    run.durable.forEach(({ event }) => {
      while (open.length > 0 && open[0]!.before < event.seq) lines.push(cutLine(open.shift()!.cut))
      lines.push(eventLine(event, since))
    })
    for (const { cut } of open) lines.push(cutLine(cut))
  }
  if (ledger.runs.size === 0) for (const cut of cuts) lines.push(cutLine(cut))
  if (executions.length > 0) lines.push("tool calls carried out")
  for (const { attempt, input, key, node, process, result, run, tool, undoes, visit } of executions) {
    const what = result === "unknown" ? "no answer" : result
    lines.push(
      `  process ${process}  ${undoes === undefined ? "" : "undo "}${tool} ${short(input)}  ${run} ${node}/${visit}  key ${key.slice(0, 8)}  try ${attempt}  ${what}`
    )
  }
  if (logs.length > 0) lines.push("log", ...logs.map((line) => `  ${line}`))
  return lines.join("\n")
}
