/** A flow with branches, another flow in it, a job of another system, and calls that can be undone: to record runs of. */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { city: Schema.String }) {}

export const Book = Tool.make("book", {
  input: { city: Schema.String, at: Schema.Date },
  output: Schema.Struct({ ticket: Schema.String, until: Schema.Date }),
  error: SoldOut,
  compensate: { retry: Schedule.recurs(1) }
})
export const Pay = Tool.make("pay", { input: { amount: Schema.Int }, output: Schema.String })
export const Print = Tool.make("print", { input: { text: Schema.String } })

export const Visa = Flow.make("visa", {
  input: Schema.Struct({ name: Schema.String }),
  output: Schema.String,
  start: "ask",
  nodes: { ask: Node.make({ to: ["end"] }) }
})

export const Trip = Flow.make("trip", {
  input: Schema.Struct({ cities: Schema.Array(Schema.String), at: Schema.Date }),
  state: { tickets: State.record(Schema.String) },
  output: Schema.Struct({
    tickets: Schema.Record(Schema.String, Schema.String),
    at: Schema.Date,
    visa: Schema.String
  }),
  error: SoldOut,
  start: "plan",
  nodes: {
    plan: Node.make({ to: [], fanOut: { to: ["book"], join: "pay" }, error: SoldOut }),
    book: Node.make({ item: Schema.String, to: ["pay"], error: SoldOut }),
    pay: Node.make({ to: ["end"], error: SoldOut })
  }
})

export const handlers = Layer.mergeAll(
  Visa.toLayer({
    ask: Effect.fn("ask")(function* ({ input, next }) {
      const stamp = yield* Wait.user("stamp", { prompt: `a visa for ${input.name}?`, schema: Schema.String })
      return next.end(stamp)
    })
  }),
  Trip.toLayer({
    plan: ({ input, next }) => Effect.succeed(next.each([...input.cities], "book")),
    book: Effect.fn("book")(function* ({ input, item, next }) {
      const { ticket } = yield* Book.call({ city: item, at: input.at })
      return next.to("pay", { tickets: { [item]: ticket } })
    }),
    pay: Effect.fn("pay")(function* ({ input, next, state }) {
      const count = Object.keys(state.tickets).length
      const receipt = yield* Pay.call({ amount: count * 100 })
      const checked = yield* Wait.job(receipt, Schema.Struct({ ok: Schema.Boolean })).pipe(
        Effect.catchTag("JobFailed", ({ detail }) => new SoldOut({ city: detail }))
      )
      if (!checked.ok) return yield* new SoldOut({ city: "all" })
      const visa = yield* Visa.call({ name: "ada" })
      return next.end({ tickets: state.tickets, at: input.at, visa })
    })
  })
)
