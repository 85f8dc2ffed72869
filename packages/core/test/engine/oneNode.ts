/**
 * A flow of one node, whose handler is given by the test, and a tool.
 */
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"

export class Busy extends Schema.TaggedError<Busy>()("Busy", { n: Schema.Int }) {}
export class Broken extends Schema.TaggedError<Broken>()("Broken", { why: Schema.String }) {}
export const Errors = Schema.Union([Busy, Broken])

export const Echo = Tool.make("echo", {
  input: Schema.Struct({ text: Schema.String }),
  output: Schema.String,
  error: Errors
})

/** It may go round and it may end; `got` is for what it likes to keep. */
export const oneNode = Flow.make("one-node", {
  input: Schema.Struct({}),
  state: { got: State.list(Schema.String) },
  output: Schema.Array(Schema.String),
  error: Errors,
  start: "work",
  nodes: { work: Node.make({ to: ["work", "end"], error: Errors }) }
})

/** The handlers of the flow, with the tools that they call. */
export const handlersOf = <R>(
  work: Flow.Handler<typeof oneNode, "work", R>,
  ...tools: ReadonlyArray<Layer.Layer<any>>
): Layer.Layer<Flow.Handlers<"one-node">> => {
  const handlers = oneNode.toLayer({ work }) as unknown as Layer.Layer<Flow.Handlers<"one-node">>
  const [first, ...others] = tools
  return first === undefined ? handlers : handlers.pipe(Layer.provide(Layer.mergeAll(first, ...others)))
}

/** A worker for the flow. */
export const program = <R>(
  work: Flow.Handler<typeof oneNode, "work", R>,
  ...tools: ReadonlyArray<Layer.Layer<any>>
) => Worker.layer({ flows: [oneNode] }).pipe(Layer.provide(handlersOf(work, ...tools)))
