/**
 * What a store told its users, and whether it keeps it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Lease, Store, StoreError } from "@waymark/core/Store"
import type { JournalBuilder, Step } from "../../JournalBuilder.ts"

export type Instance = Store["Service"]

export interface Known {
  journal: JournalBuilder
  /** Where batches end. */
  readonly ends: Set<number>
  /** Up to where it was said to be durable; -1 if it was not said to be there. */
  durable: number
  deleted: "no" | "asked" | "yes"
  /** Commands that were said to be in its inbox, and those that were tried. */
  readonly sent: Set<string>
  readonly tried: Set<string>
  lease: Lease | undefined
  /** What was accepted and is not known to be durable, with the position at which it ended. */
  unsynced: Array<{ readonly steps: Steps; end: number }>
}

export type Steps = readonly [Step, ...ReadonlyArray<Step>]

export interface Told {
  readonly runs: Map<string, Known>
  /** The value that was said to be set last, and those that may be there instead. */
  readonly values: Map<string, { value: string | undefined; readonly maybe: Set<string> }>
  readonly artifacts: Map<string, Uint8Array>
  /** Errors that were told: what was tried, and what they say. */
  readonly errors: Array<string>
}

export const nothingTold = (): Told => ({
  runs: new Map(),
  values: new Map(),
  artifacts: new Map(),
  errors: []
})

/** A promise of the store that it did not keep. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

export const broken = (detail: string): Effect.Effect<never, Broken> => Effect.fail(new Broken({ detail }))

/** Whether an error says that stored data is damaged, and where. */
export const saysWhere = (error: unknown): boolean =>
  isStoreError(error) && error.reason._tag === "Corrupt" && error.reason.path !== undefined

export const isStoreError = (error: unknown): error is StoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "StoreError"

/**
 * Compares what a store shows with what was told. If it was `lied` to by its disk, less may be there, and it may say that
 * something is damaged; but what it shows is what was written.
 */
export const check = (store: Instance, told: Told, lied: boolean): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    for (const [run, known] of told.runs) {
      const seen = yield* Effect.result(checkRun(store, run, known, lied))
      if (Result.isSuccess(seen)) continue
      if (!lied || !saysWhere(seen.failure)) return yield* Effect.fail(seen.failure)
    }
    for (const [key, { maybe, value }] of told.values) {
      const found = yield* Effect.result(store.getMeta(key))
      if (Result.isFailure(found)) {
        if (!lied || !saysWhere(found.failure)) return yield* found.failure
        continue
      }
      const given = found.success
      if (given === value || (given !== undefined && maybe.has(given)) || (lied && given === undefined))
        continue
      if (lied && /^\d+$/.test(given ?? "")) continue
      return yield* broken(`value ${key} is ${given}, not ${value}`)
    }
    for (const [hash, bytes] of told.artifacts) {
      const found = yield* Effect.result(store.getArtifact(hash))
      if (Result.isFailure(found)) {
        if (!lied || !saysWhere(found.failure)) return yield* found.failure
        continue
      }
      if (found.success === undefined && lied) continue
      if (found.success?.every((byte, index) => byte === bytes[index]) !== true) {
        return yield* broken(`artifact ${hash} is not what it was`)
      }
    }
  })

const checkRun = (store: Instance, run: string, known: Known, lied: boolean): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const { deleted, durable, ends, journal, sent, tried } = known
    const found = yield* Effect.result(store.get(run))
    if (Result.isFailure(found)) {
      if (found.failure._tag !== "RunNotFound") return yield* found.failure
      if (durable >= 0 && deleted === "no" && !lied) return yield* broken(`run ${run} is gone`)
      return
    }
    if (deleted === "yes" && !lied) return yield* broken(`run ${run} was deleted, and is there`)
    const { head, info } = found.success
    if (head.seq < durable && !lied) {
      return yield* broken(`run ${run} was durable up to ${durable}, and ends at ${head.seq}`)
    }
    if (!ends.has(head.seq)) return yield* broken(`run ${run} ends at ${head.seq}, where no batch ends`)
    const lines = (yield* store.read(run, { limit: 1_000_000 })).map(({ line }) => line)
    const expected = journal.entries.slice(0, head.seq + 1).map(({ line }) => line)
    if (lines.length !== expected.length || lines.some((line, seq) => line !== expected[seq])) {
      return yield* broken(`run ${run} has other entries than were appended`)
    }
    if (head.hash !== journal.headAt(head.seq).hash) return yield* broken(`run ${run} has another head`)
    if (info.seq !== head.seq) return yield* broken(`run ${run} has a row of another position`)
    const ids = (yield* store.inbox(run, {})).map((received) => received.command.id)
    if (new Set(ids).size !== ids.length) return yield* broken(`run ${run} has a command twice`)
    for (const id of sent) {
      if (!ids.includes(id) && !lied) return yield* broken(`run ${run} has lost command ${id}`)
    }
    for (const id of ids) {
      if (!tried.has(id)) return yield* broken(`run ${run} has command ${id}, which nobody sent`)
    }
  })
