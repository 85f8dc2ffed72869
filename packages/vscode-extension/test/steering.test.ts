import { join } from "node:path"
import { Runs } from "@waymark/core"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import { Effect, Layer } from "effect"
import { beforeAll, describe, expect, it } from "vitest"
import { worker } from "../e2e/flows.ts"
import { Order } from "../e2e/workspace/flows/order.ts"
import * as Steering from "../src/acting/Steering.ts"
import { Workers } from "../src/acting/Workers.ts"
import * as Stores from "../src/reading/Stores.ts"
import { fakeEditor } from "./fakeEditor.ts"
import type { Answers } from "./fakeEditor.ts"
import { acting, makeStore, noProject, row, use } from "./project.ts"

let store = ""
beforeAll(async () => {
  store = await makeStore()
})

const form: Pick<Answers, "pick" | "input"> = {
  pick: (_title, choices) => choices[0]?.value,
  input: ({ title }) => (title.startsWith("Answer") ? "within the budget" : "told so")
}

describe("steering runs", () => {
  it("by the inbox, without a worker: pause, resume, bookmark, cancel", async () => {
    const editor = fakeEditor({ ...form, confirm: () => true })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        const ref = { store, run: "asking" }
        yield* editor.run("waymark.pause", ref)
        yield* editor.run("waymark.bookmark", { ...ref, seq: 0 })
        yield* editor.run("waymark.cancel", ref)
        expect(editor.said).toContain("Asked asking to pause.")
        expect(editor.said).toContain("Checkpoint 0 is called “told so”.")
        expect(editor.said.some((text) => text.startsWith("Cancel run asking?\nThe run ends"))).toBe(true)
        // They are in the run's inbox for whoever executes it; a bookmark takes effect at once.
        expect((yield* runs.get("asking")).bookmarks).toMatchObject([{ at: 0, name: "told so" }])
        expect((yield* Workers).running(store)).toBeUndefined()
      }).pipe(Effect.provide(acting(editor, Effect.fail(noProject))))
    )
  })

  it("offers to execute a run that nobody executes, and then steers it by the worker that does", async () => {
    const own = await makeStore()
    const editor = fakeEditor({
      ...form,
      confirm: () => true,
      press: (_text, [first]) => (first === "Execute It Here" ? first : undefined)
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(own)
        const { running } = yield* Workers
        yield* editor.run("waymark.answer", { store: own, run: "asking" })
        yield* row("asking", "completed").pipe(Effect.provideService(Runs.Runs, runs))
        expect(editor.said.some((text) => text.startsWith("Execute run asking here?\nThe worker of"))).toBe(
          true
        )
        expect(running(own)).toBeDefined()
        // The card is still the same: it fails again, by the worker that is there.
        const { seq } = yield* runs.get("declined")
        yield* editor.run("waymark.retry", { store: own, run: "declined" })
        yield* Runs.awaitUntil("declined", (info) => info.seq > seq && info.status === "failed").pipe(
          Effect.provideService(Runs.Runs, runs)
        )
        yield* editor.run("waymark.stopWorkers")
        expect(running(own)).toBeUndefined()
      }).pipe(Effect.provide(acting(editor)))
    )
  })

  it("says who holds a store that one process writes, and writes it by the worker that does", async () => {
    const file = join(store, "..", "runs.sqlite")
    const open = Effect.gen(function* () {
      const stores = yield* Stores.Stores
      yield* stores.use([{ kind: "file", path: file, label: "ws/runs.sqlite" }])
      return stores
    })
    const editor = fakeEditor()
    await Effect.runPromise(
      Effect.gen(function* () {
        const held = yield* Runs.Runs
        yield* held.start(Order, { lines: [], card: "4711" }, { id: "held" })
        yield* row("held", "waiting")
        yield* Effect.gen(function* () {
          const stores = yield* open
          const steering = Steering.of(stores, yield* Workers, { store: file, run: "held" })
          const error = yield* Effect.flip(steering.pause(undefined))
          expect(error).toMatchObject({ _tag: "StoreHeld", store: "ws/runs.sqlite" })
          expect(error.message).toContain(`process ${process.pid}`)
        }).pipe(Effect.provide(Layer.fresh(acting(editor, Effect.fail(noProject)))))
      }).pipe(Effect.provide(worker(NodeSqljsStore.layer({ file }))))
    )
    await Effect.runPromise(
      Effect.gen(function* () {
        const stores = yield* open
        const workers = yield* Workers
        yield* workers.use(file, ({ client }) => Effect.asVoid(client.requests.status()))
        expect(workers.running(file)).toBeDefined()
        const { runs } = yield* stores.open(file)
        yield* Steering.of(stores, workers, { store: file, run: "held" }).pause("to look at it")
        yield* row("held", "paused").pipe(Effect.provideService(Runs.Runs, runs))
      }).pipe(Effect.provide(Layer.fresh(acting(fakeEditor()))))
    )
  })
})
