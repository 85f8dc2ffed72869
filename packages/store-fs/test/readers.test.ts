import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { makeUser, noted, nothingTold, open } from "./scenario.ts"

describe("reading", () => {
  it.live("has no more than 64 files open at once, however much is read", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      let now = 0
      let most = 0
      const counting = Layer.effect(
        FileSystem.FileSystem,
        Effect.map(FileSystem.FileSystem, (fs): FileSystem.FileSystem => ({
          ...fs,
          open: (path, options) =>
            options?.flag !== "r" || !path.includes(".jsonl")
              ? fs.open(path, options)
              : Effect.tap(fs.open(path, options), () =>
                  Effect.acquireRelease(
                    Effect.sync(() => {
                      now += 1
                      most = Math.max(most, now)
                    }),
                    () => Effect.sync(() => (now -= 1))
                  )
                )
        }))
      ).pipe(Layer.provide(NodeFiles.layer))
      const ids = Array.from({ length: 200 }, (_, i) => `run-${i}`)
      const first = yield* open(NodeFiles.layer, machine, { directory })
      const user = makeUser(first.store, nothingTold())
      for (const id of ids) {
        const lease = yield* user.create(id, "holder")
        yield* user.append(lease, noted(id))
        yield* user.sync(lease)
      }
      const second = yield* open(counting, machine, { directory })
      const read = yield* Effect.forEach(ids, (id) => second.store.read(id), { concurrency: "unbounded" })
      assert.isTrue(
        read.every((entries, i) => entries.some(({ line }) => line.includes(`"note":"${ids[i]}"`)))
      )
      assert.strictEqual(most, 64)
      assert.strictEqual(now, 0)
    }).pipe(Effect.scoped)
  )
})
