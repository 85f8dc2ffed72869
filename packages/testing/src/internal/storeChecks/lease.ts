import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import {
  acquireFree,
  begin,
  claim,
  feedAll,
  listAll,
  restart,
  shownUpTo,
  shows,
  stray
} from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, refused, same, violated } from "./trial.ts"

/** Many want one run at once: exactly one gets it. */
const contend = Effect.fnUntraced(function* (instances: ReadonlyArray<Instance>, run: string) {
  const results = yield* Effect.forEach(
    instances,
    (store, index) => Effect.result(store.acquire(run, `holder ${index}`)),
    {
      concurrency: "unbounded"
    }
  )
  for (const result of results) {
    if (Result.isFailure(result))
      yield* same("the error of those that did not get it", result.failure._tag, "LeaseHeld")
  }
  return results.flatMap((result, index) =>
    Result.isSuccess(result) ? [{ store: instances[index]!, acquired: result.success }] : []
  )
})

const unowned = (store: Instance) =>
  Effect.map(listAll(store, { unowned: true }), (rows) => rows.map((info) => info.run))

export const leaseChecks: ReadonlyArray<Check> = [
  check(
    "acquire",
    "a run that does not exist is RunNotFound",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const error = yield* refused("acquiring it", "RunNotFound", store.acquire("nothing", "worker"))
      yield* same("the run it names", error.run, "nothing")
    })
  ),
  check(
    "acquire",
    "a run that was released is given to the next, as a handover, with where it stands",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      let run = yield* begin(store, "run")
      let epoch = 0
      for (let round = 0; round < 4; round++) {
        yield* run.append(Journal.visited(), Journal.visited())
        yield* store.release(run.lease)
        yield* same("its owner after the release", (yield* store.get("run")).owner, undefined)
        yield* same("what is unowned", yield* unowned(store), ["run"])
        const acquired = yield* store.acquire("run", `holder ${round}`)
        yield* same(
          "the run and the owner of the lease",
          [acquired.lease.run, acquired.lease.owner],
          ["run", store.owner]
        )
        yield* holds(
          `the epoch ${acquired.lease.epoch} is greater than ${epoch}`,
          acquired.lease.epoch > epoch
        )
        yield* same("how the owner before let go", acquired.previous, "handover")
        yield* same("the index row that comes with the lease", acquired.info, run.journal.info)
        yield* same("the head that comes with the lease", { ...acquired.head }, run.journal.head)
        yield* same("its owner", (yield* store.get("run")).owner, store.owner)
        yield* same("what is unowned", yield* unowned(store), [])
        epoch = acquired.lease.epoch
        run = yield* claim(store, acquired, run.journal)
      }
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "acquire",
    "a run that another holder or another instance has is LeaseHeld",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run", { holder: "first" })
      const held = yield* refused("another holder acquires it", "LeaseHeld", one.acquire("run", "second"))
      yield* same("the owner it names", held.owner, one.owner)
      yield* trial.eventually(shows(two, run.journal))
      const elsewhere = yield* refused(
        "another instance acquires it",
        "LeaseHeld",
        two.acquire("run", "first")
      )
      yield* same("the owner it names", elsewhere.owner, one.owner)
      yield* one.release(run.lease)
      const acquired = yield* acquireFree(trial, two, "run")
      yield* trial.eventually(
        Effect.flatMap(
          refused("the first wants it back", "LeaseHeld", one.acquire("run", "first")),
          ({ owner }) => same("the owner it names", owner, two.owner)
        )
      )
      const next = yield* claim(two, acquired, run.journal)
      yield* next.sync
      yield* shows(two, run.journal)
      yield* trial.eventually(shows(one, run.journal))
    })
  ),
  check(
    "acquire",
    "of many that want one run at once, exactly one gets it",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const journal = yield* Journal.make("run")
      yield* store.create(journal.batch(Journal.created()))
      const winners = yield* contend(
        Array.from({ length: 10 }, () => store),
        "run"
      )
      yield* same("how many got it", winners.length, 1)
    })
  ),
  check(
    "acquire",
    "of many instances that want one run at once, exactly one gets it",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const instances = yield* Effect.all(Array.from({ length: 4 }, () => trial.open))
      const journal = yield* Journal.make("run")
      yield* instances[0]!.create(journal.batch(Journal.created()))
      for (const store of instances) yield* trial.eventually(shows(store, journal))
      let epoch = 0
      for (let round = 0; round < 5; round++) {
        // An instance that has not learnt of the release yet refuses; so all of them may, for a moment.
        const winners = yield* trial.eventually(
          Effect.flatMap(contend([...instances, ...instances], "run"), (all) =>
            all.length === 0 ? violated("nobody got a run that is free") : Effect.succeed(all)
          )
        )
        yield* same("how many got it", winners.length, 1)
        const { store, acquired } = winners[0]!
        yield* holds(
          `the epoch ${acquired.lease.epoch} is greater than ${epoch}`,
          acquired.lease.epoch > epoch
        )
        epoch = acquired.lease.epoch
        const run = yield* claim(store, acquired, journal)
        yield* store.release(run.lease)
      }
      for (const store of instances) yield* trial.eventually(shows(store, journal))
    })
  ),
  check(
    "acquire",
    "an owner that died is told from one that released: crash, with a greater epoch",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const died = yield* begin(store, "died")
      const released = yield* begin(store, "released")
      yield* released.append(Journal.visited())
      yield* store.release(released.lease)
      let epoch = 0
      let current = yield* restart(trial)
      for (let round = 0; round < 3; round++) {
        const acquired = yield* acquireFree(trial, current, "died")
        yield* same("how the owner before let go", acquired.previous, "crash")
        yield* holds(
          `the epoch ${acquired.lease.epoch} is greater than ${epoch}`,
          acquired.lease.epoch > epoch
        )
        yield* same("the head that comes with the lease", { ...acquired.head }, died.journal.head)
        yield* same("the index row that comes with the lease", acquired.info, died.journal.info)
        epoch = acquired.lease.epoch
        const run = yield* claim(current, acquired, died.journal)
        yield* run.sync
        current = yield* restart(trial)
      }
      const other = yield* acquireFree(trial, current, "released")
      yield* same("how the owner that released let go", other.previous, "handover")
      yield* same("its head", { ...other.head }, released.journal.head)
    })
  ),
  check(
    "acquire",
    "after a power cut nobody owns a run, and it is listed as unowned",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      const again = yield* restart(trial)
      yield* trial.eventually(
        Effect.flatMap(unowned(again), (runs) => same("what is unowned", runs, ["run"]))
      )
    })
  ),
  check(
    "acquire",
    "who was taken over is refused, and what it wrote too late is seen by nobody",
    ["several", "lapse"],
    Effect.fnUntraced(function* (trial) {
      const frozen = yield* trial.open
      const taker = yield* trial.open
      const run = yield* begin(frozen, "run")
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* trial.lapse(frozen.owner)
      const acquired = yield* acquireFree(trial, taker, "run")
      yield* same("how the owner before let go", acquired.previous, "crash")
      yield* holds(`the epoch ${acquired.lease.epoch} is greater than 0`, acquired.lease.epoch > 0)
      const next = yield* claim(taker, acquired, run.journal)
      const at = next.journal.seq
      yield* next.sync

      // A store of files may accept what comes too late; but it must never confirm it, and nobody may see it.
      const appended = yield* Effect.result(frozen.append(run.lease, at, yield* stray("run", at)))
      if (Result.isFailure(appended))
        yield* same("the error of the late append", appended.failure._tag, "LeaseLost")
      yield* refused("the late sync", "LeaseLost", frozen.sync(run.lease))
      yield* refused("the late sync, once more", "LeaseLost", frozen.sync(run.lease))
      yield* shows(taker, run.journal)
      yield* trial.eventually(shows(frozen, run.journal))

      yield* next.append(Journal.visited())
      yield* next.sync
      yield* shows(taker, run.journal)
      yield* trial.eventually(shows(frozen, run.journal))
      yield* holds("the taker's entries follow", run.journal.seq === at + 1)

      // Releasing a lease that is lost does nothing: the taker still has it.
      yield* frozen.release(run.lease)
      yield* next.append(Journal.visited())
      yield* next.sync
      yield* trial.close(frozen)
      yield* next.append(Journal.visited())
      yield* next.sync
      const third = yield* trial.open
      yield* shows(third, run.journal)
    })
  ),
  check(
    "acquire",
    "who was taken over and has seen what its successor wrote is refused when it only syncs",
    ["several", "lapse"],
    Effect.fnUntraced(function* (trial) {
      const frozen = yield* trial.open
      const taker = yield* trial.open
      const run = yield* begin(frozen, "run")
      yield* run.sync
      yield* trial.lapse(frozen.owner)
      const next = yield* claim(taker, yield* acquireFree(trial, taker, "run"), run.journal)
      yield* next.append(Journal.visited())
      yield* next.sync
      // Reading a run that it believes to hold may not show it to the old owner; what is told of all runs does.
      yield* trial.eventually(
        Effect.flatMap(feedAll(frozen), ({ entries }) =>
          same("the newest entry in the old owner's feed", entries.at(-1)?.event.seq, run.journal.seq)
        )
      )
      yield* refused("the late sync", "LeaseLost", frozen.sync(run.lease))
      yield* shows(taker, run.journal)
    })
  ),
  check(
    "acquire",
    "a take-over drops what was not durable",
    ["several", "lapse"],
    Effect.fnUntraced(function* (trial) {
      const frozen = yield* trial.open
      const taker = yield* trial.open
      const run = yield* begin(frozen, "run")
      yield* run.append(Journal.visited())
      yield* run.sync
      const synced = run.journal.seq
      yield* run.append(Journal.visited(), Journal.visited())
      yield* trial.lapse(frozen.owner)
      const acquired = yield* acquireFree(trial, taker, "run")
      const at = acquired.head.seq
      yield* holds(`the lease was given at ${at}; synced was up to ${synced}`, at >= synced)
      yield* holds(`the lease was given at ${at}, which is in the middle of a batch`, run.ends.has(at))
      yield* same("the head that comes with the lease", { ...acquired.head }, run.journal.headAt(at))
      yield* same("the index row that comes with the lease", acquired.info, run.journal.infoAt(at))
      const dropped = at < run.journal.seq
      const next = yield* claim(taker, acquired, run.journal, run.ends)
      if (dropped) yield* refused("syncing what was void", "LeaseLost", frozen.sync(run.lease))
      yield* next.sync
      yield* shows(taker, run.journal)
      yield* trial.eventually(shows(frozen, run.journal))
    })
  ),
  check(
    "acquire",
    "who was taken over while it synced, by one that ended the run and is gone, goes on from that end",
    ["several", "lapse", "reopen"],
    Effect.fnUntraced(function* (trial) {
      const frozen = yield* trial.open
      const taker = yield* trial.open
      const run = yield* begin(frozen, "run")
      yield* run.append(Journal.visited())
      yield* run.sync
      // Accepted, and perhaps written, when it is taken over; nobody is told that it is durable.
      yield* run.append(Journal.visited())
      yield* trial.lapse(frozen.owner)
      const next = yield* claim(taker, yield* acquireFree(trial, taker, "run"), run.journal, run.ends)
      yield* next.append(Journal.completed())
      yield* next.sync
      yield* trial.close(taker)
      yield* refused("the late sync", "LeaseLost", frozen.sync(run.lease))
      const again = yield* acquireFree(trial, frozen, "run")
      yield* same("the head that comes with the lease", { ...again.head }, next.journal.head)
      yield* same("the index row that comes with the lease", again.info, next.journal.info)
      const last = yield* claim(frozen, again, next.journal)
      yield* last.sync
      const third = yield* trial.open
      yield* trial.eventually(shows(third, next.journal))
    })
  ),
  check(
    "acquire",
    "an open instance keeps its leases alive itself",
    ["several", "leaseMillis"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run")
      yield* Effect.sleep(trial.leaseMillis * 3)
      yield* refused("another instance acquires it", "LeaseHeld", two.acquire("run", "worker"))
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* shows(one, run.journal)
    })
  ),
  check(
    "acquire",
    "a run that has ended can be acquired to append what may follow the end",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const first = yield* begin(store, "run", {
        steps: [Journal.created(), Journal.failed("Boom", "it broke")]
      })
      yield* store.release(first.lease)
      const acquired = yield* store.acquire("run", "annotator")
      yield* same("its status", acquired.info.status, "failed")
      const run = yield* claim(store, acquired, first.journal)
      yield* run.append(Journal.annotated("looked at"))
      yield* store.release(run.lease)
      yield* shows(store, run.journal)
    })
  ),
  check(
    "release",
    "what was appended is durable when the lease is let go",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.append(Journal.visited(), Journal.visited())
      yield* run.append(Journal.visited())
      yield* store.release(run.lease)
      yield* shows(store, run.journal)
    })
  ),
  check(
    "release",
    "a last sync may let go of the lease, and the release that follows comes to the same",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* store.sync(run.lease, { release: true })
      yield* shows(store, run.journal)
      yield* store.release(run.lease)
      const first = yield* store.acquire("run", "first")
      const again = yield* claim(store, first, run.journal)
      yield* again.append(Journal.visited(), Journal.visited())
      yield* store.sync(again.lease, { release: true })
      yield* shows(store, again.journal)
      yield* store.release(again.lease)
      const acquired = yield* store.acquire("run", "second")
      yield* same("how the owner before let go", acquired.previous, "handover")
      const next = yield* claim(store, acquired, again.journal)
      yield* next.sync
      yield* shows(store, next.journal)
    })
  ),
  check(
    "release",
    "what a last sync made durable survives a power cut",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.append(Journal.visited(), Journal.visited())
      yield* store.sync(run.lease, { release: true })
      yield* shows(yield* restart(trial), run.journal)
    })
  ),
  check(
    "release",
    "what was appended before a release survives a power cut",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.append(Journal.visited(), Journal.visited())
      yield* store.release(run.lease)
      const again = yield* restart(trial)
      yield* shows(again, run.journal)
      yield* same(
        "how the owner before let go",
        (yield* acquireFree(trial, again, "run")).previous,
        "handover"
      )
    })
  ),
  check(
    "release",
    "a lease that is lost already is not released again",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const first = yield* begin(store, "run")
      yield* store.release(first.lease)
      yield* store.release(first.lease)
      const acquired = yield* store.acquire("run", "second")
      yield* store.release(first.lease)
      yield* store.release({ run: "nothing", owner: store.owner, epoch: 0 })
      yield* refused("a third acquires it", "LeaseHeld", store.acquire("run", "third"))
      const run = yield* claim(store, acquired, first.journal)
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "release",
    "an instance that is closed in good order releases its runs",
    ["reopen"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.append(Journal.visited(), Journal.visited())
      yield* trial.close(store)
      const again = yield* trial.open
      yield* shows(again, run.journal)
      const acquired = yield* acquireFree(trial, again, "run")
      yield* same("how the owner before let go", acquired.previous, "handover")
      const next = yield* claim(again, acquired, run.journal, run.ends)
      yield* next.sync
      yield* shownUpTo(again, run.journal, run.ends)
    })
  )
]
