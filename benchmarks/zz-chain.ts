import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Flow, MemoryStore, Node, Runs, State, Worker } from "@waymark/core"
const flow = Flow.make("c", {
  input: Schema.Int,
  state: { n: State.counter() },
  output: Schema.Int,
  start: "a",
  maxSteps: 1e9,
  nodes: { a: Node.make({ to: ["a", "end"] }) }
})
const h = flow.toLayer({
  a: Effect.fn("a")(function* ({ input, state, next }) {
    return state.n + 1 >= input ? next.end(state.n) : next.to("a", { n: 1 })
  })
})
const live = Worker.layer({ flows: [flow] }).pipe(Layer.provide(h), Layer.provide(MemoryStore.layer()))
const N = +(process.argv[2] ?? 20000)
await Effect.runPromise(
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    for (let i = 0; i < 6; i++) {
      const t = performance.now()
      const c0 = process.cpuUsage()
      yield* runs.execute(flow, N)
      const c = process.cpuUsage(c0)
      console.log(
        (((performance.now() - t) / N) * 1000).toFixed(2),
        "us/step wall",
        ((c.user + c.system) / N).toFixed(2),
        "us/step cpu"
      )
    }
    const t = performance.now()
    const c0 = process.cpuUsage()
    yield* Effect.forEach(Array.from({ length: 2000 }), () => runs.execute(flow, 5), { concurrency: 64 })
    const c = process.cpuUsage(c0)
    console.log(
      "many",
      (((performance.now() - t) / 2000) * 1000).toFixed(1),
      "us/run wall",
      ((c.user + c.system) / 2000).toFixed(1),
      "us/run cpu"
    )
  }).pipe(Effect.provide(live))
)
