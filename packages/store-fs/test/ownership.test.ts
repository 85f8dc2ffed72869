import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import type { StoreError } from "@waymark/core/Store"
import type { Machine, MachineProcess } from "@waymark/store-kit/TestMachine"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { extend, hashOf, lastOf, makeUser, noted, nothingTold, open } from "./scenario.ts"

const ttl = 400

const start = (machine: Machine, directory: string, process?: MachineProcess) =>
  open(NodeFileSystem.layer, machine, { directory, leaseTtl: ttl, pollInterval: 20 }, process)

/** Repeats what comes true in a moment. */
const eventually = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.retry(effect, Schedule.upTo(Schedule.spaced(20), { duration: 10_000 }))

vi.setConfig({ testTimeout: 300_000 })

describe("ownership", () => {
  it.live("a frozen owner is taken over after its time, and what it writes then counts for nothing", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const process = machine.spawn()
      const first = yield* start(machine, directory, process)
      const owner = makeUser(first.store, told)
      const lease = yield* owner.create("run", "holder")
      yield* owner.append(lease, noted("one"))
      yield* owner.sync(lease)
      const second = yield* start(machine, directory)
      process.freeze()

      const early = yield* Effect.result(second.store.acquire("run", "taker"))
      assert.strictEqual(Result.isFailure(early) && early.failure._tag, "LeaseHeld")
      // The taker looks on: the heartbeat has to stand still while it does.
      const taker = makeUser(second.store, told)
      const taken = yield* eventually(taker.acquire("run"))
      assert.strictEqual(taken.epoch, 1)
      yield* taker.sync(taken)
      const log = told.journals.get("run")!

      // The owner goes on as if nothing had happened.
      const late = extend({ ...log, epoch: 0, entries: log.entries.slice(0, 3) }, [noted("late")])
      yield* first.store.append(lease, 2, late.batch)
      const synced = yield* Effect.result(first.store.sync(lease))
      assert.strictEqual(Result.isFailure(synced) && synced.failure._tag, "LeaseLost")
      process.thaw()
      for (const store of [first.store, second.store]) {
        const lines = (yield* store.read("run")).map((entry) => entry.line)
        assert.deepStrictEqual(
          lines,
          log.entries.map((entry) => entry.line)
        )
      }
      // It can work again, as another owner of what is free.
      const other = yield* owner.create("another", "holder")
      yield* owner.append(other, noted("one"))
      yield* owner.sync(other)
      assert.strictEqual((yield* second.store.get("another")).owner, first.store.owner)
    }).pipe(Effect.scoped)
  )

  it.live("an owner that is alive is not taken over, however long it does nothing", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const first = yield* start(machine, directory)
      const lease = yield* makeUser(first.store, nothingTold()).create("run", "holder")
      const second = yield* start(machine, directory)
      for (let waited = 0; waited < 4 * ttl; waited += 50) {
        const refused = yield* Effect.result(second.store.acquire("run", "taker"))
        assert.strictEqual(Result.isFailure(refused) && refused.failure._tag, "LeaseHeld")
        yield* Effect.sleep(50)
      }
      yield* first.store.sync(lease)
    }).pipe(Effect.scoped)
  )

  it.live("a process that is gone is not waited for", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const process = machine.spawn()
      const first = yield* start(machine, directory, process)
      yield* makeUser(first.store, nothingTold()).create("run", "holder")
      process.vanish()
      const second = yield* start(machine, directory)
      const { previous } = yield* second.store.acquire("run", "taker")
      assert.strictEqual(previous, "crash")
    }).pipe(Effect.scoped)
  )

  it.live("changes tell that a lease ran out", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const process = machine.spawn()
      const first = yield* start(machine, directory, process)
      yield* makeUser(first.store, nothingTold()).create("run", "holder")
      const second = yield* start(machine, directory)
      const change = yield* second.store.changes.pipe(
        Stream.filter(({ what }) => what === "lease"),
        Stream.runHead,
        Effect.forkChild({ startImmediately: true })
      )
      process.freeze()
      const found = yield* Fiber.join(change)
      assert.deepStrictEqual(found._tag === "Some" && found.value, { run: "run", what: "lease" })
      const { runs } = yield* second.store.list({ unowned: true })
      assert.deepStrictEqual(
        runs.map(({ run }) => run),
        ["run"]
      )
      process.thaw()
    }).pipe(Effect.scoped)
  )

  it.live("of several that take over from one owner, each run gets one new owner", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const process = machine.spawn()
      const first = yield* start(machine, directory, process)
      const user = makeUser(first.store, nothingTold())
      const ids = Array.from({ length: 20 }, (_, i) => `run-${i}`)
      for (const id of ids) yield* user.create(id, "holder")
      const takers = yield* Effect.all(Array.from({ length: 4 }, () => start(machine, directory)))
      process.vanish()
      const wins = yield* Effect.forEach(
        takers.flatMap(({ store }) => ids.map((id) => ({ store, id }))),
        ({ id, store }) =>
          Effect.map(Effect.result(store.acquire(id, "taker")), (result) =>
            Result.isSuccess(result) ? [id] : []
          ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(wins.flat().sort(), [...ids].sort())
    }).pipe(Effect.scoped)
  )

  it.live("another host is refused", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const here = yield* start(makeMachine({ host: "here" }), directory)
      yield* makeUser(here.store, nothingTold()).create("run", "holder")
      const error = yield* Effect.flip(start(rebooted(makeMachine({ host: "there" })), directory))
      assert.strictEqual((error as StoreError).reason._tag, "Busy")
      assert.include((error as StoreError).message, "another host")
    }).pipe(Effect.scoped)
  )

  it.live("after a restart of the machine nobody is waited for", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const first = yield* start(machine, directory)
      yield* makeUser(first.store, nothingTold()).create("run", "holder")
      machine.reboot()
      const second = yield* start(machine, directory)
      assert.strictEqual((yield* second.store.acquire("run", "taker")).previous, "crash")
    }).pipe(Effect.scoped)
  )

  it.live("a release is in good order, for one run and for all when the store is closed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(start(machine, directory), scope)
      const user = makeUser(first.store, nothingTold())
      const one = yield* user.create("one", "holder")
      yield* user.create("two", "holder")
      yield* first.store.release(one)
      const second = yield* start(machine, directory)
      assert.strictEqual((yield* second.store.acquire("one", "taker")).previous, "handover")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        NodeFs.readdirSync(`${directory}/leases`).filter((name) => name.startsWith(first.store.owner)),
        []
      )
      assert.strictEqual((yield* second.store.acquire("two", "taker")).previous, "handover")
    }).pipe(Effect.scoped)
  )

  it.live("a store that is open to read only sees what a dead process left, and changes nothing", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const process = machine.spawn()
      const first = yield* start(machine, directory, process)
      const user = makeUser(first.store, told)
      const lease = yield* user.create("run", "holder")
      yield* user.append(lease, noted("one"), noted("two"))
      yield* user.sync(lease)
      process.vanish()
      process.freeze()
      const before = snapshotOf(directory)
      const reader = yield* open(NodeFileSystem.layer, machine, { directory, readOnly: true })
      const { head, owner } = yield* reader.store.get("run")
      const log = told.journals.get("run")!
      assert.deepStrictEqual({ ...head }, { seq: lastOf(log), hash: hashOf(log.entries[lastOf(log)]!.line) })
      assert.isUndefined(owner)
      assert.lengthOf((yield* reader.store.list({ unowned: true })).runs, 1)
      assert.lengthOf((yield* reader.store.feed()).entries, 4)
      for (const refused of [
        reader.store.acquire("run", "reader"),
        reader.store.send({ id: "c", run: "run", time: 0, request: { type: "resume" } }),
        reader.store.setMeta("key", "value"),
        reader.store.delete("run")
      ]) {
        const error = yield* Effect.flip(refused as Effect.Effect<unknown, StoreError>)
        assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "Invalid")
      }
      assert.deepStrictEqual(snapshotOf(directory), before)
    }).pipe(Effect.scoped)
  )
})

/** A machine that was started once more than another one. */
const rebooted = (machine: Machine): Machine => {
  machine.reboot()
  return machine
}

/** All files of a directory and what they hold. */
const snapshotOf = (directory: string): ReadonlyArray<readonly [string, string]> =>
  NodeFs.readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .sort()
    .map((path) => [path, NodeFs.readFileSync(path, "latin1")] as const)
