/**
 * One run that fans out into many branches and joins them.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory, inMemory } from "../engine.ts"
import type { Engine } from "../engine.ts"
import { Fan } from "../flows.ts"
import { interleave, timed } from "../harness/case.ts"
import type { Case, Setting } from "../harness/case.ts"
import type { Measurement } from "../harness/measurement.ts"
import { appendAndSync, bytesIn } from "../harness/raw.ts"

const few = 1000
const many = 10_000
/** Events per sync of the raw disk. */
const group = 64

type Place = "memory" | "store-fs"

const open = (place: Place, directory: string): Engine =>
  place === "memory" ? inMemory() : inDirectory(directory)

/** Milliseconds of a run of so many branches in a store of its own, and what it wrote. */
const fanOut = async (
  place: Place,
  { directory }: Setting,
  tasks: number
): Promise<{ readonly took: number; readonly bytes: number }> => {
  const own = join(directory, randomUUID())
  const engine = open(place, own)
  // Opening is not part of it.
  await engine.runPromise(Effect.void)
  let joined = 0
  const took = await timed(async () => {
    joined = await engine.runPromise(Runs.Runs.use((runs) => runs.execute(Fan, { tasks })))
  })
  await engine.dispose()
  if (joined !== tasks) throw new Error(`${joined} of ${tasks} branches were joined`)
  return { took, bytes: place === "memory" ? 0 : bytesIn(own) }
}

const measure =
  (place: Place): Case["measure"] =>
  async (setting): Promise<ReadonlyArray<Measurement>> => {
    let bytes = 0
    /** So many runs, one after another: their mean. Each sample is of as many branches, so that it takes as much time. */
    const sample = (tasks: number) => async (): Promise<number> => {
      let took = 0
      for (let run = 0; run < many / tasks; run++) took += (await fanOut(place, setting, tasks)).took
      return (took * tasks) / many
    }
    for (let i = 0; i < 3; i++) bytes = (await fanOut(place, setting, few)).bytes
    await fanOut(place, setting, many)
    const samples = await interleave(setting.rounds, {
      few: sample(few),
      many: sample(many),
      raw: () =>
        place === "memory" ? 0 : appendAndSync(setting.directory, { bytes, writes: Math.ceil(few / group) })
    })
    const perBranch = (took: ReadonlyArray<number>, tasks: number) =>
      took.map((each) => (each * 1000) / tasks)
    return [
      {
        title: `fan-out of ${few.toLocaleString("en")} tasks and a join, ${place}`,
        unit: "ms",
        samples: samples.few,
        baselines: place === "memory" ? [] : [{ name: `raw, ${group} at once`, samples: samples.raw }],
        ...(place === "memory" ? undefined : { goal: { kind: "value", atMost: 40 } as const })
      },
      {
        title: `fan-out of ${many.toLocaleString("en")} tasks and a join, ${place}`,
        unit: "µs/task",
        samples: perBranch(samples.many, many),
        baselines: [{ name: `of ${few.toLocaleString("en")} tasks`, samples: perBranch(samples.few, few) }],
        goal: { kind: "ratio", atMost: 1.2 }
      }
    ]
  }

export const cases: ReadonlyArray<Case> = [
  { name: "fan-out-memory", measure: measure("memory") },
  { name: "fan-out-fs", measure: measure("store-fs") }
]
