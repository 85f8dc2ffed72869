import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Effect, Layer, Schedule, Schema } from "effect"

class TooSlow extends Schema.TaggedError<TooSlow>()("TooSlow", {}) {}

const Pay = Tool.make("pay", { input: Schema.Int, delivery: "atMostOnce", inDoubt: "fail" })

const Paying = Flow.make("paying", {
  input: Schema.Void,
  error: TooSlow,
  start: "pay",
  nodes: { pay: Node.make({ to: ["end"], retry: Schedule.recurs(3) }) }
})

describe("an at-most-once call that its handler gave up waiting for", () => {
  it.live("is in doubt for the next attempt of the node, and not made again", () =>
    Effect.gen(function* () {
      let payments = 0
      const handlers = Paying.toLayer({
        pay: ({ next }) =>
          Pay.call(5).pipe(
            Effect.timeoutOrElse({ duration: "20 millis", orElse: () => Effect.fail(new TooSlow()) }),
            Effect.as(next.end())
          )
      })
      const tool = Pay.toLayer(() =>
        Effect.suspend(() => {
          payments += 1
          return Effect.never
        })
      )
      const live = Worker.layer({ flows: [Paying] }).pipe(
        Layer.provide(handlers),
        Layer.provide(tool),
        Layer.provideMerge(MemoryStore.layer())
      )
      const error = yield* Runs.Runs.use((runs) => Effect.flip(runs.execute(Paying, undefined))).pipe(
        Effect.provide(live)
      )
      assert.strictEqual(error._tag, "RunFailed")
      assert.strictEqual(payments, 1)
    })
  )
})
