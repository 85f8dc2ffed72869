/**
 * Tells subscribers what changed in a store: for implementing `Store.changes` and `Store.changed`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Change } from "./Store.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface ChangeHub {
  /** Tells every subscriber. Changes that a subscriber has not taken yet are kept once for each run and kind. */
  readonly publish: (change: Change) => void
  /** For `Store.changes`. */
  readonly stream: Stream.Stream<Change>
  /** Wakes whoever waits for the run to go beyond a position that is below `seq`. */
  readonly advanced: (run: string, seq: number) => void
  /**
   * Completes at the next `advanced` of the run beyond `seq`, or at once if `isBeyond` says that it is there already.
   * It is asked in the step in which the waiting begins, so that nothing can come between.
   */
  readonly waitBeyond: (run: string, seq: number, isBeyond: () => boolean) => Effect.Effect<void>
}

interface Subscriber {
  pending: Map<string, Change>
  wake: (() => void) | undefined
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (): ChangeHub => {
  const subscribers = new Set<Subscriber>()
  const waiters = new Map<string, Set<{ readonly seq: number; readonly resume: () => void }>>()

  const take = (subscriber: Subscriber): Effect.Effect<Iterable<Change>> => {
    const drain = Effect.sync(() => {
      const changes = subscriber.pending
      subscriber.pending = new Map()
      return changes.values()
    })
    return Effect.callback<Iterable<Change>>((resume) => {
      if (subscriber.pending.size > 0) return resume(drain)
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
          waiter.resume()
        }
      }
      // Whoever was woken may have gone on in the meantime, and others may wait in another set.
      if (waiting.size === 0 && waiters.get(run) === waiting) waiters.delete(run)
    },
    waitBeyond: (run, seq, isBeyond) =>
      Effect.callback<void>((resume) => {
        if (isBeyond()) return resume(Effect.void)
        const waiting = waiters.get(run) ?? new Set()
        waiters.set(run, waiting)
        const waiter = { seq, resume: () => resume(Effect.void) }
        waiting.add(waiter)
        return Effect.sync(() => {
          waiting.delete(waiter)
          if (waiting.size === 0 && waiters.get(run) === waiting) waiters.delete(run)
        })
      })
  }
}
