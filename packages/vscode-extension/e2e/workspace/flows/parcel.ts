/** A parcel: it waits until somebody says where it was left. */
import { Flow, Node, State, Wait } from "@waymark/core"
import { Effect, Schema } from "effect"

export const Parcel = Flow.make("parcel", {
  description: "Waits until a parcel is delivered",
  input: Schema.Struct({ to: Schema.String, kind: Schema.Literals(["letter", "box"]) }),
  state: {
    kind: State.value(Schema.Literals(["letter", "box"]), "letter"),
    left: State.optional(Schema.String)
  },
  output: Schema.String,
  start: "pack",
  nodes: { pack: Node.make({ to: ["deliver"] }), deliver: Node.make({ to: ["end"] }) }
})

export const ParcelHandlers = Parcel.toLayer({
  pack: ({ input, next }) => Effect.succeed(next.to("deliver", { kind: input.kind })),
  deliver: Effect.fn("deliver")(function* ({ next, state }) {
    const { at } = yield* Wait.event("delivered", { schema: Schema.Struct({ at: Schema.String }) })
    return next.end(`${state.kind} at ${at}`)
  })
})
