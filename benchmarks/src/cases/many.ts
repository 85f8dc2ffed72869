/**
 * Many short runs at once.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory, inMemory, inMemoryWithNode, suffixOf } from "../engine.ts"
import type { Engine } from "../engine.ts"
import { bareChain, Chain } from "../flows.ts"
import { interleave, timed } from "../harness/case.ts"
import type { Case } from "../harness/case.ts"
import { appendAndSync, bytesIn } from "../harness/raw.ts"

const steps = 5
const concurrency = 64
const goal = 40_000

const execute = (engine: Engine, count: number) =>
  engine.runPromise(
    Runs.Runs.use((runs) =>
      Effect.forEach(Array.from({ length: count }), () => runs.execute(Chain, { steps }), {
        concurrency,
        discard: true
      })
    )
  )

const bare = (count: number) =>
  Effect.runPromise(
    Effect.forEach(Array.from({ length: count }), () => bareChain(steps), { concurrency, discard: true })
  )

const perSecond = (count: number, millis: number): number => (count * steps * 1000) / millis

export const cases: ReadonlyArray<Case> = [
  {
    name: "many-memory",
    measure: async ({ quick, rounds }) => {
      const count = quick ? 300 : 1000
      const sample = (make: () => Engine) => async (): Promise<number> => {
        const engine = make()
        await engine.runPromise(Effect.void)
        const took = await timed(() => execute(engine, count))
        await engine.dispose()
        return perSecond(count, took)
      }
      for (let i = 0; i < 3; i++) await sample(inMemory)()
      const samples = await interleave(rounds, {
        memory: sample(inMemory),
        node: sample(inMemoryWithNode),
        bare: async () => perSecond(count, await timed(() => bare(count)))
      })
      const baselines = [{ name: "bare", samples: samples.bare }]
      const title = `${count.toLocaleString("en")} runs x ${steps} steps, ${concurrency} at once`
      const unit = "steps/s"
      return [
        { title: `${title}, memory`, unit, samples: samples.memory, baselines },
        { title: `${title}, memory, node:crypto`, unit, samples: samples.node, baselines }
      ]
    }
  },
  ...(["store-fs", "store-sqljs"] as const).map((place): Case => ({
    name: `many-${suffixOf(place)}`,
    measure: async ({ directory, quick, rounds }) => {
      const count = quick ? 300 : 1000
      let bytes = 0
      const sample = async (): Promise<number> => {
        const own = join(directory, randomUUID())
        const engine = inDirectory(own, place)
        await engine.runPromise(Effect.void)
        const took = await timed(() => execute(engine, count))
        await engine.dispose()
        bytes = bytesIn(own)
        return perSecond(count, took)
      }
      for (let i = 0; i < 3; i++) await sample()
      const writes = Math.ceil((count * steps) / concurrency)
      const samples = await interleave(rounds, {
        run: sample,
        raw: async () => perSecond(count, await appendAndSync(directory, { bytes, writes }))
      })
      return [
        {
          title: `${count.toLocaleString("en")} runs x ${steps} steps, ${concurrency} at once, ${place}`,
          unit: "steps/s",
          samples: samples.run,
          baselines: [{ name: `raw, ${concurrency} at once`, samples: samples.raw }],
          ...(place === "store-fs" ? { goal: { kind: "value", atLeast: goal } as const } : undefined),
          note: `${Math.round(bytes / count)} bytes a run`
        }
      ]
    }
  }))
]
