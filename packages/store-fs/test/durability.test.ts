import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { makeMachine } from "./machine.ts"
import { temporaryDirectory } from "./places.ts"
import { check, lastOf, makeUser, noted, nothingTold, open } from "./scenario.ts"

/** Node's file system with syncs of segments that can be held back. */
const makeGate = () => {
  let gate: Deferred.Deferred<void> | undefined
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
                    return Effect.suspend(() =>
                      gate === undefined ? target.sync : Effect.andThen(Deferred.await(gate), target.sync)
                    )
                  }
                  const value: unknown = Reflect.get(target, key)
                  return typeof value === "function" ? value.bind(target) : value
                }
              })
            : file
        )
    }))
  ).pipe(Layer.provide(NodeFileSystem.layer))
  return {
    layer,
    hold: () => {
      gate = Deferred.makeUnsafe<void>()
    },
    release: () => {
      if (gate !== undefined) Deferred.doneUnsafe(gate, Effect.void)
      gate = undefined
    }
  }
}

describe("durability", () => {
  it.live(
    "what is not synced yet is confirmed to nobody and seen by nobody, here or in another process",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const machine = makeMachine()
        const gate = makeGate()
        const told = nothingTold()
        const options = { directory, segmentSize: 1e6, pollInterval: 5 }
        const writer = yield* open(gate.layer, machine, options)
        const other = yield* open(NodeFileSystem.layer, machine, options)
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
    60_000
  )
})
