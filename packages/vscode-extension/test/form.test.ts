import { describe, expect, it } from "vitest"
import { Schema } from "effect"
import { Approval } from "../e2e/workspace/flows/order.ts"
import * as Form from "../src/acting/Form.ts"

const documentOf = (schema: Schema.Codec<any, any>) =>
  Form.documentOf(Schema.toJsonSchemaDocument(Schema.toCodecJson(schema)))!

describe("forms", () => {
  it("ask for the properties of an object, one by one", () => {
    const fields = Form.fieldsOf(documentOf(Approval))
    expect(fields.map(({ kind, name }) => [name, kind])).toEqual([
      ["approve", "choice"],
      ["note", "text"]
    ])
    const [approve, note] = fields
    // Lengths are in UTF-16 there and in characters here: what is surely too short is refused.
    expect(Form.read(note!, "x")).toHaveProperty("problem")
    const read = Form.read(note!, "fine")
    expect(read).toEqual({ value: "fine" })
    const value = Form.assemble([
      [approve!, true],
      [note!, "fine"]
    ])
    expect(value).toEqual({ approve: true, note: "fine" })
    expect(Form.problemOf(documentOf(Approval), value)).toBeUndefined()
    expect(Form.problemOf(documentOf(Approval), { approve: "yes", note: "fine" })).toMatch(/approve/)
  })

  it("read numbers, choices, optional fields and JSON for what they are", () => {
    const [number] = Form.fieldsOf(documentOf(Schema.Int))
    expect(Form.read(number!, "12")).toEqual({ value: 12 })
    expect(Form.read(number!, "1.5")).toHaveProperty("problem")
    expect(Form.read(number!, "twelve")).toEqual({ problem: "Type a number." })
    const [choice] = Form.fieldsOf(documentOf(Schema.Literals(["ship", "hold"])))
    expect(choice).toMatchObject({ kind: "choice", choices: ["ship", "hold"] })
    const fields = Form.fieldsOf(
      documentOf(Schema.Struct({ a: Schema.optionalKey(Schema.Int), b: Schema.Array(Schema.Int) }))
    )
    expect(Form.read(fields[0]!, "")).toEqual({ value: undefined })
    expect(Form.read(fields[1]!, "[1, 2]")).toEqual({ value: [1, 2] })
    expect(Form.read(fields[1]!, "[1, ")).toHaveProperty("problem")
    expect(Form.read(fields[1]!, '["x"]')).toHaveProperty("problem")
    expect(
      Form.assemble([
        [fields[0]!, undefined],
        [fields[1]!, [1]]
      ])
    ).toEqual({ b: [1] })
  })

  it("follow references, also those that come back to themselves", () => {
    const document: Form.Document = {
      schema: { $ref: "#/$defs/A" },
      definitions: { A: { $ref: "#/$defs/B" }, B: { $ref: "#/$defs/A" } }
    }
    expect(Form.fieldsOf(document)).toHaveLength(1)
    expect(
      Form.fieldsOf(documentOf(Schema.Struct({ a: Schema.Literals(["x"]).annotate({ identifier: "A" }) })))[0]
    ).toMatchObject({
      kind: "choice"
    })
  })

  it("take what has no schema as JSON of any kind", () => {
    expect(Form.documentOf("sealed")).toBeUndefined()
    const [field] = Form.fieldsOf({ schema: {}, definitions: {} })
    expect(Form.read(field!, '{"a":1}')).toEqual({ value: { a: 1 } })
  })
})
