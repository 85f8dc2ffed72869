/**
 * Executes so many steps of one run in a directory, reports, and waits to be killed.
 */
import * as Runs from "@waymark/core/Runs"
import { inDirectory } from "../engine.ts"
import type { Place } from "../engine.ts"
import { Stopping, stopped } from "../flows.ts"
import { report } from "../harness/processes.ts"

const [directory, run, steps, place] = process.argv.slice(2)
const engine = inDirectory(directory!, place as Place)
await engine.runPromise(Runs.Runs.use((runs) => runs.start(Stopping, { steps: Number(steps) }, { id: run! })))
await report((await stopped).at)
