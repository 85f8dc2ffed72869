/** What the flow does: a worker in virtual time, and fake tools. */
import { assert, describe, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { FakeTools, JournalSnapshot, TestRuntime } from "@waymark/testing"
import { Duration, Effect, Layer, Stream } from "effect"
import { BankDown, Mail, PayBack, Refund, RefundHandlers } from "../src/refund.ts"
import { findOrder, mail, payBack, world } from "./fakes.ts"

const runtime = (tools: ReturnType<typeof world>) =>
  TestRuntime.layer({ flows: [Refund], handlers: Layer.provide(RefundHandlers, tools.layer) })

const start = (order: string) =>
  Effect.flatMap(Runs.Runs, (runs) => runs.start(Refund, { order }, { id: `refund-${order}` }))

describe("a small refund", () => {
  it.effect("is paid at once", () => {
    const tools = world()
    return Effect.gen(function* () {
      const run = yield* start("small")
      assert.deepStrictEqual(yield* TestRuntime.expectCompleted(run), { paid: 1_200 })
      tools.expectCalled(PayBack, { times: 1, with: { cents: 1_200 } })
      tools.expectOrder(PayBack, Mail)
      tools.expectInputs(Mail, [{ to: "ada", text: "1200 cents are on their way: receipt for small" }])
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("is paid when the bank is there again", () => {
    const down = { first: 2, with: FakeTools.fail(new BankDown({ minutes: 5 })) }
    const tools = FakeTools.make(findOrder, FakeTools.failing(PayBack, payBack, down), mail)
    return Effect.gen(function* () {
      const run = yield* start("small")
      assert.deepStrictEqual(yield* TestRuntime.advanceToEnd(run), Duration.minutes(20))
      yield* TestRuntime.expectCompleted(run)
      tools.expectCalled(PayBack, { times: 3 })
      tools.expectOnce(PayBack)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("fails if the bank stays away", () => {
    const down = FakeTools.always(PayBack, FakeTools.fail(new BankDown({ minutes: 60 })))
    const tools = FakeTools.make(findOrder, down, mail)
    return Effect.gen(function* () {
      const run = yield* start("small")
      yield* TestRuntime.advanceToEnd(run)
      yield* TestRuntime.expectFailed(run, "BankDown")
      tools.expectNotCalled(Mail)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("fails for an order that nobody knows", () => {
    const tools = world()
    return Effect.gen(function* () {
      yield* TestRuntime.expectFailed(yield* start("unknown"), "OrderNotFound")
      tools.expectNotCalled(PayBack)
    }).pipe(Effect.provide(runtime(tools)))
  })
})

describe("a big refund", () => {
  it.effect("waits for an answer, whoever dies meanwhile", ({ expect }) => {
    const tools = world()
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* start("big")
      yield* TestRuntime.expectWaiting(run, "approval")
      yield* (yield* TestRuntime.TestRuntime).restart("crash")
      yield* TestRuntime.advanceToWait(run, "approval", { nth: 2 })
      yield* runs.answer(run, "approval", "yes")
      assert.deepStrictEqual(yield* TestRuntime.expectCompleted(run), { paid: 90_000 })
      yield* TestRuntime.expectTimeline(run, [
        "look calls findOrder",
        "approve calls mail",
        "pay calls payBack"
      ])
      expect(yield* TestRuntime.timeline(run)).toMatchInlineSnapshot(`
        "started refund {"order":"big"}
        look calls findOrder {"order":"big"}
        look findOrder gave {"customer":"bob","cents":90000}
        look → approve (order = {"customer":"bob","cents":90000})
        approve waits for approval "Refund 90000 cents of order big?", 2d
        approve approval: timed out
        approve calls mail {"to":"office","text":"order big waits for you"}
        approve mail succeeded
        approve → approve (reminders += 1)
        approve waits for approval "Refund 90000 cents of order big?", 2d
        approve approval: "yes"
        approve → pay
        pay calls payBack {"order":"big","cents":90000}
        pay payBack gave {"receipt":"receipt for big"}
        pay calls mail {"to":"bob","text":"90000 cents are on their way: receipt for big"}
        pay mail succeeded
        pay → end
        completed {"paid":90000}"
      `)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("is declined after two reminders", () => {
    const tools = world()
    return Effect.gen(function* () {
      const run = yield* start("big")
      assert.deepStrictEqual(yield* TestRuntime.advanceToEnd(run), Duration.days(6))
      assert.deepStrictEqual(yield* TestRuntime.expectCompleted(run), { paid: 0 })
      tools.expectCalled(Mail, { times: 2, with: { to: "office" } })
      tools.expectNotCalled(PayBack)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("leaves this journal", ({ expect }) => {
    expect.addSnapshotSerializer(JournalSnapshot.serializer)
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* start("big")
      yield* TestRuntime.expectWaiting(run, "approval")
      yield* runs.answer(run, "approval", "no")
      yield* TestRuntime.expectCompleted(run)
      expect(yield* Stream.runCollect(runs.events(run))).toMatchSnapshot()
    }).pipe(Effect.provide(runtime(world())))
  })
})
