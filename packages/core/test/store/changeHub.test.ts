import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ChangeHub from "@waymark/core/ChangeHub"

describe("waiting for a journal to go on", () => {
  it.effect("is not forgotten when it begins while others are being woken", () =>
    Effect.gen(function* () {
      const hub = ChangeHub.make()
      const wait = (seq: number) => hub.waitBeyond("run", seq, () => false)
      const woken: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Effect.gen(function* () {
          yield* wait(0)
          woken.push(1)
          // Whoever is woken goes on at once, and may itself be who makes the journal go on.
          hub.advanced("run", 2)
          yield* wait(2)
          woken.push(3)
        }),
        { startImmediately: true }
      )
      hub.advanced("run", 1)
      assert.deepStrictEqual(woken, [1])
      hub.advanced("run", 3)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(woken, [1, 3])
    })
  )
})
