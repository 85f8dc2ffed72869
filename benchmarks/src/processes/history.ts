/**
 * Opens a directory to read it and lists the checkpoints of a run, twice.
 */
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { storeIn } from "../engine.ts"
import type { Place } from "../engine.ts"
import { timed } from "../harness/case.ts"
import { report } from "../harness/processes.ts"

/** In milliseconds. */
export interface Listed {
  readonly opened: number
  readonly first: number
  readonly again: number
  readonly count: number
}

const [directory, run, limit, place] = process.argv.slice(2)
const start = performance.now()
const client = ManagedRuntime.make(Runs.layer.pipe(Layer.provide(storeIn(directory!, place as Place, true))))
await client.runPromise(Effect.void)
const opened = performance.now() - start
let count = 0
const list = async (): Promise<void> => {
  const found = await client.runPromise(
    Runs.Runs.use((runs) => runs.history(run!, { limit: Number(limit), order: "oldest" }))
  )
  count = found.length
}
const listed: Listed = { opened, first: await timed(list), again: await timed(list), count }
await client.dispose()
await report(listed)
