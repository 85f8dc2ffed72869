/**
 * The nodes of a flow: where each may lead, and what happens when it fails.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { Invalid } from "./internal/definition/invalid.ts"
import { captureSite, type Site as Site_ } from "./internal/definition/site.ts"

/**
 * Where in the source something was defined. Lines and columns count from 1.
 *
 * @category models
 * @since 0.1.0
 */
export type Site = Site_

/**
 * What becomes of a run whose node failed for good.
 *
 * - a string: the run goes on at that node; the visit counts as failed
 * - `skipped`: the visit counts as skipped; the run goes on at `to`
 * - `tolerated`: the visit counts as tolerated; the run goes on at `to`
 * - `stop`: the run fails
 *
 * @category models
 * @since 0.1.0
 */
export type OnError =
  | string
  | { readonly status: "skipped" | "tolerated"; readonly to: string }
  | { readonly status: "stop" }

/**
 * The route that {@link skip} makes; `undefined` stands for the node's only target.
 *
 * @category models
 * @since 0.1.0
 */
export interface Skip<out To extends string | undefined> {
  readonly status: "skipped"
  readonly to: To
}

/**
 * The route that {@link tolerate} makes; `undefined` stands for the node's only target.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tolerate<out To extends string | undefined> {
  readonly status: "tolerated"
  readonly to: To
}

/**
 * The route {@link stop}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stop {
  readonly status: "stop"
}

/**
 * What may stand for an error tag in `onError`.
 *
 * @category models
 * @since 0.1.0
 */
export type Route = string | Skip<string | undefined> | Tolerate<string | undefined> | Stop

/**
 * When the branches of a fan-out are done, and what becomes of them if one fails.
 *
 * - `failFast`: all must complete; the first that fails cancels the others, and its failure is that of the fan-out
 * - `collect`: each runs to its own end, whatever the others come to; the join sees which ones failed, and with what.
 *   The errors of their nodes need no route, and the flow need not declare them
 * - `quorum`: so many must complete; then the others are cancelled; the fan-out fails once so many cannot complete
 *
 * @category models
 * @since 0.1.0
 */
export type FanOutPolicy = "failFast" | "collect" | { readonly quorum: number }

/**
 * The branches that a node may begin.
 *
 * - `to`: the nodes that they may begin at
 * - `join`: the node at which they end, and the run goes on when they are done
 * - `concurrency`: how many are under way at once; all of them if it is `undefined`
 *
 * @category models
 * @since 0.1.0
 */
export interface FanOut<
  out Branch extends string = string,
  out Join extends string = string,
  out Policy extends FanOutPolicy = FanOutPolicy
> {
  readonly to: ReadonlyArray<Branch>
  readonly join: Join
  readonly policy: Policy
  readonly concurrency: number | undefined
}

/**
 * One node of a flow.
 *
 * - `To`: the targets its handler may choose from, `"end"` included
 * - `Err`: the schema of the errors its handler may fail with
 * - `Routed`: the nodes that its error routes name
 * - `Handled`: the error tags after which the run goes on
 * - `Branch`, `Join`, `Policy`: its fan-out
 * - `Item`: the schema of what a fan-out hands to it, `undefined` if it takes nothing
 *
 * @category models
 * @since 0.1.0
 */
export interface Node<
  out To extends string,
  out Err extends Schema.Codec<unknown, unknown> = Schema.Never,
  out Routed extends string = never,
  out Handled extends string = never,
  out Branch extends string = never,
  out Join extends string = never,
  out Policy extends FanOutPolicy = "failFast",
  out Item extends Schema.Codec<unknown, unknown> | undefined = undefined
> {
  readonly "~routed": Routed
  readonly "~handled": Handled
  /** The names of nodes, or `"end"`. */
  readonly to: ReadonlyArray<To>
  /** `Schema.Never` if the node declares no error. */
  readonly error: Err
  /** What happens after an error, by its tag; the run fails after one that is not listed. */
  readonly onError: { readonly [tag: string]: OnError }
  /** What happens after an unexpected exception; the run fails if it is `undefined`. */
  readonly onDefect: OnError | undefined
  readonly retry: Schedule.Schedule<unknown, any> | undefined
  /** Which of the declared errors are retried; all of them if it is `undefined`. */
  readonly while: ((error: any) => boolean) | undefined
  /** The limit of one attempt. */
  readonly timeout: Duration.Duration | undefined
  readonly fanOut: FanOut<Branch, Join, Policy> | undefined
  /** The schema of what a fan-out hands to this node. Only a fan-out can go on at a node that has one. */
  readonly item: Item
  /** How often a run may visit the node. */
  readonly maxVisits: number | undefined
  /** The share of these after which the journal gets a warning. */
  readonly warnAt: number | undefined
  /** What happens at the visit after them. */
  readonly onExceeded: "pause" | "fail"
  readonly description: string | undefined
  readonly site: () => Site | undefined
}

/**
 * Any node.
 *
 * @category models
 * @since 0.1.0
 */
export type Any = Node<
  string,
  Schema.Codec<any, any>,
  string,
  string,
  string,
  string,
  FanOutPolicy,
  Schema.Codec<any, any> | undefined
>

/**
 * An attempt of a node took longer than the node's `timeout` (milliseconds).
 *
 * Handlers never see it: it comes from outside of them. `onError` of a node that has a timeout may route it.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeTimeout extends Schema.TaggedError<NodeTimeout>()("NodeTimeout", {
  node: Schema.String,
  millis: Schema.Finite
}) {
  override get message(): string {
    return `node "${this.node}" took longer than its timeout of ${this.millis} ms`
  }
}

/**
 * The tags of these errors.
 *
 * @category models
 * @since 0.1.0
 */
export type Tags<E> = E extends { readonly _tag: infer T extends string } ? T : never

type TimeoutTag<Timeout> = [Timeout] extends [undefined] ? never : "NodeTimeout"
type TimeoutError<Timeout> = [Timeout] extends [undefined] ? never : NodeTimeout

type IsOne<T extends string> = [T] extends [never]
  ? false
  : (T extends unknown ? (x: T) => void : never) extends (x: infer X) => void
    ? [T] extends [X]
      ? true
      : false
    : false

type CheckRoute<R, To extends string> = R extends Skip<undefined> | Tolerate<undefined>
  ? IsOne<To> extends true
    ? R
    : Invalid<"say where the run goes on: this node has not exactly one target">
  : R

type CheckRoutes<OnError, To extends string, Known extends string> = {
  readonly [K in keyof OnError]: K extends Known
    ? CheckRoute<OnError[K], To>
    : Invalid<`"${K & string}" is not the tag of an error of this node`>
}

/** The nodes at which a route goes on; `To` is what the node's handler may choose from. */
type RoutedTo<R, To extends string> = R extends string
  ? R
  : R extends Skip<undefined> | Tolerate<undefined>
    ? To
    : R extends { readonly to: infer T extends string }
      ? T
      : never

/** The tags after which the run goes on. */
type HandledBy<OnError> = {
  [K in keyof OnError]: OnError[K] extends Stop ? never : K & string
}[keyof OnError]

/**
 * The visit counts as skipped, and the run goes on at `to` (by default the node's only target).
 *
 * @category routes
 * @since 0.1.0
 */
export const skip: {
  (): Skip<undefined>
  <const To extends string>(to: To): Skip<To>
} = (to?: string): Skip<any> => ({ status: "skipped", to })

/**
 * The visit counts as tolerated (failed, but the run may go on), and the run goes on at `to` (by default the node's
 * only target).
 *
 * @category routes
 * @since 0.1.0
 */
export const tolerate: {
  (): Tolerate<undefined>
  <const To extends string>(to: To): Tolerate<To>
} = (to?: string): Tolerate<any> => ({ status: "tolerated", to })

/**
 * The run fails. It is what happens to errors that `onError` does not list, said in words.
 *
 * @category routes
 * @since 0.1.0
 */
export const stop: Stop = { status: "stop" }

const resolve = (route: Route, to: ReadonlyArray<string>): OnError => {
  if (typeof route === "string") return route
  if (route.status === "stop") return stop
  // "" is no node's name: Flow.make reports it.
  return { status: route.status, to: route.to ?? (to.length === 1 ? to[0]! : "") }
}

/**
 * Defines a node.
 *
 * - `to`: the nodes its handler may go on to, and `"end"` if it may end the run
 * - `error`: the schema of the errors its handler may fail with
 * - `onError`: by error tag, the node to go on at, or {@link skip}, {@link tolerate}, {@link stop}
 * - `onDefect`: the same for unexpected exceptions
 * - `retry`: when a failed attempt is tried again; `while`: only after these errors
 * - `timeout`: the limit of one attempt
 * - `fanOut`: the nodes at which it may begin branches (`to`), the node at which they end (`join`), what becomes of
 *   them if one fails (`policy`, `failFast` by default), and how many are under way at once (`concurrency`, all by
 *   default); `to` of the node itself may then be empty
 * - `item`: the schema of what a fan-out hands to this node, which begins a branch
 * - `maxVisits`: how often a run may visit the node
 * - `onExceeded`: what the visit after them does: `fail` (the default) fails the run; `pause` pauses it until it has a
 *   higher limit (`Runs.setLimits`) and is resumed
 * - `warnAt`: the share of `maxVisits` (0.8, say) after which a `limitWarned` event is written
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const To extends string,
  Err extends Schema.Codec<unknown, unknown> = Schema.Never,
  const Routes extends { readonly [tag: string]: Route } = {},
  const Defect extends Route = Stop,
  Timeout extends Duration.Input | undefined = undefined,
  const Branch extends string = never,
  const Join extends string = never,
  const Policy extends FanOutPolicy = "failFast",
  Item extends Schema.Codec<unknown, unknown> | undefined = undefined
>(options: {
  readonly to: ReadonlyArray<To>
  readonly error?: Err
  readonly onError?: Routes & CheckRoutes<Routes, To, Tags<Err["Type"]> | TimeoutTag<Timeout>>
  readonly onDefect?: Defect & CheckRoute<Defect, To>
  readonly retry?: Schedule.Schedule<unknown, Err["Type"] | TimeoutError<Timeout>>
  readonly while?: (error: Err["Type"]) => boolean
  readonly timeout?: Timeout
  readonly fanOut?: {
    readonly to: ReadonlyArray<Branch>
    readonly join: Join
    readonly policy?: Policy
    readonly concurrency?: number
  }
  readonly item?: Item
  readonly maxVisits?: number
  readonly onExceeded?: "pause" | "fail"
  readonly warnAt?: number
  readonly description?: string
  // A flow's `nodes` would otherwise suggest `any` and `string` for what is left out here.
}): Node<
  To,
  NoInfer<Err>,
  NoInfer<RoutedTo<Routes[keyof Routes] | Defect, To>>,
  NoInfer<HandledBy<Routes>>,
  NoInfer<Branch>,
  NoInfer<Join>,
  NoInfer<Policy>,
  NoInfer<Item>
> => {
  const to = [...new Set(options.to)]
  const { fanOut } = options
  const onError: Record<string, OnError> = {}
  for (const [tag, route] of Object.entries<Route>(options.onError ?? {})) onError[tag] = resolve(route, to)
  const node: Omit<Any, "~routed" | "~handled"> = {
    to,
    error: options.error ?? Schema.Never,
    onError,
    onDefect: options.onDefect === undefined ? undefined : resolve(options.onDefect, to),
    retry: options.retry,
    while: options.while,
    timeout: options.timeout === undefined ? undefined : Duration.fromInputUnsafe(options.timeout),
    fanOut:
      fanOut === undefined
        ? undefined
        : {
            to: [...new Set(fanOut.to)],
            join: fanOut.join,
            policy: fanOut.policy ?? "failFast",
            concurrency: fanOut.concurrency
          },
    item: options.item,
    maxVisits: options.maxVisits,
    onExceeded: options.onExceeded ?? "fail",
    warnAt: options.warnAt,
    description: options.description,
    site: captureSite(make)
  }
  return node as any
}
