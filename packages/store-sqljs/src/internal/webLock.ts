/**
 * A lock that one tab, window or worker of this origin holds, and nobody any more when that one is gone.
 *
 * The lock by which the others are kept out is taken first, then a second one whose name says who did: what the browser
 * lists is those who are there.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"

const Holder = Schema.fromJsonString(Schema.Struct({ owner: Schema.String, page: Schema.String }))
const decodeHolder = Schema.decodeUnknownExit(Holder)

/** How long to wait for one that is just being closed, in milliseconds. */
const patience = 1000

export interface WebLock {
  readonly lock: (owner: string) => Effect.Effect<void, StoreError, Scope.Scope>
  readonly lockedBy: Effect.Effect<string | undefined, StoreError>
}

export const make = (name: string, place: string): WebLock => {
  const lockName = `waymark-sqljs/${name}`
  const holderPrefix = `${lockName} by `

  const manager = Effect.suspend((): Effect.Effect<LockManager, StoreError> => {
    const locks = globalThis.navigator?.locks as LockManager | undefined
    return locks === undefined
      ? failure({
          _tag: "Invalid",
          path: place,
          detail: "there are no Web Locks here; a page has them that comes by https, or from localhost"
        })
      : Effect.succeed(locks)
  })

  const holders = Effect.flatMap(manager, (locks) =>
    Effect.map(
      Effect.promise(() => locks.query()),
      ({ held }) =>
        (held ?? []).flatMap(({ name: held }) => {
          if (held?.startsWith(holderPrefix) !== true) return []
          const holder = decodeHolder(held.slice(holderPrefix.length))
          return Exit.isSuccess(holder) ? [holder.value] : []
        })
    )
  )

  /** Takes a lock, and gives back what lets go of it; `undefined` if somebody else has it. */
  const take = (locks: LockManager, what: string): Effect.Effect<(() => void) | undefined, StoreError> =>
    Effect.callback((resume) => {
      const signal = AbortSignal.timeout(patience)
      locks
        .request(what, { signal }, () => {
          return new Promise<void>((release) => resume(Effect.succeed(release)))
        })
        .catch((error: unknown) =>
          resume(signal.aborted ? Effect.succeed(undefined) : failure({ _tag: "Denied", path: place }, error))
        )
    })

  const busy = Effect.flatMap(holders, ([holder]) =>
    failure({
      _tag: "Busy",
      detail:
        `${place} is being written by ${holder === undefined ? "another" : `${holder.owner}, a`} tab, window or worker` +
        `${holder === undefined ? "" : ` of ${holder.page}`}; close it, or open the store to read only`
    })
  )

  return {
    lockedBy: Effect.map(holders, ([holder]) => holder?.owner),
    lock: (owner) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.gen(function* () {
            const locks = yield* manager
            const release = yield* take(locks, lockName)
            if (release === undefined) return yield* busy
            const holder = JSON.stringify({ owner, page: globalThis.location?.pathname ?? "" })
            const releaseHolder = yield* take(locks, `${holderPrefix}${holder}`)
            return [releaseHolder, release]
          }),
          (releases) =>
            Effect.sync(() => {
              for (const release of releases) release?.()
            })
        )
      )
  }
}
