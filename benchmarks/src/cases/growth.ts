/**
 * Whether a step costs the same however far the run has come and however much state it has.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import * as Runs from "@waymark/core/Runs"
import * as Store from "@waymark/core/Store"
import * as Effect from "effect/Effect"
import { inDirectory, inMemory } from "../engine.ts"
import type { Engine } from "../engine.ts"
import { Growing, itemSize, Marked, meanStep, Untouched } from "../flows.ts"
import { interleave } from "../harness/case.ts"
import type { Case, Setting } from "../harness/case.ts"
import { median } from "../harness/measurement.ts"
import type { Measurement } from "../harness/measurement.ts"

type Place = "memory" | "store-fs"

/** So many times the rounds for what takes only milliseconds: a single pause touches a whole sample of it. */
const short = 3

const open = (place: Place, { directory }: Setting): Engine =>
  place === "memory" ? inMemory() : inDirectory(join(directory, randomUUID()))

/** Runs a body with an engine of its own. */
const withEngine = async <A>(
  place: Place,
  setting: Setting,
  body: (engine: Engine) => Promise<A>
): Promise<A> => {
  const engine = open(place, setting)
  try {
    return await body(engine)
  } finally {
    await engine.dispose()
  }
}

interface Written {
  readonly bytes: number
  readonly steps: number
}

/**
 * What a run wrote from its first snapshot on, and in how many steps. A snapshot holds what no event before it holds
 * whole: a list that one step appended is written once more into the first, and never again.
 */
const writtenAfterSnapshot = (engine: Engine, run: string): Promise<Written> =>
  engine.runPromise(
    Effect.gen(function* () {
      const store = yield* Store.Store
      let bytes = 0
      let steps = 0
      let counts = false
      for (let from = 0; ;) {
        const entries = yield* store.read(run, { from })
        if (entries.length === 0) break
        for (const { event, line } of entries) {
          if (counts) {
            bytes += line.length + 1
            if (event.kind === "visited") steps += 1
          } else counts = event.kind === "snapshot"
        }
        from = entries[entries.length - 1]!.event.seq + 1
      }
      if (steps === 0) return yield* Effect.die(new Error("the run was too short for a snapshot"))
      return { bytes, steps }
    })
  )

const places: ReadonlyArray<Place> = ["memory", "store-fs"]
const suffix = (place: Place): string => (place === "memory" ? "memory" : "fs")

const depth = (place: Place): Case => ({
  name: `depth-${suffix(place)}`,
  measure: async (setting) => {
    const steps = setting.quick ? 20_000 : 100_000
    const window = 1000
    const run = (length: number) =>
      withEngine(place, setting, (engine) =>
        engine.runPromise(Runs.Runs.use((runs) => runs.execute(Marked, { steps: length })))
      )
    // Medians of as many stretches early and late: what other processes do in the meantime touches a few of them.
    const stretches = 10
    const first = async (): Promise<number> => {
      const means: Array<number> = []
      for (let i = 0; i < stretches; i++) {
        await run(100 + window + 1)
        means.push(meanStep(100, 100 + window))
      }
      return median(means)
    }
    const last = async (): Promise<number> => {
      await run(steps)
      const means: Array<number> = []
      for (let i = 1; i <= stretches; i++)
        means.push(meanStep(steps - i * window - 1, steps - (i - 1) * window - 1))
      return median(means)
    }
    await run(20_000)
    const { early, late } = await interleave(setting.rounds, { early: first, late: last })
    return [
      {
        title: `step ${steps.toLocaleString("en")}, ${place}`,
        unit: "µs/step",
        samples: late,
        baselines: [{ name: "step 100", samples: early }],
        goal: { kind: "ratio", atMost: 1.1 }
      }
    ]
  }
})

const untouched = (place: Place): Case => ({
  name: `untouched-${suffix(place)}`,
  measure: async (setting) => {
    const steps = setting.quick ? 1000 : 2000
    const written = new Map<string, number>()
    const sample = (as: "value" | "list", size: number) =>
      withEngine(place, setting, async (engine) => {
        const run = randomUUID()
        await engine.runPromise(
          Runs.Runs.use((runs) => runs.execute(Untouched, { steps, size, as }, { id: run }))
        )
        const mean = meanStep(10, steps)
        const after = await writtenAfterSnapshot(engine, run)
        written.set(`${as} ${size}`, after.bytes / after.steps)
        return mean
      })
    const small = 1000
    const large = 1_000_000
    for (let i = 0; i < (setting.quick ? 2 : 5); i++) {
      await sample("value", small)
      await sample("list", small)
    }
    const measurements: Array<Measurement> = []
    for (const as of ["value", "list"] as const) {
      const samples = await interleave(setting.rounds * short, {
        large: () => sample(as, large),
        small: () => sample(as, small)
      })
      const title = `1 MB of untouched state (${as}), ${place}`
      measurements.push(
        {
          title,
          unit: "µs/step",
          samples: samples.large,
          baselines: [{ name: "1 kB", samples: samples.small }],
          goal: { kind: "ratio", atMost: 1.2 }
        },
        {
          title: `${title}: written`,
          unit: "bytes/step",
          samples: [written.get(`${as} ${large}`)!],
          baselines: [{ name: "1 kB", samples: [written.get(`${as} ${small}`)!] }],
          goal: { kind: "ratio", atMost: 1.05 },
          note: "per step, from the first snapshot on"
        }
      )
    }
    return measurements
  }
})

const list = (place: Place): Case => ({
  name: `list-${suffix(place)}`,
  measure: async (setting) => {
    const half = 50
    /** The mean of the steps around one, of runs that go no further. */
    const around = (step: number, looks: boolean) => async (): Promise<number> => {
      const means: Array<number> = []
      const times = Math.max(1, Math.round(5000 / step))
      for (let i = 0; i < times; i++) {
        await withEngine(place, setting, (engine) =>
          engine.runPromise(Runs.Runs.use((runs) => runs.execute(Growing, { steps: step + half, looks })))
        )
        means.push(meanStep(step - half, step + half))
      }
      return median(means)
    }
    const measurements: Array<Measurement> = []
    for (const looks of [false, true]) {
      const samplers = {
        hundred: around(100, looks),
        thousand: around(1000, looks),
        tenThousand: setting.quick ? () => Number.NaN : around(10_000, looks)
      }
      for (let i = 0; i < (setting.quick ? 2 : 5); i++) await samplers.thousand()
      const { hundred, tenThousand, thousand } = await interleave(setting.rounds, samplers)
      const late: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = setting.quick
        ? [["1,000", thousand]]
        : [
            ["1,000", thousand],
            ["10,000", tenThousand]
          ]
      for (const [step, samples] of late) {
        measurements.push({
          title: `list growing by ${itemSize / 1000} kB a step${looks ? ", read by each" : ""}, step ${step}, ${place}`,
          unit: "µs/step",
          samples,
          baselines: [{ name: "step 100", samples: hundred }],
          goal: { kind: "ratio", atMost: 1.2 }
        })
      }
    }
    return measurements
  }
})

export const cases: ReadonlyArray<Case> = places.flatMap((place) => [
  depth(place),
  untouched(place),
  list(place)
])
