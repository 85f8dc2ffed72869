import { assert, describe, it } from "@effect/vitest"
import * as MemoryStore from "@waymark/core/MemoryStore"
import { Store } from "@waymark/core/Store"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as Faults from "../src/Faults.ts"
import * as Journal from "../src/JournalBuilder.ts"
import * as PowerLossFileSystem from "../src/PowerLossFileSystem.ts"

const storeWith = (faults: Faults.Faults, disk = MemoryStore.makeDisk()) =>
  Effect.map(Layer.build(faults.store(MemoryStore.layer({ disk, flush: "onSync" }))), Context.get(Store))

const filesWith = (faults: Faults.Faults, disk = PowerLossFileSystem.makeDisk()) =>
  Effect.map(Layer.build(faults.fileSystem(disk.layer)), Context.get(FileSystem.FileSystem))

const of =
  (...names: ReadonlyArray<string>) =>
  ({ name }: Faults.Operation): boolean =>
    names.includes(name)

/** Whether something has not come back after everything else had its turn. */
const hangs = <A, E>(work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(work, { startImmediately: true })
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    const ended = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    return ended === undefined
  })

const begin = Effect.fnUntraced(function* (store: Store["Service"], run = "run") {
  const journal = yield* Journal.make(run)
  const lease = yield* store.create(journal.batch(Journal.created()), { holder: "worker" })
  return { journal, lease }
})

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (said: string): Uint8Array => new TextEncoder().encode(said)

describe("faults of a store", () => {
  it.effect("an error comes at the operation that it was planned for, and nothing of that happens", () =>
    Effect.gen(function* () {
      const faults = Faults.make([Faults.at(2, Faults.noSpace, { of: of("setMeta") })])
      const store = yield* storeWith(faults)
      yield* store.setMeta("a", "1")
      const error = yield* Effect.flip(store.setMeta("a", "2"))
      assert.deepStrictEqual([error.operation, error.reason._tag], ["setMeta", "NoSpace"])
      assert.strictEqual(yield* store.getMeta("a"), "1")
      yield* store.setMeta("a", "3")
      assert.deepStrictEqual(
        faults.injected.map(({ fault, operation }) => [operation.number, operation.name, fault]),
        [[2, "setMeta", Faults.noSpace]]
      )
    })
  )

  it.effect("a sync that fails makes the lease void", () =>
    Effect.gen(function* () {
      const faults = Faults.make([Faults.at(1, Faults.io, { of: of("sync") })])
      const store = yield* storeWith(faults)
      const { journal, lease } = yield* begin(store)
      yield* store.append(lease, 0, journal.batch(Journal.visited()))
      const error = yield* Effect.flip(store.sync(lease))
      assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "Io")
      assert.strictEqual((yield* Effect.flip(store.sync(lease)))._tag, "LeaseLost")
      const acquired = yield* store.acquire("run", "again")
      assert.isAbove(acquired.lease.epoch, 0)
    })
  )

  it.effect.each([
    ["before", Faults.crashBefore, undefined],
    ["after", Faults.crashAfter, "value"],
    ["in the middle of", Faults.tornWrite(2), undefined],
    ["at the end of", Faults.tornWrite(5), "value"]
  ] as const)(
    "a crash %s an operation: nothing comes back, and the next process finds what is there",
    ([, fault, left]) =>
      Effect.gen(function* () {
        const disk = MemoryStore.makeDisk()
        let cuts = 0
        const faults = Faults.make([Faults.at(1, fault, { of: of("setMeta") })], {
          onCrash: () => {
            cuts += 1
            disk.cutPower()
          }
        })
        const store = yield* storeWith(faults, disk)
        assert.isTrue(yield* hangs(store.setMeta("key", "value")))
        assert.isTrue(yield* hangs(store.getMeta("key")))
        yield* faults.crashed
        assert.strictEqual(cuts, 1)
        const next = yield* storeWith(Faults.make([]), disk)
        assert.strictEqual(yield* next.getMeta("key"), left)
      })
  )

  it.effect("a lost sync says that it is durable, and a power cut shows that it is not", () =>
    Effect.gen(function* () {
      const disk = MemoryStore.makeDisk()
      const faults = Faults.make([Faults.always(Faults.lostSync)], { onCrash: disk.cutPower })
      const store = yield* storeWith(faults, disk)
      const { journal, lease } = yield* begin(store)
      yield* store.append(lease, 0, journal.batch(Journal.visited()))
      yield* store.sync(lease)
      faults.crash()
      const next = yield* storeWith(Faults.make([]), disk)
      const { head } = yield* next.get("run")
      assert.strictEqual(head.seq, 0)
      // Who holds the head that was told finds out.
      assert.notStrictEqual(head.hash, journal.head.hash)
    })
  )

  it.effect("what is acknowledged twice happens once", () =>
    Effect.gen(function* () {
      const faults = Faults.make([Faults.always(Faults.duplicate)])
      const store = yield* storeWith(faults)
      const { journal, lease } = yield* begin(store)
      yield* store.append(lease, 0, journal.batch(Journal.visited(), Journal.visited()))
      yield* store.sync(lease)
      yield* store.send({ id: "c", run: "run", time: 0, request: { type: "resume" } })
      assert.lengthOf(yield* store.read("run"), 3)
      assert.lengthOf(yield* store.inbox("run", {}), 1)
      assert.isAbove(faults.injected.length, 3)
    })
  )

  it.effect("a bit that is another is found by the chain, or is no entry any more", () =>
    Effect.gen(function* () {
      for (let bit = 0; bit < 400; bit += 7) {
        const faults = Faults.make([Faults.at(1, Faults.flipBit(bit), { of: of("read") })])
        const store = yield* storeWith(faults)
        const { journal, lease } = yield* begin(store)
        yield* store.append(lease, 0, journal.batch(Journal.visited()))
        yield* store.sync(lease)
        const lines = journal.entries.map(({ line }) => line)
        const altered = yield* Effect.result(store.read("run"))
        if (altered._tag === "Success") {
          assert.notDeepEqual(
            altered.success.map(({ line }) => line),
            lines
          )
        } else {
          const error = altered.failure
          assert.isTrue(error._tag === "StoreError" && error.reason._tag === "Corrupt")
        }
        assert.deepStrictEqual(
          (yield* store.read("run")).map(({ line }) => line),
          lines
        )
      }
    })
  )

  it.effect("a stale read tells what it told before", () =>
    Effect.gen(function* () {
      const faults = Faults.make([Faults.at(1, Faults.staleRead)])
      const store = yield* storeWith(faults)
      yield* store.setMeta("key", "old")
      // Nobody has asked yet: there is nothing stale to tell.
      assert.strictEqual(yield* store.getMeta("key"), "old")
      yield* store.setMeta("key", "new")
      assert.strictEqual(yield* store.getMeta("key"), "old")
      assert.strictEqual(yield* store.getMeta("key"), "new")
    })
  )

  it.effect("a delay takes its time", () =>
    Effect.gen(function* () {
      const faults = Faults.make([Faults.always(Faults.delay("20 millis"), { of: of("setMeta") })])
      const store = yield* storeWith(faults)
      const setting = yield* Effect.forkChild(store.setMeta("key", "value"), { startImmediately: true })
      yield* TestClock.adjust("19 millis")
      assert.strictEqual(yield* store.getMeta("key"), undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(setting)
      assert.strictEqual(yield* store.getMeta("key"), "value")
    })
  )

  it.effect("the same seed gives the same faults, and another one others", () =>
    Effect.gen(function* () {
      const play = (seed: number) =>
        Effect.gen(function* () {
          const faults = Faults.make([
            Faults.seeded(seed, { rate: 0.3, faults: [Faults.io, Faults.noSpace, Faults.staleRead] })
          ])
          const store = yield* storeWith(faults)
          for (let i = 0; i < 40; i++) {
            yield* Effect.exit(store.setMeta("key", `${i}`))
            yield* Effect.exit(store.getMeta("key"))
          }
          return faults.injected.map(({ fault, operation }) => `${operation.number} ${fault._tag}`)
        })
      const first = yield* play(1)
      assert.isAbove(first.length, 10)
      assert.deepStrictEqual(yield* play(1), first)
      assert.notDeepEqual(yield* play(2), first)
    })
  )
})

describe("faults of a file system", () => {
  const write = (fs: FileSystem.FileSystem, path: string, said: string) =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = yield* fs.open(path, { flag: "a" })
        yield* file.writeAll(bytes(said))
        yield* file.sync
      })
    )

  it.effect("a write that is torn leaves its first bytes, and an error may, too", () =>
    Effect.gen(function* () {
      for (const fault of [Faults.tornWrite(3), Faults.fail("ENOSPC", { partial: 3 })]) {
        const disk = PowerLossFileSystem.makeDisk()
        const fs = yield* filesWith(Faults.make([Faults.at(1, fault, { of: of("write") })]), disk)
        if (fault._tag === "TornWrite") assert.isTrue(yield* hangs(write(fs, "/a", "hello")))
        else assert.strictEqual((yield* Effect.flip(write(fs, "/a", "hello"))).reason._tag, "Unknown")
        const after = yield* filesWith(Faults.make([]), disk)
        assert.strictEqual(text(yield* after.readFile("/a")), "hel")
      }
    })
  )

  it.effect("an error is the one that Node gives", () =>
    Effect.gen(function* () {
      const fs = yield* filesWith(Faults.make([Faults.at(1, Faults.io, { of: of("sync") })]))
      const { reason } = yield* Effect.flip(write(fs, "/a", "hello"))
      assert.strictEqual((reason.cause as NodeJS.ErrnoException).code, "EIO")
      yield* write(fs, "/a", "hello")
    })
  )

  it.effect("a lost sync keeps nothing in a power cut", () =>
    Effect.gen(function* () {
      for (const lost of [true, false]) {
        const disk = PowerLossFileSystem.makeDisk()
        const fs = yield* filesWith(Faults.make(lost ? [Faults.always(Faults.lostSync)] : []), disk)
        yield* write(fs, "/a", "hello")
        const left = disk.surviving({ data: "dropped", entries: "kept" })
        const after = Context.get(yield* Layer.build(left.layer), FileSystem.FileSystem)
        assert.strictEqual(text(yield* after.readFile("/a")), lost ? "" : "hello")
      }
    })
  )

  it.effect("bits flip in what is written, and in what is read", () =>
    Effect.gen(function* () {
      const disk = PowerLossFileSystem.makeDisk()
      const faults = Faults.make([Faults.at(1, Faults.flipBit(0), { of: of("write") })])
      const fs = yield* filesWith(faults, disk)
      yield* write(fs, "/a", "hello")
      assert.strictEqual(text(yield* fs.readFile("/a")), "iello")
      faults.use([Faults.at(1, Faults.flipBit(0))])
      assert.strictEqual(text(yield* fs.readFile("/a")), "hello")
      assert.strictEqual(text(yield* fs.readFile("/a")), "iello")
      faults.use([Faults.at(1, Faults.flipBit(8 * 5))])
      const file = yield* fs.open("/a")
      const buffer = new Uint8Array(9)
      assert.strictEqual(yield* file.read(buffer, { position: 0n }), 5)
      assert.strictEqual(text(buffer.subarray(0, 5)), "hello")
    }).pipe(Effect.scoped)
  )

  it.effect("stale reads of files, names and sizes", () =>
    Effect.gen(function* () {
      const faults = Faults.make([])
      const fs = yield* filesWith(faults)
      yield* write(fs, "/a", "old")
      const file = yield* fs.open("/a")
      const buffer = new Uint8Array(9)
      const look = Effect.gen(function* () {
        return [
          text(yield* fs.readFile("/a")),
          Number((yield* fs.stat("/a")).size),
          (yield* fs.readDirectory("/")).sort(),
          text(buffer.subarray(0, yield* file.read(buffer, { position: 0n })))
        ]
      })
      const before = yield* look
      yield* write(fs, "/a", "new")
      yield* write(fs, "/b", "b")
      faults.use([Faults.always(Faults.staleRead)])
      assert.deepStrictEqual(yield* look, before)
      faults.use([])
      assert.deepStrictEqual(yield* look, ["oldnew", 6, ["a", "b", "tmp"], "oldnew"])
    }).pipe(Effect.scoped)
  )

  it.effect("a change of a name that arrives twice is acknowledged once", () =>
    Effect.gen(function* () {
      const faults = Faults.make([Faults.always(Faults.duplicate)])
      const fs = yield* filesWith(faults)
      yield* write(fs, "/a", "hello")
      yield* fs.link("/a", "/b")
      yield* fs.rename("/a", "/c")
      yield* fs.remove("/b")
      assert.deepStrictEqual((yield* fs.readDirectory("/")).sort(), ["c", "tmp"])
      assert.strictEqual(text(yield* fs.readFile("/c")), "hello")
    })
  )

  it.effect(
    "a crash of the process leaves the disk to others; one with the power leaves what was synced",
    () =>
      Effect.gen(function* () {
        for (const power of [false, true]) {
          const disk = PowerLossFileSystem.makeDisk()
          const faults = Faults.make([Faults.at(1, Faults.crashAfter, { of: of("write") })], {
            onCrash: power ? disk.cutPower : () => {}
          })
          const fs = yield* filesWith(faults, disk)
          const ended = yield* Effect.raceFirst(
            Effect.asSome(write(fs, "/a", "hello")),
            Effect.as(faults.crashed, Option.none())
          )
          assert.isTrue(Option.isNone(ended))
          if (power) disk.reboot()
          const after = yield* filesWith(Faults.make([]), disk)
          assert.strictEqual(yield* after.exists("/a"), !power)
        }
      })
  )
})
