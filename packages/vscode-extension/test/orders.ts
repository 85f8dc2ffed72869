/** Runs of the flows that the tests in the editor use, in a store in memory. */
import { MemoryStore, Runs, Worker } from "@waymark/core"
import { Effect, Layer } from "effect"
import { Counter, CounterHandlers } from "../e2e/workspace/flows/counter.ts"
import { Order, OrderHandlers, Pay, PaymentDeclined, Price } from "../e2e/workspace/flows/order.ts"
import type { Place } from "../src/reading/Place.ts"
import * as Stores from "../src/reading/Stores.ts"

export { Counter, Order }

export const place: Place = { kind: "directory", path: "/s", label: "s" }

/** Stores whose only place is a disk in memory, with a worker on it. */
export const layerOn = (disk: MemoryStore.Disk) => {
  const worker = Worker.layer({ flows: [Order, Counter] }).pipe(
    Layer.provide([OrderHandlers, CounterHandlers]),
    Layer.provide(Price.toLayer(() => Effect.succeed(100))),
    Layer.provide(
      Pay.toLayer(({ card, cents }) =>
        card === "bad"
          ? Effect.fail(new PaymentDeclined({ card, reason: "expired" }))
          : Effect.succeed(`paid ${cents}`)
      )
    ),
    Layer.provide(MemoryStore.layer({ disk }))
  )
  const stores = Stores.layer.pipe(
    Layer.provide(
      Layer.succeed(Stores.StoreLayers, Stores.StoreLayers.of({ layerOf: () => MemoryStore.layer({ disk }) }))
    )
  )
  return Layer.merge(worker, stores)
}

export const input = (card: string) => ({ lines: [{ article: "pen", quantity: 2 }], card })

export const waiting = (run: string) => Runs.awaitUntil(run, ({ status }) => status === "waiting")

/** A run that waits for its approval; one that failed after it. */
export const order = Effect.fn(function* (id: string, card: string, approve: boolean) {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Order, input(card), { id })
  yield* waiting(id)
  if (approve) {
    yield* runs.answer(run, "approval", { approve: true, note: "fine" })
    yield* Effect.exit(runs.await(run))
  }
})
