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
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { Maintenance } from "../src/Maintenance.ts"
import { openIn } from "./places.ts"

/** A turn of the event loop, after everything that is ready to happen. */
const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

describe("a store that is closed", () => {
  it.live("writes nothing afterwards, wherever its fold was, also if it cannot say that it is closed", () =>
    Effect.gen(function* () {
      let closedInTheMiddle = 0
      for (let after = 0; after < 1000; after++) {
        const disk = PowerLossFileSystem.makeDisk()
        const place = { file: "/disk/store/runs.sqlite", machine: makeMachine() }
        const open = Effect.map(
          Layer.build(openIn(place, disk.layer, place.machine.spawn(), { foldBytes: 1e9 })),
          (context) => ({
            store: Context.get(context, Store),
            checkpoint: Context.get(context, Maintenance).checkpoint
          })
        )
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
        place.machine.reboot()
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
})
