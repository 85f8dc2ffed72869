/**
 * A store in one SQLite file, for Node and the browser, without a native build.
 *
 * One process writes; others follow it if they only read. What is durable is in a redo log beside the database until it is
 * folded in, and a step never costs more because there are many others.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Hasher } from "@waymark/core/Hasher"
import { Store } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import { load } from "./internal/engine.ts"
import * as Settings from "./internal/settings.ts"
import * as SqlStore from "./internal/store.ts"
import { Maintenance } from "./Maintenance.ts"
import { Persistence } from "./Persistence.ts"

/**
 * How a SQLite store works. What it cannot work by is refused as `Invalid` when it is built, all of it at once: sizes are whole
 * numbers from 1, `pollInterval` is from 1 ms on and shorter than 25 days.
 *
 * - `readOnly`: writes nothing and needs no lock: for looking at runs while another process writes
 * - `maxBytes`: how large the database may become, 1 GB by default; it lies in memory. What would make it larger fails with
 *   `NoSpace` then; runs can still be deleted
 * - `foldBytes`: how long the redo log may become before it is folded into the database, in bytes; 16 MB by default
 * - `maxUnsynced`: how much may be accepted and not yet durable before those who append have to wait, in characters; 4 MB
 *   by default
 * - `pollInterval`: how often a store that only reads looks for what is written, if somebody wants to know, 200 ms by
 *   default
 * - `locateFile`: where the WebAssembly of sql.js lies, given its file name: an address, or a path on Node. For programs
 *   that are bundled
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly readOnly?: boolean | undefined
  readonly maxBytes?: number | undefined
  readonly foldBytes?: number | undefined
  readonly maxUnsynced?: number | undefined
  readonly pollInterval?: Duration.Input | undefined
  readonly locateFile?: ((file: string) => string) | undefined
}

/**
 * The store on any place.
 *
 * Errors when it is built: `Invalid` (an option that cannot be), `Busy` (another process writes it), `Corrupt`, `UnsupportedFormat` (a newer version wrote it),
 * and what the place reports.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Store | Maintenance, StoreError, Persistence> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const settings = yield* Settings.of(options)
      const engine = yield* Effect.tryPromise({
        try: () => load(options?.locateFile),
        catch: (cause) =>
          failure(
            { _tag: "Invalid", detail: "the WebAssembly of sql.js could not be loaded; see `locateFile`" },
            cause
          )
      })
      const made = yield* SqlStore.make(yield* Persistence, engine, yield* Hasher, settings)
      return Context.make(Store, made.store).pipe(
        Context.add(
          Maintenance,
          Maintenance.of({
            checkpoint: made.checkpoint,
            search: (text, searching) => made.search(text, searching?.limit)
          })
        )
      )
    })
  )
