/**
 * Opens a directory in which many runs wait, with a worker, and wakes some of them one after the other: by signals, and by
 * the time.
 */
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory } from "../engine.ts"
import { Waiting } from "../flows.ts"
import { heapUsed } from "../harness/memory.ts"
import { report } from "../harness/processes.ts"

/** In milliseconds; `perRun` in bytes of the heap of a process that opened the store. */
export interface Woken {
  readonly opened: number
  readonly perRun: number
  /** From sending a signal to the answer of the run that waited for it. */
  readonly bySignal: ReadonlyArray<number>
  /** From the time at which a wait is over to the next line of the handler. */
  readonly byTimer: ReadonlyArray<number>
}

const [directory, count, samples] = process.argv.slice(2)
const before = await heapUsed()
const start = performance.now()
const engine = inDirectory(directory!)
await engine.runPromise(Runs.Runs.use((runs) => runs.list({ limit: 50 })))
const opened = performance.now() - start
const after = await heapUsed()

const bySignal: Array<number> = []
const byTimer: Array<number> = []
for (let i = 0; i < Number(samples); i++) {
  const run = Runs.ref(Waiting, `run-${i}`)
  const sent = performance.now()
  await engine.runPromise(Runs.Runs.use((runs) => Effect.andThen(runs.signal(run, "go", i), runs.await(run))))
  bySignal.push(performance.now() - sent)
  const until = Date.now() + 20
  const woken = await engine.runPromise(Runs.Runs.use((runs) => runs.execute(Waiting, { until })))
  byTimer.push(woken - until)
}
await engine.dispose()
const result: Woken = { opened, perRun: (after - before) / Number(count), bySignal, byTimer }
await report(result)
