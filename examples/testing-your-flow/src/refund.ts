/** Refunds: small ones are paid at once, big ones when somebody has approved them. */
import { Flow, Node, State, Tool, Wait } from "@waymark/core"
import { Effect, Schedule, Schema } from "effect"

export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", {
  order: Schema.String
}) {}

export class BankDown extends Schema.TaggedError<BankDown>()("BankDown", { minutes: Schema.Int }) {}

export const Order = Schema.Struct({ customer: Schema.String, cents: Schema.Int })

export const FindOrder = Tool.make("findOrder", {
  input: { order: Schema.String },
  output: Order,
  error: OrderNotFound
})

export const PayBack = Tool.make("payBack", {
  input: { order: Schema.String, cents: Schema.Int },
  output: Schema.Struct({ receipt: Schema.String }),
  error: BankDown,
  retry: Schedule.spaced("10 minutes").pipe(Schedule.upTo({ times: 3 }))
})

export const Mail = Tool.make("mail", { input: { to: Schema.String, text: Schema.String } })

/** What is refunded without asking anybody, in cents. */
export const small = 5_000

export const Refund = Flow.make("refund", {
  input: { order: Schema.String },
  state: { order: State.optional(Order), reminders: State.counter() },
  output: Schema.Struct({ paid: Schema.Int }),
  error: Schema.Union([OrderNotFound, BankDown]),
  start: "look",
  nodes: {
    look: Node.make({ to: ["approve", "pay"], error: OrderNotFound }),
    approve: Node.make({ to: ["approve", "pay", "end"] }),
    pay: Node.make({ to: ["end"], error: BankDown })
  }
})

export const RefundHandlers = Refund.toLayer({
  look: Effect.fn("look")(function* ({ input, next }) {
    const order = yield* FindOrder.call({ order: input.order })
    return next.to(order.cents > small ? "approve" : "pay", { order })
  }),

  approve: Effect.fn("approve")(function* ({ input, next, state }) {
    const verdict = yield* Wait.user("approval", {
      prompt: `Refund ${state.order!.cents} cents of order ${input.order}?`,
      schema: Schema.Literals(["yes", "no"]),
      timeout: "2 days"
    }).pipe(Effect.catchTag("WaitTimeout", () => Effect.succeed("nothing" as const)))
    if (verdict === "yes") return next.to("pay")
    if (verdict === "no" || state.reminders === 2) return next.end({ paid: 0 })
    yield* Mail.call({ to: "office", text: `order ${input.order} waits for you` })
    return next.to("approve", { reminders: 1 })
  }),

  pay: Effect.fn("pay")(function* ({ input, next, state }) {
    const { cents, customer } = state.order!
    const { receipt } = yield* PayBack.call({ order: input.order, cents })
    yield* Mail.call({ to: customer, text: `${cents} cents are on their way: ${receipt}` })
    return next.end({ paid: cents })
  })
})
