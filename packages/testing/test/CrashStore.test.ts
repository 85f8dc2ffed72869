import { assert, describe, it } from "@effect/vitest"
import * as MemoryStore from "@waymark/core/MemoryStore"
import { Store } from "@waymark/core/Store"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Layer from "effect/Layer"
import * as Context from "effect/Context"
import * as CrashStore from "../src/CrashStore.ts"
import * as JournalBuilder from "../src/JournalBuilder.ts"

/** Creates a run and makes two steps, each followed by a sync: six operations with the release. */
const story = Effect.gen(function* () {
  const store = yield* Store
  const journal = yield* JournalBuilder.make("r")
  const lease = yield* store.create(journal.batch(JournalBuilder.created()), { holder: "test" })
  for (let i = 0; i < 2; i++) {
    const { seq } = journal
    yield* store.append(lease, seq, journal.batch(JournalBuilder.visited()))
    yield* store.sync(lease)
  }
  yield* store.release(lease)
})

/** The position of the last durable event, -1 if there is no run. */
const durable = (disk: MemoryStore.Disk) =>
  Effect.gen(function* () {
    const store = yield* MemoryStore.make({ disk })
    const stored = yield* Effect.exit(store.get("r"))
    return Exit.isSuccess(stored) ? stored.value.head.seq : -1
  }).pipe(Effect.scoped)

/** Builds the store in a scope that is never closed, as that of a process that dies. */
const storeOf = (crash: CrashStore.CrashStore) =>
  Effect.map(Layer.buildWithScope(crash.layer, Scope.makeUnsafe()), (context) => Context.get(context, Store))

describe("CrashStore", () => {
  it.effect("counts the operations that write", () =>
    Effect.gen(function* () {
      const crash = CrashStore.make({ disk: MemoryStore.makeDisk() })
      yield* Effect.provide(story, crash.layer)
      assert.strictEqual(yield* crash.points, 6)
      assert.deepStrictEqual(yield* crash.operations, [
        { point: 1, operation: "create", run: "r", detail: "created" },
        { point: 2, operation: "append", run: "r", detail: "visited" },
        { point: 3, operation: "sync", run: "r", detail: "" },
        { point: 4, operation: "append", run: "r", detail: "visited" },
        { point: 5, operation: "sync", run: "r", detail: "" },
        { point: 6, operation: "release", run: "r", detail: "" }
      ])
    })
  )

  const left = [
    [1, "before", -1],
    [1, "after", 0],
    [2, "before", 0],
    // Accepted is not durable.
    [2, "after", 0],
    [3, "before", 0],
    [3, "after", 1],
    [4, "after", 1],
    [5, "before", 1],
    [5, "after", 2],
    [6, "after", 2]
  ] as const
  for (const [point, when, seq] of left) {
    it.effect(`leaves what was durable when the power is cut ${when} operation ${point}`, () =>
      Effect.gen(function* () {
        const disk = MemoryStore.makeDisk()
        let cut = 0
        const crash = CrashStore.make({ disk, cutAt: { point, when }, onCut: () => (cut += 1) })
        const store = yield* storeOf(crash)
        const fiber = yield* Effect.forkChild(Effect.provideService(story, Store, store), {
          startImmediately: true
        })
        yield* crash.cut
        assert.strictEqual(cut, 1)
        // It never comes back, not even as a failure.
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* crash.points, point)
        assert.strictEqual(yield* durable(disk), seq)
      })
    )
  }

  it.effect("cuts the power after an operation that fails, too", () =>
    Effect.gen(function* () {
      const disk = MemoryStore.makeDisk()
      const crash = CrashStore.make({ disk, cutAt: { point: 1, when: "after" } })
      const store = yield* storeOf(crash)
      yield* Effect.forkChild(store.acquire("nobody", "test"), { startImmediately: true })
      yield* crash.cut
    })
  )

  it.effect("cuts the power when told to, and gives the run to the next process", () =>
    Effect.gen(function* () {
      const disk = MemoryStore.makeDisk()
      const first = CrashStore.make({ disk, owner: "first" })
      const store = yield* storeOf(first)
      const journal = yield* JournalBuilder.make("r")
      const lease = yield* store.create(journal.batch(JournalBuilder.created()), { holder: "test" })
      yield* store.append(lease, 0, journal.batch(JournalBuilder.visited()))
      yield* first.cutPower
      const late = yield* Effect.forkChild(store.sync(lease), { startImmediately: true })
      const second = CrashStore.make({ disk, owner: "second" })
      const acquired = yield* Effect.provide(
        Effect.flatMap(Store, (next) => next.acquire("r", "test")),
        second.layer
      )
      assert.deepStrictEqual(
        [acquired.previous, acquired.head.seq, acquired.lease.owner],
        ["crash", 0, "second"]
      )
      assert.isUndefined(late.pollUnsafe())
    })
  )
})
