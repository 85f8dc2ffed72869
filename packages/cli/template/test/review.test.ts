import { assert, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import * as FakeTools from "@waymark/testing/FakeTools"
import * as TestRuntime from "@waymark/testing/TestRuntime"
import { Effect, Layer } from "effect"
import { CountWords, Review, ReviewHandlers } from "../src/review.ts"

const runtime = (words: number) => {
  const tools = FakeTools.make(FakeTools.always(CountWords, FakeTools.succeed(words)))
  return TestRuntime.layer({ flows: [Review], handlers: Layer.provide(ReviewHandlers, tools.layer) })
}

it.effect("accepts a short text", () =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const output = yield* runs.execute(Review, { text: "a short text" })
    assert.deepStrictEqual(output, { words: 3, verdict: "accepted" })
  }).pipe(Effect.provide(runtime(3)))
)

it.effect("asks somebody about a long one", () =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Review, { text: "a long text" })
    yield* idle
    assert.strictEqual((yield* runs.get(run)).status, "waiting")
    yield* runs.answer(run, "shorten", "no")
    assert.strictEqual((yield* runs.await(run)).verdict, "rejected")
  }).pipe(Effect.provide(runtime(21)))
)
