/**
 * Node's file system with short cuts for what every step of a run waits for.
 *
 * A call that the system answers from memory is made at once instead of in a thread of Node's pool: handing it to one and
 * coming back takes longer than the call. Those are appending a little to a file, which goes to the page cache, reading
 * back what was just appended, and asking whether a name is there. What waits for the disk still waits in a thread.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import * as NodeFs from "node:fs"

/** More bytes than this take so long to copy that they are left to a thread. */
const atOnce = 64 * 1024

const failed = (method: string, pathOrDescriptor: string | number, cause: unknown) =>
  PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method,
    pathOrDescriptor,
    // The store's errors name its code.
    cause
  })

/** A file that is opened to append to it, or to read that back. */
const appending = (file: FileSystem.File, fd: number): FileSystem.File => {
  const write = (buffer: Uint8Array): Effect.Effect<number, PlatformError.PlatformError> =>
    buffer.length > atOnce
      ? file.write(buffer)
      : Effect.suspend(() => {
          try {
            return Effect.succeed(NodeFs.writeSync(fd, buffer))
          } catch (cause) {
            return Effect.fail(failed("write", fd, cause))
          }
        })
  return {
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: file.stat,
    // Nobody needs the times of the last change to be durable.
    sync: Effect.callback<void, PlatformError.PlatformError>((resume) => {
      NodeFs.fdatasync(fd, (cause) => {
        resume(cause === null ? Effect.void : Effect.fail(failed("sync", fd, cause)))
      })
    }),
    seek: (offset, from) => file.seek(offset, from),
    read: (buffer, options) =>
      options?.position === undefined
        ? file.read(buffer, options)
        : Effect.suspend(() => {
            try {
              return Effect.succeed(NodeFs.readSync(fd, buffer, { position: options.position! }))
            } catch (cause) {
              return Effect.fail(failed("read", fd, cause))
            }
          }),
    readAlloc: (size, options) => file.readAlloc(size, options),
    truncate: (length) => file.truncate(length),
    write,
    writeAll: (buffer) =>
      buffer.length > atOnce
        ? file.writeAll(buffer)
        : Effect.flatMap(write(buffer), (written) =>
            // The rest does not fit, or else it is written now.
            written === buffer.length ? Effect.void : file.writeAll(buffer.subarray(written))
          )
  }
}

const withShortCuts = (fs: FileSystem.FileSystem): FileSystem.FileSystem => ({
  ...fs,
  open: (path, options) => {
    const opened = fs.open(path, options)
    if (options?.flag?.startsWith("a") !== true) return opened
    return Effect.map(opened, (file) =>
      "fd" in file && typeof file.fd === "number" ? appending(file, file.fd) : file
    )
  },
  exists: (path) =>
    Effect.suspend(() => {
      try {
        NodeFs.accessSync(path)
        return Effect.succeed(true)
      } catch (cause) {
        return (cause as NodeJS.ErrnoException).code === "ENOENT"
          ? Effect.succeed(false)
          : Effect.fail(failed("exists", path, cause))
      }
    })
})

export const layer: Layer.Layer<FileSystem.FileSystem> = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, withShortCuts)
).pipe(Layer.provide(NodeFileSystem.layer))
