import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as FakeTools from "../src/FakeTools.ts"
import * as TestRuntime from "../src/TestRuntime.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", { seconds: Schema.Int }) {}

const Search = Tool.make("search", {
  input: { query: Schema.String },
  output: Schema.Array(Schema.String),
  error: Busy,
  retry: Schedule.recurs(2)
})
const Publish = Tool.make("publish", { input: { text: Schema.String }, timeout: "10 seconds" })

const Article = Flow.make("article", {
  input: Schema.String,
  output: Schema.Int,
  error: Busy,
  start: "write",
  nodes: { write: Node.make({ to: ["end"] }) }
})
const handlers = Article.toLayer({
  write: Effect.fnUntraced(function* ({ input, next }) {
    const hits = yield* Search.call({ query: input })
    if (hits.length > 0) yield* Publish.call({ text: hits.join(" ") })
    return next.end(hits.length)
  })
})

const runtime = (tools: FakeTools.FakeTools<"search" | "publish">) =>
  TestRuntime.layer({ flows: [Article], handlers: Layer.provide(handlers, tools.layer) })

const write = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  return yield* runs.execute(Article, "fish", { id: "r" })
})

describe("FakeTools", () => {
  it.effect(
    "give the replies of a script in order, one for each try, and record what they were asked",
    () => {
      const tools = FakeTools.make(
        FakeTools.script(Search, FakeTools.fail(new Busy({ seconds: 3 })), FakeTools.succeed(["a", "b"])),
        FakeTools.always(Publish, FakeTools.ok)
      )
      return Effect.gen(function* () {
        assert.strictEqual(yield* write, 2)
        const calls = tools.calls(Search)
        assert.deepStrictEqual(
          calls.map(({ attempt, input, node, number, result, run, visit }) => ({
            attempt,
            input,
            node,
            number,
            result,
            run,
            visit
          })),
          [
            {
              attempt: 1,
              input: { query: "fish" },
              node: "write",
              number: 1,
              result: "failed",
              run: "r",
              visit: 1
            },
            {
              attempt: 2,
              input: { query: "fish" },
              node: "write",
              number: 2,
              result: "succeeded",
              run: "r",
              visit: 1
            }
          ]
        )
        assert.strictEqual(calls[0]!.key, calls[1]!.key)
        tools.expectInputs(Publish, [{ text: "a b" }])
        tools.expectDone()
      }).pipe(Effect.provide(runtime(tools)))
    }
  )

  it.effect("answer by the input", () => {
    const tools = FakeTools.make(
      FakeTools.answer(Search, ({ query }, { node }) => FakeTools.succeed([query, node])),
      FakeTools.answer(Publish, () => Effect.void)
    )
    return Effect.gen(function* () {
      assert.strictEqual(yield* write, 2)
      assert.deepStrictEqual(tools.inputs(Publish), [{ text: "fish write" }])
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("fail the run with an error that names tool, input and place if a call is not expected", () => {
    const tools = FakeTools.make(
      FakeTools.always(Search, FakeTools.succeed(["a"])),
      FakeTools.refuse(Publish)
    )
    return Effect.gen(function* () {
      const failure = yield* Effect.flip(write)
      assert.strictEqual(failure._tag, "RunFailed")
      assert.include(
        failure.message,
        'unexpected call of tool publish with {"text":"a"} at node write (visit 1) of run "r": no call of it is expected'
      )
      assert.throws(() => tools.expectDone(), /unexpected call of tool publish/)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("find the call after the last reply of a script unexpected", () => {
    const busy = FakeTools.fail(new Busy({ seconds: 1 }))
    const tools = FakeTools.make(FakeTools.script(Search, busy, busy), FakeTools.refuse(Publish))
    return Effect.gen(function* () {
      const failure = yield* Effect.flip(write)
      assert.include(failure.message, "its script has 2 replies, all given")
      assert.strictEqual(tools.unexpected().length, 1)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("reply after a while, and never, by the clock of the worker", () => {
    const tools = FakeTools.make(
      FakeTools.always(Search, FakeTools.after("1 minute", FakeTools.succeed(["a"]))),
      FakeTools.always(Publish, FakeTools.hang)
    )
    return Effect.gen(function* () {
      const test = yield* TestRuntime.TestRuntime
      const fiber = yield* Effect.forkChild(Effect.flip(write), { startImmediately: true })
      assert.deepStrictEqual(yield* test.advanceToNext, Option.some(Duration.minutes(1)))
      assert.strictEqual(tools.calls(Search)[0]!.result, "succeeded")
      assert.strictEqual(tools.calls(Publish)[0]!.result, "pending")
      // The tool's timeout.
      assert.deepStrictEqual(yield* test.advanceToNext, Option.some(Duration.seconds(10)))
      assert.include((yield* Fiber.join(fiber)).message, "took longer than 10000 ms")
      assert.strictEqual(tools.calls(Publish)[0]!.result, "interrupted")
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("give a repeated call the reply that was lost with its process", () => {
    const tools = FakeTools.make(
      FakeTools.script(
        Search,
        FakeTools.after("1 second", FakeTools.succeed(["first"])),
        FakeTools.succeed([])
      ),
      FakeTools.always(Publish, FakeTools.ok)
    )
    return Effect.gen(function* () {
      const test = yield* TestRuntime.TestRuntime
      const fiber = yield* Effect.forkChild(write, { startImmediately: true })
      yield* test.idle
      yield* test.restart("crash")
      yield* test.idle
      yield* test.advanceToNext
      assert.strictEqual(yield* Fiber.join(fiber), 1)
      assert.deepStrictEqual(
        tools.calls(Search).map(({ repeated, result }) => ({ repeated, result })),
        [
          { repeated: false, result: "pending" },
          { repeated: true, result: "succeeded" }
        ]
      )
      assert.throws(() => tools.expectDone(), /not all replies were given: 1 of tool search are left/)
    }).pipe(Effect.provide(runtime(tools)))
  })

  it.effect("stand in front of real handlers as an executor", () => {
    const tools = FakeTools.make(FakeTools.always(Search, FakeTools.succeed(["fake"])))
    const published: Array<string> = []
    const real = Layer.mergeAll(
      Search.toLayer(() => Effect.die("the real search")),
      Publish.toLayer(({ text }) => Effect.sync(() => void published.push(text)))
    )
    return Effect.gen(function* () {
      assert.strictEqual(yield* write, 1)
      assert.deepStrictEqual(published, ["fake"])
      assert.strictEqual(tools.calls().length, 1)
    }).pipe(
      Effect.provide(
        TestRuntime.layer({
          flows: [Article],
          handlers: handlers.pipe(Layer.provide(real), Layer.merge(tools.layerExecutor))
        })
      )
    )
  })

  it("say how the inputs differ from those expected", () => {
    const tools = FakeTools.make(FakeTools.always(Search, FakeTools.succeed([])))
    assert.throws(
      () => tools.expectInputs(Search, [{ query: "x" }]),
      /tool search was not called with what was expected:\n.*\{"query":"x"\} was expected, it is nothing\nno tool was called/
    )
    tools.expectInputs(Search, [])
  })

  it("are one for each tool", () => {
    assert.throws(
      () => FakeTools.make(FakeTools.refuse(Search), FakeTools.refuse(Search)),
      /two fakes of tool search/
    )
  })
})
