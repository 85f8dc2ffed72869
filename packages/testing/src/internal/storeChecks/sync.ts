import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { acquireFree, begin, claim, restart, shownUpTo, shows } from "./observation.ts"
import { check, holds, refused, violated } from "./trial.ts"

export const syncChecks: ReadonlyArray<Check> = [
  check(
    "sync",
    "what was synced is shown, in every way there is",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 5; i++) {
        yield* run.append(Journal.visited())
        yield* run.sync
        yield* shows(store, run.journal)
      }
      yield* run.append(Journal.visited(), Journal.completed())
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "sync",
    "what was synced is shown by other instances, too",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run")
      for (let i = 0; i < 3; i++) {
        yield* run.append(Journal.visited(), Journal.visited())
        yield* run.sync
        yield* trial.eventually(shows(two, run.journal))
      }
    })
  ),
  check("sync", "what was synced survives a power cut", ["crash"], (trial) =>
    Effect.forEach(
      [0, 1, 2, 5],
      (unsynced) =>
        trial.afresh(
          Effect.fnUntraced(function* (fresh) {
            const store = yield* fresh.open
            const run = yield* begin(store, "run")
            const other = yield* begin(store, "other")
            for (let i = 0; i < 6; i++) {
              yield* run.append(Journal.visited(), Journal.visited())
              if (i % 2 === 1) yield* other.append(Journal.visited())
            }
            yield* run.sync
            yield* other.sync
            const synced = run.journal.seq
            const otherSynced = other.journal.seq
            for (let i = 0; i < unsynced; i++) yield* run.append(Journal.visited(), Journal.visited())
            const again = yield* restart(fresh)
            const found = yield* shownUpTo(again, run.journal, run.ends)
            yield* holds(
              `synced up to ${synced}, after the power cut found up to ${found} only`,
              found >= synced
            )
            const otherFound = yield* shownUpTo(again, other.journal, other.ends)
            yield* holds(
              `another run: synced up to ${otherSynced}, found up to ${otherFound}`,
              otherFound >= otherSynced
            )

            // And the run goes on from there, through a second power cut.
            const acquired = yield* acquireFree(fresh, again, "run")
            const next = yield* claim(again, acquired, run.journal, run.ends)
            yield* next.append(Journal.visited())
            yield* next.sync
            const third = yield* restart(fresh)
            yield* shows(third, run.journal)
          })
        ),
      { discard: true }
    )
  ),
  check("sync", "what anybody saw survives a power cut", ["crash"], (trial) =>
    Effect.forEach(
      Array.from({ length: 8 }, (_, round) => round),
      (round) =>
        trial.afresh(
          Effect.fnUntraced(function* (fresh) {
            const store = yield* fresh.open
            const run = yield* begin(store, "run")
            let seen = 0
            // Nothing is synced here: whether any of it is shown is for the store to decide.
            for (let i = 0; i < 4; i++) {
              yield* run.append(Journal.visited(), Journal.visited())
              for (let wait = 0; wait < round; wait++) yield* Effect.yieldNow
              seen = Math.max(seen, yield* shownUpTo(store, run.journal, run.ends))
            }
            const again = yield* restart(fresh)
            const found = yield* shownUpTo(again, run.journal, run.ends)
            yield* holds(
              `the run was shown up to ${seen}; after a power cut it ends at ${found}`,
              found >= seen
            )
          })
        ),
      { discard: true }
    )
  ),
  check(
    "sync",
    "with nothing to sync it succeeds",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.sync
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "sync",
    "a lease that was released, or never was, is lost",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* refused(
        "syncing under an epoch that never was",
        "LeaseLost",
        store.sync({ ...run.lease, epoch: 3 })
      )
      yield* run.append(Journal.visited())
      yield* store.release(run.lease)
      yield* refused("syncing after the release", "LeaseLost", run.sync)
      yield* refused(
        "syncing a run that does not exist",
        "LeaseLost",
        store.sync({ run: "nothing", owner: store.owner, epoch: 0 })
      )
    })
  ),
  check(
    "sync",
    "it covers everything that was appended before it, whatever is appended meanwhile",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const fibers: Array<Fiber.Fiber<void, unknown>> = []
      for (let i = 0; i < 40; i++) {
        yield* run.append(Journal.visited())
        const before = run.journal.seq
        fibers.push(
          yield* Effect.forkChild(
            Effect.gen(function* () {
              yield* run.sync
              const { head } = yield* store.get("run")
              if (head.seq < before) {
                return yield* violated(
                  `a sync that began when the run stood at ${before} came back when ${head.seq} was durable`
                )
              }
            }),
            { startImmediately: true }
          )
        )
        if (i % 3 === 0) yield* Effect.yieldNow
      }
      for (const fiber of fibers) yield* Fiber.join(fiber)
      yield* shows(store, run.journal)
    })
  )
]
