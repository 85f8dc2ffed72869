import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { makeCodec } from "../../src/internal/definition/codec.ts"
import { errorTags, inspect } from "../../src/internal/definition/inspect.ts"

class Leaf extends Schema.Class<Leaf>("Leaf")({ of: Schema.Date, anything: Schema.Any }) {}
class Failed extends Schema.TaggedError<Failed>()("Failed", { cause: Schema.Defect() }) {}
class Denied extends Schema.TaggedError<Denied>()("Denied", { by: Schema.String }) {}

interface Tree {
  readonly value: string
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  value: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const found = (schema: Schema.Constraint) =>
  inspect(schema, "s").map(({ kind, path, what }) => `${kind} ${path} ${what}`)

describe("inspecting a schema", () => {
  it("finds nothing in what can be stored", () => {
    for (const schema of [
      Schema.Void,
      Schema.Json,
      Schema.Date,
      Schema.Option(Schema.BigInt),
      Schema.ReadonlyMap(Schema.String, Schema.Uint8Array),
      Schema.Exit(Schema.Json, Failed, Schema.Defect()),
      Schema.Record(Schema.String, Schema.NullOr(Schema.Literals(["a", "b"]))),
      Schema.fromJsonString(Schema.Struct({ a: Schema.FiniteFromString })),
      Failed,
      Tree
    ]) {
      assert.deepStrictEqual(found(schema), [])
    }
  })

  it("finds what is not described, wherever it stands", () => {
    assert.deepStrictEqual(found(Leaf), ["opaque s.anything Any"])
    assert.deepStrictEqual(found(Schema.Tuple([Schema.String, Schema.Unknown])), ["opaque s[1] Unknown"])
    assert.deepStrictEqual(found(Schema.Option(Schema.Any)), ["opaque s Any"])
    assert.deepStrictEqual(found(Schema.Record(Schema.String, Schema.ObjectKeyword)), [
      "opaque s.* ObjectKeyword"
    ])
    assert.deepStrictEqual(found(Schema.Struct({ a: Schema.Any, b: Schema.Any })), [
      "opaque s.a Any",
      "opaque s.b Any"
    ])
    const Lazy: Schema.Codec<unknown> = Schema.suspend(() => Schema.Unknown)
    assert.deepStrictEqual(found(Schema.Array(Lazy)), ["opaque s[] Unknown"])
  })

  it("finds what has no JSON form", () => {
    assert.deepStrictEqual(found(Schema.Struct({ a: Schema.instanceOf(WeakMap) })), [
      "noJson s.a a declared type"
    ])
    assert.deepStrictEqual(found(Schema.Struct({ [Symbol.for("k")]: Schema.String })), [
      "noJson s.Symbol(k) a symbol as a key"
    ])
  })

  it("finds what a JSON text is made of and would lose", () => {
    assert.deepStrictEqual(found(Schema.fromJsonString(Schema.Unknown)), ["opaque s Unknown"])
    const inText = Schema.fromJsonString(
      Schema.Struct({
        at: Schema.Date,
        any: Schema.Option(Schema.Any),
        json: Schema.Array(Schema.Json),
        text: Schema.DateFromString,
        within: Schema.fromJsonString(Schema.Unknown)
      })
    )
    assert.deepStrictEqual(found(Schema.Struct({ a: inText })), [
      "noJson s.a.at a valid Date",
      "noJson s.a.any Option",
      "opaque s.a.any Any",
      "opaque s.a.within Unknown"
    ])
    assert.deepStrictEqual(found(Schema.fromJsonString(Leaf)), [
      "noJson s.of a valid Date",
      "opaque s.anything Any"
    ])
    assert.deepStrictEqual(found(Schema.fromJsonString(Schema.toCodecJson(Schema.Date))), [])
    // These say themselves what becomes of what they take.
    const replacing = Schema.fromJsonString(Schema.Struct({ at: Schema.Date }), { replacer: ["at"] })
    assert.deepStrictEqual(found(replacing), [])
    const own = Schema.String.pipe(
      Schema.decodeTo(Schema.Unknown, { decode: SchemaGetter.String(), encode: SchemaGetter.String() })
    )
    assert.deepStrictEqual(found(Schema.fromJsonString(own)), [])
  })

  it("finds secrets on both sides of a transformation", () => {
    assert.deepStrictEqual(found(Schema.Array(Schema.Redacted(Schema.String))), ["redacted s[] Redacted"])
    assert.deepStrictEqual(found(Schema.Struct({ key: Schema.RedactedFromValue(Schema.String) })), [
      "redacted s.key Redacted"
    ])
    const inText = Schema.fromJsonString(Schema.Struct({ key: Schema.RedactedFromValue(Schema.String) }))
    assert.deepStrictEqual(found(inText), ["redacted s.key Redacted"])
  })

  it("reads the tags of errors", () => {
    assert.deepStrictEqual(errorTags(Schema.Never), { tags: [], complete: true })
    const both = Schema.Union([Failed, Denied, Schema.TaggedStruct("Plain", {})])
    assert.deepStrictEqual(errorTags(both), { tags: ["Failed", "Denied", "Plain"], complete: true })
    assert.deepStrictEqual(errorTags(Schema.Union([Denied, Schema.String])), {
      tags: ["Denied"],
      complete: false
    })
  })
})

/** JSON has one zero. */
const oneZero = Schema.makeFilter((value: number) => !Object.is(value, -0))

const Value = Schema.Struct({
  text: Schema.String,
  number: Schema.Number.check(oneZero),
  list: Schema.Array(Schema.Union([Schema.Boolean, Schema.BigInt, Schema.Date])),
  record: Schema.Record(Schema.String, Schema.Option(Schema.Int.check(oneZero))),
  key: Schema.optionalKey(Schema.NullOr(Schema.String))
})

describe("a codec", () => {
  it("is derived once per schema", () => {
    const schema = Schema.Struct({ a: Schema.String })
    assert.strictEqual(makeCodec(schema), makeCodec(schema))
  })

  it("gives plain JSON and takes it back", () => {
    const schema = Schema.Struct({
      at: Schema.Date,
      big: Schema.BigInt,
      bytes: Schema.Uint8Array,
      none: Schema.Void
    })
    const { decode, encode } = makeCodec(schema)
    const value = { at: new Date(0), big: 12n, bytes: Uint8Array.of(1, 2), none: undefined }
    const encoded = encode(value)
    if (Exit.isFailure(encoded)) return assert.fail("it was not encoded")
    assert.deepStrictEqual(encoded.value, {
      at: "1970-01-01T00:00:00.000Z",
      big: "12",
      bytes: "AQI=",
      none: null
    })
    assert.deepStrictEqual(decode(JSON.parse(JSON.stringify(encoded.value))), Exit.succeed(value))
  })

  it("brings errors back as what they were", () => {
    const { decode, encode } = makeCodec(Failed)
    const encoded = encode(new Failed({ cause: new Error("boom") }))
    if (Exit.isFailure(encoded)) return assert.fail("it was not encoded")
    const decoded = decode(JSON.parse(JSON.stringify(encoded.value)))
    if (Exit.isFailure(decoded)) return assert.fail("it was not decoded")
    assert.instanceOf(decoded.value, Failed)
    assert.strictEqual((decoded.value.cause as Error).message, "boom")
  })

  it("loses nothing silently", () => {
    const schema = Schema.Struct({ a: Schema.Struct({ b: Schema.String }) })
    const { decode, encode } = makeCodec(schema)
    const excess = { a: { b: "x", c: 1 } }
    assert.isTrue(Exit.isFailure(encode(excess)))
    assert.isTrue(Exit.isFailure(decode(excess)))
    assert.isTrue(Exit.isFailure(decode({ a: {} })))
    assert.isTrue(Exit.isFailure(makeCodec(Schema.Finite).encode(Number.NaN)))
    assert.isTrue(Exit.isFailure(makeCodec(Schema.String).encode(undefined as never)))
  })

  it.effect.prop("is the identity there and back", { value: Value }, ({ value }) =>
    Effect.gen(function* () {
      const { decode, encode } = makeCodec(Value)
      const json: unknown = JSON.parse(JSON.stringify(yield* encode(value)))
      assert.deepStrictEqual(yield* decode(json), value)
    })
  )
})
