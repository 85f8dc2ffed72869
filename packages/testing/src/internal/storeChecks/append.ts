import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin, restart, shownUpTo, shows, stray } from "./observation.ts"
import { check, holds, refused, same } from "./trial.ts"

const three = [Journal.visited(), Journal.visited(), Journal.visited()] as const

export const appendChecks: ReadonlyArray<Check> = [
  check(
    "append",
    "batches follow one another without a sync between them, and keep their order",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 30; i++) {
        yield* i % 3 === 0
          ? run.append(Journal.visited({ n: { set: i } }), Journal.annotated(`${i}`))
          : run.append(Journal.visited({ n: { set: i } }))
        if (i % 11 === 0) yield* run.sync
      }
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "append",
    "a position that is not where the writer stands is refused, and nothing of it is stored",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.append(Journal.visited(), Journal.visited())
      // What is not synced yet counts: the run stands at 2.
      for (const expected of [-1, 0, 1, 3, 100]) {
        const conflict = yield* refused(
          `appending at ${expected} to a run that stands at 2`,
          "SeqConflict",
          store.append(run.lease, expected, yield* stray("run", Math.max(expected, 0)))
        )
        yield* same(
          "what the error says",
          { run: conflict.run, expected: conflict.expected, actual: conflict.actual },
          { run: "run", expected, actual: 2 }
        )
      }
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* shows(store, run.journal)
      yield* refused(
        "appending at 2 to a run that stands at 3",
        "SeqConflict",
        store.append(run.lease, 2, yield* stray("run", 2))
      )
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "append",
    "of many that append at one position at once, exactly one succeeds, and the others are told where the run stands",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let round = 0; round < 10; round++) {
        const at = run.journal.seq
        const batches = Array.from({ length: 8 }, (_, index) => {
          const batch = run.journal.batch(Journal.annotated(`${round}.${index}`))
          run.journal.rewind(at)
          return batch
        })
        const results = yield* Effect.forEach(
          batches,
          (batch) => Effect.result(store.append(run.lease, at, batch)),
          { concurrency: "unbounded" }
        )
        const winners = batches.filter((_, index) => Result.isSuccess(results[index]!))
        yield* same(`how many succeeded at ${at}`, winners.length, 1)
        for (const result of results) {
          if (Result.isSuccess(result)) continue
          yield* same("what the others are told", result.failure._tag, "SeqConflict")
          if (result.failure._tag === "SeqConflict")
            yield* same("where it stands", result.failure.actual, at + 1)
        }
        const [, note] = /"note":"([^"]*)"/.exec(winners[0]!.entries[0].line)!
        run.journal.batch(Journal.annotated(note!))
        if (round % 3 === 0) yield* run.sync
      }
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check("append", "a batch is stored whole or not at all", ["crash"], (trial) =>
    Effect.forEach(
      Array.from({ length: 12 }, (_, round) => round),
      (round) =>
        trial.afresh(
          Effect.fnUntraced(function* (fresh) {
            const store = yield* fresh.open
            const run = yield* begin(store, "run")
            for (let i = 0; i < 3; i++) yield* run.append(...three)
            // The power goes at another moment of the writing in each round.
            if (round % 3 === 1) yield* Effect.forkChild(run.sync, { startImmediately: true })
            if (round % 3 === 2) yield* run.sync
            for (let i = 0; i < round; i++) yield* Effect.yieldNow
            yield* Effect.forkChild(run.append(...three), { startImmediately: true })
            for (let i = 0; i < round; i++) yield* Effect.yieldNow
            const again = yield* restart(fresh)
            yield* shownUpTo(again, run.journal, run.ends)
          })
        ),
      { discard: true }
    )
  ),
  check(
    "append",
    "nobody ever sees a part of a batch",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const reader = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(shownUpTo(store, run.journal, run.ends), Effect.yieldNow)),
        { startImmediately: true }
      )
      for (let i = 0; i < 30; i++) {
        yield* run.append(...three)
        if (i % 4 === 0) yield* run.sync
        yield* Effect.yieldNow
      }
      yield* run.sync
      yield* shows(store, run.journal)
      const exit = reader.pollUnsafe()
      if (exit !== undefined) return yield* exit
      yield* Fiber.interrupt(reader)
    })
  ),
  check(
    "append",
    "a lease that was released is lost",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* store.release(run.lease)
      const lost = yield* refused("appending after the release", "LeaseLost", run.append(Journal.visited()))
      yield* same("what the error says", { run: lost.run, epoch: lost.epoch }, { run: "run", epoch: 0 })
      run.journal.rewind(0)
      yield* shows(store, run.journal)
    })
  ),
  check(
    "append",
    "a lease that never was, or is for another run, is lost",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const other = yield* begin(store, "other")
      const batch = run.journal.batch(Journal.visited())
      run.journal.rewind(0)
      yield* refused(
        "a lease on a run that does not exist",
        "LeaseLost",
        store.append({ run: "nothing", owner: store.owner, epoch: 0 }, 0, batch)
      )
      yield* refused(
        "a lease of an epoch that never was",
        "LeaseLost",
        store.append({ ...run.lease, epoch: 7 }, 0, batch)
      )
      yield* other.sync
      yield* run.sync
      yield* shows(store, run.journal)
      yield* shows(store, other.journal)
    })
  ),
  check(
    "append",
    "a lease that another instance holds is worth nothing here",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run")
      yield* trial.eventually(shows(two, run.journal))
      const batch = run.journal.batch(Journal.visited())
      run.journal.rewind(0)
      yield* refused("appending under it", "LeaseLost", two.append(run.lease, 0, batch))
      yield* refused("syncing under it", "LeaseLost", two.sync(run.lease))
      yield* two.release(run.lease)
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* shows(one, run.journal)
    })
  ),
  check(
    "append",
    "more than any store keeps unsynced can be appended without a sync",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const value = "x".repeat(256 * 1024)
      for (let i = 0; i < 64; i++) yield* run.append(Journal.visited({ text: { set: value } }))
      yield* run.sync
      yield* same("where the run stands", (yield* store.get("run")).head, run.journal.head)
    })
  ),
  check(
    "append",
    "many runs are written at once and none touches another",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const runs = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, index) => index),
        (index) =>
          Effect.gen(function* () {
            const run = yield* begin(store, `run-${index}`, { time: 1000 + (index % 7) })
            for (let i = 0; i < 20; i++) {
              yield* run.append(
                Journal.visited({ n: { set: index * 1000 + i } }),
                ...(i % 4 === 0 ? [three[0]] : [])
              )
              if ((index + i) % 5 === 0) yield* run.sync
              if ((index + i) % 3 === 0) yield* Effect.yieldNow
            }
            yield* run.sync
            const { info } = yield* store.get(run.journal.run)
            yield* holds(
              `run ${run.journal.run} is durable up to its end after its sync`,
              info.seq === run.journal.seq
            )
            return run
          }),
        { concurrency: "unbounded" }
      )
      for (const run of runs) yield* shows(store, run.journal)
    })
  )
]
