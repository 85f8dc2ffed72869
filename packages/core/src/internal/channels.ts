/**
 * What operations do to channels.
 */
import type { Op, Ops } from "../Event.ts"
import type { RunState } from "../RunState.ts"
import * as Cell from "./cell.ts"
import { illegal } from "./illegal.ts"
import { define, get } from "./record.ts"

type Operation = Exclude<Op, { readonly unset: true } | { readonly combine: unknown }>

/**
 * A channel after an operation; a cell of its own, whatever else shares its content.
 */
const applyOp = (
  channel: string,
  cell: Cell.Cell | undefined,
  op: Operation,
  origin: Cell.Origin
): Cell.Cell => {
  if ("set" in op) return Cell.plain(op.set, origin)
  if ("append" in op) {
    const next = cell === undefined ? Cell.list([...op.append]) : Cell.append(cell, op.append)
    return next ?? illegal(`channel ${JSON.stringify(channel)} holds no list to append to`)
  }
  if ("merge" in op) {
    const next = cell === undefined ? Cell.record(Object.entries(op.merge)) : Cell.merge(cell, op.merge)
    return next ?? illegal(`channel ${JSON.stringify(channel)} holds no record to merge into`)
  }
  const value = cell === undefined ? 0 : cell._tag === "Plain" ? cell.value : undefined
  if (typeof value !== "number")
    return illegal(`channel ${JSON.stringify(channel)} holds no number to add to`)
  const sum = value + op.add
  // JSON has no infinity: a snapshot could not hold it.
  return Number.isFinite(sum)
    ? Cell.plain(sum)
    : illegal(`channel ${JSON.stringify(channel)} would exceed all numbers`)
}

/**
 * Channels after operations. An `unset` channel is absent.
 */
export const applyOps = (
  channels: RunState["channels"],
  ops: Ops | undefined,
  origin: Cell.Origin
): RunState["channels"] => {
  if (ops === undefined) return channels
  const next: { [channel: string]: Cell.Cell } = { ...channels }
  for (const channel of Object.keys(ops)) {
    const op = ops[channel]!
    if ("unset" in op) delete next[channel]
    else if ("combine" in op)
      illegal(`channel ${JSON.stringify(channel)} is combined where branches are joined`)
    else define(next, channel, applyOp(channel, get(channels, channel), op, origin))
  }
  return next
}
