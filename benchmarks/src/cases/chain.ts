/**
 * A chain of steps that do nothing, against the same handlers in a bare loop.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory, inMemory, inMemoryWithNode } from "../engine.ts"
import type { Engine, Place } from "../engine.ts"
import { bareChain, Chain, StrictChain } from "../flows.ts"
import { interleave, timed } from "../harness/case.ts"
import type { Case, Setting } from "../harness/case.ts"
import type { Goal, Measurement } from "../harness/measurement.ts"
import { appendAndSync, bytesIn } from "../harness/raw.ts"

/** A run of `steps` steps, `times` times, one after the other: microseconds per step. */
const perStep = async (body: () => Promise<unknown>, steps: number, times: number): Promise<number> => {
  const took = await timed(async () => {
    for (let i = 0; i < times; i++) await body()
  })
  return (took * 1000) / (steps * times)
}

/** What is executed and how it is measured. */
interface Shape {
  readonly flow: typeof Chain | typeof StrictChain
  readonly steps: number
  /** Runs per sample. */
  readonly times: number
  readonly goal?: Goal
}

const executing =
  (engine: Engine, { flow, steps }: Shape) =>
  () =>
    engine.runPromise(Runs.Runs.use((runs) => runs.execute(flow, { steps })))

const bare =
  ({ steps }: Shape) =>
  () =>
    Effect.runPromise(bareChain(steps))

/** Until the code is as fast as it gets. */
const warmUp = async (
  body: () => Promise<unknown>,
  { steps, times }: Shape,
  quick: boolean
): Promise<void> => {
  const enough = Math.min(quick ? 3000 : 20_000, 2 * steps * times)
  for (let done = 0; done < enough; done += steps) await body()
}

const titleOf = ({ flow, steps }: Shape, place: string): string =>
  `chain of ${steps.toLocaleString("en")} pure steps, ${flow === StrictChain ? "strict" : "pipelined"}, ${place}`

const measureMemory = async (
  shape: Shape,
  { quick, rounds }: Setting,
  make: () => Engine,
  place: string
): Promise<Measurement> => {
  const engine = make()
  const run = executing(engine, shape)
  await warmUp(run, shape, quick)
  await warmUp(bare(shape), shape, quick)
  const samples = await interleave(rounds, {
    run: async () => {
      // A store that holds what was executed before is slower to collect, not to use.
      const fresh = make()
      const took = await perStep(executing(fresh, shape), shape.steps, shape.times)
      await fresh.dispose()
      return took
    },
    bare: () => perStep(bare(shape), shape.steps, shape.times)
  })
  await engine.dispose()
  return {
    title: titleOf(shape, place),
    unit: "µs/step",
    samples: samples.run,
    baselines: [{ name: "bare", samples: samples.bare }],
    ...goalOf(shape)
  }
}

/** Events per sync of the raw disk beside a pipelined chain. */
const group = 64

const measureOnDisk = async (
  shape: Shape,
  { directory, quick, rounds }: Setting,
  place: Place = "store-fs"
): Promise<Measurement> => {
  const strict = shape.flow === StrictChain
  const warm = inDirectory(join(directory, "warm-up"), place)
  await warmUp(executing(warm, shape), shape, quick)
  await warmUp(bare(shape), shape, quick)
  await warm.dispose()
  let bytes = 0
  const sample = async (): Promise<number> => {
    const own = join(directory, randomUUID())
    const engine = inDirectory(own, place)
    // Opening is not part of it.
    await engine.runPromise(Effect.void)
    const took = await perStep(executing(engine, shape), shape.steps, shape.times)
    await engine.dispose()
    bytes = bytesIn(own)
    return took
  }
  await sample()
  const writesPerRun = strict ? shape.steps : Math.ceil(shape.steps / group)
  const samples = await interleave(rounds, {
    run: sample,
    bare: () => perStep(bare(shape), shape.steps, shape.times),
    raw: async () =>
      ((await appendAndSync(directory, { bytes, writes: writesPerRun * shape.times })) * 1000) /
      (shape.steps * shape.times)
  })
  const raw = { name: strict ? "raw, each synced" : `raw, ${group} at once`, samples: samples.raw }
  return {
    title: titleOf(shape, place),
    unit: "µs/step",
    samples: samples.run,
    baselines: strict ? [raw] : [{ name: "bare", samples: samples.bare }, raw],
    ...goalOf(shape),
    note: `${Math.round(bytes / (shape.steps * shape.times))} bytes a step`
  }
}

const atMost = (ratio: number): Goal => ({ kind: "ratio", atMost: ratio })

const lengths = (quick: boolean) =>
  [
    { steps: 10, times: quick ? 20 : 200 },
    { steps: 1000, times: quick ? 2 : 10 },
    { steps: quick ? 10_000 : 100_000, times: 1 }
  ] as const

/** Where the disk is waited for at each step: a chain of 100,000 takes half a minute, and as long again without the engine. */
const syncedLengths = ({ quick, rounds }: Setting) =>
  [
    { steps: 10, times: quick ? 2 : 20, rounds },
    { steps: quick ? 200 : 1000, times: 1, rounds },
    { steps: quick ? 2000 : 100_000, times: 1, rounds: 1 }
  ] as const

/** With the goal of the table, if there is one for it. */
const goalOf = (shape: Shape): { readonly goal?: Goal } =>
  shape.goal === undefined ? {} : { goal: shape.goal }

export const cases: ReadonlyArray<Case> = [
  ...[0, 1, 2].flatMap((length): ReadonlyArray<Case> => {
    const name = ["10", "1000", "100000"][length]!
    return [
      {
        name: `chain-${name}-memory`,
        measure: async (setting) => {
          const { steps, times } = lengths(setting.quick)[length]!
          const own: Shape = { flow: Chain, steps, times, goal: atMost(2) }
          return [
            await measureMemory(own, setting, inMemory, "memory"),
            await measureMemory(own, setting, inMemoryWithNode, "memory, node:crypto")
          ]
        }
      },
      {
        name: `chain-${name}-fs`,
        measure: async (setting) => {
          const { steps, times } = lengths(setting.quick)[length]!
          return [await measureOnDisk({ flow: Chain, steps, times, goal: atMost(2) }, setting)]
        }
      }
    ]
  }),
  ...[0, 1, 2].flatMap((length): ReadonlyArray<Case> => {
    const name = ["10", "1000", "100000"][length]!
    return [
      {
        name: `chain-strict-${name}-memory`,
        measure: async (setting) => [
          await measureMemory(
            { flow: StrictChain, ...lengths(setting.quick)[length]! },
            setting,
            inMemory,
            "memory"
          )
        ]
      },
      {
        name: `chain-strict-${name}-fs`,
        measure: async (setting) => {
          const { rounds, ...own } = syncedLengths(setting)[length]!
          const shape: Shape = { flow: StrictChain, ...own, goal: atMost(1.2) }
          return [await measureOnDisk(shape, { ...setting, rounds })]
        }
      }
    ]
  }),
  ...[1, 2].map((length): Case => ({
    name: `chain-${["10", "1000", "100000"][length]!}-sqljs`,
    measure: async (setting) => {
      const { steps, times } = lengths(setting.quick)[length]!
      return [await measureOnDisk({ flow: Chain, steps, times }, setting, "store-sqljs")]
    }
  })),
  {
    name: "chain-strict-sqljs",
    measure: async (setting) => [
      await measureOnDisk(
        { flow: StrictChain, steps: setting.quick ? 200 : 1000, times: 1 },
        setting,
        "store-sqljs"
      )
    ]
  }
]
