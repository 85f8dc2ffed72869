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

/**
 * A flow with handlers. Each node has two errors, both handled, a tool, and three targets as far as there are so many
 * nodes. The last line checks that inference came to what it should.
 */
export const flowSource = (nodes: number, channels: number): string => {
  const node = (index: number): string => `n${index % nodes}`
  const targets = (index: number): ReadonlyArray<string> =>
    nodes === 1 ? ["n0", "end"] : [node(index + 1), node(index + 7), "end"]
  const update = channels > 3 ? "{ c0: found.hits, c3: 1 }" : "{ c0: found.hits }"
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
  const nodeDefinitions = numbers(nodes).map(
    (i) => `    n${i}: Node.make({
      to: ${JSON.stringify(targets(i))},
      error: Schema.Union([A${i}, B${i}]),
      onError: { A${i}: "${node(i + 1)}", B${i}: Node.tolerate("${node(i + 2)}") }
    })`
  )
  const handlers = numbers(nodes).map(
    (i) => `  n${i}: Effect.fn("n${i}")(function*({ input, next, state }) {
    const found = yield* T${i}.call({ query: input.ticket })
    if (state.c0.length > 5) return next.end({ ok: true })
    if (found.hits.length === 0) return yield* new B${i}({ code: 1 })
    return next.to("${targets(i)[0]}", ${update})
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
