import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import type { StoreError } from "@waymark/core/Store"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import type { Instance, Told } from "./scenario.ts"
import { check, extend, makeUser, noted, nothingTold, open } from "./scenario.ts"

const options = { segmentSize: 64 * 1024 * 1024 }

/** A store that a process left behind when it was killed, with what it had been told. */
const left = (runs: ReadonlyArray<string>, entries: number) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const machine = makeMachine()
    const told = nothingTold()
    const { store, vanish } = yield* open(NodeFileSystem.layer, machine, { directory, ...options })
    const user = makeUser(store, told)
    const leases = yield* Effect.forEach(runs, (run) => user.create(run, "holder"))
    for (let i = 0; i < entries; i++)
      for (const lease of leases) yield* user.append(lease, noted(`entry ${i}`))
    for (const lease of leases) yield* user.sync(lease)
    vanish()
    const segment = `${directory}/segments/${NodeFs.readdirSync(`${directory}/segments`)[0]}`
    return { directory, machine, told, segment }
  })

const reopen = (place: { readonly directory: string; readonly machine: ReturnType<typeof makeMachine> }) =>
  Effect.map(
    open(NodeFileSystem.layer, place.machine, { directory: place.directory, ...options }),
    ({ store }) => store
  )

/** The run can be taken up and written on, and the next process finds that. */
const goesOn = (place: Effect.Success<ReturnType<typeof left>>, store: Instance, told: Told, run: string) =>
  Effect.gen(function* () {
    const user = makeUser(store, told)
    const lease = yield* user.acquire(run)
    yield* user.append(lease, noted("goes on"))
    yield* user.sync(lease)
    yield* check(store, told)
    yield* check(yield* reopen(place), told)
  })

/** Writes over a few bytes. */
const overwrite = (path: string, at: number, text: string): void => {
  const file = NodeFs.openSync(path, "r+")
  NodeFs.writeSync(file, text, at)
  NodeFs.closeSync(file)
}

const corruptionOf = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(effect), (error) => {
    const { reason } = error as StoreError
    return reason._tag === "Corrupt" ? reason : assert.fail(`${reason._tag} instead of Corrupt`)
  })

vi.setConfig({ testTimeout: 300_000 })

describe("recovery", () => {
  /** A line that would be the next of a run. */
  const next = (told: Told): string =>
    extend(told.journals.get("one")!, [noted("not synced")]).batch.entries[0].line

  for (const [name, tailOf] of [
    ["half a line", (told) => next(told).slice(0, -10)],
    ["a line of zeros", () => "\0".repeat(300)],
    ["a line of zeros and a whole line behind it", (told) => `${"\0".repeat(300)}\n${next(told)}\n`],
    ["a batch that is not whole", (told) => `{"$":"batch","lines":2}\n${next(told)}\n`],
    ["a batch with a hole", (told) => `{"$":"batch","lines":2}\n${next(told)}\n${"\0".repeat(300)}\n`]
  ] as ReadonlyArray<readonly [string, (told: Told) => string]>) {
    it.live(`what a crash left at the end counts for nothing: ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* left(["one", "two"], 3)
        NodeFs.appendFileSync(place.segment, tailOf(place.told))
        const store = yield* reopen(place)
        yield* check(store, place.told)
        assert.isUndefined((yield* store.get("one")).owner)
        assert.strictEqual((yield* store.acquire("two", "holder")).previous, "crash")
        yield* goesOn(place, store, place.told, "one")
      }).pipe(Effect.scoped)
    )
  }

  it.live("a line that was damaged names its file and place; other runs and the list are not concerned", () =>
    Effect.gen(function* () {
      const place = yield* left(["one", "two", "three"], 400)
      const content = NodeFs.readFileSync(place.segment, "latin1")
      const at = content.indexOf(`{"run":"two","seq":150,`)
      overwrite(place.segment, at + 30, "\0\0\0\0")
      const store = yield* reopen(place)
      const reason = yield* corruptionOf(store.read("two", { from: 100, to: 200 }))
      assert.deepStrictEqual(
        { path: reason.path, offset: reason.offset, run: reason.run, seq: reason.seq },
        { path: place.segment, offset: at, run: "two", seq: 150 }
      )
      yield* corruptionOf(store.acquire("two", "holder"))
      assert.lengthOf(yield* store.read("two", { from: 160, to: 300 }), 141)
      assert.lengthOf(yield* store.read("two", { from: 0, to: 140 }), 141)
      assert.lengthOf((yield* store.list({})).runs, 3)
      assert.lengthOf(yield* store.read("three"), 402)
      yield* goesOn(
        place,
        store,
        { ...place.told, journals: new Map([["one", place.told.journals.get("one")!]]) },
        "one"
      )
    }).pipe(Effect.scoped)
  )

  it.live("damage that the index does not know of is found when it is read", () =>
    Effect.gen(function* () {
      const place = yield* left(["one", "two"], 400)
      const { maintenance } = yield* open(NodeFileSystem.layer, place.machine, {
        directory: place.directory,
        ...options
      })
      yield* maintenance.writeIndex
      const at = NodeFs.readFileSync(place.segment, "latin1").indexOf(`{"run":"two","seq":10,`)
      overwrite(place.segment, at + 5, "#")
      const store = yield* reopen(place)
      assert.strictEqual((yield* store.get("two")).head.seq, 401)
      const reason = yield* corruptionOf(store.read("two", { from: 5, to: 15 }))
      assert.strictEqual(reason.path, place.segment)
      assert.strictEqual(reason.seq, 10)
      assert.lengthOf(yield* store.read("two", { from: 350 }), 52)
      assert.lengthOf(yield* store.read("one"), 402)
    }).pipe(Effect.scoped)
  )

  it.live("a run whose first entry was damaged says so, and hides no other", () =>
    Effect.gen(function* () {
      const place = yield* left(["one", "two"], 100)
      const content = NodeFs.readFileSync(place.segment, "latin1")
      overwrite(place.segment, content.indexOf(`{"run":"two","seq":0,`), "#")
      const store = yield* reopen(place)
      const reason = yield* corruptionOf(store.get("two"))
      assert.strictEqual(reason.seq, 0)
      assert.deepStrictEqual(
        (yield* store.list({})).runs.map(({ run }) => run),
        ["one"]
      )
      assert.lengthOf(yield* store.read("one"), 102)
    }).pipe(Effect.scoped)
  )

  it.live("an index that is missing, damaged, cut or of another store is built anew", () =>
    Effect.gen(function* () {
      const place = yield* left(["one", "two"], 50)
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(
        open(NodeFileSystem.layer, place.machine, { directory: place.directory, ...options }),
        scope
      )
      yield* first.maintenance.writeIndex
      yield* Scope.close(scope, Exit.void)
      const path = `${place.directory}/index.json`
      const good = NodeFs.readFileSync(path, "utf8")
      const other = yield* left(["elsewhere"], 3)
      yield* (yield* open(NodeFileSystem.layer, other.machine, { directory: other.directory, ...options }))
        .maintenance.writeIndex
      for (const bad of [
        undefined,
        "",
        "{}",
        good.slice(0, -10),
        good.replace(`"seq":51`, `"seq":41`),
        good.replace("flow", "flaw"),
        NodeFs.readFileSync(`${other.directory}/index.json`, "utf8")
      ]) {
        if (bad === undefined) NodeFs.rmSync(path)
        else NodeFs.writeFileSync(path, bad)
        const reader = yield* open(NodeFileSystem.layer, place.machine, {
          directory: place.directory,
          readOnly: true
        })
        yield* check(reader.store, place.told)
        assert.deepStrictEqual(
          (yield* reader.store.list({ order: "oldest" })).runs.map(({ run }) => run),
          ["one", "two"]
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("opening a large store reads the index and what came after, not everything", () =>
    Effect.gen(function* () {
      const place = yield* left(["one"], 10_000)
      const scope = yield* Scope.make()
      const writer = yield* Scope.provide(
        open(NodeFileSystem.layer, place.machine, { directory: place.directory, ...options }),
        scope
      )
      yield* writer.maintenance.writeIndex
      yield* Scope.close(scope, Exit.void)
      const { size } = NodeFs.statSync(place.segment)
      assert.isAbove(size, 1_500_000)

      const counting = makeCounting()
      const machine = place.machine
      const { store } = yield* open(counting.layer, machine, { directory: place.directory, readOnly: true })
      assert.strictEqual((yield* store.get("one")).head.seq, 10_001)
      const entries = yield* store.read("one", { direction: "backwards", limit: 300 })
      assert.strictEqual(entries[299]!.event.seq, 9702)
      assert.isBelow(counting.read(), size / 5)
    }).pipe(Effect.scoped)
  )

  it.live("nothing is read again when another process appends", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const user = makeUser(
        (yield* open(NodeFileSystem.layer, machine, { directory, ...options })).store,
        nothingTold()
      )
      const lease = yield* user.create("run", "holder")
      for (let i = 0; i < 2000; i++) yield* user.append(lease, noted("x".repeat(200)))
      yield* user.sync(lease)
      const counting = makeCounting()
      const reader = yield* open(counting.layer, machine, { directory, readOnly: true, pollInterval: 5 })
      assert.strictEqual((yield* reader.store.get("run")).head.seq, 2001)
      const before = counting.read()
      for (let i = 0; i < 20; i++) {
        yield* user.append(lease, noted("more"))
        yield* user.sync(lease)
        assert.strictEqual((yield* reader.store.get("run")).head.seq, 2002 + i)
      }
      assert.isBelow(counting.read() - before, 64 * 1024)
    }).pipe(Effect.scoped)
  )
})

/** Node's file system, counting the bytes that are read. */
const makeCounting = () => {
  let bytes = 0
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      readFile: (path) =>
        Effect.tap(fs.readFile(path), (content) => Effect.sync(() => (bytes += content.length))),
      open: (path, options) =>
        Effect.map(
          fs.open(path, options),
          (file) =>
            new Proxy(file, {
              get: (target, key) => {
                if (key === "read") {
                  return (...args: Parameters<typeof target.read>) =>
                    Effect.tap(target.read(...args), (count) => Effect.sync(() => (bytes += count)))
                }
                const value: unknown = Reflect.get(target, key)
                return typeof value === "function" ? value.bind(target) : value
              }
            })
        )
    }))
  ).pipe(Layer.provide(NodeFileSystem.layer))
  return { layer, read: () => bytes }
}
