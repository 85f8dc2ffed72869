import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Flow, Node, Runs, Tool, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer, Schema } from "effect"
import { afterAll, expect, it } from "vitest"
import { fakeEditor } from "./fakeEditor.ts"
import { acting, noProject, row, use } from "./project.ts"

const folder = realpathSync(mkdtempSync(join(tmpdir(), "waymark-settling-")))
const store = join(folder, ".waymark")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const Transfer = Tool.make("transfer", {
  input: { amount: Schema.Int },
  output: Schema.String,
  delivery: "atMostOnce"
})
const Payout = Flow.make("payout", {
  input: Schema.Int,
  output: Schema.String,
  start: "pay",
  nodes: { pay: Node.make({ to: ["end"] }) }
})

/** A worker whose calls come back, or never do. */
const worker = (answer: Effect.Effect<string>) =>
  Worker.layer({ flows: [Payout] }).pipe(
    Layer.provide(
      Payout.toLayer({
        pay: Effect.fn("pay")(function* ({ input, next }) {
          return next.end(yield* Transfer.call({ amount: input }))
        })
      })
    ),
    Layer.provide(Transfer.toLayer(() => answer)),
    Layer.provide(FsStore.layer({ directory: store }))
  )

it("asks what became of a call that is in doubt, when its run is resumed", async () => {
  let calls = 0
  const hangs = Effect.suspend(() => ((calls += 1), Effect.never))
  await Effect.runPromise(
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      for (const id of ["effect", "again"]) yield* runs.start(Payout, 5, { id })
      while (calls < 2) yield* Effect.sleep("5 millis")
    }).pipe(Effect.provide(worker(hangs)))
  )
  // Whoever takes them up next does not know whether the calls took effect.
  await Effect.runPromise(
    Effect.forEach(["effect", "again"], (id) => row(id, "paused")).pipe(Effect.provide(worker(hangs)))
  )
  expect(calls).toBe(2)

  const offered: Array<ReadonlyArray<string>> = []
  let choice: string | undefined
  const editor = fakeEditor({
    pick: (_title, choices) => {
      offered.push(choices.map(({ label }) => label))
      return choices.find(({ label }) => label === choice)?.value
    },
    input: () => `"receipt 17"`
  })
  const resume = (run: string, label: string | undefined) =>
    Effect.suspend(() => {
      choice = label
      return editor.run("waymark.resume", { store, run })
    })
  await Effect.runPromise(
    Effect.gen(function* () {
      const runs = yield* use(store)
      yield* resume("effect", undefined)
      expect(editor.said).toEqual(["Did transfer take effect?"])
      expect(offered).toEqual([
        ["It took effect…", "It did not: make the call again", "It did not, and is not to be made"]
      ])
      expect((yield* runs.get("effect")).status).toBe("paused")
      yield* resume("effect", "It took effect…")
      yield* editor.heard(/^Asked effect to go on/)
      yield* resume("again", "It did not: make the call again")
      yield* editor.heard(/^Asked again to go on/)
    }).pipe(Effect.provide(acting(editor, Effect.fail(noProject))))
  )

  const outputs = await Effect.runPromise(
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      return yield* Effect.forEach(["effect", "again"], (id) => runs.await(Runs.ref(Payout, id)))
    }).pipe(Effect.provide(worker(Effect.sync(() => `receipt of call ${++calls}`))))
  )
  expect(outputs).toEqual(["receipt 17", "receipt of call 3"])
})
