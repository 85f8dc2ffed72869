/** Tools that answer at once. */
import { Effect } from "effect"
import { Pay, PaymentDeclined, Price } from "./order.ts"

const prices: { readonly [article: string]: number } = { pen: 120, paper: 450, lamp: 3900 }

export const tools = [
  Price.toLayer(({ article }) => Effect.succeed(prices[article] ?? 100)),
  Pay.toLayer(({ card, cents }) =>
    card.startsWith("0000")
      ? Effect.fail(new PaymentDeclined({ card, reason: "it expired in 2019" }))
      : Effect.succeed(`paid ${cents} with ${card}`)
  )
] as const
