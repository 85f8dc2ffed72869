/**
 * Journals as Vitest snapshots: one line for each event, the same every time that a run does the same.
 *
 * Left out is what only the engine needs, and what differs from machine to machine: epochs, hashes, owners, stack traces,
 * snapshots of the state. Times count from the first event. Ids and idempotency keys that were made up are numbered.
 *
 * ```ts
 * import * as JournalSnapshot from "@waymark/testing/JournalSnapshot"
 * import { expect } from "vitest"
 *
 * // In the test file, or in a setup file of the project.
 * expect.addSnapshotSerializer(JournalSnapshot.serializer)
 * // From then on: expect(yield* Stream.runCollect(runs.events(run))).toMatchSnapshot()
 * ```
 *
 * For a snapshot in the words of people, there is `TestRuntime.timeline`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Event } from "@waymark/core/Event"
import type { Entry } from "@waymark/core/Journal"
import * as Given from "./internal/given.ts"

const left: ReadonlySet<string> = new Set([
  "run",
  "seq",
  "epoch",
  "time",
  "prev",
  "kind",
  "branch",
  "node",
  "visit",
  "attempt",
  "command",
  "fingerprint",
  "owner",
  "previous",
  "trace",
  "schema",
  "started"
])

const isSilent = (event: Event): boolean =>
  event.kind === "snapshot" ||
  event.kind === "snapshotPart" ||
  (event.kind === "claimed" && event.cause === "handover")

/** An id of the default generator, or a digest: nobody chose it. */
const made = /^(?:[0-9a-hjkmnp-tv-z]{26}|[0-9a-f]{32,64})$/

const digests = /[0-9a-f]{32,64}/g

/** Gives each made-up id a number, by what it is of. */
const numbering = () => {
  const names = new Map<string, string>()
  const counts = new Map<string, number>()
  return {
    names,
    add: (what: string, id: string): void => {
      if (names.has(id)) return
      const count = (counts.get(what) ?? 0) + 1
      counts.set(what, count)
      names.set(id, `<${what} ${count}>`)
    }
  }
}

const collect = (events: ReadonlyArray<Event>): ReadonlyMap<string, string> => {
  const { add, names } = numbering()
  const addRun = (run: string): void => {
    if (made.test(run)) add("run", run)
  }
  for (const event of events) {
    addRun(event.run)
    if (event.kind === "created" && event.parent !== undefined) addRun(event.parent.run)
    if (event.kind === "forked") addRun(event.from.run)
    if (event.kind === "waitOpened" && event.on.type === "run") addRun(event.on.run)
    if (event.kind === "sent") addRun(event.to)
    if ("key" in event && event.key !== undefined && made.test(event.key)) add("key", event.key)
    if ("call" in event) for (const digest of event.call.match(digests) ?? []) add("digest", digest)
  }
  return names
}

const times: ReadonlySet<string> = new Set(["due"])

const textOf = (event: Event, start: number, names: ReadonlyMap<string, string>): string => {
  const after = (millis: number): string =>
    `+${Duration.format(Duration.millis(Math.max(0, millis - start)))}`
  const renamed = (text: string): string => {
    for (const [id, name] of names) text = text.replaceAll(id, name)
    return text
  }
  const place = [
    "branch" in event && event.branch ? `[${event.branch}]` : "",
    "node" in event && event.node !== undefined ? event.node : "",
    "visit" in event && event.visit !== undefined ? `/${event.visit}` : "",
    "attempt" in event && event.attempt !== undefined && event.attempt > 1
      ? ` (attempt ${event.attempt})`
      : ""
  ].join("")
  const fields = Object.entries(event)
    .filter(([name]) => !left.has(name))
    .map(([name, value]) => {
      const shown: unknown = times.has(name) && typeof value === "number" ? after(value) : value
      const text = JSON.stringify(shown, (key, part: unknown) => (key === "stack" ? undefined : part))
      return `${name}: ${renamed(text)}`
    })
  return [`${after(event.time)} ${event.kind}`, place, fields.join(", ")]
    .filter((part) => part !== "")
    .join("  ")
}

/**
 * A journal as text, one line for each event. The events of several runs stand under the names of their runs.
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (events: ReadonlyArray<Event>): string => {
  Given.argument("JournalSnapshot.render", "events", events, listOfEvents)
  const names = collect(events)
  const runs = new Map<string, Array<Event>>()
  for (const event of events) {
    const own = runs.get(event.run)
    if (own === undefined) runs.set(event.run, [event])
    else own.push(event)
  }
  const start = events.reduce((first, { time }) => Math.min(first, time), Number.POSITIVE_INFINITY)
  return [...runs]
    .map(([run, own]) =>
      [
        `run ${names.get(run) ?? run}`,
        ...own.filter((event) => !isSilent(event)).map((event) => `  ${textOf(event, start, names)}`)
      ].join("\n")
    )
    .join("\n")
}

const listOfEvents = Given.kind(
  "a list of the decoded events of journals",
  (value) => Array.isArray(value) && value.every(isEvent)
)

const isEvent = (value: unknown): value is Event =>
  typeof value === "object" &&
  value !== null &&
  "kind" in value &&
  "seq" in value &&
  "epoch" in value &&
  "prev" in value

const eventOf = (value: unknown): Event | undefined =>
  isEvent(value)
    ? value
    : typeof value === "object" && value !== null && "event" in value && isEvent(value.event)
      ? value.event
      : undefined

const isJournal = (value: unknown): value is ReadonlyArray<Event | Entry> =>
  Array.isArray(value) && value.length > 0 && value.every((item) => eventOf(item) !== undefined)

/**
 * Makes Vitest write lists of events, or of journal entries, as `render` does: give it to `expect.addSnapshotSerializer`.
 *
 * @category rendering
 * @since 0.1.0
 */
export const serializer: {
  readonly test: (value: unknown) => boolean
  readonly serialize: (value: unknown, config: unknown, indentation: string) => string
} = {
  test: isJournal,
  serialize: (value, _config, indentation) =>
    render((value as ReadonlyArray<unknown>).map((item) => eventOf(item)!))
      .split("\n")
      .map((line, index) => (index === 0 ? line : `${indentation}${line}`))
      .join("\n")
}
