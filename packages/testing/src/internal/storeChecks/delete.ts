import * as Effect from "effect/Effect"
import type { Step } from "../../JournalBuilder.ts"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin, feedAll, listAll, restart, shows } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, refused, same } from "./trial.ts"

const ended: readonly [Step, ...ReadonlyArray<Step>] = [
  Journal.created(),
  Journal.visited(),
  Journal.completed()
]

/** Nothing tells of the run any more. */
const isGone = Effect.fnUntraced(function* (store: Instance, run: string) {
  yield* refused("get", "RunNotFound", store.get(run))
  yield* refused("read", "RunNotFound", store.read(run))
  yield* refused("inbox", "RunNotFound", store.inbox(run, {}))
  yield* refused("changed", "RunNotFound", store.changed(run, 0))
  yield* refused("acquire", "RunNotFound", store.acquire(run, "worker"))
  yield* refused("send", "RunNotFound", store.send({ id: "x", run, time: 0, request: { type: "resume" } }))
  yield* refused("delete", "RunNotFound", store.delete(run))
  yield* same(
    "list still shows it",
    (yield* listAll(store, {})).some((info) => info.run === run),
    false
  )
  yield* same(
    "feed still tells of it",
    (yield* feedAll(store)).entries.some(({ event }) => event.run === run),
    false
  )
})

export const deleteChecks: ReadonlyArray<Check> = [
  check(
    "delete",
    "a run that has not ended is RunInUse, and stays",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const stories: ReadonlyArray<Step | undefined> = [
        undefined,
        Journal.visited(),
        Journal.waitOpened("w"),
        Journal.paused
      ]
      for (const [index, step] of stories.entries()) {
        const run = yield* begin(store, `run-${index}`)
        if (step !== undefined) yield* run.append(step)
        yield* run.sync
        const error = yield* refused("deleting it", "RunInUse", store.delete(run.journal.run))
        yield* same("the run it names", error.run, run.journal.run)
        yield* store.release(run.lease)
        yield* refused("deleting it when nobody holds it", "RunInUse", store.delete(run.journal.run))
        yield* shows(store, run.journal)
      }
    })
  ),
  check(
    "delete",
    "a run that others are forked from is RunInUse until they are gone",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run", { steps: ended })
      const forks = [1, 2].map((seq) => run.journal.fork(`fork-${seq}`, seq))
      for (const fork of forks) {
        const lease = yield* store.create(fork.batch, { holder: "worker" })
        const at = fork.journal.seq
        yield* store.append(lease, at, fork.journal.batch(Journal.completed()))
        yield* store.sync(lease)
      }
      for (const fork of forks) {
        yield* refused("deleting it", "RunInUse", store.delete("run"))
        yield* shows(store, run.journal)
        yield* store.delete(fork.journal.run)
      }
      yield* store.delete("run")
      yield* isGone(store, "run")
    })
  ),
  check(
    "delete",
    "a run that has ended goes, with its inbox, and nothing tells of it any more",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const kept = yield* begin(store, "kept", { steps: ended })
      const run = yield* begin(store, "run", { steps: ended })
      yield* store.send({ id: "x", run: "run", time: 0, request: { type: "resume" } })
      yield* store.delete("run")
      yield* isGone(store, "run")
      yield* refused("appending under a lease on it", "LeaseLost", run.append(Journal.annotated("late")))
      yield* refused("syncing under a lease on it", "LeaseLost", run.sync)
      yield* store.release(run.lease)
      yield* shows(store, kept.journal)
      yield* refused("deleting a run that never was", "RunNotFound", store.delete("nothing"))
    })
  ),
  check(
    "delete",
    "what was appended and is not durable goes with the run",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run", { steps: ended })
      yield* run.append(Journal.annotated("not durable yet"))
      yield* store.delete("run")
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      yield* isGone(store, "run")
      const other = yield* begin(store, "other")
      yield* other.append(Journal.visited())
      yield* other.sync
      yield* shows(store, other.journal)
      yield* isGone(store, "run")
    })
  ),
  check(
    "delete",
    "the id can be used again, for a run that has nothing of the old one",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      for (let round = 0; round < 3; round++) {
        const run = yield* begin(store, "run", {
          time: 1_000 * (round + 1),
          steps: ended,
          holder: `holder ${round}`
        })
        yield* same("its inbox", yield* store.inbox("run", {}), [])
        yield* store.send({ id: "x", run: "run", time: 0, request: { type: "resume" } })
        yield* same("how many commands arrived", (yield* store.inbox("run", {})).length, 1)
        yield* shows(store, run.journal)
        yield* store.delete("run")
      }
    })
  ),
  check(
    "delete",
    "a deletion survives a power cut",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const kept = yield* begin(store, "kept", { steps: ended })
      yield* begin(store, "run", { steps: ended })
      yield* begin(store, "used again", { steps: ended })
      yield* store.delete("run")
      yield* store.delete("used again")
      const second = yield* begin(store, "used again", {
        time: 5,
        steps: [Journal.created(), Journal.visited()]
      })
      const again = yield* restart(trial)
      yield* isGone(again, "run")
      yield* shows(again, kept.journal)
      yield* shows(again, second.journal)
    })
  ),
  check(
    "delete",
    "other instances learn of it",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run", { steps: ended })
      yield* one.release(run.lease)
      yield* trial.eventually(shows(two, run.journal))
      yield* one.delete("run")
      yield* trial.eventually(isGone(two, "run"))
      const next = yield* begin(two, "run", { time: 5 })
      yield* trial.eventually(shows(one, next.journal))
    })
  )
]
