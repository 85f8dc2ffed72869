import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Entry } from "@waymark/core/Journal"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Observer from "@waymark/core/Observer"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import type { Body } from "../../src/Event.ts"
import { created, written } from "./reading.ts"

/** As much as is in memory at once, at most: a page ends with the entry that goes beyond this. */
const most = 3_000_000

const notes = Array.from({ length: 40 }, (_, index): Body => ({
  kind: "annotated",
  note: `${index} ${"x".repeat(500_000)}`
}))
const visited = {
  kind: "visited",
  node: "work",
  visit: 1,
  attempt: 1,
  started: 0,
  next: { end: true }
} as Body
const journal = written("r", [created(), ...notes, visited, { kind: "completed", output: null }])
const last = journal.entries.length - 1

const world = Effect.gen(function* () {
  const inner = yield* MemoryStore.make()
  yield* inner.create({
    entries: journal.entries as [Entry, ...Array<Entry>],
    head: journal.hashes[last]!
  })
  const seen = { largest: 0 }
  const look = (entries: ReadonlyArray<Entry>) => {
    seen.largest = Math.max(
      seen.largest,
      entries.reduce((size, { line }) => size + line.length, 0)
    )
  }
  const store = Store.of({
    ...inner,
    read: (run, options) =>
      Effect.tap(inner.read(run, options), (entries) => Effect.sync(() => look(entries))),
    feed: (options) => Effect.tap(inner.feed(options), ({ entries }) => Effect.sync(() => look(entries)))
  })
  const runs = yield* Runs.make({ starter: undefined }).pipe(Effect.provideService(Store, store))
  return { runs, seen, store }
})

describe("a run with long entries is never in memory as a whole", () => {
  const readers: {
    readonly [name: string]: (runs: Runs.Runs["Service"]) => Effect.Effect<unknown, unknown>
  } = {
    "its newest checkpoints": (runs) => runs.history("r", { limit: 10 }),
    "its oldest checkpoints": (runs) => runs.history("r", { limit: 10, order: "oldest" }),
    "its events": (runs) =>
      Effect.tap(Stream.runCount(runs.events("r")), (count) =>
        Effect.sync(() => assert.strictEqual(count, last + 1))
      ),
    "its events, newest first": (runs) =>
      Effect.tap(Stream.runCount(runs.events("r", { order: "newest" })), (count) =>
        Effect.sync(() => assert.strictEqual(count, last + 1))
      ),
    "its state": (runs) => runs.stateAt("r", last - 1),
    "its chain of hashes": (runs) => Runs.verify("r").pipe(Effect.provideService(Runs.Runs, runs))
  }
  for (const [name, read] of Object.entries(readers)) {
    it.effect(`when somebody reads ${name}`, () =>
      Effect.gen(function* () {
        const { runs, seen } = yield* world
        yield* read(runs)
        assert.isAbove(seen.largest, 0)
        assert.isBelow(seen.largest, most)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("when an observer follows it", () =>
    Effect.gen(function* () {
      const { seen, store } = yield* world
      const observed: Array<number> = []
      const done = Latch.makeUnsafe()
      const observer = Observer.layer({
        from: "oldest",
        handle: ({ seq }) => (observed.push(seq) > last ? done.open : Effect.void)
      })
      yield* Layer.build(observer).pipe(Effect.provideService(Store, store))
      yield* done.await
      assert.deepStrictEqual(observed, [...journal.entries.keys()])
      assert.isBelow(seen.largest, most)
    }).pipe(Effect.scoped)
  )
})
