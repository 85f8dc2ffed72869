import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Lease } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { acquireFree, begin, claim, restart, shownUpTo, shows, stray } from "./observation.ts"
import type { Instance, Trial } from "./trial.ts"
import { check, holds, refused, same } from "./trial.ts"

/** Many create one id at once; each brings another input, so that the winner can be told. */
const race = Effect.fnUntraced(function* (
  trial: Trial,
  instances: ReadonlyArray<Instance>,
  ahead: boolean = false
) {
  const journals = yield* Effect.forEach(instances, (_, index) =>
    Effect.tap(Journal.make("contested"), (journal) =>
      Effect.sync(() => journal.batch(Journal.created({ input: index }), Journal.visited()))
    )
  )
  const results = yield* Effect.forEach(
    instances,
    (store, index) => {
      const { entries, head } = journals[index]!
      return Effect.result(
        store
          .create(
            { entries: [entries[0]!, ...entries.slice(1)], head: head.hash },
            { holder: `holder ${index}`, ahead }
          )
          .pipe(Effect.tap((lease) => (ahead ? store.sync(lease) : Effect.void)))
      )
    },
    { concurrency: "unbounded" }
  )
  const winners = results.flatMap((result, index) => (Result.isSuccess(result) ? [index] : []))
  yield* same("how many of those that created one id at once succeeded", winners.length, 1)
  for (const result of results) {
    if (Result.isFailure(result))
      yield* same("the error of those that lost", result.failure._tag, "RunExists")
  }
  for (const store of instances) yield* trial.eventually(shows(store, journals[winners[0]!]!))
})

const plain = ({ run, owner, epoch }: Lease) => ({ run, owner, epoch })

export const createChecks: ReadonlyArray<Check> = [
  check(
    "create",
    "the run is there, with its first entries and the index row that follows from them",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const { journal, lease } = yield* begin(store, "run", {
        steps: [
          Journal.created({
            session: "s",
            actor: "a",
            correlation: "c",
            tags: ["t1", "t2"],
            attributes: { k: "v" },
            parent: { run: "parent", node: "n", visit: 1 }
          }),
          Journal.visited({ list: { append: ["x"] } })
        ]
      })
      yield* same("the lease", plain(lease), { run: "run", owner: store.owner, epoch: 0 })
      yield* shows(store, journal)
      const fork = journal.fork("fork", 1)
      yield* store.create(fork.batch)
      yield* shows(store, fork.journal)
    })
  ),
  check(
    "create",
    "with a holder, the run belongs to this instance from the start",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* same("the owner", (yield* store.get("run")).owner, store.owner)
      const held = yield* refused("another holder acquires it", "LeaseHeld", store.acquire("run", "another"))
      yield* same("who holds it", { run: held.run, owner: held.owner }, { run: "run", owner: store.owner })
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "create",
    "without a holder, the run belongs to nobody and the first that acquires it gets epoch 1",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const journal = yield* Journal.make("run")
      const lease = yield* store.create(journal.batch(Journal.created()))
      yield* same("the owner", (yield* store.get("run")).owner, undefined)
      yield* refused(
        "appending to a run that belongs to nobody",
        "LeaseLost",
        Effect.suspend(() => store.append(lease, 0, journal.batch(Journal.visited())))
      )
      journal.rewind(0)
      const acquired = yield* store.acquire("run", "worker")
      yield* same("the lease", plain(acquired.lease), { run: "run", owner: store.owner, epoch: 1 })
      yield* same("how the owner before let go", acquired.previous, "handover")
      const run = yield* claim(store, acquired, journal)
      yield* run.sync
      yield* shows(store, journal)
    })
  ),
  check(
    "create",
    "an id that exists is refused, and nothing changes",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const second = yield* refused(
        "creating it again",
        "RunExists",
        begin(store, "run", { time: 5, holder: "thief" })
      )
      yield* same("the run it names", second.run, "run")
      yield* shows(store, run.journal)
      yield* run.append(Journal.completed())
      yield* run.sync
      yield* refused("creating it again after its end", "RunExists", begin(store, "run", { time: 5 }))
      yield* shows(store, run.journal)
    })
  ),
  check(
    "create",
    "of many that create one id at once, exactly one succeeds",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* race(
        trial,
        Array.from({ length: 10 }, () => store)
      )
    })
  ),
  check(
    "create",
    "of many instances that create one id at once, exactly one succeeds",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const instances = yield* Effect.all(Array.from({ length: 5 }, () => trial.open))
      yield* race(trial, [...instances, ...instances])
      yield* same("how many names the instances have", new Set(instances.map((store) => store.owner)).size, 5)
    })
  ),
  check(
    "create",
    "a run that another instance created is seen, and its id is refused",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run")
      yield* refused("creating it on another instance", "RunExists", begin(two, "run", { time: 5 }))
      yield* trial.eventually(shows(two, run.journal))
      yield* trial.eventually(
        Effect.flatMap(two.get("run"), ({ owner }) =>
          same("the owner, as another instance sees it", owner, one.owner)
        )
      )
    })
  ),
  check(
    "create",
    "what was created survives a power cut",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const held = yield* begin(store, "held", {
        steps: [Journal.created(), Journal.visited(), Journal.visited()]
      })
      const free = yield* Journal.make("free")
      yield* store.create(free.batch(Journal.created()))
      const again = yield* restart(trial)
      yield* shows(again, held.journal)
      yield* shows(again, free)
      const acquired = yield* acquireFree(trial, again, "held")
      yield* holds("the epoch after a crash is greater than 0", acquired.lease.epoch > 0)
      yield* refused("creating it again", "RunExists", begin(again, "held"))
    })
  ),
  check(
    "create",
    "of many that create one id at once, ahead of the disk, exactly one succeeds",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const instances = yield* Effect.all(Array.from({ length: 4 }, () => trial.open))
      yield* race(trial, [...instances, ...instances, ...instances], true)
    })
  ),
  check(
    "create",
    "a run that was created ahead of the disk can be appended to, and is there when it was synced or released",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "synced", { ahead: true })
      yield* same("the lease", plain(run.lease), { run: "synced", owner: store.owner, epoch: 0 })
      yield* run.append(Journal.visited(), Journal.visited())
      yield* refused("creating it again", "RunExists", begin(store, "synced", { time: 5 }))
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* shows(store, run.journal)
      yield* same("the owner", (yield* store.get("synced")).owner, store.owner)
      yield* run.append(Journal.completed())
      yield* run.sync
      yield* shows(store, run.journal)

      const other = yield* begin(store, "released", { ahead: true })
      yield* other.append(Journal.visited())
      yield* store.release(other.lease)
      yield* shows(store, other.journal)
      yield* same("who owns what was released", (yield* store.get("released")).owner, undefined)
      const acquired = yield* store.acquire("released", "worker")
      yield* same("the epoch", acquired.lease.epoch, 1)
      yield* same("how the owner before let go", acquired.previous, "handover")
    })
  ),
  check(
    "create",
    "a run that was created ahead of the disk is there after a power cut, or its id is free",
    ["crash"],
    (trial) =>
      Effect.forEach(
        [0, 1, 3],
        (batches) =>
          trial.afresh(
            Effect.fnUntraced(function* (fresh) {
              const store = yield* fresh.open
              const kept = yield* begin(store, "kept", { ahead: true })
              yield* kept.append(Journal.visited())
              yield* kept.sync
              const run = yield* begin(store, "run", { ahead: true })
              for (let i = 0; i < batches; i++) yield* run.append(Journal.visited(), Journal.visited())
              const again = yield* restart(fresh)
              yield* shows(again, kept.journal)
              const found = yield* Effect.result(again.get("run"))
              if (Result.isSuccess(found)) {
                yield* shownUpTo(again, run.journal, run.ends)
                yield* refused("creating what is there", "RunExists", begin(again, "run", { time: 5 }))
                return
              }
              yield* same("what is said of the run", found.failure._tag, "RunNotFound")
              const second = yield* begin(again, "run", { time: 5, steps: [Journal.created({ input: 2 })] })
              yield* shows(again, second.journal)
              yield* shows(yield* restart(fresh), second.journal)
            })
          ),
        { discard: true }
      )
  ),
  check(
    "create",
    "what was created ahead of the disk by an owner who is taken for dead is there, or its id is free",
    ["several", "lapse"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const other = yield* trial.open
      const run = yield* begin(store, "run", { ahead: true })
      yield* run.append(Journal.visited())
      yield* trial.lapse(store.owner)
      const found = yield* trial.eventually(
        Effect.gen(function* () {
          const created = yield* Effect.result(begin(other, "run", { time: 5 }))
          if (Result.isSuccess(created)) return created.success.journal
          yield* same("why it cannot be created", created.failure._tag, "RunExists")
          const acquired = yield* other.acquire("run", "worker")
          run.journal.rewind(acquired.head.seq)
          const taken = yield* claim(other, acquired, run.journal, run.ends)
          yield* taken.sync
          return taken.journal
        })
      )
      yield* shows(other, found)
      yield* refused("the old owner syncs", "LeaseLost", run.sync)
      const late = yield* stray("run", found.seq)
      yield* Effect.ignore(store.append(run.lease, found.seq, late))
      yield* refused("the old owner syncs again", "LeaseLost", run.sync)
      yield* store.release(run.lease)
      yield* trial.eventually(shows(store, found))
      yield* shows(other, found)
    })
  ),
  check(
    "create",
    "what could not be created ahead of the disk is not there, and its lease is void for good",
    ["failWrites"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run", { ahead: true })
      yield* trial.failWrites(true)
      const appended = yield* Effect.result(run.append(Journal.visited()))
      const written = yield* Effect.result(run.sync)
      yield* trial.failWrites(false)
      for (const failed of [appended, written])
        yield* holds(
          "what failed was the writing",
          !Result.isFailure(failed) || failed.failure._tag !== "SeqConflict"
        )
      // A store may have been quicker than that.
      if (Result.isSuccess(written)) return
      const found = yield* Effect.result(store.get("run"))
      if (Result.isSuccess(found)) return
      yield* same("what is said of the run", found.failure._tag, "RunNotFound")
      const again = yield* begin(store, "run", { time: 5, steps: [Journal.created({ input: 2 })] })
      yield* shows(store, again.journal)
      const late = yield* Effect.result(run.append(Journal.visited()))
      yield* holds("the lease of the first creation is of no use", Result.isFailure(late))
      yield* holds("and confirms nothing", Result.isFailure(yield* Effect.result(run.sync)))
      yield* Effect.ignore(store.release(run.lease))
      yield* again.append(Journal.visited())
      yield* again.sync
      yield* shows(store, again.journal)
    })
  ),
  check(
    "create",
    "a run whose first batch ends it has ended",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const { journal } = yield* begin(store, "run", { steps: [Journal.created(), Journal.completed("out")] })
      yield* shows(store, journal)
      yield* same("its status", (yield* store.get("run")).info.status, "completed")
    })
  )
]
