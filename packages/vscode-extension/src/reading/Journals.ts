/**
 * Reading events of one run, in bounded pieces.
 */
import * as Effect from "effect/Effect"
import type { Event } from "@waymark/core/Event"
import { InvalidCheckpoint } from "@waymark/core/RunError"
import type { ReadOptions, RunNotFound, StoreError } from "@waymark/core/Store"
import type { Open } from "./Stores.ts"

type Reader = Pick<Open, "store">

const page = { limit: 1000, bytes: 2_000_000 }

/** The event at a position. */
export const readOne = (
  { store }: Reader,
  run: string,
  seq: number
): Effect.Effect<Event, RunNotFound | StoreError | InvalidCheckpoint> =>
  Effect.flatMap(store.read(run, { from: seq, limit: 1 }), ([entry]) =>
    entry === undefined || entry.event.seq !== seq
      ? Effect.fail(new InvalidCheckpoint({ run, seq, detail: "there is no such position" }))
      : Effect.succeed(entry.event)
  )

/** Hands over the events of a range, page by page, until there are no more or `take` says that it has enough. */
export const readAll = Effect.fnUntraced(function* (
  { store }: Reader,
  run: string,
  { direction = "forwards", from, to }: Pick<ReadOptions, "from" | "to" | "direction">,
  take: (event: Event) => boolean
): Effect.fn.Return<void, RunNotFound | StoreError> {
  const backwards = direction === "backwards"
  let at = from
  for (;;) {
    const entries = yield* store.read(run, { from: at, to, ...page, direction })
    for (const { event } of entries) if (!take(event)) return
    const last = entries[entries.length - 1]
    if (last === undefined) return
    at = backwards ? last.event.seq - 1 : last.event.seq + 1
    if (at < 0) return
    // Others have a turn between pages.
    yield* Effect.yieldNow
  }
})
