/** The source of a flow to type-check. */

const channelKinds = [
  "State.list(Schema.String)",
  'State.value(Schema.Struct({ a: Schema.Int, b: Schema.String }), { a: 1, b: "" })',
  'State.optional(Schema.Literals(["x", "y"]))',
  "State.counter()",
  "State.record(Schema.Struct({ z: Schema.Boolean }))"
] as const

const imports = `import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
`

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

interface Shape {
  readonly nodes: number
  readonly channels: number
}

/** A node's definition without its errors, and how its handler goes on. */
interface Place {
  readonly options: string
  readonly route: string
  readonly takes: string
  readonly next: string
}

const name = (index: number): string => `n${index}`

const update = ({ channels }: Shape): string =>
  channels > 3 ? "{ c0: found.hits, c3: 1 }" : "{ c0: found.hits }"

/** Each node leads to two others and to the end. */
const inLine = (shape: Shape, index: number): Place => {
  const node = (at: number): string => name(at % shape.nodes)
  const targets = shape.nodes === 1 ? ["n0", "end"] : [node(index + 1), node(index + 7), "end"]
  return {
    options: `to: ${JSON.stringify(targets)}`,
    route: `onError: { A${index}: "${node(index + 1)}", B${index}: Node.tolerate("${node(index + 2)}") }`,
    takes: "",
    next: `if (state.c0.length > 5) return next.end({ ok: true })
    return next.to("${targets[0]}", ${update(shape)})`
  }
}

/**
 * Five nodes each: the first begins branches at the second and the fourth, which end at the fifth; the second begins
 * branches at the third, which end at the fourth. Every other five nodes collect what their branches fail with.
 */
const inBranches = (shape: Shape, index: number): Place => {
  const first = index - (index % 5)
  const [outer, check, inner, gather, merge] = [0, 1, 2, 3, 4].map((at) => name(first + at))
  const collects = first % 10 === 0
  const handled = (to: string) => `onError: { A${index}: "${to}", B${index}: Node.tolerate("${to}") }`
  const branching = `to: [], fanOut: { to: ["${check}", "${gather}"], join: "${merge}", policy: "${collects ? "collect" : "failFast"}" }`
  const places: ReadonlyArray<Place> = [
    {
      options: branching,
      route: handled(merge!),
      takes: "",
      next: `if (state.c0.length > 5) return next.each(found.hits.map((file) => ({ file })), "${check}")
    return next.all(["${gather}", next.branch("${check}", { file: "" })], { update: ${update(shape)} })`
    },
    {
      options: `to: ["${gather}", "${merge}"], item: Schema.Struct({ file: Schema.String }), fanOut: { to: ["${inner}"], join: "${gather}" }`,
      route: collects ? "" : handled(merge!),
      takes: "item, ",
      next: `if (item.file === "") return next.to("${merge}")
    return next.each([1, 2], "${inner}", { concurrency: 2 })`
    },
    {
      options: `to: ["${gather}"], item: Schema.Int`,
      route: collects ? "" : handled(gather!),
      takes: "item, ",
      next: `return next.to("${gather}", { c0: [item.toFixed()] })`
    },
    {
      options: `to: ["${merge}"]`,
      route: collects ? "" : handled(merge!),
      takes: "branches, ",
      next: `return next.to("${merge}", { c0: branches.map(({ status }) => status) })`
    },
    {
      options: `to: ["${name((first + 5) % shape.nodes)}", "${outer}", "end"]`,
      route: handled(outer!),
      takes: "branches, ",
      next: `if (branches.some((branch) => branch.status === "failed" && branch.error._tag === "${collects ? `B${first + 1}` : "BranchFailed"}")) return next.to("${outer}")
    return next.end({ ok: true }, ${update(shape)})`
    }
  ]
  return places[index % 5]!
}

/**
 * A flow with handlers. Each node has two errors, a tool, and up to three ways on: in line, or (in fives) in branches.
 * The last line checks that inference came to what it should.
 */
export const flowSource = (kind: "line" | "branches", shape: Shape): string => {
  const { channels, nodes } = shape
  const places = numbers(nodes).map((i) => (kind === "line" ? inLine(shape, i) : inBranches(shape, i)))
  const definitions = numbers(nodes).map(
    (i) => `class A${i} extends Schema.TaggedError<A${i}>()("A${i}", { reason: Schema.String }) {}
class B${i} extends Schema.TaggedError<B${i}>()("B${i}", { code: Schema.Int }) {}
const T${i} = Tool.make("tool${i}", {
  input: Schema.Struct({ query: Schema.String, limit: Schema.optionalKey(Schema.Int) }),
  output: Schema.Struct({ hits: Schema.Array(Schema.String) }),
  error: A${i},
  timeout: "10 seconds"
})`
  )
  const nodeDefinitions = places.map(
    ({ options, route }, i) => `    n${i}: Node.make({
      ${options},
      error: Schema.Union([A${i}, B${i}]),
      ${route}
    })`
  )
  const handlers = places.map(
    ({ next, takes }, i) => `  n${i}: Effect.fn("n${i}")(function*({ ${takes}input, next, state }) {
    const found = yield* T${i}.call({ query: input.ticket })
    if (found.hits.length === state.c0.length) return yield* new B${i}({ code: 1 })
    ${next}
  })`
  )
  const required = numbers(nodes).map((i) => `Tool.Handler<"tool${i}">`)
  return `${imports}
${definitions.join("\n")}
const Generated = Flow.make("generated", {
  input: Schema.Struct({ ticket: Schema.String }),
  state: {
${numbers(channels)
  .map((i) => `    c${i}: ${channelKinds[i % channelKinds.length]}`)
  .join(",\n")}
  },
  output: Schema.Struct({ ok: Schema.Boolean }),
  start: "n0",
  nodes: {
${nodeDefinitions.join(",\n")}
  }
})
export const layer: Layer.Layer<Flow.Handlers<"generated">, never, ${required.join(" | ")}> = Generated.toLayer({
${handlers.join(",\n")}
})
`
}
