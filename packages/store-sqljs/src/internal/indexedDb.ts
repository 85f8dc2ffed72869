/**
 * IndexedDB as effects, with the store's own errors.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { StoreError, StoreErrorReason } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"

const reasonOf = (error: DOMException | null, place: string): StoreErrorReason => {
  switch (error?.name) {
    case "QuotaExceededError":
      return { _tag: "NoSpace", path: place }
    case "SecurityError":
    case "NotAllowedError":
      return { _tag: "Denied", path: place }
    case "InvalidStateError":
      return { _tag: "Closed", detail: `the browser closed ${place}, or somebody deleted it` }
    default:
      return { _tag: "Io", code: error?.name ?? "AbortError", path: place }
  }
}

const failed = (error: unknown, place: string): Effect.Effect<never, StoreError> =>
  failure(reasonOf(error instanceof DOMException ? error : null, place), error ?? undefined)

export interface Options {
  readonly name: string
  /** For messages. */
  readonly place: string
  readonly version: number
  /** Makes what is to be there, in a database that is new. */
  readonly create: (database: IDBDatabase) => void
}

/** A connection, closed with the scope. */
export const open = ({
  create,
  name,
  place,
  version
}: Options): Effect.Effect<IDBDatabase, StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<IDBDatabase, StoreError>((resume) => {
      if (globalThis.indexedDB === undefined) {
        return resume(failure({ _tag: "Invalid", path: place, detail: "there is no IndexedDB here" }))
      }
      const request = indexedDB.open(name, version)
      request.addEventListener("upgradeneeded", () => create(request.result))
      request.addEventListener("success", () => resume(Effect.succeed(request.result)))
      request.addEventListener("error", () =>
        resume(
          request.error?.name === "VersionError"
            ? failure({ _tag: "UnsupportedFormat", path: place, found: version + 1, supported: version })
            : failed(request.error, place)
        )
      )
      return Effect.void
    }),
    (database) => Effect.sync(() => database.close())
  ).pipe(
    Effect.tap((database) =>
      Effect.sync(() => {
        // Whoever deletes it does not have to wait for this page to be closed.
        database.addEventListener("versionchange", () => database.close())
      })
    )
  )

/**
 * Does something in one transaction: all of it or nothing, and durably if it writes. `body` begins it and says, at any time
 * before the transaction ends, what is to be given back.
 */
export const transact = <A = void>(
  database: IDBDatabase,
  place: string,
  names: ReadonlyArray<string>,
  mode: "readonly" | "readwrite",
  body: (storeOf: (name: string) => IDBObjectStore, give: (value: A) => void) => void
): Effect.Effect<A, StoreError> =>
  Effect.uninterruptible(
    Effect.callback<A, StoreError>((resume) => {
      try {
        // It is complete when the browser has flushed it, and not only handed it to the system.
        const transaction = database.transaction([...names], mode, { durability: "strict" })
        let given: A
        transaction.addEventListener("complete", () => resume(Effect.succeed(given)))
        transaction.addEventListener("abort", () => resume(failed(transaction.error, place)))
        body(
          (name) => transaction.objectStore(name),
          (value) => {
            given = value
          }
        )
      } catch (error) {
        resume(failed(error, place))
      }
    })
  )

/** What to do with the answer to a request. A request that fails aborts its transaction, which says so. */
export const onAnswer = <A>(request: IDBRequest<A>, next: (result: A) => void): void => {
  request.addEventListener("success", () => next(request.result))
}
