/** What flows and tools take: a schema, or the fields of a struct. */
import * as Schema from "effect/Schema"

/** The fields of a struct whose schemas need no services. */
export interface Fields {
  readonly [key: PropertyKey]: Schema.ConstraintCodec<unknown, unknown>
}

/** The schema of an input that is given as one, or as the fields of a struct. */
export type InputOf<I> =
  I extends Schema.Codec<unknown, unknown> ? I : I extends Fields ? Schema.Struct<I> : never

/** Whether it is an object of fields and not a schema; nothing, where the compiler was not asked, is neither. */
const isFields = (input: Schema.Codec<unknown, unknown> | Fields | undefined): input is Fields =>
  typeof input === "object" && input !== null && !Schema.isSchema(input)

export const inputOf = (input: Schema.Codec<unknown, unknown> | Fields): Schema.Codec<unknown, unknown> =>
  isFields(input) ? Schema.Struct(input) : input
