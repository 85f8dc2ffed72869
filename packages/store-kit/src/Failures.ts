/**
 * Failures of the file system as errors of the port.
 */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import { StoreError } from "@waymark/core/Store"
import type { StoreErrorReason } from "@waymark/core/Store"

/**
 * An error of a part of the store; `named` puts the name of the port's operation in.
 */
export const failure = (reason: StoreErrorReason, cause?: unknown): StoreError =>
  new StoreError({ operation: "store", reason, ...(cause === undefined ? undefined : { cause }) })

/** Says which operation of the port an error belongs to. */
export const named =
  (operation: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.mapError(self, (error) =>
      isStoreError(error) && error.operation !== operation ? (relabel(error, operation) as E) : error
    )

const isStoreError = (error: unknown): error is StoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "StoreError"

const relabel = (error: StoreError, operation: string): StoreError =>
  new StoreError({
    operation,
    reason: error.reason,
    ...(error.cause === undefined ? undefined : { cause: error.cause })
  })

/** The system's name of an error, such as `ENOSPC`. */
export const codeOf = (error: PlatformError): string => {
  const { reason } = error
  const cause = reason.cause
  if (typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string") {
    return cause.code
  }
  const said = /\bE[A-Z]{2,}\b/.exec(
    `${reason.description ?? ""} ${"syscall" in reason ? (reason.syscall ?? "") : ""}`
  )
  if (said !== null) return said[0]
  return reason._tag
}

export const isNotFound = (error: PlatformError): boolean => error.reason._tag === "NotFound"
export const isAlreadyExists = (error: PlatformError): boolean => error.reason._tag === "AlreadyExists"

const reasonOf = (error: PlatformError, path: string): StoreErrorReason => {
  const code = codeOf(error)
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
    case "WriteZero":
      return { _tag: "NoSpace", path }
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "PermissionDenied":
      return { _tag: "Denied", path }
    case "ENOTDIR":
    case "BadResource":
      return {
        _tag: "Invalid",
        path,
        detail: "a directory is needed here, and something else is in its place"
      }
    case "EISDIR":
      return { _tag: "Invalid", path, detail: "a file is needed here, and a directory is in its place" }
    case "ENOENT":
    case "NotFound":
      return { _tag: "Invalid", path, detail: "the store's directory, or a part of it, is gone" }
    default:
      return { _tag: "Io", code, path }
  }
}

/** Turns a failure of the file system into an error of the port. */
export const fromPlatform =
  (path: string) =>
  (error: PlatformError): StoreError =>
    failure(reasonOf(error, path), error)

/** `undefined` for what cannot be read if nothing depends on it. */
export const unlessCorrupt = <A, R>(
  self: Effect.Effect<A, StoreError, R>
): Effect.Effect<A | undefined, StoreError, R> =>
  Effect.catch(self, (error) =>
    error.reason._tag === "Corrupt" ? Effect.succeed(undefined) : Effect.fail(error)
  )
