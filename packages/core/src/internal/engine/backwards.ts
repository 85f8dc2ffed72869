/**
 * Reading a journal from its end.
 */
import * as Effect from "effect/Effect"
import type { Event } from "../../Event.ts"
import type { Entry } from "../../Journal.ts"
import { page } from "./pages.ts"
import { corrupt } from "./reader.ts"
import type { Journals, ReadError } from "./reader.ts"

/** Where an event stands. */
export interface Place {
  readonly run: string
  readonly seq: number
}

/**
 * Goes from a position down to the first event of the run until one is found; with `intoOrigin`, on through the run that it
 * was forked from. The events are as they are stored. Often what is looked for is near the end: pages begin small.
 */
export const findBackwards = /* @__PURE__ */ Effect.fnUntraced(function* (
  { store }: Journals,
  from: Place,
  intoOrigin: boolean,
  isIt: (event: Event) => boolean
): Effect.fn.Return<Event | undefined, ReadError> {
  let place: Place | undefined = from
  for (let limit = 16; place !== undefined; limit = Math.min(limit * 4, page.limit)) {
    const { run, seq }: Place = place
    const entries: ReadonlyArray<Entry> = yield* store.read(run, {
      from: seq,
      ...page,
      limit,
      direction: "backwards"
    })
    if (entries.length === 0) return yield* corrupt("read", run, seq, "the entry is missing")
    for (const { event } of entries) {
      if (isIt(event)) return event
      place =
        event.seq > 0
          ? { run, seq: event.seq - 1 }
          : intoOrigin && event.kind === "forked"
            ? event.from
            : undefined
    }
  }
  return undefined
})
