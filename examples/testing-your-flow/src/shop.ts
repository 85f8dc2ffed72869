/** The tools of the program itself. A real one would ask a database, a bank and a mail server. */
import { Effect, Layer } from "effect"
import { FindOrder, Mail, PayBack } from "./refund.ts"

export const shop = Layer.mergeAll(
  FindOrder.toLayer(() =>
    Effect.succeed({ customer: "carl", cents: 70_000 }).pipe(Effect.delay("20 millis"))
  ),
  PayBack.toLayer(({ order }) => Effect.succeed({ receipt: `receipt for ${order}` })),
  Mail.toLayer(() => Effect.void)
)
