/** What becomes of a refund when the storage of its worker fails. */
import { assert, describe, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { FakeTools, Faults, TestRuntime } from "@waymark/testing"
import { Effect, Layer } from "effect"
import { Mail, PayBack, Refund, RefundHandlers } from "../src/refund.ts"
import { findOrder, mail, world } from "./fakes.ts"

type Tools = ReturnType<typeof world>

const runtime = (tools: Tools, faults: Faults.Faults) =>
  TestRuntime.layer({
    flows: [Refund],
    handlers: Layer.provide(RefundHandlers, tools.layer),
    // Only the worker's storage fails: that of a client in another process does not.
    store: faults.store
  })

/** What a worker writes about a run that is under way. */
const writing = { of: ({ name }: Faults.Operation) => name === "append" || name === "sync" }

/** Executes a small refund; how many faults there were. */
const refunded = (tools: Tools, rules: ReadonlyArray<Faults.Rule>) => {
  const faults = Faults.make(rules)
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Refund, { order: "small" }, { id: "refund-small" })
    yield* TestRuntime.advanceToEnd(run)
    assert.deepStrictEqual(yield* TestRuntime.expectCompleted(run), { paid: 1_200 })
    return faults.injected.length
  }).pipe(Effect.provide(runtime(tools, faults)))
}

/** Lets the first, the second, and each further operation go wrong, until there is none that could. */
const atEach = (fault: Faults.Fault, judge: (tools: Tools, k: number) => void) =>
  Effect.gen(function* () {
    for (let k = 1; ; k++) {
      const tools = world()
      if ((yield* refunded(tools, [Faults.at(k, fault, writing)])) === 0) return k - 1
      judge(tools, k)
    }
  })

const isPaidOnce = (tools: Tools): void => {
  tools.expectOnce(PayBack)
  tools.expectOnce(Mail)
}

describe("a small refund is paid once, and the customer is told once", () => {
  it.effect.each([
    ["the disk is full", Faults.noSpace],
    ["the disk is broken for a moment", Faults.io],
    ["the disk takes its time", Faults.delay("5 seconds")],
    ["an acknowledgement is lost, and what was asked for is done twice", Faults.duplicate]
  ] as const)("when %s, whenever that is", ([, fault]) =>
    Effect.map(atEach(fault, isPaidOnce), (operations) => assert.isAbove(operations, 5))
  )

  it.effect("when things go wrong again and again, as seeds decide", () =>
    Effect.gen(function* () {
      let injected = 0
      for (let seed = 1; seed <= 50; seed++) {
        const tools = world()
        const faults = [Faults.noSpace, Faults.io, Faults.delay("1 second"), Faults.duplicate]
        injected += yield* refunded(tools, [Faults.seeded(seed, { rate: 0.2, faults, ...writing })])
        isPaidOnce(tools)
      }
      assert.isAbove(injected, 50)
    })
  )
})

describe("a disk that says that it has synced, and has not", () => {
  it.effect("lets the bank be asked again, under the key that it knows", () => {
    const slowly = FakeTools.always(PayBack, FakeTools.after("1 minute", FakeTools.succeed({ receipt: "r" })))
    const tools = FakeTools.make(findOrder, slowly, mail)
    // The first worker's disk lies from its second sync on, before the bank is asked; that of the next one does not.
    const plans = [[Faults.at(2, Faults.lostSync, { times: Infinity })], []]
    return Effect.gen(function* () {
      const runtime = yield* TestRuntime.TestRuntime
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Refund, { order: "small" }, { id: "refund-small" })
      yield* runtime.idle
      tools.expectCalled(PayBack, { times: 1 })
      yield* runtime.restart("crash")
      yield* TestRuntime.advanceToEnd(run)
      yield* TestRuntime.expectCompleted(run)
      // No worker can know of the first time. The bank can: it is the same call.
      const [first, second] = tools.calls(PayBack)
      assert.strictEqual(second?.key, first?.key)
      assert.lengthOf(tools.calls(PayBack), 2)
    }).pipe(
      Effect.provide(
        TestRuntime.layer({
          flows: [Refund],
          handlers: Layer.provide(RefundHandlers, tools.layer),
          store: (inner) => Faults.make(plans.shift()!).store(inner)
        })
      )
    )
  })
})

describe("a client", () => {
  it.effect("that cannot start a refund is told why, and starts it when there is space again", () => {
    const tools = world()
    const faults = Faults.make([Faults.at(1, Faults.noSpace, { of: ({ name }) => name === "create" })])
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const start = runs.start(Refund, { order: "small" }, { id: "refund-small" })
      const refused = yield* Effect.flip(start)
      assert.strictEqual(refused._tag, "StoreError")
      assert.include(refused.message, "there is no space left")
      tools.expectNotCalled(PayBack)
      yield* TestRuntime.expectCompleted(yield* start)
      tools.expectOnce(PayBack)
    }).pipe(Effect.provide(runtime(tools, faults)))
  })
})
