/**
 * A real language model: any service that speaks the chat completions protocol. It takes part as soon as a key is in the
 * environment; without one, the script does.
 *
 * - `OPENAI_API_KEY`: the key
 * - `OPENAI_MODEL`: the model, `gpt-4o-mini` unless said otherwise
 * - `OPENAI_BASE_URL`: where the service is, `https://api.openai.com/v1` unless said otherwise
 */
import { Config, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, type Prompt, type Response, Tool } from "effect/ai"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { Witness } from "./witness.ts"

const settings = Config.all({
  key: Config.Redacted("OPENAI_API_KEY"),
  model: Config.String("OPENAI_MODEL").pipe(Config.withDefault("gpt-4o-mini")),
  url: Config.String("OPENAI_BASE_URL").pipe(Config.withDefault("https://api.openai.com/v1"))
})

const module = "chatModel"

const textOf = (parts: ReadonlyArray<{ readonly type: string }>): string =>
  parts
    .flatMap((part) => (part.type === "text" ? [(part as unknown as { readonly text: string }).text] : []))
    .join("\n")

/** What was said so far, as the protocol has it: a message of the tools is one for each result. */
const messagesOf = (prompt: Prompt.Prompt): ReadonlyArray<object> =>
  prompt.content.flatMap((message): ReadonlyArray<object> => {
    switch (message.role) {
      case "system":
        return [{ role: "system", content: message.content }]
      case "user":
        return [{ role: "user", content: textOf(message.content) }]
      case "assistant": {
        const calls = message.content.filter((part): part is Prompt.ToolCallPart => part.type === "tool-call")
        const toolCalls = calls.map(({ id, name, params }) => ({
          id,
          type: "function",
          function: { name, arguments: JSON.stringify(params) }
        }))
        const said = { role: "assistant", content: textOf(message.content) }
        return [toolCalls.length === 0 ? said : { ...said, tool_calls: toolCalls }]
      }
      case "tool":
        return message.content.flatMap((part) =>
          part.type === "tool-result"
            ? [{ role: "tool", tool_call_id: part.id, content: JSON.stringify(part.result) }]
            : []
        )
    }
  })

const requestOf = (model: string, { prompt, toolChoice, tools }: LanguageModel.ProviderOptions): object => ({
  model,
  messages: messagesOf(prompt),
  ...(tools.length === 0
    ? undefined
    : {
        tools: tools.map((tool) => ({
          type: "function",
          function: {
            name: tool.name,
            description: Tool.getDescription(tool),
            parameters: Tool.getJsonSchema(tool)
          }
        })),
        tool_choice: typeof toolChoice === "string" ? toolChoice : "auto"
      })
})

const Completion = Schema.Struct({
  choices: Schema.NonEmptyArray(
    Schema.Struct({
      finish_reason: Schema.NullOr(Schema.String),
      message: Schema.Struct({
        content: Schema.optionalKey(Schema.NullOr(Schema.String)),
        tool_calls: Schema.optionalKey(
          Schema.Array(
            Schema.Struct({
              id: Schema.String,
              function: Schema.Struct({ name: Schema.String, arguments: Schema.fromJsonString(Schema.Json) })
            })
          )
        )
      })
    })
  ),
  usage: Schema.optionalKey(Schema.Struct({ prompt_tokens: Schema.Finite, completion_tokens: Schema.Finite }))
})

const reasons: { readonly [reason: string]: Response.FinishReason } = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  content_filter: "content-filter"
}

const partsOf = ({ choices, usage }: typeof Completion.Type): Array<Response.PartEncoded> => {
  const [{ finish_reason: reason, message }] = choices
  const parts: Array<Response.PartEncoded> = []
  if (message.content) parts.push({ type: "text", text: message.content })
  for (const { function: called, id } of message.tool_calls ?? []) {
    parts.push({ type: "tool-call", id, name: called.name, params: called.arguments })
  }
  const { completion_tokens: output = 0, prompt_tokens: input = 0 } = usage ?? {}
  parts.push({
    type: "finish",
    reason: reasons[reason ?? ""] ?? "unknown",
    usage: {
      inputTokens: { uncached: input, total: input, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: output, text: output, reasoning: 0 }
    }
  })
  return parts
}

const failed = (reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module, method: "generateText", reason })

/** The model that the environment names, over any client of HTTP. */
export const layer: Layer.Layer<
  LanguageModel.LanguageModel,
  Config.ConfigError,
  HttpClient.HttpClient | Witness
> = Layer.effect(
  LanguageModel.LanguageModel,
  Effect.gen(function* () {
    const { key, model, url } = yield* settings
    const { around } = yield* Witness
    const client = yield* HttpClient.HttpClient
    const ask = Effect.fnUntraced(function* (options: LanguageModel.ProviderOptions) {
      const response = yield* HttpClientRequest.post(`${url.replace(/\/$/, "")}/chat/completions`).pipe(
        HttpClientRequest.bearerToken(Redacted.value(key)),
        HttpClientRequest.bodyJsonUnsafe(requestOf(model, options)),
        client.execute,
        Effect.mapError((error) => failed(new AiError.InternalProviderError({ description: error.message })))
      )
      const body = yield* Effect.mapError(response.json, (error) =>
        failed(new AiError.InvalidOutputError({ description: error.message }))
      )
      if (response.status >= 400) {
        return yield* failed(AiError.reasonFromHttpStatus({ status: response.status, body }))
      }
      const completion = yield* Effect.mapError(Schema.decodeUnknownEffect(Completion)(body), (error) =>
        failed(new AiError.InvalidOutputError({ description: error.message }))
      )
      return partsOf(completion)
    })
    return yield* LanguageModel.make({
      generateText: (options) => around("model", model, ask(options)),
      streamText: () =>
        Stream.fail(
          AiError.make({
            module,
            method: "streamText",
            reason: new AiError.InvalidUserInputError({ description: "it answers as a whole" })
          })
        )
    })
  })
)

/** This model if there is a key for it in the environment, else another one. */
export const layerOr = <E, R>(
  other: Layer.Layer<LanguageModel.LanguageModel, E, R>
): Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError | E, R | Witness> =>
  Layer.unwrap(
    Effect.map(
      Config.option(Config.Redacted("OPENAI_API_KEY")),
      (key): Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError | E, R | Witness> =>
        Option.isSome(key) ? Layer.provide(layer, FetchHttpClient.layer) : other
    )
  )
