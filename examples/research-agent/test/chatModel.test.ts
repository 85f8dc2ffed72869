/** The real model, before a service on this machine that speaks its protocol. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { LanguageModel, Tool, Toolkit } from "effect/ai"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as ChatModel from "../src/chatModel.ts"
import * as ScriptedModel from "../src/scriptedModel.ts"
import { Witness } from "../src/witness.ts"

interface Asked {
  readonly path: string | undefined
  readonly key: string | undefined
  readonly body: any
}

type Answer = readonly [status: number, body: unknown]

/** Answers one request after the other, and keeps what it was asked. */
const service = (answers: ReadonlyArray<Answer>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Http.Server; readonly asked: Array<Asked> }>((resume) => {
        const asked: Array<Asked> = []
        const server = Http.createServer((request, response) => {
          let text = ""
          request.on("data", (chunk) => (text += String(chunk)))
          request.on("end", () => {
            const [status, body] = answers[asked.length] ?? [500, {}]
            asked.push({ path: request.url, key: request.headers.authorization, body: JSON.parse(text) })
            response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, asked })))
      }),
      ({ server }) => Effect.sync(() => server.close())
    ),
    ({ asked, server }) => ({
      asked,
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`
    })
  )

const model = (environment: Record<string, string>) =>
  ChatModel.layerOr(ScriptedModel.layer(Effect.void)).pipe(
    Layer.provide(Witness.layerNothing),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
  )

const completion = (message: object, reason: string): Answer => [
  200,
  { choices: [{ finish_reason: reason, message }], usage: { prompt_tokens: 7, completion_tokens: 3 } }
]

const Add = Tool.make("add", {
  description: "Adds two numbers",
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  success: Schema.Finite
})
const toolkit = Toolkit.make(Add)

describe("the real model", () => {
  it.live("is asked with the tools, and its calls and words come back", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* service([
        completion(
          {
            content: null,
            tool_calls: [
              { id: "c1", type: "function", function: { name: "add", arguments: '{"a":1,"b":2}' } }
            ]
          },
          "tool_calls"
        ),
        completion({ content: "It is 3." }, "stop")
      ])
      const environment = { OPENAI_API_KEY: "secret", OPENAI_BASE_URL: url, OPENAI_MODEL: "small" }
      const [first, second] = yield* Effect.gen(function* () {
        const called = yield* LanguageModel.generateText({ prompt: "What is 1 and 2?", toolkit })
        const prompt = [
          { role: "user" as const, content: [{ type: "text" as const, text: "What is 1 and 2?" }] },
          {
            role: "assistant" as const,
            content: [{ type: "tool-call" as const, id: "c1", name: "add", params: { a: 1, b: 2 } }]
          },
          {
            role: "tool" as const,
            content: [{ type: "tool-result" as const, id: "c1", name: "add", isFailure: false, result: 3 }]
          }
        ]
        return [called, yield* LanguageModel.generateText({ prompt })] as const
      }).pipe(
        Effect.provide([model(environment), toolkit.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })])
      )
      assert.deepStrictEqual(
        first.toolResults.map(({ result }) => result),
        [3]
      )
      assert.strictEqual(first.usage.inputTokens.total, 7)
      assert.strictEqual(second.text, "It is 3.")
      assert.strictEqual(second.finishReason, "stop")
      const [request, later] = asked
      assert.strictEqual(request!.path, "/v1/chat/completions")
      assert.strictEqual(request!.key, "Bearer secret")
      assert.strictEqual(request!.body.model, "small")
      assert.deepStrictEqual(request!.body.messages, [{ role: "user", content: "What is 1 and 2?" }])
      const [{ function: described }] = request!.body.tools
      assert.strictEqual(described.name, "add")
      assert.deepStrictEqual(Object.keys(described.parameters.properties), ["a", "b"])
      assert.deepStrictEqual(later!.body.messages.slice(1), [
        {
          role: "assistant",
          content: "",
          tool_calls: [{ id: "c1", type: "function", function: { name: "add", arguments: '{"a":1,"b":2}' } }]
        },
        { role: "tool", tool_call_id: "c1", content: "3" }
      ])
    }).pipe(Effect.scoped)
  )

  it.live("fails with what the service says, and says whether it may be asked again", () =>
    Effect.gen(function* () {
      const { url } = yield* service([
        [429, { error: { message: "slower" } }],
        [401, { error: { message: "who are you?" } }],
        [200, { nothing: true }]
      ])
      const ask = Effect.flip(LanguageModel.generateText({ prompt: "Hello" })).pipe(
        Effect.provide(model({ OPENAI_API_KEY: "secret", OPENAI_BASE_URL: url }))
      )
      const found: Array<readonly [string, boolean]> = []
      for (let i = 0; i < 3; i++) {
        const error = yield* ask
        if (error._tag === "AiError") found.push([error.reason._tag, error.reason.isRetryable])
      }
      assert.deepStrictEqual(found, [
        ["RateLimitError", true],
        ["AuthenticationError", false],
        ["InvalidOutputError", true]
      ])
    }).pipe(Effect.scoped)
  )

  it.live("is not asked without a key: then the script answers", () =>
    Effect.gen(function* () {
      const part = { id: "c", name: "publish_report" }
      const answer = yield* LanguageModel.generateText({
        prompt: [
          { role: "assistant", content: [{ type: "tool-call", ...part, params: {} }] },
          { role: "tool", content: [{ type: "tool-result", ...part, isFailure: false, result: null }] }
        ]
      }).pipe(Effect.provide(model({})))
      assert.include(answer.text, "The light went dark")
    })
  )
})
