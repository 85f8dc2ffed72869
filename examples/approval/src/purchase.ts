/**
 * The flows: what becomes of a request to buy something, and of each of its lines.
 */
import { Flow, Node, State, Tool } from "@waymark/core"
import { Schedule, Schema } from "effect"

export const Line = Schema.Struct({ article: Schema.String, quantity: Schema.Int })
export type Line = typeof Line.Type

/** What a line costs at a supplier, in cents. */
export const Quote = Schema.Struct({
  article: Schema.String,
  quantity: Schema.Int,
  supplier: Schema.String,
  cents: Schema.Int
})
export type Quote = typeof Quote.Type

export const Decision = Schema.Struct({
  verdict: Schema.Literals(["approve", "reject"]),
  reason: Schema.optionalKey(Schema.String)
})

/** Whom to ask, and how patiently. */
export const Approver = Schema.Struct({
  name: Schema.String,
  /** How long to wait for an answer before reminding (milliseconds). */
  remindAfter: Schema.Int,
  /** How often to remind before the next one is asked. */
  reminders: Schema.Int
})

const quoted = (value: string) => JSON.stringify(value)

export class NotSold extends Schema.TaggedError<NotSold>()("NotSold", { article: Schema.String }) {
  override get message(): string {
    return `nobody sells ${quoted(this.article)}`
  }
}

export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", {
  by: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.by} rejected it: ${this.reason}`
  }
}

/** Everybody was asked and reminded, and nobody answered. */
export class Unanswered extends Schema.TaggedError<Unanswered>()("Unanswered", {
  asked: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `none of ${this.asked.join(", ")} answered`
  }
}

/** Asks a supplier what a line costs: `null` if it has no such article. */
export const GetQuote = Tool.make("get-quote", {
  input: { supplier: Schema.String, line: Line },
  output: Schema.NullOr(Quote)
})

/** Sets money aside in a budget; gives the number of the reservation. It is released if the purchase comes to nothing. */
export const Reserve = Tool.make("reserve", {
  input: { article: Schema.String, cents: Schema.Int },
  output: Schema.String,
  compensate: { retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 30 })) }
})

/** Sends a message to a person. */
export const Tell = Tool.make("tell", { input: { to: Schema.String, message: Schema.String } })

/** Places the order; gives its number. */
export const PlaceOrder = Tool.make("place-order", {
  input: { lines: Schema.Array(Quote), approvedBy: Schema.String },
  output: Schema.String
})

/** One line of a purchase: a run of its own, with a journal of its own, that the run of the purchase waits for. */
export const LineItem = Flow.make("line-item", {
  input: Line,
  state: { quotes: State.list(Quote) },
  output: Quote,
  error: NotSold,
  start: "ask",
  nodes: {
    ask: Node.make({ to: ["choose"] }),
    choose: Node.make({ to: ["end"], error: NotSold })
  }
})

export const Purchase = Flow.make("purchase", {
  input: {
    requester: Schema.String,
    lines: Schema.Array(Line),
    approvers: Schema.Array(Approver)
  },
  state: {
    quotes: State.list(Quote),
    /** How many approvers did not answer. */
    passed: State.counter(),
    approvedBy: State.optional(Schema.String)
  },
  output: Schema.Struct({ order: Schema.String, approvedBy: Schema.String, cents: Schema.Int }),
  error: Schema.Union([NotSold, Rejected, Unanswered]),
  start: "lines",
  nodes: {
    lines: Node.make({ to: [], fanOut: { to: ["line"], join: "reserve", concurrency: 4 } }),
    line: Node.make({ to: ["reserve"], item: Line, error: NotSold }),
    reserve: Node.make({ to: ["ask"] }),
    ask: Node.make({ to: ["ask", "order"], error: Schema.Union([Rejected, Unanswered]) }),
    order: Node.make({ to: ["end"] })
  }
})
