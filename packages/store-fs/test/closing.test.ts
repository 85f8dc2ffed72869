import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
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
})
