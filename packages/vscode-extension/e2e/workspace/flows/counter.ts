/** Counts. */
import { Flow, Node, State } from "@waymark/core"
import { Effect, Schema } from "effect"

export const Counter = Flow.make("counter", {
  input: Schema.Int,
  state: { count: State.counter() },
  output: Schema.Int,
  maxSteps: 1_000_000,
  start: "tick",
  nodes: { tick: Node.make({ to: ["tick", "end"] }) }
})

export const CounterHandlers = Counter.toLayer({
  tick: ({ input, next, state }) =>
    Effect.succeed(state.count >= input ? next.end(state.count) : next.to("tick", { count: 1 }))
})
