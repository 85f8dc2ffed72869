/**
 * What an instance shows of a run, in every way there is, and a writer that keeps count of what it wrote.
 */
import * as Effect from "effect/Effect"
import type { Entry } from "@waymark/core/Journal"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { Acquired, Lease, ListQuery } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { JournalBuilder, Step } from "../../JournalBuilder.ts"
import type { Instance, Trial } from "./trial.ts"
import { same, violated } from "./trial.ts"

/** All entries of a run, page by page. */
export const readAll = Effect.fnUntraced(function* (store: Instance, run: string) {
  const all: Array<Entry> = []
  for (;;) {
    const page = yield* store.read(run, { from: all.length })
    if (page.length === 0) return all
    all.push(...page)
  }
})

/** All entries of all runs after a cursor, page by page. */
export const feedAll = Effect.fnUntraced(function* (store: Instance, cursor?: string, limit?: number) {
  const all: Array<Entry> = []
  let at = cursor
  for (;;) {
    const page = yield* store.feed({ cursor: at, limit })
    if (page.entries.length === 0) return { entries: all, cursor: page.cursor }
    if (limit !== undefined && page.entries.length > limit) {
      return yield* violated(
        `feed: ${page.entries.length} entries came back, ${limit} were asked for at most`
      )
    }
    if (page.cursor === at)
      return yield* violated(`feed: the cursor ${page.cursor} stands still though there were entries`)
    all.push(...page.entries)
    at = page.cursor
  }
})

/** All rows that match, page by page. */
export const listAll = Effect.fnUntraced(function* (store: Instance, query: ListQuery) {
  const all: Array<RunInfo> = []
  let cursor: string | undefined
  for (;;) {
    const page = yield* store.list(cursor === undefined ? query : { ...query, cursor })
    all.push(...page.runs)
    if (query.limit !== undefined && page.runs.length > query.limit) {
      return yield* violated(
        `list: ${page.runs.length} rows came back, ${query.limit} were asked for at most`
      )
    }
    if (page.cursor === undefined) return all
    if (page.cursor === cursor) return yield* violated(`list: the cursor ${cursor} leads nowhere`)
    cursor = page.cursor
  }
})

const prefix = (what: string, entries: ReadonlyArray<Entry>, journal: JournalBuilder) =>
  Effect.gen(function* () {
    for (const [seq, entry] of entries.entries()) {
      const written = journal.entries[seq]
      if (written === undefined) {
        return yield* violated(
          `${what}: there is an entry at ${seq} that nobody wrote, or that is void: ${entry.line}`
        )
      }
      if (entry.line !== written.line) yield* same(`${what}: the entry at ${seq}`, entry.line, written.line)
      yield* same(`${what}: the event at ${seq}`, entry.event, written.event)
    }
  })

/**
 * The position up to which an instance shows a run. Whatever way it is looked at, it must be a prefix of `journal`, the
 * index row must be the one that follows from it, and it must not go back. `ends` are the positions at which batches
 * end: nothing may end between them.
 */
export const shownUpTo = Effect.fnUntraced(function* (
  store: Instance,
  journal: JournalBuilder,
  ends?: ReadonlySet<number>
) {
  const { run } = journal
  let last = -1
  const reached = (what: string, seq: number) =>
    Effect.gen(function* () {
      if (seq < last)
        return yield* violated(`${what} shows run ${run} up to ${seq}; it was shown up to ${last} already`)
      if (ends !== undefined && !ends.has(seq)) {
        return yield* violated(`${what} shows run ${run} up to ${seq}, which is in the middle of a batch`)
      }
      last = seq
    })
  const row = (what: string, info: RunInfo) =>
    Effect.gen(function* () {
      if (info.seq > journal.seq)
        return yield* violated(`${what} says that run ${run} stands at ${info.seq}, which nobody wrote`)
      yield* same(`${what}: the index row of run ${run}`, info, journal.infoAt(info.seq))
      yield* reached(what, info.seq)
    })

  const { info, head } = yield* store.get(run)
  yield* row("get", info)
  yield* same(`get: the head of run ${run}`, { seq: head.seq, hash: head.hash }, journal.headAt(info.seq))

  const entries = yield* readAll(store, run)
  yield* prefix(`read of run ${run}`, entries, journal)
  yield* reached("read", entries.length - 1)

  const listed = (yield* listAll(store, {})).filter((other) => other.run === run)
  if (listed.length !== 1) return yield* violated(`list shows run ${run} ${listed.length} times`)
  yield* row("list", listed[0]!)

  const fed = (yield* feedAll(store)).entries.filter(({ event }) => event.run === run)
  yield* prefix(`feed of run ${run}`, fed, journal)
  yield* reached("feed", fed.length - 1)
  return last
})

/** The instance shows the journal, all of it and nothing else. */
export const shows = Effect.fnUntraced(function* (store: Instance, journal: JournalBuilder) {
  const seq = yield* shownUpTo(store, journal)
  if (seq !== journal.seq) {
    return yield* violated(
      `run ${journal.run} is shown up to ${seq}, not up to ${journal.seq}, which is durable`
    )
  }
})

/** A run and the lease to write to it. */
export interface Writer {
  readonly store: Instance
  readonly lease: Lease
  readonly journal: JournalBuilder
  /** The positions at which batches end. */
  readonly ends: Set<number>
  /** Appends a batch. */
  readonly append: (...steps: readonly [Step, ...ReadonlyArray<Step>]) => ReturnType<Instance["append"]>
  readonly sync: ReturnType<Instance["sync"]>
}

const writer = (store: Instance, lease: Lease, journal: JournalBuilder, ends: Set<number>): Writer => ({
  store,
  lease,
  journal,
  ends,
  append: (...steps) =>
    Effect.suspend(() => {
      const expected = journal.seq
      const batch = journal.batch(...steps)
      ends.add(journal.seq)
      return store.append(lease, expected, batch)
    }),
  sync: store.sync(lease)
})

export interface Beginning extends Journal.Options {
  /** The first batch, one `created` event unless said otherwise. */
  readonly steps?: readonly [Step, ...ReadonlyArray<Step>] | undefined
  readonly holder?: string | undefined
  /** Whether it need not be durable yet. */
  readonly ahead?: boolean | undefined
}

/** Creates a run that this instance holds. */
export const begin = Effect.fnUntraced(function* (store: Instance, run: string, options?: Beginning) {
  const journal = yield* Journal.make(run, options?.time === undefined ? {} : { time: options.time })
  const batch = journal.batch(...(options?.steps ?? [Journal.created()]))
  const lease = yield* store.create(batch, { holder: options?.holder ?? "worker", ahead: options?.ahead })
  return writer(store, lease, journal, new Set([journal.seq]))
})

/** Writes on under a lease that was acquired, beginning with a `claimed` event, which is not synced. */
export const claim = Effect.fnUntraced(function* (
  store: Instance,
  acquired: Acquired,
  journal: JournalBuilder,
  ends: Set<number> = new Set()
) {
  const batch = journal.claim(acquired)
  for (const end of ends) if (end > acquired.head.seq) ends.delete(end)
  ends.add(journal.seq)
  yield* store.append(acquired.lease, acquired.head.seq, batch)
  return writer(store, acquired.lease, journal, ends)
})

/** A batch of somebody who has no business in the run: it claims to follow the entry at `seq`. */
export const stray = Effect.fnUntraced(function* (run: string, seq: number) {
  const journal = yield* Journal.make(run, { time: 77 })
  journal.batch(Journal.created())
  while (journal.seq < seq) journal.batch(Journal.visited())
  return journal.batch(Journal.annotated("stray"))
})

/** Acquires a run as soon as its lease is free: after a crash that may take a moment. */
export const acquireFree = (trial: Trial, store: Instance, run: string, holder = "worker") =>
  trial.eventually(store.acquire(run, holder))

/** Cuts the power and opens a new instance. */
export const restart = (trial: Trial) => Effect.andThen(trial.crash, trial.open)
