/**
 * What commands are given: nodes of trees, or plain objects from code lenses, pages and keybindings. Anything else is
 * taken for nothing.
 */
import type { RunRef } from "../reading/Checkpoints.ts"
import type { Position } from "./Cursor.ts"

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value
    ? (value as { [key: string]: unknown })[name]
    : undefined

/** The run that an argument names. */
export const runOf = (argument: unknown): RunRef | undefined => {
  const store = field(argument, "store")
  const run = field(argument, "run")
  return typeof store === "string" && typeof run === "string" ? { store, run } : undefined
}

/** The position that an argument names: that of a checkpoint, or a `seq`. */
export const positionOf = (argument: unknown): Position | undefined => {
  const ref = runOf(argument)
  if (ref === undefined) return undefined
  const seq = field(field(argument, "at"), "seq") ?? field(argument, "seq")
  return typeof seq === "number" && Number.isSafeInteger(seq) && seq >= 0 ? { ...ref, seq } : ref
}

export const textField = (argument: unknown, name: string): string | undefined => {
  const value = field(argument, name)
  return typeof value === "string" ? value : undefined
}

export const recordField = (
  argument: unknown,
  name: string
): { readonly [key: string]: unknown } | undefined => {
  const value = field(argument, name)
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined
}
