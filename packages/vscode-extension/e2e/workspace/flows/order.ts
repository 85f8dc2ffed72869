/** An order: each of its lines is priced, somebody approves it, it is paid and shipped. */
import { Flow, Node, State, Tool, Wait } from "@waymark/core"
import { Effect, Schema } from "effect"

export class PaymentDeclined extends Schema.TaggedError<PaymentDeclined>()("PaymentDeclined", {
  card: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `card ${this.card} was declined: ${this.reason}`
  }
}

export const Price = Tool.make("price", {
  input: { article: Schema.String },
  output: Schema.Int
})

export const Pay = Tool.make("pay", {
  input: { card: Schema.String, cents: Schema.Int },
  output: Schema.String,
  error: PaymentDeclined
})

const Line = Schema.Struct({ article: Schema.String, quantity: Schema.Int })

export const Order = Flow.make("order", {
  version: 1,
  input: Schema.Struct({ lines: Schema.Array(Line), card: Schema.String }),
  state: {
    prices: State.list(Schema.Int),
    total: State.counter(),
    card: State.optional(Schema.String),
    receipt: State.optional(Schema.String)
  },
  output: Schema.Struct({ receipt: Schema.String, total: Schema.Int }),
  error: PaymentDeclined,
  start: "receive",
  nodes: {
    receive: Node.make({ to: ["approve"], fanOut: { to: ["price"], join: "sum" } }),
    price: Node.make({ to: ["sum"], item: Line }),
    sum: Node.make({ to: ["approve"] }),
    approve: Node.make({ to: ["pay", "reject"] }),
    pay: Node.make({ to: ["ship"], error: PaymentDeclined }),
    ship: Node.make({ to: ["end"] }),
    reject: Node.make({ to: ["end"] })
  }
})

export const Approval = Schema.Struct({
  approve: Schema.Boolean,
  note: Schema.String.check(Schema.isMinLength(3))
})

export const OrderHandlers = Order.toLayer({
  receive: ({ input, next }) =>
    Effect.succeed(next.each(input.lines, "price", { update: { card: input.card } })),
  price: Effect.fn("price")(function* ({ item, next }) {
    const cents = yield* Price.call({ article: item.article })
    return next.to("sum", { prices: [cents * item.quantity] })
  }),
  sum: ({ next, state }) => {
    const total = state.prices.reduce((sum, price) => sum + price, 0)
    return Effect.succeed(next.to("approve", { total }))
  },
  approve: Effect.fn("approve")(function* ({ next, state }) {
    const { approve } = yield* Wait.user("approval", {
      prompt: `Approve an order of ${state.total} cents?`,
      schema: Approval
    })
    return approve ? next.to("pay") : next.to("reject")
  }),
  pay: Effect.fn("pay")(function* ({ input, next, state }) {
    const receipt = yield* Pay.call({ card: state.card ?? input.card, cents: state.total })
    return next.to("ship", { receipt })
  }),
  ship: ({ next, state }) =>
    Effect.succeed(next.end({ receipt: state.receipt ?? "none", total: state.total })),
  reject: ({ next, state }) => Effect.succeed(next.end({ receipt: "rejected", total: state.total }))
})
