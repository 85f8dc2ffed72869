import { assert, it } from "@effect/vitest"
import { Flow, MemoryStore, Node, Runs, Tool, Worker } from "@waymark/core"
import { Effect, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, type Response, Tool as AiTool, Toolkit } from "effect/ai"
import * as DurableAi from "../src/durableAi.ts"

const Weather = AiTool.make("weather", {
  parameters: Schema.Struct({ day: Schema.NumberFromString }),
  success: Schema.Struct({ degrees: Schema.Number, at: Schema.DateTimeUtcFromString }),
  failure: Schema.String,
  failureMode: "return"
}).annotate(AiTool.Readonly, true)
const Launch = AiTool.make("launch", { success: Schema.Void })
const Tools = Toolkit.make(Weather, Launch)
const ai = DurableAi.make(Tools)

const Plan = Schema.Struct({ days: Schema.Array(Schema.NumberFromString) })

const Ask = Flow.make("ask", {
  input: Schema.Literals(["text", "object", "stream"]),
  output: Schema.Json,
  error: Schema.String,
  start: "ask",
  nodes: { ask: Node.make({ to: ["end"], error: Schema.String }) }
})

const handlers = Ask.toLayer({
  ask: Effect.fn("ask")(
    function* ({ input, next }) {
      if (input === "object") {
        const { value } = yield* LanguageModel.generateObject({
          prompt: "plan",
          schema: Plan,
          objectName: "plan"
        })
        return next.end([...value.days])
      }
      if (input === "stream") yield* Stream.runDrain(LanguageModel.streamText({ prompt: "hello" }))
      const { toolResults } = yield* LanguageModel.generateText({ prompt: "weather?", toolkit: Tools })
      return next.end(
        toolResults.map(({ encodedResult, isFailure, name }) => [
          name,
          isFailure,
          encodedResult as Schema.Json
        ])
      )
    },
    ai.provide,
    Effect.catchTag("AiError", ({ message }) => Effect.fail(message))
  )
})

const finish: Response.PartEncoded = {
  type: "finish",
  reason: "stop",
  usage: { inputTokens: {}, outputTokens: {} },
  // What a provider tells of its response has keys in it.
  response: { status: 200, headers: { "set-cookie": "secret" } }
}

/** A model that says this, and tools that count their calls. */
const world = (said: ReadonlyArray<Response.PartEncoded> | AiError.AiError) => {
  const calls: Array<string> = []
  const model = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () =>
        Effect.suspend(() => {
          calls.push("model")
          return AiError.isAiError(said) ? Effect.fail(said) : Effect.succeed([...said, finish])
        }),
      streamText: () => Stream.empty
    })
  )
  const tools = Tools.toLayer({
    weather: ({ day }) => {
      calls.push(`weather ${day}`)
      return day > 1
        ? Effect.fail("no forecast")
        : Effect.succeed({
            degrees: 20 + day,
            at: Schema.decodeSync(Schema.DateTimeUtcFromString)("2026-01-01T00:00:00Z")
          })
    },
    launch: () => Effect.sync(() => void calls.push("launch"))
  })
  const live = handlers.pipe(Layer.provide(ai.layer), Layer.provide([model, tools]))
  const worker = Worker.layer({ flows: [Ask] }).pipe(Layer.provide(live), Layer.provide(MemoryStore.layer()))
  return { calls, layer: Layer.merge(worker, live) }
}

const call = (id: string, name: string, params: unknown): Response.PartEncoded => ({
  type: "tool-call",
  id,
  name,
  params
})

it.live(
  "calls of tools go through Waymark tools, by schema, and what they fail with is told to the model",
  () => {
    const { calls, layer } = world([
      call("a", "weather", { day: "1" }),
      call("b", "weather", { day: "2" }),
      call("c", "weather", { day: true })
    ])
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Ask, "text", { id: "r" })
      const results = yield* runs.await(run)
      assert.deepStrictEqual((results as ReadonlyArray<ReadonlyArray<unknown>>).slice(0, 2), [
        ["weather", false, { degrees: 21, at: "2026-01-01T00:00:00.000Z" }],
        ["weather", true, "no forecast"]
      ])
      assert.strictEqual(
        (results as ReadonlyArray<ReadonlyArray<unknown>>)[2]![1],
        true,
        "no parameters of the tool"
      )
      assert.deepStrictEqual(calls, ["model", "weather 1", "weather 2"])

      const { divergences } = yield* Runs.replay(run)
      assert.deepStrictEqual(divergences, [])
      assert.strictEqual(calls.length, 3, "what is recorded is not called again")
      const events = yield* Stream.runCollect(runs.events(run))
      assert.notInclude(JSON.stringify(events), "secret")
      const inputs = events.flatMap((event) => (event.kind === "callStarted" ? [event.input] : []))
      assert.deepInclude(inputs[0] as object, { messages: 1, tools: ["weather", "launch"] })
      assert.deepStrictEqual(inputs[1], { day: "1" })
    }).pipe(Effect.provide(layer))
  }
)

it.live("objects come by their schema", () => {
  const { calls, layer } = world([{ type: "text", text: `{"days":["1","2"]}` }])
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    assert.deepStrictEqual(yield* runs.execute(Ask, "object"), [1, 2])
    assert.deepStrictEqual(calls, ["model"])
  }).pipe(Effect.provide(layer))
})

it.live("what the model fails with is an AiError that names its reason; a stream is refused", () => {
  const error = AiError.make({
    module: "m",
    method: "x",
    reason: new AiError.AuthenticationError({ kind: "InvalidKey" })
  })
  const { calls, layer } = world(error)
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    assert.include(yield* Effect.flip(runs.execute(Ask, "text")), "AuthenticationError")
    assert.include(yield* Effect.flip(runs.execute(Ask, "stream")), "use generateText")
    assert.deepStrictEqual(calls, ["model"])
  }).pipe(Effect.provide(layer))
})

it("only what may be repeated is repeated after a crash", () => {
  assert.strictEqual(ai.tools.weather.delivery, "atLeastOnce")
  assert.strictEqual(ai.tools.launch.delivery, "atMostOnce")
  assert.isFalse(Tool.requiresCodec(ai.model))
})
