/**
 * Fills a directory with runs that wait for a signal, reports what they take in memory, and closes the store.
 */
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory } from "../engine.ts"
import { Waiting } from "../flows.ts"
import { heapUsed } from "../harness/memory.ts"
import { report } from "../harness/processes.ts"

/** In bytes. */
export interface Filled {
  readonly perRun: number
}

const [directory, count] = process.argv.slice(2)
const engine = inDirectory(directory!)
const start = (index: number) =>
  Runs.Runs.use((runs) => runs.start(Waiting, { until: null }, { id: `run-${index}` }))
await engine.runPromise(start(-1))
const before = await heapUsed()
await engine.runPromise(
  Effect.forEach(
    Array.from({ length: Number(count) }, (_, index) => index),
    start,
    { concurrency: 64, discard: true }
  )
)
// The last of them come to rest.
await engine.runPromise(
  Runs.Runs.use((runs) =>
    Effect.gen(function* () {
      while ((yield* runs.list({ status: ["pending", "running"], limit: 1 })).runs.length > 0)
        yield* Effect.sleep("10 millis")
    })
  )
)
const after = await heapUsed()
await engine.dispose()
const filled: Filled = { perRun: (after - before) / Number(count) }
await report(filled)
