/**
 * Tools that answer by script, and remember what they were asked.
 *
 * ```ts
 * import * as Tool from "@waymark/core/Tool"
 * import * as FakeTools from "@waymark/testing/FakeTools"
 * import * as Schema from "effect/Schema"
 *
 * class Busy extends Schema.TaggedError<Busy>()("Busy", { seconds: Schema.Int }) {}
 * const Search = Tool.make("search", {
 *   input: { query: Schema.String },
 *   output: Schema.Array(Schema.String),
 *   error: Busy
 * })
 * const Publish = Tool.make("publish", { input: { text: Schema.String } })
 *
 * export const tools = FakeTools.make(
 *   // The first try fails, the second takes a while, a third would be an error that names it.
 *   FakeTools.script(
 *     Search,
 *     FakeTools.fail(new Busy({ seconds: 3 })),
 *     FakeTools.after("2 seconds", FakeTools.succeed(["a hit"]))
 *   ),
 *   FakeTools.refuse(Publish)
 * )
 * // tools.layer is what the flow's layer needs; afterwards:
 * export const assertions = () => {
 *   tools.expectInputs(Search, [{ query: "x" }, { query: "x" }])
 *   tools.expectDone()
 * }
 * ```
 *
 * Fakes outlive the process that calls them, as the world does: give the same ones to the worker that recovers a run. A
 * call that is repeated because its result was lost in a crash (`Invocation.repeated`) gets the reply it had before, as
 * from a system that recognises the idempotency key.
 *
 * Undoing a call of a fake succeeds, unless {@link undo} says otherwise.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import { differences } from "./internal/differences.ts"
import { ExpectationFailed } from "./internal/expectation.ts"
import { ok } from "./internal/fakeReplies.ts"
import type { Reply, ReplyOf } from "./internal/fakeReplies.ts"

export { ExpectationFailed }
export * from "./internal/fakeReplies.ts"

/**
 * One try of a call, as the fake saw it. Tries are numbered from 1 in the order in which they came.
 *
 * - `result`: `"pending"` until the fake has answered, and for good if the caller died or is still waiting
 *
 * @category models
 * @since 0.1.0
 */
export interface Call<T extends Tool.Any = Tool.Any> {
  readonly number: number
  readonly tool: T["name"]
  readonly input: T["input"]["Type"]
  readonly key: string
  readonly attempt: number
  readonly repeated: boolean
  readonly run: string
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly result: "pending" | "succeeded" | "failed" | "interrupted"
}

/**
 * A fake was called when no call was expected.
 *
 * It is the defect of that call, so it fails the run unless a policy of the flow says otherwise; `expectDone` throws it in
 * any case.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnexpectedCall extends Schema.TaggedError<UnexpectedCall>()("UnexpectedCall", {
  tool: Schema.String,
  input: Schema.Unknown,
  run: Schema.String,
  node: Schema.String,
  visit: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `unexpected call of tool ${this.tool} with ${JSON.stringify(this.input)} at node ${this.node} (visit ${this.visit}) of run ${JSON.stringify(this.run)}: ${this.detail}`
  }
}

/**
 * One try at undoing a call, as the fake saw it: `undoes` is the idempotency key of the call, and `output` what it came to
 * (`undefined` if nobody knows).
 *
 * @category models
 * @since 0.1.0
 */
export interface Undo<T extends Tool.Any = Tool.Any> extends Call<T> {
  readonly undoes: string
  readonly output: T["output"]["Type"] | undefined
}

/** Says what a fake does with a call: a reply, an effect, or that it was not expected. */
type Respond = (
  input: any,
  call: Call
) => Reply<unknown, unknown> | Effect.Effect<unknown, unknown> | { readonly unexpected: string }

/**
 * A fake of one tool.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fake<out Name extends string> {
  readonly tool: Tool.Any & { readonly name: Name }
  /** Begins anew, for one set of fakes. @internal */
  readonly open: () => { readonly respond: Respond; readonly unused: () => number }
  /** What undoing a call amounts to; by default it succeeds. @internal */
  readonly undo?: (undo: Undo<any>) => Reply<void, unknown> | Effect.Effect<void, unknown>
}

/**
 * Replies in this order, one for each try; a further one is unexpected.
 *
 * @category constructors
 * @since 0.1.0
 */
export const script = <T extends Tool.Any>(
  tool: T,
  ...replies: readonly [ReplyOf<T>, ...ReadonlyArray<ReplyOf<T>>]
): Fake<T["name"]> => ({
  tool,
  open: () => {
    let used = 0
    return {
      unused: () => replies.length - used,
      respond: () =>
        replies[used++] ?? {
          unexpected: `its script has ${replies.length} ${replies.length === 1 ? "reply, which was" : "replies, all"} given`
        }
    }
  }
})

/**
 * Replies to every call by its input: with a reply, or with an effect that gives the output.
 *
 * @category constructors
 * @since 0.1.0
 */
export const answer = <T extends Tool.Any>(
  tool: T,
  respond: (
    input: T["input"]["Type"],
    call: Call<T>
  ) => ReplyOf<T> | Effect.Effect<T["output"]["Type"], T["error"]["Type"]>
): Fake<T["name"]> => ({ tool, open: () => ({ unused: () => 0, respond: respond as Respond }) })

/**
 * Gives every call the same reply.
 *
 * @category constructors
 * @since 0.1.0
 */
export const always = <T extends Tool.Any>(tool: T, reply: ReplyOf<T>): Fake<T["name"]> =>
  answer(tool, () => reply)

/**
 * Expects no call at all.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse = <T extends Tool.Any>(tool: T): Fake<T["name"]> => ({
  tool,
  open: () => ({ unused: () => 0, respond: () => ({ unexpected: "no call of it is expected" }) })
})

/**
 * A fake whose calls are not simply undone: every try is answered with a reply, or with an effect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const undo = <T extends Tool.Any>(
  tool: T,
  fake: Fake<T["name"]>,
  respond: (undo: Undo<T>) => Reply<void, T["error"]["Type"]> | Effect.Effect<void, T["error"]["Type"]>
): Fake<T["name"]> => ({ ...fake, tool, undo: respond })

/**
 * Fakes of the tools with these names.
 *
 * @category models
 * @since 0.1.0
 */
export interface FakeTools<in out Names extends string> {
  /** The tools' handlers, for the layer of a flow. */
  readonly layer: Layer.Layer<HandlersOf<Names>>
  /** The same in front of real handlers: calls of these tools come here, all others go where they go. */
  readonly layerExecutor: Layer.Layer<never>
  /** Every try so far, or every one of a tool. */
  readonly calls: {
    (): ReadonlyArray<Call>
    <T extends Tool.Any>(tool: T): ReadonlyArray<Call<T>>
  }
  /** Every try at undoing a call so far, or every one of a tool. */
  readonly undos: {
    (): ReadonlyArray<Undo>
    <T extends Tool.Any>(tool: T): ReadonlyArray<Undo<T>>
  }
  /** What a tool was called with, try by try. */
  readonly inputs: <T extends Tool.Any>(tool: T) => ReadonlyArray<T["input"]["Type"]>
  /** The calls that were not expected. */
  readonly unexpected: () => ReadonlyArray<UnexpectedCall>
  /** Every try in a line of its own: for messages and snapshots. */
  readonly timeline: () => string
  /** Throws, with the difference, unless a tool was called with exactly these inputs, in this order. */
  readonly expectInputs: <T extends Tool.Any>(tool: T, inputs: ReadonlyArray<T["input"]["Type"]>) => void
  /** Throws unless every scripted reply was given and no call was unexpected. */
  readonly expectDone: () => void
}

type HandlersOf<Names> = Names extends string ? Tool.Handler<Names> : never

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const carryOut = (reply: Reply<unknown, unknown>): Effect.Effect<unknown, unknown> => {
  switch (reply._tag) {
    case "Succeed":
      return Effect.succeed(reply.output)
    case "Fail":
      return Effect.fail(reply.error)
    case "Die":
      return Effect.die(reply.defect)
    case "Hang":
      return Effect.never
    case "After":
      return Effect.andThen(Effect.sleep(reply.delay), carryOut(reply.reply))
  }
}

const placeOf = ({ beat: _beat, ...place }: Tool.Invocation["Service"]) => place

/** Tells tries apart, also in the next process. */
const identityOf = (tool: Tool.Any, { attempt, key }: Tool.Invocation["Service"]): string =>
  JSON.stringify([tool.name, key, attempt])

const noting = (
  effect: Effect.Effect<unknown, unknown>,
  call: Mutable<Call>
): Effect.Effect<unknown, unknown> =>
  Effect.onExit(effect, (exit) =>
    Effect.sync(() => {
      if (Exit.isSuccess(exit)) call.result = "succeeded"
      else
        call.result = exit.cause.reasons.some(({ _tag }) => _tag !== "Interrupt") ? "failed" : "interrupted"
    })
  )

const lineOf = ({ attempt, input, node, number, repeated, result, run, tool, visit }: Call): string =>
  `#${number} ${tool} ${JSON.stringify(input)} at ${run} ${node}/${visit}, try ${attempt}${repeated ? " (repeated)" : ""}: ${result}`

/**
 * Makes fakes that answer together. Two fakes of one tool are an error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Fakes extends ReadonlyArray<Fake<string>>>(
  ...fakes: Fakes
): FakeTools<Fakes[number]["tool"]["name"]> => {
  const calls: Array<Mutable<Call>> = []
  const undos: Array<Mutable<Undo>> = []
  const unexpected: Array<UnexpectedCall> = []
  const opened = new Map<string, ReturnType<Fake<string>["open"]>>()
  const undoing = new Map<string, Fake<string>["undo"]>()
  for (const { open, tool, undo: respondTo } of fakes) {
    if (opened.has(tool.name)) throw new RangeError(`there are two fakes of tool ${tool.name}`)
    opened.set(tool.name, open())
    undoing.set(tool.name, respondTo)
  }
  /** What a try got, by key and number of the try: for the time when it is repeated. */
  const given = new Map<string, Effect.Effect<unknown, unknown>>()

  const respond = (
    tool: Tool.Any,
    input: unknown,
    invocation: Tool.Invocation["Service"]
  ): Effect.Effect<unknown, unknown> =>
    Effect.suspend(() => {
      const call: Mutable<Call> = {
        number: calls.length + 1,
        tool: tool.name,
        input,
        ...placeOf(invocation),
        result: "pending"
      }
      calls.push(call)
      const identity = identityOf(tool, invocation)
      let effect = invocation.repeated ? given.get(identity) : undefined
      if (effect === undefined) {
        const response = opened.get(tool.name)!.respond(input, call)
        if ("unexpected" in response) {
          const { node, run, visit } = invocation
          const error = new UnexpectedCall({
            tool: tool.name,
            input,
            run,
            node,
            visit,
            detail: response.unexpected
          })
          unexpected.push(error)
          effect = Effect.die(error)
        } else effect = Effect.isEffect(response) ? response : carryOut(response)
        given.set(identity, effect)
      }
      return noting(effect, call)
    })

  const respondToUndo = (
    tool: Tool.Any,
    { input, key: undoes, output }: Tool.Done<unknown, unknown>,
    invocation: Tool.Invocation["Service"]
  ): Effect.Effect<unknown, unknown> =>
    Effect.suspend(() => {
      const number = undos.length + 1
      const tried: Mutable<Undo> = {
        number,
        tool: tool.name,
        input,
        output,
        undoes,
        ...placeOf(invocation),
        result: "pending"
      }
      undos.push(tried)
      const identity = identityOf(tool, invocation)
      let effect = invocation.repeated ? given.get(identity) : undefined
      if (effect === undefined) {
        const response = undoing.get(tool.name)?.(tried) ?? ok
        effect = Effect.isEffect(response) ? response : carryOut(response)
        given.set(identity, effect)
      }
      return noting(effect, tried)
    })

  const layerOf = (tool: Tool.Any): Layer.Layer<any> =>
    Layer.effectContext(
      Effect.map(Effect.context(), (context) =>
        Context.make(Tool.handlerKey(tool.name), {
          tool,
          context: context as Context.Context<any>,
          handler: (input: unknown) =>
            Effect.flatMap(Tool.Invocation, (invocation) => respond(tool, input, invocation)),
          ...(tool.compensate === undefined
            ? undefined
            : {
                compensate: (done: Tool.Done<unknown, unknown>) =>
                  Effect.flatMap(Tool.Invocation, (invocation) => respondToUndo(tool, done, invocation))
              })
        })
      )
    )

  const callsOf = (tool?: Tool.Any): ReadonlyArray<any> =>
    tool === undefined ? [...calls] : calls.filter((call) => call.tool === tool.name)
  const inputs = (tool: Tool.Any): ReadonlyArray<any> => callsOf(tool).map(({ input }) => input)
  const timeline = (): string =>
    calls.length === 0
      ? "no tool was called"
      : [...calls.map(lineOf), ...undos.map((tried) => `undo ${lineOf(tried)}`)].join("\n")

  return {
    layer: fakes
      .map(({ tool }) => layerOf(tool))
      .reduce((all, one) => Layer.merge(all, one), Layer.empty as Layer.Layer<any>),
    layerExecutor: Layer.effectContext(
      Effect.map(ToolExecutor, (real) =>
        Context.make(ToolExecutor, {
          execute: (request, local) =>
            opened.has(request.tool.name)
              ? respond(request.tool, request.input, request.invocation)
              : real.execute(request, local),
          compensate: (request, local) =>
            opened.has(request.tool.name)
              ? respondToUndo(request.tool, { input: request.input, ...request.undo! }, request.invocation)
              : (real.compensate?.(request, local) ?? local)
        })
      )
    ),
    calls: callsOf,
    undos: (tool?: Tool.Any): ReadonlyArray<any> =>
      undos.filter((one) => tool === undefined || one.tool === tool.name),
    inputs,
    unexpected: () => [...unexpected],
    timeline,
    expectInputs: (tool, expected) => {
      const actual = inputs(tool)
      const lines = differences(expected, actual)
      if (lines.length === 0) return
      throw new ExpectationFailed({
        detail: `tool ${tool.name} was not called with what was expected:\n${lines.map((line) => `  ${line}`).join("\n")}\n${timeline()}`,
        expected,
        actual
      })
    },
    expectDone: () => {
      if (unexpected.length > 0) throw unexpected[0]!
      const unused = [...opened].flatMap(([tool, fake]) =>
        fake.unused() > 0 ? [`${fake.unused()} of tool ${tool}`] : []
      )
      if (unused.length === 0) return
      throw new ExpectationFailed({
        detail: `not all scripted replies were given: ${unused.join(", ")} are left\n${timeline()}`,
        expected: [],
        actual: unused
      })
    }
  }
}
