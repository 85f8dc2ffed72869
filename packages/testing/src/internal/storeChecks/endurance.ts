import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { StoreError } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import {
  acquireFree,
  begin,
  claim,
  feedAll,
  listAll,
  readAll,
  restart,
  shownUpTo,
  shows,
  stray
} from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, refused, same, violated } from "./trial.ts"

/** Starts an effect, lets it get some way, and interrupts it. */
const interrupted = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E>, turns: number) {
  const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
  for (let i = 0; i < turns; i++) yield* Effect.yieldNow
  yield* Fiber.interrupt(fiber)
  return yield* Fiber.await(fiber)
})

const actualSeq = Effect.fnUntraced(function* (
  store: Instance,
  run: Effect.Success<ReturnType<typeof begin>>
) {
  // A position that cannot be right: the store says where the run stands.
  const batch = yield* stray(run.journal.run, 0)
  const conflict = yield* refused(
    "appending at a position that cannot be",
    "SeqConflict",
    store.append(run.lease, 1e9, batch)
  )
  return conflict.actual
})

const isStoreError = (error: unknown): error is StoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "StoreError"

const large = (seed: string) => seed.repeat(Math.ceil((10 * 1024 * 1024) / seed.length))

export const enduranceChecks: ReadonlyArray<Check> = [
  check(
    "size",
    "values of 10 MB are stored and come back",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run", { steps: [Journal.created({ input: large('ab"\\\n') })] })
      yield* run.append(Journal.visited({ text: { set: large("é😀") } }), Journal.visited())
      yield* run.append(Journal.visited())
      yield* run.sync
      const last = yield* store.read("run", { direction: "backwards", limit: 3 })
      yield* same(
        "the last positions",
        last.map(({ event }) => event.seq),
        [3, 2, 1]
      )
      yield* holds(
        "the first entry came back whole",
        (yield* readAll(store, "run"))[0]!.line === run.journal.entries[0]!.line
      )
      yield* holds("the second entry came back whole", last[2]!.line === run.journal.entries[1]!.line)
      yield* same("the head", { ...(yield* store.get("run")).head }, run.journal.head)
    })
  ),
  check(
    "size",
    "a run of 100,000 entries is read from either end and in the middle",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const more = Array.from({ length: 24 }, () => Journal.visited())
      while (run.journal.seq < 99_999) {
        // The last batch ends at the last entry.
        const left = Math.min(more.length, 99_999 - run.journal.seq - 1)
        yield* run.append(Journal.visited(), ...more.slice(0, left))
        if (run.journal.seq % 1_000 < 25) yield* run.sync
      }
      yield* run.sync
      const { entries } = run.journal
      const at = (from: number, to: number) => entries.slice(from, to).map(({ line }) => line)
      const lines = (read: ReadonlyArray<{ readonly line: string }>) => read.map(({ line }) => line)
      yield* same(
        "the last 300",
        lines(yield* store.read("run", { direction: "backwards", limit: 300 })),
        at(99_700, 100_000).reverse()
      )
      yield* same(
        "from 50,000",
        lines(yield* store.read("run", { from: 50_000, limit: 10 })),
        at(50_000, 50_010)
      )
      yield* same(
        "before 50,000",
        lines(yield* store.read("run", { from: 49_999, direction: "backwards", limit: 10 })),
        at(49_990, 50_000).reverse()
      )
      const all = yield* readAll(store, "run")
      yield* same("how many there are", all.length, entries.length)
      yield* holds(
        "all of them are what was written",
        all.every(({ line }, seq) => line === entries[seq]!.line)
      )
      yield* same("how many the feed tells", (yield* feedAll(store)).entries.length, entries.length)
      yield* same("the head", { ...(yield* store.get("run")).head }, run.journal.head)
    }),
    4
  ),
  check(
    "size",
    "2,000 runs are listed and found",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const ids = Array.from({ length: 2_000 }, (_, index) => `run-${String(index).padStart(4, "0")}`)
      yield* Effect.forEach(ids, (id, index) => begin(store, id, { time: 1_000 + index }), {
        concurrency: 64,
        discard: true
      })
      yield* same(
        "listed",
        (yield* listAll(store, { order: "oldest" })).map((info) => info.run),
        ids
      )
      yield* same("one of them", (yield* store.get("run-1234")).info.createdAt, 2_234)
    })
  ),
  check(
    "format",
    "what a newer version wrote is refused as such, and not touched",
    ["reopen", "newerFormat"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* trial.close(store)
      yield* trial.newerFormat
      for (let attempt = 0; attempt < 2; attempt++) {
        const opened = yield* Effect.result(trial.open)
        if (Result.isSuccess(opened)) return yield* violated("what a newer version wrote was opened")
        const error = opened.failure
        if (!isStoreError(error)) return yield* violated(`it failed with ${String(error)}`)
        yield* same("why it cannot be opened", error.reason._tag, "UnsupportedFormat")
        if (error.reason._tag === "UnsupportedFormat") {
          const { found, supported } = error.reason
          yield* holds(`format ${found} is newer than ${supported}`, found > supported)
        }
      }
    })
  ),
  check(
    "reopen",
    "everything is found by an instance that is opened later",
    ["reopen"],
    Effect.fnUntraced(function* (trial) {
      const first = yield* trial.open
      const running = yield* begin(first, "running")
      yield* running.append(Journal.visited(), Journal.visited())
      yield* running.sync
      const ended = yield* begin(first, "ended", {
        steps: [Journal.created({ tags: ["t"] }), Journal.completed({ a: 1 })]
      })
      const fork = ended.journal.fork("fork", 0)
      yield* first.create(fork.batch)
      yield* begin(first, "gone", { steps: [Journal.created(), Journal.completed()] })
      yield* first.delete("gone")
      yield* first.send({ id: "c", run: "running", time: 3, request: { type: "pause" } })
      yield* first.setMeta("key", "value")
      const hash = yield* first.putArtifact(new TextEncoder().encode("artifact"))
      const inbox = yield* first.inbox("running", {})
      let last = first
      for (let round = 0; round < 3; round++) {
        yield* trial.close(last)
        last = yield* trial.open
        for (const journal of [running.journal, ended.journal, fork.journal]) yield* shows(last, journal)
        yield* same("its inbox", yield* last.inbox("running", {}), inbox)
        yield* same("a value", yield* last.getMeta("key"), "value")
        yield* same("an artifact", new TextDecoder().decode(yield* last.getArtifact(hash)), "artifact")
        yield* refused("what was deleted", "RunNotFound", last.get("gone"))
        yield* refused("what others are forked from", "RunInUse", last.delete("ended"))
        yield* same(
          "what is tagged",
          (yield* last.list({ tag: "t" })).runs.map((info) => info.run),
          ["ended"]
        )
        const acquired = yield* acquireFree(trial, last, "running")
        const next = yield* claim(last, acquired, running.journal)
        yield* next.append(Journal.visited())
        yield* next.sync
      }
    })
  ),
  check(
    "reopen",
    "what is under way while an instance is closed is answered: it is done and found later, or refused as Closed",
    ["reopen"],
    (trial) =>
      Effect.forEach(
        [0, 1, 2, 4, 8],
        (pause) =>
          trial.afresh(
            Effect.fnUntraced(function* (fresh) {
              const store = yield* fresh.open
              yield* begin(store, "run")
              const asked = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (index) =>
                Effect.forkChild(
                  Effect.gen(function* () {
                    if (index > 0) yield* Effect.sleep(2 * index)
                    const id = `${index}`
                    const journal = yield* Journal.make(id)
                    yield* index % 2 === 0
                      ? store.create(journal.batch(Journal.created()))
                      : store.send({ id, run: "run", time: 3, request: { type: "pause" } })
                    return { id, journal }
                  }).pipe(Effect.result)
                )
              )
              if (pause > 0) yield* Effect.sleep(pause)
              yield* fresh.close(store)
              const later = yield* fresh.open
              const inbox = (yield* later.inbox("run", {})).map(({ command }) => command.id)
              for (const [index, fiber] of asked.entries()) {
                const outcome = yield* Fiber.join(fiber)
                if (Result.isFailure(outcome)) {
                  const error = outcome.failure
                  yield* same(
                    "why it was refused",
                    error._tag === "StoreError" ? error.reason._tag : error._tag,
                    "Closed"
                  )
                } else if (index % 2 === 0) yield* shows(later, outcome.success.journal)
                else
                  yield* holds(
                    `command ${outcome.success.id}, which was accepted, is in the inbox`,
                    inbox.includes(outcome.success.id)
                  )
              }
            })
          ),
        { discard: true }
      )
  ),
  check(
    "interruption",
    "an append or a sync that is interrupted leaves the run whole, and it can be written on",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 40; i++) {
        const before = run.journal.seq
        yield* interrupted(run.append(Journal.visited(), Journal.visited()), i % 5)
        const actual = yield* actualSeq(store, run)
        if (actual !== run.journal.seq) {
          yield* same("where the run stands after an append that was interrupted", actual, before)
          run.ends.delete(run.journal.seq)
          run.journal.rewind(before)
        }
        if (i % 3 === 0) yield* interrupted(run.sync, i % 4)
        yield* run.append(Journal.visited())
        if (i % 7 === 0) {
          yield* run.sync
          yield* shows(store, run.journal)
        }
      }
      yield* run.sync
      yield* shows(store, run.journal)
    })
  ),
  check(
    "interruption",
    "a creation, a command or a release that is interrupted happened or did not",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      for (let i = 0; i < 20; i++) {
        const id = `run-${i}`
        const journal = yield* Journal.make(id)
        const batch = journal.batch(Journal.created(), Journal.visited())
        yield* interrupted(store.create(batch), i % 5)
        const again = yield* Effect.result(store.create(batch))
        if (Result.isFailure(again)) yield* same("creating it again", again.failure._tag, "RunExists")
        yield* shows(store, journal)

        const command = { id: "c", run: id, time: 0, request: { type: "resume" } } as const
        yield* interrupted(store.send(command), i % 4)
        yield* store.send(command)
        yield* same("how many commands arrived", (yield* store.inbox(id, {})).length, 1)

        const acquired = yield* store.acquire(id, "worker")
        const run = yield* claim(store, acquired, journal)
        yield* interrupted(store.release(run.lease), i % 3)
        yield* store.release(run.lease)
        yield* shows(store, journal)
        yield* store.acquire(id, "another")
      }
    })
  ),
  check(
    "failure",
    "after a failed write nothing of it is confirmed, then or later, and the run can be taken up again",
    ["failWrites"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      let run = yield* begin(store, "run")
      for (let round = 0; round < 3; round++) {
        yield* run.append(Journal.visited())
        yield* run.sync
        const synced = run.journal.seq
        yield* trial.failWrites(true)
        const appended = yield* Effect.exit(run.append(Journal.visited(), Journal.visited()))
        const accepted = Exit.isSuccess(appended)
        const during = yield* Effect.result(run.sync)
        if (accepted && Result.isSuccess(during))
          return yield* violated("a sync succeeded while nothing could be written")
        yield* trial.failWrites(false)
        const later = yield* Effect.result(run.sync)
        if (accepted && Result.isSuccess(later)) {
          return yield* violated(
            "after a failed sync the same lease was synced: what failed was believed to be durable"
          )
        }
        const found = yield* shownUpTo(store, run.journal, run.ends)
        yield* holds(`synced was up to ${synced}, shown is up to ${found}`, found >= synced)
        if (Result.isSuccess(later)) {
          run.journal.rewind(found)
          continue
        }
        const acquired = yield* acquireFree(trial, store, "run", `holder ${round}`)
        yield* holds(
          `the lease was given at ${acquired.head.seq}; synced was up to ${synced}`,
          acquired.head.seq >= synced
        )
        run = yield* claim(store, acquired, run.journal, run.ends)
        yield* run.sync
        yield* shows(store, run.journal)
      }
    })
  ),
  check(
    "failure",
    "an operation that could not be written did nothing, and works when it is tried again",
    ["failWrites"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const kept = yield* begin(store, "kept", { steps: [Journal.created(), Journal.completed()] })
      const command = { id: "c", run: "kept", time: 0, request: { type: "resume" } } as const
      yield* store.setMeta("key", "before")
      const bytes = new TextEncoder().encode("artifact")
      yield* trial.failWrites(true)
      yield* refused("create", "StoreError", begin(store, "run"))
      yield* refused("send", "StoreError", store.send(command))
      yield* refused("setMeta", "StoreError", store.setMeta("key", "after"))
      yield* refused("putArtifact", "StoreError", store.putArtifact(bytes))
      yield* refused("delete", "StoreError", store.delete("kept"))
      yield* refused("the run that could not be created", "RunNotFound", store.get("run"))
      yield* same("the inbox", yield* store.inbox("kept", {}), [])
      yield* same("the value", yield* store.getMeta("key"), "before")
      yield* shows(store, kept.journal)
      yield* trial.failWrites(false)
      const run = yield* begin(store, "run", { time: 5 })
      yield* store.send(command)
      yield* store.setMeta("key", "after")
      const hash = yield* store.putArtifact(bytes)
      yield* shows(store, run.journal)
      yield* same("how many commands arrived", (yield* store.inbox("kept", {})).length, 1)
      yield* same("the value", yield* store.getMeta("key"), "after")
      yield* same("the artifact", new TextDecoder().decode(yield* store.getArtifact(hash)), "artifact")
      yield* store.delete("kept")
      yield* refused("what was deleted", "RunNotFound", store.get("kept"))
    })
  ),
  check(
    "failure",
    "what was confirmed before and after a failed write survives a power cut",
    ["failWrites", "crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const other = yield* begin(store, "other")
      yield* run.append(Journal.visited())
      yield* run.sync
      const synced = run.journal.seq
      yield* trial.failWrites(true)
      yield* Effect.exit(run.append(Journal.visited(), Journal.visited()))
      yield* Effect.exit(run.sync)
      yield* trial.failWrites(false)
      const found = yield* shownUpTo(store, run.journal, run.ends)
      const later = yield* begin(store, "later")
      const again = yield* restart(trial)
      yield* shows(again, later.journal)
      yield* shows(again, other.journal)
      const survived = yield* shownUpTo(again, run.journal, run.ends)
      yield* holds(
        `synced was up to ${synced}, shown was up to ${found}; it ends at ${survived}`,
        survived >= Math.max(synced, found)
      )
    })
  )
]
