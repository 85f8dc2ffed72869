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

/** A writer over a store that takes some turns to accept a batch, and which batches it was handed. */
const slow = Effect.gen(function* () {
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
  const at = { run: "run", epoch: 0, time: 0 }
  const { head: first, state } = Writer.extend({ hash }, at, undefined, head, [created], [created])
  return {
    expected,
    writer: Writer.make({ store, codec: undefined, hash, clock, lease, state, head: first })
  }
})

describe("a writer", () => {
  it.effect("hands a slow store one batch at a time, also of those who go on when theirs was accepted", () =>
    Effect.gen(function* () {
      const { expected, writer } = yield* slow
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

  it.effect("lets everybody go on in the order of the journal, before the next batch is handed over", () =>
    Effect.gen(function* () {
      const { expected, writer } = yield* slow
      const went: Array<string> = []
      yield* Effect.forEach(
        ["a", "b", "c", "d"],
        (name) =>
          Effect.map(writer.append(noted(name)), (seq) => went.push(`${name} ${seq} of ${expected.length}`)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(went, ["a 1 of 1", "b 2 of 2", "c 3 of 3", "d 4 of 4"])
    })
  )

  it.effect("hands on what was asked for although whoever asked is interrupted", () =>
    Effect.gen(function* () {
      const { expected, writer } = yield* slow
      const append = (name: string) =>
        Effect.forkChild(writer.append(noted(name)), { startImmediately: true })
      const [first, second, third] = yield* Effect.forEach(["a", "b", "c"], append)
      yield* Fiber.interrupt(second!)
      assert.deepStrictEqual([yield* Fiber.join(first!), yield* Fiber.join(third!)], [1, 3])
      assert.deepStrictEqual(expected, [0, 1, 2])
    })
  )
})
