/**
 * The world around a purchase: suppliers, a budget, messages. All of it is lines in one file.
 */
import { Tool } from "@waymark/core"
import { Context, Effect, FileSystem, Layer } from "effect"
import { GetQuote, PlaceOrder, Reserve, Tell } from "./purchase.ts"

const prices: { readonly [supplier: string]: { readonly [article: string]: number } } = {
  north: { desk: 42_000, chair: 18_500 },
  south: { chair: 17_900, lamp: 3_900 }
}

/** The file that says what happened, one line each. */
export class Ledger extends Context.Service<
  Ledger,
  { readonly write: (line: string) => Effect.Effect<void> }
>()("example/Ledger") {
  static readonly layer = (file: string) =>
    Layer.effect(
      Ledger,
      Effect.map(FileSystem.FileSystem, (fs) =>
        Ledger.of({ write: (line) => Effect.orDie(fs.writeFileString(file, `${line}\n`, { flag: "a" })) })
      )
    )
}

/** The number of something is the key of the call that made it: a call that is repeated makes nothing new. */
const numbered = Effect.map(Tool.Invocation, ({ key }) => key.slice(0, 8))

export const Office = Layer.mergeAll(
  GetQuote.toLayer(({ line: { article, quantity }, supplier }) => {
    const price = prices[supplier]?.[article]
    return Effect.succeed(
      price === undefined ? null : { article, quantity, supplier, cents: price * quantity }
    )
  }),
  Reserve.toLayer({
    call: Effect.fn("reserve")(function* ({ article, cents }) {
      const number = yield* numbered
      yield* (yield* Ledger).write(`reserved  ${number} ${cents} for ${article}`)
      return number
    }),
    compensate: Effect.fn("release")(function* ({ input: { article, cents }, output: number }) {
      yield* (yield* Ledger).write(`released  ${number} ${cents} for ${article}`)
    })
  }),
  Tell.toLayer(
    Effect.fn("tell")(function* ({ message, to }) {
      yield* (yield* Ledger).write(`told      ${to}: ${message}`)
    })
  ),
  PlaceOrder.toLayer(
    Effect.fn("place-order")(function* ({ approvedBy, lines }) {
      const number = yield* numbered
      yield* (yield* Ledger).write(`ordered   ${number} (${lines.length} lines, approved by ${approvedBy})`)
      return number
    })
  )
)
