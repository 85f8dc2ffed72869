import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin, listAll, shows } from "./observation.ts"
import type { Instance, Trial } from "./trial.ts"
import { check, holds, same, violated } from "./trial.ts"

/** Ids that a careless store confuses, loses, or lets out of its directory. All of them must work. */
const hostile: ReadonlyArray<string> = [
  ".",
  "..",
  "../x",
  "../../etc/passwd",
  "/",
  "/absolute",
  "a/b",
  "a\\b",
  "C:\\x",
  "~",
  "%2e",
  "%2e%2e%2f",
  "%",
  "%00",
  "con",
  "CON",
  "nul",
  "aux.json",
  "run",
  "Run",
  "RUN",
  "run.",
  "run ",
  " run",
  " ",
  "a b",
  "line\nbreak",
  "tab\t",
  "\r\n",
  "\u2028",
  "\u007f",
  'quote"',
  "'; drop table runs; --",
  "$(rm)",
  "`x`",
  "*",
  "?",
  "<>|:",
  "#",
  "a=b&c=d",
  "-rf",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "undefined",
  "0",
  "00",
  "1e3",
  "é",
  "e\u0301",
  "ß",
  "ss",
  "İ",
  "i",
  "\u03a9",
  "\u2126",
  "日本語",
  "😀",
  "👩‍👩‍👧‍👦",
  "\ufeff",
  "\u202e",
  "x".repeat(255),
  "x".repeat(256),
  "y".repeat(300),
  "😀".repeat(300)
]

/** Ids that a store may refuse as invalid; if it takes them, they must work like any other. */
const doubtful: ReadonlyArray<string> = ["", "\u0000", "nul\u0000byte", "\ud800", "\udc00x"]

/** Everything that takes an id is used with it, and what is durable is returned. */
const live = Effect.fnUntraced(function* (store: Instance, id: string) {
  const run = yield* begin(store, id)
  yield* run.append(Journal.visited())
  yield* run.sync
  yield* store.send({ id, run: id, time: 0, request: { type: "resume" } })
  const received = yield* store.inbox(id, {})
  yield* same(
    "its inbox",
    received.map((one) => one.command.id),
    [id]
  )
  yield* store.changed(id, 0)
  yield* store.release(run.lease)
  const acquired = yield* store.acquire(id, id)
  yield* same("the run of its lease", acquired.lease.run, id)
  yield* store.release(acquired.lease)
  return run.journal
})

const found = Effect.fnUntraced(function* (store: Instance, journals: ReadonlyArray<Journal.JournalBuilder>) {
  for (const journal of journals) {
    yield* Effect.mapError(shows(store, journal), (error) => ({
      _tag: "Violation" as const,
      message: `run ${JSON.stringify(journal.run.slice(0, 40))}: ${error.message}`
    }))
  }
  const listed = (yield* listAll(store, {})).map((info) => info.run).sort()
  yield* same("the ids that are listed", listed, journals.map((journal) => journal.run).sort())
})

const populate = (store: Instance, ids: ReadonlyArray<string>) =>
  Effect.forEach(ids, (id) =>
    Effect.catch(live(store, id), (error) =>
      violated(`run ${JSON.stringify(id.slice(0, 40))}: ${error._tag}: ${error.message}`)
    )
  )

const goneAndBack = Effect.fnUntraced(function* (trial: Trial, ids: ReadonlyArray<string>) {
  const store = yield* trial.open
  for (const id of ids) {
    const steps = [Journal.created(), Journal.completed()] as const
    yield* begin(store, id, { steps })
    yield* store.delete(id)
    yield* begin(store, id, { steps, time: 7 })
  }
  yield* same("how many runs there are", (yield* listAll(store, {})).length, ids.length)
})

export const idChecks: ReadonlyArray<Check> = [
  check(
    "ids",
    "any text names a run, and no two of them are confused",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* found(store, yield* populate(store, hostile))
    })
  ),
  check(
    "ids",
    "any text still names its run after everything was closed and opened again",
    ["reopen"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const journals = yield* populate(store, hostile)
      yield* trial.close(store)
      yield* found(yield* trial.open, journals)
    })
  ),
  check("ids", "a run of any id can be deleted and created again", [], (trial) =>
    goneAndBack(trial, hostile)
  ),
  check(
    "ids",
    "the empty id, NUL and half of a surrogate pair are refused as invalid, or work like any other",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const taken: Array<Journal.JournalBuilder> = []
      for (const id of doubtful) {
        const journal = yield* Journal.make(id)
        const created = yield* Effect.result(store.create(journal.batch(Journal.created())))
        if (Result.isSuccess(created)) taken.push(journal)
        else {
          yield* holds(
            `run ${JSON.stringify(id)} is refused with ${created.failure._tag}: ${created.failure.message}`,
            created.failure._tag === "StoreError" && created.failure.reason._tag === "Invalid"
          )
        }
      }
      yield* found(store, taken)
    })
  )
]
