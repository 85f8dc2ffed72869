/**
 * What a test can do with its worker and with time.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as MemoryStore from "@waymark/core/MemoryStore"

/**
 * How a worker stops.
 *
 * - `drain`: in good order; what it was doing is interrupted, and everything is made durable
 * - `crash`: as if its process had died: it does nothing any more, and what it had not synced is gone
 *
 * @category models
 * @since 0.1.0
 */
export type Stop = "drain" | "crash"

/**
 * What a test can do with its runtime.
 *
 * - `disk`: what outlives the worker
 * - `idle`: waits until nothing can go on without time passing
 * - `advanceToNext`: waits likewise, then jumps to the next timer, and waits again; gives the time that passed, or
 *   nothing if there is no timer
 * - `stop`, `start`: stops the worker, starts another; stopping one that is stopped, or starting a second, does nothing.
 *   If the handlers cannot be built it dies
 * - `restart`: both
 *
 * @category services
 * @since 0.1.0
 */
export class TestRuntime extends Context.Service<
  TestRuntime,
  {
    readonly disk: MemoryStore.Disk
    readonly idle: Effect.Effect<void>
    readonly advanceToNext: Effect.Effect<Option.Option<Duration.Duration>>
    readonly stop: (how: Stop) => Effect.Effect<void>
    readonly start: Effect.Effect<void>
    readonly restart: (how: Stop) => Effect.Effect<void>
  }
>()("@waymark/testing/TestRuntime") {}
