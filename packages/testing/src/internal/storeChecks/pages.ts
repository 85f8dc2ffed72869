import * as Effect from "effect/Effect"
import type { Entry } from "@waymark/core/Journal"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, same, violated } from "./trial.ts"

const linesOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> => entries.map(({ line }) => line)

/** A page is over with the entry with which it has so many bytes. */
const short = (what: string, entries: ReadonlyArray<Entry>, bytes: number) => {
  let size = 0
  for (const { line } of entries.slice(0, -1)) size += line.length
  return size < bytes
    ? Effect.void
    : violated(
        `${what}: ${entries.length} entries came back, and those before the last have ${size} bytes already`
      )
}

const readAll = Effect.fnUntraced(function* (
  store: Instance,
  run: string,
  bytes: number,
  backwards: boolean
) {
  const { head } = yield* store.get(run)
  const all: Array<Entry> = []
  for (let at = backwards ? head.seq : 0; at >= 0 && at <= head.seq;) {
    const what = `read ${JSON.stringify({ from: at, bytes, backwards })}`
    const direction = backwards ? "backwards" : "forwards"
    const entries = yield* store.read(run, { from: at, bytes, direction })
    if (entries.length === 0) return yield* violated(`${what}: no entry came back, and there are some`)
    yield* short(what, entries, bytes)
    all.push(...entries)
    at += backwards ? -entries.length : entries.length
  }
  return backwards ? all.reverse() : all
})

const feedAll = Effect.fnUntraced(function* (store: Instance, bytes: number) {
  const all: Array<Entry> = []
  let cursor: string | undefined
  for (;;) {
    const page = yield* store.feed({ cursor, bytes })
    if (page.entries.length === 0) return all
    yield* short(`feed ${JSON.stringify({ cursor, bytes })}`, page.entries, bytes)
    all.push(...page.entries)
    cursor = page.cursor
  }
})

/** Characters of one byte, so that it does not matter which of the two a store counts. */
const lengths = [10, 200_000, 10, 10, 90_000, 700_000, 10, 60_000, 60_000, 10, 300_000, 10, 10]

export const pageChecks: ReadonlyArray<Check> = [
  check(
    "read",
    "a page, of a run or of the feed, is over with the entry with which it has as many bytes as are asked for",
    ["reopen"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const other = yield* begin(store, "other")
      for (const [index, length] of lengths.entries()) {
        yield* run.append(Journal.visited({ text: { set: "x".repeat(length) } }))
        if (index % 3 === 0) yield* other.append(Journal.visited())
        yield* run.sync
      }
      yield* other.sync
      const looked = Effect.fnUntraced(function* (instance: Instance) {
        for (const bytes of [1, 1_000, 250_000, 10_000_000]) {
          for (const backwards of [false, true]) {
            yield* same(
              `the run, page by page of ${bytes} bytes${backwards ? ", backwards" : ""}`,
              linesOf(yield* readAll(instance, "run", bytes, backwards)),
              linesOf(run.journal.entries)
            )
          }
          const fed = yield* feedAll(instance, bytes)
          yield* same(
            `the feed, page by page of ${bytes} bytes`,
            linesOf(fed.filter(({ event }) => event.run === "run")),
            linesOf(run.journal.entries)
          )
        }
      })
      yield* looked(store)
      yield* trial.close(store)
      // What it has in memory is read in another way, perhaps.
      yield* looked(yield* trial.open)
    })
  )
]
