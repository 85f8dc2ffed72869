/**
 * What the store does with files, on Effect's `FileSystem` and nothing else, with the store's own errors.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"
import { coalesce } from "./Coalesce.ts"
import { failure, fromPlatform, isAlreadyExists, isNotFound } from "./Failures.ts"
import { decodeText, firstInvalid } from "./Text.ts"

export interface Disk {
  readonly root: string
  /** The directory that the store's directory lies in. */
  readonly parent: string
  readonly path: (...names: ReadonlyArray<string>) => string
  /** The names in a directory of the store; none if it is not there. */
  readonly list: (...directory: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, StoreError>
  readonly exists: (path: string) => Effect.Effect<boolean, StoreError>
  readonly size: (path: string) => Effect.Effect<number | undefined, StoreError>
  /** When a directory's list of names last changed, in milliseconds, if the system tells. */
  readonly modified: (path: string) => Effect.Effect<number | undefined, StoreError>
  readonly readBytes: (path: string) => Effect.Effect<Uint8Array | undefined, StoreError>
  /** What a file says, in UTF-8; it is `Corrupt` if that is not what it is. */
  readonly readText: (path: string) => Effect.Effect<string | undefined, StoreError>
  readonly open: (
    path: string,
    flag: FileSystem.OpenFlag
  ) => Effect.Effect<FileSystem.File, StoreError, Scope.Scope>
  /** Opens a file to read; `undefined` if it is not there. */
  readonly openToRead: (path: string) => Effect.Effect<FileSystem.File | undefined, StoreError, Scope.Scope>
  /** Makes the names in a directory durable. */
  readonly syncDirectory: (path: string) => Effect.Effect<void, StoreError>
  /** Makes what a file holds durable. */
  readonly syncFile: (path: string) => Effect.Effect<void, StoreError>
  /** Makes a directory, and its name durable in its parent. It may be there already. */
  readonly makeDirectory: (path: string) => Effect.Effect<void, StoreError>
  /**
   * Makes the names of a directory and of those that it lies in durable: somebody may have made them and not come so far. What this
   * process may not look into, others have made.
   */
  readonly syncAncestors: (path: string) => Effect.Effect<void, StoreError>
  /**
   * Puts a file in the place of another in one step, durably: these bytes, or what is written to it. `temporary` is a name
   * that nobody else uses.
   */
  readonly replace: (
    path: string,
    content: Uint8Array | ((file: FileSystem.File) => Effect.Effect<void, PlatformError>),
    temporary: string
  ) => Effect.Effect<void, StoreError>
  /** Gives a file another name; `false` if there is such a name already. */
  readonly link: (from: string, to: string) => Effect.Effect<boolean, StoreError>
  /** Writes a file and gives it a name in one step, durably; `false` if there is such a name already. */
  readonly createExclusively: (
    path: string,
    bytes: Uint8Array,
    temporary: string
  ) => Effect.Effect<boolean, StoreError>
  /** Removes a file if it is there. */
  readonly remove: (path: string) => Effect.Effect<void, StoreError>
  /** Reads so many bytes, or as many as there are; into a buffer that is long enough, if one is given. */
  readonly readAt: (
    file: FileSystem.File,
    path: string,
    at: number,
    length: number,
    into?: Buffer
  ) => Effect.Effect<Buffer, StoreError>
}

const parentOf = (path: string): string => {
  const cut = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"))
  return cut < 0 ? "." : cut === 0 ? path.slice(0, 1) : path.slice(0, cut)
}

const orUndefined =
  (path: string) =>
  <A, R>(self: Effect.Effect<A, PlatformError, R>): Effect.Effect<A | undefined, StoreError, R> =>
    Effect.catch(self, (error): Effect.Effect<undefined, StoreError> =>
      isNotFound(error) ? Effect.succeed(undefined) : Effect.fail(fromPlatform(path)(error))
    )

/** Windows has no way to sync a directory, and orders such changes itself. */
const directoriesCanBeSynced = process.platform !== "win32"

/** `temporaries` is where temporary files go, from the directory on. */
export const make = (
  fs: FileSystem.FileSystem,
  directory: string,
  temporaries: ReadonlyArray<string> = ["tmp"]
): Disk => {
  const trimmed = directory.replace(/[/\\]+$/, "")
  const root = trimmed === "" ? directory.slice(0, 1) || "." : trimmed
  const path = (...names: ReadonlyArray<string>): string => [root, ...names].join("/")

  const open = (file: string, flag: FileSystem.OpenFlag) =>
    Effect.mapError(fs.open(file, { flag }), fromPlatform(file))

  const sync = (file: string): Effect.Effect<void, StoreError> =>
    Effect.scoped(
      Effect.flatMap(open(file, "r"), (opened) => Effect.mapError(opened.sync, fromPlatform(file)))
    )

  const directorySyncs = new Map<string, Effect.Effect<void, StoreError>>()
  const syncDirectory = (name: string): Effect.Effect<void, StoreError> => {
    if (!directoriesCanBeSynced) return Effect.void
    let known = directorySyncs.get(name)
    if (known === undefined) {
      known = coalesce(sync(name))
      directorySyncs.set(name, known)
    }
    return known
  }

  const makeDirectory = (name: string): Effect.Effect<void, StoreError> =>
    Effect.gen(function* () {
      const info = yield* orUndefined(name)(fs.stat(name))
      if (info !== undefined) {
        if (info.type === "Directory") return
        return yield* failure({
          _tag: "Invalid",
          path: name,
          detail: "a directory is needed here, and something else is in its place"
        })
      }
      const parent = parentOf(name)
      if (parent !== name && parent !== ".") yield* makeDirectory(parent)
      yield* Effect.catch(fs.makeDirectory(name), (error) =>
        isAlreadyExists(error) ? Effect.void : Effect.fail(fromPlatform(name)(error))
      )
      yield* syncDirectory(parent)
    })

  const syncAncestors = (name: string): Effect.Effect<void, StoreError> => {
    const parent = parentOf(name)
    if (parent === name) return Effect.void
    const synced = Effect.catch(syncDirectory(parent), (error) =>
      error.reason._tag === "Denied" ? Effect.void : Effect.fail(error)
    )
    return parent === "." ? synced : Effect.andThen(synced, syncAncestors(parent))
  }

  const writeSynced = (
    name: string,
    content: Parameters<Disk["replace"]>[1]
  ): Effect.Effect<void, StoreError> =>
    Effect.scoped(
      Effect.flatMap(open(name, "w"), (file) =>
        Effect.mapError(
          Effect.andThen(typeof content === "function" ? content(file) : file.writeAll(content), file.sync),
          fromPlatform(name)
        )
      )
    )

  const remove = (name: string): Effect.Effect<void, StoreError> =>
    Effect.catch(fs.remove(name), (error) =>
      isNotFound(error) ? Effect.void : Effect.fail(fromPlatform(name)(error))
    )

  const link = (from: string, to: string): Effect.Effect<boolean, StoreError> =>
    Effect.matchEffect(fs.link(from, to), {
      onSuccess: () => Effect.succeed(true),
      onFailure: (error) =>
        isAlreadyExists(error) ? Effect.succeed(false) : Effect.fail(fromPlatform(to)(error))
    })

  const temporaryPath = (name: string): string => path(...temporaries, name)

  return {
    root,
    parent: parentOf(root),
    path,
    open,
    syncDirectory,
    syncFile: sync,
    makeDirectory,
    syncAncestors,
    remove,
    link,
    list: (...names) =>
      Effect.map(orUndefined(path(...names))(fs.readDirectory(path(...names))), (found) => found ?? []),
    exists: (file) => Effect.mapError(fs.exists(file), fromPlatform(file)),
    size: (file) =>
      Effect.map(orUndefined(file)(fs.stat(file)), (info) =>
        info === undefined ? undefined : Number(info.size)
      ),
    modified: (file) =>
      Effect.map(orUndefined(file)(fs.stat(file)), (info) =>
        info !== undefined && info.mtime._tag === "Some" ? info.mtime.value.getTime() : undefined
      ),
    readBytes: (file) => orUndefined(file)(fs.readFile(file)),
    readText: (file) =>
      Effect.flatMap(orUndefined(file)(fs.readFile(file)), (content) => {
        if (content === undefined) return Effect.succeed(undefined)
        const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
        const text = decodeText(bytes, 0, bytes.length)
        return text === undefined
          ? failure({
              _tag: "Corrupt",
              path: file,
              offset: firstInvalid(bytes),
              detail: "this is not UTF-8"
            })
          : Effect.succeed(text)
      }),
    openToRead: (file) => orUndefined(file)(fs.open(file, { flag: "r" })),
    replace: (name, content, temporary) =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          const file = temporaryPath(temporary)
          yield* writeSynced(file, content)
          yield* Effect.mapError(fs.rename(file, name), fromPlatform(name))
          yield* syncDirectory(parentOf(name))
        })
      ),
    createExclusively: (name, bytes, temporary) =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          const file = temporaryPath(temporary)
          yield* writeSynced(file, bytes)
          const linked = yield* link(file, name)
          yield* remove(file)
          // Also when another made it: it may not have come to this point.
          yield* syncDirectory(parentOf(name))
          return linked
        })
      ),
    readAt: (file, name, at, length, into) =>
      Effect.suspend(() => {
        const buffer = into === undefined ? Buffer.allocUnsafe(length) : into.subarray(0, length)
        // A file gives less than it was asked for at its end only.
        return Effect.map(
          Effect.mapError(file.read(buffer, { position: BigInt(at) }), fromPlatform(name)),
          (count) => buffer.subarray(0, count)
        )
      })
  }
}
