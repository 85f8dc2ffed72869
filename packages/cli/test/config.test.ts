import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { defineConfig, fsStore, sqliteStore } from "../src/index.ts"
import { problemOf } from "../src/internal/configFile.ts"
import { Triage, TriageLayer } from "./fixtures/project/flows.ts"
import { execute, folder, node, project, removeFolders, waymark } from "./support/command.ts"

afterAll(removeFolders)

const entry = { flow: Triage, handlers: TriageLayer }

describe("a configuration", () => {
  it("has any store, and flows with their handlers", () => {
    assert.isUndefined(problemOf(defineConfig({ store: fsStore(), flows: [entry] })))
    assert.isUndefined(problemOf(defineConfig({ store: sqliteStore({ file: "runs.sqlite" }), flows: [] })))
    assert.isUndefined(
      problemOf(defineConfig({ store: fsStore().write, flows: [entry], plugins: TriageLayer }))
    )
  })

  it("is refused with where it is wrong", () => {
    const store = fsStore()
    const wrong = (value: unknown) => {
      const problem = problemOf(value)
      assert.strictEqual(problem?._tag, "WrongType")
      return problem?._tag === "WrongType" ? `${problem.at}: ${problem.found}` : ""
    }
    assert.strictEqual(wrong(undefined), "the default export: missing")
    assert.strictEqual(wrong(TriageLayer), "`store`: missing")
    assert.strictEqual(wrong({ store: ".waymark", flows: [] }), "`store`: a string")
    assert.strictEqual(wrong({ store, flows: Triage }), "`flows`: an object")
    assert.strictEqual(wrong({ store, flows: [entry, Triage] }), "`flows[1]`: an object")
    assert.strictEqual(
      wrong({ store, flows: [{ flow: "triage", handlers: TriageLayer }] }),
      "`flows[0].flow`: a string"
    )
    assert.strictEqual(
      wrong({ store, flows: [{ flow: Triage, handlers: {} }] }),
      "`flows[0].handlers`: an object"
    )
    assert.strictEqual(wrong({ store, flows: [], plugins: 1 }), "`plugins`: a number")
  })

  it("has each flow once", () => {
    const problem = problemOf({ store: fsStore(), flows: [entry, entry] })
    assert.deepInclude(problem, { _tag: "TwoFlows", flow: "triage" })
    if (problem?._tag === "TwoFlows") assert.match(problem.sites[0]!, /flows\.ts:\d+$/)
  })
})

describe("a file", () => {
  const cases: ReadonlyArray<readonly [name: string, text: string, reason: string, message: RegExp]> = [
    [
      "that throws",
      "throw new TypeError('no database')",
      "Threw",
      /no database \(file:.*waymark\.config\.ts:1:/
    ],
    ["without a default export", "export const config = {}", "NoExport", /it exports "config"/],
    ["that Node cannot read", "enum A { B }\nexport default {}", "Threw", /Node only strips types/],
    ["that exports something else", "export default 'store'", "WrongType", /the default export is a string/],
    ["that imports what is not there", "import 'nowhere'", "Threw", /is it installed/]
  ]
  it("is refused, and what to do is said", async () => {
    const files = cases.map(([, text]) => {
      const file = join(folder(), "waymark.config.ts")
      writeFileSync(file, text)
      return file
    })
    const { stdout } = await execute([...node, join(import.meta.dirname, "support/loadConfigs.ts"), ...files])
    const problems = JSON.parse(stdout) as ReadonlyArray<{
      readonly reason: string
      readonly message: string
    }>
    cases.forEach(([name, , reason, message], i) => {
      assert.strictEqual(problems[i]!.reason, reason, name)
      assert.match(problems[i]!.message, message, name)
    })
  })

  it("is found above, and its relative paths count from its folder", async () => {
    const store = "relative-store"
    const below = join(folder(), "a/b")
    mkdirSync(below, { recursive: true })
    const config = `
      import { defineConfig, fsStore } from ${JSON.stringify(join(project, "../../../src/index.ts"))}
      import { Triage, TriageLayer } from ${JSON.stringify(join(project, "flows.ts"))}
      export default defineConfig({ store: fsStore({ directory: "${store}" }), flows: [{ flow: Triage, handlers: TriageLayer }] })`
    writeFileSync(join(below, "../../waymark.config.ts"), config)
    const detached = await waymark(
      ["run", "triage", "-i", '{"ticket":"T","ask":false}', "--id", "t", "--detach"],
      { cwd: below }
    )
    assert.strictEqual(detached.code, 0, detached.stderr)
    const { stdout } = await waymark(["runs", "--store", `../../${store}`], { cwd: below })
    assert.include(stdout, "t  ○ pending")
  })

  it("whose handlers cannot be made says of which flow", async () => {
    const cwd = folder()
    const config = `
      import { Effect, Layer } from "effect"
      import { defineConfig, fsStore } from ${JSON.stringify(join(project, "../../../src/index.ts"))}
      import { Triage } from ${JSON.stringify(join(project, "flows.ts"))}
      export default defineConfig({
        store: fsStore(),
        flows: [{ flow: Triage, handlers: Layer.effectDiscard(Effect.fail(new Error("no key in the environment"))) as any }]
      })`
    writeFileSync(
      join(cwd, "waymark.config.ts"),
      config.replace('"effect"', JSON.stringify(import.meta.resolve("effect")))
    )
    const { code, stderr } = await waymark(["run", "triage", "-i", '{"ticket":"T","ask":false}', "--json"], {
      cwd
    })
    assert.strictEqual(code, 4, stderr)
    assert.deepInclude(JSON.parse(stderr.trimEnd().split("\n").at(-1)!).error, {
      tag: "ConfigError",
      reason: "Handlers",
      exitCode: 4
    })
  })
})
