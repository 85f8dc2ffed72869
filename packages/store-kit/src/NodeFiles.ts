/**
 * Node's file system with short cuts for what every step of a run, and every look at a directory, waits for.
 *
 * A call that the system usually answers from memory is made at once instead of in a thread of Node's pool: handing it to
 * one and coming back takes longer than the call. Those are appending a little to a file, which goes to the page cache,
 * reading back what was just appended, reading a small file, listing a directory, and asking for a name. What waits for the
 * disk, what moves much data and what changes a directory still happens in a thread.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as NodeFs from "node:fs"

/** More bytes than this take so long to copy that they are left to a thread. */
const atOnce = 64 * 1024

type Result<A> = Effect.Effect<A, PlatformError.PlatformError>

const tags: { readonly [code: string]: PlatformError.SystemErrorTag } = {
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  EISDIR: "BadResource",
  ENOTDIR: "BadResource",
  EBUSY: "Busy"
}

/** The error of Effect's own file system for an error of Node's. */
const failed = (
  method: string,
  pathOrDescriptor: string | number,
  cause: unknown
): PlatformError.PlatformError => {
  const { code = "", syscall } = cause as NodeJS.ErrnoException
  const _tag = tags[code] ?? "Unknown"
  return PlatformError.systemError({
    _tag,
    module: "FileSystem",
    method,
    pathOrDescriptor,
    syscall,
    cause
  })
}

/** A call that is made at once. */
const now = <A>(method: string, pathOrDescriptor: string | number, call: () => A): Result<A> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(call())
    } catch (cause) {
      return Effect.fail(failed(method, pathOrDescriptor, cause))
    }
  })

/**
 * A call that is made in a thread. It cannot be called back: whoever is interrupted waits until it is over, so that no file is
 * closed, and its number given to another one, while something may still be written to it.
 */
const later = <A>(
  method: string,
  pathOrDescriptor: string | number,
  call: (done: (cause: NodeJS.ErrnoException | null, value?: A) => void) => void
): Result<A> =>
  Effect.callback<A, PlatformError.PlatformError>((resume) => {
    let isOver = false
    let tell: (() => void) | undefined
    const end = (outcome: Result<A>): void => {
      isOver = true
      resume(outcome)
      tell?.()
    }
    try {
      call((cause, value) => {
        // Node says `undefined` instead of `null` at times.
        if (cause === null || cause === undefined) end(Effect.succeed(value as A))
        else end(Effect.fail(failed(method, pathOrDescriptor, cause)))
      })
    } catch (cause) {
      end(Effect.fail(failed(method, pathOrDescriptor, cause)))
    }
    return Effect.callback<void>((over) => {
      tell = () => over(Effect.void)
      if (isOver) tell()
    })
  })

const typeOf = (stats: NodeFs.BigIntStats): FileSystem.File.Type => {
  if (stats.isFile()) return "File"
  if (stats.isDirectory()) return "Directory"
  if (stats.isSymbolicLink()) return "SymbolicLink"
  return "Unknown"
}

const infoOf = (stats: NodeFs.BigIntStats): FileSystem.File.Info => ({
  type: typeOf(stats),
  mtime: Option.some(stats.mtime),
  atime: Option.some(stats.atime),
  birthtime: Option.some(stats.birthtime),
  dev: stats.dev,
  ino: Option.some(stats.ino),
  mode: Number(stats.mode),
  nlink: Option.some(stats.nlink),
  uid: Option.some(Number(stats.uid)),
  gid: Option.some(Number(stats.gid)),
  rdev: Option.some(stats.rdev),
  size: ByteSize.bytes(stats.size),
  blksize: Option.some(ByteSize.bytes(stats.blksize)),
  blocks: Option.some(stats.blocks)
})

/** A file that is open to read it, or to append to it. */
class OpenFile implements FileSystem.File {
  readonly [FileSystem.FileTypeId]: typeof FileSystem.FileTypeId = FileSystem.FileTypeId
  readonly stat: Result<FileSystem.File.Info>
  readonly sync: Result<void>
  private readonly opened: number
  private readonly appends: boolean
  private closed = false
  private position = 0n

  constructor(opened: number, appends: boolean) {
    this.opened = opened
    this.appends = appends
    this.stat = now("stat", opened, () => infoOf(NodeFs.fstatSync(this.fd, { bigint: true })))
    // Nobody needs the times of what was appended to be durable; of a directory everything counts.
    const sync = appends ? NodeFs.fdatasync : NodeFs.fsync
    this.sync = later<void>("sync", opened, (done) => sync(this.fd, done))
  }

  /** What the system calls the file, as long as it is open: afterwards the number may be another file's. */
  private get fd(): number {
    if (this.closed) throw Object.assign(new Error("EBADF: the file was closed"), { code: "EBADF" })
    return this.opened
  }

  /** Closes it for the system; it is closed for its users from now on. */
  close(): Result<void> {
    this.closed = true
    return this.appends
      ? later<void>("close", this.opened, (done) => NodeFs.close(this.opened, done))
      : now("close", this.opened, () => NodeFs.closeSync(this.opened))
  }

  seek(offset: bigint, from: FileSystem.SeekMode): Result<bigint> {
    return now(
      "seek",
      this.opened,
      () => (this.position = from === "start" ? offset : this.position + offset)
    )
  }

  read(buffer: Uint8Array, options?: FileSystem.File.ReadOptions): Result<number> {
    return Effect.suspend(() => {
      const position = options?.position ?? this.position
      const place = { position, length: buffer.length }
      const read =
        this.appends && buffer.length <= atOnce
          ? now("read", this.opened, () => NodeFs.readSync(this.fd, buffer, place))
          : later<number>("read", this.opened, (done) =>
              NodeFs.read(this.fd, buffer, 0, buffer.length, position, done)
            )
      return options?.position === undefined
        ? Effect.tap(read, (count) => Effect.sync(() => (this.position = position + BigInt(count))))
        : read
    })
  }

  readAlloc(size: number, options?: FileSystem.File.ReadOptions): Result<Option.Option<Uint8Array>> {
    return Effect.suspend(() => {
      const buffer = Buffer.allocUnsafe(size)
      return Effect.map(this.read(buffer, options), (count) =>
        count === 0 ? Option.none() : Option.some(buffer.subarray(0, count))
      )
    })
  }

  truncate(length?: number): Result<void> {
    return later<void>("truncate", this.opened, (done) => NodeFs.ftruncate(this.fd, length, done))
  }

  write(buffer: Uint8Array): Result<number> {
    return buffer.length <= atOnce
      ? now("write", this.opened, () => NodeFs.writeSync(this.fd, buffer))
      : later<number>("write", this.opened, (done) => NodeFs.write(this.fd, buffer, done))
  }

  writeAll(buffer: Uint8Array): Result<void> {
    return Effect.flatMap(this.write(buffer), (count) => {
      if (count === buffer.length) return Effect.void
      return count === 0
        ? Effect.fail(failed("writeAll", this.opened, { code: "ENOSPC" }))
        : // The rest does not fit, and the next call says so; or else it fits.
          this.writeAll(buffer.subarray(count))
    })
  }
}

const open = (
  path: string,
  flag: FileSystem.OpenFlag,
  mode: number | undefined
): ReturnType<FileSystem.FileSystem["open"]> => {
  const reads = flag === "r"
  return Effect.acquireRelease(
    Effect.map(
      reads
        ? now("open", path, () => NodeFs.openSync(path, flag))
        : later<number>("open", path, (done) => NodeFs.open(path, flag, mode, done)),
      (fd) => new OpenFile(fd, !reads)
    ),
    (file) => Effect.orDie(file.close())
  )
}

/** What a small file holds; `undefined` if it is not small. */
const readSmall = (path: string): Uint8Array | undefined => {
  const fd = NodeFs.openSync(path, "r")
  try {
    const { size } = NodeFs.fstatSync(fd)
    if (size > atOnce) return undefined
    // One byte more, to notice that it has grown.
    const buffer = Buffer.allocUnsafe(size + 1)
    const count = NodeFs.readSync(fd, buffer, 0, size + 1, 0)
    return count > size ? undefined : buffer.subarray(0, count)
  } finally {
    NodeFs.closeSync(fd)
  }
}

const withShortCuts = (fs: FileSystem.FileSystem): FileSystem.FileSystem => ({
  ...fs,
  open: (path, options) => {
    const flag = options?.flag ?? "r"
    const known = (flag === "r" || flag.startsWith("a")) && options?.noFollow !== true
    return known ? open(path, flag, options?.mode) : fs.open(path, options)
  },
  stat: (path) => now("stat", path, () => infoOf(NodeFs.statSync(path, { bigint: true }))),
  exists: (path) =>
    Effect.catch(
      now("exists", path, () => {
        NodeFs.accessSync(path)
        return true
      }),
      (error) => (error.reason._tag === "NotFound" ? Effect.succeed(false) : Effect.fail(error))
    ),
  readDirectory: (path, options) =>
    options?.recursive === true
      ? fs.readDirectory(path, options)
      : now("readDirectory", path, () => NodeFs.readdirSync(path)),
  readFile: (path) =>
    Effect.flatMap(
      now("readFile", path, () => readSmall(path)),
      (bytes) => (bytes === undefined ? fs.readFile(path) : Effect.succeed(bytes))
    ),
  remove: (path, options) =>
    options === undefined
      ? later<void>("remove", path, (done) => NodeFs.unlink(path, done))
      : fs.remove(path, options)
})

export const layer: Layer.Layer<FileSystem.FileSystem> = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, withShortCuts)
).pipe(Layer.provide(NodeFileSystem.layer))
