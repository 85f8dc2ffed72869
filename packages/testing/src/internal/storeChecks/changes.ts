import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Change, RunNotFound, StoreError } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { begin, readAll, shows } from "./observation.ts"
import type { Instance, Trial } from "./trial.ts"
import { check, holds, refused, same, violated } from "./trial.ts"

/** A subscription that certainly stands: it has told of changes of a run that is there for nothing else. */
const subscribe = Effect.fnUntraced(function* <E = never>(
  trial: Trial,
  store: Instance,
  onChange: (change: Change) => Effect.Effect<void, E> = () => Effect.void
) {
  const heard: Array<Change> = []
  const fiber = yield* Effect.forkScoped(
    Stream.runForEach(store.changes, (change) =>
      Effect.andThen(
        Effect.sync(() => heard.push(change)),
        Effect.suspend(() => (change.run === "canary" ? Effect.void : onChange(change)))
      )
    ),
    { startImmediately: true }
  )
  const canary = yield* begin(store, "canary")
  let sung = 0
  yield* trial.eventually(
    Effect.gen(function* () {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) yield* exit
      yield* store.send({ id: `song-${sung++}`, run: "canary", time: 0, request: { type: "resume" } })
      yield* Effect.yieldNow
      yield* holds("changes: the subscription tells of nothing", heard.length > 0)
    })
  )
  yield* store.release(canary.lease)
  heard.length = 0
  const told = (run: string, what: Change["what"]) =>
    trial.eventually(
      Effect.suspend((): Effect.Effect<void, unknown> => {
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return exit
        return heard.some((change) => change.run === run && change.what === what)
          ? Effect.void
          : violated(
              `changes: nobody was told that the ${what} of run ${run} changed; told was ${JSON.stringify(heard)}`
            )
      })
    )
  return { heard, told, fiber }
})

/** Each kind of change is told by `ear` when `mouth` makes it. */
const eachKind = Effect.fnUntraced(function* (trial: Trial, mouth: Instance, ear: Instance) {
  const { heard, told } = yield* subscribe(trial, ear)
  const run = yield* begin(mouth, "run")
  yield* told("run", "journal")
  heard.length = 0
  yield* run.append(Journal.visited())
  yield* run.sync
  yield* told("run", "journal")
  heard.length = 0
  yield* mouth.send({ id: "1", run: "run", time: 1, request: { type: "pause" } })
  yield* told("run", "inbox")
  heard.length = 0
  yield* run.append(Journal.completed())
  yield* run.sync
  yield* mouth.release(run.lease)
  yield* told("run", "lease")
  heard.length = 0
  yield* mouth.delete("run")
  yield* told("run", "deleted")
})

/** Who reads a run whenever he is told of it, and at no other time, ends up with all of it. */
const chase = Effect.fnUntraced(function* (trial: Trial, mouth: Instance, ear: Instance) {
  const read = new Map<string, number>()
  const { fiber } = yield* subscribe(trial, ear, (change) =>
    change.what === "journal"
      ? Effect.map(readAll(ear, change.run), (entries) => void read.set(change.run, entries.length - 1))
      : Effect.void
  )
  const runs = yield* Effect.forEach(
    ["a", "b", "c", "d"],
    (name, index) =>
      Effect.gen(function* () {
        const run = yield* begin(mouth, name)
        for (let i = 0; i < 25; i++) {
          yield* run.append(Journal.visited())
          if ((i + index) % 4 === 0) yield* run.sync
          if ((i + index) % 3 === 0) yield* Effect.yieldNow
        }
        yield* run.sync
        return run
      }),
    { concurrency: "unbounded" }
  )
  for (const { journal } of runs) {
    yield* trial.eventually(
      Effect.suspend((): Effect.Effect<void, unknown> => {
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return exit
        return same(
          `changes: where run ${journal.run} stands for who reads it when told`,
          read.get(journal.run),
          journal.seq
        )
      })
    )
  }
})

/** Who waited when the store was closed, or asks afterwards, waits no longer and hears why. */
const hearsOfClosing = Effect.fnUntraced(function* (
  trial: Trial,
  what: string,
  fiber: Fiber.Fiber<unknown, RunNotFound | StoreError>
) {
  yield* trial.eventually(
    Effect.suspend(() => holds(`${what}: it still waits`, fiber.pollUnsafe() !== undefined))
  )
  const error = yield* refused(what, "StoreError", Fiber.join(fiber))
  yield* same(`${what}: why it failed`, error.reason._tag, "Closed")
})

export const changesChecks: ReadonlyArray<Check> = [
  check("changes", "each kind of change is told", [], (trial) =>
    Effect.flatMap(trial.open, (store) => eachKind(trial, store, store))
  ),
  check("changes", "each kind of change is told to other instances", ["several"], (trial) =>
    Effect.flatMap(Effect.all([trial.open, trial.open]), ([one, two]) => eachKind(trial, one, two))
  ),
  check("changes", "a change is told when it can be read, and the last one is told", [], (trial) =>
    Effect.flatMap(trial.open, (store) => chase(trial, store, store))
  ),
  check(
    "changes",
    "other instances are told when they can read it, and the last one is told",
    ["several"],
    (trial) => Effect.flatMap(Effect.all([trial.open, trial.open]), ([one, two]) => chase(trial, one, two))
  ),
  check(
    "changes",
    "every subscriber is told, and one that left disturbs nobody",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const first = yield* subscribe(trial, store)
      const others = yield* Effect.forEach([1, 2], () =>
        Effect.gen(function* () {
          const heard: Array<Change> = []
          const fiber = yield* Effect.forkScoped(
            Stream.runForEach(store.changes, (change) => Effect.sync(() => heard.push(change))),
            {
              startImmediately: true
            }
          )
          return { heard, fiber }
        })
      )
      let again = 0
      yield* trial.eventually(
        Effect.gen(function* () {
          yield* store.send({ id: `encore-${again++}`, run: "canary", time: 0, request: { type: "resume" } })
          yield* Effect.yieldNow
          yield* holds(
            "changes: a later subscription tells of nothing",
            others.every(({ heard }) => heard.length > 0)
          )
        })
      )
      yield* Fiber.interrupt(others[0]!.fiber)
      const run = yield* begin(store, "run")
      yield* first.told("run", "journal")
      yield* trial.eventually(
        Effect.suspend(() =>
          holds(
            "changes: the third subscriber was not told",
            others[1]!.heard.some((change) => change.run === "run")
          )
        )
      )
      yield* run.sync
    })
  ),
  check(
    "changes",
    "that a lease ran out is told",
    ["several", "lapse"],
    Effect.fnUntraced(function* (trial) {
      const frozen = yield* trial.open
      const ear = yield* trial.open
      const run = yield* begin(frozen, "run")
      const { heard, told } = yield* subscribe(trial, ear)
      yield* trial.eventually(shows(ear, run.journal))
      heard.length = 0
      yield* trial.lapse(frozen.owner)
      yield* told("run", "lease")
    })
  ),
  check(
    "changed",
    "it comes back at once if the run is beyond the position",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run", { steps: [Journal.created(), Journal.visited()] })
      yield* store.changed("run", -1)
      yield* store.changed("run", 0)
      yield* shows(store, run.journal)
    })
  ),
  check(
    "changed",
    "it comes back when the run is durable beyond the position, and not before",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      for (let i = 0; i < 10; i++) {
        const at = run.journal.seq
        const waiting = yield* Effect.forEach([0, 1, 2], (ahead) =>
          Effect.forkChild(
            Effect.andThen(
              store.changed("run", at + ahead),
              Effect.map(store.get("run"), ({ head }) => head.seq)
            ),
            { startImmediately: true }
          )
        )
        const left = yield* Effect.forkChild(store.changed("run", at), { startImmediately: true })
        yield* Effect.yieldNow
        yield* Fiber.interrupt(left)
        for (let j = 0; j < 3; j++) {
          yield* run.append(Journal.visited())
          if (i % 2 === 0) yield* Effect.yieldNow
        }
        yield* run.sync
        for (const [ahead, fiber] of waiting.entries()) {
          const seq = yield* Fiber.join(fiber)
          yield* holds(
            `who waited for run to go beyond ${at + ahead} was woken when it stood at ${seq}`,
            seq > at + ahead
          )
        }
      }
    })
  ),
  check(
    "changed",
    "it comes back when another instance writes",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run")
      yield* trial.eventually(shows(two, run.journal))
      for (let i = 0; i < 3; i++) {
        const at = run.journal.seq
        const waiting = yield* Effect.forkChild(two.changed("run", at), { startImmediately: true })
        yield* run.append(Journal.visited())
        yield* run.sync
        yield* Fiber.join(waiting)
        const { head } = yield* two.get("run")
        yield* holds(
          `who waited for run to go beyond ${at} was woken when it stood at ${head.seq}`,
          head.seq > at
        )
      }
    })
  ),
  check(
    "changed",
    "it comes back when the run is deleted",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run", { steps: [Journal.created(), Journal.completed()] })
      const waiting = yield* Effect.forkChild(
        Effect.catchTag(store.changed("run", 100), "RunNotFound", () => Effect.void),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      yield* store.delete("run")
      yield* Fiber.join(waiting)
      yield* refused("afterwards", "RunNotFound", store.changed("run", 0))
    })
  ),
  check(
    "closing",
    "who waits for changes is told that the instance was closed, and so is who asks afterwards",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      const { fiber, told } = yield* subscribe(trial, store)
      const waiting = yield* Effect.forEach([run.journal.seq, 100], (seq) =>
        Effect.forkScoped(store.changed("run", seq), { startImmediately: true })
      )
      yield* store.send({ id: "1", run: "run", time: 1, request: { type: "resume" } })
      yield* told("run", "inbox")
      yield* trial.close(store)
      for (const each of waiting) yield* hearsOfClosing(trial, "changed, under way", each)
      yield* hearsOfClosing(trial, "changes, under way", fiber)
      const late = yield* Effect.forkScoped(store.changed("run", 100))
      yield* hearsOfClosing(trial, "changed, afterwards", late)
      const later = yield* Effect.forkScoped(Stream.runDrain(store.changes))
      yield* hearsOfClosing(trial, "changes, afterwards", later)
    })
  ),
  check(
    "closing",
    "an instance that is closed disturbs none of those who wait in another one",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      const run = yield* begin(one, "run")
      const { fiber, heard, told } = yield* subscribe(trial, one)
      const waiting = yield* Effect.forkChild(one.changed("run", run.journal.seq), { startImmediately: true })
      yield* trial.close(two)
      yield* Effect.yieldNow
      yield* holds("it still waits", waiting.pollUnsafe() === undefined && fiber.pollUnsafe() === undefined)
      heard.length = 0
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* Fiber.join(waiting)
      yield* told("run", "journal")
    })
  )
]
