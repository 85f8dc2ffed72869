import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Worker from "@waymark/core/Worker"
import { Echo, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

/** Runs of three visits, each of which calls a tool that takes a second. */
const measured = (concurrency: number) => {
  const state = { active: 0, most: 0 }
  const handlers = handlersOf(
    ({ next, state: { got } }) =>
      Effect.gen(function* () {
        const text = yield* Echo.call({ text: `${got.length}` })
        return got.length === 2 ? next.end([...got, text]) : next.to("work", { got: [text] })
      }),
    Echo.toLayer(({ text }) =>
      Effect.gen(function* () {
        state.most = Math.max(state.most, ++state.active)
        yield* Effect.sleep("1 second")
        state.active -= 1
        return text
      })
    )
  )
  return { live: Worker.layer({ flows: [oneNode], concurrency }).pipe(Layer.provide(handlers)), state }
}

describe("a worker executes at most as many runs at once as it may", () => {
  for (const concurrency of [1, 7, 500]) {
    it.effect(
      `${concurrency} of 200, and all of them finish`,
      () =>
        Effect.gen(function* () {
          const { live, state } = measured(concurrency)
          const { runs, worker } = yield* machine().boot(live)
          const started = yield* Effect.forEach(Array.from({ length: 200 }), (_, i) =>
            runs.start(oneNode, {}, { id: `run-${i}` })
          )
          yield* idle
          assert.strictEqual((yield* worker.running).length, 200)
          for (let second = 0; second < (3 * 200) / Math.min(concurrency, 200) + 5; second++) {
            yield* TestClock.adjust("1 second")
            yield* Effect.yieldNow
          }
          for (const run of started) assert.deepStrictEqual(yield* runs.await(run), ["0", "1", "2"])
          assert.strictEqual(state.most, Math.min(concurrency, 200))
          assert.deepStrictEqual(yield* worker.running, [])
        }),
      300_000
    )
  }

  it.effect(
    "also when it takes them up after a crash",
    () =>
      Effect.gen(function* () {
        const { live, state } = measured(5)
        const computer = machine()
        const first = yield* computer.boot(live)
        const started = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) =>
          first.runs.start(oneNode, {}, { id: `run-${i}` })
        )
        yield* idle
        yield* computer.crash
        state.active = 0
        state.most = 0
        const second = yield* computer.boot(live)
        yield* idle
        for (let i = 0; i < 40; i++) yield* TestClock.adjust("1 second")
        for (const run of started) assert.deepStrictEqual(yield* second.runs.await(run), ["0", "1", "2"])
        assert.strictEqual(state.most, 5)
      }),
    300_000
  )

  it.effect(
    "and thousands that wait for a place and take no time each do not pile up on the stack",
    () =>
      Effect.gen(function* () {
        const state = { blocked: true }
        const handlers = handlersOf(
          ({ next }) =>
            Effect.suspend(() =>
              state.blocked
                ? Effect.as(Echo.call({ text: "x" }), next.end([]))
                : Effect.succeed(next.end(["x"]))
            ),
          Echo.toLayer(() => Effect.as(Effect.sleep("1 second"), "x"))
        )
        const live = Worker.layer({ flows: [oneNode], concurrency: 1 }).pipe(Layer.provide(handlers))
        const { runs } = yield* machine().boot(live)
        yield* runs.start(oneNode, {})
        yield* idle
        state.blocked = false
        const started = yield* Effect.forEach(Array.from({ length: 3_000 }), () => runs.start(oneNode, {}))
        yield* TestClock.adjust("1 second")
        for (const run of started) assert.deepStrictEqual(yield* runs.await(run), ["x"])
      }),
    300_000
  )

  it.effect("and is refused if that is none, or no number", () =>
    Effect.gen(function* () {
      for (const concurrency of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        const error = yield* Effect.flip(machine().boot(measured(concurrency).live))
        assert.strictEqual(error._tag, "WorkerError")
        assert.include(error.message, `\`concurrency\` is ${concurrency}`)
      }
    })
  )
})
