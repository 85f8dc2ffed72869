/** What is bundled to measure what importing core costs. Each case holds the one before it. */
import { resolve } from "node:path"
import type { Options } from "./bundle.ts"

export interface BundleCase {
  readonly name: string
  /** Bytes that it may add on top of effect. It holds what it is by now, so that it only grows on purpose. */
  readonly budget: number
  readonly entry: Options["entry"]
}

/**
 * A program that keeps these members of modules of core, such as `Flow.make`. It imports the modules themselves: esbuild
 * keeps a module whole that an index re-exports as a namespace (Rollup and Rolldown do not).
 */
const keeping = (...members: ReadonlyArray<string>): Options["entry"] => {
  const modules = new Set(members.map((member) => member.split(".")[0]!))
  const imports = [...modules].map((module) => `import * as ${module} from "@waymark/core/${module}"`)
  return { text: [...imports, `globalThis.core = [${members.join(", ")}]`].join("\n") }
}

const definitions = ["Flow.make", "Node.make", "State.list", "State.value", "Tool.make", "Wait.event"]

/** The client starts, awaits, steers and forks runs, and reads their history; a worker executes them. */
export const cases: ReadonlyArray<BundleCase> = [
  { name: "flows that are only defined", budget: 7_460, entry: keeping(...definitions) },
  {
    name: "flows and the client of runs",
    budget: 40_000,
    entry: keeping(...definitions, "Runs.Runs", "Runs.layer")
  },
  {
    name: "flows, client, worker and a store in memory",
    budget: 78_000,
    entry: { file: resolve(import.meta.dirname, "program.ts") }
  },
  {
    name: "everything in core",
    budget: 98_000,
    entry: { text: 'import * as core from "@waymark/core"\nglobalThis.core = core' }
  }
]
