import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { Store } from "@waymark/core/Store"
import * as Journal from "@waymark/testing/JournalBuilder"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import type { Machine } from "@waymark/store-kit/TestMachine"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { Maintenance } from "../src/Maintenance.ts"
import { openIn } from "./places.ts"

/** A turn of the event loop, after everything that is ready to happen. */
const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Opens a store on a disk, as a process of its own each time. */
const openOn = (disk: PowerLossFileSystem.Disk, machine: Machine) =>
  Effect.suspend(() =>
    Effect.map(
      Layer.build(
        openIn({ file: "/disk/store/runs.sqlite", machine }, disk.layer, machine.spawn(), { foldBytes: 1e9 })
      ),
      (context) => ({
        store: Context.get(context, Store),
        checkpoint: Context.get(context, Maintenance).checkpoint
      })
    )
  )

describe("a store that is closed", () => {
  it.live("writes nothing afterwards, wherever its fold was, also if it cannot say that it is closed", () =>
    Effect.gen(function* () {
      let closedInTheMiddle = 0
      for (let after = 0; after < 1000; after++) {
        const disk = PowerLossFileSystem.makeDisk()
        const machine = makeMachine()
        const open = openOn(disk, machine)
        const scope = yield* Scope.make()
        const { checkpoint, store } = yield* Scope.provide(open, scope)
        const journal = yield* Journal.make("run")
        yield* store.create(journal.batch(Journal.created(), Journal.annotated("z".repeat(20_000))))
        const before = disk.operations.length
        const asked = yield* Effect.forkChild(Effect.exit(checkpoint))
        while (disk.operations.length < before + after && asked.pollUnsafe() === undefined) yield* turn
        const isOver = asked.pollUnsafe() !== undefined
        yield* Fiber.interrupt(asked)
        disk.failWhen(({ mutation, path }) =>
          mutation !== undefined && path.includes("redo") ? "ENOSPC" : undefined
        )
        yield* Scope.close(scope, Exit.void)
        const closed = disk.operations.length
        for (let turns = 0; turns < 50; turns++) yield* turn
        const late = disk.operations.slice(closed).filter(({ mutation }) => mutation !== undefined)
        assert.deepStrictEqual(late, [], `closed after ${after} system calls`)
        machine.reboot()
        disk.reboot()
        const again = yield* open
        assert.deepStrictEqual((yield* again.store.get("run")).head, journal.head)
        if (isOver) break
        closedInTheMiddle += 1
      }
      assert.isAbove(closedInTheMiddle, 5)
    }).pipe(
      Effect.scoped,
      // That it could not say so is logged, each time.
      Effect.provide(Logger.layer([]))
    )
  )

  it.live("answers everyone, and keeps what it said was done while it was being closed", () =>
    Effect.gen(function* () {
      const outcomes = { done: 0, closed: 0 }
      for (let turns = 0; turns < 20; turns++) {
        const disk = PowerLossFileSystem.makeDisk()
        const open = openOn(disk, makeMachine())
        const scope = yield* Scope.make()
        const { store } = yield* Scope.provide(open, scope)
        const asked = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], (i) =>
          Effect.forkChild(
            Effect.gen(function* () {
              // They begin one after the other, and the store is closed before, between or after them.
              for (let waited = 0; waited < 2 * i; waited++) yield* turn
              const journal = yield* Journal.make(`${i}`)
              yield* store.create(journal.batch(Journal.created()))
              return journal.run
            }).pipe(Effect.result)
          )
        )
        for (let waited = 0; waited < turns; waited++) yield* turn
        yield* Scope.close(scope, Exit.void)
        const again = yield* open
        for (const fiber of asked) {
          const outcome = yield* Fiber.join(fiber)
          if (outcome._tag === "Success") {
            outcomes.done += 1
            yield* again.store.get(outcome.success)
          } else {
            outcomes.closed += 1
            const { failure } = outcome
            assert.strictEqual(
              failure._tag === "StoreError" && failure.reason._tag,
              "Closed",
              String(failure)
            )
          }
        }
      }
      assert.isAbove(outcomes.done, 10)
      assert.isAbove(outcomes.closed, 10)
    }).pipe(Effect.scoped)
  )
})
