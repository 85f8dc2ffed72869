import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Entry } from "@waymark/core/Journal"
import { parse } from "@waymark/core/Journal"
import type { ReadOptions } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin, readAll, shows } from "./observation.ts"
import { check, refused, same } from "./trial.ts"

/** What the port says a read gives. */
const expected = (entries: ReadonlyArray<Entry>, options: ReadOptions): ReadonlyArray<Entry> => {
  const limit = options.limit ?? 1000
  const last = entries.length - 1
  return options.direction === "backwards"
    ? entries
        .filter(({ event }) => event.seq <= (options.from ?? last) && event.seq >= (options.to ?? 0))
        .reverse()
        .slice(0, limit)
    : entries
        .filter(({ event }) => event.seq >= (options.from ?? 0) && event.seq <= (options.to ?? last))
        .slice(0, limit)
}

const positions = (entries: ReadonlyArray<Entry>) => entries.map(({ event }) => event.seq)

export const readChecks: ReadonlyArray<Check> = [
  check(
    "read",
    "a run that does not exist is RunNotFound, whatever is asked of it",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = "nothing"
      yield* same("get", (yield* refused("get", "RunNotFound", store.get(run))).run, run)
      yield* same("read", (yield* refused("read", "RunNotFound", store.read(run))).run, run)
      yield* same("changed", (yield* refused("changed", "RunNotFound", store.changed(run, 0))).run, run)
      yield* same("inbox", (yield* refused("inbox", "RunNotFound", store.inbox(run, {}))).run, run)
      yield* same("delete", (yield* refused("delete", "RunNotFound", store.delete(run))).run, run)
    })
  ),
  check(
    "read",
    "what comes back is what was written, byte for byte, and decoded",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      // Texts that are hard on encodings and on line ends; numbers at the edges of what a double holds.
      const input = {
        text: 'line\nbreak\r\n\u2028\u2029 tab\t quote" back\\slash nul\u0000 é é 😀 \ud83d end\u007f',
        numbers: [0, -0.5, 1e21, 5e-324, 1.7976931348623157e308, 9007199254740991, -9007199254740991],
        "": { __proto__x: null, constructor: [], "a.b": true },
        nested: [[[[[[[[{}]]]]]]]]
      }
      const run = yield* begin(store, "run", { steps: [Journal.created({ input })] })
      yield* run.append(Journal.visited({ "key\n": { set: input } }))
      yield* run.sync
      const entries = yield* store.read("run")
      yield* same(
        "the lines",
        entries.map(({ line }) => line),
        run.journal.entries.map(({ line }) => line)
      )
      for (const entry of entries) {
        const parsed = parse(entry.line)
        yield* same("the event that comes with a line", entry.event, Result.getOrUndefined(parsed)?.event)
      }
      yield* shows(store, run.journal)
    })
  ),
  check(
    "read",
    "from, to and limit, forwards and backwards, are positions and both included",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 11; i++)
        yield* run.append(Journal.visited(), ...(i % 3 === 0 ? [Journal.visited()] : []))
      yield* run.sync
      const last = run.journal.seq
      const edges = [undefined, 0, 1, 5, last - 1, last, last + 1, last + 100]
      for (const direction of [undefined, "forwards", "backwards"] as const) {
        for (const from of edges) {
          for (const to of edges) {
            for (const limit of [undefined, 0, 1, 3, last + 1, 1_000_000]) {
              const options = { direction, from, to, limit }
              yield* same(
                `read ${JSON.stringify(options)} of a run that stands at ${last}`,
                positions(yield* store.read("run", options)),
                positions(expected(run.journal.entries, options))
              )
            }
          }
        }
      }
    })
  ),
  check(
    "read",
    "at most 1,000 entries come back unless more are asked for",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 25; i++) {
        const steps = Array.from({ length: 49 }, () => Journal.visited())
        yield* run.append(Journal.visited(), ...steps)
      }
      yield* run.sync
      const { entries } = run.journal
      yield* same("forwards", positions(yield* store.read("run")), positions(expected(entries, {})))
      yield* same(
        "backwards",
        positions(yield* store.read("run", { direction: "backwards" })),
        positions(expected(entries, { direction: "backwards" }))
      )
      yield* same(
        "with a limit of 1,200",
        positions(yield* store.read("run", { limit: 1200 })),
        positions(entries.slice(0, 1200))
      )
      yield* same("page by page", (yield* readAll(store, "run")).length, entries.length)
    })
  )
]
