/**
 * A store in a directory: journals as JSON Lines that `jq`, `grep` and `tail` read, shared by several processes of one host.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { Hasher } from "@waymark/core/Hasher"
import { Store } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import * as Settings from "./internal/settings.ts"
import * as FileStore from "./internal/store.ts"
import { Maintenance } from "./Maintenance.ts"
import * as ProcessIdentity from "@waymark/store-kit/ProcessIdentity"

/**
 * How a file store works. What it cannot work by is refused as `Invalid` when it is built, all of it at once: durations are
 * from 1 ms on (`leaseTtl` from 100 ms on) and shorter than 25 days, sizes whole numbers from 1.
 *
 * To read, a store has 64 files open at once at most; what more is asked for waits until one of them is closed.
 *
 * - `directory`: where everything lies, `.waymark` by default. A relative one counts from the working directory at the time
 *   when the store is built. It is made if it is not there. It has to be on a disk of this host; the directory must not be
 *   shared over a network
 * - `leaseTtl`: for how long a process may give no sign of life before others take over its runs, 10 seconds by default.
 *   A process that is known to be gone need not be waited for
 * - `heartbeat`: how often a process gives one, a quarter of `leaseTtl` by default, and half of it at most
 * - `pollInterval`: how often a process looks for what others write, if somebody wants to know, 200 ms by default
 * - `segmentSize`: at how many bytes a new segment is begun, 64 MB by default
 * - `maxUnsynced`: how much may be accepted and not yet on disk before those who append have to wait, in characters; 4 MB
 *   by default
 * - `readOnly`: writes nothing at all, not even a lease: for looking at runs. The directory has to be there
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly directory?: string | undefined
  readonly leaseTtl?: Duration.Input | undefined
  readonly heartbeat?: Duration.Input | undefined
  readonly pollInterval?: Duration.Input | undefined
  readonly segmentSize?: number | undefined
  readonly maxUnsynced?: number | undefined
  readonly readOnly?: boolean | undefined
}

/**
 * The store on any file system, as any process. What is written through a `FileSystem` has to be durable after
 * `File.sync`, of directories too.
 *
 * Errors when it is built: `Invalid` (an option that cannot be; a file instead of a directory; nothing there to read), `Denied`, `NoSpace`, `Io`,
 * `UnsupportedFormat` (a newer version wrote it), `Busy` (another host uses it).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFileSystem = (
  options?: Options
): Layer.Layer<Store | Maintenance, StoreError, FileSystem.FileSystem | ProcessIdentity.ProcessIdentity> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const made = yield* FileStore.make(
        yield* FileSystem.FileSystem,
        yield* ProcessIdentity.ProcessIdentity,
        yield* Hasher,
        yield* Settings.of(options)
      )
      return Context.make(Store, made.store).pipe(
        Context.add(Maintenance, Maintenance.of({ compact: made.compact, writeIndex: made.writeIndex }))
      )
    })
  )

/**
 * The store on Node's file system, and core's `Hasher` by `node:crypto` with it for everything that is built upon it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Store | Maintenance, StoreError> =>
  layerFileSystem(options).pipe(
    Layer.provide([NodeFiles.layer, ProcessIdentity.layer]),
    Layer.provideMerge(NodeHasher.layer)
  )
