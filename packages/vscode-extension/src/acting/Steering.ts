/**
 * What somebody asks of a run, and the two ways that it takes: through the inbox of the run, which works whoever has it; or
 * by this window's worker, which then executes the run, and which alone can write a store that takes one process.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import * as Runs from "@waymark/core/Runs"
import { StoreError } from "@waymark/core/Store"
import type { RunRef } from "../reading/Checkpoints.ts"
import type { Stores } from "../reading/Stores.ts"
import type { Workers } from "./Workers.ts"

/** The store can be written by one process only, and another one has it. */
export class StoreHeld extends Schema.TaggedError<StoreHeld>()("StoreHeld", {
  store: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `nothing was asked of the run, since one process at a time can write ${this.store}, and another has it: ${this.detail}`
  }
}

/** What became of calls, by their names. */
export interface Settlements {
  readonly [call: string]: Runs.Settlement
}

export interface Steering {
  readonly answer: (wait: string, value: Json) => Effect.Effect<void, Error>
  readonly signal: (name: string, payload: Json, key: string | undefined) => Effect.Effect<void, Error>
  readonly pause: (note: string | undefined) => Effect.Effect<void, Error>
  /** What became of calls that are in doubt is said first. */
  readonly resume: (settled: Settlements) => Effect.Effect<void, Error>
  readonly retry: (settled: Settlements) => Effect.Effect<void, Error>
  readonly cancel: (reason: string) => Effect.Effect<void, Error>
  readonly bookmark: (seq: number, name: string) => Effect.Effect<void, Error>
}

/** Writes to a store for a moment; who holds it is told, if another process does. */
export const writing = <A, E extends Error>(
  stores: Stores["Service"],
  store: string,
  effect: Effect.Effect<A, E, Runs.Runs>
): Effect.Effect<A, Error> =>
  Effect.mapError(stores.writing(store, effect), (error): Error => {
    if (!Schema.is(StoreError)(error) || error.reason._tag !== "Busy") return error
    return new StoreHeld({ store: stores.source(store)?.place.label ?? store, detail: error.reason.detail })
  })

const byInbox = (stores: Stores["Service"], { run, store }: RunRef): Steering => {
  const send = (use: (runs: Runs.Runs["Service"]) => Effect.Effect<unknown, Error, Runs.Runs>) =>
    writing(stores, store, Effect.asVoid(Effect.flatMap(Runs.Runs, use)))
  return {
    answer: (wait, value) => send((runs) => runs.answer(run, wait, value)),
    signal: (name, payload, key) =>
      send((runs) => runs.signal(run, name, payload, key === undefined ? {} : { key })),
    pause: (note) => send((runs) => runs.pause(run, note === undefined ? {} : { note })),
    resume: (settle) => send((runs) => runs.resume(run, { settle })),
    retry: (settle) => send((runs) => runs.retry(run, { settle })),
    cancel: (reason) => send((runs) => runs.cancel(run, reason, { until: "accepted" })),
    bookmark: (seq, name) => send(() => Runs.bookmark(run, seq, { name }))
  }
}

const byWorker = (workers: Workers["Service"], { run, store }: RunRef): Steering => {
  type Client = Parameters<Parameters<Workers["Service"]["use"]>[1]>[0]["client"]
  const ask = (request: (client: Client) => Effect.Effect<unknown, Error>) =>
    Effect.asVoid(workers.use(store, ({ client }) => client.orDied(request(client))))
  return {
    answer: (wait, value) => ask(({ requests }) => requests.answer({ run, wait, value })),
    signal: (name, payload, key) =>
      ask(({ requests }) => requests.signal({ run, name, payload, ...(key === undefined ? {} : { key }) })),
    pause: (note) => ask(({ requests }) => requests.pause({ run, ...(note === undefined ? {} : { note }) })),
    resume: (settle) => ask(({ requests }) => requests.resume({ run, settle })),
    retry: (settle) => ask(({ requests }) => requests.retry({ run, settle })),
    cancel: (reason) => ask(({ requests }) => requests.cancel({ run, reason })),
    bookmark: (seq, name) => ask(({ requests }) => requests.bookmark({ run, seq, name }))
  }
}

/** How a run is steered: by the worker that this window has for its store, if it has one. */
export const of = (stores: Stores["Service"], workers: Workers["Service"], ref: RunRef): Steering =>
  workers.running(ref.store) === undefined ? byInbox(stores, ref) : byWorker(workers, ref)
