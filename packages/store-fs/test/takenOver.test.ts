import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { MachineProcess } from "@waymark/store-kit/TestMachine"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { completed, lastOf, makeUser, noted, nothingTold, open } from "./scenario.ts"

/** Where the owner stops: what it asks of the system then is done before that, or after it. */
type Stop = "before the write" | "between write and sync" | "after the sync" | "after it saw its lease"

/** Holds back the first thing that comes after it was closed. */
const makeGate = () => {
  const gate = Deferred.makeUnsafe<void>()
  const reached = Deferred.makeUnsafe<void>()
  let closed = false
  return {
    pass: Effect.suspend(() => {
      if (!closed) return Effect.void
      closed = false
      Deferred.doneUnsafe(reached, Effect.void)
      return Deferred.await(gate)
    }),
    close: () => {
      closed = true
    },
    open: () => {
      closed = false
      Deferred.doneUnsafe(gate, Effect.void)
    },
    reached: Deferred.await(reached)
  }
}
type Gate = ReturnType<typeof makeGate>

/** A file system on which the owner stops, and on which it can be kept from reading the segments of others. */
const gated = (stop: Stop, owner: Gate, others: Gate) => {
  let own = ""
  return Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      exists: (path) =>
        stop === "after it saw its lease" && path.includes("/leases/")
          ? Effect.tap(fs.exists(path), owner.pass)
          : fs.exists(path),
      open: (path, options) => {
        if (!path.includes("/segments/")) return fs.open(path, options)
        if (own === "") own = path
        if (path !== own) return Effect.andThen(others.pass, fs.open(path, options))
        return Effect.map(
          fs.open(path, options),
          (file) =>
            new Proxy(file, {
              get: (target, key) => {
                if (key === "writeAll" && stop === "before the write")
                  return (bytes: Uint8Array) => Effect.andThen(owner.pass, target.writeAll(bytes))
                if (key === "sync" && stop === "between write and sync")
                  return Effect.andThen(owner.pass, target.sync)
                if (key === "sync" && stop === "after the sync") return Effect.tap(target.sync, owner.pass)
                const value: unknown = Reflect.get(target, key)
                return typeof value === "function" ? value.bind(target) : value
              }
            })
        )
      }
    }))
  ).pipe(Layer.provide(NodeFileSystem.layer))
}

/** The same process, on whose clock time passes while it is stopped. */
const withClock = (process: MachineProcess, stopped: () => number): MachineProcess => ({
  ...process,
  layer: Layer.effect(
    ProcessIdentity,
    Effect.map(ProcessIdentity, (identity) => ({
      ...identity,
      monotonic: () => identity.monotonic() + stopped()
    }))
  ).pipe(Layer.provide(process.layer))
})

const stops: ReadonlyArray<Stop> = [
  "before the write",
  "between write and sync",
  "after the sync",
  "after it saw its lease"
]

describe("an owner that was stopped, and whose run another process has ended meanwhile", () => {
  for (const stop of stops) {
    for (const looks of ["before it knows", "while it learns it"] as const) {
      it.live(`goes on from that end: stopped ${stop}, it looks at what there is ${looks}`, () =>
        Effect.gen(function* () {
          const directory = yield* temporaryDirectory
          const machine = makeMachine()
          const told = nothingTold()
          const options = { directory, segmentSize: 1e6, pollInterval: 60_000 }
          const owner = makeGate()
          const others = makeGate()
          let stopped = 0
          const process = withClock(machine.spawn(), () => stopped)
          const first = yield* open(gated(stop, owner, others), machine, options, process)
          const user = makeUser(first.store, told)
          const lease = yield* user.create("run", "holder")
          yield* user.append(lease, noted("one"))
          yield* user.sync(lease)
          const before = told.journals.get("run")!
          owner.close()
          yield* user.append(lease, noted("two"))
          const syncing = yield* Effect.forkChild(Effect.result(first.store.sync(lease)))
          yield* owner.reached
          process.freeze()
          process.vanish()
          // What never was written is not there for the other one.
          if (stop === "before the write") told.journals.set("run", before)

          const scope = yield* Scope.make()
          const second = yield* Scope.provide(open(NodeFileSystem.layer, machine, options), scope)
          const taker = makeUser(second.store, told)
          const taken = yield* taker.acquire("run")
          yield* taker.append(taken, noted("three"))
          yield* taker.append(taken, completed)
          yield* taker.release(taken)
          yield* Scope.close(scope, Exit.void)
          const end = lastOf(told.journals.get("run")!)
          // Long enough ago that whoever has looked at the directory since need not look again.
          const ended = Math.floor(Date.now() / 1000) - 60.5
          yield* Effect.provide(
            Effect.flatMap(FileSystem.FileSystem, (fs) => fs.utimes(`${directory}/segments`, ended, ended)),
            NodeFileSystem.layer
          )

          process.thaw()
          stopped = 60_000
          if (looks === "before it knows") yield* first.store.list({})
          else others.close()
          const looking = yield* Effect.forkChild(first.store.list({}))
          if (looks === "while it learns it") yield* others.reached
          owner.open()
          const synced = yield* Fiber.join(syncing)
          assert.strictEqual(synced._tag === "Failure" && synced.failure._tag, "LeaseLost")
          others.open()
          yield* Fiber.join(looking)

          // It holds the run itself until it has let go of everything.
          const { head, info } = yield* Effect.retry(first.store.acquire("run", "holder"), {
            schedule: Schedule.spaced(2),
            while: ({ _tag }) => _tag === "LeaseHeld"
          })
          assert.strictEqual(head.seq, end)
          assert.strictEqual(info.status, "completed")
        }).pipe(Effect.scoped)
      )
    }
  }
})
