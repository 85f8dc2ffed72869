/**
 * Runs that wait: what very many of them cost, and how long it takes until one goes on.
 */
import { randomUUID } from "node:crypto"
import { join, resolve } from "node:path"
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory } from "../engine.ts"
import { Waiting } from "../flows.ts"
import { timed } from "../harness/case.ts"
import type { Case } from "../harness/case.ts"
import { percentile } from "../harness/measurement.ts"
import { runProcess } from "../harness/processes.ts"
import { appendAndSync, bytesIn } from "../harness/raw.ts"
import type { Filled } from "../processes/wait.ts"
import type { Woken } from "../processes/wake.ts"

const script = (name: string): string => resolve(import.meta.dirname, `../processes/${name}.ts`)
const timeout = 600_000

/** What the same looks like with few runs beside it. */
const few = 1000

const waiting: Case = {
  name: "waiting",
  measure: async ({ directory, execArgv, quick }) => {
    const count = quick ? 10_000 : 100_000
    const samples = quick ? 10 : 30
    const fill = async (runs: number) => {
      const own = join(directory, randomUUID())
      const options = { execArgv, timeout }
      const filled = await runProcess<Filled>(script("wait"), [own, String(runs)], options)
      const woken = await runProcess<Woken>(script("wake"), [own, String(runs), String(samples)], options)
      return { filled: filled.value, woken: woken.value }
    }
    const beside = await fill(few)
    const { filled, woken } = await fill(count)
    const title = `${count.toLocaleString("en")} waiting runs`
    const beside_ = `${few.toLocaleString("en")} runs`
    return [
      {
        title: `${title}: memory of the worker that started them`,
        unit: "bytes/run",
        samples: [filled.perRun],
        baselines: [{ name: beside_, samples: [beside.filled.perRun] }]
      },
      {
        title: `${title}: memory of a process that opened the store`,
        unit: "bytes/run",
        samples: [woken.perRun],
        baselines: [{ name: beside_, samples: [beside.woken.perRun] }]
      },
      { title: `${title}: opening in a fresh process`, unit: "ms", samples: [woken.opened], baselines: [] },
      {
        title: `${title}: from a signal to the answer of the run`,
        unit: "ms",
        samples: woken.bySignal,
        baselines: [{ name: beside_, samples: beside.woken.bySignal }],
        goal: { kind: "ratio", atMost: 1.2 }
      },
      {
        title: `${title}: from the time to the next line of the handler`,
        unit: "ms",
        samples: woken.byTimer,
        baselines: [{ name: beside_, samples: beside.woken.byTimer }]
      }
    ]
  }
}

const signal: Case = {
  name: "signal",
  measure: async ({ directory, quick }) => {
    const count = quick ? 100 : 500
    const own = join(directory, "store")
    const engine = inDirectory(own)
    const use = <A, E>(body: (runs: Runs.Runs["Service"]) => Effect.Effect<A, E>): Promise<A> =>
      engine.runPromise(Runs.Runs.use(body))
    const ready = async (kind: string): Promise<void> => {
      for (let i = 0; i < count; i++)
        await use((runs) => runs.start(Waiting, { until: null }, { id: `${kind}-${i}` }))
      await use((runs) =>
        Effect.gen(function* () {
          while ((yield* runs.list({ status: ["pending", "running"], limit: 1 })).runs.length > 0)
            yield* Effect.sleep("10 millis")
        })
      )
    }
    await ready("accepted")
    await ready("applied")
    const accepted: Array<number> = []
    const applied: Array<number> = []
    const raw: Array<number> = []
    for (let i = 0; i < count; i++) {
      const before = bytesIn(own)
      const run = Runs.ref(Waiting, `accepted-${i}`)
      accepted.push(await timed(() => use((runs) => runs.signal(run, "go", i))))
      const bytes = bytesIn(own) - before
      // What the signal leads to is not to be in the way of the next one.
      await use((runs) => runs.await(run))
      const other = Runs.ref(Waiting, `applied-${i}`)
      applied.push(await timed(() => use((runs) => runs.signal(other, "go", i, { until: "applied" }))))
      await use((runs) => runs.await(other))
      raw.push(await appendAndSync(directory, { bytes: Math.max(bytes, 200), writes: 1 }))
    }
    await engine.dispose()
    const rows = (what: string, series: ReadonlyArray<number>) =>
      ([0.5, 0.99] as const).map((share) => ({
        title: `a signal until it is ${what}, p${share * 100}`,
        unit: "ms",
        samples: [percentile(series, share)],
        baselines: [{ name: "raw append and sync", samples: [percentile(raw, share)] }]
      }))
    return [...rows("accepted", accepted), ...rows("applied", applied)]
  }
}

export const cases: ReadonlyArray<Case> = [waiting, signal]
