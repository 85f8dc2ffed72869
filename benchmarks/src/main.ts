/**
 * Measures, and prints a table.
 *
 *     npm run bench -- [names...] [--quick] [--rounds=<n>] [--source] [--profile] [--directory=<path>] [--list]
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import { names } from "./cases/index.ts"
import type { Setting } from "./harness/case.ts"
import { currentLoad, describeMachine, makeWorkplace } from "./harness/machine.ts"
import { verdictOf } from "./harness/measurement.ts"
import type { Measurement } from "./harness/measurement.ts"
import { runProcess } from "./harness/processes.ts"
import { formatTable } from "./harness/table.ts"

const benchmarks = resolve(import.meta.dirname, "..")
const results = join(benchmarks, "results")

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    /** Fewer rounds of shorter runs, for an impression. */
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    /** Measures the sources instead of what is built from them. */
    source: { type: "boolean", default: false },
    /** Leaves a CPU profile of each case in results/profiles. */
    profile: { type: "boolean", default: false },
    /** Where to put temporary files; it must be on a disk. */
    directory: { type: "string" },
    list: { type: "boolean", default: false }
  }
})

/** Longer than any case should take, in milliseconds. */
const timeout = 900_000

const execArgv = options.source ? ["--conditions=@waymark/source"] : []
const profiled = [
  ...execArgv,
  ...(options.profile ? ["--cpu-prof", `--cpu-prof-dir=${join(results, "profiles")}`] : [])
]

/** Runs a case in a process of its own. */
const measure = async (name: string, setting: Setting): Promise<ReadonlyArray<Measurement>> => {
  const script = join(import.meta.dirname, "child.ts")
  const { value } = await runProcess<ReadonlyArray<Measurement>>(script, [name, JSON.stringify(setting)], {
    execArgv: profiled,
    timeout
  })
  return value
}

const main = async (): Promise<void> => {
  const selected = names.filter(
    (name) => positionals.length === 0 || positionals.some((part) => name.includes(part))
  )
  if (options.list) {
    console.log(selected.join("\n"))
    return
  }
  if (selected.length === 0) throw new Error(`no case is named like ${positionals.join(" or ")}; see --list`)
  if (!options.source && !existsSync(resolve(benchmarks, "../packages/store-fs/dist/FsStore.js"))) {
    throw new Error("the packages are not built: npm run build, or --source to measure their sources")
  }
  const rounds = options.rounds === undefined ? (options.quick ? 3 : 7) : Number(options.rounds)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds=${options.rounds} is no number of rounds`)

  const loadBefore = currentLoad()
  const workplace = makeWorkplace(options.directory)
  const started = performance.now()
  const measured: Array<{ readonly name: string; readonly measurements: ReadonlyArray<Measurement> }> = []
  const failures: Array<string> = []
  try {
    for (const name of selected) {
      const directory = join(workplace.directory, name)
      mkdirSync(directory)
      const start = performance.now()
      try {
        const setting = { rounds, quick: options.quick, directory, execArgv }
        measured.push({ name, measurements: await measure(name, setting) })
      } catch (error) {
        failures.push((error as Error).message)
      }
      console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
    }
  } finally {
    workplace.remove()
  }

  const machine = describeMachine(workplace.fileSystem, loadBefore)
  const measurements = measured.flatMap((each) => each.measurements)
  mkdirSync(results, { recursive: true })
  const file = join(results, `${new Date().toISOString().replaceAll(/[:.]/g, "-")}.json`)
  const report = {
    machine,
    quick: options.quick,
    rounds,
    measured: options.source ? "sources" : "built packages",
    cases: measured.map((each) => ({
      name: each.name,
      measurements: each.measurements.map((one) => ({ ...one, verdict: verdictOf(one) }))
    })),
    failures
  }
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)

  console.log(formatTable(measurements))
  console.log()
  console.log(
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}, ` +
      `${machine.fileSystem}; load ${machine.load.join(" before, ")} after; ${report.measured}, ${rounds} rounds, ` +
      `${((performance.now() - started) / 1000).toFixed(0)} s`
  )
  console.log(`all samples: ${relative(process.cwd(), file)}`)
  for (const failure of failures) console.error(failure)
  // A goal that is missed is told, not failed: the figures of a busy machine are no test.
  process.exitCode = failures.length === 0 ? 0 : 1
}

await main()
