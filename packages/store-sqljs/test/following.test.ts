/** Processes that only read, while another one writes. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import { Store } from "@waymark/core/Store"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as Journal from "@waymark/testing/JournalBuilder"
import { Maintenance } from "../src/Maintenance.ts"
import { openIn, temporaryDirectory } from "./places.ts"

const both = Effect.gen(function* () {
  const machine = makeMachine()
  const file = `${yield* temporaryDirectory}/runs.sqlite`
  const open = (readOnly: boolean) =>
    Layer.build(openIn({ file, machine }, NodeFiles.layer, machine.spawn(), { foldBytes: 1e9, readOnly }))
  const writing = yield* open(false)
  const reading = yield* open(true)
  return {
    open,
    writer: Context.get(writing, Store),
    checkpoint: Context.get(writing, Maintenance).checkpoint,
    reader: Context.get(reading, Store)
  }
})

/** Node's files, whose redo logs are synced when somebody lets them. */
const holdingSyncs = () => {
  let gate: Deferred.Deferred<void> | undefined
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      open: (path: string, options?: Parameters<FileSystem.FileSystem["open"]>[1]) =>
        Effect.map(fs.open(path, options), (file): FileSystem.File => {
          if (!path.includes("-redo.")) return file
          const sync = Effect.suspend(() =>
            gate === undefined ? file.sync : Effect.andThen(Deferred.await(gate), file.sync)
          )
          return Object.create(file, { sync: { value: sync } }) as FileSystem.File
        })
    }))
  ).pipe(Layer.provide(NodeFiles.layer))
  /** From now on they wait, until what this gives is executed. */
  const hold = (): Effect.Effect<unknown> => {
    const held = Deferred.makeUnsafe<void>()
    gate = held
    return Effect.suspend(() => {
      gate = undefined
      return Deferred.succeed(held, undefined)
    })
  }
  return { layer, hold }
}

describe("a store that only reads", () => {
  it.live("sees what the other has made durable, across folds, and is told of it", () =>
    Effect.gen(function* () {
      const { checkpoint, reader, writer } = yield* both
      const journal = yield* Journal.make("one", { time: 1 })
      const changes = yield* Effect.forkChild(
        reader.changes.pipe(
          Stream.filter(({ what }) => what === "journal"),
          Stream.take(1),
          Stream.runCollect
        )
      )
      const lease = yield* writer.create(journal.batch(Journal.created()), { holder: "worker" })
      assert.deepStrictEqual(yield* Fiber.join(changes), [{ run: "one", what: "journal" }])
      assert.strictEqual((yield* reader.get("one")).owner, writer.owner)
      for (let round = 0; round < 8; round++) {
        const waiting = yield* Effect.forkChild(reader.changed("one", journal.seq))
        yield* writer.append(lease, journal.seq, journal.batch(Journal.visited()))
        yield* writer.sync(lease)
        // The reader may find the log it follows, the next one, or only the database that replaced both.
        for (let i = 0; i < round % 4; i++) yield* checkpoint
        yield* Fiber.join(waiting)
        const { head } = yield* reader.get("one")
        assert.deepStrictEqual(head, journal.headAt(round + 1))
        assert.lengthOf(yield* reader.read("one"), round + 2)
      }
      yield* writer.append(lease, journal.seq, journal.batch(Journal.completed()))
      yield* writer.release(lease)
      const gone = yield* Effect.forkChild(reader.changed("one", journal.seq))
      yield* writer.delete("one")
      yield* Fiber.await(gone)
      assert.strictEqual((yield* Effect.flip(reader.get("one")))._tag, "RunNotFound")
    }).pipe(Effect.scoped)
  )

  it.live("finds a whole database whenever it is opened, also while it is being changed", () =>
    Effect.gen(function* () {
      const { checkpoint, open, writer } = yield* both
      // So much that the changes are made in the file.
      yield* writer.putArtifact(new Uint8Array(3_000_000).fill(7))
      yield* checkpoint
      const journal = yield* Journal.make("one", { time: 1 })
      const lease = yield* writer.create(journal.batch(Journal.created()), { holder: "worker" })
      let done = false
      let seen = 0
      const writing = Effect.gen(function* () {
        // How often anybody can look meanwhile depends on the machine.
        for (let round = 0; round < 25 || seen <= 4; round++) {
          const before = seen
          while (round >= 25 && seen === before) yield* Effect.sleep(1)
          const notes = Array.from({ length: 50 }, () => Journal.annotated("x".repeat(1000)))
          const seq = journal.seq
          yield* writer.append(lease, seq, journal.batch(notes[0]!, ...notes.slice(1)))
          yield* writer.sync(lease)
          yield* checkpoint
        }
        done = true
      })
      const looking = Effect.gen(function* () {
        while (!done) {
          const reader = Context.get(yield* open(true), Store)
          const { head } = yield* reader.get("one")
          const entries = yield* reader.read("one", { limit: 10_000 })
          assert.deepStrictEqual(head, journal.headAt(head.seq))
          assert.lengthOf(entries, head.seq + 1)
          seen += 1
        }
      }).pipe(Effect.scoped)
      yield* Effect.all([writing, looking, looking], { concurrency: 3 })
      assert.isAbove(seen, 4)
    }).pipe(Effect.scoped)
  )

  it.live("does not see what is written and not synced yet", () =>
    Effect.gen(function* () {
      const machine = makeMachine()
      const file = `${yield* temporaryDirectory}/runs.sqlite`
      const open = (readOnly: boolean) =>
        Effect.map(
          Layer.build(openIn({ file, machine }, held.layer, machine.spawn(), { foldBytes: 1e9, readOnly })),
          Context.get(Store)
        )
      const held = holdingSyncs()
      const writer = yield* open(false)
      const reader = yield* open(true)
      const journal = yield* Journal.make("one", { time: 1 })
      const lease = yield* writer.create(journal.batch(Journal.created()), { holder: "worker" })
      const size = () => NodeFs.statSync(`${file}-redo.1`).size
      const before = size()

      const go = held.hold()
      yield* Effect.addFinalizer(() => go)
      yield* writer.append(lease, 0, journal.batch(Journal.visited()))
      const syncing = yield* Effect.forkChild(writer.sync(lease))
      while (size() === before) yield* Effect.sleep(1)
      for (const store of [reader, yield* open(true)]) {
        assert.strictEqual((yield* store.get("one")).head.seq, 0)
        assert.lengthOf(yield* store.read("one"), 1)
      }
      yield* go
      yield* Fiber.join(syncing)
      yield* reader.changed("one", 0)
      assert.lengthOf(yield* reader.read("one"), 2)
    }).pipe(Effect.scoped)
  )

  it.live("writes nothing", () =>
    Effect.gen(function* () {
      const { reader, writer } = yield* both
      const journal = yield* Journal.make("one", { time: 1 })
      const batch = journal.batch(Journal.created())
      const refused = yield* Effect.flip(reader.create(batch))
      assert.strictEqual("reason" in refused && refused.reason._tag, "Invalid")
      yield* writer.create(batch)
      const command = { id: "c", run: "one", time: 1, request: { type: "resume" } } as const
      for (const attempt of [reader.send(command), reader.acquire("one", "x"), reader.setMeta("a", "b")]) {
        assert.include((yield* Effect.flip(attempt)).message, "opened to read only")
      }
    }).pipe(Effect.scoped)
  )
})
