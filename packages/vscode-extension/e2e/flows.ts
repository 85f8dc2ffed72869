/** The flows of the tests, with tools that answer at once, and one whose every text is hostile. */
import { Flow, Node, State, Wait, Worker } from "@waymark/core"
import type { Store } from "@waymark/core"
import { Effect, Layer, Schema } from "effect"
import { Counter, CounterHandlers } from "./workspace/flows/counter.ts"
import { Order, OrderHandlers } from "./workspace/flows/order.ts"
import { Parcel, ParcelHandlers } from "./workspace/flows/parcel.ts"
import { tools } from "./workspace/flows/tools.ts"

/** Texts that try to be markup, links or commands; bytes that are no text; a value that is large. */
export const hostile = {
  id: `<img src=x onerror="document.title='owned'">`,
  markdown:
    "[click](command:workbench.action.terminal.new) ![x](https://example.invalid/x.png) <script>1</script>",
  binary: "\u0000\u0001\u001b[31m\u202ered\u202c\ud83d\ude00",
  huge: "x".repeat(3_000_000)
}

export const Hostile = Flow.make("<b>hostile</b>", {
  input: Schema.Record(Schema.String, Schema.String),
  state: { texts: State.record(Schema.String) },
  output: Schema.String,
  start: "<i>node</i>",
  nodes: { "<i>node</i>": Node.make({ to: ["end"] }) }
})
const HostileHandlers = Hostile.toLayer({
  "<i>node</i>": Effect.fn(function* ({ input, next }) {
    const answer = yield* Wait.user(hostile.markdown, {
      prompt: hostile.id + hostile.markdown + hostile.binary,
      schema: Schema.String
    })
    return next.end(answer + Object.keys(input).length)
  })
})

/** A worker of all these flows on a store. */
export const worker = (store: Layer.Layer<Store.Store, unknown>) =>
  Worker.layer({ flows: [Order, Counter, Hostile, Parcel] }).pipe(
    Layer.provide([OrderHandlers, CounterHandlers, HostileHandlers, ParcelHandlers]),
    Layer.provide([...tools]),
    Layer.provide(store)
  )
