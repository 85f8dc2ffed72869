/**
 * Schemas as the journal holds them, so that a value can be checked where the flow's code is not known.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import { canonical } from "./canonical.ts"

const documents = new WeakMap<object, Json>()

/** The JSON Schema of what values of a schema are encoded to. */
export const record = (schema: Schema.Codec<any, any>): Json => {
  let document = documents.get(schema)
  if (document === undefined) {
    document = Schema.toJsonSchemaDocument(Schema.toCodecJson(schema)) as unknown as Json
    documents.set(schema, document)
  }
  return document
}

/** Texts for people may change; what they are about is the same. */
const bare = (document: unknown): unknown => {
  if (Array.isArray(document)) return document.map(bare)
  if (typeof document !== "object" || document === null) return document
  return Object.fromEntries(
    Object.entries(document).flatMap(([key, value]) =>
      (key === "title" || key === "description") && typeof value === "string" ? [] : [[key, bare(value)]]
    )
  )
}

/** Whether two recorded schemas take the same values, as far as that can be told. */
export const isSame = (a: Json | undefined, b: Json | undefined): boolean =>
  a === undefined || b === undefined ? a === b : canonical(bare(a) as Json) === canonical(bare(b) as Json)

type Decode = (value: unknown) => Exit.Exit<unknown, Schema.SchemaError>

/** The last schemas that were used, by their text: a run that loops asks for the same again and again. */
const known = new Map<string, Decode>()
const limit = 256

/** JSON Schema can say things that Effect's schemas cannot: those are left to the schema of the wait itself. */
const decoder = (document: Json): Decode => {
  try {
    const schema = SchemaRepresentation.fromJsonSchemaDocument(document as any)
    return Schema.decodeUnknownExit(schema as Schema.Codec<unknown>, { errors: "all" })
  } catch {
    return Exit.succeed
  }
}

const decoderOf = (document: Json): Decode => {
  const text = JSON.stringify(document)
  let decode = known.get(text)
  if (decode === undefined) {
    decode = decoder(document)
    if (known.size >= limit) known.clear()
    known.set(text, decode)
  }
  return decode
}

/** What is wrong with a value by a recorded schema, in words; `undefined` if nothing is. */
export const problemWith = (document: Json | undefined, value: Json): string | undefined => {
  if (document === undefined) return undefined
  const exit = decoderOf(document)(value)
  if (Exit.isSuccess(exit)) return undefined
  return Option.match(Cause.findErrorOption(exit.cause), {
    onNone: () => Cause.pretty(exit.cause),
    onSome: (error) => error.message
  })
}
