// The program whose bundle is measured and run without Node: a flow with a tool call, a worker and a client, in memory.
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const Shout = Tool.make("shout", { input: { text: Schema.String }, output: Schema.String })

const Greetings = Flow.make("greetings", {
  input: { names: Schema.Array(Schema.String) },
  state: { said: State.list(Schema.String) },
  output: Schema.Array(Schema.String),
  start: "greet",
  nodes: { greet: Node.make({ to: ["greet", "end"] }) }
})

const GreetingsHandlers = Greetings.toLayer({
  greet: Effect.fn("greet")(function* ({ input, next, state }) {
    const name = input.names[state.said.length]
    if (name === undefined) return next.end(state.said)
    return next.to("greet", { said: [yield* Shout.call({ text: `hello ${name}` })] })
  })
})

const ShoutHandler = Shout.toLayer(({ text }) => Effect.succeed(`${text.toUpperCase()}!`))

const layer = Worker.layer({ flows: [Greetings] }).pipe(
  Layer.provide(GreetingsHandlers),
  Layer.provide(ShoutHandler),
  Layer.provideMerge(MemoryStore.layer())
)

const main = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  return yield* runs.execute(Greetings, { names: ["ada", "bob"] })
})

/** The flow's output. */
export const result: Promise<ReadonlyArray<string>> = Effect.runPromise(Effect.provide(main, layer))

/** What the flow's output must be. */
export const expected: ReadonlyArray<string> = ["HELLO ADA!", "HELLO BOB!"]
