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
import type { Body, Event } from "../Event.ts"
import type { Part, RunState } from "../RunState.ts"
import * as Cell from "./cell.ts"
import type { ChannelHead, SnapshotHead } from "./snapshotHead.ts"

/** No snapshot before the journal has grown by this many bytes. */
const minimumGrowth = 64 * 1024
/** Pieces of a snapshot are about this large, so that writing one does not hold up other runs. */
const partBytes = 64 * 1024
/** A value up to this size stands in the head. */
const inlineBytes = 512

/**
 * Whether a snapshot is due: when the journal grew by more than the last snapshot wrote. So writing snapshots costs a
 * bounded share of writing the journal, whatever the size of the state.
 */
export const isDue = ({ snapshot }: RunState): boolean =>
  snapshot.since >= minimumGrowth && snapshot.since >= snapshot.bytes

/** Roughly the length of a value as JSON; it stops counting at `limit`. */
export const roughSize = (value: unknown, limit: number): number => {
  if (typeof value === "string") return value.length + 2
  if (typeof value !== "object" || value === null) return 8
  let size = 2
  if (Array.isArray(value)) {
    for (const item of value) {
      if (size >= limit) return size
      size += roughSize(item, limit - size) + 1
    }
    return size
  }
  for (const key of Object.keys(value)) {
    if (size >= limit) return size
    size += key.length + 4 + roughSize((value as { [key: string]: unknown })[key], limit - size)
  }
  return size
}

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

const plainHead = (cell: Cell.Plain<Json>): ChannelHead | undefined => {
  const bytes = roughSize(cell.value, inlineBytes)
  if (bytes < inlineBytes) return { type: "Plain", value: cell.value }
  return cell.origin === undefined
    ? undefined
    : { type: "Plain", parts: [{ run: cell.origin.run, seq: cell.origin.seq, from: 0, bytes }] }
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
    const before = Object.hasOwn(state.snapshot.channels, channel) ? state.snapshot.channels[channel] : undefined
    switch (cell._tag) {
      case "Plain": {
        const head = plainHead(cell)
        if (head !== undefined) {
          channels[channel] = head
          break
        }
        const parts: Array<Part> = before?.cell === cell ? [...before.parts] : []
        if (parts.length === 0) {
          write(parts, 0, [cell.value], (value) => roughSize(value, partBytes), ([set]) => ({ channel, set: set! }))
        }
        channels[channel] = { type: "Plain", parts }
        break
      }
      case "List": {
        const known = before?.cell
        const grown =
          known?._tag === "List" && known.items === cell.items && known.length <= cell.length ? known.length : 0
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
        channels[channel] = { type: "List", length: cell.length, parts }
        break
      }
      case "Record": {
        const parts: Array<Part> = before?.cell === cell ? [...before.parts] : []
        if (before?.cell !== cell) {
          write(
            parts,
            0,
            HashMap.entries(cell.map),
            ([key, value]) => key.length + 4 + roughSize(value, partBytes),
            (entries) => ({ channel, merge: entries as ReadonlyArray<readonly [string, Json]> })
          )
        }
        channels[channel] = { type: "Record", parts }
        break
      }
    }
  }

  return {
    pieces,
    head: (current) => {
      const { seq, epoch, time, input, channels: _, open, fanOuts, snapshot, ...rest } = current
      const openHead: { -readonly [K in keyof SnapshotHead["open"]]: SnapshotHead["open"][K] } = {}
      for (const branch of Object.keys(open)) openHead[branch] = { ...open[branch]!, calls: [...open[branch]!.calls] }
      const fanOutHead: { -readonly [K in keyof SnapshotHead["fanOuts"]]: SnapshotHead["fanOuts"][K] } = {}
      for (const id of Object.keys(fanOuts)) {
        fanOutHead[id] = { ...fanOuts[id]!, updates: [...fanOuts[id]!.updates] }
      }
      return { ...rest, input: plainHead(input)!, channels, open: openHead, fanOuts: fanOutHead }
    }
  }
}

/** The content of a channel in an event that holds it whole or in part, or `undefined` if it is not there. */
const contentOf = (event: Event, channel: string): { readonly [op: string]: Json } | undefined => {
  switch (event.kind) {
    case "snapshotPart": {
      const content = event.content as { readonly channel: string; readonly [op: string]: Json }
      return content.channel === channel ? content : undefined
    }
    case "created":
      return Object.hasOwn(event.state, channel) ? { set: event.state[channel]! } : undefined
    case "visited":
    case "joined":
    case "migrated": {
      const op = event.ops?.[channel]
      return op !== undefined && "set" in op ? { set: op.set } : undefined
    }
    case "restarted":
    case "forked": {
      const op = event.edits?.[channel]
      return op !== undefined && "set" in op ? { set: op.set } : undefined
    }
    default:
      return undefined
  }
}

/**
 * The state that a snapshot event holds; `read` gives an event of this run or of one it was forked from, and `lost`
 * makes the error for an event that does not hold what the snapshot says.
 */
export const restore = Effect.fnUntraced(function*<E>(
  event: Extract<Event, { readonly kind: "snapshot" }>,
  read: (run: string, seq: number) => Effect.Effect<Event, E>,
  lost: (run: string, seq: number, detail: string) => E
): Effect.fn.Return<RunState, E> {
  const { input, channels: heads, open: openHead, fanOuts: fanOutHead, ...rest } = event.head as unknown as SnapshotHead

  const part = Effect.fnUntraced(function*(channel: string, { run, seq }: Part) {
    const content = contentOf(yield* read(run, seq), channel)
    if (content === undefined) {
      return yield* Effect.fail(lost(run, seq, `a snapshot says that it holds channel ${JSON.stringify(channel)}`))
    }
    return content
  })

  const channels: { [channel: string]: Cell.Cell } = {}
  const known: { [channel: string]: { readonly cell: Cell.Cell; readonly parts: ReadonlyArray<Part> } } = {}
  for (const channel of Object.keys(heads)) {
    const head = heads[channel]!
    const parts = head.parts ?? []
    let cell: Cell.Cell
    if (head.type === "List") {
      const items: Array<Json> = []
      for (const each of parts) {
        for (const item of (yield* part(channel, each))["append"] as ReadonlyArray<Json>) items.push(item)
      }
      cell = Cell.list(items)
    } else if (head.type === "Record") {
      const entries: Array<readonly [string, Json]> = []
      for (const each of parts) {
        for (const entry of (yield* part(channel, each))["merge"] as unknown as ReadonlyArray<readonly [string, Json]>) {
          entries.push(entry)
        }
      }
      cell = Cell.record(entries)
    } else if (parts[0] !== undefined) {
      cell = Cell.plain((yield* part(channel, parts[0]))["set"]!, { run: parts[0].run, seq: parts[0].seq })
    } else cell = Cell.plain(head.value!)
    channels[channel] = cell
    known[channel] = { cell, parts }
  }

  let inputCell: Cell.Plain<Json>
  const inputPart = input.parts?.[0]
  if (inputPart === undefined) inputCell = Cell.plain(input.value!)
  else {
    const created = yield* read(inputPart.run, inputPart.seq)
    if (created.kind !== "created") {
      return yield* Effect.fail(lost(inputPart.run, inputPart.seq, "a snapshot says that it holds the run's input"))
    }
    inputCell = Cell.plain(created.input, inputPart)
  }

  const open: { -readonly [K in keyof RunState["open"]]: RunState["open"][K] } = {}
  for (const branch of Object.keys(openHead)) {
    open[branch] = { ...openHead[branch]!, calls: HashMap.fromIterable(openHead[branch]!.calls) }
  }
  const fanOuts: { -readonly [K in keyof RunState["fanOuts"]]: RunState["fanOuts"][K] } = {}
  for (const id of Object.keys(fanOutHead)) {
    fanOuts[id] = { ...fanOutHead[id]!, updates: HashMap.fromIterable(fanOutHead[id]!.updates as never) }
  }
  return {
    ...rest,
    seq: event.seq,
    epoch: event.epoch,
    time: event.time,
    input: inputCell,
    channels,
    open,
    fanOuts,
    snapshot: { seq: event.seq, bytes: event.bytes, since: 0, channels: known }
  }
})

/** The body of the event that holds a piece. */
export const pieceBody = (piece: Piece, at: number): Extract<Body, { readonly kind: "snapshotPart" }> => ({
  kind: "snapshotPart",
  at,
  content: piece.content
})
