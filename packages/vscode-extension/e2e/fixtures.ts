// Fills a copy of the workspace with stores, by running its flows:
//   node --conditions=@waymark/source e2e/fixtures.ts <workspace> [--steps N]
// The main store has runs of all kinds; beside it lie one with a long run, one that is damaged, and an SQLite file.
import { mkdirSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import { Flow, Node, Runs, State, Wait, Worker } from "@waymark/core"
import type { Store } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import { Effect, Layer, Schema } from "effect"
import { Counter, CounterHandlers } from "./workspace/flows/counter.ts"
import { Order, OrderHandlers, Pay, PaymentDeclined, Price } from "./workspace/flows/order.ts"

/** Texts that try to be markup, links or commands; bytes that are no text; a value that is large. */
export const hostile = {
  id: `<img src=x onerror="document.title='owned'">`,
  markdown:
    "[click](command:workbench.action.terminal.new) ![x](https://example.invalid/x.png) <script>1</script>",
  binary: "\u0000\u0001\u001b[31m\u202ered\u202c\ud83d\ude00",
  huge: "x".repeat(3_000_000)
}

const Hostile = Flow.make("<b>hostile</b>", {
  input: Schema.Record(Schema.String, Schema.String),
  state: { texts: State.record(Schema.String) },
  output: Schema.String,
  start: "<i>node</i>",
  nodes: { "<i>node</i>": Node.make({ to: ["end"] }) }
})
const HostileHandlers = Hostile.toLayer({
  "<i>node</i>": Effect.fn(function* ({ input, next }) {
    const answer = yield* Wait.user(hostile.markdown, {
      prompt: hostile.id + hostile.binary,
      schema: Schema.String
    })
    return next.end(answer + Object.keys(input).length)
  })
})

const prices: { readonly [article: string]: number } = { pen: 120, paper: 450, lamp: 3900 }
const tools = [
  Price.toLayer(({ article }) => Effect.succeed(prices[article] ?? 100)),
  Pay.toLayer(({ card, cents }) =>
    card.startsWith("0000")
      ? Effect.fail(new PaymentDeclined({ card, reason: "it expired in 2019" }))
      : Effect.succeed(`paid ${cents} with ${card}`)
  )
] as const

const worker = (store: Layer.Layer<Store.Store, unknown>) =>
  Worker.layer({ flows: [Order, Counter, Hostile] }).pipe(
    Layer.provide([OrderHandlers, CounterHandlers, HostileHandlers]),
    Layer.provide([...tools]),
    Layer.provide(store)
  )

const order = (card: string) => ({
  lines: [
    { article: "pen", quantity: 3 },
    { article: "paper", quantity: 1 },
    { article: "lamp", quantity: 2 }
  ],
  card
})
const approved = { approve: true, note: "within the budget" }
const asked = (run: string) => Runs.awaitUntil(run, ({ status }) => status === "waiting")

const fillMain = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const good = yield* runs.start(Order, order("4711"), { id: "order-1", tags: ["web"], actor: "ada" })
  yield* asked("order-1")
  yield* runs.answer(good, "approval", approved, { actor: "ben" })
  yield* runs.await(good)
  const bad = yield* runs.start(Order, order("0000-1111"), { id: "order-2", tags: ["web"], actor: "ada" })
  yield* asked("order-2")
  yield* runs.answer(bad, "approval", approved, { actor: "ben" })
  yield* Effect.exit(runs.await(bad))
  yield* runs.start(Order, order("4711"), { id: "order-3", actor: "eve" })
  yield* asked("order-3")
  yield* runs.start(
    Hostile,
    { markdown: hostile.markdown, binary: hostile.binary, huge: hostile.huge },
    { id: hostile.id }
  )
  yield* asked(hostile.id)
})

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { steps: { type: "string", default: "1000" } }
})
const root = resolve(positionals[0] ?? ".")
const at = (...path: ReadonlyArray<string>) => resolve(root, ...path)

await Effect.runPromise(Effect.provide(fillMain, worker(FsStore.layer({ directory: at(".waymark") }))))
await Effect.runPromise(
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    yield* runs.execute(Counter, Number(values.steps), { id: "long-run" })
  }).pipe(Effect.provide(worker(FsStore.layer({ directory: at("long/.waymark") }))))
)
await Effect.runPromise(
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    yield* runs.execute(Counter, 20, { id: "counted" })
  }).pipe(Effect.provide(worker(NodeSqljsStore.layer({ file: at("archive.sqlite") }))))
)
mkdirSync(at("broken/.waymark"), { recursive: true })
writeFileSync(at("broken/.waymark/format.json"), "{ this is no JSON")
writeFileSync(at("not-ours.sqlite"), "SQLite format 3\0 of somebody else")
