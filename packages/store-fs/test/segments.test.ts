import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import type { StoreError } from "@waymark/core/Store"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import type { Instance } from "./scenario.ts"
import { check, completed, makeUser, noted, nothingTold, open } from "./scenario.ts"

const segmentsOf = (directory: string): ReadonlyArray<string> =>
  NodeFs.readdirSync(`${directory}/segments`).sort()

const linesOf = (directory: string): ReadonlyArray<string> =>
  segmentsOf(directory).flatMap((name) =>
    NodeFs.readFileSync(`${directory}/segments/${name}`, "utf8").trimEnd().split("\n")
  )

const bytesOf = (directory: string): number =>
  segmentsOf(directory).reduce((sum, name) => sum + NodeFs.statSync(`${directory}/segments/${name}`).size, 0)

/** Reads everything from the feed, page by page. */
const feedOf = Effect.fnUntraced(function* (store: Instance, from?: string) {
  const found: Array<string> = []
  let cursor = from
  while (true) {
    const page = yield* store.feed({ cursor, limit: 7 })
    if (page.entries.length === 0) return { found, cursor: page.cursor }
    for (const { event } of page.entries) found.push(`${event.run}:${event.seq}`)
    cursor = page.cursor
  }
})

vi.setConfig({ testTimeout: 300_000 })

describe("segments", () => {
  it.live(
    "are lines of JSON: journal entries byte for byte, and control lines that tell themselves apart",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const machine = makeMachine()
        const told = nothingTold()
        const { store } = yield* open(NodeFileSystem.layer, machine, { directory })
        const user = makeUser(store, told)
        const lease = yield* user.create("a/../b ü", "holder")
        yield* user.append(lease, noted("alone"))
        yield* user.append(lease, noted("together"), noted("with this"))
        yield* user.send("a/../b ü", "command")
        yield* user.sync(lease)
        const lines = linesOf(directory).map((line) => ({
          line,
          value: JSON.parse(line) as Record<string, unknown>
        }))
        assert.strictEqual(lines[0]!.value["$"], "segment")
        assert.strictEqual(lines[0]!.value["format"], 1)
        const entries = lines.filter(({ value }) => value["$"] === undefined).map(({ line }) => line)
        assert.deepStrictEqual(
          entries,
          told.journals.get("a/../b ü")!.entries.map(({ line }) => line)
        )
        // A line that stands alone needs no frame.
        assert.strictEqual(lines.filter(({ value }) => value["$"] === "batch").length, 2)
        for (const name of NodeFs.readdirSync(directory, { recursive: true }))
          assert.match(String(name), /^[\w./-]*$/)
      }).pipe(Effect.scoped)
  )

  it.live("of a newer format are refused, and so is a store of a newer format", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const scope = yield* Scope.make()
      const { store } = yield* Scope.provide(open(NodeFileSystem.layer, machine, { directory }), scope)
      yield* makeUser(store, nothingTold()).create("run")
      yield* Scope.close(scope, Exit.void)
      const path = `${directory}/segments/${segmentsOf(directory)[0]}`
      const content = NodeFs.readFileSync(path, "utf8")
      NodeFs.writeFileSync(path, content.replace(`"format":1,`, `"format":9,"news":true,`))
      const segment = yield* Effect.flip(open(NodeFileSystem.layer, machine, { directory }))
      const { reason } = segment as StoreError
      assert.deepStrictEqual({ ...reason }, { _tag: "UnsupportedFormat", path, found: 9, supported: 1 })
      NodeFs.writeFileSync(path, content)
      NodeFs.writeFileSync(`${directory}/format.json`, `{"store":"waymark","format":2}`)
      const whole = yield* Effect.flip(open(NodeFileSystem.layer, machine, { directory }))
      assert.strictEqual((whole as StoreError).reason._tag, "UnsupportedFormat")
    }).pipe(Effect.scoped)
  )

  it.live("are many, and read as one journal in any direction", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const scope = yield* Scope.make()
      const { store } = yield* Scope.provide(
        open(NodeFileSystem.layer, machine, { directory, segmentSize: 4000 }),
        scope
      )
      const user = makeUser(store, told)
      const leases = yield* Effect.forEach(["one", "two"], (run) => user.create(run, "holder"))
      for (let i = 0; i < 100; i++) {
        for (const lease of leases) {
          yield* user.append(lease, noted(`${i}`), ...(i % 10 === 0 ? [noted("x".repeat(500))] : []))
        }
        yield* user.sync(leases[0]!)
        yield* user.sync(leases[1]!)
      }
      assert.isAbove(segmentsOf(directory).length, 8)
      yield* Scope.close(scope, Exit.void)
      const again = yield* open(NodeFileSystem.layer, machine, { directory })
      yield* check(again.store, told)
      const { entries } = told.journals.get("one")!
      for (const [from, to] of [
        [0, 0],
        [3, 90],
        [50, 111],
        [111, 111]
      ] as const) {
        const wanted = entries.slice(from, to + 1).map(({ line }) => line)
        const forwards = yield* again.store.read("one", { from, to })
        assert.deepStrictEqual(
          forwards.map(({ line }) => line),
          wanted
        )
        const backwards = yield* again.store.read("one", { from: to, to: from, direction: "backwards" })
        assert.deepStrictEqual(
          backwards.map(({ line }) => line),
          wanted.toReversed()
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("are compacted: what was deleted goes, what is left stays where it was", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const first = yield* open(NodeFileSystem.layer, machine, { directory, segmentSize: 3000 })
      const watching = yield* open(NodeFileSystem.layer, machine, { directory })
      const user = makeUser(first.store, told)
      const kept = yield* user.create("kept", "holder")
      yield* user.send("kept", "command")
      for (let i = 0; i < 10; i++) {
        const doomed = yield* user.create(`doomed-${i}`, "holder")
        yield* user.append(doomed, noted("z".repeat(1000)), completed)
        yield* user.sync(doomed)
        yield* first.store.release(doomed)
        yield* user.append(kept, noted(`${i}`))
        yield* user.sync(kept)
      }
      yield* user.create("kept-too")
      const before = yield* feedOf(watching.store)
      const middle = (yield* watching.store.feed({ limit: 5 })).cursor
      const size = bytesOf(directory)
      for (let i = 0; i < 10; i++) yield* user.delete(`doomed-${i}`)
      // Some of it may have been done in the background by now.
      yield* first.maintenance.compact
      assert.strictEqual(bytesOf(directory) < size - 7000, true)
      assert.isFalse(
        linesOf(directory)
          .slice(0, -20)
          .some((line) => line.includes("zzzz"))
      )

      // An instance that was open all the time goes on where it stands.
      const kepts = (found: ReadonlyArray<string>) => found.filter((entry) => !entry.startsWith("doomed"))
      assert.deepStrictEqual((yield* feedOf(watching.store, before.cursor)).found, [])
      const rest = yield* feedOf(watching.store, middle)
      assert.deepStrictEqual(
        kepts(rest.found),
        kepts(before.found).slice(kepts(before.found).length - rest.found.length)
      )
      yield* check(watching.store, told)
      yield* user.append(kept, noted("more"))
      yield* user.sync(kept)
      yield* check(watching.store, told)
      // So does one that is opened now, with the index and without it.
      for (const index of [true, false]) {
        if (index) yield* first.maintenance.writeIndex
        else NodeFs.rmSync(`${directory}/index.json`)
        const later = yield* open(NodeFileSystem.layer, machine, { directory })
        yield* check(later.store, told)
        assert.lengthOf((yield* later.store.list({})).runs, 2)
        assert.lengthOf(yield* later.store.inbox("kept", {}), 1)
      }
      assert.deepStrictEqual(yield* first.maintenance.compact, { segments: 0, bytes: 0 })
    }).pipe(Effect.scoped)
  )

  it.live("of a series of which nothing is left are removed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(
        open(NodeFileSystem.layer, machine, { directory, segmentSize: 1000 }),
        scope
      )
      const doomed = yield* makeUser(first.store, told).create("doomed", "holder")
      for (let i = 0; i < 5; i++) {
        yield* makeUser(first.store, told).append(doomed, noted("z".repeat(1000)))
        yield* first.store.sync(doomed)
      }
      yield* makeUser(first.store, told).append(doomed, completed)
      yield* Scope.close(scope, Exit.void)
      const second = yield* open(NodeFileSystem.layer, machine, { directory })
      const user = makeUser(second.store, told)
      yield* user.delete("doomed")
      yield* second.maintenance.compact
      assert.deepStrictEqual(
        segmentsOf(directory).filter((name) => name.startsWith(first.store.owner)),
        []
      )
      yield* check(second.store, told)
      yield* check((yield* open(NodeFileSystem.layer, machine, { directory })).store, told)
      // The id is free again, and what was deleted does not come back.
      const again = nothingTold()
      const lease = yield* makeUser(second.store, again).create("doomed", "holder")
      yield* makeUser(second.store, again).append(lease, noted("anew"))
      yield* makeUser(second.store, again).sync(lease)
      yield* check((yield* open(NodeFileSystem.layer, machine, { directory })).store, again)
    }).pipe(Effect.scoped)
  )

  it.live("are compacted by themselves, however small they are", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const { store } = yield* open(NodeFileSystem.layer, machine, { directory, segmentSize: 10_000 })
      const user = makeUser(store, nothingTold())
      const ids = Array.from({ length: 30 }, (_, i) => `run-${i}`)
      for (const id of ids) {
        const lease = yield* user.create(id, "holder")
        yield* user.append(lease, noted("x".repeat(2000)), completed)
        yield* user.sync(lease)
        yield* user.release(lease)
      }
      const before = bytesOf(directory)
      for (const id of ids) yield* user.delete(id)
      yield* Effect.promise(() => vi.waitFor(() => assert.isBelow(bytesOf(directory), before / 2), 30_000))
    }).pipe(Effect.scoped)
  )

  it.live("are not compacted away under a fork", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const first = yield* open(NodeFileSystem.layer, machine, { directory })
      const user = makeUser(first.store, told)
      const origin = yield* user.create("origin", "holder")
      yield* user.append(origin, completed)
      yield* user.sync(origin)
      yield* first.store.release(origin)
      const second = yield* open(NodeFileSystem.layer, machine, { directory })
      yield* user.fork("fork", "origin")
      const refused = yield* Effect.flip(second.store.delete("origin"))
      assert.strictEqual(refused._tag, "RunInUse")
      yield* check(second.store, told)
    }).pipe(Effect.scoped)
  )
})
