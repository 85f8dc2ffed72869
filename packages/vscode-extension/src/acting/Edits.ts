/**
 * The state of a checkpoint as an editable document, its JSON Schema, and what of it was edited.
 */
import { isDeepStrictEqual } from "node:util"
import type { Json } from "effect/Schema"
import type { Channel, JsonSchema } from "@waymark/core/Manifest"

export type State = { readonly [channel: string]: Json }

/** A channel, as far as it is known: a store keeps names and kinds, a manifest the schemas, too. */
export interface KnownChannel {
  readonly name: string
  readonly kind: string
  readonly schema?: JsonSchema
}

/** The whole new content of some channels; `empty` names those that are to be empty. */
export interface Edits {
  readonly set: State
  readonly empty: ReadonlyArray<string>
}

/** The key by which editors find the schema of a document. A channel of that name is not edited here. */
export const schemaKey = "$schema"

const define = (target: object, name: string, value: unknown): void => {
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
}

/** The document of a state. */
export const textOf = (state: State, schema: string): string => {
  const whole = { [schemaKey]: schema }
  for (const [name, value] of Object.entries(state)) if (name !== schemaKey) define(whole, name, value)
  return `${JSON.stringify(whole, null, 2)}\n`
}

/** What stands in a document: the state, or what is wrong with the text. */
export const parse = (text: string): { readonly state: State } | { readonly problem: string } => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { problem: `the document is not JSON: ${(error as Error).message}` }
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: "the document is not an object with the channels of the state" }
  }
  const state: { [channel: string]: Json } = {}
  for (const [name, content] of Object.entries(value)) {
    if (name !== schemaKey) define(state, name, content)
  }
  return { state }
}

/** What makes the edited state of the recorded one. */
export const between = (recorded: State, edited: State): Edits => {
  const set: { [channel: string]: Json } = {}
  for (const [name, value] of Object.entries(edited)) {
    if (!Object.hasOwn(recorded, name) || !isDeepStrictEqual(recorded[name], value)) define(set, name, value)
  }
  const empty = Object.keys(recorded).filter((name) => name !== schemaKey && !Object.hasOwn(edited, name))
  return { set, empty }
}

const nothing: { readonly [kind: string]: Json } = { list: [], record: {} }

/** The same edits: who leaves out a list or a record means that nothing is in it. */
export const complete = (channels: ReadonlyArray<KnownChannel>, { empty, set }: Edits): Edits => {
  const whole: { [channel: string]: Json } = { ...set }
  const left = empty.filter((name) => {
    const kind = channels.find((channel) => channel.name === name)?.kind ?? ""
    const content = Object.hasOwn(nothing, kind) ? nothing[kind] : undefined
    if (content !== undefined) define(whole, name, content)
    return content === undefined
  })
  return { set: whole, empty: left }
}

/** The names of the channels that are edited. */
export const namesOf = ({ empty, set }: Edits): ReadonlyArray<string> =>
  [...Object.keys(set), ...empty].sort()

const kindOf = (value: Json): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "a list"
      : typeof value === "object"
        ? "an object"
        : `a ${typeof value}`

const expected: { readonly [kind: string]: string } = {
  list: "a list",
  record: "an object",
  counter: "a number"
}

/** What is wrong with edits, as far as the names and kinds of the channels tell. */
export const problemsOf = (
  channels: ReadonlyArray<KnownChannel>,
  { empty, set }: Edits
): ReadonlyArray<string> => {
  const known = new Map(channels.map((channel) => [channel.name, channel.kind]))
  const problems: Array<string> = []
  for (const [name, value] of Object.entries(set)) {
    const kind = known.get(name)
    const wanted = kind === undefined ? undefined : expected[kind]
    if (kind === undefined) {
      problems.push(`the flow has no channel ${JSON.stringify(name)}; it has ${[...known.keys()].join(", ")}`)
    } else if (wanted !== undefined && kindOf(value) !== wanted) {
      problems.push(`channel ${JSON.stringify(name)} holds ${wanted}, and not ${kindOf(value)}`)
    }
  }
  for (const name of empty) {
    const kind = known.get(name)
    if (kind !== undefined && kind !== "optional") {
      problems.push(`channel ${JSON.stringify(name)} always has a value; it cannot be left out`)
    }
  }
  return problems
}

/** References to definitions of one schema, as they are when those stand among the definitions of several. */
const moved = (schema: unknown, prefix: string): unknown => {
  if (Array.isArray(schema)) return schema.map((part) => moved(part, prefix))
  if (typeof schema !== "object" || schema === null) return schema
  const result = {}
  for (const [key, value] of Object.entries(schema)) {
    const isReference = key === "$ref" && typeof value === "string" && value.startsWith("#/$defs/")
    define(
      result,
      key,
      isReference ? `#/$defs/${prefix}${value.slice("#/$defs/".length)}` : moved(value, prefix)
    )
  }
  return result
}

/** What a channel holds by its kind; the schema of a flow is that of one item of a list, and of one entry of a record. */
const contentOf = (kind: string, schema: unknown): object => {
  switch (kind) {
    case "list":
      return { type: "array", items: schema }
    case "record":
      return { type: "object", additionalProperties: schema }
    case "counter":
      return { type: "number" }
    default:
      return schema as object
  }
}

const descriptions: { readonly [kind: string]: string } = {
  value: "a value",
  optional: "a value that may be left out",
  list: "a list that visits append to",
  record: "a record that visits merge entries into",
  counter: "a number that visits add to",
  reduce: "a value that updates are combined with"
}

/** The JSON Schema of the document of a state, for completions and errors in the editor. */
export const schemaOf = (title: string, channels: ReadonlyArray<KnownChannel>): object => {
  const properties = { [schemaKey]: { type: "string" } }
  const definitions = {}
  for (const [i, { kind, name, schema = {} }] of channels.entries()) {
    const { $defs, ...rest } = schema
    const prefix = `${i}.`
    if (typeof $defs === "object" && $defs !== null) {
      for (const [key, value] of Object.entries($defs))
        define(definitions, prefix + key, moved(value, prefix))
    }
    const content = contentOf(kind, moved(rest, prefix))
    define(properties, name, { description: `Channel ${name}: ${descriptions[kind] ?? kind}`, ...content })
  }
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title,
    type: "object",
    properties,
    required: channels.filter(({ kind }) => kind === "value" || kind === "reduce").map(({ name }) => name),
    additionalProperties: false,
    $defs: definitions
  }
}

export const channelsOf = (channels: ReadonlyArray<Channel>): ReadonlyArray<KnownChannel> =>
  channels.map(({ kind, name, schema }) => ({ kind, name, schema }))
