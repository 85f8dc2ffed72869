/**
 * The journal of a run: an append-only list of events, each one stored as a line of JSON that names the SHA-256 of
 * the line before it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Event } from "./Event.ts"
import type { Body, Header } from "./Event.ts"
import { isEvent } from "./internal/isEvent.ts"

/**
 * What the first event of a run that was not forked names as the hash before it.
 *
 * @category constants
 * @since 0.1.0
 */
export const genesis: string = "0".repeat(64)

/**
 * One event and the exact text under which it is stored, without a line end. Hashes are over that text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly event: Event
  readonly line: string
}

/**
 * Where a journal stands: the position of its last entry and that entry's SHA-256.
 *
 * @category models
 * @since 0.1.0
 */
export interface Head {
  readonly seq: number
  readonly hash: string
}

/**
 * A stored line is not an event.
 *
 * @category errors
 * @since 0.1.0
 */
export class CorruptEntry extends Schema.TaggedError<CorruptEntry>()("CorruptEntry", {
  /** The run, where it is known. */
  run: Schema.optionalKey(Schema.String),
  /** The position, where it is known. */
  seq: Schema.optionalKey(Schema.Int),
  /** What is wrong with it. */
  detail: Schema.String
}) {
  override get message(): string {
    const at =
      this.run === undefined
        ? "a journal entry"
        : `entry ${this.seq ?? "?"} of run ${JSON.stringify(this.run)}`
    return `${at} cannot be read: ${this.detail}`
  }
}

/**
 * The chain of hashes does not hold: an entry was altered, dropped, inserted or moved.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChainBroken extends Schema.TaggedError<ChainBroken>()("ChainBroken", {
  run: Schema.String,
  /** The position at which the chain breaks: this entry or the one before it is not what was written. */
  seq: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `the journal of run ${JSON.stringify(this.run)} is not what was written, at seq ${this.seq}: ${this.detail}`
  }
}

/**
 * Joins a header and a body into an entry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const entry = (header: Header, body: Body): Entry => {
  const event = {
    run: header.run,
    seq: header.seq,
    epoch: header.epoch,
    time: header.time,
    ...body,
    prev: header.prev
  } as Event
  return { event, line: JSON.stringify(event) }
}

/** Explains why a value is not an event. */
const decodeEvent = /* @__PURE__ */ Schema.decodeUnknownExit(Event, { onExcessProperty: "error" })

const positionOf = (value: unknown): { run?: string; seq?: number } => {
  const position: { run?: string; seq?: number } = {}
  if (typeof value === "object" && value !== null) {
    if ("run" in value && typeof value.run === "string") position.run = value.run
    if ("seq" in value && Number.isSafeInteger(value.seq)) position.seq = value.seq as number
  }
  return position
}

/**
 * Reads one stored line.
 *
 * A field that this version does not know is an error, as a kind that it does not know is: to ignore it would be to fold
 * something else than what was written.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (line: string): Result.Result<Entry, CorruptEntry> => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    return Result.fail(new CorruptEntry({ detail: `it is not JSON (${(error as Error).message})` }))
  }
  if (isEvent(value)) return Result.succeed({ event: value, line })
  const corrupt = (detail: string) => Result.fail(new CorruptEntry({ ...positionOf(value), detail }))
  if (typeof value !== "object" || value === null || !("kind" in value)) return corrupt("it has no kind")
  const { kind } = value
  if (!Event.members.some((member) => member.fields.kind.literal === kind)) {
    return corrupt(
      `its kind ${JSON.stringify(kind)} is unknown to this version of @waymark/core; a newer one may read it`
    )
  }
  const exit = decodeEvent(value)
  if (Exit.isSuccess(exit)) return Result.succeed({ event: exit.value, line })
  return corrupt(
    Option.match(Cause.findErrorOption(exit.cause), {
      onNone: () => "it does not decode",
      onSome: (e) => e.message
    })
  )
}

/**
 * Checks that an entry follows a head, and returns the head after it.
 *
 * `head` is `undefined` before the first entry of a run. That entry names {@link genesis}; that of a fork names the
 * entry it was forked from, which the caller passes as `origin`.
 *
 * @category verification
 * @since 0.1.0
 */
export const follow = (
  hash: (text: string) => string,
  head: Head | undefined,
  { event, line }: Entry,
  origin: string = genesis
): Result.Result<Head, ChainBroken> => {
  const seq = head === undefined ? 0 : head.seq + 1
  // Where it stands, not where it says it stands.
  const broken = (detail: string) => Result.fail(new ChainBroken({ run: event.run, seq, detail }))
  if (event.seq !== seq) return broken(`an entry stands here that says it is seq ${event.seq}`)
  if (head === undefined && event.kind !== "created" && event.kind !== "forked") {
    return broken(`a journal begins with a created or a forked event, not with ${event.kind}`)
  }
  const prev = head === undefined ? origin : head.hash
  if (event.prev !== prev) return broken(`it names ${event.prev} as the hash before it, which is ${prev}`)
  return Result.succeed({ seq, hash: hash(line) })
}

/**
 * What a verification covered: the entries `from` to `to`, starting at the anchor `from` named as the hash before
 * it. `head` is the hash of the last of them; only who holds that hash from elsewhere can tell whether the tail was cut.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified {
  readonly run: string
  readonly from: number
  readonly to: number
  readonly anchor: string
  readonly head: string
}
