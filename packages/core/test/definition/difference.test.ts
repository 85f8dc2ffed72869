import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Schema from "effect/Schema"
import { differences } from "../../src/internal/definition/difference.ts"
import { shapeTextOf } from "../../src/internal/definition/fingerprint.ts"
import { sha256Hex } from "../../src/internal/sha256.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.optionalKey(Schema.String) }) {}
class Lost extends Schema.TaggedError<Lost>()("Lost", {}) {}

/** What is defined here would be too much for the compiler to follow. */
const make: (id: string, options: unknown) => Flow.Any = Flow.make as never

const flow = (options: object) =>
  make("x", {
    input: Schema.Struct({ id: Schema.String }),
    error: Schema.Union([Refused, Lost]),
    state: { list: State.list(Schema.String), count: State.counter() },
    start: "a",
    nodes: { a: Node.make({ to: ["b", "end"] }), b: Node.make({ to: ["end"] }) },
    ...options
  })

const base = flow({})

const between = (options: object): ReadonlyArray<string> =>
  differences(shapeTextOf(base), shapeTextOf(flow(options))).map(({ kind, message }) => `${kind}: ${message}`)

const was = `{ id: String }`

describe("the differences between two flows", () => {
  it("are none if they have the same shape, which is what the fingerprint is the hash of", () => {
    assert.deepStrictEqual(between({ version: 7, maxSteps: 1, description: "other" }), [])
    assert.strictEqual(sha256Hex(shapeTextOf(base)), base.fingerprint)
  })

  it("name the channels that are gone, new, or of another type or kind", () => {
    assert.deepStrictEqual(
      between({ state: { count: State.value(Schema.Finite, 0), other: State.optional(Schema.Null) } }),
      [
        `gone: channel "count" no longer has the type counter of Number with [["checks",[["id","effect/schema/isFinite"],["payload",null]]]]`,
        `new: channel "count" has the type value of Number with [["checks",[["id","effect/schema/isFinite"],["payload",null]]]] now`,
        `gone: channel "list" is gone`,
        `new: channel "other" is new`
      ]
    )
  })

  it("name the nodes that are gone or new, and the ways that others have no longer, or have now", () => {
    assert.deepStrictEqual(
      between({
        start: "c",
        nodes: {
          a: Node.make({
            to: ["end"],
            error: Refused,
            onError: { Refused: "end" },
            onDefect: Node.skip("end")
          }),
          c: Node.make({ to: [], fanOut: { to: ["d"], join: "a" } }),
          d: Node.make({ to: ["a"] })
        }
      }),
      [
        `gone: the flow no longer has the start "a"`,
        `new: the flow has the start "c" now`,
        `gone: node "a" no longer has the target "b"`,
        `gone: node "a" no longer has the error Never`,
        `gone: node "a" no longer has the route of defects null`,
        `new: node "a" has the error Refused<{ _tag: "Refused", why?: String }> as { _tag: "Refused", why?: String } now`,
        `new: node "a" has the route ["Refused","end"] now`,
        `new: node "a" has the route of defects ["skipped","end"] now`,
        `gone: node "b" is gone`,
        `new: node "c" is new`,
        `new: node "d" is new`
      ]
    )
    assert.deepStrictEqual(
      between({
        nodes: {
          a: Node.make({ to: ["b"], fanOut: { to: ["c"], join: "b" } }),
          b: base.nodes["b"],
          c: Node.make({ to: ["b"] })
        }
      }),
      [
        `gone: node "a" no longer has the target "end"`,
        `gone: node "a" no longer has the fan-out null`,
        `new: node "a" has the fan-out [["c"],"b"] now`,
        `new: node "c" is new`
      ]
    )
  })

  it("say how schemas were and are", () => {
    const input = (schema: Schema.Top) => between({ input: schema })[1]
    assert.deepStrictEqual(
      between({ input: Schema.Void })[0],
      `gone: the flow no longer has the input ${was}`
    )
    for (const [schema, text] of [
      [Schema.Void, "Void"],
      [Schema.Array(Schema.Boolean), "[Boolean]"],
      [Schema.Literals(["a", 1]), `1 | "a"`],
      [Schema.NullOr(Schema.String), "Null | String"],
      [Schema.Struct({ id: Schema.optionalKey(Schema.Array(Schema.String)) }), "{ id?: [String] }"],
      [Schema.Tuple([Schema.String]), `["Arrays",[[false,"String"]],[]]`],
      [Schema.Record(Schema.String, Schema.Boolean), `["Objects",[],[["String","Boolean"]]]`]
    ] as const) {
      assert.include(input(schema), `the flow has the input ${text}`)
    }
  })

  it("are not known if another release wrote the one, and that is said", () => {
    const shape = shapeTextOf(base)
    for (const other of [shape.replace("waymark flow 1", "waymark flow 11"), "[]", "no JSON"]) {
      assert.deepStrictEqual(differences(other, shape), [
        { kind: "journal", message: "what the flow was like is written as another release writes it" }
      ])
    }
  })

  it("are told of any two schemas that are not the same", () => {
    const schemas: ReadonlyArray<Schema.Top> = [
      Schema.Void,
      Schema.String,
      Schema.Int,
      Schema.Finite,
      Schema.String.check(Schema.isMinLength(1)),
      Schema.String.check(Schema.isMinLength(2)),
      Schema.Literal("a"),
      Schema.Literal(1),
      Schema.Literal("1"),
      Schema.Array(Schema.String),
      Schema.Tuple([Schema.String]),
      Schema.Tuple([Schema.optionalKey(Schema.String)]),
      Schema.Struct({}),
      Schema.Struct({ a: Schema.String }),
      Schema.Struct({ a: Schema.optionalKey(Schema.String) }),
      Schema.Record(Schema.String, Schema.String),
      Schema.Record(Schema.String, Schema.Int),
      Schema.StructWithRest(Schema.Struct({ a: Schema.String }), [
        Schema.Record(Schema.String, Schema.String)
      ]),
      Schema.DateTimeUtcFromString,
      Schema.DateTimeUtcFromMillis,
      Schema.Redacted(Schema.String),
      Schema.Redacted(Schema.Int),
      Refused,
      Lost
    ]
    const shapes = schemas.map((input) => shapeTextOf(flow({ input })))
    shapes.forEach((before, i) => {
      shapes.forEach((after, j) => {
        const kinds = differences(before, after).map(({ kind }) => kind)
        assert.deepStrictEqual(kinds, i === j ? [] : ["gone", "new"], `${before}\n${after}`)
      })
    })
  })
})
