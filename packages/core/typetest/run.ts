/**
 * What the compiler infers about what runs tell, and what it rejects. Type-checked with the tests, never executed.
 */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Equal<A, B>): void => undefined

const Draft = Run.output("draft", Schema.Struct({ at: Schema.Date }))
const Tokens = Run.budget("tokens", { limit: 5 })

const told = Draft.emit({ at: new Date(0) }, { key: "first" })
same<typeof told, Effect.Effect<void, never, Visit>>(true)
const spent = Tokens.spend(1)
same<typeof spent, Effect.Effect<void, never, Visit>>(true)
same<(typeof Draft)["name"] | (typeof Tokens)["name"], "draft" | "tokens">(true)

const Essay = Flow.make("essay", {
  input: Schema.Struct({}),
  budgets: [Tokens],
  start: "write",
  nodes: { write: Node.make({ to: ["end"], maxVisits: 3 }) }
})
// Handlers may tell what they like: it adds nothing to what their layer needs.
const essayLayer = Essay.toLayer({
  write: Effect.fn("write")(function* ({ next }) {
    yield* Run.emit(Draft, { at: new Date(0) })
    yield* Run.log("x", { a: [1, null] })
    yield* Run.progress(1, 2)
    yield* Run.tag("a", "b")
    yield* Run.attributes({ a: "b" })
    yield* Run.spend(Tokens, 1)
    return next.end()
  })
})
same<typeof essayLayer, Layer.Layer<Flow.Handlers<"essay">>>(true)

const listed = Runs.outputs("r", Draft)
same<
  typeof listed,
  Effect.Effect<
    Runs.ItemPage<Runs.Emitted<{ readonly at: Date }>>,
    Runs.ReadError | Runs.InvalidValue,
    Runs.Runs
  >
>(true)
const all = Runs.outputs("r")
same<typeof all, Effect.Effect<Runs.ItemPage<Runs.Emitted<Schema.Json>>, Runs.ReadError, Runs.Runs>>(true)
const streamed = Runs.outputStream("r", Draft, { from: 3 })
same<
  typeof streamed,
  Stream.Stream<Runs.Emitted<{ readonly at: Date }>, Runs.ReadError | Runs.InvalidValue, Runs.Runs>
>(true)

const paused = Effect.map(Runs.Runs, (runs) => runs.events("r", { kinds: ["paused", "resumed"] }))
type Paused = Stream.Success<Effect.Success<typeof paused>>
same<Paused["kind"], "paused" | "resumed">(true)

// ---------------------------------------------------------------------------------------------------------------
// What is rejected
// ---------------------------------------------------------------------------------------------------------------

// @ts-expect-error a value of another type
Draft.emit({ at: "now" })
// @ts-expect-error one with an excess key
Draft.emit({ at: new Date(0), by: "me" })
// @ts-expect-error the same
Run.emit(Draft, { at: 1 })
// @ts-expect-error data that is not JSON
Run.log("x", { at: new Date(0) })
// @ts-expect-error a name instead of a budget
Run.spend("tokens", 1)
// @ts-expect-error an unknown policy
Run.budget("tokens", { limit: 1, onExceeded: "ask" })
// @ts-expect-error an attribute that is no text
Run.attributes({ a: 1 })

const Search = Tool.make("search", { input: { query: Schema.String } })
// @ts-expect-error a tool's handler is given no visit
const noisy: Layer.Layer<Tool.Handler<"search">> = Search.toLayer(() => Run.log("x"))
void noisy
