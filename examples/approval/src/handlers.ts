/**
 * What happens at the nodes of a purchase.
 */
import { Wait } from "@waymark/core"
import { Effect } from "effect"
import {
  Decision,
  GetQuote,
  LineItem,
  NotSold,
  PlaceOrder,
  Purchase,
  type Quote,
  Rejected,
  Reserve,
  Tell,
  Unanswered
} from "./purchase.ts"

const totalOf = (quotes: ReadonlyArray<Quote>): number => quotes.reduce((sum, { cents }) => sum + cents, 0)

export const euros = (cents: number): string => `${(cents / 100).toFixed(2)} €`

const suppliers = ["north", "south"]

export const LineItemHandlers = LineItem.toLayer({
  ask: Effect.fn("ask")(function* ({ input, next }) {
    const quotes = yield* Effect.forEach(suppliers, (supplier) => GetQuote.call({ supplier, line: input }), {
      concurrency: 2
    })
    return next.to("choose", { quotes: quotes.filter((quote) => quote !== null) })
  }),

  choose: ({ input, next, state }) => {
    const [cheapest] = state.quotes.toSorted((a, b) => a.cents - b.cents)
    return cheapest === undefined
      ? Effect.fail(new NotSold({ article: input.article }))
      : Effect.succeed(next.end(cheapest))
  }
})

export const PurchaseHandlers = Purchase.toLayer({
  lines: ({ input, next }) => Effect.succeed(next.each(input.lines, "line")),

  line: Effect.fn("line")(function* ({ item, next }) {
    return next.to("reserve", { quotes: [yield* LineItem.call(item)] })
  }),

  reserve: Effect.fn("reserve")(function* ({ next, state }) {
    for (const { article, cents } of state.quotes) yield* Reserve.call({ article, cents })
    return next.to("ask")
  }),

  /** Asks one approver. Who does not answer is reminded; who then does not, is passed over. */
  ask: Effect.fn("ask")(function* ({ input, next, state }) {
    const asked = input.approvers[state.passed]
    if (asked === undefined) return yield* new Unanswered({ asked: input.approvers.map(({ name }) => name) })
    const { name: approver, remindAfter, reminders } = asked
    const what = state.quotes.map(({ article, quantity }) => `${quantity} × ${article}`).join(", ")
    const prompt = `May ${input.requester} buy ${what} for ${euros(totalOf(state.quotes))}?`
    yield* Tell.call({ to: approver, message: prompt })
    for (let reminded = 0; ; reminded++) {
      // The name of the question is that of the person whom it is for.
      const first = yield* Wait.race({
        answer: Wait.user(approver, { prompt, schema: Decision }),
        silence: Wait.sleep(remindAfter)
      })
      if (first.winner === "answer") {
        const { reason, verdict } = first.value
        if (verdict === "reject") {
          return yield* new Rejected({ by: approver, reason: reason ?? "no reason given" })
        }
        return next.to("order", { approvedBy: approver })
      }
      if (reminded === reminders) return next.to("ask", { passed: 1 })
      yield* Tell.call({ to: approver, message: `Reminder ${reminded + 1}: ${prompt}` })
    }
  }),

  order: Effect.fn("order")(function* ({ input, next, state }) {
    const approvedBy = state.approvedBy!
    const order = yield* PlaceOrder.call({ lines: state.quotes, approvedBy })
    yield* Tell.call({
      to: input.requester,
      message: `${approvedBy} approved it, and it is ordered: ${order}`
    })
    return next.end({ order, approvedBy, cents: totalOf(state.quotes) })
  })
})
