/**
 * What the processes of a swarm execute: three calls of a tool that writes down that it was executed; then some runs end,
 * some wait for a signal, and some wait for what never comes, until they are cancelled.
 */
import { Flow, Node, State, Tool, Wait } from "@waymark/core"
import { Effect, Schema } from "effect"

export const kinds = ["plain", "signalled", "cancelled"] as const
export type Kind = (typeof kinds)[number]

export const kindOf = (n: number): Kind => kinds[n % kinds.length]!
export const idOf = (n: number): string => `errand-${n}`

/** How many calls each run makes. */
export const calls = 3

export const payloadOf = (n: number): number => n * 7

/** What a run that completes has to come to. */
export const outputOf = (n: number): number => {
  let sum = 0
  for (let call = 0; call < calls; call++) sum += n + call
  return kindOf(n) === "signalled" ? sum + payloadOf(n) : sum
}

export const Carry = Tool.make("carry", { input: { n: Schema.Int, call: Schema.Int }, output: Schema.Int })

export const Errand = Flow.make("errand", {
  input: Schema.Struct({ n: Schema.Int, kind: Schema.Literals(kinds) }),
  state: { calls: State.counter(), sum: State.counter() },
  signals: { go: Schema.Int },
  output: Schema.Int,
  start: "carry",
  nodes: { carry: Node.make({ to: ["carry", "wait", "end"] }), wait: Node.make({ to: ["end"] }) }
})

export const handlers = Errand.toLayer({
  carry: Effect.fnUntraced(function* ({ input, next, state }) {
    const carried = yield* Carry.call({ n: input.n, call: state.calls })
    if (state.calls + 1 < calls) return next.to("carry", { calls: 1, sum: carried })
    return input.kind === "plain"
      ? next.end(state.sum + carried)
      : next.to("wait", { calls: 1, sum: carried })
  }),
  wait: Effect.fnUntraced(function* ({ input, next, state }) {
    const name = input.kind === "signalled" ? "go" : "never"
    return next.end(state.sum + (yield* Wait.event(name, { schema: Schema.Int })))
  })
})
