/**
 * The contents of channels, as values that never change.
 *
 * A list grows in place: all versions of it share one array and differ in length, so appending costs what is appended.
 * A record is a hash trie. So a visit costs what it changed, however large the channel has become.
 */
import * as HashMap from "effect/HashMap"
import type { Json } from "effect/Schema"
import { define } from "./record.ts"

export { define } from "./record.ts"

export interface Plain<A> {
  readonly _tag: "Plain"
  readonly value: A
  /** Where the event that set the value stands, to find it there instead of storing it again. */
  readonly origin: Origin | undefined
}

export interface Origin {
  readonly run: string
  readonly seq: number
}

export interface List<A> {
  readonly _tag: "List"
  /** Shared by the versions of the list; only the first `length` items belong to this one. */
  readonly items: Array<A>
  readonly length: number
}

export interface Record<A> {
  readonly _tag: "Record"
  readonly map: HashMap.HashMap<string, A>
}

export type Cell<A = Json> = Plain<A> | List<A> | Record<A>

export const plain = <A>(value: A, origin?: Origin): Plain<A> => ({ _tag: "Plain", value, origin })

export const list = <A>(items: Array<A>): List<A> => ({ _tag: "List", items, length: items.length })

export const record = <A>(entries: Iterable<readonly [string, A]>): Record<A> => ({
  _tag: "Record",
  map: HashMap.fromIterable(entries)
})

/** The list with more items, or `undefined` if the cell does not hold a list. */
export const append = <A>(cell: Cell<A>, more: ReadonlyArray<A>): List<A> | undefined => {
  if (cell._tag === "Record") return undefined
  if (cell._tag === "Plain") {
    return Array.isArray(cell.value) ? list([...(cell.value as ReadonlyArray<A>), ...more]) : undefined
  }
  // Another version has gone its own way already: this one needs an array of its own.
  const items = cell.items.length === cell.length ? cell.items : cell.items.slice(0, cell.length)
  for (const item of more) items.push(item)
  return { _tag: "List", items, length: items.length }
}

/** The record with entries added or replaced, or `undefined` if the cell does not hold a record. */
export const merge = <A>(cell: Cell<A>, more: { readonly [key: string]: A }): Record<A> | undefined => {
  if (cell._tag === "List") return undefined
  let map: HashMap.HashMap<string, A>
  if (cell._tag === "Record") map = cell.map
  else {
    const value: unknown = cell.value
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined
    map = HashMap.fromIterable(Object.entries(value as { [key: string]: A }))
  }
  for (const key of Object.keys(more)) map = HashMap.set(map, key, more[key]!)
  return { _tag: "Record", map }
}

/** The same with the entries of another record. */
export const mergeMap = <A>(cell: Cell<A>, more: HashMap.HashMap<string, A>): Record<A> | undefined =>
  cell._tag === "Record"
    ? {
        _tag: "Record",
        map: HashMap.reduce(more, cell.map, (map, value, key) => HashMap.set(map, key, value))
      }
    : undefined

/** The content as a plain value: a copy for lists and records, with the keys of records in order. */
export const toValue = <A>(cell: Cell<A>): A | ReadonlyArray<A> | { readonly [key: string]: A } => {
  switch (cell._tag) {
    case "Plain":
      return cell.value
    case "List":
      return toArray(cell)
    case "Record":
      return toRecord(cell)
  }
}

export const toArray = <A>(cell: List<A>): ReadonlyArray<A> => cell.items.slice(0, cell.length)

export const toRecord = <A>(cell: Record<A>): { readonly [key: string]: A } => {
  const value: { [key: string]: A } = {}
  for (const key of [...HashMap.keys(cell.map)].sort()) define(value, key, HashMap.getUnsafe(cell.map, key))
  return value
}
