/**
 * Fakes of single tools, and what they see.
 */
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"
import type * as Tool from "@waymark/core/Tool"
import { differences } from "../differences.ts"
import * as Given from "../given.ts"
import type { Reply, ReplyOf } from "./replies.ts"
import { aReply } from "./replies.ts"

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
    return `unexpected call of tool ${this.tool} with ${format(this.input)} at node ${this.node} (visit ${this.visit}) of run ${JSON.stringify(this.run)}: ${this.detail}`
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
export type Respond = (
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
  readonly open: () => Opened
}

/** What one set of fakes has of a fake. */
export interface Opened {
  readonly respond: Respond
  /** How many of its replies were not given. */
  readonly unused: () => number
  /** What undoing a call amounts to; by default it succeeds. */
  readonly undo?: ((undo: Undo<any>) => Reply<void, unknown> | Effect.Effect<void, unknown>) | undefined
}

export const aFake: Given.Kind = Given.kind(
  "a fake, such as FakeTools.always(tool, reply)",
  (value) => Given.isObject(value) && Given.isTool(value["tool"]) && typeof value["open"] === "function"
)

/** Refuses what is no tool, no replies, and what is no reply. */
const refuseScript = (where: string, tool: unknown, replies: ReadonlyArray<unknown>): void => {
  const first = replies.length === 0 ? [undefined] : replies
  Given.refuse(where, [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...first.flatMap((reply, index) => Given.problemOf(`replies[${index}]`, reply, aReply))
  ])
}

/** What somebody gives a call, if it is a reply or an effect. */
const checked = <A>(where: string, tool: Tool.Any, answer: A): A => {
  Given.argument(`${where}: tool ${tool.name}`, "what it was answered", answer, repliesOrEffect)
  return answer
}

const repliesOrEffect = Given.anyOf(aReply, Given.kind("an Effect that gives the output", Effect.isEffect))

/**
 * Replies in this order, one for each try; a further one is unexpected.
 *
 * @category constructors
 * @since 0.1.0
 */
export const script = <T extends Tool.Any>(
  tool: T,
  ...replies: readonly [ReplyOf<T>, ...ReadonlyArray<ReplyOf<T>>]
): Fake<T["name"]> => {
  refuseScript("FakeTools.script", tool, replies)
  return {
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
  }
}

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
): Fake<T["name"]> => {
  Given.refuse("FakeTools.answer", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...Given.problemOf("respond", respond, Given.aFunction)
  ])
  const answering: Respond = (input, call) =>
    checked("FakeTools.answer", tool, (respond as Respond)(input, call))
  return { tool, open: () => ({ unused: () => 0, respond: answering }) }
}

/**
 * Gives every call the same reply.
 *
 * @category constructors
 * @since 0.1.0
 */
export const always = <T extends Tool.Any>(tool: T, reply: ReplyOf<T>): Fake<T["name"]> => {
  Given.refuse("FakeTools.always", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...Given.problemOf("reply", reply, aReply)
  ])
  return answer(tool, () => reply)
}

/**
 * Replies in this order, one for each try, and begins again after the last one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cycle = <T extends Tool.Any>(
  tool: T,
  ...replies: readonly [ReplyOf<T>, ...ReadonlyArray<ReplyOf<T>>]
): Fake<T["name"]> => {
  refuseScript("FakeTools.cycle", tool, replies)
  return {
    tool,
    open: () => {
      let used = 0
      return { unused: () => 0, respond: () => replies[used++ % replies.length]! }
    }
  }
}

/**
 * Expects these tries in this order, each with its input, and replies to them. A try with another input, or one more, is
 * unexpected; one less is found by `expectDone`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const expecting = <T extends Tool.Any>(
  tool: T,
  ...tries: ReadonlyArray<{ readonly input: T["input"]["Type"]; readonly reply: ReplyOf<T> }>
): Fake<T["name"]> => {
  Given.refuse("FakeTools.expecting", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...tries.flatMap((one, index) => Given.problemsOf(one, aTry, `tries[${index}].`))
  ])
  return expectingThese(tool, tries)
}

const aTry: Given.Kinds<{ readonly input: unknown; readonly reply: unknown }> = {
  input: Given.kind("an input of the tool", () => true),
  reply: aReply
}

const expectingThese = <T extends Tool.Any>(
  tool: T,
  tries: ReadonlyArray<{ readonly input: T["input"]["Type"]; readonly reply: ReplyOf<T> }>
): Fake<T["name"]> => ({
  tool,
  open: () => {
    let used = 0
    return {
      unused: () => tries.length - used,
      respond: (input) => {
        const next = tries[used]
        if (next === undefined) return { unexpected: `${tries.length} tries were expected, and were made` }
        const lines = differences(next.input, input)
        if (lines.length > 0)
          return { unexpected: `try ${used + 1} was expected to be another: ${lines.join("; ")}` }
        used += 1
        return next.reply
      }
    }
  }
})

/**
 * Expects no call at all.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse = <T extends Tool.Any>(tool: T): Fake<T["name"]> => {
  Given.argument("FakeTools.refuse", "tool", tool, Given.aTool)
  return {
    tool,
    open: () => ({ unused: () => 0, respond: () => ({ unexpected: "no call of it is expected" }) })
  }
}

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
): Fake<T["name"]> => {
  Given.refuse("FakeTools.undo", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...Given.problemOf("fake", fake, aFake),
    ...Given.problemOf("respond", respond, Given.aFunction)
  ])
  return {
    tool,
    open: () => ({ ...fake.open(), undo: (tried) => checked("FakeTools.undo", tool, respond(tried)) })
  }
}
