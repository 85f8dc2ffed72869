/**
 * Going through the checkpoints of a run: which one is next, where breakpoints are. It reads, in pieces, and executes
 * nothing.
 */
import * as Effect from "effect/Effect"
import type { Event, Ops } from "@waymark/core/Event"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { RunState } from "@waymark/core/RunState"
import { isCheckpoint } from "../reading/Checkpoints.ts"
import type { Site } from "../source/Sources.ts"

/** What the debugger reads of a run. `scan` hands over events until `take` has enough. */
export interface Reader {
  readonly info: Effect.Effect<RunInfo, Error>
  readonly event: (seq: number) => Effect.Effect<Event, Error>
  readonly stateAt: (seq: number) => Effect.Effect<RunState, Error>
  readonly scan: (
    from: number,
    direction: "forwards" | "backwards",
    take: (event: Event) => boolean
  ) => Effect.Effect<void, Error>
  readonly sites: Effect.Effect<ReadonlyArray<Site>>
}

export type Filter = "failed" | "retried" | "waiting"

/** Where to stop. */
export interface Stops {
  /** Nodes with a breakpoint, by a line of their source or by their name. */
  readonly lines: ReadonlySet<string>
  readonly names: ReadonlySet<string>
  readonly channels: ReadonlySet<string>
  readonly filters: ReadonlySet<Filter>
}

/** Why it stopped at an event: in the words of the debug adapter protocol. */
export type Reason = "breakpoint" | "function breakpoint" | "data breakpoint" | "exception"

const failing: ReadonlySet<string> = new Set(["failed", "visitFailed", "compensationFailed"])

export const branchOf = (event: Event): string =>
  "branch" in event && event.branch !== undefined ? event.branch : ""
export const nodeOf = (event: Event): string | undefined => {
  if (event.kind === "created") return event.start
  return "node" in event ? event.node : undefined
}

/** What an event changed in the state, or will when its branch is joined. */
export const changesOf = (event: Event): Ops | undefined => {
  if (event.kind === "visited" || event.kind === "joined" || event.kind === "migrated") return event.ops
  return event.kind === "restarted" || event.kind === "forked" ? event.edits : undefined
}

/** Why a journey stops at an event, if it does. */
export const reasonFor = (stops: Stops, event: Event): Reason | undefined => {
  const { filters } = stops
  if (filters.has("failed") && failing.has(event.kind)) return "exception"
  if (filters.has("retried") && event.kind === "attemptFailed") return "exception"
  if (filters.has("waiting") && event.kind === "waitOpened") return "exception"
  const changes = changesOf(event)
  if (changes !== undefined && Object.keys(changes).some((channel) => stops.channels.has(channel)))
    return "data breakpoint"
  // The first event tells of no visit: it names the node only to begin with it.
  const node = event.kind === "created" || event.kind === "forked" ? undefined : nodeOf(event)
  if (node === undefined) return undefined
  if (stops.lines.has(node)) return "breakpoint"
  return stops.names.has(node) ? "function breakpoint" : undefined
}

/** Whether a branch is another one or encloses it: `""` is the main line, which encloses all. */
export const encloses = (outer: string, inner: string): boolean =>
  outer === "" || outer === inner || inner.startsWith(`${outer}/`)

/** Whether a branch encloses another one and is not that one. */
const isOutside = (outer: string, inner: string): boolean => outer !== inner && encloses(outer, inner)

export interface Found {
  readonly event: Event
  readonly reason: Reason | undefined
}

const find = (
  reader: Reader,
  from: number,
  direction: "forwards" | "backwards",
  wanted: (event: Event) => boolean
): Effect.Effect<{ readonly found: Event | undefined; readonly last: Event | undefined }, Error> =>
  Effect.gen(function* () {
    let found: Event | undefined
    let last: Event | undefined
    if (from >= 0) {
      yield* reader.scan(from, direction, (event) => {
        if (!isCheckpoint(event.kind)) return true
        last = event
        if (wanted(event)) found = event
        return found === undefined
      })
    }
    return { found, last }
  })

const start = (seq: number, direction: "forwards" | "backwards"): number =>
  direction === "forwards" ? seq + 1 : seq - 1

/** The nearest checkpoint in a direction: any, one in the same branch or around it, or only one around it. */
export const step = (
  reader: Reader,
  at: Event,
  direction: "forwards" | "backwards",
  how: "into" | "over" | "out"
): Effect.Effect<Event | undefined, Error> => {
  const branch = branchOf(at)
  const wanted = (event: Event): boolean =>
    how === "into" ||
    (how === "over" ? encloses(branchOf(event), branch) : isOutside(branchOf(event), branch))
  return Effect.map(
    find(reader, start(at.seq, direction), direction, wanted),
    ({ found, last }) => found ?? last
  )
}

/** The nearest checkpoint at which something says to stop; without one, the last in that direction. */
export const proceed = (
  reader: Reader,
  at: Event,
  direction: "forwards" | "backwards",
  stops: Stops
): Effect.Effect<Found | undefined, Error> =>
  Effect.map(
    find(reader, start(at.seq, direction), direction, (event) => reasonFor(stops, event) !== undefined),
    ({ found, last }) => {
      const event = found ?? last
      return event === undefined ? undefined : { event, reason: found && reasonFor(stops, found) }
    }
  )

/** The checkpoint at a position, or the one before it. */
export const checkpointAt = (reader: Reader, seq: number): Effect.Effect<Event | undefined, Error> =>
  Effect.map(
    find(reader, seq, "backwards", () => true),
    ({ found }) => found
  )

/** So many visits of one node are offered to go to. */
const mostVisits = 200

/** Where a node's visits ended, or waited: the latest ones if there are very many. */
export const visitsOf = (reader: Reader, node: string): Effect.Effect<ReadonlyArray<Event>, Error> =>
  Effect.gen(function* () {
    const { seq } = yield* reader.info
    const visits: Array<Event> = []
    yield* reader.scan(seq, "backwards", (event) => {
      if (isCheckpoint(event.kind) && event.kind !== "created" && nodeOf(event) === node) visits.push(event)
      return visits.length < mostVisits
    })
    return visits.reverse()
  })
