// Executes the runs of a workspace until it is stopped: `node --conditions=@waymark/source e2e/worker.ts <workspace>`.
import { resolve } from "node:path"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer } from "effect"
import { worker } from "./flows.ts"

const directory = resolve(process.argv[2] ?? ".", ".waymark")
const work = worker(FsStore.layer({ directory }))
// Whoever started it waits for this line.
const ready = Layer.effectDiscard(Effect.sync(() => process.stdout.write("ready\n")))
const fiber = Effect.runFork(Layer.launch(Layer.provide(ready, work)))
process.on("SIGTERM", () => {
  fiber.interruptUnsafe()
  fiber.addObserver(() => process.exit(0))
})
