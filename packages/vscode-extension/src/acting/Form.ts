/**
 * Forms from the JSON Schemas that journals and manifests have: which fields there are, what a text in one means, and what
 * is wrong with a value.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"

type JsonSchema = { readonly [key: string]: any }

/** A JSON Schema with its definitions beside it, as waits have it. */
export interface Document {
  readonly schema: JsonSchema
  readonly definitions: { readonly [name: string]: JsonSchema }
}

/**
 * One thing to ask for.
 *
 * - `name`: the property that it is of the value; `undefined` if it is the value itself
 * - `choices`: what to choose from, where that is all there is
 * - `isOptional`: whether it may be left out
 */
export interface Field {
  readonly name: string | undefined
  readonly kind: "text" | "number" | "choice" | "json"
  readonly choices: ReadonlyArray<Json>
  readonly isOptional: boolean
  readonly description: string | undefined
  readonly document: Document
}

const isObject = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A recorded schema: `undefined` for what is none, such as what a codec has sealed. */
export const documentOf = (recorded: unknown): Document | undefined => {
  if (!isObject(recorded) || !isObject(recorded["schema"])) return undefined
  const definitions = recorded["definitions"]
  return { schema: recorded["schema"], definitions: isObject(definitions) ? definitions : {} }
}

/** A schema of a manifest, which has its definitions in itself. */
export const documentOfManifest = (schema: JsonSchema): Document => {
  const { $defs, ...rest } = schema
  return { schema: rest, definitions: isObject($defs) ? $defs : {} }
}

/** Follows a reference to a definition. */
const resolve = ({ definitions, schema }: Document): JsonSchema => {
  let current = schema
  const seen = new Set<string>()
  for (;;) {
    const ref: unknown = current["$ref"]
    if (typeof ref !== "string" || seen.has(ref)) return current
    seen.add(ref)
    const name = decodeURIComponent(ref.slice(ref.lastIndexOf("/") + 1))
      .replaceAll("~1", "/")
      .replaceAll("~0", "~")
    const next = definitions[name]
    if (next === undefined) return current
    current = next
  }
}

/** The values that a schema enumerates, if that is what it does. */
const choicesOf = (document: Document): ReadonlyArray<Json> | undefined => {
  const schema = resolve(document)
  if (schema["type"] === "boolean") return [true, false]
  if (Array.isArray(schema["enum"])) return schema["enum"]
  if ("const" in schema) return [schema["const"]]
  if (schema["type"] === "null") return [null]
  const options: unknown = schema["anyOf"] ?? schema["oneOf"]
  if (!Array.isArray(options)) return undefined
  const all: Array<Json> = []
  for (const option of options) {
    const choices = choicesOf({ ...document, schema: option })
    if (choices === undefined) return undefined
    all.push(...choices)
  }
  return all
}

const fieldOf = (name: string | undefined, document: Document, isOptional: boolean): Field => {
  const schema = resolve(document)
  const choices = choicesOf(document)
  const type: unknown = schema["type"]
  const kind =
    choices !== undefined
      ? "choice"
      : type === "string"
        ? "text"
        : type === "number" || type === "integer"
          ? "number"
          : "json"
  const description: unknown = schema["description"] ?? schema["title"]
  return {
    name,
    kind,
    choices: choices ?? [],
    isOptional,
    description: typeof description === "string" ? description : undefined,
    document
  }
}

/** More fields than this are asked for as one text of JSON. */
const mostFields = 12

/** What to ask for: the properties of an object one by one, anything else as one. */
export const fieldsOf = (document: Document): ReadonlyArray<Field> => {
  const schema = resolve(document)
  const properties: unknown = schema["properties"]
  if (schema["type"] !== "object" || !isObject(properties)) return [fieldOf(undefined, document, false)]
  const names = Object.keys(properties)
  if (names.length === 0 || names.length > mostFields) return [fieldOf(undefined, document, false)]
  const required: ReadonlyArray<unknown> = Array.isArray(schema["required"]) ? schema["required"] : []
  return names.map((name) =>
    fieldOf(name, { ...document, schema: properties[name] }, !required.includes(name))
  )
}

type Decode = (value: unknown) => Exit.Exit<unknown, Schema.SchemaError>

const decoders = new WeakMap<JsonSchema, Decode>()

/** What cannot be said as a schema of Effect is left to whoever takes the value. */
const decoderOf = ({ definitions, schema }: Document): Decode => {
  let decode = decoders.get(schema)
  if (decode === undefined) {
    try {
      const document = { dialect: "draft-2020-12", schema, definitions }
      const made = SchemaRepresentation.fromJsonSchemaDocument(document as never)
      decode = Schema.decodeUnknownExit(made as Schema.Codec<unknown>, { errors: "all" })
    } catch {
      decode = Exit.succeed
    }
    decoders.set(schema, decode)
  }
  return decode
}

/** What is wrong with a value, in words; `undefined` if nothing is. */
export const problemOf = (document: Document, value: unknown): string | undefined => {
  const exit = decoderOf(document)(value)
  if (Exit.isSuccess(exit)) return undefined
  return Option.match(Cause.findErrorOption(exit.cause), {
    onNone: () => Cause.pretty(exit.cause),
    onSome: ({ message }) => message
  })
}

/** What was typed, as a value; or what is wrong with it. */
export type Read = { readonly value: Json | undefined } | { readonly problem: string }

/** Reads what was typed into a field. An optional one may be empty: then it is left out. */
export const read = (field: Field, text: string): Read => {
  if (text === "" && field.isOptional) return { value: undefined }
  let value: Json = text
  if (field.kind === "number") {
    value = Number(text)
    if (text.trim() === "" || Number.isNaN(value)) return { problem: "Type a number." }
  } else if (field.kind !== "text") {
    try {
      value = JSON.parse(text) as Json
    } catch (error) {
      return { problem: `This is not JSON: ${(error as Error).message}` }
    }
  }
  const problem = problemOf(field.document, value)
  return problem === undefined ? { value } : { problem }
}

/** The value that the fields make. */
export const assemble = (
  filled: ReadonlyArray<readonly [field: Field, value: Json | undefined]>
): Json | undefined => {
  const [only] = filled
  if (only !== undefined && only[0].name === undefined) return only[1]
  const whole: { [name: string]: Json } = {}
  for (const [{ name }, value] of filled) {
    if (name === undefined || value === undefined) continue
    // Also where a property has a name like `__proto__`.
    Object.defineProperty(whole, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return whole
}
