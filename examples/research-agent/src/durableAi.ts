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
import { Run, Tool } from "@waymark/core"
import type { Visit } from "@waymark/core/Visit"
import { Context, type Duration, Effect, Layer, Predicate, type Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel, Response, Tool as AiTool, type Toolkit } from "effect/ai"
import { answerInOrder } from "./conversation.ts"
import { AiFailed, Asked, AskedSchema, type AskOptions, Part, storedOf } from "./stored.ts"

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
      const results = yield* real.handle(tool.name, encoded)
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
