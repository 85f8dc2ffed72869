/**
 * What the compiler rejects. Each case stands alone: taking away what is wrong makes it compile (see `definition.ts`).
 * What the messages say is tested in `test/definition/messages.test.ts`.
 */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Reducer from "effect/Reducer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}
class Clerk extends Context.Service<Clerk, { readonly name: string }>()("typetest/Clerk") {}

const Search = Tool.make("search", { input: { query: Schema.String }, output: Schema.Array(Schema.String) })

const Triage = Flow.make("triage", {
  input: Schema.Struct({ ticket: Schema.String }),
  state: { notes: State.list(Schema.String), verdict: State.optional(Schema.Literals(["ship", "hold"])) },
  output: Schema.Struct({ verdict: Schema.Literals(["ship", "hold"]) }),
  error: Rejected,
  start: "gather",
  nodes: {
    gather: Node.make({ to: ["decide"], error: SearchFailed, onError: { SearchFailed: "decide" } }),
    decide: Node.make({ to: ["gather", "end"] })
  }
})
const decide: Flow.Handler<typeof Triage, "decide"> = ({ next }) => Effect.succeed(next.to("gather"))
const gather: Flow.Handler<typeof Triage, "gather"> = ({ next }) => Effect.succeed(next.to("decide"))

// ---------------------------------------------------------------------------------------------------------------
// What a handler returns
// ---------------------------------------------------------------------------------------------------------------

Triage.toLayer({
  // @ts-expect-error a target that is not a node
  gather: ({ next }) => Effect.succeed(next.to("nowhere")),
  decide
})
Triage.toLayer({
  // @ts-expect-error a node that is not among this node's targets
  gather: ({ next }) => Effect.succeed(next.to("gather")),
  decide
})
Triage.toLayer({
  gather,
  // @ts-expect-error "end" is not gone to
  decide: ({ next }) => Effect.succeed(next.to("end"))
})
Triage.toLayer({
  // @ts-expect-error this node may not end the run
  gather: ({ next }) => Effect.succeed(next.end({ verdict: "ship" })),
  decide
})
Triage.toLayer({
  gather,
  // @ts-expect-error no output
  decide: ({ next }) => Effect.succeed(next.end())
})
Triage.toLayer({
  gather,
  // @ts-expect-error a wrong output
  decide: ({ next }) => Effect.succeed(next.end({ verdict: "sink" }))
})
Triage.toLayer({
  gather,
  // @ts-expect-error an output with an excess key
  decide: ({ next }) => Effect.succeed(next.end({ verdict: "ship", why: "because" }))
})
Triage.toLayer({
  // @ts-expect-error an update with a wrong value
  gather: ({ next }) => Effect.succeed(next.to("decide", { notes: [1] })),
  decide
})
Triage.toLayer({
  // @ts-expect-error an update with an excess key
  gather: ({ next }) => Effect.succeed(next.to("decide", { notes: [], typo: 1 })),
  decide
})
Triage.toLayer({
  // @ts-expect-error only an optional channel can be emptied
  gather: ({ next }) => Effect.succeed(next.to("decide", { notes: undefined })),
  decide
})
Triage.toLayer({
  gather,
  // @ts-expect-error an update with a wrong value at the end
  decide: ({ next }) => Effect.succeed(next.end({ verdict: "ship" }, { verdict: "sink" }))
})
Triage.toLayer({
  // @ts-expect-error nothing
  gather: () => Effect.void,
  decide
})
Triage.toLayer({
  gather: ({ next, state }) => {
    // @ts-expect-error the state is changed by updates only
    state.notes = []
    return Effect.succeed(next.to("decide"))
  },
  decide
})
Triage.toLayer({
  gather: ({ next, state }) => {
    // @ts-expect-error nor is what it holds
    state.notes.push("x")
    return Effect.succeed(next.to("decide"))
  },
  decide
})

const Stateless = Flow.make("stateless", {
  input: Schema.Void,
  start: "only",
  nodes: { only: Node.make({ to: ["end"] }) }
})
Stateless.toLayer({
  // @ts-expect-error an update of a flow without channels
  only: ({ next }) => Effect.succeed(next.end(undefined, { notes: [] }))
})

// ---------------------------------------------------------------------------------------------------------------
// What a handler fails with
// ---------------------------------------------------------------------------------------------------------------

Triage.toLayer({
  gather,
  // @ts-expect-error an error that neither the node nor the flow declares
  decide: Effect.fnUntraced(function* () {
    return yield* new SearchFailed({ reason: "" })
  })
})
Triage.toLayer({
  gather,
  // @ts-expect-error an error without a tag
  decide: () => Effect.fail("oh")
})

// ---------------------------------------------------------------------------------------------------------------
// Handlers, requirements
// ---------------------------------------------------------------------------------------------------------------

// @ts-expect-error a missing handler
Triage.toLayer({ gather })
Triage.toLayer({
  gather,
  decide,
  // @ts-expect-error an extra handler
  extra: decide
})
// @ts-expect-error a missing handler in what an effect makes
Triage.toLayer(Effect.succeed({ gather }))

// @ts-expect-error a missing tool handler
const withoutTool: Layer.Layer<Flow.Handlers<"triage">> = Triage.toLayer({
  gather: ({ next }) => Effect.map(Search.call({ query: "" }), (notes) => next.to("decide", { notes })),
  decide
})
// @ts-expect-error a missing service of a handler
const withoutService: Layer.Layer<Flow.Handlers<"triage">> = Triage.toLayer({
  gather: ({ next }) => Effect.map(Clerk, ({ name }) => next.to("decide", { notes: [name] })),
  decide
})
// @ts-expect-error a missing service of a tool's handler
const withoutToolService: Layer.Layer<Tool.Handler<"search">> = Search.toLayer(() =>
  Effect.map(Clerk, ({ name }) => [name])
)
// @ts-expect-error the handlers of another flow
const otherFlow: Layer.Layer<Flow.Handlers<"audit">> = Triage.toLayer({ gather, decide })
// @ts-expect-error the handler of another tool
const otherTool: Layer.Layer<Tool.Handler<"find">> = Search.toLayer(() => Effect.succeed([]))
void [withoutTool, withoutService, withoutToolService, otherFlow, otherTool]

// ---------------------------------------------------------------------------------------------------------------
// Nodes
// ---------------------------------------------------------------------------------------------------------------

const least = { input: Schema.Void, start: "a" } as const

Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error a target that is not a node
    a: Node.make({ to: ["b", "end"] })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error an error that is neither routed nor declared
    a: Node.make({ to: ["end"], error: SearchFailed })
  }
})
Flow.make("x", {
  ...least,
  error: Rejected,
  nodes: {
    // @ts-expect-error one of two errors is neither routed nor declared
    a: Node.make({ to: ["end"], error: Schema.Union([Rejected, SearchFailed]) })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error an error that stops the run has to be declared by the flow
    a: Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: Node.stop } })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error an error without a tag cannot be routed
    a: Node.make({ to: ["end"], error: Schema.String })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error a route to an unknown node
    a: Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: "nowhere" } })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error a skip to an unknown node
    a: Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: Node.skip("nowhere") } })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error a defect's route to an unknown node
    a: Node.make({ to: ["end"], onDefect: "nowhere" })
  }
})
Flow.make("x", {
  ...least,
  output: Schema.String,
  nodes: {
    // @ts-expect-error an error cannot end a run that has an output
    a: Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: Node.tolerate() } })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error a branch at an unknown node
    a: Node.make({ to: ["end"], fanOut: { to: ["nowhere"], join: "a" } })
  }
})
Flow.make("x", {
  ...least,
  nodes: {
    // @ts-expect-error a join at an unknown node
    a: Node.make({ to: ["end"], fanOut: { to: ["a"], join: "nowhere" } })
  }
})
Flow.make("x", {
  input: Schema.Void,
  // @ts-expect-error a start that is not a node
  start: "z",
  nodes: { a: Node.make({ to: ["end"] }) }
})

// @ts-expect-error a route for an unknown tag
Node.make({ to: ["b"], error: SearchFailed, onError: { SearchFailed: "b", Nope: "b" } })
// @ts-expect-error a route for an error of a node that has none
Node.make({ to: ["b"], onError: { SearchFailed: "b" } })
// @ts-expect-error a route for a timeout that is not set
Node.make({ to: ["b"], onError: { NodeTimeout: "b" } })
// @ts-expect-error a skip that does not say where to
Node.make({ to: ["b", "c"], error: SearchFailed, onError: { SearchFailed: Node.skip() } })
// @ts-expect-error a tolerate that does not say where to
Node.make({ to: ["b", "c"], onDefect: Node.tolerate() })
Node.make({
  to: ["b"],
  error: SearchFailed,
  retry: Schedule.forever,
  // @ts-expect-error a condition on errors that the node does not have
  while: (error: Rejected) => error.by === ""
})
// @ts-expect-error a schedule for other errors
Node.make({ to: ["b"], error: SearchFailed, retry: Schedule.identity<Rejected>() })

// ---------------------------------------------------------------------------------------------------------------
// Tools, channels, schemas
// ---------------------------------------------------------------------------------------------------------------

// @ts-expect-error an input without its field
Search.call({})
// @ts-expect-error an input with an excess key
Search.call({ query: "", limit: 1 })
// @ts-expect-error a wrong output of a handler
Search.toLayer(() => Effect.succeed([1]))
// @ts-expect-error an error of a handler that the tool does not declare
Search.toLayer(() => Effect.fail(new Rejected({ by: "" })))
// @ts-expect-error an unknown delivery
Tool.make("t", { input: {}, delivery: "exactlyOnce" })

const Pay = Tool.make("pay", { input: {}, error: SearchFailed, compensate: true })
// @ts-expect-error a function for a tool whose calls can be undone
Pay.toLayer(() => Effect.void)
// @ts-expect-error a handler that does not say how to undo
Pay.toLayer({ call: () => Effect.void })
// @ts-expect-error nor one that is made by an effect
Pay.toLayer(Effect.succeed({ call: () => Effect.void }))
// @ts-expect-error an error of undoing that the tool does not declare
Pay.toLayer({ call: () => Effect.void, compensate: () => Effect.fail(new Rejected({ by: "" })) })
// @ts-expect-error a handler that undoes, for a tool whose calls cannot be undone
Search.toLayer({ call: () => Effect.succeed([]), compensate: () => Effect.void })
Tool.make("t", {
  input: {},
  error: SearchFailed,
  compensate: {
    // @ts-expect-error a schedule for other errors
    retry: Schedule.identity<Rejected>()
  }
})
// @ts-expect-error a schedule that does not know what a tool without signs of life fails with
Tool.make("t", { input: {}, error: SearchFailed, heartbeat: 1, retry: Schedule.identity<SearchFailed>() })
Flow.make("x", {
  ...least,
  error: SearchFailed,
  nodes: { a: Node.make({ to: ["end"], error: SearchFailed }) },
  // @ts-expect-error an error that the flow does not have
  restart: { max: 3, fatal: ["SearchFaild"] }
})
// @ts-expect-error a policy that does not exist
Tool.make("t", { input: {}, compensate: { retries: 3 } })

// @ts-expect-error an initial value of another type
State.value(Schema.String, 1)
// @ts-expect-error a channel needs a value to start with
State.value(Schema.String)
// @ts-expect-error a combiner needs one, too
State.reduce(Schema.Finite, { combine: (a, b) => a + b })
const joined = Reducer.make<string>((a, b) => a + b, "")
// @ts-expect-error a reducer of another type
State.reduce(Schema.Finite, joined)

const needsService = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((text: string) => Effect.map(Clerk, ({ name }) => name + text)),
    encode: SchemaGetter.transform((text: string) => text)
  })
)
// @ts-expect-error a schema that needs a service cannot be read from a journal
State.list(needsService)
// @ts-expect-error nor in a tool
Tool.make("t", { input: { text: needsService } })
// @ts-expect-error nor in a flow
Flow.make("x", { input: needsService, start: "a", nodes: { a: Node.make({ to: ["end"] }) } })
// @ts-expect-error in the fields of its input
Flow.make("x", { input: { text: needsService }, start: "a", nodes: { a: Node.make({ to: ["end"] }) } })
// @ts-expect-error a field that is no schema
Flow.make("x", { input: { text: String }, start: "a", nodes: { a: Node.make({ to: ["end"] }) } })
