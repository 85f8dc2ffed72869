import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import type { StoreError } from "@waymark/core/Store"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { check, created, extend, lastOf, makeUser, noted, nothingTold, open } from "./scenario.ts"

const reasonOf = (effect: Effect.Effect<unknown, unknown, Scope.Scope>) =>
  Effect.map(Effect.flip(effect), (error) => (error as StoreError).reason?._tag ?? error)

/** A store on a disk that can be made to fail, with a run that this process holds. */
const prepared = Effect.gen(function* () {
  const disk = PowerLossFileSystem.makeDisk()
  const machine = makeMachine()
  const told = nothingTold()
  const { maintenance, store } = yield* open(disk.layer, machine)
  const user = makeUser(store, told)
  const lease = yield* user.create("run", "holder")
  yield* user.append(lease, noted("before"))
  yield* user.sync(lease)
  return { disk, machine, told, store, maintenance, user, lease }
})

const isSegment = (path: string): boolean => path.includes("/segments/")

vi.setConfig({ testTimeout: 300_000 })

describe("failure", () => {
  for (const [name, code, call, reason] of [
    ["a full disk", "ENOSPC", "write", "NoSpace"],
    ["a write that fails", "EIO", "write", "Io"],
    ["a sync that fails", "EIO", "fsync", "Io"],
    ["a sync that finds the disk full", "ENOSPC", "fsync", "NoSpace"],
    ["a directory that nobody may write to", "EACCES", "write", "Denied"]
  ] as const) {
    it.live(
      `${name} makes everything void that was not synced, and the run can be taken up when it works again`,
      () =>
        Effect.gen(function* () {
          const { disk, lease, machine, store, told, user } = yield* prepared
          const durable = lastOf(told.journals.get("run")!)
          disk.failWhen((operation) =>
            operation.name === call && isSegment(operation.path)
              ? call === "write" && code === "ENOSPC"
                ? { code, partial: 10 }
                : code
              : undefined
          )
          yield* user.append(lease, noted("void"))
          yield* user.append(lease, noted("void, too"))
          assert.strictEqual(yield* reasonOf(store.sync(lease)), reason)
          // Nobody syncs again and believes it.
          assert.strictEqual(yield* reasonOf(store.sync(lease)), reason)
          const log = told.journals.get("run")!
          const more = extend(log, [noted("more")])
          assert.strictEqual(yield* reasonOf(store.append(lease, lastOf(log), more.batch)), reason)
          assert.strictEqual((yield* store.get("run")).head.seq, durable)
          assert.lengthOf(yield* store.read("run"), durable + 1)
          assert.strictEqual(yield* reasonOf(store.acquire("run", "holder")), reason)

          disk.failWhen(undefined)
          // What was void is not what follows now, though its bytes may still be in the old segment.
          told.ends.set("run", new Set([durable]))
          const again = yield* user.acquire("run")
          yield* user.append(again, noted("after"))
          yield* user.sync(again)
          yield* check(store, told)
          for (const survival of PowerLossFileSystem.survivals) {
            const left = disk.surviving(survival)
            machine.reboot()
            const scope = yield* Scope.make()
            yield* check((yield* Scope.provide(open(left.layer, machine), scope)).store, told)
            yield* Scope.close(scope, Exit.void)
          }
          machine.spawn()
        }).pipe(Effect.scoped)
    )
  }

  it.live("a run is not dragged along by the failure if all of it was durable", () =>
    Effect.gen(function* () {
      const { disk, lease, store, told, user } = yield* prepared
      const other = yield* user.create("other", "holder")
      disk.failWhen(({ name, path }) => (name === "write" && isSegment(path) ? "EIO" : undefined))
      yield* user.append(other, noted("void"))
      assert.strictEqual(yield* reasonOf(store.sync(other)), "Io")
      disk.failWhen(undefined)
      yield* user.append(lease, noted("goes on"))
      yield* user.sync(lease)
      told.ends.get("other")!.delete(2)
      yield* check(store, told)
    }).pipe(Effect.scoped)
  )

  it.live(
    "commands, creations, deletions and values that could not be written did not happen, and work later",
    () =>
      Effect.gen(function* () {
        const { disk, lease, machine, maintenance, store, told, user } = yield* prepared
        const ended = yield* user.create("ended", "holder")
        yield* user.append(ended, { kind: "completed", output: null })
        yield* user.sync(ended)
        disk.failWhen((operation) => (operation.mutation === undefined ? undefined : "ENOSPC"))
        const fresh = extend({ run: "new", epoch: 0, entries: [] }, [created])
        for (const refused of [
          store.create(fresh.batch),
          store.send({ id: "command", run: "run", time: 0, request: { type: "resume" } }),
          store.delete("ended"),
          store.setMeta("key", "value"),
          store.putArtifact(new Uint8Array([1])),
          maintenance.writeIndex
        ]) {
          assert.strictEqual(yield* reasonOf(refused as Effect.Effect<unknown, unknown>), "NoSpace")
        }
        disk.failWhen(undefined)
        assert.isUndefined(yield* store.getMeta("key"))
        assert.lengthOf(yield* store.inbox("run", {}), 0)
        assert.strictEqual((yield* Effect.flip(store.get("new")))._tag, "RunNotFound")
        yield* check(store, told)
        yield* user.create("new")
        yield* user.send("run", "command")
        yield* user.delete("ended")
        yield* user.setMeta("key", "value")
        yield* user.putArtifact(new Uint8Array([1]))
        yield* maintenance.writeIndex
        const again = yield* Effect.result(store.sync(lease))
        if (Result.isFailure(again)) yield* user.acquire("run")
        const left = disk.surviving(PowerLossFileSystem.dropped)
        machine.reboot()
        yield* check((yield* open(left.layer, machine)).store, told)
      }).pipe(Effect.scoped)
  )

  it.live("closing with a full disk loses nothing that was told, and does not hang", () =>
    Effect.gen(function* () {
      const disk = PowerLossFileSystem.makeDisk()
      const machine = makeMachine()
      const told = nothingTold()
      const scope = yield* Scope.make()
      const process = machine.spawn()
      const { store } = yield* Scope.provide(open(disk.layer, machine, {}, process), scope)
      const user = makeUser(store, told)
      const lease = yield* user.create("run", "holder")
      yield* user.append(lease, noted("one"))
      yield* user.sync(lease)
      disk.failWhen((operation) => (operation.mutation === undefined ? undefined : "ENOSPC"))
      yield* user.append(lease, noted("void"))
      yield* Scope.close(scope, Exit.void)
      disk.failWhen(undefined)
      process.vanish()
      yield* check((yield* open(disk.layer, machine)).store, told)
    }).pipe(Effect.scoped)
  )

  it.live("a heartbeat that cannot be written costs the lease at most", () =>
    Effect.gen(function* () {
      const { disk, lease, store, told, user } = yield* prepared
      disk.failWhen((operation) => (operation.path.endsWith(".mark") ? "EIO" : undefined))
      yield* user.append(lease, noted("one"))
      yield* user.sync(lease)
      yield* check(store, told)
    }).pipe(Effect.scoped)
  )

  it.live("a file instead of the directory, and of a part of it, is an error", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const file = `${directory}/file`
      NodeFs.writeFileSync(file, "")
      assert.strictEqual(yield* reasonOf(open(NodeFileSystem.layer, machine, { directory: file })), "Invalid")
      assert.strictEqual(
        yield* reasonOf(open(NodeFileSystem.layer, machine, { directory: `${file}/below` })),
        "Invalid"
      )
      const half = `${directory}/half`
      NodeFs.mkdirSync(half)
      NodeFs.writeFileSync(`${half}/segments`, "")
      assert.strictEqual(yield* reasonOf(open(NodeFileSystem.layer, machine, { directory: half })), "Invalid")
      const missing = { directory: `${directory}/missing`, readOnly: true }
      assert.strictEqual(yield* reasonOf(open(NodeFileSystem.layer, machine, missing)), "Invalid")
      assert.isFalse(NodeFs.existsSync(missing.directory))
    }).pipe(Effect.scoped)
  )

  it.live("a directory in which nothing may be made is an error, and can still be read", () =>
    Effect.gen(function* () {
      const disk = PowerLossFileSystem.makeDisk()
      const machine = makeMachine()
      const told = nothingTold()
      const scope = yield* Scope.make()
      yield* makeUser((yield* Scope.provide(open(disk.layer, machine), scope)).store, told).create("run")
      yield* Scope.close(scope, Exit.void)
      disk.failWhen((operation) => (operation.mutation === undefined ? undefined : "EROFS"))
      const { store } = yield* open(disk.layer, machine)
      yield* check(store, told)
      assert.strictEqual(yield* reasonOf(store.acquire("run", "holder")), "Denied")
      assert.strictEqual(
        yield* reasonOf(store.send({ id: "c", run: "run", time: 0, request: { type: "resume" } })),
        "Denied"
      )
      yield* check((yield* open(disk.layer, machine, { readOnly: true })).store, told)
      const fresh = PowerLossFileSystem.makeDisk()
      fresh.failWhen((operation) => (operation.mutation === undefined ? undefined : "EACCES"))
      assert.strictEqual(yield* reasonOf(open(fresh.layer, machine)), "Denied")
    }).pipe(Effect.scoped)
  )

  it.live("a directory that is gone confirms nothing any more", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const { store } = yield* open(NodeFileSystem.layer, machine, {
        directory: `${directory}/store`,
        segmentSize: 1e6
      })
      const user = makeUser(store, nothingTold())
      const lease = yield* user.create("run", "holder")
      NodeFs.rmSync(`${directory}/store`, { recursive: true })
      yield* user.append(lease, noted("void"))
      assert.strictEqual(yield* reasonOf(store.sync(lease)), "Invalid")
      assert.strictEqual(yield* reasonOf(store.acquire("run", "holder")), "Invalid")
    }).pipe(Effect.scoped)
  )

  it.live("after closing every operation says so", () =>
    Effect.gen(function* () {
      const disk = PowerLossFileSystem.makeDisk()
      const scope = yield* Scope.make()
      const { store } = yield* Scope.provide(open(disk.layer, makeMachine()), scope)
      const user = makeUser(store, nothingTold())
      const lease = yield* user.create("run", "holder")
      yield* Scope.close(scope, Exit.void)
      const { batch } = extend({ run: "run", epoch: 0, entries: [] }, [noted("late")])
      for (const refused of [
        store.get("run"),
        store.append(lease, 1, batch),
        store.sync(lease),
        store.list({}),
        store.acquire("run", "x")
      ]) {
        assert.strictEqual(yield* reasonOf(refused as Effect.Effect<unknown, unknown>), "Closed")
      }
    }).pipe(Effect.scoped)
  )
})
