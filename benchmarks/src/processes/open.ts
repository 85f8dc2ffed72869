/**
 * Opens a directory with a worker, lists the newest runs, and closes it.
 */
import * as Runs from "@waymark/core/Runs"
import { inDirectory } from "../engine.ts"
import type { Place } from "../engine.ts"
import { report } from "../harness/processes.ts"

/** In milliseconds; `runs` is how many were listed. */
export interface Opened {
  readonly listed: number
  readonly runs: number
}

const [directory, place] = process.argv.slice(2)
const start = performance.now()
const engine = inDirectory(directory!, place as Place)
const page = await engine.runPromise(Runs.Runs.use((runs) => runs.list({ limit: 50 })))
const opened: Opened = { listed: performance.now() - start, runs: page.runs.length }
await engine.dispose()
await report(opened)
