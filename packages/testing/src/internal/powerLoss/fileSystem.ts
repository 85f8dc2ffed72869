/**
 * Effect's `FileSystem` as one process sees it.
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import { badArgument, systemError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as Calls from "./calls.ts"
import { Errno } from "./errno.ts"
import type { Kernel, Process, Request } from "./kernel.ts"
import { call, runs } from "./kernel.ts"
import type { Node } from "./tree.ts"

const join = (directory: string, name: string): string =>
  directory.endsWith("/") ? directory + name : `${directory}/${name}`

const parentOf = (path: string): string => path.replace(/\/+$/, "").replace(/[^/]*$/, "") || "."

const infoOf = (node: Node): FileSystem.File.Info => {
  const modified = Option.some(new Date(node.modified))
  return {
    type: node.kind,
    mtime: modified,
    atime: modified,
    birthtime: Option.none(),
    dev: 1n,
    ino: Option.some(BigInt(node.ino)),
    mode: (node.kind === "File" ? 0o100000 : 0o040000) | node.mode,
    nlink: Option.some(BigInt(node.kind === "File" ? node.links : 2)),
    uid: Option.some(1000),
    gid: Option.some(1000),
    rdev: Option.some(0n),
    size: ByteSize.bytes(node.kind === "File" ? node.cache.length : 4096),
    blksize: Option.some(ByteSize.bytes(4096)),
    blocks: Option.some(BigInt(node.kind === "File" ? Math.ceil(node.cache.length / 512) : 8))
  }
}

const invalid = (method: string, description: string): Effect.Effect<never, PlatformError> =>
  Effect.fail(badArgument({ module: "FileSystem", method, description }))

export const make = (kernel: Kernel, process: Process): FileSystem.FileSystem => {
  const request = <A>(made: Request<A>): Effect.Effect<A, PlatformError> =>
    made.path.includes("\0") || made.to?.includes("\0")
      ? invalid(made.method, "a path must not contain null bytes")
      : call(kernel, process, made)

  const mkdir = (path: string, mode?: number) =>
    request({
      name: "mkdir",
      method: "makeDirectory",
      path,
      mutates: true,
      run: (now) => Calls.mkdir(kernel, path, mode, now)
    })

  /** The kind of what is there, if anything is. */
  const kindOf = (path: string, method: string) =>
    request({ name: "stat", method, path, mutates: false, run: () => Calls.lookUp(kernel, path).kind })

  const isCode = (error: PlatformError, code: string): boolean => {
    const { cause } = error.reason
    return typeof cause === "object" && cause !== null && "code" in cause && cause.code === code
  }

  const makeDirectories = (path: string, mode?: number): Effect.Effect<void, PlatformError> =>
    Effect.catch(mkdir(path, mode), (error) => {
      if (isCode(error, "ENOENT") && path !== "") {
        return Effect.andThen(makeDirectories(parentOf(path), mode), makeDirectories(path, mode))
      }
      if (!isCode(error, "EEXIST")) return Effect.fail(error)
      return Effect.flatMap(kindOf(path, "makeDirectory"), (kind) =>
        kind === "Directory" ? Effect.void : Effect.fail(error)
      )
    })

  const unlink = (path: string) =>
    request({
      name: "unlink",
      method: "remove",
      path,
      mutates: true,
      run: (now) => Calls.unlink(kernel, path, now)
    })

  const removeTree = (path: string): Effect.Effect<void, PlatformError> =>
    Effect.flatMap(kindOf(path, "remove"), (kind) =>
      kind === "File"
        ? unlink(path)
        : Effect.gen(function* () {
            for (const [name] of yield* readdir(path, "remove")) yield* removeTree(join(path, name))
            yield* request({
              name: "rmdir",
              method: "remove",
              path,
              mutates: true,
              run: (now) => Calls.rmdir(kernel, path, now)
            })
          })
    )

  const remove: FileSystem.FileSystem["remove"] = (path, options) =>
    Effect.flatMap(kindOf(path, "remove"), (kind) => {
      if (kind === "File") return unlink(path)
      if (options?.recursive === true) return removeTree(path)
      return request<void>({
        name: "rmdir",
        method: "remove",
        path,
        mutates: false,
        run: () => {
          throw new Errno("ERR_FS_EISDIR")
        }
      })
    }).pipe(
      Effect.catch((error) =>
        options?.force === true && isCode(error, "ENOENT") ? Effect.void : Effect.fail(error)
      )
    )

  const readdir = (path: string, method: string) =>
    request({ name: "readdir", method, path, mutates: false, run: () => Calls.readdir(kernel, path) })

  const readDirectory = (
    path: string,
    recursive: boolean,
    prefix = ""
  ): Effect.Effect<Array<string>, PlatformError> =>
    Effect.gen(function* () {
      const names: Array<string> = []
      for (const [name, node] of yield* readdir(path, "readDirectory")) {
        names.push(prefix + name)
        if (recursive && node.kind === "Directory") {
          names.push(...(yield* readDirectory(join(path, name), true, `${prefix}${name}/`)))
        }
      }
      return names
    })

  const open: FileSystem.FileSystem["open"] = (path, options) => {
    const flag = options?.flag ?? "r"
    return Effect.map(
      Effect.acquireRelease(
        request({
          name: "open",
          method: "open",
          path,
          mutates: () => Calls.openMutates(kernel, path, flag),
          run: (now) => ({ node: Calls.open(kernel, path, flag, options?.mode, now), open: true })
        }),
        (handle) =>
          Effect.sync(() => {
            handle.open = false
            if (runs(kernel, process))
              kernel.operations.push({ name: "close", path, process: process.number })
          })
      ),
      (handle) => makeFile(handle, path, flag)
    )
  }

  const makeFile = (
    handle: { readonly node: Node; readonly open: boolean },
    path: string,
    flag: FileSystem.OpenFlag
  ): FileSystem.File => {
    const { node } = handle
    const append = flag.startsWith("a")
    const canRead = flag === "r" || flag.includes("+")
    const canWrite = flag !== "r"
    let position = 0n

    const onHandle = <A>(made: Omit<Request<A>, "path">): Effect.Effect<A, PlatformError> =>
      request({
        ...made,
        path,
        run: (now) => {
          if (!handle.open) throw new Errno("EBADF")
          return made.run(now)
        }
      })

    const readAt = (method: string, at: bigint, length: number) =>
      onHandle({
        name: "read",
        method,
        mutates: false,
        run: () => {
          if (!canRead) throw new Errno("EBADF")
          if (node.kind === "Directory") throw new Errno("EISDIR")
          return node.cache.read(Number(at), length)
        }
      })

    const read = (
      method: string,
      length: number,
      explicit: bigint | undefined
    ): Effect.Effect<Uint8Array, PlatformError> =>
      Effect.suspend(() => {
        if (explicit !== undefined) {
          if (explicit < 0n) return invalid(method, "Cannot read before the start of the file")
          return length === 0 ? Effect.succeed(new Uint8Array(0)) : readAt(method, explicit, length)
        }
        const from = position
        // Node makes no call for nothing.
        if (length === 0) return Effect.succeed(new Uint8Array(0))
        return Effect.map(readAt(method, from, length), (bytes) => {
          position = from + BigInt(bytes.length)
          return bytes
        })
      })

    const writeSome = (method: string, buffer: Uint8Array): Effect.Effect<number, PlatformError> =>
      Effect.suspend(() => {
        const from = position
        const run = (now: number, bytes: number): number => {
          if (!canWrite || node.kind === "Directory") throw new Errno("EBADF")
          return Calls.write(node, append ? node.cache.length : Number(from), buffer.subarray(0, bytes), now)
        }
        return Effect.map(
          onHandle({
            name: "write",
            method,
            bytes: buffer.length,
            mutates: true,
            run: (now) => run(now, buffer.length),
            runPartly: run
          }),
          (written) => {
            if (!append) position = from + BigInt(written)
            return written
          }
        )
      })

    const writeAll = (buffer: Uint8Array): Effect.Effect<void, PlatformError> =>
      buffer.length === 0
        ? Effect.void
        : Effect.flatMap(writeSome("writeAll", buffer), (written) => {
            if (written > 0) return writeAll(buffer.subarray(written))
            return Effect.fail(
              systemError({
                _tag: "WriteZero",
                module: "FileSystem",
                method: "writeAll",
                pathOrDescriptor: path
              })
            )
          })

    return {
      [FileSystem.FileTypeId]: FileSystem.FileTypeId,
      stat: onHandle({ name: "stat", method: "stat", mutates: false, run: () => infoOf(node) }),
      sync: onHandle({
        name: "fsync",
        method: "sync",
        mutates: true,
        run: () => Calls.fsync(node),
        onFailure: () => Calls.failFsync(node)
      }),
      seek: (offset, from) =>
        Effect.suspend(() => {
          const next = from === "start" ? offset : position + offset
          if (next < 0n) return invalid("seek", "Cannot seek before the start of the file")
          position = next
          return Effect.succeed(next)
        }),
      read: (buffer, options) =>
        Effect.map(read("read", buffer.length, options?.position), (bytes) => {
          buffer.set(bytes)
          return bytes.length
        }),
      readAlloc: (size, options) =>
        Number.isInteger(size) && size >= 0
          ? Effect.map(read("readAlloc", size, options?.position), (bytes) =>
              bytes.length === 0 ? Option.none() : Option.some(bytes)
            )
          : invalid("readAlloc", "size must be a non-negative integer"),
      truncate: (length) =>
        Effect.map(
          onHandle({
            name: "truncate",
            method: "truncate",
            mutates: true,
            run: (now) => {
              if (!canWrite || node.kind === "Directory") throw new Errno("EINVAL")
              Calls.truncate(node, length ?? 0, now)
            }
          }),
          () => {
            const end = BigInt(length ?? 0)
            if (!append && position > end) position = end
          }
        ),
      write: (buffer) => writeSome("write", buffer),
      writeAll
    }
  }

  const writeFile: FileSystem.FileSystem["writeFile"] = (path, data, options) =>
    Effect.scoped(
      Effect.flatMap(open(path, { ...options, flag: options?.flag ?? "w" }), (file) => file.writeAll(data))
    )

  const readFile = (path: string) =>
    request({
      name: "read",
      method: "readFile",
      path,
      mutates: false,
      run: () => Calls.readFile(kernel, path)
    })

  const copyFile = (from: string, to: string) => Effect.flatMap(readFile(from), (data) => writeFile(to, data))

  const copy = (from: string, to: string, overwrite: boolean): Effect.Effect<void, PlatformError> =>
    Effect.flatMap(kindOf(from, "copy"), (kind) => {
      if (kind === "File") {
        return overwrite
          ? copyFile(from, to)
          : Effect.catch(kindOf(to, "copy"), () => copyFile(from, to)).pipe(Effect.asVoid)
      }
      return Effect.gen(function* () {
        yield* makeDirectories(to)
        for (const [name] of yield* readdir(from, "copy"))
          yield* copy(join(from, name), join(to, name), overwrite)
      })
    })

  const makeTempDirectory: FileSystem.FileSystem["makeTempDirectory"] = (options) =>
    Effect.suspend(() => {
      const path = join(options?.directory ?? "/tmp", `${options?.prefix ?? ""}${kernel.nextInode}`)
      return Effect.as(mkdir(path, 0o700), path)
    })

  const makeTempFile: FileSystem.FileSystem["makeTempFile"] = (options) =>
    Effect.flatMap(makeTempDirectory(options), (directory) => {
      const path = join(directory, `file${options?.suffix ?? ""}`)
      return Effect.as(writeFile(path, new Uint8Array(0)), path)
    })

  const scoped = (path: Effect.Effect<string, PlatformError>, remove_: (path: string) => string) =>
    Effect.acquireRelease(path, (made) =>
      Effect.orDie(remove(remove_(made), { recursive: true, force: true }))
    )

  const unsupported = (method: string, path: string): Effect.Effect<never, PlatformError> =>
    request<never>({
      name: "stat",
      method,
      path,
      mutates: false,
      run: () => {
        throw new Errno("ENOSYS")
      }
    })

  return FileSystem.make({
    access: (path, options) =>
      request({
        name: "access",
        method: "access",
        path,
        mutates: false,
        run: () =>
          Calls.access(
            kernel,
            path,
            (options?.readable === true ? 0o400 : 0) | (options?.writable === true ? 0o200 : 0)
          )
      }),
    chmod: (path, mode) =>
      request({
        name: "chmod",
        method: "chmod",
        path,
        mutates: true,
        run: () => {
          Calls.lookUp(kernel, path).mode = mode & 0o777
        }
      }),
    chown: (path) => unsupported("chown", path),
    copy: (from, to, options) => copy(from, to, options?.overwrite ?? false),
    copyFile,
    link: (from, to) =>
      request({
        name: "link",
        method: "link",
        path: from,
        to,
        mutates: true,
        run: (now) => Calls.link(kernel, from, to, now)
      }),
    lstat: (path) =>
      request({
        name: "stat",
        method: "lstat",
        path,
        mutates: false,
        run: () => infoOf(Calls.lookUp(kernel, path))
      }),
    makeDirectory: (path, options) =>
      options?.recursive === true ? makeDirectories(path, options.mode) : mkdir(path, options?.mode),
    makeTempDirectory,
    makeTempDirectoryScoped: (options) => scoped(makeTempDirectory(options), (path) => path),
    makeTempFile,
    makeTempFileScoped: (options) => scoped(makeTempFile(options), parentOf),
    open,
    readDirectory: (path, options) => readDirectory(path, options?.recursive ?? false),
    readDirectoryEntries: (path) =>
      Effect.map(readdir(path, "readDirectoryEntries"), (entries) =>
        entries.map(([name, { kind }]) => ({ name, type: kind }))
      ),
    readFile,
    readLink: (path) => unsupported("readLink", path),
    realPath: (path) => Effect.as(kindOf(path, "realPath"), new URL(path, "file:///").pathname),
    remove,
    rename: (from, to) =>
      request({
        name: "rename",
        method: "rename",
        path: from,
        to,
        mutates: true,
        run: (now) => Calls.rename(kernel, from, to, now)
      }),
    stat: (path) =>
      request({
        name: "stat",
        method: "stat",
        path,
        mutates: false,
        run: () => infoOf(Calls.lookUp(kernel, path))
      }),
    symlink: (_target, path) => unsupported("symlink", path),
    truncate: (path, length) =>
      Effect.scoped(Effect.flatMap(open(path, { flag: "r+" }), (file) => file.truncate(length))),
    utimes: (path, _accessed, modified) =>
      request({
        name: "utimes",
        method: "utimes",
        path,
        mutates: true,
        run: () => {
          Calls.lookUp(kernel, path).modified =
            typeof modified === "number" ? modified * 1000 : modified.getTime()
        }
      }),
    watch: (path) => Stream.fromEffect(unsupported("watch", path)),
    writeFile
  })
}
