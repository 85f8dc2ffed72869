/**
 * Values as TypeScript.
 */
import type { Json } from "effect/Schema"

const width = 100

const isName = (key: string): boolean => /^[A-Za-z_$][\w$]*$/.test(key) && key !== "__proto__"

const keyOf = (key: string): string =>
  isName(key) ? key : key === "__proto__" ? '["__proto__"]' : JSON.stringify(key)

/** Some characters end a line in a program, or are not seen in one. */
const quoted = (text: string): string =>
  JSON.stringify(text).replaceAll(
    // oxlint-disable-next-line no-control-regex -- these are what it is about
    /[\u007f-\u009f\u00ad\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const inline = (value: Json): string => {
  if (typeof value === "string") return quoted(value)
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`
  const fields = Object.entries(value as { readonly [key: string]: Json })
  return fields.length === 0
    ? "{}"
    : `{ ${fields.map(([key, field]) => `${keyOf(key)}: ${inline(field)}`).join(", ")} }`
}

/** A list of items, each a text that stands at `indent + 2`, in one line if they fit behind `column`. */
export const bracketed = (
  [open, close]: readonly [open: string, close: string],
  items: ReadonlyArray<string>,
  indent: number,
  column: number
): string => {
  if (items.length === 0) return `${open}${close}`
  const space = open === "{" ? " " : ""
  const line = `${open}${space}${items.join(", ")}${space}${close}`
  if (!line.includes("\n") && column + line.length <= width) return line
  const inner = " ".repeat(indent + 2)
  return `${open}\n${items.map((item) => `${inner}${item}`).join(",\n")}\n${" ".repeat(indent)}${close}`
}

/** A value that begins at `column` of a line that is indented by `indent`. */
export const literal = (value: Json, indent: number, column: number = indent): string => {
  const line = inline(value)
  if (column + line.length <= width || typeof value !== "object" || value === null) return line
  if (Array.isArray(value)) {
    const items = (value as ReadonlyArray<Json>).map((item) => literal(item, indent + 2))
    return bracketed(["[", "]"], items, indent, column)
  }
  const fields = Object.entries(value as { readonly [key: string]: Json }).map(([key, field]) => {
    const name = `${keyOf(key)}: `
    return `${name}${literal(field, indent + 2, indent + 2 + name.length)}`
  })
  return bracketed(["{", "}"], fields, indent, column)
}

/** A text as a literal. */
export const text = quoted

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
  ["milli", 1]
] as const

/** A duration as Effect reads it, in the biggest unit of which it is a whole number: `"10 days"`. */
export const duration = (millis: number): string => {
  const [unit, size] = units.find((each) => millis % each[1] === 0 && millis >= each[1]) ?? ["milli", 1]
  const count = millis / size
  return text(`${count} ${unit}${count === 1 ? "" : "s"}`)
}
