/**
 * What a handler returns: how the state changes and where the run goes on.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Failure } from "./Event.ts"
import { type Definition, wrongWith } from "./internal/definition/answer.ts"
import { quoted } from "./internal/definition/quoted.ts"
import { describe } from "./internal/describe.ts"
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
 * One branch of a fan-out: the node that it begins at, and what is handed to that node (`undefined` if it takes no
 * item).
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch<out To extends string = string, out Item = unknown> {
  readonly node: To
  readonly item: Item
}

/**
 * The run goes on in branches, and then at the join of the node's fan-out: at once if there are none.
 *
 * - `concurrency`: how many of them are under way at once; `undefined` leaves it to the node
 * - `update`: changes the state before the branches begin, so that they see it
 *
 * @category models
 * @since 0.1.0
 */
export interface NextFanOut<out To extends string = string, out Update = any> {
  readonly _tag: "FanOut"
  readonly branches: ReadonlyArray<Branch<To>>
  readonly concurrency: number | undefined
  readonly update: Update | undefined
}

/**
 * Whatever a handler may return.
 *
 * @category models
 * @since 0.1.0
 */
export type Next = NextTo | NextEnd | NextFanOut

/**
 * How one branch of a fan-out came out, as the join of the fan-out sees it.
 *
 * - `index`: its place among the branches, from 0
 * - `node`: the node that it began at
 * - `status`: `completed` if it reached the join, `failed` if an error or a defect ended it, `cancelled` if it was not
 *   needed any more
 * - `error`: what it failed with: a declared error, or {@link BranchFailed}
 *
 * @category models
 * @since 0.1.0
 */
export type BranchResult<To extends string = string, Err = unknown> =
  | { readonly index: number; readonly node: To; readonly status: "completed" | "cancelled" }
  | {
      readonly index: number
      readonly node: To
      readonly status: "failed"
      readonly error: Err | BranchFailed
    }

/**
 * The ways on from a node with the targets `To`, as its handler gets them under the name `next`.
 *
 * `next.end` is there only if the node names `"end"` among its targets; `next.each`, `next.all` and `next.branch` are
 * there only if it has a fan-out.
 *
 * - `Bare`: the nodes without an item that its fan-out names
 * - `Items`: those with one, and the types of their items
 *
 * @category models
 * @since 0.1.0
 */
export type Nexts<
  To extends string,
  C extends State.Channels,
  Output,
  Bare extends string = never,
  Items = {}
> = NextsTo<Exclude<To, "end">, C> &
  ("end" extends To ? NextsEnd<C, Output> : unknown) &
  ([Bare | keyof Items] extends [never] ? unknown : NextsFanOut<Bare, Items, C>)

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
 * What may be said of a fan-out as a whole.
 *
 * - `concurrency`: how many branches are under way at once, instead of what the node says
 * - `update`: changes the state before the branches begin, so that they see it
 *
 * @category models
 * @since 0.1.0
 */
export interface FanOutOptions<out Update = any> {
  readonly concurrency?: number
  readonly update?: Update
}

/**
 * The ways on in branches.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextsFanOut<Bare extends string, Items, C extends State.Channels> {
  /**
   * Goes on in one branch per item. Without items the join follows at once.
   */
  each<const To extends keyof Items & string>(
    items: ReadonlyArray<Items[To]>,
    node: To,
    options?: FanOutOptions<State.Update<C>>
  ): NextFanOut<To, State.Update<C>>
  /**
   * Goes on in these branches: the names of nodes that take no item, and what {@link NextsFanOut.branch} makes.
   */
  all(
    branches: ReadonlyArray<Bare | BranchOf<Items>>,
    options?: FanOutOptions<State.Update<C>>
  ): NextFanOut<Bare | (keyof Items & string), State.Update<C>>
  /**
   * A branch for {@link NextsFanOut.all}, at a node that takes an item.
   */
  branch<const To extends keyof Items & string>(node: To, item: Items[To]): Branch<To, Items[To]>
}

type BranchOf<Items> = { readonly [K in keyof Items & string]: Branch<K, Items[K]> }[keyof Items & string]

/**
 * What a handler of a node with the targets `To`, and a fan-out to `Branches`, may return.
 *
 * @category models
 * @since 0.1.0
 */
export type Returned<To extends string, C extends State.Channels, Output, Branches extends string = never> =
  | NextTo<Exclude<To, "end">, State.Update<C>>
  | ("end" extends To ? NextEnd<Output, State.Update<C>> : never)
  | ([Branches] extends [never] ? never : NextFanOut<Branches, State.Update<C>>)

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
 * Goes on in one branch per item, each of which begins at the node `to`. Unlike a handler's own `next.each` it knows
 * nothing of the flow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const each = <const To extends string, Update = undefined>(
  items: ReadonlyArray<unknown>,
  to: To,
  options?: FanOutOptions<Update>
): NextFanOut<To, Update> => ({
  _tag: "FanOut",
  branches: items.map((item) => ({ node: to, item })),
  concurrency: options?.concurrency,
  update: options?.update
})

/**
 * Goes on in these branches: names of nodes, or what {@link branch} makes. Unlike a handler's own `next.all` it knows
 * nothing of the flow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const all = <const To extends string, Update = undefined>(
  branches: ReadonlyArray<To | Branch<To>>,
  options?: FanOutOptions<Update>
): NextFanOut<To, Update> => ({
  _tag: "FanOut",
  branches: branches.map((given) => (typeof given === "string" ? branch(given, undefined) : given)),
  concurrency: options?.concurrency,
  update: options?.update
})

/**
 * A branch that begins at a node that takes an item.
 *
 * @category constructors
 * @since 0.1.0
 */
export const branch = <const To extends string, Item>(node: To, item: Item): Branch<To, Item> => ({
  node,
  item
})

/**
 * The object that every handler gets as `next`. Handlers see it through the types of their node ({@link Nexts}).
 *
 * @category constructors
 * @since 0.1.0
 */
export const nexts = /* @__PURE__ */ Object.freeze({ to, end, each, all, branch })

/**
 * A branch failed for another reason than an error that is declared.
 *
 * @category errors
 * @since 0.1.0
 */
export class BranchFailed extends Schema.TaggedError<BranchFailed>()("BranchFailed", {
  /** The place of the branch in its fan-out, from 0. */
  index: Schema.Int,
  /** The node whose visit failed. */
  node: Schema.String,
  failure: Failure
}) {
  override get message(): string {
    return `branch ${this.index} failed at node ${this.node}: ${describe(this.failure)}`
  }
}

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
    InvalidUpdate: { got: Schema.String },
    InvalidFanOut: { detail: Schema.String },
    InvalidBranch: { index: Schema.Int, target: Schema.String, detail: Schema.String }
  })
}) {
  override get message(): string {
    const { reason } = this
    const where = `the handler of node "${this.node}" of flow "${this.flow}"`
    switch (reason._tag) {
      case "NotANext":
        return `${where} returned ${reason.got}: return what next.to, next.end, next.each or next.all gives`
      case "UnknownTarget":
        return `${where} goes to "${reason.target}", but the node's targets are ${quoted(reason.targets)}`
      case "UnknownChannel":
        return `${where} updates "${reason.channel}", but the flow's channels are ${quoted(reason.channels)}`
      case "InvalidUpdate":
        return `${where} gave ${reason.got} as its update: an update is an object with channels as keys`
      case "InvalidFanOut":
        return `${where} goes on in branches, but ${reason.detail}`
      case "InvalidBranch":
        return `${where} begins branch ${reason.index} at "${reason.target}", but ${reason.detail}`
    }
  }
}

/**
 * Checks what a handler returned against its node's targets and fan-out, and the flow's channels.
 *
 * @category validation
 * @since 0.1.0
 */
export const validate = (
  flow: Definition,
  node: string,
  value: unknown
): Result.Result<Next, InvalidNext> => {
  const reason = wrongWith(flow, node, value)
  return reason === undefined
    ? Result.succeed(value as Next)
    : Result.fail(new InvalidNext({ flow: flow.id, node, reason }))
}
