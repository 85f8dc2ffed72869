/**
 * What the journal holds of requests to a language model and of its answers.
 */
import { Hasher } from "@waymark/core"
import { Effect, Predicate, Schema, SchemaGetter } from "effect"
import { AiError, type LanguageModel, Prompt, Response } from "effect/ai"

/**
 * A message of a conversation, for a channel of a flow's state. `effect/ai` leaves open what is in the parameters and the
 * results of tools; a journal holds JSON.
 */
export const Message: Schema.Codec<Prompt.Message, Schema.Json> = Schema.Json.pipe(
  Schema.decodeTo(Schema.toCodecJson(Prompt.Message))
)

/** An `AiError` as it is stored. The original may hold headers of requests, with keys in them. */
export class AiFailed extends Schema.TaggedError<AiFailed>()("AiFailed", {
  module: Schema.String,
  method: Schema.String,
  /** The tag of the reason: `RateLimitError`, say. */
  reason: Schema.String,
  detail: Schema.String,
  retryable: Schema.Boolean
}) {
  override get message(): string {
    return `${this.module}.${this.method}: ${this.reason}: ${this.detail}`
  }
  static of({ isRetryable, method, module, reason }: AiError.AiError): AiFailed {
    return new AiFailed({
      module,
      method,
      reason: reason._tag,
      detail: reason.message,
      retryable: isRetryable
    })
  }
  get aiError(): AiError.AiError {
    const reason = new AiError.UnknownError({ description: `${this.reason}: ${this.detail}` })
    return AiError.make({ module: this.module, method: this.method, reason })
  }
}

const { response: _http, ...finish } = Response.FinishPart.fields
const Metadata = Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))

/** A part of what a model answered: as `effect/ai` encodes it, but without the headers of the provider's response. */
export const Part = Schema.Union([
  Schema.toEncoded(Response.TextPart),
  Schema.toEncoded(Response.ReasoningPart),
  Schema.toEncoded(Response.FilePart),
  Schema.toEncoded(Response.DocumentSourcePart),
  Schema.toEncoded(Response.UrlSourcePart),
  Schema.toEncoded(Schema.Struct(finish)),
  Schema.Struct({
    type: Schema.Literal("tool-call"),
    id: Schema.String,
    name: Schema.String,
    params: Schema.Json,
    providerExecuted: Schema.optionalKey(Schema.Boolean),
    metadata: Metadata
  }),
  // Only of tools that the provider itself carries out.
  Schema.Struct({
    type: Schema.Literal("tool-result"),
    id: Schema.String,
    name: Schema.String,
    isFailure: Schema.Boolean,
    result: Schema.Json,
    providerExecuted: Schema.optionalKey(Schema.Boolean),
    metadata: Metadata
  })
])
export type Part = typeof Part.Type

/**
 * What the model is asked. The conversation is in the run's state, so that the journal has it once: the call is stored
 * with the digest of it, by which a run that is executed again is held to the same question.
 */
export class Asked {
  readonly _tag = "Asked"
  readonly options: AskOptions
  constructor({ prompt, responseFormat, toolChoice, tools }: AskOptions) {
    this.options = { prompt, responseFormat, toolChoice, tools }
  }
  /** As it is stored. */
  toJSON(): typeof Question.Type {
    const { prompt, responseFormat, toolChoice, tools } = this.options
    return {
      messages: prompt.content.length,
      digest: hash(JSON.stringify(encodePrompt(prompt))),
      tools: tools.map(({ name }) => name),
      toolChoice,
      ...(responseFormat.type === "json" ? { object: responseFormat.objectName } : undefined)
    }
  }
}

export type AskOptions = Pick<
  LanguageModel.ProviderOptions,
  "prompt" | "responseFormat" | "toolChoice" | "tools"
>

const { hash } = Hasher.Hasher.defaultValue()
const encodePrompt = Schema.encodeSync(Prompt.Prompt)

const Question = Schema.Struct({
  messages: Schema.Int,
  digest: Schema.String,
  tools: Schema.Array(Schema.String),
  toolChoice: Schema.Json,
  object: Schema.optionalKey(Schema.String)
})

export const AskedSchema = Question.pipe(
  Schema.decodeTo(
    Schema.declare((u): u is Asked => Predicate.isTagged(u, "Asked")),
    {
      decode: SchemaGetter.forbidden(
        () => "the conversation is not stored with the call, but in the run's state"
      ),
      encode: SchemaGetter.transform((asked) => asked.toJSON())
    }
  )
)

/** What a model answered, as it is stored. */
export const storedOf = (
  content: ReadonlyArray<Response.AnyPart>
): Effect.Effect<ReadonlyArray<Part>, AiFailed> => {
  const kept = content.flatMap((part): ReadonlyArray<Response.AnyPart> => {
    if (part.type === "response-metadata") return []
    if (part.type !== "finish") return [part]
    const { metadata, reason, usage } = part
    return [Response.makePart("finish", { metadata, reason, usage, response: undefined })]
  })
  return Schema.encodeEffect(Schema.Array(Response.AllParts()))(kept as ReadonlyArray<any>).pipe(
    Effect.map((parts) =>
      parts.map((part) => {
        const { "~effect/ai/Response/Part": _, response: __, preliminary: ___, ...rest } = part as any
        if (rest.metadata !== undefined && Object.keys(rest.metadata).length === 0) delete rest.metadata
        return rest as Part
      })
    ),
    Effect.mapError(
      ({ message }) =>
        new AiFailed({
          module: "durableAi",
          method: "ask-model",
          reason: "InvalidOutputError",
          detail: `the answer cannot be stored: ${message}`,
          retryable: false
        })
    )
  )
}
