/**
 * Makes a damaged store in a file usable again: saves what can be saved, says what cannot, and keeps the damaged one aside.
 * For Node.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Path from "node:path"
import { Store } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import * as Disk from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import * as ProcessIdentity from "@waymark/store-kit/ProcessIdentity"
import * as Salvage from "@waymark/store-kit/Salvage"
import * as Database from "./internal/database.ts"
import { load as loadEngine } from "./internal/engine.ts"
import * as NodePersistence from "./NodePersistence.ts"
import * as SqljsStore from "./SqljsStore.ts"

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
 * - `cut`: redo logs that were damaged, and from which byte on what they hold was left out; later logs with them
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
  readonly cut: ReadonlyArray<{ readonly log: string; readonly offset: number }>
  readonly unreadable: string | undefined
  readonly aside: string
}

/** How an error names a redo log that is damaged. */
const damagedLog = /, redo log (\d+)$/

/** The names of all runs, one by one, so that a damaged page hides those on it only. */
const runsIn = (bytes: Uint8Array): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.promise(() => loadEngine(undefined)),
    (engine) => {
      const found: Array<string> = []
      const database = Database.open(engine, bytes, Number.MAX_SAFE_INTEGER)
      const look = (sql: string, values: ReadonlyArray<number>): unknown => {
        try {
          return database.first(sql, values)?.[0]
        } catch {
          // It lies on a page that is damaged. What is on it shows in the report as missing.
          return undefined
        }
      }
      const last = Number(look("SELECT seq FROM sqlite_sequence WHERE name = 'run'", []) ?? 0)
      for (let id = 1; id <= last; id++) {
        const run = look("SELECT run FROM run WHERE id = ?", [id])
        if (typeof run === "string") found.push(run)
      }
      database.close()
      return found
    }
  )

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

    const openStore = (
      directory: string,
      readOnly: boolean
    ): Effect.Effect<Store["Service"], StoreError, Scope.Scope> =>
      Effect.map(
        Layer.build(
          Layer.fresh(
            SqljsStore.layer({ readOnly }).pipe(
              Layer.provide(NodePersistence.layerFileSystem({ file: `${directory}/${base}` })),
              Layer.provide([
                Layer.succeed(FileSystem.FileSystem, fs),
                Layer.succeed(ProcessIdentity.ProcessIdentity, identity)
              ])
            )
          )
        ),
        Context.get(Store)
      )

    const cut: Array<{ readonly log: string; readonly offset: number }> = []
    let unreadable: string | undefined
    const cutLog = Effect.fnUntraced(function* (log: number, offset: number) {
      cut.push({ log: `${place}-redo.${log}`, offset })
      const path = `${work}/${base}-redo.${log}`
      yield* on(path)(fs.truncate(path, offset))
      for (const name of yield* on(work)(fs.readDirectory(work))) {
        const [, later] = /-redo\.(\d+)$/.exec(name) ?? []
        if (later !== undefined && Number(later) > log) yield* on(name)(fs.remove(`${work}/${name}`))
      }
    })
    const openDamaged: Effect.Effect<Store["Service"], StoreError, Scope.Scope> = Effect.catch(
      openStore(work, true),
      (error) => {
        const { reason } = error
        if (reason._tag !== "Corrupt" || unreadable !== undefined || cut.length > 10)
          return Effect.fail(error)
        const found = damagedLog.exec(reason.path ?? "")
        if (found !== null) {
          return Effect.andThen(cutLog(Number(found[1]), reason.offset ?? 0), openDamaged)
        }
        unreadable = error.message
        return Effect.andThen(on(place)(fs.remove(`${work}/${base}`)), openDamaged)
      }
    )

    const salvaged = yield* Effect.scoped(
      Effect.gen(function* () {
        const from = yield* openDamaged
        const to = yield* openStore(fresh, false)
        const ids = yield* Effect.catch(Salvage.listed(from), (error) =>
          error.reason._tag === "Corrupt"
            ? Effect.flatMap(on(place)(fs.readFile(`${work}/${base}`)), runsIn)
            : Effect.fail(error)
        )
        return yield* Salvage.salvage(from, to, ids)
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
    return { ...salvaged, cut, unreadable, aside }
  })

/**
 * Repairs a store: of each run, the entries before the first one that is damaged are saved, with the commands that can be read.
 * Of a redo log, what comes before the damage counts. The damaged files are not changed, but put aside in a directory that the
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
