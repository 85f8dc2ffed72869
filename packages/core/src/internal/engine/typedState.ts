/**
 * The state as handlers see it: the channels decoded, kept beside the encoded ones so that a visit decodes and encodes
 * only what it changed.
 */
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Json } from "effect/Schema"
import type { Op, Ops } from "../../Event.ts"
import type * as State from "../../State.ts"
import * as Cell from "../cell.ts"
import { makeCodec } from "../definition/codec.ts"
import { frozen } from "../frozen.ts"
import { get } from "../record.ts"
import { encode } from "./encoded.ts"
import { problemOf } from "./failure.ts"

type Channels = { readonly [channel: string]: State.Any }
type Cells = { readonly [channel: string]: Cell.Cell<any> }

/** A value of the flow's author does not fit its schema. */
export interface Mismatch {
  readonly what: string
  readonly message: string
}

/** Content of this many items or more is turned into a plain value only when a handler looks at it. */
const lazyFrom = 512

const views = new WeakMap<Cell.Cell<any>, unknown>()

/** The plain value of a cell; the same object as long as the cell is the same. */
const viewOf = (cell: Cell.Cell<any>): unknown => {
  if (cell._tag === "Plain") return cell.value
  let view = views.get(cell)
  if (view === undefined) {
    view = Object.freeze(Cell.toValue(cell))
    views.set(cell, view)
  }
  return view
}

const isLarge = (cell: Cell.Cell<any>): boolean =>
  (cell._tag === "List" && cell.length >= lazyFrom) ||
  (cell._tag === "Record" && HashMap.size(cell.map) >= lazyFrom)

const mismatch = (what: string, exit: Exit.Failure<unknown, unknown>): Result.Result<never, Mismatch> =>
  Result.fail({ what, message: problemOf(exit) })

/** Whether it begins empty, whatever its definition says: then an absent channel means the same in all versions of it. */
export const startsEmpty = ({ kind }: State.Any): boolean =>
  kind === "list" || kind === "record" || kind === "optional"

/** What an absent channel is that begins empty. */
const empty = ({ kind }: State.Any): Cell.Cell<any> =>
  kind === "list" ? Cell.list<any>([]) : kind === "record" ? Cell.record<any>([]) : Cell.plain(undefined)

const decodeCell = (
  name: string,
  channel: State.Any,
  cell: Cell.Cell
): Result.Result<Cell.Cell<any>, Mismatch> => {
  const { decode } = makeCodec(channel.schema)
  const what = `channel ${JSON.stringify(name)}`
  const value = Cell.toValue(cell)
  if (channel.kind === "list") {
    if (!Array.isArray(value)) return Result.fail({ what, message: "it holds no list" })
    const items: Array<unknown> = []
    for (const item of value) {
      const exit = decode(item)
      if (Exit.isFailure(exit)) return mismatch(`${what}, item ${items.length}`, exit)
      items.push(frozen(exit.value))
    }
    return Result.succeed(Cell.list(items))
  }
  if (channel.kind === "record") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return Result.fail({ what, message: "it holds no record" })
    }
    const entries: Array<readonly [string, unknown]> = []
    for (const [key, item] of Object.entries(value)) {
      const exit = decode(item)
      if (Exit.isFailure(exit)) return mismatch(`${what}, entry ${JSON.stringify(key)}`, exit)
      entries.push([key, frozen(exit.value)])
    }
    return Result.succeed(Cell.record(entries))
  }
  const exit = decode(value)
  return Exit.isFailure(exit) ? mismatch(what, exit) : Result.succeed(Cell.plain(frozen(exit.value)))
}

/** The channels of a run, decoded. */
export class TypedState {
  readonly #channels: Channels
  readonly #cells: Cells
  #view: { readonly [channel: string]: unknown } | undefined

  constructor(channels: Channels, cells: Cells) {
    this.#channels = channels
    this.#cells = cells
  }

  /** What a handler gets as `state`. It is read-only, since the visits after it get the same values. */
  get view(): { readonly [channel: string]: unknown } {
    return (this.#view ??= viewOfCells(this.#channels, this.#cells))
  }

  /**
   * The state after an update, and the operations that make the same change to the encoded channels. In a branch an
   * update of a `reduce` channel is kept as it is given: what it is combined with is decided at the join.
   */
  update(
    update: { readonly [channel: string]: unknown },
    inBranch: boolean
  ): Result.Result<{ readonly state: TypedState; readonly ops: Ops | undefined }, Mismatch> {
    const next: { [channel: string]: Cell.Cell<any> } = { ...this.#cells }
    let ops: { [channel: string]: Op } | undefined
    for (const name of Object.keys(update)) {
      const channel = Object.hasOwn(this.#channels, name) ? this.#channels[name]! : undefined
      if (channel === undefined) {
        return Result.fail({
          what: `channel ${JSON.stringify(name)}`,
          message: "the flow has no such channel"
        })
      }
      const given = update[name]
      if (given === undefined && channel.kind !== "optional") continue
      const cell = this.#cells[name]!
      const op = opOf(name, channel, cell, given, inBranch)
      if (Result.isFailure(op)) return Result.fail(op.failure)
      // What handlers see is what a later process would see: the update as it comes back from its encoded form.
      const applied = applyOp(name, channel, cell, op.success)
      if (Result.isFailure(applied)) return Result.fail(applied.failure)
      next[name] = applied.success
      ops ??= {}
      Cell.define(ops, name, op.success)
    }
    return Result.succeed(
      ops === undefined ? { state: this, ops } : { state: new TypedState(this.#channels, next), ops }
    )
  }

  /** The state after recorded operations. */
  apply(ops: Ops): Result.Result<TypedState, Mismatch> {
    const next: { [channel: string]: Cell.Cell<any> } = { ...this.#cells }
    for (const name of Object.keys(ops)) {
      const channel = Object.hasOwn(this.#channels, name) ? this.#channels[name]! : undefined
      // What the flow does not know any more, no handler sees.
      if (channel === undefined) continue
      const applied = applyOp(name, channel, next[name]!, ops[name]!)
      if (Result.isFailure(applied)) return Result.fail(applied.failure)
      next[name] = applied.success
    }
    return Result.succeed(new TypedState(this.#channels, next))
  }
}

const viewOfCells = (channels: Channels, cells: Cells): { readonly [channel: string]: unknown } => {
  const view: { [channel: string]: unknown } = {}
  for (const name of Object.keys(channels)) {
    const cell = cells[name]!
    if (isLarge(cell)) {
      Object.defineProperty(view, name, { get: () => viewOf(cell), enumerable: true, configurable: true })
    } else Cell.define(view, name, viewOf(cell))
  }
  return Object.freeze(view)
}

/** The items of a list or the entries of a record, encoded. */
const encodeAll = (
  what: string,
  { kind, schema }: State.Any,
  given: unknown
): Result.Result<Json, Mismatch> => {
  if (kind === "list") {
    if (!Array.isArray(given)) return Result.fail({ what, message: "give an array of items" })
    const items: Array<Json> = []
    for (const item of given) {
      const exit = encode(schema, item)
      if (Exit.isFailure(exit)) return mismatch(`${what}, item ${items.length}`, exit)
      items.push(exit.value)
    }
    return Result.succeed(items)
  }
  if (typeof given !== "object" || given === null || Array.isArray(given))
    return Result.fail({ what, message: "give a record of entries" })
  const entries: { [key: string]: Json } = {}
  for (const key of Object.keys(given)) {
    const exit = encode(schema, (given as { [key: string]: unknown })[key])
    if (Exit.isFailure(exit)) return mismatch(`${what}, entry ${JSON.stringify(key)}`, exit)
    Cell.define(entries, key, exit.value)
  }
  return Result.succeed(entries)
}

/** The operation that an update of a channel is. */
const opOf = (
  name: string,
  channel: State.Any,
  cell: Cell.Cell<any>,
  given: unknown,
  inBranch: boolean
): Result.Result<Op, Mismatch> => {
  const what = `channel ${JSON.stringify(name)}`
  switch (channel.kind) {
    case "list":
      return Result.map(encodeAll(what, channel, given), (append) => ({ append }) as Op)
    case "record":
      return Result.map(encodeAll(what, channel, given), (merge) => ({ merge }) as Op)
    case "counter":
      return typeof given === "number" && Number.isFinite(given)
        ? Result.succeed({ add: given })
        : Result.fail({ what, message: "an update of a counter is a finite number" })
  }
  if (given === undefined) return Result.succeed({ unset: true })
  const isCombined = channel.kind === "reduce" && !inBranch
  const value = isCombined ? channel.reducer!.combine((cell as Cell.Plain<unknown>).value, given) : given
  const exit = encode(channel.schema, value)
  if (Exit.isFailure(exit)) return mismatch(what, exit)
  return Result.succeed(channel.kind === "reduce" && inBranch ? { combine: exit.value } : { set: exit.value })
}

const wrongKind = (what: string): Result.Result<never, Mismatch> =>
  Result.fail({ what, message: "what is recorded does not fit the kind of the channel" })

/** A channel after a recorded operation. */
const applyOp = (
  name: string,
  channel: State.Any,
  cell: Cell.Cell<any>,
  op: Op
): Result.Result<Cell.Cell<any>, Mismatch> => {
  const what = `channel ${JSON.stringify(name)}`
  if ("unset" in op) return Result.succeed(empty(channel))
  if ("set" in op) return decodeCell(name, channel, Cell.plain(op.set))
  if ("append" in op || "merge" in op) {
    const part = decodeCell(name, channel, Cell.plain("append" in op ? [...op.append] : op.merge))
    if (Result.isFailure(part)) return part
    const more = part.success
    const next =
      more._tag === "List"
        ? Cell.append(cell, more.items)
        : more._tag === "Record"
          ? Cell.mergeMap(cell, more.map)
          : undefined
    return next === undefined ? wrongKind(what) : Result.succeed(next)
  }
  const before: unknown = cell._tag === "Plain" ? cell.value : undefined
  if ("add" in op) {
    if (typeof before !== "number") return wrongKind(what)
    const sum = before + op.add
    return Number.isFinite(sum)
      ? Result.succeed(Cell.plain(sum))
      : Result.fail({ what, message: "the sum is too large for a number" })
  }
  if (channel.reducer === undefined) return wrongKind(what)
  const own = makeCodec(channel.schema).decode(frozen(op.combine))
  if (Exit.isFailure(own)) return mismatch(what, own)
  // What a reducer gives may be an object of the program, and need not be what its schema would make of it.
  const exit = encode(channel.schema, channel.reducer.combine(before, own.value))
  return Exit.isFailure(exit) ? mismatch(what, exit) : decodeCell(name, channel, Cell.plain(exit.value))
}

/** The typed state of a run whose encoded channels are these. */
export const decode = (
  channels: Channels,
  encoded: { readonly [channel: string]: Cell.Cell }
): Result.Result<TypedState, Mismatch> => {
  const cells: { [channel: string]: Cell.Cell<any> } = {}
  for (const name of Object.keys(channels)) {
    const channel = channels[name]!
    let cell = get(encoded, name)
    if (cell === undefined) {
      if (startsEmpty(channel)) {
        cells[name] = empty(channel)
        continue
      }
      const exit = encode(channel.schema, channel.initial)
      if (Exit.isFailure(exit)) return mismatch(`channel ${JSON.stringify(name)}`, exit)
      cell = Cell.plain(exit.value)
    }
    const decoded = decodeCell(name, channel, cell)
    if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
    cells[name] = decoded.success
  }
  return Result.succeed(new TypedState(channels, cells))
}

/** The encoded content that the channels of a new run have; empty lists, records and optional channels have none. */
export const initial = (
  channels: Channels
): Result.Result<{ readonly [channel: string]: Json }, Mismatch> => {
  const encoded: { [channel: string]: Json } = {}
  for (const name of Object.keys(channels)) {
    const channel = channels[name]!
    if (startsEmpty(channel)) continue
    const exit = encode(channel.schema, channel.initial)
    if (Exit.isFailure(exit)) return mismatch(`the initial value of channel ${JSON.stringify(name)}`, exit)
    Cell.define(encoded, name, exit.value)
  }
  return Result.succeed(encoded)
}

/** Edits of the state given by channel: the whole new content, checked against the channels' schemas. */
export const edits = (
  channels: Channels,
  content: { readonly [channel: string]: unknown }
): Result.Result<Ops, Mismatch> => {
  const ops: { [channel: string]: Op } = {}
  for (const name of Object.keys(content)) {
    const channel = Object.hasOwn(channels, name) ? channels[name]! : undefined
    const what = `channel ${JSON.stringify(name)}`
    if (channel === undefined) return Result.fail({ what, message: "the flow has no such channel" })
    const given = content[name]
    if (given === undefined) {
      if (channel.kind !== "optional")
        return Result.fail({ what, message: "only an optional channel can be emptied" })
      Cell.define(ops, name, { unset: true })
      continue
    }
    if (channel.kind === "list" || channel.kind === "record") {
      const all = encodeAll(what, channel, given)
      if (Result.isFailure(all)) return Result.fail(all.failure)
      Cell.define(ops, name, { set: all.success })
    } else {
      const exit = encode(channel.schema, given)
      if (Exit.isFailure(exit)) return mismatch(what, exit)
      Cell.define(ops, name, { set: exit.value })
    }
  }
  return Result.succeed(ops)
}
