/**
 * What runs around every node and every tool call: logging, limits, metrics, context.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Request } from "./ToolExecutor.ts"

/**
 * The visit that a node middleware runs around.
 *
 * @category models
 * @since 0.1.0
 */
export interface VisitInfo {
  readonly run: string
  readonly flow: string
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
}

/**
 * Runs around the handler of a node, once for each attempt, inside the node's timeout and retries.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeMiddleware = <A, E, R>(
  handler: Effect.Effect<A, E, R>,
  visit: VisitInfo
) => Effect.Effect<A, E, R>

/**
 * Runs around the execution of a tool call, once for each try, inside the tool's timeout and retries.
 *
 * @category models
 * @since 0.1.0
 */
export type ToolMiddleware = <A, E, R>(
  call: Effect.Effect<A, E, R>,
  request: Request
) => Effect.Effect<A, E, R>

/**
 * The node middleware in use, outermost first.
 *
 * @category services
 * @since 0.1.0
 */
export const NodeMiddlewares: Context.Reference<ReadonlyArray<NodeMiddleware>> = Context.Reference<
  ReadonlyArray<NodeMiddleware>
>("@waymark/core/Middleware/Node", { defaultValue: () => [] })

/**
 * The tool middleware in use, outermost first.
 *
 * @category services
 * @since 0.1.0
 */
export const ToolMiddlewares: Context.Reference<ReadonlyArray<ToolMiddleware>> = Context.Reference<
  ReadonlyArray<ToolMiddleware>
>("@waymark/core/Middleware/Tool", { defaultValue: () => [] })

/**
 * Adds a node middleware inside those that are there already.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNode = (middleware: NodeMiddleware): Layer.Layer<never> =>
  Layer.effectContext(
    Effect.map(NodeMiddlewares, (others) => Context.make(NodeMiddlewares, [...others, middleware]))
  )

/**
 * Adds a tool middleware inside those that are there already.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTool = (middleware: ToolMiddleware): Layer.Layer<never> =>
  Layer.effectContext(
    Effect.map(ToolMiddlewares, (others) => Context.make(ToolMiddlewares, [...others, middleware]))
  )
