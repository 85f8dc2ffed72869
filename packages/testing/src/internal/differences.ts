/**
 * Where two values differ.
 */
import * as Equal from "effect/Equal"
import { format } from "effect/Formatter"

const isError = (value: unknown): boolean => Object.prototype.toString.call(value) === "[object Error]"

const show = (value: unknown): string => {
  if (typeof value === "function") return `the function ${value.name}`
  if (value === undefined) return "nothing"
  const text = format(isError(value) ? plain(value) : value)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

/** An object whose own keys say everything that counts of the value. Where an error was made does not count. */
const plain = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  if (value instanceof Date) return { date: value.getTime() }
  if (value instanceof Map) return { entries: [...value] }
  if (value instanceof Set) return { items: [...value] }
  if (ArrayBuffer.isView(value))
    return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] }
  if (value instanceof URL) return { href: value.href }
  if (value instanceof RegExp) return { source: value.source, flags: value.flags }
  if (isError(value)) {
    const { message, name } = value as Error
    return { name, message, ...value }
  }
  return value
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null

/** Whether something else than its own keys, in their order, says what a value is equal to. */
const knowsItsEqual = (value: unknown): boolean =>
  value instanceof Map || value instanceof Set || (Equal.isEqual(value) && !isError(value))

/** Lines that say where `got` is not as `expected`, at most `limit`. Keys that hold `undefined` count as absent. */
export const differences = (expected: unknown, got: unknown, limit = 8): ReadonlyArray<string> => {
  const found: Array<string> = []
  const visiting = new Set<unknown>()
  const compare = (a: unknown, b: unknown, path: string): void => {
    if (found.length >= limit || Object.is(a, b)) return
    const left = plain(a)
    const right = plain(b)
    if (!isRecord(left) || !isRecord(right) || Array.isArray(left) !== Array.isArray(right)) {
      found.push(`${path}: ${show(a)} was expected, it is ${show(b)}`)
      return
    }
    // Something that holds itself has been compared on the way.
    if (visiting.has(a)) return
    const isJudged = knowsItsEqual(a) && knowsItsEqual(b)
    if (isJudged && Equal.equals(a, b)) return
    const before = found.length
    visiting.add(a)
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      if (key !== "stack")
        compare(left[key], right[key], Array.isArray(left) ? `${path}[${key}]` : `${path}.${key}`)
    }
    visiting.delete(a)
    // An absent option, or a secret, shows nothing of itself in keys.
    const hidesItself = Object.keys(left).length === 0 || Object.keys(right).length === 0
    if (isJudged && hidesItself && found.length === before)
      found.push(`${path}: ${show(a)} was expected, it is ${show(b)}`)
  }
  compare(expected, got, "")
  return found.map((line) => line.replace(/^\./, "").replace(/^:/, "it:"))
}
