/**
 * Makes a damaged store in a file usable again: saves what can be saved, says what cannot, and keeps the damaged one aside.
 * For Node.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Path from "node:path"
import { Hasher } from "@waymark/core/Hasher"
import type { StoreError } from "@waymark/core/Store"
import * as Disk from "@waymark/store-kit/Disk"
import { failure, fromPlatform, unlessCorrupt } from "@waymark/store-kit/Failures"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import * as ProcessIdentity from "@waymark/store-kit/ProcessIdentity"
import * as Salvage from "@waymark/store-kit/Salvage"
import { damagesIn } from "./internal/checkedFile.ts"
import { load as loadEngine } from "./internal/engine.ts"
import * as Settings from "./internal/settings.ts"
import * as SqlStore from "./internal/store.ts"
import * as NodePersistence from "./NodePersistence.ts"

/**
 * A run of which not everything could be saved: how many of its entries were, from the first one on, and what is wrong with
 * the next. With none it is not there any more.
 *
 * @category models
 * @since 0.1.0
 */
export type Loss = Salvage.Loss

/**
 * What came of a repair.
 *
 * - `runs`, `entries`: how many are in the repaired store
 * - `losses`: the runs of which something is missing
 * - `damaged`: the places in the redo logs, and the pages of the database, that are not what was written. If it is not known
 *   what was there, more may be missing than `losses` says
 * - `unreadable`: that the database itself could not be read at all, and why
 * - `aside`: the directory in which the damaged files lie now, as they were
 *
 * Values that belong to who uses the store, such as the places of observers, are positions in the damaged store, and are not
 * in the repaired one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly runs: number
  readonly entries: number
  readonly losses: ReadonlyArray<Loss>
  readonly damaged: ReadonlyArray<{ readonly path: string; readonly offset: number }>
  readonly unreadable: string | undefined
  readonly aside: string
}

/**
 * Repairs a store on any file system, as any process: see {@link repair}.
 *
 * @category repairing
 * @since 0.1.0
 */
export const repairFileSystem = (
  options?: NodePersistence.Options
): Effect.Effect<Report, StoreError, FileSystem.FileSystem | ProcessIdentity.ProcessIdentity> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const identity = yield* ProcessIdentity.ProcessIdentity
    const place = Path.resolve(options?.file ?? "waymark.sqlite")
    const base = Path.basename(place)
    const disk = Disk.make(fs, Path.dirname(place), [])
    const on =
      (path: string) =>
      <A>(work: Effect.Effect<A, PlatformError>): Effect.Effect<A, StoreError> =>
        Effect.mapError(work, fromPlatform(path))

    const ensureUnlocked = Effect.scoped(
      Effect.gen(function* () {
        const persistence = yield* NodePersistence.make({ file: place })
        const owner = yield* persistence.lockedBy
        if (owner !== undefined) {
          return yield* failure({
            _tag: "Busy",
            detail: `${place} is being written by ${owner}: end that process before the store is repaired`
          })
        }
      })
    )
    yield* ensureUnlocked
    const files = (yield* disk.list()).filter((name) => name === base || name.startsWith(`${base}-`))
    if (files.length === 0) {
      return yield* failure({ _tag: "Invalid", path: place, detail: "there is no store here" })
    }

    // Everything is done on a copy: the damaged files stay as they are, until they are put aside.
    const unique = identity.unique()
    const work = `${place}.repair-${unique}`
    const fresh = `${place}.repaired-${unique}`
    const aside = `${place}.damaged-${unique}`
    for (const directory of [work, fresh, aside]) yield* disk.makeDirectory(directory)
    for (const name of files) {
      if (!name.startsWith(`${base}-lock.`)) yield* on(name)(fs.copyFile(disk.path(name), `${work}/${name}`))
    }

    const hasher = yield* Hasher
    const engine = yield* Effect.promise(() => loadEngine(undefined))
    const openStore = (directory: string, options: Pick<SqlStore.Settings, "readOnly" | "trusting">) =>
      Effect.gen(function* () {
        const persistence = yield* NodePersistence.make({ file: `${directory}/${base}` }).pipe(
          Effect.provideService(FileSystem.FileSystem, fs),
          Effect.provideService(ProcessIdentity.ProcessIdentity, identity)
        )
        const settings = yield* Settings.of()
        return yield* SqlStore.make(persistence, engine, hasher, { ...settings, ...options })
      })

    const copied = `${work}/${base}`
    const database = files.includes(base) ? yield* on(copied)(fs.readFile(copied)) : new Uint8Array(0)
    const pages = damagesIn(database).map((offset) => ({ path: place, offset }))
    /** Damaged pages as they are: entries are compared with the chain of hashes, whatever page they lie on. */
    const asItIs = openStore(work, { readOnly: true, trusting: true })

    const salvaged = yield* Effect.scoped(
      Effect.gen(function* () {
        // Commands are in no chain, so those are believed that lie on pages that are what was written.
        const checked = yield* unlessCorrupt(openStore(work, { readOnly: true }))
        let unreadable: string | undefined
        const from = yield* Effect.catch(asItIs, (error) => {
          if (error.reason._tag !== "Corrupt") return Effect.fail(error)
          unreadable = error.message
          return Effect.andThen(on(copied)(fs.remove(copied)), asItIs)
        })
        const to = yield* openStore(fresh, { readOnly: false })
        const result = yield* Salvage.salvage(from.store, to.store, from.salvage.runs(), (run, cursor) =>
          Effect.sync(() => {
            if (checked !== undefined) return checked.salvage.inbox(run, cursor)
            const { found, lost } = from.salvage.inbox(run, cursor)
            return { found: [], lost: lost || found.length > 0 }
          })
        )
        const logs = from.salvage.damage().map(({ offset, path }) => ({
          path: place + path.slice(copied.length),
          offset
        }))
        return { ...result, unreadable, damaged: [...pages, ...logs] }
      })
    )

    // Somebody may have opened it meanwhile.
    yield* ensureUnlocked
    yield* Effect.uninterruptible(
      Effect.gen(function* () {
        for (const name of files) yield* on(name)(fs.rename(disk.path(name), `${aside}/${name}`))
        yield* disk.syncDirectory(aside)
        yield* on(place)(fs.rename(`${fresh}/${base}`, place))
        yield* disk.syncDirectory(disk.root)
      })
    )
    for (const directory of [work, fresh]) yield* on(directory)(fs.remove(directory, { recursive: true }))
    return { ...salvaged, aside }
  })

/**
 * Repairs a store: of each run, the entries before the first one that is damaged are saved, with the commands that can be read.
 * What a redo log holds behind a damaged part counts for the runs that this part was not about. The damaged files are not changed, but put aside in a directory that the
 * report names.
 *
 * Errors: `Busy` while a process writes the store, or may; `Invalid` if there is none; what the disk says. Nothing has
 * changed then. A crash before the end leaves directories called `<file>.repair-…` and `<file>.repaired-…`, which may be removed;
 * files that lie in `<file>.damaged-…` then belong back.
 *
 * @category repairing
 * @since 0.1.0
 */
export const repair = (options?: NodePersistence.Options): Effect.Effect<Report, StoreError> =>
  repairFileSystem(options).pipe(Effect.provide([NodeFiles.layer, ProcessIdentity.layer, NodeHasher.layer]))
