import { assert, it } from "@effect/vitest"
import * as Runs from "@waymark/core/Runs"
import * as FakeTools from "@waymark/testing/FakeTools"
import * as TestRuntime from "@waymark/testing/TestRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FindOrder, Mail, PayBack, Refund, RefundHandlers } from "../src/refund.ts"

it.effect("run refund-17 of flow refund: completed, as recorded", () => {
  const tools = FakeTools.make(
    FakeTools.recorded(FindOrder, [
      {
        input: { order: "order-17" },
        output: { customer: "carl", cents: 70000 },
        after: "35 millis"
      }
    ]),
    FakeTools.recorded(PayBack, [
      {
        input: { order: "order-17", cents: 70000 },
        output: { receipt: "receipt for order-17" },
        after: "29 millis"
      }
    ]),
    FakeTools.recorded(Mail, [
      {
        input: { to: "carl", text: "70000 cents are on their way: receipt for order-17" },
        output: null,
        after: "9 millis"
      }
    ])
  )
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Refund, { order: "order-17" }, { id: "refund-17" })
    yield* TestRuntime.advanceToWait(run, "approval")
    yield* runs.answer(run, "approval", "yes")
    yield* TestRuntime.advanceToEnd(run)
    assert.deepStrictEqual(yield* TestRuntime.expectCompleted(run), { paid: 70000 })
    tools.expectDone()
  }).pipe(
    Effect.provide(
      TestRuntime.layer({
        flows: [Refund],
        handlers: Layer.provide(RefundHandlers, tools.layer),
        now: 1795669904329
      })
    )
  )
})
