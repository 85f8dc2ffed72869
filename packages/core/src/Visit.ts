/**
 * The visit that a handler runs in.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Flow from "./Flow.ts"
import type { Telling } from "./internal/engine/telling.ts"
import type * as Tool from "./Tool.ts"
import type * as Wait from "./Wait.ts"

/**
 * One execution of a node in a run. The engine provides it to the handlers of nodes, and only to them.
 *
 * - `run`, `flow`, `branch`, `node`: where the visit is; `branch` is `""` on the run's main line
 * - `visit`: counts the visits of the branch from 1
 * - `attempt`: counts the tries of this visit from 1
 * - `call`: carries out a tool's call durably; `Tool.call` is the typed way to it
 * - `wait`: waits for the first of several things, durably; `Flow.call` and the constructors of `Wait` are the typed ways to it
 * - `start`: starts a run of another flow, durably, and does not wait for it; `Flow.start` is the typed way to it
 * - `tell`: writes into the run's journal; the functions of `Run` are the typed ways to it
 *
 * @category services
 * @since 0.1.0
 */
export class Visit extends Context.Service<
  Visit,
  {
    readonly run: string
    readonly flow: string
    readonly branch: string
    readonly node: string
    readonly visit: number
    readonly attempt: number
    readonly call: (
      tool: Tool.Any,
      input: unknown,
      options: Tool.CallOptions | undefined
    ) => Effect.Effect<any, any>
    readonly wait: (
      requests: ReadonlyArray<Wait.Request>
    ) => Effect.Effect<{ readonly index: number; readonly value: unknown }, any>
    readonly start: (
      flow: Flow.Any,
      input: unknown,
      options: Flow.ChildOptions | undefined
    ) => Effect.Effect<any>
    readonly tell: <A>(use: (telling: Telling) => Effect.Effect<A>) => Effect.Effect<A>
  }
>()("@waymark/core/Visit") {}
