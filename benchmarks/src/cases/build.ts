/**
 * What Waymark costs before anything runs: for the type checker, and in a bundle.
 */
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { cases as bundles } from "../../../scripts/bundle/cases.ts"
import { measure as measureBundle } from "../../../scripts/bundle/size.ts"
import { flowSource } from "./flowSource.ts"
import { interleave, timed } from "../harness/case.ts"
import type { Case } from "../harness/case.ts"
import type { Measurement } from "../harness/measurement.ts"

const benchmarks = resolve(import.meta.dirname, "../..")
const workspace = resolve(benchmarks, "..")
const compiler = join(workspace, "node_modules/typescript/bin/tsc")

const types: Case = {
  name: "types",
  measure: async ({ execArgv, rounds }) => {
    // Beside the sources, whatever the directory of the other cases is: modules are looked for from there.
    const parent = join(benchmarks, ".work")
    mkdirSync(parent, { recursive: true })
    const directory = mkdtempSync(join(parent, "types-"))
    try {
      const check = (name: string, source: string) => {
        const own = join(directory, name)
        mkdirSync(own)
        writeFileSync(join(own, "flow.ts"), source)
        const compilerOptions = {
          noEmit: true,
          composite: false,
          declaration: false,
          declarationMap: false,
          rootDir: workspace,
          typeRoots: [join(workspace, "node_modules/@types")],
          // As users do: against the declarations of the built packages.
          customConditions: execArgv.length === 0 ? [] : ["@waymark/source"],
          allowImportingTsExtensions: true,
          rewriteRelativeImportExtensions: false
        }
        const settings = {
          extends: join(workspace, "tsconfig.base.json"),
          include: ["flow.ts"],
          compilerOptions
        }
        writeFileSync(join(own, "tsconfig.json"), JSON.stringify(settings))
        return () => timed(() => promisify(execFile)(process.execPath, [compiler, "-p", own]))
      }
      const samplers = {
        large: check("large", flowSource("line", { nodes: 50, channels: 20 })),
        branches: check("branches", flowSource("branches", { nodes: 50, channels: 20 })),
        small: check("small", flowSource("line", { nodes: 1, channels: 1 }))
      }
      await samplers.large()
      const { branches, large, small } = await interleave(rounds, samplers)
      return [
        {
          title: "type-checking a flow of 50 nodes and 20 channels, on top of one of 1 node",
          unit: "ms",
          samples: large.map((took, round) => took - small[round]!),
          baselines: [],
          goal: { kind: "value", atMost: 1000 },
          note: "each node has 3 targets, 2 errors and a tool; without the time for a flow of 1 node and 1 channel"
        },
        {
          title: "the same with 20 fan-outs, half of them inside of others",
          unit: "ms",
          samples: branches.map((took, round) => took - small[round]!),
          baselines: [],
          goal: { kind: "value", atMost: 1000 },
          note: "a fifth of the nodes begins branches, a fifth does so in a branch; half of the outer ones collect failures"
        },
        { title: "type-checking a flow of 1 node and 1 channel", unit: "ms", samples: small, baselines: [] }
      ]
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

const size: Case = {
  name: "size",
  measure: async () => {
    const measurements: Array<Measurement> = []
    for (const { entry, name } of bundles) {
      const { added, effect, total } = await measureBundle(entry)
      measurements.push({
        title: `bundle of ${name}, on top of effect`,
        unit: "kB gzipped",
        samples: [added / 1000],
        baselines: [],
        goal: { kind: "value", atMost: 40 },
        note: `${(total / 1000).toFixed(1)} kB in all, ${(effect / 1000).toFixed(1)} kB of them effect`
      })
    }
    return measurements
  }
}

export const cases: ReadonlyArray<Case> = [types, size]
