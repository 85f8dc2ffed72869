/**
 * Makes what `effect/ai` does inside a node durable: every request to the language model, and every call of a tool of a
 * toolkit, is a call of a Waymark tool. One that has completed is in the journal and is never made, or paid for, again.
 *
 * ```text
 * LanguageModel.generateText ─▶ durable model ─▶ Waymark tool "ask-model" ─▶ the real model
 *          └─ a tool call ────▶ durable handler ─▶ Waymark tool of its name ─▶ the real handler
 * ```
 *
 * Code that uses `effect/ai` stays as it is: `durable.provide(effect)` puts the durable model and handlers in its context,
 * and `durable.layer` carries the calls out with the real ones.
 */
import { Hasher, Run, Tool } from "@waymark/core"
import type { Visit } from "@waymark/core/Visit"
import {
  Context,
  type Duration,
  Effect,
  Layer,
  Predicate,
  type Schedule,
  Schema,
  SchemaGetter,
  Stream
} from "effect"
import { AiError, LanguageModel, Prompt, Response, Tool as AiTool, type Toolkit } from "effect/ai"

// -------------------------------------------------------------------------------------------------------------------
// what is stored
// -------------------------------------------------------------------------------------------------------------------

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
const Part = Schema.Union([
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
type Part = typeof Part.Type

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
      toolChoice: toolChoice as Schema.Json,
      ...(responseFormat.type === "json" ? { object: responseFormat.objectName } : undefined)
    }
  }
}

type AskOptions = Pick<LanguageModel.ProviderOptions, "prompt" | "responseFormat" | "toolChoice" | "tools">

const { hash } = Hasher.Hasher.defaultValue()
const encodePrompt = Schema.encodeSync(Prompt.Prompt)

const Question = Schema.Struct({
  messages: Schema.Int,
  digest: Schema.String,
  tools: Schema.Array(Schema.String),
  toolChoice: Schema.Json,
  object: Schema.optionalKey(Schema.String)
})

const AskedSchema = Question.pipe(
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

// -------------------------------------------------------------------------------------------------------------------
// the adapter
// -------------------------------------------------------------------------------------------------------------------

/** The name of the Waymark tool that asks the model. */
export type ModelName = "ask-model"

type ModelTool = Tool.Tool<ModelName, typeof AskedSchema, Schema.$Array<typeof Part>, typeof AiFailed>

type Names<Tools extends Record<string, AiTool.Any>> = {
  [K in keyof Tools]: AiTool.RequiresHandler<Tools[K]> extends true ? Tools[K]["name"] : never
}[keyof Tools]

/** Any toolkit's tools by name, made durable. */
export type DurableTools<Tools extends Record<string, AiTool.Any>> = {
  readonly [K in keyof Tools as AiTool.RequiresHandler<Tools[K]> extends true ? K : never]: Tool.Tool<
    Tools[K]["name"],
    Schema.Codec<AiTool.Parameters<Tools[K]>, AiTool.ParametersEncoded<Tools[K]>>,
    Schema.Codec<AiTool.Success<Tools[K]>, AiTool.SuccessEncoded<Tools[K]>>,
    Schema.Codec<AiTool.Failure<Tools[K]> | AiFailed, unknown>
  >
}

type Handlers<Tools extends Record<string, AiTool.Any>> =
  | Tool.Handler<ModelName>
  | (Names<Tools> extends infer Name ? (Name extends string ? Tool.Handler<Name> : never) : never)

export interface DurableAi<Tools extends Record<string, AiTool.Any>> {
  /** The Waymark tool that asks the model: what its answers are, and how often it is tried. */
  readonly model: ModelTool
  /** The Waymark tool of each tool in the toolkit. */
  readonly tools: DurableTools<Tools>
  /** Gives an effect, in the handler of a node, the durable model and the durable handlers of the toolkit. */
  readonly provide: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<
    A,
    E,
    | Exclude<R, LanguageModel.LanguageModel | AiTool.HandlersFor<Tools> | Tool.Invocation>
    | Handlers<Tools>
    | Visit
  >
  /** Carries the calls out, with a real model and the toolkit's real handlers. */
  readonly layer: Layer.Layer<Handlers<Tools>, never, LanguageModel.LanguageModel | AiTool.HandlersFor<Tools>>
}

export interface Options {
  /** When a request to the model that failed is made again; only for errors that `effect/ai` calls retryable. */
  readonly retry?: Schedule.Schedule<unknown, AiFailed | Tool.ToolTimeout>
  /** The limit of one try of a request to the model, 10 minutes by default. */
  readonly timeout?: Duration.Input | undefined
  /** What is spent of when the model has answered, before any tool is called. */
  readonly budget?: Run.AnyBudget
  /** How much of it an answer costs: by default its tokens, in and out. */
  readonly cost?: (usage: Response.Usage) => number
}

const tokens = ({ inputTokens, outputTokens }: Response.Usage): number =>
  (inputTokens.total ?? 0) + (outputTokens.total ?? 0)

/** What a model answered, as it is stored. */
const storedOf = (content: ReadonlyArray<Response.AnyPart>): Effect.Effect<ReadonlyArray<Part>, AiFailed> => {
  const kept = content.flatMap((part): ReadonlyArray<Response.AnyPart> => {
    if (part.type === "response-metadata") return []
    return part.type === "finish" ? [{ ...part, response: undefined }] : [part]
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

const ask = Effect.fnUntraced(function* ({ options }: Asked) {
  const model = yield* LanguageModel.LanguageModel
  const { prompt, responseFormat, toolChoice } = options
  if (responseFormat.type === "json") {
    const { objectName, schema } = responseFormat
    const response = yield* model.generateObject({
      prompt,
      objectName,
      schema: schema as Schema.Encoder<any>
    })
    const value = yield* Effect.orDie(Schema.encodeEffect(schema as Schema.Codec<unknown>)(response.value))
    const rest = response.content.filter(({ type }) => type !== "text")
    return yield* storedOf([Response.makePart("text", { text: JSON.stringify(value) }), ...rest])
  }
  const tools = Object.fromEntries(options.tools.map((tool) => [tool.name, tool]))
  // The tools are described to the model here; their calls are made in the visit, where they are durable.
  const toolkit: Toolkit.WithHandler<Record<string, AiTool.Any>> = {
    tools,
    handle: (name) => Effect.die(new Error(`tool ${name} was called inside a request to the model`))
  }
  const request = {
    prompt,
    toolChoice,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
  } as const
  const response = yield* options.tools.length === 0
    ? model.generateText({ prompt })
    : model.generateText({ ...request, toolkit })
  return yield* storedOf(response.content as ReadonlyArray<Response.AnyPart>)
})

const failed = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, AiError.AiError> | AiFailed, R> =>
  Effect.mapError(effect, (error) => (AiError.isAiError(error) ? AiFailed.of(error) : error)) as any

const restored = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, AiFailed> | AiError.AiError, R> =>
  Effect.mapError(effect, (error) =>
    Predicate.isTagged(error, "AiFailed") ? (error as unknown as AiFailed).aiError : error
  ) as any

/**
 * The Waymark tool of a tool. One that only reads, or that is annotated as idempotent, may be carried out again if its
 * result was lost in a crash; any other one may not, and a person is asked what became of it.
 */
const toolOf = (tool: AiTool.Any): Tool.Tool<string, any, any, any> => {
  const repeatable =
    Context.get(tool.annotations, AiTool.Readonly) || Context.get(tool.annotations, AiTool.Idempotent)
  return Tool.make(tool.name, {
    input: tool.parametersSchema as Schema.Codec<unknown>,
    output: tool.successSchema as Schema.Codec<unknown>,
    error: Schema.Union([tool.failureSchema as Schema.Codec<unknown>, AiFailed]),
    delivery: repeatable ? "atLeastOnce" : "atMostOnce",
    ...(tool.description === undefined ? undefined : { description: tool.description })
  })
}

/** Sorts what says something of a call as the calls were made; what does not stays where it is, before the others. */
const byCall = <P extends { readonly type: string }>(
  parts: ReadonlyArray<P>,
  calls: ReadonlyMap<string, number>
): Array<P> => {
  const place = (part: any): number =>
    calls.get(
      part.type === "tool-result" ? part.id : part.type === "tool-approval-request" ? part.toolCallId : ""
    ) ?? -1
  return [...parts].sort((a, b) => place(a) - place(b))
}

const callsOf = (messages: ReadonlyArray<Prompt.Message>): Map<string, number> => {
  const calls = new Map<string, number>()
  for (const { content, role } of messages) {
    if (role !== "assistant") continue
    for (const part of content) if (part.type === "tool-call") calls.set(part.id, calls.size)
  }
  return calls
}

/**
 * The results of calls that were made at the same time come in the order of the calls, whichever was done first, so that
 * a run that is executed again comes to the same; before them those of earlier calls that had to be approved.
 */
const answerInOrder = (
  asked: Prompt.RawInput,
  content: ReadonlyArray<Response.AnyPart>
): ReadonlyArray<Response.AnyPart> => {
  const calls = callsOf(Prompt.make(asked).content)
  const earlier = (part: Response.AnyPart) => part.type === "tool-result" && calls.has(part.id)
  const now = content.filter((part) => !earlier(part))
  const made = new Map(
    now.flatMap((part) => (part.type === "tool-call" ? [part.id] : [])).map((id, at) => [id, at])
  )
  return [...byCall(content.filter(earlier), calls), ...byCall(now, made)]
}

/** Makes the model, and the tools of a toolkit, durable. */
export const make = <Tools extends Record<string, AiTool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>,
  { budget, cost = tokens, retry, timeout = "10 minutes" }: Options = {}
): DurableAi<Tools> => {
  const model: ModelTool = Tool.make("ask-model", {
    input: AskedSchema,
    output: Schema.Array(Part),
    error: AiFailed,
    description: "Asks the language model",
    timeout,
    ...(retry === undefined ? undefined : { retry, while: ({ retryable }: AiFailed) => retryable })
  })
  const handled = Object.values<AiTool.Any>(toolkit.tools).filter((tool) => !AiTool.isProviderDefined(tool))
  const tools: Record<string, ReturnType<typeof toolOf>> = Object.fromEntries(
    handled.map((tool) => [tool.name, toolOf(tool)])
  )

  const decodeFinish = Schema.decodeSync(Response.FinishPart)
  const generateText = Effect.fnUntraced(function* (options: AskOptions) {
    const parts = yield* restored(model.call(new Asked(options)))
    const end = parts.find((part) => part.type === "finish")
    if (budget !== undefined && end !== undefined) yield* Run.spend(budget, cost(decodeFinish(end).usage))
    return [...parts] as Array<Response.PartEncoded>
  })

  const provide = (effect: Effect.Effect<any, any, any>) =>
    Effect.gen(function* () {
      const visit = yield* Effect.context<Visit | Tool.Handler<ModelName>>()
      const concurrent = yield* LanguageModel.make({
        generateText: (options) => Effect.provideContext(generateText(options), visit),
        streamText: () =>
          Stream.fail(
            AiError.make({
              module: "durableAi",
              method: "streamText",
              reason: new AiError.InvalidUserInputError({
                description: "what is streamed cannot be stored as it comes: use generateText"
              })
            })
          )
      })
      const durable: LanguageModel.LanguageModel = {
        ...concurrent,
        generateText: (options: LanguageModel.GenerateTextOptions<any>) =>
          Effect.map(
            concurrent.generateText(options as never) as Effect.Effect<
              LanguageModel.GenerateTextResponse<any>
            >,
            ({ content }) =>
              new LanguageModel.GenerateTextResponse(answerInOrder(options.prompt, content) as any)
          ) as any
      }
      const handlers = yield* toolkit.toHandlers(
        Object.fromEntries(
          Object.values(tools).map((tool) => [
            tool.name,
            (params: unknown, { toolCallId }: Toolkit.HandlerContext<AiTool.Any>) =>
              restored(tool.call(params, toolCallId === undefined ? undefined : { key: toolCallId }))
          ])
        ) as any
      )
      return yield* Effect.provideContext(effect, Context.add(handlers, LanguageModel.LanguageModel, durable))
    })

  const carryOut = (tool: AiTool.Any) => (params: unknown) =>
    Effect.gen(function* () {
      const real: Toolkit.WithHandler<Record<string, AiTool.Any>> = yield* toolkit as any
      const encoded = yield* Effect.orDie(
        Schema.encodeEffect(tool.parametersSchema as Schema.Codec<unknown>)(params)
      )
      const results = yield* real.handle(tool.name, encoded as never)
      // What a handler says before its end is not stored.
      const final = yield* Stream.runCollect(Stream.filter(results, ({ preliminary }) => !preliminary))
      const { isFailure, result } = final.at(-1)!
      return yield* isFailure ? Effect.fail(result) : Effect.succeed(result)
    }).pipe(failed)

  const layer = handled.reduce(
    (all, tool): Layer.Layer<any, any, any> =>
      Layer.merge(all, tools[tool.name]!.toLayer(carryOut(tool) as any)),
    model.toLayer((asked) => failed(ask(asked))) as Layer.Layer<any, any, any>
  )
  return { model, tools, provide, layer } as any
}

/**
 * What a response adds to the conversation. The results of calls that had to be approved first come before what the model
 * said to them.
 */
export const messagesOf = (content: ReadonlyArray<Response.AnyPart>): ReadonlyArray<Prompt.Message> => {
  const called = new Set(content.flatMap((part) => (part.type === "tool-call" ? [part.id] : [])))
  const earlier = (part: Response.AnyPart) => part.type === "tool-result" && !called.has(part.id)
  return [content.filter(earlier), content.filter((part) => !earlier(part))].flatMap(
    (parts) => Prompt.fromResponseParts(parts).content
  )
}
