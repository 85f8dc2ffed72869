import { NodeRuntime } from "@effect/platform-node"
import { Flow, Node, Runs, State, Tool, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Console, Effect, Layer, Schema } from "effect"

const Lookup = Tool.make("lookup", { input: { name: Schema.String }, output: Schema.String })

const Licences = Flow.make("licences", {
  input: Schema.Array(Schema.String),
  state: { found: State.list(Schema.String) }, // an update appends to it
  output: Schema.Array(Schema.String),
  start: "next",
  nodes: { next: Node.make({ to: ["next", "end"] }) }
})

const LicencesHandlers = Licences.toLayer({
  next: Effect.fn("next")(function* ({ input, next, state }) {
    const name = input[state.found.length]
    if (name === undefined) return next.end(state.found)
    const licence = yield* Lookup.call({ name })
    return next.to("next", { found: [`${name}: ${licence}`] })
  })
})

const LookupHandler = Lookup.toLayer(({ name }) => Effect.as(Console.log(`looking up ${name}`), "MIT"))

const worker = Worker.layer({ flows: [Licences] }).pipe(
  Layer.provide(LicencesHandlers),
  Layer.provide([LookupHandler, FsStore.layer({ directory: ".waymark" })])
)

const program = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  yield* Console.log(yield* runs.execute(Licences, ["effect", "esbuild"], { id: "audit-1" }))
  yield* Console.log(yield* runs.execute(Licences, ["effect", "esbuild"], { id: "audit-1" })) // that run, not another
})

NodeRuntime.runMain(Effect.provide(program, worker)) // Ctrl-C and SIGTERM are an orderly stop
