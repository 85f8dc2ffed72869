/**
 * What a handler returns: how the state changes and where the run goes on.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as State from "./State.ts"

/**
 * The run goes on at the node `to`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextTo<out To extends string = string, out Update = any> {
  readonly _tag: "To"
  readonly to: To
  readonly update: Update | undefined
}

/**
 * The run ends with `output`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextEnd<out Output = any, out Update = any> {
  readonly _tag: "End"
  readonly output: Output
  readonly update: Update | undefined
}

/**
 * Whatever a handler may return.
 *
 * @category models
 * @since 0.1.0
 */
export type Next = NextTo | NextEnd

/**
 * The ways on from a node with the targets `To`, as its handler gets them under the name `next`.
 *
 * `next.end` is there only if the node names `"end"` among its targets.
 *
 * @category models
 * @since 0.1.0
 */
export type Nexts<To extends string, C extends State.Channels, Output> = NextsTo<Exclude<To, "end">, C> &
  ("end" extends To ? NextsEnd<C, Output> : unknown)

/**
 * The way on to another node.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextsTo<To extends string, C extends State.Channels> {
  /**
   * Goes on at another node, with an update of the state if there is one.
   */
  to(node: To, update?: State.Update<C>): NextTo<To, State.Update<C>>
}

/**
 * The way to the end of the run.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextsEnd<C extends State.Channels, Output> {
  /**
   * Ends the run with its output (none if the flow declares none), with an update of the state if there is one.
   */
  end(
    ...args: [Output] extends [void]
      ? [output?: Output, update?: State.Update<C>]
      : [output: Output, update?: State.Update<C>]
  ): NextEnd<Output, State.Update<C>>
}

/**
 * What a handler of a node with the targets `To` may return.
 *
 * @category models
 * @since 0.1.0
 */
export type Returned<To extends string, C extends State.Channels, Output> =
  | NextTo<Exclude<To, "end">, State.Update<C>>
  | ("end" extends To ? NextEnd<Output, State.Update<C>> : never)

/**
 * Goes on at the node `to`. Unlike a handler's own `next.to` it knows nothing of the flow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const to = <const To extends string, Update = undefined>(
  node: To,
  update?: Update
): NextTo<To, Update> => ({
  _tag: "To",
  to: node,
  update
})

/**
 * Ends the run. Unlike a handler's own `next.end` it knows nothing of the flow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const end = <Output = undefined, Update = undefined>(
  output?: Output,
  update?: Update
): NextEnd<Output, Update> => ({ _tag: "End", output: output as Output, update })

/**
 * The object that every handler gets as `next`. Handlers see it through the types of their node ({@link Nexts}).
 *
 * @category constructors
 * @since 0.1.0
 */
export const nexts = /* @__PURE__ */ Object.freeze({ to, end })

/**
 * A handler returned something that its node does not allow. Only handlers that escape the type checker can.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidNext extends Schema.TaggedError<InvalidNext>()("InvalidNext", {
  flow: Schema.String,
  node: Schema.String,
  reason: Schema.TaggedUnion({
    NotANext: { got: Schema.String },
    UnknownTarget: { target: Schema.String, targets: Schema.Array(Schema.String) },
    UnknownChannel: { channel: Schema.String, channels: Schema.Array(Schema.String) },
    InvalidUpdate: { got: Schema.String }
  })
}) {
  override get message(): string {
    const where = `the handler of node "${this.node}" of flow "${this.flow}"`
    const names = (list: ReadonlyArray<string>) => list.map((name) => `"${name}"`).join(", ") || "none"
    switch (this.reason._tag) {
      case "NotANext":
        return `${where} returned ${this.reason.got}: return what next.to or next.end gives`
      case "UnknownTarget":
        return `${where} goes to "${this.reason.target}", but the node's targets are ${names(this.reason.targets)}`
      case "UnknownChannel":
        return `${where} updates "${this.reason.channel}", but the flow's channels are ${names(this.reason.channels)}`
      case "InvalidUpdate":
        return `${where} gave ${this.reason.got} as its update: an update is an object with channels as keys`
    }
  }
}

const nameOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "an array"
      : value === undefined
        ? "nothing"
        : `a value of type ${typeof value}`

/**
 * Checks what a handler returned against its node's targets and the flow's channels.
 *
 * @category validation
 * @since 0.1.0
 */
export const validate = (
  flow: {
    readonly id: string
    readonly state: { readonly [channel: string]: unknown }
    readonly nodes: { readonly [node: string]: { readonly to: ReadonlyArray<string> } }
  },
  node: string,
  value: unknown
): Result.Result<Next, InvalidNext> => {
  const invalid = (reason: InvalidNext["reason"]) =>
    Result.fail(new InvalidNext({ flow: flow.id, node, reason }))
  const next = value as Next | null | undefined
  if (typeof next !== "object" || next === null || (next._tag !== "To" && next._tag !== "End")) {
    return invalid({ _tag: "NotANext", got: nameOf(value) })
  }
  const targets = flow.nodes[node]?.to ?? []
  const target: unknown = next._tag === "To" ? next.to : "end"
  if (typeof target !== "string" || !targets.includes(target) || (next._tag === "To" && target === "end")) {
    return invalid({
      _tag: "UnknownTarget",
      target: typeof target === "string" ? target : nameOf(target),
      targets
    })
  }
  const update: unknown = next.update
  if (update !== undefined) {
    if (typeof update !== "object" || update === null || Array.isArray(update)) {
      return invalid({ _tag: "InvalidUpdate", got: nameOf(update) })
    }
    for (const channel of Object.keys(update)) {
      if (!Object.hasOwn(flow.state, channel)) {
        return invalid({ _tag: "UnknownChannel", channel, channels: Object.keys(flow.state) })
      }
    }
  }
  return Result.succeed(next)
}
