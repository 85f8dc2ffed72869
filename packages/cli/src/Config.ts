/**
 * What a project tells the command: `waymark.config.ts`.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type * as Flow from "@waymark/core/Flow"
import type { Store } from "@waymark/core/Store"
import type * as Worker from "@waymark/core/Worker"
import type * as FsStore from "@waymark/store-fs/FsStore"
import type * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import * as Stores from "./internal/stores.ts"

/**
 * A store that can be opened in two ways: to write, and to look at runs while another process writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreOpening {
  readonly write: Layer.Layer<Store, any>
  readonly read: Layer.Layer<Store, any>
}

/**
 * A flow, and the layer with its handlers. What the handlers need, those of their tools included, is provided to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowEntry<F extends Flow.Any> {
  readonly flow: F
  readonly handlers: Layer.Layer<Flow.Handlers<F["id"]>, any>
}

/**
 * Any flow with its handlers.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyFlowEntry {
  readonly flow: Flow.Any
  readonly handlers: Layer.Layer<any, any>
}

/**
 * A project's configuration, as the command reads it.
 *
 * - `store`: where the runs are
 * - `flows`: what can be executed
 * - `plugins`: what is to be there besides (codecs, middlewares, executors of tools), for reading and for executing
 * - `worker`: how runs are executed
 *
 * @category models
 * @since 0.1.0
 */
export interface Config {
  readonly store: Layer.Layer<Store, any> | StoreOpening
  readonly flows: ReadonlyArray<AnyFlowEntry>
  readonly plugins?: Layer.Layer<any, any> | undefined
  readonly worker?: Omit<Worker.Options<ReadonlyArray<Flow.Any>>, "flows" | "takesUp" | "onRun"> | undefined
}

/**
 * A project's configuration, as it is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Flows extends ReadonlyArray<Flow.Any>> extends Omit<Config, "flows"> {
  readonly flows: { readonly [I in keyof Flows]: FlowEntry<Flows[I]> }
}

/**
 * Defines the configuration of a project: the default export of its `waymark.config.ts`.
 *
 * `store` is the layer of any store. {@link fsStore} and {@link sqliteStore} make one that commands which only read open so
 * that they disturb nobody. Relative paths count from the folder of the file.
 *
 * @example
 *
 * ```ts
 * import { Flow, Node } from "@waymark/core"
 * import { defineConfig, fsStore } from "@waymark/cli"
 * import { Effect, Schema } from "effect"
 *
 * const Greeting = Flow.make("greeting", {
 *   input: { name: Schema.String },
 *   output: Schema.String,
 *   start: "greet",
 *   nodes: { greet: Node.make({ to: ["end"] }) }
 * })
 *
 * const GreetingHandlers = Greeting.toLayer({
 *   greet: ({ input, next }) => Effect.succeed(next.end(`Hello ${input.name}`))
 * })
 *
 * export default defineConfig({
 *   store: fsStore(),
 *   flows: [{ flow: Greeting, handlers: GreetingHandlers }]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const defineConfig = <const Flows extends ReadonlyArray<Flow.Any>>(options: Options<Flows>): Config =>
  options

/**
 * The store in a directory, `.waymark` by default.
 *
 * @category stores
 * @since 0.1.0
 */
export const fsStore = (options: FsStore.Options = {}): StoreOpening => Stores.directory(options)

/**
 * The store in one SQLite file.
 *
 * @category stores
 * @since 0.1.0
 */
export const sqliteStore = (options: NodeSqljsStore.Options = {}): StoreOpening => Stores.sqlite(options)
