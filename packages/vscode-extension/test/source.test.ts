import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { definitionsOf } from "../src/source/definitions.ts"
import { siteAt, siteOf, sitesOf } from "../src/source/Sources.ts"

const order = readFileSync(resolve(import.meta.dirname, "../e2e/workspace/flows/order.ts"), "utf8")
const lineOf = (text: string, part: string) => text.slice(0, text.indexOf(part)).split("\n").length

describe("finding flows in source", () => {
  it("finds flows, nodes and handlers with their lines", () => {
    const { flows, handlers } = definitionsOf(order)
    expect(flows).toHaveLength(1)
    expect(flows[0]).toMatchObject({ id: "order", variable: "Order", line: lineOf(order, "Flow.make(") })
    expect(flows[0]!.nodes.map(({ name }) => name)).toEqual([
      "receive",
      "price",
      "sum",
      "approve",
      "pay",
      "ship",
      "reject"
    ])
    expect(handlers).toHaveLength(1)
    const approve = handlers[0]!.handlers.find(({ name }) => name === "approve")!
    expect(approve.line).toBe(lineOf(order, 'approve: Effect.fn("approve")'))
    expect(approve.end).toBe(lineOf(order, 'pay: Effect.fn("pay")') - 1)
  })

  it("is not misled by strings, comments, templates and regular expressions", () => {
    const { flows, handlers } = definitionsOf(`
// Flow.make("no", { nodes: { a: 1 } })
const text = "Flow.make('no', {", pattern = /[/"]{/, half = 4 / 2
const template = \`Flow.make("no", \${ { a: "}" } } {\`
const F = Flow.make("yes", {
  // nodes: { wrong: 1 },
  state: { nodes: State.list(Schema.Array(Schema.Literal("{"))) },
  nodes: { "a b": Node.make({ to: ["end"] }), 'c': make(() => ({ d: 1 })), e }
})
const L = F.toLayer(Effect.gen(function* () {
  const x = { not: 1 }
  return { "a b": () => 1, c() { return { inner: 2 } }, e }
}))`)
    expect(flows.map(({ id, nodes }) => [id, nodes.map(({ name }) => name)])).toEqual([
      ["yes", ["a b", "c", "e"]]
    ])
    expect(handlers[0]!.handlers.map(({ name }) => name)).toEqual(["a b", "c", "e"])
  })

  it("brings the handlers of other files together with their flows", () => {
    const file = (path: string, text: string) => ({ path, definitions: definitionsOf(text) })
    const sites = sitesOf([
      file("/a.ts", 'export const A = Flow.make("a", { nodes: { one: Node.make({}), two: Node.make({}) } })'),
      file("/h.ts", "export const H = A.toLayer({\n  one: () => 1,\n  two: () => {\n    return 2\n  }\n})"),
      file("/t.ts", "export const T = SomeTool.toLayer({ one: 1 })")
    ])
    expect(siteOf(sites, "a", "two")).toMatchObject({ file: "/h.ts", line: 3, end: 5, what: "handler" })
    expect(siteOf(sites, "a", "two", "definition")).toMatchObject({ file: "/a.ts", line: 1 })
    expect(siteAt(sites, "/h.ts", 4)).toMatchObject({ flow: "a", node: "two" })
    expect(siteAt(sites, "/h.ts", 6)).toBeUndefined()
    expect(sites.filter(({ file: path }) => path === "/t.ts")).toEqual([])
  })

  it("knows where handlers begin to be executed", () => {
    const bodies = (text: string) =>
      definitionsOf(text).handlers[0]!.handlers.map(({ body, name }) => [name, body])
    expect(bodies(order)).toEqual([
      ["receive", { line: lineOf(order, "Effect.succeed(next.each") }],
      ["price", { line: lineOf(order, "const cents = yield*") }],
      ["sum", { line: lineOf(order, "const total = state.prices") }],
      ["approve", { line: lineOf(order, "const { approve } = yield*") }],
      ["pay", { line: lineOf(order, "const receipt = yield*") }],
      ["ship", { line: lineOf(order, "Effect.succeed(next.end({ receipt: state.receipt") }],
      ["reject", { line: lineOf(order, "reject: ({ next"), column: 32 }]
    ])
    expect(
      bodies(`F.toLayer({
  a: ({ b = { c: 1 } }) => { return 1 },
  b(input: { c: 1 }): { d: 1 } { return 1 },
  c: Effect.fn("c")(function* named({ next }: Given<"}">) { yield* x }),
  d: elsewhere,
  e,
  f: make(1)
})`)
    ).toEqual([
      ["a", { line: 2, column: 30 }],
      ["b", { line: 3, column: 34 }],
      ["c", { line: 4, column: 61 }],
      ["d", undefined],
      ["e", undefined],
      ["f", undefined]
    ])
  })

  it("takes what is not finished for what it is", () => {
    expect(definitionsOf('Flow.make("a", { nodes: { b: Node.make({').flows[0]!.nodes).toMatchObject([
      { name: "b" }
    ])
    expect(definitionsOf("Flow.make(`a").flows).toEqual([])
  })
})
