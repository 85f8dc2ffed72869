/**
 * What people, and other systems, did to a run: as the statements of a test that do it again.
 */
import type { Json } from "effect/Schema"
import type { Event, Of } from "@waymark/core/Event"
import { nameOf } from "../story.ts"
import { literal, text } from "./literal.ts"
import { CannotGenerate } from "./refusal.ts"

/** A statement; `yield*` stands before it. */
export type Statement = string

interface Wait {
  readonly id: string
  readonly name: string | undefined
  /** The how many of its name it is. */
  readonly nth: number
  readonly on: Of<"waitOpened">["on"]
}

/** What is known of a run while its events are looked at. */
interface Known {
  readonly open: Map<string, Wait>
  readonly opened: Map<string, number>
  limited: boolean
}

const indent = 4

const limitKinds: ReadonlySet<string> = new Set(["budget", "stepLimit", "visitLimit"])

/** Why a job failed, as whoever finished it said. */
const failureOf = ({ outcome }: Of<"waitEnded">): string =>
  "failure" in outcome && outcome.failure.kind === "defect" && typeof outcome.failure.message === "string"
    ? outcome.failure.message
    : ""

/** The fields of new limits that are there. */
const limitsOf = ({ budgets, maxSteps, maxVisits }: Of<"limitsChanged">): Json =>
  JSON.parse(JSON.stringify({ maxSteps, maxVisits, budgets })) as Json

/**
 * The statements for these events: those of a run and of the runs that it started, by time.
 *
 * `main` is the id of the run; it is called `run` in the test, and the others by their ids.
 */
export const stepsOf = (main: string, events: ReadonlyArray<Event>): ReadonlyArray<Statement> => {
  const statements: Array<Statement> = []
  const known = new Map<string, Known>()
  const messages = new Set(events.flatMap((event) => (event.kind === "sent" ? [event.message] : [])))

  const of = (run: string): Known => {
    let own = known.get(run)
    if (own === undefined) {
      own = { open: new Map(), opened: new Map(), limited: false }
      known.set(run, own)
    }
    return own
  }
  const ref = (run: string): string => (run === main ? "run" : text(run))
  const idOf = (run: string): string => (run === main ? "run.id" : text(run))
  const refuse = (event: Event, detail: string): never => {
    throw new CannotGenerate({ run: event.run, seq: event.seq, detail })
  }
  const json = (value: Json, before: string): string => literal(value, indent, indent + 7 + before.length)

  /** What a wait is called: by its name, or by its own if others of that name are open. */
  const labelOf = (run: string, wait: Wait): string => {
    const others = [...of(run).open.values()].filter(({ name }) => name === wait.name)
    return wait.name === undefined || others.length > 1 ? wait.id : wait.name
  }
  const advanceTo = (run: string, wait: Wait): string => {
    const label = labelOf(run, wait)
    const nth = label === wait.id || wait.nth === 1 ? "" : `, { nth: ${wait.nth} }`
    statements.push(`TestRuntime.advanceToWait(${ref(run)}, ${text(label)}${nth})`)
    return label
  }

  const ended = (event: Of<"waitEnded">): void => {
    const { open } = of(event.run)
    const wait = open.get(event.wait)
    if (wait === undefined || event.command === undefined || wait.on.type === "run") {
      open.delete(event.wait)
      return
    }
    const label = advanceTo(event.run, wait)
    open.delete(event.wait)
    const { outcome } = event
    if (wait.on.type === "job") {
      const job = wait.on.id
      const as: Json = "value" in outcome ? { value: outcome.value } : { failure: failureOf(event) }
      const call = `runs.finishJob(${ref(event.run)}, ${text(job)}, `
      statements.push(`${call}${json(as, call)})`)
      return
    }
    if (!("value" in outcome)) return refuse(event, "a wait ended in a way that nobody can bring about")
    if (wait.on.type === "user") {
      const call = `runs.answer(${ref(event.run)}, ${text(label)}, `
      statements.push(`${call}${json(outcome.value, call)})`)
      return
    }
    if (wait.on.type !== "event") return refuse(event, "somebody ended a wait for a time")
    signal(event.run, wait.on.name, wait.on.key, outcome.value)
  }

  /** The payload is given as it is stored, so the run is named by its id. */
  const signal = (run: string, name: string, key: string | undefined, payload: Json): void => {
    const call = `runs.signal(${idOf(run)}, ${text(name)}, `
    const options = key === undefined ? "" : `, { key: ${text(key)} }`
    statements.push(`${call}${json(payload, call)}${options})`)
  }

  const cancel = (event: Of<"cancelRequested">): void => {
    // Its parent did it, and does it again.
    if (event.command !== undefined && messages.has(event.command.id)) return
    const last = [...of(event.run).open.values()].at(-1)
    if (last !== undefined) advanceTo(event.run, last)
    else statements.push(`TestClock.setTime(${event.time})`)
    statements.push(`runs.cancel(${ref(event.run)}, ${text(event.reason)}, { until: "accepted" })`)
  }

  const retried = (event: Of<"restarted">, following: ReadonlyArray<Event>): void => {
    if (event.edits !== undefined && Object.keys(event.edits).length > 0)
      return refuse(event, "it was retried with edits of its state")
    const limits = following.find(
      (next): next is Of<"limitsChanged"> => next.kind === "limitsChanged" && next.command === undefined
    )
    statements.push(`TestRuntime.advanceToEnd(${ref(event.run)})`)
    const call = `runs.retry(${ref(event.run)}, `
    statements.push(
      limits === undefined
        ? `runs.retry(${ref(event.run)})`
        : `${call}${json({ limits: limitsOf(limits) }, call)})`
    )
  }

  events.forEach((event, index) => {
    const own = of(event.run)
    switch (event.kind) {
      case "forked":
        return refuse(event, "it is a fork, which goes on from what another run did")
      case "migrated":
        return refuse(event, "it was started by an earlier version of its flow")
      case "waitOpened": {
        const name = nameOf(event)
        const nth = (own.opened.get(name ?? "") ?? 0) + 1
        own.opened.set(name ?? "", nth)
        own.open.set(event.wait, { id: event.wait, name, nth, on: event.on })
        return
      }
      case "waitEnded":
        return ended(event)
      case "signalled":
        return signal(event.run, event.name, event.key, event.payload)
      case "paused":
        if (event.reason.kind === "diverged" || event.reason.kind === "incompatible")
          return refuse(event, `it was paused as ${event.reason.kind}`)
        own.limited = limitKinds.has(event.reason.kind)
        if (own.limited)
          statements.push(`TestRuntime.advanceToPause(${ref(event.run)}, ${text(event.reason.kind)})`)
        return
      case "limitsChanged": {
        // Part of a retry.
        if (event.command === undefined) return
        const call = `runs.setLimits(${ref(event.run)}, `
        statements.push(`${call}${json(limitsOf(event), call)})`)
        return
      }
      case "resumed":
        // Pauses that somebody asked for change nothing, and are left out.
        if (own.limited) statements.push(`runs.resume(${ref(event.run)})`)
        own.limited = false
        return
      case "cancelRequested":
        return cancel(event)
      case "restarted":
        return retried(
          event,
          events.slice(index + 1, index + 20).filter(({ run }) => run === event.run)
        )
      case "callFailed":
        if (event.error.kind === "inDoubt") return refuse(event, "a call failed because it was in doubt")
        return
      case "failed":
        if (event.error.kind === "recoveries") return refuse(event, "it crashed too often")
        return
      default:
        return
    }
  })
  return statements
}

/** The waits of a run that are open at its end: what each is called, the last one first, and the how many of its name. */
export const openOf = (
  events: ReadonlyArray<Event>
): ReadonlyArray<{ readonly label: string; readonly nth: number }> => {
  const open = new Map<string, { readonly label: string; readonly nth: number }>()
  const counts = new Map<string, number>()
  for (const event of events) {
    if (event.kind === "waitEnded") open.delete(event.wait)
    if (event.kind !== "waitOpened") continue
    const name = nameOf(event)
    const nth = (counts.get(name ?? "") ?? 0) + 1
    counts.set(name ?? "", nth)
    open.set(event.wait, name === undefined ? { label: event.wait, nth: 1 } : { label: name, nth })
  }
  return [...open.values()].reverse()
}
