import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Runs, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer } from "effect"
import { afterAll, expect, it } from "vitest"
import { fakeEditor } from "./fakeEditor.ts"
import { Greet } from "./fixtures/split/flow.ts"
import { Long } from "./fixtures/split/handlers.ts"
import { Ask } from "./fixtures/split/tools.ts"
import { acting, project, use } from "./project.ts"

const root = realpathSync(mkdtempSync(join(tmpdir(), "waymark-testing-")))
afterAll(() => rmSync(root, { recursive: true, force: true }))

it("finds what a test imports where it is defined, and asks which layer has the handlers", async () => {
  const store = join(root, ".waymark")
  const answers = Ask.toLayer(({ name }) => Effect.succeed(name.toUpperCase()))
  await Effect.runPromise(
    Effect.flatMap(Runs.Runs, (runs) => runs.execute(Greet, "ada", { id: "greeted" })).pipe(
      Effect.provide(
        Worker.layer({ flows: [Greet] }).pipe(
          Layer.provide(Long.pipe(Layer.provide(answers))),
          Layer.provide(FsStore.layer({ directory: store }))
        )
      )
    )
  )
  const fixture = (name: string) => resolve(import.meta.dirname, "fixtures/split", name)
  const file = join(root, "greeted.test.ts")
  const offered: Array<string> = []
  const editor = fakeEditor({
    files: ["flow.ts", "handlers.ts", "tools.ts", "waymark.config.ts"].map(fixture),
    input: () => file,
    pick: (_title, choices) => {
      offered.push(...choices.map(({ label }) => label))
      return "Long"
    }
  })
  await Effect.runPromise(
    Effect.gen(function* () {
      yield* use(store)
      yield* editor.run("waymark.testFrom", { store, run: "greeted" })
      expect(offered).toEqual(["Long", "Short"])
      expect(editor.said.at(-1)).toBe(`file ${file}`)
      const text = readFileSync(file, "utf8")
      expect(text).toMatch(/import \{ Greet \} from ".*split\/flow\.ts"/)
      expect(text).toMatch(/import \{ Long \} from ".*split\/handlers\.ts"/)
      expect(text).toMatch(/import \{ Ask \} from ".*split\/tools\.ts"/)
    }).pipe(
      Effect.provide(acting(editor, Effect.succeed({ ...project, config: fixture("waymark.config.ts") })))
    )
  )
})
