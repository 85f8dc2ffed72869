/**
 * For how long the process does nothing else: the event loop's delay while a run with a large state writes snapshots.
 */
import { hash, randomUUID } from "node:crypto"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory, inMemory } from "../engine.ts"
import type { Engine } from "../engine.ts"
import { Growing, itemSize, Replacing, text } from "../flows.ts"
import { interleave } from "../harness/case.ts"
import type { Case, Setting } from "../harness/case.ts"

/** The monitor's own timer, in milliseconds: what it reports is beyond that. */
const resolution = 1

/** The longest delay of the event loop while a body runs, in milliseconds. */
const longestPause = async (body: () => Promise<unknown>): Promise<number> => {
  const histogram = monitorEventLoopDelay({ resolution })
  histogram.enable()
  await body()
  histogram.disable()
  return Math.max(0, histogram.max / 1e6 - resolution)
}

const items = 3000

/** What a snapshot would take if it were made at once: 3 MB as JSON, and their digest. */
const atOnce = (): number => {
  const state = Object.fromEntries(Array.from({ length: items }, (_, i) => [`key-${i}`, text(itemSize, i)]))
  const start = performance.now()
  const digest = hash("sha256", JSON.stringify(state))
  const took = performance.now() - start
  if (digest.length !== 64) throw new Error("no digest")
  return took
}

const measure =
  (place: string, make: (setting: Setting) => Engine): Case["measure"] =>
  async (setting) => {
    // Each of the keys once, then each twice more: at least two snapshots of the whole record.
    const steps = items * (setting.quick ? 2 : 3)
    const run = (body: (runs: Runs.Runs["Service"]) => Effect.Effect<unknown, unknown>) => async () => {
      const engine = make(setting)
      await engine.runPromise(Effect.void)
      const pause = await longestPause(() => engine.runPromise(Runs.Runs.use(body)))
      await engine.dispose()
      return pause
    }
    const samplers = {
      record: run((runs) => runs.execute(Replacing, { steps, keys: items })),
      list: run((runs) => runs.execute(Growing, { steps: items * 2, looks: false })),
      small: run((runs) => runs.execute(Replacing, { steps, keys: 1 })),
      atOnce
    }
    await samplers.small()
    const { atOnce: whole, list, record, small } = await interleave(Math.min(setting.rounds, 5), samplers)
    const baselines = [{ name: "snapshot at once", samples: whole }]
    const note = "JSON and digest of 3 MB, in one go"
    return [
      { title: `longest pause, record of 3 MB, ${place}`, unit: "ms", samples: record, baselines, note },
      { title: `longest pause, list of 3 to 6 MB, ${place}`, unit: "ms", samples: list, baselines },
      { title: `longest pause, record of 1 kB, ${place}`, unit: "ms", samples: small, baselines }
    ]
  }

export const cases: ReadonlyArray<Case> = [
  { name: "pause-memory", measure: measure("memory", inMemory) },
  {
    name: "pause-fs",
    measure: measure("store-fs", ({ directory }) => inDirectory(join(directory, randomUUID())))
  }
]
