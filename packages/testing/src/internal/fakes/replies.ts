/**
 * What fakes of tools answer.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Tool from "@waymark/core/Tool"
import * as Given from "../given.ts"

/**
 * What a fake does when it is called.
 *
 * @category models
 * @since 0.1.0
 */
export type Reply<Output, Error> =
  | { readonly _tag: "Succeed"; readonly output: Output }
  | { readonly _tag: "Fail"; readonly error: Error }
  | { readonly _tag: "Die"; readonly defect: unknown }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "After"; readonly delay: Duration.Duration; readonly reply: Reply<Output, Error> }

/**
 * The reply of a fake of the tool `T`.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplyOf<T extends Tool.Any> = Reply<T["output"]["Type"], T["error"]["Type"]>

const tags: { readonly [Tag in Reply<never, never>["_tag"]]: true } = {
  Succeed: true,
  Fail: true,
  Die: true,
  Hang: true,
  After: true
}

export const aReply: Given.Kind = Given.kind(
  "a reply, such as FakeTools.succeed(output), FakeTools.fail(error), FakeTools.ok",
  (value) => Given.isObject(value) && typeof value["_tag"] === "string" && Object.hasOwn(tags, value["_tag"])
)

/**
 * Succeeds with an output.
 *
 * @category replies
 * @since 0.1.0
 */
export const succeed = <Output>(output: Output): Reply<Output, never> => ({ _tag: "Succeed", output })

/**
 * Succeeds, for a tool without output.
 *
 * @category replies
 * @since 0.1.0
 */
export const ok: Reply<void, never> = succeed<void>(undefined)

/**
 * Fails with one of the tool's declared errors.
 *
 * @category replies
 * @since 0.1.0
 */
export const fail = <Error>(error: Error): Reply<never, Error> => ({ _tag: "Fail", error })

/**
 * Fails with an exception that nobody expects.
 *
 * @category replies
 * @since 0.1.0
 */
export const die = (defect: unknown): Reply<never, never> => ({ _tag: "Die", defect })

/**
 * Never answers.
 *
 * @category replies
 * @since 0.1.0
 */
export const hang: Reply<never, never> = { _tag: "Hang" }

/**
 * Replies after a while, by the worker's clock.
 *
 * @category replies
 * @since 0.1.0
 */
export const after = <Output, Error>(
  delay: Duration.Input,
  reply: Reply<Output, Error>
): Reply<Output, Error> => {
  Given.refuse("FakeTools.after", [
    ...Given.problemOf("delay", delay, Given.aDuration),
    ...Given.problemOf("reply", reply, aReply)
  ])
  return { _tag: "After", delay: Duration.fromInputUnsafe(delay), reply }
}

/** Does what a reply says. */
export const carryOut = (reply: Reply<unknown, unknown>): Effect.Effect<unknown, unknown> => {
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
