/**
 * What is different between a flow and the flow that it was, in words.
 */
import type { Shape } from "./fingerprint.ts"

/**
 * One thing by which a run does not fit a flow.
 *
 * - `gone`, `new`: what the flow has no longer, and what it did not have
 * - `stranded`: an open visit or fan-out whose node is gone
 * - `state`: the content of a channel, the input, or an item does not fit its schema
 * - `call`: the recorded result of a call does not fit the schemas of its tool, or what ended a wait that of the wait
 * - `wait`: the handler waits by another schema than the one that its open wait was opened with
 * - `version`: the run is at a later version than the flow, or at an earlier one from which no migration leads
 * - `migration`: the migration cannot be applied to it
 * - `handler`: the handler of the open visit fails, or does not come to an end
 * - `journal`: the run cannot be read
 *
 * @category models
 * @since 0.1.0
 */
export interface Difference {
  readonly kind:
    | "gone"
    | "new"
    | "stranded"
    | "state"
    | "call"
    | "wait"
    | "migration"
    | "version"
    | "handler"
    | "journal"
  readonly message: string
}

const isArray = (shape: Shape | undefined): shape is ReadonlyArray<Shape> => Array.isArray(shape)

const textsOf = (shapes: Shape | undefined): ReadonlyArray<string> =>
  isArray(shapes) ? shapes.map(textOf) : []

/** A schema as a text, another one for each; the rarer ones as they stand in the shape. */
const textOf = (shape: Shape | undefined): string => {
  if (!isArray(shape)) return String(shape)
  const [tag, first, second, third] = shape
  const [one, ...more] = textsOf(first)
  const others = textsOf(second)
  if (one === "encoded") return `${textOf(tag)} as ${more.join(" and ")}`
  if (one === "checks") return `${textOf(tag)} with ${JSON.stringify(shape.slice(1))}`
  if (tag === "Objects" && others.length === 0) return `{ ${textsOf(first).join(", ")} }`
  if (tag === "Arrays" && one === undefined) return `[${others.join(", ")}]`
  if (tag === "Union") return textsOf(first).join(" | ")
  if (tag === "Literal") return first === "string" ? JSON.stringify(second) : String(second)
  if (tag === "Declaration") {
    // Effect's own say more than their name.
    const [, id] = isArray(first)
      ? ((first.find((pair) => isArray(pair) && pair[0] === "id") ?? []) as ReadonlyArray<Shape>)
      : [undefined, first]
    if (typeof id === "string") return `${id}<${others.join(", ")}>`
  }
  // A field: its name, whether it is optional, its type.
  if (typeof first === "boolean" && third === undefined)
    return `${String(tag)}${first ? "?" : ""}: ${textOf(second)}`
  return JSON.stringify(shape)
}

/** What a flow is made of: for the flow itself and each of its nodes, channels and signals, what it has. */
const partsOf = (text: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const [, , start, input, output, error, channels, nodes, signals = []] = JSON.parse(
    text
  ) as ReadonlyArray<any>
  const parts = new Map([
    [
      "the flow",
      [
        `the start "${start}"`,
        `the input ${textOf(input)}`,
        `the output ${textOf(output)}`,
        `the error ${textOf(error)}`
      ]
    ]
  ])
  for (const [name, kind, schema] of channels)
    parts.set(`channel "${name}"`, [`the type ${kind} of ${textOf(schema)}`])
  for (const [name, schema] of signals) parts.set(`signal "${name}"`, [`the type ${textOf(schema)}`])
  for (const [name, targets, errors, routes, onDefect, ...fanOut] of nodes) {
    parts.set(`node "${name}"`, [
      ...targets.map((target: string) => `the target "${target}"`),
      `the error ${textOf(errors)}`,
      ...routes.map((route: Shape) => `the route ${JSON.stringify(route)}`),
      `the route of defects ${JSON.stringify(onDefect)}`,
      `the fan-out ${JSON.stringify(fanOut[0])}`
    ])
  }
  return parts
}

/** What is different between two shapes, given as {@link shapeTextOf} gives them. */
export const differences = (before: string, after: string): ReadonlyArray<Difference> => {
  // The first words of a shape say how it is written.
  const [format] = after.split(",", 1)
  if (!before.startsWith(`${format},`))
    return [{ kind: "journal", message: "what the flow was like is written as another release writes it" }]
  const old = partsOf(before)
  const now = partsOf(after)
  const found: Array<Difference> = []
  const add = (kind: "gone" | "new", message: string) => found.push({ kind, message })
  for (const [part, had] of old) {
    const has = now.get(part)
    if (has === undefined) add("gone", `${part} is gone`)
    else {
      for (const one of had) if (!has.includes(one)) add("gone", `${part} no longer has ${one}`)
      for (const one of has) if (!had.includes(one)) add("new", `${part} has ${one} now`)
    }
  }
  for (const part of now.keys()) if (!old.has(part)) add("new", `${part} is new`)
  return found
}
