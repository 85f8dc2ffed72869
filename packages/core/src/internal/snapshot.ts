/**
 * Snapshots: a run's state in the journal, so that continuing need not read all that came before.
 *
 * A snapshot writes only what changed since the one before it. A value that an event of the journal holds whole is not
 * written again but named by where it stands; the items of a list are written once and merged as they age, so that the
 * number of pieces stays proportional to the content.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import type { Json } from "effect/Schema"
import type { Body, Event, Of, Ops } from "../Event.ts"
import type { Part, RunState } from "../RunState.ts"
import * as Cell from "./cell.ts"
import { define, get } from "./record.ts"
import { headOf, isSnapshotHead, plainHead, roughSize, stateOf } from "./snapshotHead.ts"
import type { ChannelHead, SnapshotHead } from "./snapshotHead.ts"

/** No snapshot before the journal has grown by this many bytes. */
const minimumGrowth = 64 * 1024
/** Pieces of a snapshot are about this large, so that writing one does not hold up other runs. */
const partBytes = 64 * 1024

/** About what an open branch takes in the head of a snapshot. */
const branchBytes = 128

/**
 * Whether a snapshot is due: when the journal grew by more than twice what the last snapshot wrote, and what the next one
 * will write of open branches. So writing snapshots costs a bounded share of writing the journal, whatever the size of the
 * state.
 */
export const isDue = ({ branches, snapshot: { bytes, since } }: RunState): boolean =>
  since >= minimumGrowth && since >= 2 * Math.max(bytes, branchBytes * HashMap.size(branches))

/** A piece to write, and what to do with the place it got. */
interface Piece {
  readonly content: { readonly [key: string]: Json }
  readonly bytes: number
  readonly placed: (run: string, seq: number) => void
}

export interface Plan {
  readonly pieces: ReadonlyArray<Piece>
  /** The head, once all pieces have their places: of the state as it is then, whose channels must be those of the plan. */
  readonly head: (state: RunState) => SnapshotHead
}

/** What a snapshot of the state has to write. */
export const plan = (state: RunState): Plan => {
  const pieces: Array<Piece> = []
  const channels: { [channel: string]: ChannelHead } = {}

  /** Writes content in pieces of bounded size; `wrap` makes the content of one of them. */
  const write = <A>(
    parts: Array<Part>,
    from: number,
    items: Iterable<A>,
    sizeOf: (item: A) => number,
    wrap: (items: Array<A>) => Piece["content"]
  ): void => {
    let chunk: Array<A> = []
    let bytes = 0
    const flush = () => {
      if (chunk.length === 0) return
      const part = { from, bytes }
      from += chunk.length
      const index = parts.push({ run: "", seq: -1, ...part }) - 1
      pieces.push({
        content: wrap(chunk),
        bytes,
        placed: (run, seq) => {
          parts[index] = { run, seq, ...part }
        }
      })
      chunk = []
      bytes = 0
    }
    for (const item of items) {
      chunk.push(item)
      bytes += sizeOf(item) + 1
      if (bytes >= partBytes) flush()
    }
    flush()
  }

  for (const channel of Object.keys(state.channels)) {
    const cell = state.channels[channel]!
    const before = get(state.snapshot.channels, channel)
    switch (cell._tag) {
      case "Plain":
        define(channels, channel, plainHead(cell))
        break
      case "List": {
        const known = before?.cell
        const grown =
          known?._tag === "List" && known.items === cell.items && known.length <= cell.length
            ? known.length
            : 0
        const parts: Array<Part> = grown > 0 ? [...before!.parts] : []
        let from = grown
        const limit = partBytes
        let bytes = 0
        for (let i = from; i < cell.length && bytes < limit; i++) bytes += roughSize(cell.items[i], limit)
        // Small neighbours are merged when what is new is as large as they are: each item is rewritten a few times
        // while it is among the newest, and never again.
        while (from < cell.length && parts.length > 0) {
          const last = parts[parts.length - 1]!
          if (last.bytes >= partBytes / 2 || last.bytes > bytes) break
          bytes += last.bytes
          from = last.from
          parts.pop()
        }
        write(
          parts,
          from,
          cell.items.slice(from, cell.length),
          (item) => roughSize(item, partBytes),
          (append) => ({ channel, append })
        )
        define(channels, channel, { type: "List", length: cell.length, parts })
        break
      }
      case "Record": {
        const unchanged = before?.cell._tag === "Record" && before.cell.map === cell.map
        const parts: Array<Part> = unchanged ? [...before.parts] : []
        if (!unchanged) {
          write(
            parts,
            0,
            HashMap.entries(cell.map),
            ([key, value]) => key.length + 4 + roughSize(value, partBytes),
            (entries) => ({ channel, merge: entries as ReadonlyArray<readonly [string, Json]> })
          )
        }
        define(channels, channel, { type: "Record", parts })
        break
      }
    }
  }

  return { pieces, head: (current) => headOf(current, channels) }
}

/** What an event holds of a channel: a whole value, or items of a list, or entries of a record. */
interface Content {
  readonly set?: Json
  readonly append?: ReadonlyArray<Json>
  readonly merge?: ReadonlyArray<readonly [string, Json]>
}

const isEntry = (entry: Json): boolean =>
  Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string"

/** The content of a part of a snapshot, if it is of this channel. */
const contentOfPart = (content: Json, channel: string): Content | undefined => {
  if (typeof content !== "object" || content === null || Array.isArray(content)) return undefined
  const { append, channel: of, merge } = content as { readonly [key: string]: Json }
  if (of !== channel) return undefined
  if (Array.isArray(append)) return { append }
  if (Array.isArray(merge) && merge.every(isEntry)) return { merge: merge as ReadonlyArray<any> }
  return undefined
}

/** The content of a channel in an event that holds it whole or in part, or `undefined` if it is not there. */
const contentOf = (event: Event, channel: string): Content | undefined => {
  const setBy = (ops: Ops | undefined): Content | undefined => {
    const op = ops === undefined ? undefined : get(ops, channel)
    return op !== undefined && "set" in op ? { set: op.set } : undefined
  }
  switch (event.kind) {
    case "snapshotPart":
      return contentOfPart(event.content, channel)
    case "created": {
      const set = get(event.state, channel)
      return set === undefined ? undefined : { set }
    }
    case "visited":
    case "joined":
    case "migrated":
      return setBy(event.ops)
    case "restarted":
    case "forked":
      return setBy(event.edits)
    default:
      return undefined
  }
}

/**
 * The state that a snapshot event holds; `read` gives an event of this run or of one it was forked from, and `lost`
 * makes the error for an event that does not hold what the snapshot says.
 */
export const restore = /* @__PURE__ */ Effect.fnUntraced(function* <E>(
  event: Of<"snapshot">,
  read: (run: string, seq: number) => Effect.Effect<Event, E>,
  lost: (run: string, seq: number, detail: string) => E
): Effect.fn.Return<RunState, E> {
  const head: unknown = event.head
  if (!isSnapshotHead(head) || head.run !== event.run) {
    return yield* Effect.fail(lost(event.run, event.seq, "its head is not that of a snapshot of this run"))
  }

  const contentIn = Effect.fnUntraced(function* <K extends keyof Content>(
    channel: string,
    { run, seq }: Cell.Origin,
    kind: K
  ) {
    const content = contentOf(yield* read(run, seq), channel)?.[kind]
    if (content === undefined) {
      return yield* Effect.fail(
        lost(run, seq, `a snapshot says that it holds channel ${JSON.stringify(channel)}`)
      )
    }
    return content
  })

  const cellOf = Effect.fnUntraced(function* (
    channel: string,
    held: ChannelHead
  ): Effect.fn.Return<Cell.Cell, E> {
    if (held.type === "Record") {
      const entries: Array<readonly [string, Json]> = []
      for (const part of held.parts)
        for (const entry of yield* contentIn(channel, part, "merge")) entries.push(entry)
      return Cell.record(entries)
    }
    if (held.type === "Plain") {
      if (!("part" in held)) return Cell.plain(held.value)
      return Cell.plain(yield* contentIn(channel, held.part, "set"), held.part)
    }
    const items: Array<Json> = []
    for (const part of held.parts) {
      if (part.from !== items.length) {
        return yield* Effect.fail(
          lost(part.run, part.seq, `item ${items.length} of channel ${JSON.stringify(channel)} is missing`)
        )
      }
      for (const item of yield* contentIn(channel, part, "append")) items.push(item)
    }
    if (items.length === held.length) return Cell.list(items)
    const counts = `${items.length} of ${held.length} items of channel ${JSON.stringify(channel)} are there`
    return yield* Effect.fail(lost(event.run, event.seq, counts))
  })

  const channels: { [channel: string]: Cell.Cell } = {}
  const known: { [channel: string]: { readonly cell: Cell.Cell; readonly parts: ReadonlyArray<Part> } } = {}
  for (const channel of Object.keys(head.channels)) {
    const held = head.channels[channel]!
    const cell = yield* cellOf(channel, held)
    define(channels, channel, cell)
    define(known, channel, { cell, parts: "parts" in held ? held.parts : [] })
  }

  let input: Cell.Plain<Json>
  if ("part" in head.input) {
    const { run, seq } = head.input.part
    const given = yield* read(run, seq)
    if ((given.kind !== "created" && given.kind !== "migrated") || given.input === undefined) {
      return yield* Effect.fail(lost(run, seq, "a snapshot says that it holds the run's input"))
    }
    input = Cell.plain(given.input, { run, seq })
  } else input = Cell.plain(head.input.value)

  return {
    ...stateOf(head),
    seq: event.seq,
    epoch: event.epoch,
    time: event.time,
    input,
    channels,
    snapshot: { seq: event.seq, bytes: event.bytes, since: 0, channels: known }
  }
})

/** The body of the event that holds a piece. */
export const pieceBody = (piece: Piece, at: number): Extract<Body, { readonly kind: "snapshotPart" }> => ({
  kind: "snapshotPart",
  at,
  content: piece.content
})

/**
 * The body of the event that completes a snapshot which was begun after event `at`, once all pieces have their places.
 *
 * It has to be appended to exactly this state. It counts the head among what the snapshot wrote: the calls of an open
 * visit stand in it, and they may be large.
 */
export const headBody = (
  plan: Plan,
  state: RunState,
  at: number
): Extract<Body, { readonly kind: "snapshot" }> => {
  const head = plan.head(state)
  let bytes = roughSize(head, Number.POSITIVE_INFINITY)
  for (const piece of plan.pieces) bytes += piece.bytes
  const body = { kind: "snapshot" as const, at, head: head as unknown as Json, bytes }
  return state.snapshot.seq === undefined ? body : { ...body, previous: state.snapshot.seq }
}
