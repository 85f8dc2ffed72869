import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema, Schedule, Stream } from "effect"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"

class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}
const Search = Tool.make("search", {
  input: Schema.Struct({ query: Schema.String }),
  output: Schema.Array(Schema.String),
  error: SearchFailed,
  retry: Schedule.recurs(2)
})
const Triage = Flow.make("triage", {
  input: Schema.Struct({ ticket: Schema.String }),
  state: { notes: State.list(Schema.String), rounds: State.counter() },
  output: Schema.Struct({ verdict: Schema.String }),
  start: "gather",
  nodes: {
    gather: Node.make({ to: ["decide"], error: SearchFailed, onError: { SearchFailed: "decide" } }),
    decide: Node.make({ to: ["gather", "end"] })
  }
})
const handlers = Triage.toLayer({
  gather: Effect.fn("gather")(function*({ input, next }) {
    const hits = yield* Search.call({ query: input.ticket })
    return next.to("decide", { notes: hits, rounds: 1 })
  }),
  decide: Effect.fn("decide")(function*({ state, next }) {
    if (state.rounds < 3) return next.to("gather")
    return next.end({ verdict: state.notes.join(",") })
  })
})
let calls = 0
const search = Search.toLayer(({ query }) => Effect.suspend(() => { calls++; return calls === 2 ? Effect.fail(new SearchFailed({ reason: "flaky" })) : Effect.succeed([query + calls]) }))
const live = Worker.layer({ flows: [Triage] }).pipe(Layer.provide(handlers), Layer.provide(search), Layer.provideMerge(MemoryStore.layer()))

it.live("runs", () => Effect.gen(function*() {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Triage, { ticket: "x" }, { id: "t1" })
  const out = yield* runs.await(run)
  console.log(out)
  const ev = yield* Stream.runCollect(runs.events(run))
  for (const e of ev) console.log(JSON.stringify(e))
  console.log(yield* runs.get(run))
  console.log(yield* runs.history(run, { order: "oldest" }))
  console.log(yield* runs.verify(run))
  console.log(yield* runs.replay(run).pipe(Effect.provide(handlers), Effect.provide(search)))
  assert.isTrue(true)
}).pipe(Effect.provide(live)))
