/**
 * Makes a damaged store usable again: saves what can be saved, says what cannot, and keeps the damaged one aside.
 *
 * @since 0.1.0
 */
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { Hasher } from "@waymark/core/Hasher"
import type { StoreError } from "@waymark/core/Store"
import * as Disk from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import * as ProcessIdentity from "@waymark/store-kit/ProcessIdentity"
import * as Salvage from "@waymark/store-kit/Salvage"
import { FormatFile, formatVersion, LeaseFile, parseControl, parseFile } from "./internal/format.ts"
import * as Settings from "./internal/settings.ts"
import * as FileStore from "./internal/store.ts"

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
 * - `damaged`: the lines of segments that are not what was written. If it is not known whose they were, more may be missing than
 *   `losses` says
 * - `unreadable`: files beside the segments that could not be read and were left out
 * - `aside`: where the damaged store lies now, as it was
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
  readonly unreadable: ReadonlyArray<string>
  readonly aside: string
}

/**
 * - `directory`: the store, `.waymark` by default
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly directory?: string | undefined
}

/** At most so many files beside the segments can be damaged. */
const maxUnreadable = 1000

/** Fails if a process has the store, or may have it. */
const ensureUnowned = Effect.fnUntraced(function* (
  disk: Disk.Disk,
  identity: ProcessIdentity.ProcessIdentity["Service"]
) {
  const { self } = identity
  for (const name of yield* disk.list("leases")) {
    if (!name.endsWith(".json")) continue
    const path = disk.path("leases", name)
    const lease = parseFile(LeaseFile, Buffer.from((yield* disk.readBytes(path)) ?? []).toString("utf8"))
    if (lease === undefined) {
      return yield* failure({
        _tag: "Corrupt",
        path,
        offset: 0,
        detail:
          "this lease cannot be read, so nobody knows whether its process is there; if it is gone, remove the file"
      })
    }
    const { process } = lease
    const isGone =
      process.host === self.host &&
      (process.boot !== self.boot ||
        (process.namespace === self.namespace && identity.isAlive(process) === false))
    if (!isGone) {
      return yield* failure({
        _tag: "Busy",
        detail: `${disk.root} is in use by process ${process.pid} of ${process.host}: end it before the store is repaired`
      })
    }
  }
})

/** The runs that the segments tell of and that the store does not list, nor says that they were deleted. */
const unlisted = Effect.fnUntraced(function* (disk: Disk.Disk, listed: ReadonlySet<string>) {
  const seen = new Set<string>()
  for (const name of yield* disk.list("segments")) {
    const bytes = yield* disk.readBytes(disk.path("segments", name))
    for (const line of Buffer.from(bytes ?? [])
      .toString("utf8")
      .split("\n")) {
      const control = line.startsWith('{"$"') ? parseControl(line) : undefined
      if (control?.$ === "deleted") listed = new Set([...listed, control.run])
      const found = /^\{"run":("(?:[^"\\]|\\.)*"),"seq":\d+,/.exec(line)
      if (found !== null) seen.add(JSON.parse(found[1]!) as string)
    }
  }
  return [...seen].filter((run) => !listed.has(run))
})

/**
 * Repairs a store on any file system, as any process: see {@link repair}.
 *
 * @category repairing
 * @since 0.1.0
 */
export const repairFileSystem = (
  options?: Options
): Effect.Effect<Report, StoreError, FileSystem.FileSystem | ProcessIdentity.ProcessIdentity> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const identity = yield* ProcessIdentity.ProcessIdentity
    const { directory } = yield* Settings.of(options)
    const root = directory.replace(/[/\\]+$/, "")
    const disk = Disk.make(fs, root)
    const on =
      (path: string) =>
      <A>(work: Effect.Effect<A, PlatformError>): Effect.Effect<A, StoreError> =>
        Effect.mapError(work, fromPlatform(path))
    if (!(yield* disk.exists(root))) {
      return yield* failure({ _tag: "Invalid", path: root, detail: "there is no store here" })
    }
    yield* ensureUnowned(disk, identity)

    // Everything is done on a copy: the damaged one stays as it is, until it is put aside as a whole.
    const unique = identity.unique()
    const work = `${root}.repair-${unique}`
    const fresh = `${root}.repaired-${unique}`
    const aside = `${root}.damaged-${unique}`
    yield* on(work)(fs.copy(root, work))
    const copy = Disk.make(fs, work)
    // Its processes are gone, and what they wrote counts.
    for (const name of yield* copy.list("leases")) yield* copy.remove(copy.path("leases", name))
    const unreadable: Array<string> = []
    const format = copy.path("format.json")
    const known = yield* copy.readBytes(format)
    if (known === undefined || parseFile(FormatFile, Buffer.from(known).toString("utf8")) === undefined) {
      unreadable.push(disk.path("format.json"))
      const file: typeof FormatFile.Type = { store: "waymark", format: formatVersion }
      yield* on(format)(fs.writeFileString(format, `${JSON.stringify(file)}\n`))
    }

    const hasher = yield* Hasher
    const openStore = (directory: string, readOnly: boolean) =>
      Effect.flatMap(Settings.of({ directory, readOnly }), (settings) =>
        FileStore.make(fs, identity, hasher, settings)
      )
    const openDamaged: Effect.Effect<FileStore.Made, StoreError, Scope.Scope> = Effect.catch(
      openStore(work, true),
      (error) => {
        const { reason } = error
        const path = reason._tag === "Corrupt" ? reason.path : undefined
        if (path === undefined || path.includes("/segments/") || unreadable.length > maxUnreadable) {
          return Effect.fail(error)
        }
        unreadable.push(root + path.slice(work.length))
        return Effect.andThen(copy.remove(path), openDamaged)
      }
    )

    const salvaged = yield* Effect.scoped(
      Effect.gen(function* () {
        const { damage, salvageInbox, store: from } = yield* openDamaged
        const { store: to } = yield* openStore(fresh, false)
        const listed = yield* Salvage.listed(from)
        const result = yield* Salvage.salvage(from, to, listed, salvageInbox)
        const gone = (yield* unlisted(copy, new Set(listed))).map((run): Loss => ({
          run,
          kept: 0,
          detail: "its first entry is damaged"
        }))
        const damaged = damage().map(({ offset, path }) => ({ path: root + path.slice(work.length), offset }))
        return { ...result, losses: [...result.losses, ...gone], damaged }
      })
    )
    const report: Report = { ...salvaged, unreadable, aside }
    const account = `${fresh}/repair.json`
    yield* on(account)(fs.writeFileString(account, `${JSON.stringify(report, undefined, 2)}\n`))

    // Somebody may have opened it meanwhile; what they wrote would be put aside with it.
    yield* ensureUnowned(disk, identity)
    yield* Effect.uninterruptible(
      Effect.gen(function* () {
        yield* on(root)(fs.rename(root, aside))
        yield* on(root)(fs.rename(fresh, root))
        yield* disk.syncDirectory(disk.parent)
      })
    )
    yield* on(work)(fs.remove(work, { recursive: true }))
    return report
  })

/**
 * Repairs a store: of each run, the entries before the first one that is damaged are saved, with the commands that can be read.
 * The damaged store is not changed, but put aside under another name, which the report tells; the report also lies in the
 * repaired store as `repair.json`.
 *
 * Errors: `Busy` while a process has the store, or may have it; `Invalid` if there is none; what the disk says. Nothing has
 * changed then. A crash before the end leaves directories that are called `<directory>.repair-…` and `<directory>.repaired-…`,
 * which may be removed; if the directory itself is not there, `<directory>.damaged-…` is it.
 *
 * @category repairing
 * @since 0.1.0
 */
export const repair = (options?: Options): Effect.Effect<Report, StoreError> =>
  repairFileSystem(options).pipe(Effect.provide([NodeFiles.layer, ProcessIdentity.layer, NodeHasher.layer]))
