// Shows that @waymark/core runs in a browser: its sources import no Node module and use no Node global, the bundle of a
// program with effect imports none either, and that program does its work where there is nothing of Node.
import { relative, resolve } from "node:path"
import type { Bundle } from "./bundle/bundle.ts"
import { bundle } from "./bundle/bundle.ts"
import { runInBrowserLike } from "./bundle/sandbox.ts"

const root = resolve(import.meta.dirname, "..")
const core = resolve(root, "packages/core/src/index.ts")
const program = resolve(import.meta.dirname, "bundle/program.ts")

const problems: Array<string> = []
const note = (what: string, { nodeGlobals, nodeImports }: Bundle): void => {
  for (const each of nodeImports) problems.push(`${what}: ${each}`)
  for (const each of nodeGlobals) problems.push(`${what}: uses the global ${each}`)
}

const sources = await bundle({ entry: { file: core }, withoutEffect: true, markGlobals: true })
note(relative(root, core), sources)

// What runs in a real browser is tested there; this is what its users bundle.
const sqljs = resolve(root, "packages/store-sqljs/src/index.ts")
const store = await bundle({ entry: { file: sqljs }, withoutEffect: true })
note(relative(root, sqljs), { ...store, nodeGlobals: [] })

const whole = await bundle({ entry: { file: program }, format: "iife" })
note(relative(root, program), whole)

if (problems.length === 0) {
  const { expected, result } = await runInBrowserLike(whole.text)
  if (JSON.stringify(result) !== JSON.stringify(expected)) {
    problems.push(
      `the bundled program gave ${JSON.stringify(result)} where ${JSON.stringify(expected)} was expected`
    )
  }
}

for (const problem of problems) console.error(problem)
console.log(
  `browser bundle: ${Object.keys(sources.inputs).length} modules of core, program with effect of ${whole.text.length} bytes (not minified), ` +
    `${problems.length} problems`
)
process.exitCode = problems.length === 0 ? 0 : 1
