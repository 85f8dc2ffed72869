/** What holds wherever the power is cut. */
import { assert, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { CrashExplorer, FakeTools } from "@waymark/testing"
import { Effect, Layer } from "effect"
import { Mail, PayBack, Refund, RefundHandlers } from "../src/refund.ts"
import { findOrder, mail, payBack, world } from "./fakes.ts"

/** How many refunds of an order the bank has carried out: it recognises a key that it has seen. */
const refunds = (tools: ReturnType<typeof world>) => new Set(tools.calls(PayBack).map(({ key }) => key)).size

it.effect("a small refund is paid once, wherever its worker dies", () =>
  Effect.gen(function* () {
    const report = yield* CrashExplorer.explore(Refund, {
      world,
      handlers: (tools) => Layer.provide(RefundHandlers, tools.layer),
      input: { order: "small" },
      check: {
        "the bank pays once": ({ world: tools }) => refunds(tools) === 1,
        "the customer is told": ({ world: tools }) => tools.expectCalled(Mail, { with: { to: "ada" } })
      }
    })
    assert.isAbove(report.cuts, 20)
  })
)

it.effect("a big refund is, too, with everything that the office does", () =>
  CrashExplorer.explore(Refund, {
    world,
    handlers: (tools) => Layer.provide(RefundHandlers, tools.layer),
    // The client begins again after a crash, so what it does has names: the id of the run, and of the command.
    scenario: () =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const run = yield* runs.start(Refund, { order: "big" }, { id: "refund-big" })
        // Somebody looks at it after the reminder.
        yield* Runs.awaitUntil(run, ({ steps }) => steps >= 2)
        // After the end it is refused.
        yield* Effect.ignore(runs.answer(run, "approval", "yes", { commandId: "the office says yes" }))
        return yield* runs.await(run)
      }),
    timeLimit: "30 days",
    nested: 2,
    check: {
      "the bank pays once": ({ world: tools }) => refunds(tools) === 1,
      "the office is reminded once": ({ runs }) => runs["refund-big"]?.state["reminders"] === 1
    }
  })
)

it.effect("a handler that pays without a tool is found out", () =>
  Effect.gen(function* () {
    let paid = 0
    const failure = yield* Effect.flip(
      CrashExplorer.explore(Refund, {
        world: () => {
          paid = 0
          return FakeTools.make(findOrder, payBack, mail)
        },
        handlers: (tools) =>
          Refund.toLayer({
            look: ({ next }) => Effect.succeed(next.to("pay")),
            approve: ({ next }) => Effect.succeed(next.to("pay")),
            // What is no call of a tool is done again whenever the handler is executed again.
            pay: ({ next }) => Effect.sync(() => (paid += 1)).pipe(Effect.as(next.end({ paid: 1 })))
          }).pipe(Layer.provide(tools.layer)),
        input: { order: "small" },
        prune: false,
        check: { "the bank pays once": () => paid === 1 }
      })
    )
    assert.include(failure.message, "the bank pays once: it is not so")
    assert.match(
      failure.message,
      /to repeat it: CrashExplorer.explore\(flow, { …, only: "\d+-(before|after)" }\)/
    )
  })
)
