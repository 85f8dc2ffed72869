/**
 * Opens a directory to read it and lists the checkpoints of a run, twice.
 */
import * as Runs from "@waymark/core/Runs"
import * as FsStore from "@waymark/store-fs/FsStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { timed } from "../harness/case.ts"
import { report } from "../harness/processes.ts"

/** In milliseconds. */
export interface Listed {
  readonly opened: number
  readonly first: number
  readonly again: number
  readonly count: number
}

const [directory, run, limit] = process.argv.slice(2)
const start = performance.now()
const client = ManagedRuntime.make(
  Runs.layer.pipe(Layer.provide(FsStore.layer({ directory: directory!, readOnly: true })))
)
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
