import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const input = Schema.Struct({})
const go = Wait.event("go", { schema: Schema.String })

const asking = (timeout?: "1 minute") =>
  Flow.make("asking", {
    input,
    output: Schema.String,
    start: "work",
    nodes: { work: Node.make({ to: ["end"], ...(timeout && { timeout }) }) }
  })
type Asking = ReturnType<typeof asking>

const working = (
  work: Flow.Handler<Asking, "work", Visit>,
  options: Omit<Worker.Options<[]>, "flows"> = {},
  flow = asking()
) => ({ flow, live: Worker.layer({ ...options, flows: [flow] }).pipe(Layer.provide(flow.toLayer({ work }))) })

for (const [mode, keepWaiting] of [
  ["runs leave memory while they wait", 0],
  ["fibers are kept while they wait", "1 hour"]
] as const) {
  describe(`a handler that catches what interrupts it does not see that it is suspended (${mode}):`, () => {
    const cases: ReadonlyArray<readonly [string, (after: () => void) => Effect.Effect<string, never, any>]> =
      [
        [
          "it looks at how the wait ended, in a loop",
          (after) =>
            Effect.gen(function* () {
              while (true) {
                const ended = yield* Effect.exit(go)
                if (Exit.isSuccess(ended)) return ended.value
                after()
              }
            })
        ],
        [
          "it has something else to answer",
          (after) => Effect.catchCause(go, () => Effect.sync(() => (after(), "else")))
        ]
      ]
    for (const [what, wait] of cases) {
      for (const timeout of [undefined, "1 minute"] as const) {
        it.effect(timeout === undefined ? what : `${what}, in a limited time`, () =>
          Effect.gen(function* () {
            let after = 0
            let executed = 0
            const { flow, live } = working(
              ({ next }) =>
                Effect.suspend(() => {
                  // Without an end of it, nothing else would be executed any more.
                  if (++executed > 1000 || after > 1000) return Effect.never
                  return Effect.map(
                    wait(() => (after += 1)),
                    (value) => next.end(value)
                  )
                }) as Effect.Effect<any>,
              { keepWaiting },
              asking(timeout)
            )
            const computer = machine()
            const { runs } = yield* computer.boot(live)
            const run = yield* runs.start(flow, {})
            yield* untilStatus(runs, run, "waiting")
            yield* idle
            assert.strictEqual(after, 0)
            yield* runs.signal(run, "go", "gone")
            assert.strictEqual(yield* runs.await(run), "gone")
            assert.strictEqual(after, 0)
            assert.deepStrictEqual(yield* computer.kinds(run), [
              "created",
              "waitOpened",
              ...(keepWaiting === 0 || timeout !== undefined ? (["claimed"] as const) : []),
              "waitEnded",
              "visited",
              "completed"
            ])
          })
        )
      }
    }
  })
}

describe("a handler that waits where it cannot be interrupted", () => {
  it.effect("is suspended, too", () =>
    Effect.gen(function* () {
      const { flow, live } = working(({ next }) =>
        Effect.uninterruptible(Effect.map(go, (value) => next.end(value)))
      )
      const { runs, worker } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(yield* worker.running, [])
      yield* runs.signal(run, "go", "gone")
      assert.strictEqual(yield* runs.await(run), "gone")
    })
  )

  it.effect("and asks again and again is left behind; its run goes on when the wait is over", () =>
    Effect.gen(function* () {
      let turns = 0
      const { flow, live } = working(
        ({ next }) =>
          Effect.gen(function* () {
            while (true) {
              if (++turns > 10_000) return yield* Effect.never
              const ended = yield* Effect.exit(go)
              if (Exit.isSuccess(ended)) return next.end(ended.value)
            }
          }).pipe(Effect.uninterruptible),
        { grace: "5 seconds" }
      )
      const { runs, worker } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* idle
      yield* TestClock.adjust("5 seconds")
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(yield* worker.running, [])
      assert.strictEqual((yield* worker.stuck).length, 1)
      assert.isBelow(turns, 1000)
      yield* runs.signal(run, "go", "gone")
      assert.strictEqual(yield* runs.await(run), "gone")
    })
  )
})
