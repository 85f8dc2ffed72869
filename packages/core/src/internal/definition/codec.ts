import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"

/**
 * A value to and from what the journal holds of it. Unknown keys are errors in both directions: dropping one would lose
 * what somebody meant to keep.
 */
export interface JsonCodec<A> {
  readonly encode: (value: A) => Exit.Exit<Schema.Json, Schema.SchemaError>
  readonly decode: (json: unknown) => Exit.Exit<A, Schema.SchemaError>
}

const options: SchemaAST.ParseOptions = { onExcessProperty: "error" }
const codecs = /* @__PURE__ */ new WeakMap<SchemaAST.AST, JsonCodec<any>>()

/**
 * The codec of a schema, derived once per schema. The parsers inside are compiled at their first use.
 *
 * Both directions are synchronous, so the schema must need no service (`Flow.make` and `Tool.make` ask for such).
 */
export const makeCodec = <S extends Schema.Constraint>(schema: S): JsonCodec<S["Type"]> => {
  const known = codecs.get(schema.ast)
  if (known !== undefined) return known
  const json = Schema.toCodecJson(schema as unknown as Schema.ConstraintCodec<S["Type"], unknown>)
  const codec: JsonCodec<S["Type"]> = {
    encode: Schema.encodeUnknownExit(json, options),
    decode: Schema.decodeUnknownExit(json, options)
  }
  codecs.set(schema.ast, codec)
  return codec
}
