/** A small flow to test the tools for tests with: it asks, sends mail, waits for the money, reminds. */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

export class MailDown extends Schema.TaggedError<MailDown>()("MailDown", { host: Schema.String }) {}

export const Mail = Tool.make("mail", {
  input: { to: Schema.String, text: Schema.String },
  error: MailDown,
  retry: Schedule.spaced("5 minutes").pipe(Schedule.upTo({ times: 3 }))
})

export const Invoice = Flow.make("invoice", {
  input: Schema.Struct({ to: Schema.String, amount: Schema.Int }),
  state: { sent: State.counter() },
  output: Schema.Literals(["paid", "written off"]),
  error: MailDown,
  start: "approve",
  nodes: {
    approve: Node.make({ to: ["send", "end"] }),
    send: Node.make({ to: ["watch"], error: MailDown }),
    watch: Node.make({ to: ["send", "end"] })
  }
})

export const approve: Flow.Handler<typeof Invoice, "approve", Visit> = Effect.fn("approve")(function* ({
  input,
  next
}) {
  const verdict = yield* Wait.user("approval", {
    prompt: `send ${input.amount}?`,
    schema: Schema.Literals(["yes", "no"])
  })
  return verdict === "yes" ? next.to("send") : next.end("written off")
})

export const wasPaid = Wait.event("paid", { schema: Schema.Int, timeout: "10 days" }).pipe(
  Effect.as(true),
  Effect.catchTag("WaitTimeout", () => Effect.succeed(false))
)

export const InvoiceHandlers = Invoice.toLayer({
  approve,
  send: Effect.fn("send")(function* ({ input, next, state }) {
    yield* Mail.call({
      to: input.to,
      text: `${state.sent === 0 ? "please" : "again, please"} pay ${input.amount}`
    })
    return next.to("watch", { sent: 1 })
  }),
  watch: Effect.fn("watch")(function* ({ next, state }) {
    return (yield* wasPaid) ? next.end("paid") : state.sent < 3 ? next.to("send") : next.end("written off")
  })
})
