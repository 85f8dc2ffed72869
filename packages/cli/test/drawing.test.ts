import { assert, describe, it } from "vitest"
import * as Diagrams from "../src/internal/diagrams.ts"
import * as Drawing from "../src/internal/drawing.ts"
import type { Graph, GraphNode } from "../src/internal/graph.ts"
import * as JsonPath from "../src/internal/jsonPath.ts"
import { like } from "../src/internal/names.ts"
import * as Text from "../src/internal/text.ts"

const plain = Text.painting(false)

const graph = (
  nodes: ReadonlyArray<Partial<GraphNode> & { readonly name: string }>,
  edges: ReadonlyArray<readonly [from: string, to: string, taken?: number]>
): Graph => ({
  flow: "f",
  start: nodes[0]!.name,
  known: "flow",
  nodes: nodes.map((node) => ({ status: "pending", visits: 0, open: 0, ...node })),
  edges: edges.map(([from, to, taken = 0]) => ({ from, to, kinds: [to === "end" ? "end" : "next"], taken }))
})

describe("a drawing", () => {
  it("has what follows below, what leads back on the right, and what was taken in heavy lines", () => {
    const drawn = graph(
      [
        { name: "plan", status: "completed", visits: 2 },
        { name: "act", status: "failed", visits: 2 },
        { name: "report" }
      ],
      [
        ["plan", "act", 2],
        ["act", "plan", 1],
        ["act", "report"],
        ["report", "end"]
      ]
    )
    assert.deepStrictEqual(Drawing.draw(drawn, plain), [
      "   ┏─ ✔ plan completed ×2 ◀┓",
      " ╭─┻▶ ✖ act failed ×2     ─┛",
      " ╰─┬▶ ○ report pending",
      "   ╰▶ ◼ end"
    ])
  })

  it("is right for a large flow, whose lines it keeps apart", () => {
    const names = Array.from({ length: 2000 }, (_, i) => `n${i}`)
    const drawn = graph(
      names.map((name) => ({ name })),
      names.slice(1).map((name, i) => [names[i]!, name] as const)
    )
    const lines = Drawing.draw(drawn, plain)
    assert.strictEqual(lines.length, 2000)
    assert.isBelow(Math.max(...lines.map(({ length }) => length)), 40)
  })

  it("draws every node once, also those that nothing leads to", () => {
    const drawn = graph([{ name: "a" }, { name: "b" }], [["a", "a"]])
    assert.deepStrictEqual(Drawing.draw(drawn, plain), ["  ○ a pending ↻", "  ○ b pending"])
  })
})

describe("a diagram", () => {
  const hostile = graph(
    [{ name: 'a"]; click b "javascript:alert(1)' }, { name: "<img src=x onerror=alert(1)>" }],
    []
  )

  it("holds no more than the names say", () => {
    assert.include(Diagrams.mermaid(hostile), 'n0["a#quot;]; click b #quot;javascript:alert(1)"]')
    assert.include(Diagrams.mermaid(hostile), 'n1["#lt;img src=x onerror=alert(1)#gt;"]')
    assert.include(Diagrams.dot(hostile), `"a']; click b 'javascript:alert(1)"`)
  })
})

describe("text out of a run", () => {
  it("does not control the terminal", () => {
    assert.strictEqual(
      Text.clean("a\u001b[2Jb\u009b31mc\r\nd\u202ee"),
      "a\\u001b[2Jb\\u009b31mc\\u000d\\u000ad\\u202ee"
    )
    assert.strictEqual(Text.clean("a\nb\tc\u0007", true), "a\nb\tc\\u0007")
    assert.strictEqual(Text.inline({ a: "x".repeat(200) }, 20), '{"a":"xxxxxxxxxxxxx…')
  })
})

describe("names", () => {
  it("that are near are offered, the nearest first", () => {
    assert.deepStrictEqual(like("ticket-24", ["ticket-42", "ticket-421", "order-1"]), [
      "ticket-42",
      "ticket-421"
    ])
    assert.deepStrictEqual(like("x", ["y", "zz"]), [])
  })
})

describe("a path", () => {
  it("leads to a part of a value", () => {
    const value = { notes: [{ "a.b": 1 }], 0: { x: null } }
    assert.strictEqual(JsonPath.get(value, JsonPath.parse("notes.0.a\\.b")), 1)
    assert.strictEqual(JsonPath.get(value, JsonPath.parse("0.x")), null)
    assert.isUndefined(JsonPath.get(value, JsonPath.parse("notes.1")))
    assert.isUndefined(JsonPath.get(value, JsonPath.parse("toString")))
  })
})
