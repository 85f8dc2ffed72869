/**
 * Executes many short runs in a directory and reports; then it closes the store, or waits to be killed.
 */
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import { inDirectory } from "../engine.ts"
import type { Place } from "../engine.ts"
import { Chain } from "../flows.ts"
import { report } from "../harness/processes.ts"

const [directory, count, end, place] = process.argv.slice(2)
const engine = inDirectory(directory!, place as Place)
await engine.runPromise(
  Runs.Runs.use((runs) =>
    Effect.forEach(Array.from({ length: Number(count) }), () => runs.execute(Chain, { steps: 5 }), {
      concurrency: 64,
      discard: true
    })
  )
)
if (end === "close") await engine.dispose()
await report(Number(count))
