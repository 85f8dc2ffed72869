/**
 * How a tool call is carried out.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Tool from "./Tool.ts"

/**
 * A call that is about to be carried out, or undone: everything before it is durable, and so is the event that says so.
 *
 * - `undo`: for a call that is undone: its idempotency key and its decoded output, which is `undefined` if nobody knows
 *   whether the call took effect. `invocation` is that of the undoing, with a key of its own
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly tool: Tool.Any
  /** The decoded input. */
  readonly input: unknown
  readonly invocation: Tool.Invocation["Service"]
  readonly undo?: { readonly key: string; readonly output: unknown }
}

/**
 * Carries out calls. `local` runs the handler that the tool's layer gives, in this process; an executor may run it,
 * run something else (a recording, a fake, a remote service), or both. It is inside the tool's timeout and retries.
 * `compensate` does the same for calls that are undone, which otherwise the handler in this process does.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolExecutor {
  readonly execute: (
    request: Request,
    local: Effect.Effect<unknown, unknown>
  ) => Effect.Effect<unknown, unknown>
  readonly compensate?: (
    request: Request,
    local: Effect.Effect<unknown, unknown>
  ) => Effect.Effect<unknown, unknown>
}

/**
 * The executor in use: in this process, by the tool's own handler, unless a layer replaces it.
 *
 * @category services
 * @since 0.1.0
 */
export const ToolExecutor: Context.Reference<ToolExecutor> = Context.Reference<ToolExecutor>(
  "@waymark/core/ToolExecutor",
  { defaultValue: () => ({ execute: (_request, local) => local }) }
)
