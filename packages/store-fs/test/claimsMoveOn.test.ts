import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { completed, created, extend, open } from "./scenario.ts"

vi.setConfig({ testTimeout: 300_000 })

/** A file system on which no segment can be begun before that is allowed. */
const gated = (reached: Latch.Latch, allowed: Latch.Latch) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      open: (path, options) =>
        path.includes("/segments/") && options?.flag === "ax"
          ? Effect.andThen(Effect.andThen(reached.open, allowed.await), fs.open(path, options))
          : fs.open(path, options)
    }))
  ).pipe(Layer.provide(NodeFileSystem.layer))

const batchOf = (run: string) => extend({ run, epoch: 0, entries: [] }, [created, completed]).batch

describe("the next file of claims", () => {
  it.live("keeps the claim of a process that whoever begins it has never seen", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const reached = Latch.makeUnsafe(false)
      const allowed = Latch.makeUnsafe(false)
      const claims = (n: number): string => `${directory}/claims/${n}.log`

      const mover = yield* open(NodeFileSystem.layer, machine, { directory })
      yield* mover.store.create(batchOf("one"))
      // It claims the id and has not come to write the run.
      const slow = yield* open(gated(reached, allowed), machine, { directory })
      const first = yield* Effect.forkChild(Effect.result(slow.store.create(batchOf("run"))))
      yield* reached.await

      NodeFs.appendFileSync(claims(1), "\n".repeat(300_000))
      yield* mover.store.create(batchOf("two"))
      assert.isFalse(NodeFs.existsSync(claims(1)))

      const third = yield* open(NodeFileSystem.layer, machine, { directory })
      let done = false
      const second = yield* Effect.forkChild(
        Effect.ensuring(
          Effect.result(third.store.create(batchOf("run"))),
          Effect.sync(() => {
            done = true
          })
        )
      )
      // It has got it, or has asked for the second time.
      const asked = () =>
        NodeFs.readFileSync(claims(2), "utf8").split(`["+","${third.store.owner}","run"`).length - 1
      yield* Effect.promise(() => vi.waitUntil(() => done || asked() > 1, 30_000))
      yield* allowed.open
      const outcomes = [yield* Fiber.join(first), yield* Fiber.join(second)]
      assert.deepStrictEqual(
        outcomes.map((outcome) => (outcome._tag === "Success" ? "created" : outcome.failure._tag)),
        ["created", "RunExists"]
      )
    }).pipe(Effect.scoped)
  )
})
