import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { Scenario, Wrap } from "./scenario.ts"
import { completed, explore, makeUser, noted, open } from "./scenario.ts"

/** One process does everything that a store can do, with segments so small that there are many. */
const alone: Scenario = (disk, machine, told, wrap) =>
  Effect.gen(function* () {
    const { maintenance, store } = yield* open(wrap(disk.layer), machine)
    const user = makeUser(store, told)
    const held = yield* user.create("held", "holder")
    yield* user.append(held, noted("one"))
    yield* user.append(held, noted("two"), noted("three"), noted("four"))
    yield* user.sync(held)
    yield* user.create("free")
    yield* user.send("free", "command-1")
    const free = yield* user.acquire("free")
    yield* user.append(free, noted("x".repeat(600)))
    yield* user.append(held, noted("y".repeat(600)))
    yield* Effect.all([user.sync(free), user.sync(held)], { concurrency: 2 })
    yield* store.release(free)
    yield* user.setMeta("cursor", "1")
    yield* user.putArtifact(new Uint8Array([1, 2, 3]))
    const doomed = yield* user.create("doomed", "holder")
    yield* user.append(doomed, noted("z".repeat(1500)), completed)
    yield* user.sync(doomed)
    yield* store.release(doomed)
    yield* user.append(held, noted("five"))
    yield* user.sync(held)
    const begun = yield* user.begin("begun", "holder")
    yield* user.append(begun, noted("one"))
    yield* user.append(begun, noted("two"), noted("three"))
    yield* user.sync(begun)
    const ended = yield* user.begin("ended", "holder")
    yield* user.append(ended, noted("one"), completed)
    yield* user.release(ended)
    yield* user.delete("doomed")
    yield* user.setMeta("cursor", "2")
    yield* maintenance.writeIndex
    yield* maintenance.compact
    yield* user.send("held", "command-2")
    yield* user.append(held, noted("six"))
    yield* user.sync(held)
  })

/** Two processes: one is taken for dead, the other takes over, and the first one writes on until it notices. */
const handedOver: Scenario = (disk, machine, told, wrap) =>
  Effect.gen(function* () {
    const first = yield* open(wrap(disk.layer), machine)
    const owner = makeUser(first.store, told)
    const lease = yield* owner.create("run", "holder")
    yield* owner.append(lease, noted("one"))
    yield* owner.sync(lease)
    yield* owner.append(lease, noted("two"), noted("three"))
    const begun = yield* owner.begin("begun", "holder")
    yield* owner.append(begun, noted("one"))
    first.vanish()
    const second = yield* open(wrap(disk.layer), machine)
    const taker = makeUser(second.store, told)
    const taken = yield* taker.acquire("run")
    yield* Effect.ignore(first.store.sync(lease))
    yield* Effect.ignore(first.store.sync(begun))
    yield* taker.append(taken, noted("four"))
    yield* taker.sync(taken)
    yield* taker.send("run", "command")
    yield* second.store.release(taken)
    // The first one goes on as another owner.
    const back = yield* owner.acquire("run")
    yield* owner.append(back, noted("five"))
    yield* owner.sync(back)
  })

/** Syncs files of one sort in another way. */
const syncing =
  (
    what: "files" | "directories" | "all",
    how: (sync: FileSystem.File["sync"]) => FileSystem.File["sync"]
  ): Wrap =>
  (fileSystem) =>
    Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fs) => ({
        ...fs,
        open: (path, options) =>
          Effect.gen(function* () {
            const file = yield* fs.open(path, options)
            const { type } = yield* file.stat
            const concerned = what === "all" || (what === "directories") === (type === "Directory")
            if (!concerned) return file
            return new Proxy(file, {
              get: (target, key) => {
                if (key === "sync") return how(target.sync)
                const value: unknown = Reflect.get(target, key)
                return typeof value === "function" ? value.bind(target) : value
              }
            })
          })
      }))
    ).pipe(Layer.provide(fileSystem))

const never = syncing("files", () => Effect.void)
const neverDirectories = syncing("directories", () => Effect.void)
/** The sync takes place, but after whoever asked for it was told so. */
const tooLate = syncing("all", (sync) =>
  Effect.asVoid(Effect.forkDetach(Effect.andThen(Effect.yieldNow, sync)))
)

const none: ReadonlyArray<string> = []

describe("power loss at every system call", () => {
  it.live(
    "loses nothing that one process was told",
    () =>
      Effect.gen(function* () {
        const { cuts, violations } = yield* explore(alone)
        assert.deepStrictEqual(violations, none)
        assert.isAbove(cuts, 60)
      }),
    600_000
  )

  it.live(
    "loses nothing that two processes were told when one takes over from the other",
    () =>
      Effect.gen(function* () {
        const { cuts, violations } = yield* explore(handedOver)
        assert.deepStrictEqual(violations, none)
        assert.isAbove(cuts, 40)
      }),
    600_000
  )

  it.live(
    "loses nothing when it goes again in the recovery",
    () =>
      Effect.gen(function* () {
        for (const scenario of [alone, handedOver]) {
          const { cuts, violations } = yield* explore(scenario, { step: 37, again: 9 })
          assert.deepStrictEqual(violations, none)
          assert.isAbove(cuts, 60)
        }
      }),
    600_000
  )

  it.live.each([
    ["whose files are not synced", never],
    ["whose directories are not synced", neverDirectories],
    ["that tells before it has synced", tooLate]
  ] as const)(
    "finds out a store %s",
    ([, wrap]) =>
      Effect.gen(function* () {
        const { violations } = yield* explore(alone, { wrap, stopAtFirst: true })
        assert.isAbove(violations.length, 0)
      }),
    600_000
  )
})
