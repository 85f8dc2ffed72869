/**
 * A run's state as text: the same for states that mean the same, however they share what they hold.
 */
import * as HashMap from "effect/HashMap"
import * as Cell from "../../src/internal/cell.ts"
import { inlineBytes, roughSize } from "../../src/internal/snapshotHead.ts"
import type { OpenVisit, RunState } from "../../src/RunState.ts"

/** JSON with the keys in order. It tells -0, infinity, NaN and `undefined` from what JSON would make of them. */
export const canonical = (value: unknown): string => {
  if (value === undefined) return "undefined"
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value)
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (HashMap.isHashMap(value))
    return `Map${canonical(Object.fromEntries(value as Iterable<readonly [string, unknown]>))}`
  const object = value as { readonly [key: string]: unknown }
  return `{${Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(object[key])}`)
    .join(",")}}`
}

const cellView = (cell: Cell.Cell): unknown => {
  const held = { type: cell._tag, value: Cell.toValue(cell) }
  // Where a small value came from is of no use to anybody: it is stored in place.
  if (cell._tag !== "Plain" || roughSize(cell.value, inlineBytes) < inlineBytes) return held
  return { ...held, origin: cell.origin }
}

const entries = <A>(
  record: { readonly [key: string]: A },
  view: (value: A, key: string) => unknown
): unknown => Object.fromEntries(Object.keys(record).map((key) => [key, view(record[key]!, key)]))

const visitView = ({ joined, ...visit }: OpenVisit): unknown => ({
  ...visit,
  ...(joined === undefined ? undefined : { joined: { ...joined, ended: Cell.toArray(joined.ended) } })
})

/** Everything that a state says, bookkeeping for the next snapshot included. */
export const viewOf = (state: RunState): string => {
  const { branches, channels, fanOuts, input, open, snapshot, undo, ...rest } = state
  return canonical({
    ...rest,
    undo: undo && Cell.toArray(undo),
    input: cellView(input),
    channels: entries(channels, cellView),
    open: entries(open, visitView),
    branches: HashMap.map(branches, visitView),
    fanOuts: HashMap.map(fanOuts, ({ ended, updates, ...fanOut }) => ({
      ...fanOut,
      ended: Cell.toArray(ended),
      updates: HashMap.map(updates, (made) => Cell.toArray(made))
    })),
    snapshot: {
      ...snapshot,
      channels: entries(snapshot.channels, ({ cell, parts }, channel) => ({
        cell: cellView(cell),
        parts,
        unchanged: Object.hasOwn(channels, channel) && sameContent(channels[channel]!, cell)
      }))
    }
  })
}

/** Whether the next snapshot may take the content for unchanged. */
const sameContent = (a: Cell.Cell, b: Cell.Cell): boolean =>
  a === b || (a._tag === "Record" && b._tag === "Record" && a.map === b.map)
