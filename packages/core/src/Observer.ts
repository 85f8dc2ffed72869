/**
 * Follows what happens to the runs of a store: metrics, notifications, exports.
 *
 * An observer reads durable events at its own pace. It cannot slow or break a run.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Codec } from "./Codec.ts"
import type { CodecError } from "./Codec.ts"
import { mapValues } from "./Event.ts"
import type { Event } from "./Event.ts"
import { Store } from "./Store.ts"
import type { StoreError } from "./Store.ts"

/**
 * An observer could not handle an event. It is logged, and the event is tried again or passed over.
 *
 * @category errors
 * @since 0.1.0
 */
export class ObserverError extends Schema.TaggedError<ObserverError>()("ObserverError", {
  observer: Schema.String,
  run: Schema.String,
  seq: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `observer ${this.observer} could not handle seq ${this.seq} of run ${JSON.stringify(this.run)}`
  }
}

/**
 * How an observer works.
 *
 * - `name`: a named observer keeps its place in the store and gets every event at least once, also those that happened
 *   while it was not running; one without a name begins anew
 * - `from`: where it begins if it has no place yet: at the `oldest` event, or `now` (the default)
 * - `handle`: what it does with an event
 * - `retry`: when an event that could not be handled is tried again; by default after 100 ms, then twice as long each
 *   time up to 30 seconds, for as long as it takes. When the schedule ends the event is passed over
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E, R> {
  readonly name?: string | undefined
  readonly from?: "oldest" | "now" | undefined
  readonly handle: (event: Event) => Effect.Effect<void, E, R>
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

const defaultRetry = /* @__PURE__ */ Schedule.min([
  Schedule.exponential("100 millis"),
  Schedule.spaced("30 seconds")
])

/** It is in memory until all of it is handled. */
const page = { limit: 256, bytes: 2_000_000 }

/**
 * Runs an observer as long as the layer is there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(options: Options<E, R>): Layer.Layer<never, StoreError, Store | R> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const store = yield* Store
      const codec = yield* Codec
      const name = options.name ?? "(unnamed)"
      const key = `observer/${options.name}`
      const retry = options.retry ?? defaultRetry

      const failed = (event: Event, cause: Cause.Cause<E | CodecError>) =>
        Effect.logError(
          new ObserverError({ observer: name, run: event.run, seq: event.seq, cause }).message,
          cause
        )

      /** Handles one event; what its handler throws is a failure like any other. */
      const handle = (event: Event): Effect.Effect<void, never, R> => {
        const opened: Effect.Effect<Event, CodecError> =
          codec === undefined
            ? Effect.succeed(event)
            : mapValues(event, (value) => codec.decode(value, event.run))
        return Effect.flatMap(opened, options.handle).pipe(
          Effect.sandbox,
          Effect.tapError((cause) => failed(event, cause)),
          Effect.retry(retry),
          Effect.catch(() => Effect.void)
        )
      }

      const kept = options.name === undefined ? undefined : yield* store.getMeta(key)
      // "now" is now, and not when the fiber below gets to it.
      let cursor =
        kept ??
        (options.from === "oldest" ? undefined : (yield* store.feed({ cursor: "now", limit: 0 })).cursor)
      const changed = yield* Latch.make(true)

      yield* Stream.runForEach(store.changes, () => changed.open).pipe(
        // There is nothing more to come.
        Effect.catchIf(
          ({ reason }) => reason._tag === "Closed",
          () => Effect.void
        ),
        Effect.tapError((error) =>
          Effect.logWarning(`observer ${name} cannot follow the store: ${error.message}`)
        ),
        Effect.retry(defaultRetry),
        Effect.forkScoped({ startImmediately: true })
      )

      const follow = Effect.gen(function* () {
        yield* changed.close
        const found = yield* store.feed({ cursor, ...page })
        yield* Effect.forEach(found.entries, ({ event }) => handle(event), { discard: true })
        const moved = found.cursor !== cursor
        cursor = found.cursor
        if (moved && options.name !== undefined) yield* store.setMeta(key, found.cursor)
        if (found.entries.length === 0) yield* changed.await
      })
      yield* follow.pipe(
        Effect.tapError((error) =>
          Effect.logWarning(`observer ${name} cannot read the store: ${error.message}`)
        ),
        Effect.retry(defaultRetry),
        Effect.forever,
        Effect.forkScoped
      )
    })
  )
