import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { check, completed, lastOf, makeUser, noted, nothingTold, open } from "./scenario.ts"

/** A file system on which syncs of segments can be held back. */
const makeGate = (under: Layer.Layer<FileSystem.FileSystem> = NodeFileSystem.layer) => {
  let gate: Deferred.Deferred<void> | undefined
  let waiting = 0
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      open: (path, options) =>
        Effect.map(fs.open(path, options), (file) =>
          path.includes("/segments/")
            ? new Proxy(file, {
                get: (target, key) => {
                  if (key === "sync") {
                    return Effect.suspend(() => {
                      if (gate === undefined) return target.sync
                      waiting += 1
                      return Effect.andThen(Deferred.await(gate), target.sync)
                    })
                  }
                  const value: unknown = Reflect.get(target, key)
                  return typeof value === "function" ? value.bind(target) : value
                }
              })
            : file
        )
    }))
  ).pipe(Layer.provide(under))
  const isReached: Effect.Effect<void> = Effect.suspend(() =>
    waiting > 0 ? Effect.void : Effect.andThen(Effect.sleep(2), isReached)
  )
  return {
    layer,
    hold: () => {
      gate = Deferred.makeUnsafe<void>()
    },
    release: () => {
      if (gate !== undefined) Deferred.doneUnsafe(gate, Effect.void)
      gate = undefined
    },
    /** Waits until a sync is held back: what it is for was written then. */
    isReached
  }
}

/** A writer whose syncs can be held back, and another process. */
const pair = Effect.fnUntraced(function* (pollInterval = 5) {
  const directory = yield* temporaryDirectory
  const machine = makeMachine()
  const gate = makeGate()
  const told = nothingTold()
  const options = { directory, segmentSize: 1e6, pollInterval }
  const writer = yield* open(gate.layer, machine, options)
  const other = yield* open(NodeFileSystem.layer, machine, options)
  return { machine, gate, told, options, writer, other }
})

describe("durability", () => {
  it.live(
    "what is not synced yet is confirmed to nobody and seen by nobody, here or in another process",
    () =>
      Effect.gen(function* () {
        const { gate, machine, options, other, told, writer } = yield* pair()
        const reader = yield* open(NodeFileSystem.layer, machine, { ...options, readOnly: true })
        const user = makeUser(writer.store, told)
        const lease = yield* user.create("run", "holder")
        const durable = lastOf(told.journals.get("run")!)

        gate.hold()
        yield* user.append(lease, noted("one"))
        yield* user.append(lease, noted("two"), noted("three"))
        const synced = yield* Effect.forkChild(user.sync(lease), { startImmediately: true })
        const sent = yield* Effect.forkChild(user.send("run", "command"), { startImmediately: true })
        const changed = yield* Effect.forkChild(other.store.changed("run", durable), {
          startImmediately: true
        })
        yield* Effect.sleep(100)
        assert.isUndefined(synced.pollUnsafe())
        assert.isUndefined(sent.pollUnsafe())
        assert.isUndefined(changed.pollUnsafe())
        for (const { store } of [writer, other, reader]) {
          assert.strictEqual((yield* store.get("run")).head.seq, durable)
          assert.lengthOf(yield* store.read("run"), durable + 1)
          assert.lengthOf((yield* store.feed()).entries, durable + 1)
          assert.lengthOf(yield* store.inbox("run", {}), 0)
        }

        gate.release()
        yield* Effect.all([Fiber.join(synced), Fiber.join(sent), Fiber.join(changed)])
        for (const { store } of [writer, other, reader]) yield* check(store, told)
      }).pipe(Effect.scoped),
    300_000
  )

  it.live(
    "a command that two processes send at once is there once",
    () =>
      Effect.gen(function* () {
        // Each one comes to know of its own copy first.
        const { gate, other, told, writer } = yield* pair(60_000)
        const user = makeUser(writer.store, told)
        const lease = yield* user.create("run", "holder")
        gate.hold()
        const first = yield* Effect.forkChild(user.send("run", "command"), { startImmediately: true })
        yield* gate.isReached
        yield* makeUser(other.store, told).send("run", "command")
        gate.release()
        yield* Fiber.join(first)
        for (const { store } of [writer, other]) {
          const [received, ...more] = yield* store.inbox("run", {})
          assert.lengthOf(more, 0)
          assert.strictEqual(received!.command.id, "command")
        }
        // Which of the copies was dealt with stands in the journal; then the other one is dealt with, too.
        const { position, source } = (yield* writer.store.inbox("run", {}))[0]!
        const command = { id: "command", source, position }
        yield* user.append(lease, { kind: "commandIgnored", command, note: "" })
        yield* user.sync(lease)
        for (const { store } of [writer, other]) {
          assert.lengthOf(yield* store.inbox("run", { [source]: position }), 0)
          assert.lengthOf((yield* store.list({ commanded: true })).runs, 0)
        }
      }).pipe(Effect.scoped),
    300_000
  )

  it.live(
    "a run is not deleted while another process is just forking it",
    () =>
      Effect.gen(function* () {
        const { gate, other, told, writer } = yield* pair()
        const user = makeUser(writer.store, told)
        const lease = yield* user.create("origin", "holder")
        yield* user.append(lease, completed)
        yield* user.sync(lease)
        yield* writer.store.release(lease)
        yield* other.store.get("origin")
        gate.hold()
        const forking = yield* Effect.forkChild(user.fork("fork", "origin"), { startImmediately: true })
        yield* gate.isReached
        const deleting = yield* Effect.forkChild(Effect.flip(other.store.delete("origin")), {
          startImmediately: true
        })
        yield* Effect.sleep(100)
        assert.isUndefined(deleting.pollUnsafe())
        gate.release()
        yield* Fiber.join(forking)
        assert.strictEqual((yield* Fiber.join(deleting))._tag, "RunInUse")
        yield* check(other.store, told)
      }).pipe(Effect.scoped),
    300_000
  )

  for (const how of ["dead", "frozen"] as const) {
    it.live(
      `what a ${how} process wrote and did not sync is synced before others build on it`,
      () =>
        Effect.gen(function* () {
          const disk = PowerLossFileSystem.makeDisk()
          const machine = makeMachine()
          const gate = makeGate(disk.layer)
          const told = nothingTold()
          const options = { leaseTtl: 200, segmentSize: 1e6 }
          const process = machine.spawn()
          const writer = yield* open(gate.layer, machine, options, process)
          const user = makeUser(writer.store, told)
          const lease = yield* user.create("run", "holder")
          gate.hold()
          yield* user.append(lease, noted("one"), noted("two"))
          yield* gate.isReached
          if (how === "dead") process.vanish()
          process.freeze()
          const other = yield* open(disk.layer, machine, options)
          if (how === "dead") {
            told.durable.set("run", (yield* other.store.get("run")).head.seq)
            const seen = disk.surviving(PowerLossFileSystem.dropped)
            yield* check((yield* open(seen.layer, machine, { ...options, readOnly: true })).store, told)
          }
          const taker = makeUser(other.store, told)
          const taken = yield* Effect.retry(
            taker.acquire("run"),
            Schedule.upTo(Schedule.spaced(20), { duration: 20_000 })
          )
          yield* taker.sync(taken)
          // Both entries were in the file when it was taken over.
          assert.strictEqual(told.durable.get("run"), 4)
          const left = disk.surviving(PowerLossFileSystem.dropped)
          machine.reboot()
          yield* check((yield* open(left.layer, machine, options)).store, told)
          process.thaw()
          gate.release()
        }).pipe(Effect.scoped),
      300_000
    )
  }
})
