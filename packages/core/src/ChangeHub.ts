/**
 * Tells subscribers what changed in a store: for implementing `Store.changes` and `Store.changed`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { StoreError } from "./Store.ts"
import type { Change } from "./Store.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface ChangeHub {
  /** Tells every subscriber. Changes that a subscriber has not taken yet are kept once for each run and kind. */
  readonly publish: (change: Change) => void
  /** For `Store.changes`. */
  readonly stream: Stream.Stream<Change, StoreError>
  /** Wakes whoever waits for the run to go beyond a position that is below `seq`. */
  readonly advanced: (run: string, seq: number) => void
  /**
   * Completes at the next `advanced` of the run beyond `seq`, or at once if `isBeyond` says that it is there already.
   * It is asked in the step in which the waiting begins, so that nothing can come between.
   */
  readonly waitBeyond: (run: string, seq: number, isBeyond: () => boolean) => Effect.Effect<void, StoreError>
  /**
   * For closing the store, when all that is still made durable was told: who waits, or subscribed and has taken what is kept
   * for it, gets `Closed`, and so does who asks afterwards.
   */
  readonly close: () => void
}

interface Subscriber {
  pending: Map<string, Change>
  wake: (() => void) | undefined
}

interface Waiter {
  readonly seq: number
  readonly resume: (outcome: Effect.Effect<void, StoreError>) => void
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (): ChangeHub => {
  const subscribers = new Set<Subscriber>()
  const waiters = new Map<string, Set<Waiter>>()
  let isClosed = false

  const closed = (operation: string) =>
    new StoreError({ operation, reason: { _tag: "Closed", detail: "this store was closed" } })

  const take = (subscriber: Subscriber): Effect.Effect<Iterable<Change>, StoreError> => {
    const drain = Effect.suspend(() => {
      const changes = subscriber.pending
      if (changes.size === 0 && isClosed) return closed("changes")
      subscriber.pending = new Map()
      return Effect.succeed(changes.values())
    })
    return Effect.callback<Iterable<Change>, StoreError>((resume) => {
      if (subscriber.pending.size > 0 || isClosed) return resume(drain)
      subscriber.wake = () => {
        subscriber.wake = undefined
        // What else changes in this turn of the event loop goes along.
        resume(Effect.andThen(Effect.yieldNow, drain))
      }
      return Effect.sync(() => {
        subscriber.wake = undefined
      })
    })
  }

  return {
    publish: (change) => {
      for (const subscriber of subscribers) {
        subscriber.pending.set(`${change.what}:${change.run}`, change)
        subscriber.wake?.()
      }
    },
    stream: Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const subscriber: Subscriber = { pending: new Map(), wake: undefined }
            subscribers.add(subscriber)
            return subscriber
          }),
          (subscriber) => Effect.sync(() => subscribers.delete(subscriber))
        ),
        (subscriber) => Stream.fromIterableEffectRepeat(take(subscriber))
      )
    ),
    advanced: (run, seq) => {
      const waiting = waiters.get(run)
      if (waiting === undefined) return
      for (const waiter of waiting) {
        if (waiter.seq < seq) {
          waiting.delete(waiter)
          waiter.resume(Effect.void)
        }
      }
      // Whoever was woken may have gone on in the meantime, and others may wait in another set.
      if (waiting.size === 0 && waiters.get(run) === waiting) waiters.delete(run)
    },
    waitBeyond: (run, seq, isBeyond) =>
      Effect.callback<void, StoreError>((resume) => {
        if (isClosed) return resume(closed("changed"))
        if (isBeyond()) return resume(Effect.void)
        const waiting = waiters.get(run) ?? new Set()
        waiters.set(run, waiting)
        const waiter = { seq, resume }
        waiting.add(waiter)
        return Effect.sync(() => {
          waiting.delete(waiter)
          if (waiting.size === 0 && waiters.get(run) === waiting) waiters.delete(run)
        })
      }),
    close: () => {
      isClosed = true
      for (const subscriber of subscribers) subscriber.wake?.()
      for (const waiting of waiters.values()) for (const { resume } of waiting) resume(closed("changed"))
      waiters.clear()
    }
  }
}
