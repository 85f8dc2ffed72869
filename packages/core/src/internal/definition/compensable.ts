/**
 * Tools whose calls can be undone.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { ToolTimeout } from "../../Tool.ts"

/**
 * A call that is to be undone: its input, its output, and the idempotency key that it had.
 *
 * @category models
 * @since 0.1.0
 */
export interface Done<out Input, out Output> {
  readonly input: Input
  readonly output: Output
  readonly key: string
}

/**
 * How the calls of a tool are undone if their run fails or is cancelled.
 *
 * - `retry`: when a failed try is followed by another; without it the first one decides
 * - `timeout`: the limit of one try
 * - `inDoubt`: also calls of which nobody knows whether they took effect; `compensate` gets no output of them. Otherwise
 *   the run's last event names them
 *
 * @category models
 * @since 0.1.0
 */
export interface Compensate<in Err = any> {
  readonly retry?: Schedule.Schedule<unknown, Err | ToolTimeout> | undefined
  readonly timeout?: Duration.Input | undefined
  readonly inDoubt?: boolean | undefined
}

/**
 * Which calls of a tool are undone if their run fails or is cancelled: none, those that completed, or also those of which
 * nobody knows whether they took effect.
 *
 * @category models
 * @since 0.1.0
 */
export type Compensable = "none" | "completed" | "inDoubt"

/** What a tool that is defined with `compensate: C` is. */
export type CompensableBy<C> = [C] extends [undefined]
  ? "none"
  : C extends { readonly inDoubt: infer D }
    ? [D] extends [false | undefined]
      ? "completed"
      : "inDoubt"
    : "completed"

/** What a tool's layer is made of. */
export type HandlersOf<Input, Output, Err, C extends Compensable, R, RC> = [C] extends ["none"]
  ? (input: Input) => Effect.Effect<Output, Err, R>
  : {
      readonly call: (input: Input) => Effect.Effect<Output, Err, R>
      readonly compensate: (
        done: Done<Input, "inDoubt" extends C ? Output | undefined : Output>
      ) => Effect.Effect<void, Err, RC>
    }
