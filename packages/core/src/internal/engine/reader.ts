/**
 * Reading journals: opened by the codec, folded from the nearest snapshot.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { CodecError } from "../../Codec.ts"
import type { Codec } from "../../Codec.ts"
import { mapValues } from "../../Event.ts"
import type { Event, Of } from "../../Event.ts"
import type { Head } from "../../Journal.ts"
import type { RunInfo } from "../../RunInfo.ts"
import * as RunState from "../../RunState.ts"
import * as Store from "../../Store.ts"
import * as Snapshot from "../snapshot.ts"
import { page } from "./pages.ts"

export type ReadError = Store.RunNotFound | Store.StoreError | CodecError

/** Whether reading again would come to the same: then a run is left alone until its journal has changed. */
export const isLasting = (error: ReadError): boolean =>
  error._tag === "CodecError" ||
  (error._tag === "StoreError" &&
    (error.reason._tag === "Corrupt" || error.reason._tag === "UnsupportedFormat"))

export interface Journals {
  readonly store: Store.Store["Service"]
  readonly codec: Codec | undefined
  readonly hash: (text: string) => string
}

/** An event as its writer meant it. */
export const open = <E extends Event>(codec: Codec | undefined, event: E): Effect.Effect<E, CodecError> =>
  codec === undefined ? Effect.succeed(event) : mapValues(event, (value) => codec.decode(value, event.run))

/** What was sealed by a codec that is not here; `undefined` if nothing was. */
export const missingCodec = ({ codec }: Journals, { codec: by, run }: RunInfo): CodecError | undefined =>
  codec !== undefined || by === undefined
    ? undefined
    : new CodecError({
        codec: by,
        operation: "decode",
        run,
        detail: "it sealed what this run stores, and no codec is provided here"
      })

/** Values as the codec stores them. */
export const seal = <B extends Parameters<typeof mapValues>[0]>(
  codec: Codec,
  run: string,
  body: B
): Effect.Effect<B, CodecError> => mapValues(body, (value) => codec.encode(value, run))

export const corrupt = (operation: string, run: string, seq: number, detail: string): Store.StoreError =>
  new Store.StoreError({ operation, reason: { _tag: "Corrupt", run, seq, detail } })

/** One event of a run. */
export const eventAt = /* @__PURE__ */ Effect.fnUntraced(function* (
  { codec, store }: Journals,
  run: string,
  seq: number
): Effect.fn.Return<Event, ReadError> {
  const entries = yield* store.read(run, { from: seq, limit: 1 })
  const entry = entries[0]
  if (entry === undefined || entry.event.seq !== seq) {
    return yield* corrupt("read", run, seq, "the entry is missing")
  }
  return yield* open(codec, entry.event)
})

/** The nearest snapshot at or before `seq`, found from the latest one backwards. */
const snapshotBefore = /* @__PURE__ */ Effect.fnUntraced(function* (
  journals: Journals,
  run: string,
  latest: number | undefined,
  seq: number
): Effect.fn.Return<Of<"snapshot"> | undefined, ReadError> {
  let at = latest
  while (at !== undefined) {
    const event = yield* eventAt(journals, run, at)
    if (event.kind !== "snapshot") return yield* corrupt("read", run, at, "a snapshot was expected here")
    if (at <= seq) return event
    at = event.previous
  }
  return undefined
})

export interface Loaded {
  readonly state: RunState.RunState
  readonly head: Head
}

/**
 * The state of a run after event `upTo`, or after its last durable event. What a codec has sealed that is not here is left
 * as it is if `sealed` says so, as far as a state can be made of it.
 */
export const load: (
  journals: Journals,
  run: string,
  upTo?: number,
  sealed?: "sealed"
) => Effect.Effect<Loaded, ReadError> = Effect.fnUntraced(function* (
  journals: Journals,
  run: string,
  upTo?: number,
  sealed?: "sealed"
): Effect.fn.Return<Loaded, ReadError> {
  const { codec, hash, store } = journals
  const stored = yield* store.get(run)
  const missing = missingCodec(journals, stored.info)
  if (missing !== undefined && sealed === undefined) return yield* missing
  const target = Math.min(upTo ?? stored.head.seq, stored.head.seq)
  const snapshot = yield* snapshotBefore(journals, run, stored.info.snapshot, target)

  let state: RunState.RunState | undefined
  let next = 0
  if (snapshot !== undefined) {
    state = yield* Snapshot.restore<ReadError>(
      snapshot,
      (other, seq) => eventAt(journals, other, seq),
      (other, seq, detail) => missing ?? corrupt("read", other, seq, detail)
    )
    next = snapshot.seq + 1
  }
  let line: string | undefined
  while (next <= target) {
    const entries = yield* store.read(run, { from: next, to: target, ...page })
    if (entries.length === 0) return yield* corrupt("read", run, next, "the entry is missing")
    for (const entry of entries) {
      const event = codec === undefined ? entry.event : yield* open(codec, entry.event)
      if (event.kind === "forked")
        state = (yield* load(journals, event.from.run, event.from.seq, sealed)).state
      const folded = RunState.apply(state, event, entry.line.length)
      if (Result.isFailure(folded)) {
        return yield* missing ?? corrupt("read", run, event.seq, folded.failure.message)
      }
      state = folded.success
      line = entry.line
      next = event.seq + 1
    }
  }
  if (target === stored.head.seq) return { state: state!, head: stored.head }
  if (line === undefined) line = (yield* store.read(run, { from: target, limit: 1 }))[0]!.line
  return { state: state!, head: { seq: target, hash: hash(line) } }
})
