import { defineConfig, fsStore } from "@waymark/cli"
import { Layer } from "effect"
import { Counter, CounterHandlers } from "./flows/counter.ts"
import { Order, OrderHandlers } from "./flows/order.ts"
import { Parcel, ParcelHandlers } from "./flows/parcel.ts"
import { tools } from "./flows/tools.ts"

export default defineConfig({
  store: fsStore(),
  flows: [
    { flow: Order, handlers: OrderHandlers.pipe(Layer.provide([...tools])) },
    { flow: Counter, handlers: CounterHandlers },
    { flow: Parcel, handlers: ParcelHandlers }
  ]
})
