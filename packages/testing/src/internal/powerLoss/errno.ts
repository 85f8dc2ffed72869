/**
 * The system's errors, and how Effect's `FileSystem` reports them on Node.
 */
import type { PlatformError, SystemErrorTag } from "effect/PlatformError"
import { systemError } from "effect/PlatformError"

const descriptions = {
  EACCES: "permission denied",
  EBADF: "bad file descriptor",
  EBUSY: "resource busy or locked",
  EDQUOT: "disk quota exceeded",
  EEXIST: "file already exists",
  EFBIG: "file too large",
  EINVAL: "invalid argument",
  EIO: "i/o error",
  EISDIR: "illegal operation on a directory",
  EMFILE: "too many open files",
  ENAMETOOLONG: "name too long",
  ENOENT: "no such file or directory",
  ENOSPC: "no space left on device",
  ENOSYS: "function not implemented",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "directory not empty",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ERR_FS_EISDIR: "path is a directory"
} as const

/** The name of a system error. */
export type Code = keyof typeof descriptions

export const isCode = (value: unknown): value is Code =>
  typeof value === "string" && Object.hasOwn(descriptions, value)

const tags: { readonly [code in Code]?: SystemErrorTag } = {
  EACCES: "PermissionDenied",
  EBUSY: "Busy",
  EEXIST: "AlreadyExists",
  EISDIR: "BadResource",
  ENOENT: "NotFound",
  ENOTDIR: "BadResource",
  EPERM: "PermissionDenied"
}

/** Thrown by what plays the kernel; caught where a system call ends. */
export class Errno extends Error {
  readonly _tag = "Errno"
  readonly code: Code
  constructor(code: Code) {
    super(descriptions[code])
    this.code = code
  }
}

export const isErrno = (error: unknown): error is Errno =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "Errno"

/** The same error as Node's file system gives. */
export const toPlatformError = (code: Code, method: string, syscall: string, path: string): PlatformError =>
  systemError({
    _tag: tags[code] ?? "Unknown",
    module: "FileSystem",
    method,
    pathOrDescriptor: path,
    syscall,
    cause: Object.assign(new Error(`${code}: ${descriptions[code]}, ${syscall} '${path}'`), {
      code,
      syscall,
      path
    })
  })
