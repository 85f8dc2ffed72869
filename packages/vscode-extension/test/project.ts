/** The tests' own project, with the `waymark` command from its sources; and a folder with runs of it. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer } from "effect"
import { afterAll } from "vitest"
import { worker } from "../e2e/flows.ts"
import { Order } from "../e2e/workspace/flows/order.ts"
import * as Acting from "../src/acting/Acting.ts"
import * as Project from "../src/acting/Project.ts"
import * as Workers from "../src/acting/Workers.ts"
import * as Cursor from "../src/faces/Cursor.ts"
import * as Stores from "../src/reading/Stores.ts"
import * as Sources from "../src/source/Sources.ts"
import type { FakeEditor } from "./fakeEditor.ts"

export const project: Project.Project = {
  config: resolve(import.meta.dirname, "../e2e/workspace/waymark.config.ts"),
  label: "ws/waymark.config.ts",
  program: process.execPath,
  args: ["--conditions=@waymark/source", resolve(import.meta.dirname, "../../cli/src/bin.ts")],
  node: "Node of the tests"
}

export const noProject = new Project.NoProject({ reason: { _tag: "NoConfig", searched: "/ws" } })

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A store with an order that failed since its card was declined, and one that waits for its approval. */
export const makeStore = async (): Promise<string> => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "waymark-acting-")))
  folders.push(folder)
  const store = join(folder, ".waymark")
  const asked = (run: string) => Runs.awaitUntil(run, ({ status }) => status === "waiting")
  await Effect.runPromise(
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const lines = [{ article: "pen", quantity: 3 }]
      const bad = yield* runs.start(Order, { lines, card: "0000" }, { id: "declined" })
      yield* asked("declined")
      yield* runs.answer(bad, "approval", { approve: true, note: "fine" })
      yield* Effect.exit(runs.await(bad))
      yield* runs.start(Order, { lines, card: "4711" }, { id: "asking" })
      yield* asked("asking")
    }).pipe(Effect.provide(worker(FsStore.layer({ directory: store }))))
  )
  return store
}

/** All that is done to runs, on a store, with the tests' own project or none. */
export const acting = (
  editor: FakeEditor,
  of: Effect.Effect<Project.Project, Project.NoProject> = Effect.succeed(project)
) =>
  Acting.layer.pipe(
    Layer.provideMerge(Workers.layer),
    Layer.provideMerge(Layer.mergeAll(Stores.layer, Cursor.layer, Sources.layer)),
    Layer.provide(Layer.succeed(Project.Projects, Project.Projects.of({ of: () => of }))),
    Layer.provide(Stores.StoreLayers.layerHost((file) => file)),
    Layer.provide([editor.layer, NodeServices.layer])
  )

/** Opens a store, as the extension does with those that it finds. */
export const use = (store: string) =>
  Effect.gen(function* () {
    const stores = yield* Stores.Stores
    yield* stores.use([{ kind: "directory", path: store, label: "ws/.waymark" }])
    return (yield* stores.open(store)).runs
  })

/** The first row of a run that is as it should be. */
export const row = (run: string, status: string) => Runs.awaitUntil(run, (info) => info.status === status)
