import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import * as Claims from "../src/internal/claims.ts"
import * as Disk from "@waymark/store-kit/Disk"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { check, completed, created, extend, makeUser, noted, nothingTold, open } from "./scenario.ts"

/** Two processes on one directory. */
const two = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const machine = makeMachine()
  const options = { directory, pollInterval: 10, segmentSize: 1e6 }
  const first = yield* open(NodeFileSystem.layer, machine, options)
  const second = yield* open(NodeFileSystem.layer, machine, options)
  return { directory, machine, options, first, second }
})

/** A directory in which claims can be made, without a store. */
const claimsPlace = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const scope = yield* Effect.scope
  const disk = Disk.make(yield* FileSystem.FileSystem, directory)
  yield* disk.makeDirectory(disk.path("claims"))
  yield* disk.makeDirectory(disk.path("tmp"))
  return { directory, disk, scope }
})

vi.setConfig({ testTimeout: 300_000 })

describe("sharing a directory", () => {
  it.live("each process sees at once what the other was told is durable", () =>
    Effect.gen(function* () {
      const { first, second } = yield* two
      const told = nothingTold()
      const user = makeUser(first.store, told)
      const lease = yield* user.create("run", "holder")
      for (let i = 0; i < 20; i++) {
        yield* user.append(lease, noted(`${i}`))
        yield* user.sync(lease)
        yield* check(second.store, told)
      }
      assert.strictEqual((yield* second.store.get("run")).owner, first.store.owner)
      assert.lengthOf((yield* second.store.list({ unowned: true })).runs, 0)
    }).pipe(Effect.scoped)
  )

  it.live("changes and waits are woken by what another process writes", () =>
    Effect.gen(function* () {
      const { first, second } = yield* two
      const user = makeUser(first.store, nothingTold())
      const lease = yield* user.create("run", "holder")
      yield* second.store.get("run")
      const changes = yield* second.store.changes.pipe(
        Stream.takeUntil(({ what }) => what === "inbox"),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      const waiting = yield* Effect.forkChild(second.store.changed("run", 1), { startImmediately: true })
      yield* user.append(lease, noted("one"))
      yield* user.sync(lease)
      yield* Fiber.join(waiting)
      yield* user.send("run", "command")
      const seen = yield* Fiber.join(changes)
      assert.deepStrictEqual(
        seen.map(({ what }) => what).filter((what, i, all) => all.indexOf(what) === i),
        ["journal", "inbox"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("a command reaches the run of another process, and one that two send counts once", () =>
    Effect.gen(function* () {
      const { first, second } = yield* two
      const told = nothingTold()
      const user = makeUser(first.store, told)
      yield* user.create("run", "holder")
      yield* second.store.get("run")
      const other = makeUser(second.store, told)
      yield* Effect.all([user.send("run", "both"), other.send("run", "both"), other.send("run", "one")], {
        concurrency: "unbounded"
      })
      const received = yield* first.store.inbox("run", {})
      assert.deepStrictEqual(received.map(({ command }) => command.id).sort(), ["both", "one"])
    }).pipe(Effect.scoped)
  )

  it.live("of many that create one id at once, one does", () =>
    Effect.gen(function* () {
      const { first, second } = yield* two
      const ids = Array.from({ length: 50 }, (_, i) => `run-${i}`)
      const outcomes = yield* Effect.forEach(
        ids.flatMap((id) => [first, second, first, second].map(({ store }) => ({ id, store }))),
        ({ id, store }) => {
          const { batch } = extend({ run: id, epoch: 0, entries: [] }, [created])
          return Effect.map(Effect.result(store.create(batch, { holder: "holder" })), (result) =>
            Result.isSuccess(result) ? id : result.failure._tag
          )
        },
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes.filter((outcome) => outcome.startsWith("run")).sort(), [...ids].sort())
      assert.lengthOf(
        outcomes.filter((outcome) => outcome === "RunExists"),
        150
      )
      for (const { store } of [first, second]) assert.lengthOf((yield* store.list({ limit: 100 })).runs, 50)
    }).pipe(Effect.scoped)
  )

  it.live("a run that one process deletes is gone for the other, and its id is free", () =>
    Effect.gen(function* () {
      const { first, second } = yield* two
      const told = nothingTold()
      const user = makeUser(first.store, told)
      const lease = yield* user.create("run", "holder")
      yield* user.append(lease, completed)
      yield* user.sync(lease)
      yield* first.store.release(lease)
      yield* makeUser(second.store, told).delete("run")
      assert.strictEqual((yield* Effect.flip(first.store.get("run")))._tag, "RunNotFound")
      const anew = nothingTold()
      yield* makeUser(first.store, anew).create("run")
      yield* check(second.store, anew)
    }).pipe(Effect.scoped)
  )

  it.live("a fork and the deletion of its origin exclude one another", () =>
    Effect.gen(function* () {
      const { first, second } = yield* two
      for (let i = 0; i < 15; i++) {
        const told = nothingTold()
        const user = makeUser(first.store, told)
        const lease = yield* user.create(`origin-${i}`, "holder")
        yield* user.append(lease, completed)
        yield* user.sync(lease)
        yield* first.store.release(lease)
        const [forked, deleted] = yield* Effect.all(
          [
            Effect.exit(user.fork(`fork-${i}`, `origin-${i}`)),
            Effect.exit(second.store.delete(`origin-${i}`))
          ],
          { concurrency: 2 }
        )
        assert.notStrictEqual(Exit.isSuccess(forked), Exit.isSuccess(deleted))
        assert.strictEqual(
          Exit.isSuccess(yield* Effect.exit(first.store.get(`origin-${i}`))),
          Exit.isSuccess(forked)
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("the feed gives the events of a run in order across processes", () =>
    Effect.gen(function* () {
      const { first, machine, options, second } = yield* two
      const told = nothingTold()
      const users = [makeUser(first.store, told), makeUser(second.store, told)]
      yield* users[0]!.create("run")
      for (let i = 0; i < 12; i++) {
        const user = users[i % 2]!
        const lease = yield* user.acquire("run")
        yield* user.append(lease, noted(`${i}`))
        yield* user.sync(lease)
        yield* user.store.release(lease)
      }
      const reader = yield* open(NodeFileSystem.layer, machine, { ...options, readOnly: true })
      for (const store of [first.store, reader.store]) {
        const seqs: Array<number> = []
        let cursor: string | undefined
        do {
          const page = yield* store.feed({ cursor, limit: 3 })
          if (page.entries.length === 0) break
          cursor = page.cursor
          for (const { event } of page.entries) seqs.push(event.seq)
        } while (true)
        assert.deepStrictEqual(
          seqs,
          Array.from({ length: 26 }, (_, i) => i)
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("many short-lived processes leave a store that opens by its index", () =>
    Effect.gen(function* () {
      const { directory, first, machine, options } = yield* two
      const told = nothingTold()
      yield* makeUser(first.store, told).create("run")
      for (let i = 0; i < 40; i++) {
        const scope = yield* Scope.make()
        const { store } = yield* Scope.provide(open(NodeFileSystem.layer, machine, options), scope)
        yield* makeUser(store, told).send("run", `command-${i}`)
        yield* Scope.close(scope, Exit.void)
      }
      assert.isTrue(NodeFs.existsSync(`${directory}/index.json`))
      assert.deepStrictEqual(NodeFs.readdirSync(`${directory}/leases`).length, 2)
      yield* check(first.store, told)
      yield* check((yield* open(NodeFileSystem.layer, machine, { directory, readOnly: true })).store, told)
    }).pipe(Effect.scoped)
  )
})

describe("writing for many runs", () => {
  it.live("one sync does for all that append at once", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      let syncs = 0
      const counting = Layer.effect(
        FileSystem.FileSystem,
        Effect.map(FileSystem.FileSystem, (fs) => ({
          ...fs,
          open: (path, options) =>
            Effect.map(
              fs.open(path, options),
              (file) =>
                new Proxy(file, {
                  get: (target, key) => {
                    if (key === "sync")
                      return Effect.andThen(
                        Effect.sync(() => (syncs += 1)),
                        target.sync
                      )
                    const value: unknown = Reflect.get(target, key)
                    return typeof value === "function" ? value.bind(target) : value
                  }
                })
            )
        }))
      ).pipe(Layer.provide(NodeFileSystem.layer))
      const { store } = yield* open(counting, makeMachine(), { directory, segmentSize: 1e8 })
      const user = makeUser(store, nothingTold())
      const leases = yield* Effect.forEach(
        Array.from({ length: 64 }, (_, i) => `run-${i}`),
        (run) => user.create(run, "holder"),
        { concurrency: 64 }
      )
      assert.isBelow(syncs, 20)
      syncs = 0
      yield* Effect.forEach(
        leases,
        (lease) => Effect.andThen(user.append(lease, noted("one")), user.sync(lease)),
        { concurrency: 64 }
      )
      assert.isBelow(syncs, 5)
    }).pipe(Effect.scoped)
  )

  it.live("whoever appends too much waits until it is synced", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const { store } = yield* open(NodeFileSystem.layer, makeMachine(), {
        directory,
        maxUnsynced: 10_000,
        segmentSize: 1e8
      })
      const user = makeUser(store, nothingTold())
      const lease = yield* user.create("run", "holder")
      let most = 0
      for (let i = 0; i < 50; i++) {
        yield* user.append(lease, noted("x".repeat(2000)))
        const { head } = yield* store.get("run")
        most = Math.max(most, i + 2 - head.seq)
      }
      assert.isBelow(most, 7)
      yield* user.sync(lease)
    }).pipe(Effect.scoped)
  )
})

describe("claims", () => {
  it.live("carry over what is not settled when a file is full", () =>
    Effect.gen(function* () {
      const { directory, disk, scope } = yield* claimsPlace
      let temporaries = 0
      const make = (name: string) =>
        Claims.make({
          disk,
          scope,
          temporary: () => `${name}-${temporaries++}`,
          untilClosed: { scope, ended: Effect.die("nobody closes it") },
          survey: Effect.void,
          isSettled: (_series, claim) => claim.run.startsWith("done"),
          limit: 2000
        })
      const one = make("one")
      const other = make("other")
      const open = { run: "open", incarnation: 1, epoch: 0 }
      assert.strictEqual((yield* one.claim("one", open)).holder, "one")
      for (let i = 0; i < 200; i++) {
        const done = { run: `done-${i}`, incarnation: 1, epoch: 0 }
        const [mine, theirs] = yield* Effect.all([one.claim("one", done), other.claim("other", done)], {
          concurrency: 2
        })
        assert.strictEqual(mine.holder, theirs.holder)
      }
      assert.strictEqual((yield* other.claim("other", open)).holder, "one")
      const late = make("late")
      const found = yield* late.claim("late", open)
      assert.deepStrictEqual(found, { holder: "one", refused: false, renewed: true })
      assert.isAbove(
        Math.max(...NodeFs.readdirSync(`${directory}/claims`).map((name) => Number.parseInt(name))),
        3
      )
      assert.lengthOf(NodeFs.readdirSync(`${directory}/claims`), 1)
      yield* late.withdraw("one", open)
      assert.strictEqual((yield* other.claim("other", open)).holder, "other")
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("come to an end however many there are at once, though none of them is settled", () =>
    Effect.gen(function* () {
      const { directory, disk, scope } = yield* claimsPlace
      let temporaries = 0
      const names = ["one", "other", "third"]
      const instances = names.map((name) =>
        Claims.make({
          disk,
          scope,
          temporary: () => {
            // Each file takes one: without an end there would be no end to them.
            if (temporaries === 100) throw new Error("a hundred files were begun")
            return `${name}-${temporaries++}`
          },
          untilClosed: { scope, ended: Effect.die("nobody closes it") },
          survey: Effect.void,
          isSettled: () => false,
          limit: 2000
        })
      )
      const long = { run: "x".repeat(10_000), incarnation: 1, epoch: 0 }
      for (const [round, count] of [1, 200, 1, 1, 400].entries()) {
        const claims = [
          long,
          ...Array.from({ length: count }, (_, i) => ({ run: `${round}-${i}`, incarnation: 1, epoch: 0 }))
        ]
        const held = yield* Effect.forEach(
          instances,
          (instance, i) =>
            Effect.forEach(claims, (claim) => instance.claim(names[i]!, claim), { concurrency: "unbounded" }),
          { concurrency: "unbounded" }
        )
        const holders = held.map((outcomes) => outcomes.map(({ holder }) => holder))
        assert.deepStrictEqual(holders[1], holders[0])
        assert.deepStrictEqual(holders[2], holders[0])
        assert.isTrue(holders[0]!.every((holder) => holder !== undefined && names.includes(holder)))
      }
      assert.lengthOf(NodeFs.readdirSync(`${directory}/claims`), 1)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
