/**
 * What the compiler infers from definitions, without any annotation. Type-checked with the tests, never executed.
 */
import * as Flow from "@waymark/core/Flow"
import type * as Next from "@waymark/core/Next"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Combiner from "effect/Combiner"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reducer from "effect/Reducer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Equal<A, B>): void => undefined

class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}
class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", { seconds: Schema.Int }) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}
class Clerk extends Context.Service<Clerk, { readonly name: string }>()("typetest/Clerk") {}
class Archive extends Context.Service<Archive, { readonly size: number }>()("typetest/Archive") {}

// ---------------------------------------------------------------------------------------------------------------
// Tools
// ---------------------------------------------------------------------------------------------------------------

const Search = Tool.make("search", {
  input: Schema.Struct({ query: Schema.String }),
  output: Schema.Array(Schema.String),
  error: Schema.Union([SearchFailed, RateLimited]),
  retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 4 })),
  while: (error) => {
    same<typeof error, SearchFailed | RateLimited>(true)
    return error._tag === "RateLimited"
  },
  key: (input) => {
    same<typeof input, { readonly query: string }>(true)
    return input.query
  },
  timeout: "10 seconds"
})
const Notify = Tool.make("notify", {
  input: { to: Schema.String, urgent: Schema.optionalKey(Schema.Boolean) }
})

const searched = Search.call({ query: "x" }, { key: "first" })
same<
  typeof searched,
  Effect.Effect<ReadonlyArray<string>, SearchFailed | RateLimited, Tool.Handler<"search"> | Visit>
>(true)
const notified = Notify.call({ to: "x" })
same<typeof notified, Effect.Effect<void, never, Tool.Handler<"notify"> | Visit>>(true)

const searchLayer = Search.toLayer(
  Effect.fnUntraced(function* ({ query }) {
    const clerk = yield* Clerk
    const { attempt, key } = yield* Tool.Invocation
    yield* Effect.addFinalizer(() => Effect.void)
    if (attempt > 3) return yield* new RateLimited({ seconds: 1 })
    return [query, key, clerk.name]
  })
)
same<typeof searchLayer, Layer.Layer<Tool.Handler<"search">, never, Clerk>>(true)

const notifyLayer = Notify.toLayer(
  Effect.gen(function* () {
    const archive = yield* Archive
    if (archive.size === 0) return yield* new Rejected({ by: "archive" })
    return ({ to, urgent }) => (urgent === true ? Effect.log(to) : Effect.void)
  })
)
same<typeof notifyLayer, Layer.Layer<Tool.Handler<"notify">, Rejected, Archive>>(true)

// ---------------------------------------------------------------------------------------------------------------
// State
// ---------------------------------------------------------------------------------------------------------------

const channels = {
  phase: State.value(Schema.Literals(["draft", "final"]), "draft"),
  verdict: State.optional(Schema.Literals(["ship", "hold"])),
  notes: State.list(Schema.Struct({ text: Schema.String })),
  scores: State.record(Schema.Finite),
  tries: State.counter(),
  seen: State.reduce(
    Schema.Array(Schema.String),
    Reducer.make<ReadonlyArray<string>>((a, b) => [...a, ...b], [])
  ),
  best: State.reduce(Schema.Finite, Combiner.make<number>(Math.max), 0)
}
same<
  State.State<typeof channels>,
  {
    readonly phase: "draft" | "final"
    readonly verdict: "ship" | "hold" | undefined
    readonly notes: ReadonlyArray<{ readonly text: string }>
    readonly scores: { readonly [key: string]: number }
    readonly tries: number
    readonly seen: ReadonlyArray<string>
    readonly best: number
  }
>(true)
same<
  State.Update<typeof channels>,
  {
    readonly phase?: "draft" | "final"
    readonly verdict?: "ship" | "hold" | undefined
    readonly notes?: ReadonlyArray<{ readonly text: string }>
    readonly scores?: { readonly [key: string]: number }
    readonly tries?: number
    readonly seen?: ReadonlyArray<string>
    readonly best?: number
  }
>(true)

// ---------------------------------------------------------------------------------------------------------------
// A flow whose schemas and nodes stand where they are used
// ---------------------------------------------------------------------------------------------------------------

const Triage = Flow.make("triage", {
  input: Schema.Struct({ ticket: Schema.String }),
  state: { notes: State.list(Schema.String), verdict: State.optional(Schema.Literals(["ship", "hold"])) },
  output: Schema.Struct({ verdict: Schema.Literals(["ship", "hold"]) }),
  error: Rejected,
  start: "gather",
  nodes: {
    gather: Node.make({
      to: ["decide"],
      error: Schema.Union([SearchFailed, RateLimited]),
      onError: { SearchFailed: "apologise", RateLimited: Node.tolerate(), NodeTimeout: Node.skip("decide") },
      onDefect: "apologise",
      retry: Schedule.spaced("1 second"),
      while: (error) => {
        same<typeof error, SearchFailed | RateLimited>(true)
        return error._tag === "RateLimited"
      },
      timeout: "1 minute"
    }),
    decide: Node.make({ to: ["gather", "end"], error: Rejected }),
    apologise: Node.make({ to: ["end"] })
  }
})
type Triage = typeof Triage

const any: Flow.Any = Triage
void any
same<Flow.Input<Triage>, { readonly ticket: string }>(true)
same<Flow.Output<Triage>, { readonly verdict: "ship" | "hold" }>(true)
same<Flow.Error<Triage>, Rejected>(true)
same<
  Flow.State<Triage>,
  { readonly notes: ReadonlyArray<string>; readonly verdict: "ship" | "hold" | undefined }
>(true)
same<Triage["nodes"]["gather"]["~routed"], "apologise" | "decide">(true)
same<Triage["nodes"]["gather"]["~handled"], "SearchFailed" | "RateLimited" | "NodeTimeout">(true)

const triageLayer = Triage.toLayer({
  gather: Effect.fn("gather")(function* ({ input, next, state }) {
    same<typeof input, { readonly ticket: string }>(true)
    same<typeof state, Flow.State<Triage>>(true)
    const hits = yield* Search.call({ query: input.ticket })
    yield* Effect.addFinalizer(() => Effect.void)
    return next.to("decide", { notes: hits, verdict: undefined })
  }),
  decide: Effect.fn("decide")(function* ({ next, state }) {
    if (state.notes.length === 0) return next.to("gather")
    if (state.notes.length > 9) return yield* new Rejected({ by: (yield* Clerk).name })
    yield* Notify.call({ to: "someone" })
    return next.end({ verdict: "ship" }, { notes: ["done"] })
  }),
  apologise: ({ next }) => Effect.succeed(next.end({ verdict: "hold" }))
})
same<
  typeof triageLayer,
  Layer.Layer<Flow.Handlers<"triage">, never, Tool.Handler<"search"> | Tool.Handler<"notify"> | Clerk>
>(true)

/** The handlers of a flow may come from an effect, and be written apart. */
const gather: Flow.Handler<Triage, "gather", Archive> = Effect.fnUntraced(function* ({ next }) {
  if ((yield* Archive).size === 0) return yield* new RateLimited({ seconds: 1 })
  return next.to("decide")
})
const builtLayer = Triage.toLayer(
  Effect.gen(function* () {
    const clerk = yield* Clerk
    if (clerk.name === "") return yield* new Rejected({ by: "nobody" })
    return {
      gather,
      decide: ({ next, state }) =>
        Effect.succeed(state.notes.length > 1 ? next.end({ verdict: "hold" }) : next.to("gather")),
      apologise: ({ next }) => Effect.succeed(next.end({ verdict: "hold" }))
    }
  })
)
same<typeof builtLayer, Layer.Layer<Flow.Handlers<"triage">, Rejected, Clerk | Archive>>(true)

/** Whoever provides every handler has nothing left to require. */
const provided = triageLayer.pipe(
  Layer.provide([searchLayer, notifyLayer]),
  Layer.provide([Layer.succeed(Clerk, { name: "c" }), Layer.succeed(Archive, { size: 1 })])
)
same<typeof provided, Layer.Layer<Flow.Handlers<"triage">, Rejected>>(true)

// ---------------------------------------------------------------------------------------------------------------
// The least a flow can be
// ---------------------------------------------------------------------------------------------------------------

const Least = Flow.make("least", {
  input: Schema.Void,
  start: "only",
  nodes: { only: Node.make({ to: ["end"] }) }
})
same<Flow.Output<typeof Least>, void>(true)
same<Flow.Error<typeof Least>, never>(true)
const leastLayer = Least.toLayer({ only: ({ next }) => Effect.succeed(next.end()) })
same<typeof leastLayer, Layer.Layer<Flow.Handlers<"least">>>(true)

/** The fields of a struct are a schema of the input. */
const Short = Flow.make("short", {
  input: { ticket: Schema.String, urgent: Schema.optionalKey(Schema.Boolean) },
  start: "only",
  nodes: { only: Node.make({ to: ["end"] }) }
})
same<Flow.Input<typeof Short>, { readonly ticket: string; readonly urgent?: boolean }>(true)
Short.toLayer({
  only: ({ input, next }) => {
    same<typeof input, { readonly ticket: string; readonly urgent?: boolean }>(true)
    return Effect.succeed(next.end())
  }
})

/** Without an output, an error may lead to the end. */
Flow.make("mayEnd", {
  input: Schema.Void,
  start: "only",
  nodes: { only: Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: Node.skip() } }) }
})

/** A node's errors need no route if the flow declares them. */
Flow.make("declared", {
  input: Schema.Void,
  error: Schema.Union([Rejected, SearchFailed]),
  start: "only",
  nodes: { only: Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: Node.stop } }) }
})

const Wide = Flow.make("wide", {
  input: Schema.Void,
  start: "split",
  nodes: {
    split: Node.make({ to: ["merge"], fanOut: { to: ["work"], join: "merge" } }),
    work: Node.make({ to: ["merge"] }),
    merge: Node.make({ to: ["end"] })
  }
})
same<NonNullable<(typeof Wide)["nodes"]["split"]["fanOut"]>["join"], "merge">(true)

same<
  Next.Returned<"a" | "end", typeof channels, string>,
  Next.NextTo<"a", State.Update<typeof channels>> | Next.NextEnd<string, State.Update<typeof channels>>
>(true)

// ---------------------------------------------------------------------------------------------------------------
// Tools whose calls can be undone
// ---------------------------------------------------------------------------------------------------------------

const Charge = Tool.make("charge", {
  input: { amount: Schema.Int },
  output: Schema.String,
  error: SearchFailed,
  compensate: { retry: Schedule.spaced("1 second"), timeout: "5 seconds" }
})
const chargeLayer = Charge.toLayer({
  call: ({ amount }) => Effect.map(Clerk, ({ name }) => name + amount),
  compensate: (done) => {
    same<typeof done, Tool.Done<{ readonly amount: number }, string>>(true)
    return Effect.asVoid(Archive)
  }
})
same<typeof chargeLayer, Layer.Layer<Tool.Handler<"charge">, never, Clerk | Archive>>(true)

/** From an effect, with resources. */
const chargeFrom = Charge.toLayer(
  Effect.gen(function* () {
    const { name } = yield* Clerk
    if (name === "") return yield* new Rejected({ by: "" })
    return {
      call: () => Effect.succeed(name),
      compensate: Effect.fnUntraced(function* ({ key, output }: Tool.Done<{ amount: number }, string>) {
        const own = yield* Tool.Invocation
        if (own.key === key) return yield* new SearchFailed({ reason: output })
      })
    }
  })
)
same<typeof chargeFrom, Layer.Layer<Tool.Handler<"charge">, Rejected, Clerk>>(true)

/** A tool that has to show that it is alive may fail to. */
Tool.make("long", {
  input: {},
  error: SearchFailed,
  heartbeat: "5 seconds",
  retry: Schedule.identity<SearchFailed | Tool.ToolStalled>(),
  while: (error) => {
    same<typeof error, SearchFailed | Tool.ToolStalled>(true)
    return true
  }
})

/** Where nobody knows whether the call took effect, there is no output. */
const Book = Tool.make("book", { input: {}, output: Schema.String, compensate: { inDoubt: true } })
Book.toLayer({
  call: () => Effect.succeed(""),
  compensate: ({ output }) => {
    same<typeof output, string | undefined>(true)
    return Effect.void
  }
})
Tool.make("plain", { input: {}, output: Schema.String, compensate: true }).toLayer({
  call: () => Effect.succeed(""),
  compensate: ({ output }) => (same<typeof output, string>(true), Effect.void)
})
Tool.make("not", { input: {}, output: Schema.String, compensate: { inDoubt: false } }).toLayer({
  call: () => Effect.succeed(""),
  compensate: ({ output }) => (same<typeof output, string>(true), Effect.void)
})
