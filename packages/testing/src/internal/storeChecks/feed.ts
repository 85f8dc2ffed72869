import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Entry } from "@waymark/core/Journal"
import * as Journal from "../../JournalBuilder.ts"
import type { JournalBuilder } from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin, feedAll, restart } from "./observation.ts"
import type { Instance, Trial } from "./trial.ts"
import { check, refused, same, violated } from "./trial.ts"

/** Several runs written in turns, synced now and then. */
const interleave = Effect.fnUntraced(function* (store: Instance, prefix: string, rounds = 8) {
  const runs = yield* Effect.forEach(["a", "b", "c"], (name) => begin(store, `${prefix}-${name}`))
  for (let i = 0; i < rounds; i++) {
    for (const [index, run] of runs.entries()) {
      if ((i + index) % 3 === 0) continue
      yield* run.append(Journal.visited(), ...(i % 2 === 0 ? [Journal.visited()] : []))
      if ((i * index) % 4 === 1) yield* run.sync
    }
  }
  for (const run of runs) yield* run.sync
  return runs.map((run) => run.journal)
})

/** `entries` are those of all `journals`, each one's in order and without gaps, `from` given positions. */
const complete = Effect.fnUntraced(function* (
  what: string,
  entries: ReadonlyArray<Entry>,
  journals: ReadonlyArray<JournalBuilder>,
  from: (run: string) => number = () => 0
) {
  for (const journal of journals) {
    yield* same(
      `${what}: what it tells of run ${journal.run}`,
      entries.filter(({ event }) => event.run === journal.run).map(({ line }) => line),
      journal.entries.slice(from(journal.run)).map(({ line }) => line)
    )
  }
  const known = new Set(journals.map((journal) => journal.run))
  const stray = entries.find(({ event }) => !known.has(event.run))
  if (stray !== undefined)
    return yield* violated(`${what}: it tells of a run that is none of these: ${stray.line}`)
})

/** Follows the feed from `cursor` until it has told everything of all journals. */
const follow = (trial: Trial, store: Instance, journals: ReadonlyArray<JournalBuilder>, cursor?: string) => {
  const told: Array<Entry> = []
  let at = cursor
  return trial.eventually(
    Effect.gen(function* () {
      const page = yield* feedAll(store, at, 7)
      told.push(...page.entries)
      at = page.cursor
      yield* complete("the feed, followed by its cursors", told, journals)
      return page.cursor
    })
  )
}

export const feedChecks: ReadonlyArray<Check> = [
  check(
    "feed",
    "it tells every durable entry of every run once, those of one run in order and without gaps",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* same("an empty store", (yield* store.feed()).entries, [])
      const journals = yield* interleave(store, "run")
      for (const limit of [1, 2, 3, 10, 1000]) {
        const { entries } = yield* feedAll(store, undefined, limit)
        yield* complete(`in pages of ${limit}`, entries, journals)
      }
      yield* complete("with no limit given", (yield* feedAll(store)).entries, journals)
    })
  ),
  check(
    "feed",
    "a cursor goes on where it ended, also when there was nothing new",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const empty = yield* store.feed()
      const first = yield* interleave(store, "first")
      const told = yield* feedAll(store, empty.cursor)
      yield* complete("after a cursor of the empty store", told.entries, first)
      const again = yield* store.feed({ cursor: told.cursor })
      yield* same("when there is nothing new", again.entries, [])
      const second = yield* interleave(store, "second")
      const more = yield* feedAll(store, again.cursor)
      yield* complete("after a cursor at which there was nothing new", more.entries, second)
      yield* complete("the first cursor still holds", (yield* feedAll(store, empty.cursor)).entries, [
        ...first,
        ...second
      ])
    })
  ),
  check(
    "feed",
    '"now" begins after the newest',
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const before = yield* interleave(store, "before")
      const now = yield* store.feed({ cursor: "now" })
      yield* same("what is told at once", now.entries, [])
      const after = yield* interleave(store, "after")
      const run = before[0]!
      yield* complete("what is told later", (yield* feedAll(store, now.cursor)).entries, after)
      yield* complete("from the oldest", (yield* feedAll(store)).entries, [...before, ...after])
      yield* same("where an older run stands", run.seq, run.entries.length - 1)
    })
  ),
  check(
    "feed",
    "who follows it while many write misses nothing and is told nothing twice",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const told: Array<Entry> = []
      const follower = yield* Effect.forkChild(
        Effect.gen(function* () {
          let cursor: string | undefined
          for (;;) {
            const page = yield* store.feed({ cursor, limit: 5 })
            told.push(...page.entries)
            cursor = page.cursor
            yield* Effect.yieldNow
          }
        }),
        { startImmediately: true }
      )
      const journals = (yield* Effect.forEach(["x", "y", "z"], (prefix) => interleave(store, prefix, 20), {
        concurrency: 3
      })).flat()
      const total = journals.reduce((sum, journal) => sum + journal.entries.length, 0)
      yield* trial.eventually(
        Effect.suspend((): Effect.Effect<void, unknown> => {
          const exit = follower.pollUnsafe()
          if (exit !== undefined) return exit
          return told.length >= total ? Effect.void : violated(`told were ${told.length} of ${total}`)
        })
      )
      yield* Fiber.interrupt(follower)
      yield* complete("the follower", told, journals)
    })
  ),
  check(
    "feed",
    "an empty page means that there is nothing more, also after runs were deleted",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const start = yield* store.feed()
      for (let i = 0; i < 6; i++) {
        yield* begin(store, `gone-${i}`, {
          steps: [Journal.created(), Journal.visited(), Journal.completed()]
        })
      }
      const middle = yield* store.feed({ limit: 4 })
      const kept = yield* interleave(store, "kept")
      for (let i = 0; i < 6; i++) yield* store.delete(`gone-${i}`)
      for (const [what, cursor] of [
        ["the start", start.cursor],
        ["the middle of what is gone", middle.cursor]
      ] as const) {
        for (const limit of [1, 3, 1000]) {
          yield* complete(
            `from ${what}, in pages of ${limit}`,
            (yield* feedAll(store, cursor, limit)).entries,
            kept
          )
        }
      }
    })
  ),
  check(
    "feed",
    "at most 1,000 entries come back unless more are asked for",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const steps = Array.from({ length: 1_100 }, () => Journal.visited())
      yield* run.append(Journal.visited(), ...steps)
      yield* run.sync
      yield* same("how many came back", (yield* store.feed()).entries.length, 1_000)
      yield* complete("page by page", (yield* feedAll(store)).entries, [run.journal])
    })
  ),
  check(
    "feed",
    "a cursor that is none is refused as invalid",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      const error = yield* refused("going on from it", "StoreError", store.feed({ cursor: "no cursor!" }))
      yield* same("the reason", error.reason._tag, "Invalid")
    })
  ),
  check(
    "feed",
    "it tells what other instances write, and their cursors are understood",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const journals = yield* interleave(one, "one")
      const cursor = yield* follow(trial, two, journals)
      const [ones, twos] = yield* Effect.all([interleave(one, "three"), interleave(two, "two")], {
        concurrency: 2
      })
      yield* follow(trial, two, [...journals, ...ones, ...twos])
      yield* follow(trial, one, [...journals, ...ones, ...twos])
      yield* trial.eventually(
        Effect.flatMap(feedAll(one, cursor), ({ entries }) =>
          complete("after a cursor of another instance", entries, [...ones, ...twos])
        )
      )
    })
  ),
  check(
    "feed",
    "a cursor is understood after everything was closed and opened again",
    ["reopen"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const before = yield* interleave(store, "before")
      const part = yield* store.feed({ limit: 6 })
      const end = yield* feedAll(store)
      yield* trial.close(store)
      const again = yield* trial.open
      const after = yield* interleave(again, "after")
      yield* complete("after a cursor at the end", (yield* feedAll(again, end.cursor)).entries, after)
      yield* complete(
        "after a cursor in the middle",
        [...part.entries, ...(yield* feedAll(again, part.cursor)).entries],
        [...before, ...after]
      )
    })
  ),
  check(
    "feed",
    "what it told survives a power cut, and its cursor goes on without a gap",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 6; i++) {
        yield* run.append(Journal.visited(), Journal.visited())
        if (i === 2) yield* run.sync
        yield* Effect.yieldNow
      }
      const told = yield* feedAll(store)
      const again = yield* restart(trial)
      const whole = (yield* feedAll(again)).entries.map(({ line }) => line)
      yield* same(
        "what it told before the power cut",
        told.entries.map(({ line }) => line),
        whole.slice(0, told.entries.length)
      )
      const rest = (yield* feedAll(again, told.cursor)).entries.map(({ line }) => line)
      yield* same("what comes after the cursor", rest, whole.slice(told.entries.length))
      const later = yield* begin(again, "later")
      yield* same(
        "what is written after the power cut, after the cursor",
        (yield* feedAll(again, told.cursor)).entries.map(({ line }) => line),
        [...rest, ...later.journal.entries.map(({ line }) => line)]
      )
    })
  )
]
