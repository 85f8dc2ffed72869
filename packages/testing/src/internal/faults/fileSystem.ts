/**
 * A file system between which and its users faults stand.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import { toPlatformError } from "../powerLoss/errno.ts"
import type { Kind } from "./fault.ts"
import type { Injector, Request } from "./injector.ts"
import { flip } from "./store.ts"

type Result<A> = Effect.Effect<A, PlatformError>

export const wrap = (inner: FileSystem.FileSystem, injector: Injector): FileSystem.FileSystem => {
  /** What was answered to whom asked the same before. */
  const answers = new Map<string, unknown>()

  const request = <A, R>(
    name: string,
    kind: Kind,
    path: string,
    perform: Effect.Effect<A, PlatformError, R>,
    more: Partial<Request<A, PlatformError>> = {}
  ): Effect.Effect<A, PlatformError, R> =>
    Effect.contextWith((context: Context.Context<R>) =>
      injector.perform<A, PlatformError>({
        service: "fileSystem",
        name,
        kind,
        subject: path,
        perform: Effect.provideContext(perform, context),
        fail: (code) => Effect.fail(toPlatformError(code, name, name, path)),
        ...more
      })
    )

  const changing = <A, R>(name: string, path: string, perform: Effect.Effect<A, PlatformError, R>) =>
    request(name, "change", path, perform)

  /** What a local disk may be asked for twice, as far as it is concerned: changes of names. */
  const repeatable = (name: string, path: string, perform: Result<void>) =>
    request(name, "change", path, perform, { again: perform })

  const reading = <A>(
    name: string,
    path: string,
    perform: Result<A>,
    flipped?: (answer: A, bit: number) => A
  ): Result<A> => {
    const key = `${name} ${path}`
    return request(
      name,
      "read",
      path,
      Effect.tap(perform, (answer) => Effect.sync(() => answers.set(key, answer))),
      {
        stale: () => (answers.has(key) ? Effect.succeed(answers.get(key) as A) : undefined),
        ...(flipped === undefined
          ? undefined
          : { flipped: (bit: number) => Effect.map(perform, (answer) => flipped(answer, bit)) })
      }
    )
  }

  const makeFile = (file: FileSystem.File, path: string): FileSystem.File => {
    const read = (buffer: Uint8Array, options: FileSystem.File.ReadOptions | undefined): Result<number> => {
      // Where a read begins that does not say so, is not known here; its answers are not remembered.
      const position = options?.position
      const key = position === undefined ? undefined : `read ${path} ${position} ${buffer.length}`
      const perform = file.read(buffer, options)
      const into = (bytes: Uint8Array): number => {
        buffer.set(bytes)
        return bytes.length
      }
      return request(
        "read",
        "read",
        path,
        Effect.tap(perform, (count) =>
          Effect.sync(() => {
            if (key !== undefined) answers.set(key, buffer.slice(0, count))
          })
        ),
        {
          stale: () => {
            const known = key === undefined ? undefined : (answers.get(key) as Uint8Array | undefined)
            return known === undefined ? undefined : Effect.sync(() => into(known))
          },
          flipped: (bit) => Effect.map(perform, (count) => into(flip(buffer.subarray(0, count), bit)))
        }
      )
    }
    return {
      [FileSystem.FileTypeId]: FileSystem.FileTypeId,
      stat: reading("stat", path, file.stat),
      seek: file.seek,
      sync: request("sync", "sync", path, file.sync, { lost: Effect.void, again: file.sync }),
      read,
      readAlloc: (size, options) =>
        Effect.suspend(() => {
          const buffer = new Uint8Array(size)
          return Effect.map(read(buffer, options), (count) =>
            count === 0 ? Option.none() : Option.some(buffer.subarray(0, count))
          )
        }),
      truncate: (length) => changing("truncate", path, file.truncate(length)),
      write: (buffer) =>
        request("write", "write", path, file.write(buffer), {
          torn: (bytes) => file.writeAll(buffer.subarray(0, bytes)),
          flipped: (bit) => file.write(flip(buffer, bit))
        }),
      writeAll: (buffer) =>
        request("write", "write", path, file.writeAll(buffer), {
          torn: (bytes) => file.writeAll(buffer.subarray(0, bytes)),
          flipped: (bit) => file.writeAll(flip(buffer, bit))
        })
    }
  }

  const writeFile: FileSystem.FileSystem["writeFile"] = (path, data, options) =>
    request("writeFile", "write", path, inner.writeFile(path, data, options), {
      torn: (bytes) => inner.writeFile(path, data.subarray(0, bytes), options),
      flipped: (bit) => inner.writeFile(path, flip(data, bit), options)
    })

  const made = FileSystem.make({
    access: (path, options) => reading("access", path, inner.access(path, options)),
    chmod: (path, mode) => changing("chmod", path, inner.chmod(path, mode)),
    chown: (path, uid, gid) => changing("chown", path, inner.chown(path, uid, gid)),
    copy: (from, to, options) => changing("copy", to, inner.copy(from, to, options)),
    copyFile: (from, to) => changing("copyFile", to, inner.copyFile(from, to)),
    link: (from, to) => repeatable("link", to, inner.link(from, to)),
    lstat: (path) => reading("lstat", path, inner.lstat(path)),
    makeDirectory: (path, options) => repeatable("makeDirectory", path, inner.makeDirectory(path, options)),
    makeTempDirectory: (options) => changing("makeTempDirectory", "", inner.makeTempDirectory(options)),
    makeTempDirectoryScoped: (options) =>
      changing("makeTempDirectory", "", inner.makeTempDirectoryScoped(options)),
    makeTempFile: (options) => changing("makeTempFile", "", inner.makeTempFile(options)),
    makeTempFileScoped: (options) => changing("makeTempFile", "", inner.makeTempFileScoped(options)),
    open: (path, options) => {
      const flag = options?.flag ?? "r"
      return Effect.map(
        request("open", flag.startsWith("r") ? "read" : "change", path, inner.open(path, options)),
        (file) => makeFile(file, path)
      )
    },
    readDirectory: (path, options) =>
      reading(
        options?.recursive === true ? "readTree" : "readDirectory",
        path,
        inner.readDirectory(path, options)
      ),
    readDirectoryEntries: (path) => reading("readDirectoryEntries", path, inner.readDirectoryEntries(path)),
    readFile: (path) => reading("readFile", path, inner.readFile(path), flip),
    readLink: (path) => reading("readLink", path, inner.readLink(path)),
    realPath: (path) => reading("realPath", path, inner.realPath(path)),
    remove: (path, options) => repeatable("remove", path, inner.remove(path, options)),
    rename: (from, to) => repeatable("rename", to, inner.rename(from, to)),
    stat: (path) => reading("stat", path, inner.stat(path)),
    symlink: (from, to) => repeatable("symlink", to, inner.symlink(from, to)),
    truncate: (path, length) => changing("truncate", path, inner.truncate(path, length)),
    utimes: (path, accessed, modified) => changing("utimes", path, inner.utimes(path, accessed, modified)),
    watch: inner.watch,
    writeFile
  })
  return { ...made, exists: (path) => reading("exists", path, inner.exists(path)) }
}
