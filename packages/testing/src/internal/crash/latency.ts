/**
 * A store that takes its time: so that other fibers get their turns between an operation and its answer.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Store } from "@waymark/core/Store"

export const slow =
  (duration: Duration.Duration) =>
  (store: Store["Service"]): Store["Service"] => {
    const wait = Effect.sleep(duration)
    const late =
      <Args extends ReadonlyArray<any>, A, E>(operation: (...args: Args) => Effect.Effect<A, E>) =>
      (...args: Args): Effect.Effect<A, E> =>
        Effect.flatMap(Effect.andThen(wait, Effect.exit(operation(...args))), (exit) =>
          Effect.andThen(wait, exit)
        )
    return Store.of({
      ...store,
      create: late(store.create),
      append: late(store.append),
      sync: late(store.sync),
      acquire: late(store.acquire),
      release: late(store.release),
      get: late(store.get),
      read: late(store.read),
      list: late(store.list),
      feed: late(store.feed),
      send: late(store.send),
      inbox: late(store.inbox),
      delete: late(store.delete)
    })
  }
