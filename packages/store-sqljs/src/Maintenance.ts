/**
 * What can be done with the file of a SQLite store, beside the port.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { StoreError } from "@waymark/core/Store"

/**
 * - `checkpoint`: puts everything that is durable into the database file, so that any SQLite program that opens it finds
 *   it there. It happens by itself, too: when the redo log has grown, and when the store is closed
 * - `search`: the newest runs in whose input or error all these words are, or words that begin so; at most `limit` (100
 *   unless said otherwise)
 *
 * @category services
 * @since 0.1.0
 */
export class Maintenance extends Context.Service<
  Maintenance,
  {
    readonly checkpoint: Effect.Effect<void, StoreError>
    readonly search: (
      text: string,
      options?: { readonly limit?: number | undefined }
    ) => Effect.Effect<ReadonlyArray<RunInfo>, StoreError>
  }
>()("@waymark/store-sqljs/Maintenance") {}
