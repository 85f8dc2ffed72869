/**
 * A place on Node's file system: the database is a file, and beside it lie its redo logs and its lock.
 *
 * ```
 * runs.sqlite           the database
 * runs.sqlite-redo.<n>  what was done since: counts with the database of generation n, and after log n - 1
 * runs.sqlite-blocks.<n> what of the database is changed just now, if it is not replaced as a whole
 * runs.sqlite-mark      how far the log that is written is synced; overwritten in place
 * runs.sqlite-lock.<n>  the process that writes
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Path from "node:path"
import type { StoreError } from "@waymark/core/Store"
import * as Disk from "@waymark/store-kit/Disk"
import { failure, fromPlatform, named } from "@waymark/store-kit/Failures"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as ProcessIdentity from "@waymark/store-kit/ProcessIdentity"
import { Identity } from "@waymark/store-kit/ProcessIdentity"
import * as Settings from "@waymark/store-kit/Settings"
import * as DatabaseFile from "./internal/databaseFile.ts"
import { formatMark, parseMark } from "./internal/mark.ts"
import { Persistence } from "./Persistence.ts"

/**
 * - `file`: the path of the database, `waymark.sqlite` by default. Its directory is made if it is not there. It has to be on
 *   a disk of this host
 * - `replaceUpTo`: a database of at most so many bytes is replaced as a whole when it is folded, so that other SQLite programs
 *   can read it at any moment; 16 MB by default. A larger one is changed in place, unless most of it has changed
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly file?: string | undefined
  readonly replaceUpTo?: number | undefined
}

const LockFile = Schema.fromJsonString(Schema.Struct({ owner: Schema.String, process: Identity }))
type LockFile = typeof LockFile.Type

const decodeLock = Schema.decodeUnknownExit(LockFile)

/** Marks are written at most so often, in milliseconds. */
const markInterval = 20

/** How long to wait for a mark, and how often to look for it, in milliseconds. */
const markPatience = 100
const markStep = 4

interface OpenLog {
  readonly log: number
  readonly path: string
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
  /** How long the file is; `undefined` after a failure. */
  size: number | undefined
}

const settingsOf = ({ file = "waymark.sqlite", replaceUpTo = 16 * 1024 * 1024 }: Options = {}) =>
  named("open")(
    Settings.read(({ ensure, text }) => {
      ensure(replaceUpTo >= 0, "replaceUpTo", replaceUpTo, "a number of bytes, from 0 on")
      return { file: text("file", file), replaceUpTo }
    })
  )

/**
 * The service on any file system, as any process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options?: Options
): Effect.fn.Return<
  Persistence["Service"],
  StoreError,
  FileSystem.FileSystem | ProcessIdentity.ProcessIdentity | Scope.Scope
> {
  const identity = yield* ProcessIdentity.ProcessIdentity
  const { file, replaceUpTo } = yield* settingsOf(options)
  const place = Path.resolve(file)
  const base = Path.basename(place)
  const disk = Disk.make(yield* FileSystem.FileSystem, Path.dirname(place), [])
  const handles = yield* Scope.fork(yield* Effect.scope)
  let temporaries = 0
  const temporary = (): string => `${base}-tmp-${identity.unique()}${++temporaries}`

  const numbered = (kind: string): Effect.Effect<Array<number>, StoreError> =>
    Effect.map(disk.list(), (names) => {
      const numbers: Array<number> = []
      for (const name of names) {
        const number = name.startsWith(`${base}-${kind}.`) ? name.slice(base.length + kind.length + 2) : ""
        if (/^\d+$/.test(number)) numbers.push(Number(number))
      }
      return numbers.sort((a, b) => a - b)
    })
  const logPath = (log: number): string => `${place}-redo.${log}`
  const lockPath = (lock: number): string => `${place}-lock.${lock}`
  const markPath = `${place}-mark`

  const database = DatabaseFile.make({
    disk,
    place,
    temporary,
    numbered,
    replaceUpTo
  })

  // -----------------------------------------------------------------------------------------------------------------
  // the lock

  const readLock = (lock: number): Effect.Effect<LockFile | undefined, StoreError> =>
    Effect.flatMap(disk.readText(lockPath(lock)), (text) => {
      if (text === undefined) return Effect.succeed(undefined)
      const read = decodeLock(text)
      return Exit.isSuccess(read)
        ? Effect.succeed(read.value)
        : failure({ _tag: "Corrupt", path: lockPath(lock), detail: "this lock cannot be read" })
    })

  const removeOwn = (lock: number, owner: string): Effect.Effect<void, StoreError> =>
    Effect.flatMap(readLock(lock), (holder) =>
      holder?.owner === owner ? disk.remove(lockPath(lock)) : Effect.void
    )

  /** Whether its process is, or may be, there. */
  const isAlive = ({ process }: LockFile): boolean => {
    const { self } = identity
    if (process.host === self.host && process.boot !== self.boot) return false
    if (process.host !== self.host || process.namespace !== self.namespace) return true
    return identity.isAlive(process) !== false
  }

  const others = Effect.fnUntraced(function* (mine: number | undefined) {
    const found: Array<{
      readonly lock: number
      readonly holder: LockFile | undefined
      readonly alive: boolean
    }> = []
    for (const lock of yield* numbered("lock")) {
      if (lock === mine) continue
      const holder = yield* readLock(lock)
      found.push({ lock, holder, alive: holder !== undefined && isAlive(holder) })
    }
    return found
  })

  let written: { log: number; end: number } | undefined
  let wakeMarker: (() => void) | undefined

  /** Lets those who read know how far the log is synced, soon after it is. */
  const keepMarked = Effect.gen(function* () {
    const file = yield* disk.open(markPath, "w")
    let marked = ""
    const current = () => formatMark(written?.log ?? 0, written?.end ?? 0)
    return yield* Effect.forever(
      Effect.gen(function* () {
        const text = current()
        if (text !== marked) {
          yield* Effect.mapError(
            Effect.andThen(file.seek(0n, "start"), file.writeAll(Buffer.from(text))),
            fromPlatform(markPath)
          )
          marked = text
          yield* identity.pause(markInterval, "idle")
        } else {
          yield* Effect.callback<void>((resume) => {
            if (current() !== marked) return resume(Effect.void)
            wakeMarker = () => {
              wakeMarker = undefined
              resume(Effect.void)
            }
          })
        }
      })
    )
  }).pipe(
    Effect.scoped,
    Effect.catch((error) =>
      Effect.logWarning("processes that only read a store cannot follow it", {
        place,
        error: error.message
      })
    )
  )

  let locked = false

  const lock = (owner: string): Effect.Effect<void, StoreError, Scope.Scope> =>
    Effect.gen(function* () {
      yield* disk.makeDirectory(disk.root)
      // Whoever began to make this store may not have come to the end.
      if (!(yield* disk.exists(place))) yield* disk.syncAncestors(disk.root)
      for (let attempt = 0; ; attempt++) {
        const before = yield* others(undefined)
        const holder = before.find(({ alive }) => alive)
        if (holder !== undefined && (attempt === 0 || attempt > 20)) {
          const { host, pid } = holder.holder!.process
          return yield* failure({
            _tag: "Busy",
            detail:
              `${place} is being written by process ${pid}${host === identity.self.host ? "" : ` of host ${host}`}; ` +
              `open it to read only, or end that process. If it is gone for good, remove ${lockPath(holder.lock)}`
          })
        }
        const mine = Math.max(0, ...before.map((other) => other.lock)) + 1
        const text = JSON.stringify({ owner, process: identity.self } satisfies LockFile)
        const created = disk.createExclusively(lockPath(mine), Buffer.from(text), temporary()).pipe(
          // It may have got its name before something failed; this process would then keep itself out.
          Effect.onError(() => Effect.ignore(removeOwn(mine, owner))),
          // Who has just got the lock has tidied up, what was to be linked here included.
          Effect.catchIf(
            ({ reason }) => reason._tag === "Invalid" && attempt < 20,
            () => Effect.succeed(false)
          )
        )
        if (!(yield* created)) continue
        // Two that looked at once may both have found nobody; each sees the other now, or only one does.
        const rivals = yield* Effect.onError(
          Effect.gen(function* () {
            const found = (yield* others(mine)).filter(({ alive }) => alive)
            if (found.length > 0) return found
            for (const dead of before) yield* disk.remove(lockPath(dead.lock))
            return found
          }),
          () => Effect.ignore(removeOwn(mine, owner))
        )
        if (rivals.length === 0) {
          locked = true
          return mine
        }
        yield* disk.remove(lockPath(mine))
        yield* identity.pause(5 + (identity.self.pid % 13) * (attempt + 1), "busy")
      }
    }).pipe(
      Effect.uninterruptible,
      (taking) =>
        Effect.acquireRelease(taking, (mine) =>
          Effect.gen(function* () {
            locked = false
            yield* disk.remove(lockPath(mine))
          }).pipe(
            Effect.catch((error) =>
              Effect.logWarning("the lock of a store could not be removed", { place, error: error.message })
            )
          )
        ),
      Effect.andThen(
        Effect.gen(function* () {
          for (const name of yield* disk.list()) {
            if (name.startsWith(`${base}-tmp-`)) yield* disk.remove(disk.path(name))
          }
        })
      ),
      Effect.andThen(Effect.forkScoped(keepMarked)),
      Effect.asVoid
    )

  const lockedBy = Effect.map(others(undefined), (found) => found.find(({ alive }) => alive)?.holder?.owner)

  // -----------------------------------------------------------------------------------------------------------------
  // the logs

  let current: OpenLog | undefined

  const closeLog = Effect.suspend(() => {
    if (current === undefined) return Effect.void
    const { scope } = current
    current = undefined
    return Scope.close(scope, Exit.void)
  })

  const openLog = Effect.fnUntraced(function* (log: number) {
    if (current?.log === log) return current
    yield* closeLog
    const path = logPath(log)
    const size = yield* disk.size(path)
    const scope = yield* Scope.fork(handles)
    const file = yield* disk.open(path, "a").pipe(
      Scope.provide(scope),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    if (size === undefined) {
      yield* Effect.onError(disk.syncDirectory(disk.root), () => Scope.close(scope, Exit.void))
    }
    current = { log, path, file, scope, size: size ?? 0 }
    return current
  })

  const writeLog: Persistence["Service"]["writeLog"] = (log, at, bytes) =>
    Effect.uninterruptible(
      Effect.gen(function* () {
        const target = yield* openLog(log)
        const { file, path, size } = target
        target.size = undefined
        const cut = size === at ? Effect.void : file.truncate(at)
        yield* Effect.mapError(
          Effect.andThen(cut, Effect.andThen(file.writeAll(bytes), file.sync)),
          fromPlatform(path)
        )
        target.size = at + bytes.length
        written = { log, end: target.size }
        wakeMarker?.()
      })
    )

  const markedEnd = Effect.fnUntraced(function* (log: number, size: number) {
    const text = yield* disk.readText(markPath)
    const mark = text === undefined ? undefined : parseMark(text)
    if (mark === undefined || mark.log < log) return 0
    return mark.log === log ? Math.min(size, mark.end) : size
  })

  /** Bytes beyond the mark for which no mark came. */
  let stuckAt = ""

  /**
   * How far a log may be read. What its writer has written and not marked is waited for, for a moment: it may be synced
   * just now. A log whose writer is gone is read to its end.
   */
  const durableEnd = Effect.fnUntraced(function* (log: number, size: number) {
    if (locked || (yield* lockedBy) === undefined) return size
    let end = yield* markedEnd(log, size)
    const key = `${log}:${size}`
    if (end >= size || key === stuckAt) return end
    for (let waited = 0; waited < markPatience && end < size; waited += markStep) {
      yield* identity.pause(markStep, "busy")
      end = yield* markedEnd(log, size)
    }
    if (end < size) stuckAt = key
    return end
  })

  const readLog: Persistence["Service"]["readLog"] = (log, from) =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = logPath(log)
        const size = yield* disk.size(path)
        if (size === undefined) return undefined
        const end = yield* durableEnd(log, size)
        if (end <= from) return new Uint8Array(0)
        const file = yield* disk.openToRead(path)
        if (file === undefined) return undefined
        // Whoever wrote it may have died before it could sync it; a reader may not be allowed to.
        if (locked) yield* Effect.mapError(file.sync, fromPlatform(path))
        return yield* disk.readAt(file, path, from, end - from)
      })
    )

  return {
    place,
    placeOf: logPath,
    lock,
    lockedBy,
    readDatabase: Effect.suspend(() => (locked ? database.open : database.look)),
    fold: database.fold,
    listLogs: numbered("redo"),
    readLog,
    writeLog,
    removeLog: (log) =>
      Effect.suspend(() =>
        Effect.andThen(current?.log === log ? closeLog : Effect.void, disk.remove(logPath(log)))
      ),
    pause: (millis) => identity.pause(millis, "idle"),
    unique: identity.unique
  }
})

/**
 * The service on Node's file system.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Persistence, StoreError> =>
  layerFileSystem(options).pipe(Layer.provide([NodeFiles.layer, ProcessIdentity.layer]))

/**
 * The service on any file system, as any process. What is written through a `FileSystem` has to be durable after
 * `File.sync`, of directories too.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFileSystem = (
  options?: Options
): Layer.Layer<Persistence, StoreError, FileSystem.FileSystem | ProcessIdentity.ProcessIdentity> =>
  Layer.effect(
    Persistence,
    Effect.map(make(options), (made) => Persistence.of(made))
  )
