import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import type { StoreError } from "@waymark/core/Store"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { check, completed, makeUser, noted, nothingTold, open } from "./scenario.ts"

const directory = "/disk/store"

/** A turn of the event loop, after everything that is ready to happen. */
const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Opens a store on the disk, and fills several segments, most of what is in them to be deleted. */
const fill = Effect.fnUntraced(function* (disk: PowerLossFileSystem.Disk) {
  const told = nothingTold()
  const machine = makeMachine()
  const scope = yield* Scope.make()
  const opened = yield* Scope.provide(open(disk.layer, machine, { directory, segmentSize: 3000 }), scope)
  const user = makeUser(opened.store, told)
  const kept = yield* user.create("kept", "holder")
  for (let i = 0; i < 6; i++) {
    const doomed = yield* user.create(`doomed-${i}`, "holder")
    yield* user.append(doomed, noted("z".repeat(1000)), completed)
    yield* user.sync(doomed)
    yield* opened.store.release(doomed)
    yield* user.append(kept, noted(`${i}`))
    yield* user.sync(kept)
  }
  for (let i = 0; i < 6; i++) yield* user.delete(`doomed-${i}`)
  return { ...opened, machine, told, close: Scope.close(scope, Exit.void) }
})

describe("a store that is closed", () => {
  for (const what of ["compact", "writeIndex"] as const) {
    it.live(`writes nothing afterwards, wherever it was when it was closed: ${what}`, () =>
      Effect.gen(function* () {
        let closedInTheMiddle = 0
        for (let after = 0; after < 1000; after++) {
          const disk = PowerLossFileSystem.makeDisk()
          const store = yield* fill(disk)
          const before = disk.operations.length
          // Whoever asked for it is interrupted, too: that alone does not stop what others may be waiting for.
          const asked = yield* Effect.forkChild(Effect.exit(store.maintenance[what]))
          while (disk.operations.length < before + after && asked.pollUnsafe() === undefined) yield* turn
          const isOver = asked.pollUnsafe() !== undefined
          yield* Fiber.interrupt(asked)
          yield* store.close
          const closed = disk.operations.length
          for (let turns = 0; turns < 50; turns++) yield* turn
          const late = disk.operations.slice(closed).filter(({ mutation }) => mutation !== undefined)
          assert.deepStrictEqual(late, [], `closed after ${after} system calls`)
          store.machine.reboot()
          disk.reboot()
          const again = yield* open(disk.layer, store.machine, { directory })
          yield* check(again.store, store.told)
          if (isOver) break
          closedInTheMiddle += 1
        }
        assert.isAbove(closedInTheMiddle, 5)
      }).pipe(Effect.scoped)
    )
  }

  it.live("shows others what it said was done while it was being closed, and answers everyone", () =>
    Effect.gen(function* () {
      const outcomes = { done: 0, closed: 0 }
      for (let turns = 0; turns < 40; turns++) {
        const disk = PowerLossFileSystem.makeDisk()
        const machine = makeMachine()
        const watching = yield* open(disk.layer, machine, { directory })
        const scope = yield* Scope.make()
        const { store } = yield* Scope.provide(open(disk.layer, machine, { directory }), scope)
        const user = makeUser(store, nothingTold())
        yield* user.create("run")
        const asked = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (i) =>
          Effect.forkChild(
            Effect.gen(function* () {
              // They begin one after the other, and the store is closed before, between or after them.
              for (let waited = 0; waited < 3 * i; waited++) yield* turn
              const name = `${i}`
              if (i % 2 === 0) yield* user.send("run", name)
              else yield* user.create(name)
              return name
            }).pipe(Effect.result)
          )
        )
        for (let waited = 0; waited < turns; waited++) yield* turn
        yield* Scope.close(scope, Exit.void)
        const commands = (yield* watching.store.inbox("run", {})).map(({ command }) => command.id)
        for (const fiber of asked) {
          const outcome = yield* Fiber.join(fiber)
          if (outcome._tag === "Success") {
            outcomes.done += 1
            if (Number(outcome.success) % 2 === 0) assert.include(commands, outcome.success)
            else yield* watching.store.get(outcome.success)
          } else {
            outcomes.closed += 1
            assert.strictEqual(
              (outcome.failure as StoreError).reason?._tag,
              "Closed",
              String(outcome.failure)
            )
          }
        }
      }
      assert.isAbove(outcomes.done, 20)
      assert.isAbove(outcomes.closed, 20)
    }).pipe(Effect.scoped)
  )
})
