/** A text is measured, and a person is asked about it if it is long. */
import { Flow, Node, State, Tool, Wait } from "@waymark/core"
import { Effect, Schema } from "effect"

/** What a flow does to the world, it does through tools: a call that succeeded is never made again. */
export const CountWords = Tool.make("countWords", {
  input: { text: Schema.String },
  output: Schema.Int
})

export const Review = Flow.make("review", {
  input: { text: Schema.String },
  state: { words: State.optional(Schema.Int) },
  output: Schema.Struct({ words: Schema.Int, verdict: Schema.String }),
  start: "measure",
  nodes: {
    measure: Node.make({ to: ["decide", "ask"] }),
    ask: Node.make({ to: ["decide"] }),
    decide: Node.make({ to: ["end"] })
  }
})

export const ReviewHandlers = Review.toLayer({
  measure: Effect.fn("measure")(function* ({ input, next }) {
    const words = yield* CountWords.call({ text: input.text })
    return next.to(words > 20 ? "ask" : "decide", { words })
  }),

  /** The run waits here, for days if need be, and holds nothing meanwhile. */
  ask: Effect.fn("ask")(function* ({ next, state }) {
    const answer = yield* Wait.user("shorten", {
      prompt: `It has ${state.words} words. Is that all right?`,
      schema: Schema.Literals(["yes", "no"])
    })
    return next.to("decide", { words: answer === "yes" ? state.words : 0 })
  }),

  decide: ({ next, state }) => {
    const words = state.words ?? 0
    return Effect.succeed(next.end({ words, verdict: words === 0 ? "rejected" : "accepted" }))
  }
})

export const CountWordsHandler = CountWords.toLayer(({ text }) =>
  Effect.sync(() => text.split(/\s+/).filter((word) => word !== "").length)
)
