/**
 * What the compiler infers about runs that start runs, and what it rejects. Type-checked with the tests, never executed.
 */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import type * as Runs from "@waymark/core/Runs"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Equal<A, B>): void => undefined

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {}) {}

const Line = Flow.make("line", {
  input: Schema.Struct({ at: Schema.Date }),
  output: Schema.Struct({ price: Schema.Int }),
  error: OutOfStock,
  start: "pick",
  nodes: { pick: Node.make({ to: ["end"] }) }
})

const called = Line.call({ at: new Date(0) }, { key: "k", tags: ["t"], attributes: { a: "b" } })
same<typeof called, Wait.Wait<{ readonly price: number }, OutOfStock>>(true)
const limited = Line.call({ at: new Date(0) }, { timeout: "1 hour" })
same<typeof limited, Wait.Wait<{ readonly price: number }, OutOfStock | Wait.WaitTimeout>>(true)
const raced = Wait.race({ line: Line.call({ at: new Date(0) }), late: Wait.sleep("1 hour") })
same<Effect.Error<typeof raced>, OutOfStock>(true)
const started = Line.start({ at: new Date(0) })
same<typeof started, Effect.Effect<Runs.Run<typeof Line>, never, Visit>>(true)

const nodes = { work: Node.make({ to: ["end"] }) }
const Order = Flow.make("order", { input: Schema.Int, output: Schema.Int, start: "work", nodes })
const Declared = Flow.make("declared", { input: Schema.Int, error: OutOfStock, start: "work", nodes })

// An error that is handled need not be declared; a worker with the flow that is called may be elsewhere.
const handled = Order.toLayer({
  work: ({ next }) =>
    Line.call({ at: new Date(0) }).pipe(
      Effect.map(({ price }) => next.end(price)),
      Effect.catchTag("OutOfStock", () => Effect.succeed(next.end(0)))
    )
})
same<typeof handled, Layer.Layer<Flow.Handlers<"order">>>(true)
Declared.toLayer({ work: ({ next }) => Effect.as(Line.call({ at: new Date(0) }), next.end()) })
// A flow may call itself.
Order.toLayer({ work: ({ input, next }) => Effect.map(Order.call(input - 1), (below) => next.end(below)) })

// ---------------------------------------------------------------------------------------------------------------
// What is rejected
// ---------------------------------------------------------------------------------------------------------------

Order.toLayer({
  // @ts-expect-error an error of the other flow that is neither declared nor handled
  work: ({ next }) => Effect.as(Line.call({ at: new Date(0) }), next.end(0))
})
// @ts-expect-error an input of another type
Line.call({ at: 0 })
// @ts-expect-error one with an excess key
Line.start({ at: new Date(0), by: "me" })
// @ts-expect-error an id: it follows from where the call is made
Line.call({ at: new Date(0) }, { id: "mine" })
// @ts-expect-error outside of a visit
const outside: Effect.Effect<unknown, unknown> = Line.call({ at: new Date(0) })
void outside
