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
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import { ExpectationFailed } from "./internal/expectation.ts"
import * as Expected from "./internal/fakes/expected.ts"
import type { Expectations } from "./internal/fakes/expected.ts"
import { aFake, UnexpectedCall } from "./internal/fakes/fake.ts"
import type { Call, Fake, Opened, Undo } from "./internal/fakes/fake.ts"
import { carryOut, ok } from "./internal/fakes/replies.ts"
import * as Given from "./internal/given.ts"

export { ExpectationFailed }
export type { Expectations }
export {
  always,
  answer,
  cycle,
  expecting,
  refuse,
  script,
  undo,
  UnexpectedCall
} from "./internal/fakes/fake.ts"
export type { Call, Fake, Undo } from "./internal/fakes/fake.ts"
export * from "./internal/fakes/generated.ts"
export * from "./internal/fakes/plans.ts"
export * from "./internal/fakes/recorded.ts"
export { after, die, fail, hang, ok, succeed } from "./internal/fakes/replies.ts"
export type { Reply, ReplyOf } from "./internal/fakes/replies.ts"

/**
 * Fakes of the tools with these names.
 *
 * @category models
 * @since 0.1.0
 */
export interface FakeTools<in out Names extends string> extends Expectations {
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
}

type HandlersOf<Names> = Names extends string ? Tool.Handler<Names> : never

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

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
  `#${number} ${tool} ${format(input)} at ${run} ${node}/${visit}, try ${attempt}${repeated ? " (repeated)" : ""}: ${result}`

/**
 * Makes fakes that answer together. Two fakes of one tool are an error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Fakes extends ReadonlyArray<Fake<string>>>(
  ...fakes: Fakes
): FakeTools<Fakes[number]["tool"]["name"]> => {
  Given.refuse(
    "FakeTools.make",
    fakes.flatMap((fake, index) => Given.problemOf(`fakes[${index}]`, fake, aFake))
  )
  const calls: Array<Mutable<Call>> = []
  const undos: Array<Mutable<Undo>> = []
  const unexpected: Array<UnexpectedCall> = []
  const opened = new Map<string, Opened>()
  for (const { open, tool } of fakes) {
    if (opened.has(tool.name)) throw new RangeError(`there are two fakes of tool ${tool.name}`)
    opened.set(tool.name, open())
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
        const response = opened.get(tool.name)?.undo?.(tried) ?? ok
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

  const tools = new Set(opened.keys())
  const of = <A extends Call>(where: string, all: ReadonlyArray<A>, tool: Tool.Any): ReadonlyArray<A> => {
    Expected.refuseUnseen(where, tools, tool)
    return all.filter((one) => one.tool === tool.name)
  }
  const callsOf = (...given: ReadonlyArray<Tool.Any>): ReadonlyArray<any> =>
    given.length === 0 ? [...calls] : of("calls", calls, given[0]!)
  const undosOf = (...given: ReadonlyArray<Tool.Any>): ReadonlyArray<any> =>
    given.length === 0 ? [...undos] : of("undos", undos, given[0]!)
  const inputs = (tool: Tool.Any): ReadonlyArray<any> => of("inputs", calls, tool).map(({ input }) => input)
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
    undos: undosOf,
    inputs,
    unexpected: () => [...unexpected],
    timeline,
    ...Expected.make({
      tools,
      calls: () => calls,
      unexpected: () => unexpected,
      unused: () => [...opened].map(([tool, fake]) => [tool, fake.unused()] as const),
      timeline
    })
  }
}
