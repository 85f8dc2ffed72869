import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Body } from "@waymark/core/Event"
import * as Journal from "@waymark/core/Journal"
import type { Store } from "@waymark/core/Store"
import * as Writer from "../../src/internal/engine/writer.ts"

const created: Body = {
  kind: "created",
  flow: "flow",
  version: 1,
  fingerprint: "",
  start: "work",
  input: null,
  state: {},
  durability: "pipelined",
  maxSteps: 100,
  maxRecoveries: 10
}
const noted = (note: string): Body => ({ kind: "annotated", note })
const hash = (text: string): string => String(text.length)

describe("a writer", () => {
  it.effect("hands a slow store one batch at a time, also of those who go on when theirs was accepted", () =>
    Effect.gen(function* () {
      const expected: Array<number> = []
      let busy = 0
      const store = {
        append: (_lease: unknown, after: number) =>
          Effect.gen(function* () {
            assert.strictEqual(++busy, 1)
            expected.push(after)
            yield* Effect.yieldNow
            yield* Effect.yieldNow
            busy -= 1
          })
      } as unknown as Store["Service"]
      const clock = yield* Clock.Clock
      const lease = { run: "run", owner: "owner", epoch: 0 }
      const head = { seq: -1, hash: Journal.genesis }
      const { head: first, state } = Writer.extend(
        { hash },
        { run: "run", epoch: 0, time: 0 },
        undefined,
        head,
        [created],
        [created]
      )
      const writer = Writer.make({ store, codec: undefined, hash, clock, lease, state, head: first })
      const twice = (name: string) =>
        Effect.andThen(writer.append(noted(`${name}1`)), writer.append(noted(`${name}2`)))
      const fibers = yield* Effect.forEach(["a", "b"], (name) =>
        Effect.forkChild(twice(name), { startImmediately: true })
      )
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(expected, [0, 1, 2, 3])
      assert.strictEqual(writer.state.seq, 4)
    })
  )
})
