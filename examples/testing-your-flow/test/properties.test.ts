/** What holds whatever the tools answer: replies from their schemas. */
import { assert, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { FakeTools, TestRuntime } from "@waymark/testing"
import { Effect, Layer, Schema } from "effect"
import { FindOrder, Mail, PayBack, Refund, RefundHandlers, small } from "../src/refund.ts"
import { mail } from "./fakes.ts"

/** A refund of which nobody knows what comes of it. */
const refund = (tools: FakeTools.FakeTools<"findOrder" | "payBack" | "mail">) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Refund, { order: "any" }, { id: "refund-any" })
    yield* TestRuntime.advanceToEnd(run)
    return yield* Effect.result(runs.await(run))
  }).pipe(
    Effect.provide(
      TestRuntime.layer({ flows: [Refund], handlers: Layer.provide(RefundHandlers, tools.layer) })
    )
  )

it.effect.prop(
  "nobody is paid more than the order was worth, and big refunds only after an answer",
  {
    order: FakeTools.arbitraryReplies(FindOrder),
    bank: FakeTools.arbitraryReplies(PayBack, { failures: true })
  },
  ({ bank, order }) =>
    Effect.gen(function* () {
      const tools = FakeTools.make(
        FakeTools.cycle(FindOrder, ...order),
        FakeTools.cycle(PayBack, ...bank),
        mail
      )
      yield* refund(tools)
      const [found] = order
      const cents = found._tag === "Succeed" ? found.output.cents : 0
      for (const input of tools.inputs(PayBack)) assert.deepStrictEqual(input, { order: "any", cents })
      if (cents > small) tools.expectNotCalled(PayBack)
      tools.expectOnce()
    }),
  { arbitrary: { runs: 30 } }
)

it.effect.prop(
  "a customer hears of a refund exactly if it was paid",
  { seed: Schema.Int },
  ({ seed }) =>
    Effect.gen(function* () {
      const tools = FakeTools.make(
        FakeTools.always(FindOrder, FakeTools.succeed({ customer: "ada", cents: 100 })),
        FakeTools.generated(PayBack, { seed, failures: 0.7 }),
        FakeTools.generated(Mail, { seed })
      )
      const result = yield* refund(tools)
      tools.expectCalled(Mail, { times: result._tag === "Success" ? 1 : 0, with: { to: "ada" } })
    }),
  { arbitrary: { runs: 30 } }
)
