/**
 * The swarm as a command: `node main.ts [--processes 4] [--runs 10000] [--minutes 10] [--seed 1] [--per-blow 40]`. With
 * `--minutes` runs are started for so long. A process is hit whenever so many more runs were started.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { play } from "./swarm.ts"
import { judge } from "./verdict.ts"

const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "4" },
    runs: { type: "string", default: "10000" },
    minutes: { type: "string" },
    seed: { type: "string", default: "1" },
    "per-blow": { type: "string", default: "40" }
  }
})

const runsPerBlow = Number(values["per-blow"])
const leaseTtl = 1000

const program = Effect.gen(function* () {
  const folder = mkdtempSync(join(tmpdir(), "waymark-swarm-"))
  const directory = join(folder, "store")
  const witness = join(folder, "witness")
  writeFileSync(witness, "")
  const began = Date.now()
  const until = values.minutes === undefined ? undefined : began + Number(values.minutes) * 60_000
  const blows = Math.ceil(Number(values.runs) / runsPerBlow) - 1
  const seconds = () => ((Date.now() - began) / 1000).toFixed(0)
  const outcome = yield* Effect.scoped(
    Effect.gen(function* () {
      const played = yield* play({
        directory,
        witness,
        processes: Number(values.processes),
        seed: Number(values.seed),
        leaseTtl,
        runsPerBlow,
        isEnough: (count) => (until === undefined ? count >= blows : Date.now() >= until),
        progress: (line) => console.log(`${seconds()} s: ${line}`)
      })
      const verdict = yield* judge({ directory, witness, runs: played.runs }, 120_000)
      return { played, verdict }
    })
  )
  const { played, verdict } = outcome
  const problems = [...played.problems, ...verdict.problems]
  console.log(
    JSON.stringify(
      {
        seconds: Number(seconds()),
        processes: Number(values.processes),
        ...played,
        refusals: Object.fromEntries(played.refusals),
        ...verdict,
        problems: problems.slice(0, 50),
        problemsInAll: problems.length
      },
      undefined,
      2
    )
  )
  if (problems.length === 0) rmSync(folder, { recursive: true })
  else {
    console.error(
      `${problems.length} problems; what is left lies in ${folder} (${statSync(witness).size} bytes)`
    )
    process.exitCode = 1
  }
})

NodeRuntime.runMain(program)
