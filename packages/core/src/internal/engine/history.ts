/**
 * Looking into a run's journal.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Checkpoint, HistoryOptions } from "../../Checkpoint.ts"
import type { Event, Kind, Of } from "../../Event.ts"
import type { Entry } from "../../Journal.ts"
import { StoreError } from "../../Store.ts"
import { isCount } from "../definition/count.ts"
import { isTerminal } from "../status.ts"
import { checkLimit, page } from "./pages.ts"
import { open } from "./reader.ts"
import type { Journals, ReadError } from "./reader.ts"

/** The kinds of events after which a run stands at a checkpoint worth listing. */
const checkpointKinds: ReadonlySet<Kind> = new Set([
  "created",
  "forked",
  "visited",
  "visitFailed",
  "attemptFailed",
  "waitOpened",
  "waitEnded",
  "joined",
  "paused",
  "resumed",
  "cancelRequested",
  "cancelled",
  "completed",
  "failed",
  "restarted",
  "migrated",
  "compensating",
  "compensationCompleted",
  "compensationFailed"
])

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

export const checkpointOf = (event: Event): Checkpoint => {
  const checkpoint: Mutable<Checkpoint> = {
    run: event.run,
    seq: event.seq,
    time: event.time,
    kind: event.kind
  }
  if ("branch" in event && event.branch !== undefined) checkpoint.branch = event.branch
  if ("node" in event && event.node !== undefined) checkpoint.node = event.node
  if ("visit" in event && event.visit !== undefined) checkpoint.visit = event.visit
  if ("attempt" in event && event.attempt !== undefined) checkpoint.attempt = event.attempt
  if (event.kind === "visited") checkpoint.status = "completed"
  if (event.kind === "visitFailed") checkpoint.status = event.outcome.status
  if (event.kind === "failed" || event.kind === "attemptFailed") checkpoint.status = "failed"
  if ("actor" in event && event.actor !== undefined) checkpoint.actor = event.actor
  if ("command" in event && event.command !== undefined) checkpoint.command = event.command.id
  if (event.kind === "compensationFailed") checkpoint.status = "failed"
  return checkpoint
}

/** The first position before `end` whose event happened at a time or later; time does not go back in a journal. */
const firstSince = /* @__PURE__ */ Effect.fnUntraced(function* (
  { store }: Journals,
  run: string,
  end: number,
  time: number
) {
  let low = 0
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    const [entry] = yield* store.read(run, { from: middle, limit: 1 })
    if (entry !== undefined && entry.event.time < time) low = middle + 1
    else high = middle
  }
  return low
})

export const checkpoints = /* @__PURE__ */ Effect.fnUntraced(function* (
  journals: Journals,
  run: string,
  options: HistoryOptions
): Effect.fn.Return<ReadonlyArray<Checkpoint>, ReadError> {
  const { branch, kind, node, since, until } = options
  const limit = options.limit ?? 100
  const oldest = options.order === "oldest"
  const kinds = kind === undefined ? checkpointKinds : new Set<Kind>(typeof kind === "string" ? [kind] : kind)
  const isWanted = (event: Event): boolean =>
    kinds.has(event.kind) &&
    (node === undefined || ("node" in event && event.node === node)) &&
    (branch === undefined || (("branch" in event && event.branch) || "") === branch)
  yield* checkLimit("history", limit)
  const { store } = journals
  const { info } = yield* store.get(run)
  let low = options.after === undefined ? 0 : options.after + 1
  let high = options.before === undefined ? info.seq : options.before - 1
  const end = info.seq + 1
  if (since !== undefined) low = Math.max(low, yield* firstSince(journals, run, end, since))
  if (until !== undefined) high = Math.min(high, (yield* firstSince(journals, run, end, until)) - 1)
  const found: Array<Checkpoint> = []
  let at = oldest ? low : Math.min(high, info.seq)
  // No more than may be wanted is read, unless much of it turns out not to be.
  let size = limit
  while (found.length < limit && at >= low && at <= high) {
    const entries = yield* store.read(run, {
      from: at,
      to: oldest ? high : low,
      ...page,
      limit: Math.min(size, page.limit),
      direction: oldest ? "forwards" : "backwards"
    })
    if (entries.length === 0) break
    for (const { event } of entries) {
      if (isWanted(event)) found.push(checkpointOf(event))
      if (found.length === limit) break
    }
    const last = entries[entries.length - 1]!.event.seq
    at = oldest ? last + 1 : last - 1
    size *= 4
  }
  return found
})

export interface EventsOptions<K extends Kind> {
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly kinds?: ReadonlyArray<K> | undefined
  readonly order?: "oldest" | "newest" | undefined
}

/**
 * The events from a position on: past, then live until the run has ended, or up to a position. Newest first, those that
 * are there.
 */
export const events = <K extends Kind>(
  { codec, store }: Journals,
  run: string,
  { from = 0, kinds, order, to = Number.MAX_SAFE_INTEGER }: EventsOptions<K>
): Stream.Stream<Of<K>, ReadError> => {
  const wanted: ReadonlySet<Kind> | undefined = kinds === undefined ? undefined : new Set(kinds)
  const pageOf = (entries: ReadonlyArray<Entry>): Effect.Effect<ReadonlyArray<any>, ReadError> => {
    const found: Array<Event> = []
    for (const { event } of entries) if (wanted?.has(event.kind) !== false) found.push(event)
    return codec === undefined ? Effect.succeed(found) : Effect.forEach(found, (event) => open(codec, event))
  }
  type Page = readonly [ReadonlyArray<Of<K>>, Option.Option<number>]

  const position = isCount(from, 0)
  if (!position || !(Number.isInteger(to) || to === Number.POSITIVE_INFINITY)) {
    const detail = position
      ? `\`to\` is ${to}; it must be a whole number, or Number.POSITIVE_INFINITY`
      : `\`from\` is ${from}; it must be a position in the journal: a whole number from 0`
    return Stream.fail(new StoreError({ operation: "events", reason: { _tag: "Invalid", detail } }))
  }
  if (order === "newest") {
    return Stream.paginate(undefined, (before: number | undefined) =>
      Effect.gen(function* (): Effect.fn.Return<Page, ReadError> {
        const at = before ?? Math.min(to, (yield* store.get(run)).info.seq)
        if (at < from) return [[], Option.none()]
        const entries = yield* store.read(run, {
          from: at,
          to: from,
          ...page,
          direction: "backwards"
        })
        const last = entries[entries.length - 1]
        return [yield* pageOf(entries), last === undefined ? Option.none() : Option.some(last.event.seq - 1)]
      })
    )
  }
  return Stream.paginate(from, (next: number) =>
    Effect.gen(function* (): Effect.fn.Return<Page, ReadError> {
      if (next > to) return [[], Option.none()]
      let entries = yield* store.read(run, { from: next, to, ...page })
      while (entries.length === 0) {
        const { info } = yield* store.get(run)
        if (info.seq < next) {
          if (isTerminal(info.status)) return [[], Option.none()]
          // The run may end before it comes to where the events are to begin.
          yield* store.changed(run, info.seq)
        }
        entries = yield* store.read(run, { from: next, to, ...page })
      }
      return [yield* pageOf(entries), Option.some(entries[entries.length - 1]!.event.seq + 1)]
    })
  )
}
