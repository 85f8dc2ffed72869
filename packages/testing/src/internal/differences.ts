/**
 * Where two values differ.
 */

const show = (value: unknown): string => {
  if (typeof value === "function") return `the function ${value.name}`
  if (typeof value === "bigint") return `${value}n`
  if (value === undefined) return "nothing"
  const seen = new Set<unknown>()
  const text = JSON.stringify(plain(value), (_key, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`
    if (typeof part !== "object" || part === null) return part
    if (seen.has(part)) return "…"
    seen.add(part)
    return plain(part)
  })
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
  if (Object.prototype.toString.call(value) === "[object Error]") {
    const { message, name } = value as Error
    return { name, message, ...value }
  }
  return value
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null

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
    visiting.add(a)
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      if (key !== "stack")
        compare(left[key], right[key], Array.isArray(left) ? `${path}[${key}]` : `${path}.${key}`)
    }
    visiting.delete(a)
  }
  compare(expected, got, "")
  return found.map((line) => line.replace(/^\./, "").replace(/^:/, "it:"))
}
