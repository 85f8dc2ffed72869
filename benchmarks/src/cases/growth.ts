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

const open = (place: Place, { directory }: Setting): Engine =>
  place === "memory" ? inMemory() : inDirectory(join(directory, randomUUID()))

/** Runs a body with an engine of its own. */
const withEngine = async <A>(place: Place, setting: Setting, body: (engine: Engine) => Promise<A>): Promise<A> => {
  const engine = open(place, setting)
  try {
    return await body(engine)
  } finally {
    await engine.dispose()
  }
}

/** The bytes of the entries of a run after `seq`. */
const bytesAfter = (engine: Engine, run: string, seq: number): Promise<number> =>
  engine.runPromise(
    Effect.gen(function* () {
      const store = yield* Store.Store
      let bytes = 0
      for (let from = seq + 1; ; ) {
        const entries = yield* store.read(run, { from })
        if (entries.length === 0) return bytes
        for (const { line } of entries) bytes += line.length + 1
        from = entries[entries.length - 1]!.event.seq + 1
      }
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
    /** The first steps of short runs: the process is as warm as after a long one. */
    const first = async (): Promise<number> => {
      const means: Array<number> = []
      for (let i = 0; i < 10; i++) {
        await run(100 + window + 1)
        means.push(meanStep(100, 100 + window))
      }
      return median(means)
    }
    const last = async (): Promise<number> => {
      await run(steps)
      return meanStep(steps - window - 1, steps - 1)
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
    const steps = setting.quick ? 500 : 2000
    const written = new Map<string, number>()
    const sample = (as: "value" | "list", size: number) =>
      withEngine(place, setting, async (engine) => {
        const run = randomUUID()
        await engine.runPromise(Runs.Runs.use((runs) => runs.execute(Untouched, { steps, size, as }, { id: run })))
        // What the first step stored is the state itself.
        written.set(`${as} ${size}`, (await bytesAfter(engine, run, 1)) / steps)
        return meanStep(10, steps)
      })
    const small = 1000
    const large = 1_000_000
    await sample("value", small)
    await sample("list", small)
    const measurements: Array<Measurement> = []
    for (const as of ["value", "list"] as const) {
      const samples = await interleave(setting.rounds, {
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
          // A list is written once more, into the first snapshot, and never again.
          goal: { kind: "ratio", atMost: 1.2 },
          note: `over ${steps.toLocaleString("en")} steps`
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
      const times = Math.max(1, Math.round(2000 / step))
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
      for (const warmUp of [samplers.thousand, samplers.thousand, samplers.hundred]) await warmUp()
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

export const cases: ReadonlyArray<Case> = places.flatMap((place) => [depth(place), untouched(place), list(place)])
