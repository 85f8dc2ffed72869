import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { CrashExplorer, FakeTools, TestRuntime } from "@waymark/testing"
import { Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { desk, questionsFor } from "../src/desk.ts"
import { LineItemHandlers, PurchaseHandlers } from "../src/handlers.ts"
import { GetQuote, LineItem, PlaceOrder, Purchase, Reserve, Tell } from "../src/purchase.ts"
import * as Typist from "../src/typist.ts"

const day = Duration.toMillis("1 day")
const request = {
  requester: "ada",
  lines: [
    { article: "desk", quantity: 1 },
    { article: "chair", quantity: 2 }
  ],
  approvers: [
    { name: "lead", remindAfter: day, reminders: 2 },
    { name: "head", remindAfter: 2 * day, reminders: 0 }
  ]
}

const office = () =>
  FakeTools.make(
    FakeTools.answer(GetQuote, ({ line: { article, quantity }, supplier }) =>
      FakeTools.succeed(
        article === "throne"
          ? null
          : { article, quantity, supplier, cents: (supplier === "north" ? 1_000 : 1_200) * quantity }
      )
    ),
    FakeTools.answer(Reserve, ({ article }) => FakeTools.succeed(`reservation of ${article}`)),
    FakeTools.always(Tell, FakeTools.ok),
    FakeTools.always(PlaceOrder, FakeTools.succeed("order 1"))
  )

const executed = (tools: ReturnType<typeof office>) => ({
  flows: [Purchase, LineItem] as const,
  handlers: Layer.provide(Layer.merge(PurchaseHandlers, LineItemHandlers), tools.layer)
})

const runtime = (tools: ReturnType<typeof office>) => TestRuntime.layer(executed(tools))

/** Presses these keys at the prompts of the desk. */
const typing = (...prompts: ReadonlyArray<ReadonlyArray<string>>) =>
  Layer.provideMerge(
    Typist.layer(prompts, () => Effect.void),
    NodeServices.layer
  )

const told = (tools: ReturnType<typeof office>) =>
  tools
    .inputs(Tell)
    .map(({ message, to }) => `${to}: ${message.split(":")[0]!.split(" ").slice(0, 2).join(" ")}`)

it.effect("reminds, escalates and is answered over days, while its worker dies every day", () => {
  const tools = office()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle, restart } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Purchase, request, { id: "p" })
    yield* idle
    assert.deepStrictEqual(told(tools), ["lead: May ada"])
    const expected = [
      ["lead: May ada", "lead: Reminder 1"],
      ["lead: May ada", "lead: Reminder 1", "lead: Reminder 2"],
      ["lead: May ada", "lead: Reminder 1", "lead: Reminder 2", "head: May ada"]
    ]
    for (const so of expected) {
      yield* restart("crash")
      yield* TestClock.adjust("23 hours")
      yield* restart("crash")
      yield* TestClock.adjust("1 hour")
      yield* idle
      assert.deepStrictEqual(told(tools), so)
    }
    assert.deepStrictEqual(yield* questionsFor("lead"), [], "the lead is not asked any more")
    yield* restart("crash")
    const answered = yield* desk("head").pipe(Effect.provide(typing(["return"])))
    assert.strictEqual(answered, 1)
    assert.deepStrictEqual(yield* runs.await(run), { order: "order 1", approvedBy: "head", cents: 3_000 })
    tools.expectInputs(Reserve, [
      { article: "desk", cents: 1_000 },
      { article: "chair", cents: 2_000 }
    ])
    assert.strictEqual(tools.calls(GetQuote).length, 4, "no supplier was asked twice")
    const children = yield* runs.list({ parent: "p" })
    assert.deepStrictEqual(
      children.runs.map(({ flow, status }) => [flow, status]),
      [
        ["line-item", "completed"],
        ["line-item", "completed"]
      ]
    )
    assert.strictEqual(told(tools).length, 5)
    assert.strictEqual(tools.undos().length, 0)
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect("the timers that were due while no worker was there fire once each, when one comes", () => {
  const tools = office()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle, start, stop } = yield* TestRuntime.TestRuntime
    yield* runs.start(Purchase, request, { id: "p" })
    yield* idle
    yield* stop("crash")
    yield* TestClock.adjust("10 days")
    yield* start
    yield* idle
    assert.deepStrictEqual(told(tools), ["lead: May ada", "lead: Reminder 1"])
    assert.strictEqual((yield* questionsFor("lead")).length, 1, "who is reminded late has time to answer")
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect("a rejection is the error of the run, and releases what was reserved, the last one first", () => {
  const tools = office()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Purchase, request, { id: "p" })
    yield* idle
    yield* desk("lead").pipe(Effect.provide(typing(["down", "down", "return"])))
    const error = yield* Effect.flip(runs.await(run))
    assert.strictEqual(error.message, "lead rejected it: we do not need it")
    assert.strictEqual(tools.calls(PlaceOrder).length, 0)
    assert.deepStrictEqual(
      tools.undos(Reserve).map(({ output }) => output),
      ["reservation of chair", "reservation of desk"]
    )
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect("who decides later is asked again, and when nobody has answered the run fails", () => {
  const tools = office()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Purchase, request, { id: "p" })
    yield* idle
    assert.strictEqual(yield* desk("lead").pipe(Effect.provide(typing(["up", "return"]))), 0)
    assert.strictEqual((yield* questionsFor("lead")).length, 1)
    yield* TestClock.adjust("5 days")
    yield* idle
    const error = yield* Effect.flip(runs.await(run))
    assert.strictEqual(error.message, "none of lead, head answered")
    assert.strictEqual(tools.undos(Reserve).length, 2)
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect("an answer to a question that is over is refused, and the person is told", () => {
  const tools = office()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Purchase, request, { id: "p" })
    yield* idle
    const [question] = yield* questionsFor("lead")
    yield* TestClock.adjust("1 day")
    yield* idle
    const error = yield* Effect.flip(runs.answer(run, question!.wait, { verdict: "approve" }))
    assert.strictEqual(error._tag, "CommandRefused")
    yield* desk("lead").pipe(Effect.provide(typing(["return"])))
    assert.strictEqual((yield* runs.await(run)).approvedBy, "lead")
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect("what nobody sells is the error of its line, and of the run", () => {
  const tools = office()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const lines = [...request.lines, { article: "throne", quantity: 1 }]
    const error = yield* Effect.flip(runs.execute(Purchase, { ...request, lines }, { id: "p" }))
    assert.strictEqual(error._tag, "NotSold")
    assert.strictEqual(tools.calls(Reserve).length, 0)
  }).pipe(Effect.provide(runtime(tools)))
})

/** What the head does with the question, looking for it every hour until the purchase is through. */
const answering = (verdict: "approve" | "reject") =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    while (true) {
      const { endedAt, waits } = yield* runs.get("p")
      if (endedAt !== undefined) return
      if (waits.some(({ name }) => name === "head")) {
        yield* Effect.ignore(runs.answer("p", "head", { verdict }, { commandId: "decision" }))
      }
      yield* Effect.sleep("1 hour")
    }
  })

for (const [verdict, outcome, undone] of [
  ["approve", { order: "order 1", approvedBy: "head", cents: 3_000 }, 0],
  ["reject", "head rejected it: no reason given", 2]
] as const) {
  it.effect(
    `a purchase that the head is to ${verdict} comes to the same wherever the power is cut`,
    () =>
      CrashExplorer.explore(executed(office()).flows, {
        world: office,
        handlers: (tools) => executed(tools).handlers,
        timeLimit: "30 days",
        nested: 1,
        scenario: () =>
          Effect.gen(function* () {
            const runs = yield* Runs.Runs
            const run = yield* runs.start(Purchase, request, { id: "p" })
            yield* answering(verdict)
            return yield* Effect.catch(runs.await(run), ({ message }) => Effect.succeed(message))
          }),
        check: ({ journal, result, runs }) =>
          Effect.map(result, (came) => {
            assert.deepStrictEqual(came, outcome)
            assert.strictEqual(Object.keys(runs).length, 3)
            const released = journal("p").filter(({ kind }) => kind === "compensationCompleted")
            assert.strictEqual(released.length, undone)
          })
      }),
    300_000
  )
}
