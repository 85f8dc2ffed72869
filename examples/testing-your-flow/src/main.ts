/**
 * Executes a refund on a store of files, as a program would, and makes of it what tests are made of: its journal, which
 * `ReplaySuite` replays, and a test of its own.
 *
 *     npm run demo -w @waymark/example-testing-your-flow      shows both
 *     npm run record -w @waymark/example-testing-your-flow    writes them to test/, unless they are there
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { ReplaySuite, RunToTest } from "@waymark/testing"
import { Console, Effect, FileSystem, Layer } from "effect"
import { fileURLToPath } from "node:url"
import * as refund from "./refund.ts"
import { shop } from "./shop.ts"

const { Refund, RefundHandlers } = refund

const worker = (directory: string) =>
  Worker.layer({ flows: [Refund] }).pipe(
    Layer.provide(RefundHandlers),
    Layer.provide(shop),
    Layer.provideMerge(FsStore.layer({ directory }))
  )

/** A big refund, which somebody approves. */
const refunded = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Refund, { order: "order-17" }, { id: "refund-17" })
  yield* Runs.awaitUntil(run, ({ status }) => status === "waiting", { timeout: "30 seconds" })
  yield* runs.answer(run, "approval", "yes")
  yield* runs.await(run, { timeout: "30 seconds" })
  return run
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const keep = process.argv.includes("--keep")
  const tests = keep ? fileURLToPath(new URL("../test", import.meta.url)) : directory
  yield* Effect.gen(function* () {
    const run = yield* refunded
    const journal = yield* ReplaySuite.record(run, { folder: `${tests}/journals` })
    const text = yield* RunToTest.generate(run, { modules: { "../src/refund.ts": refund } })
    yield* fs.writeFileString(`${tests}/recorded.test.ts`, text, { flag: "wx" })
    const lines = (yield* fs.readFileString(journal)).trimEnd().split("\n")
    const findings = yield* ReplaySuite.check(lines, { flows: [Refund], handlers: RefundHandlers })
    yield* Console.log(text)
    for (const { detail, run: id, verdict, visits } of findings) {
      yield* Console.log(
        `${id}: ${lines.length} events recorded, ${visits} visits replayed: ${verdict}${detail}`
      )
      if (verdict !== "same") return yield* Effect.die(new Error(detail))
    }
  }).pipe(Effect.provide(worker(`${directory}/store`)))
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

NodeRuntime.runMain(program)
