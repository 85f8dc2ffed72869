/**
 * Work on a store's directory that is done now and then.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"

/**
 * What a compaction came to: how many segments were rewritten, and how many bytes that freed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compacted {
  readonly segments: number
  readonly bytes: number
}

/**
 * - `compact`: rewrites every segment that holds something of deleted runs. A store does that by itself where it is worth
 *   it; this is for having the space back, or the content gone, now. Segments that a process is writing stay as they are
 * - `writeIndex`: writes the index, so that the next process opens the store fast. It happens by itself, too
 *
 * @category services
 * @since 0.1.0
 */
export class Maintenance extends Context.Service<
  Maintenance,
  {
    readonly compact: Effect.Effect<Compacted, StoreError>
    readonly writeIndex: Effect.Effect<void, StoreError>
  }
>()("@waymark/store-fs/Maintenance") {}
