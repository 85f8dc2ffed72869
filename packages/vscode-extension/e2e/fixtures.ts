// Fills a copy of the workspace with stores, by running its flows:
//   node --conditions=@waymark/source e2e/fixtures.ts <workspace> [--steps N] [--plain]
// The main store has runs of all kinds; beside it lie one with a long run, and an SQLite file. Unless it is to be plain, as for
// pictures, there are also a store that is damaged, and a run whose every text is hostile.
import { mkdirSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import { Effect } from "effect"
import { Hostile, hostile, worker } from "./flows.ts"
import { Counter } from "./workspace/flows/counter.ts"
import { Order } from "./workspace/flows/order.ts"
import { Parcel } from "./workspace/flows/parcel.ts"

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

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { steps: { type: "string", default: "1000" }, plain: { type: "boolean", default: false } }
})
const root = resolve(positionals[0] ?? ".")
const at = (...path: ReadonlyArray<string>) => resolve(root, ...path)

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
  yield* runs.start(Parcel, { to: "eve", kind: "box" }, { id: "parcel-1" })
  yield* asked("parcel-1")
  if (values.plain) return
  yield* runs.start(
    Hostile,
    { markdown: hostile.markdown, binary: hostile.binary, huge: hostile.huge },
    { id: hostile.id }
  )
  yield* asked(hostile.id)
})

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
if (!values.plain) {
  mkdirSync(at("broken/.waymark"), { recursive: true })
  writeFileSync(at("broken/.waymark/format.json"), "{ this is no JSON")
  writeFileSync(at("not-ours.sqlite"), "SQLite format 3\0 of somebody else")
}
