/**
 * What a worker leaves when it dies, where its client finds it.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs"
import type { LastError } from "../../WorkerProtocol.ts"
import { ExitCode } from "../../ExitCode.ts"

/** The file beside a socket. */
export const fileBeside = (socket: string): string => `${socket}.error.json`

let file: string | undefined
let isWorker = false

/** From now on this process is a worker: what ends it is left on standard error and, if there is one, in a file. */
export const begin = (beside: string | undefined): void => {
  isWorker = true
  file = beside
  if (file !== undefined) rmSync(file, { force: true })
  process.on("uncaughtException", (error: unknown) => {
    const isError = error instanceof Error
    leave({
      tag: isError ? error.name : "Error",
      message: isError ? error.message : String(error),
      exitCode: ExitCode.unexpected,
      ...(isError && error.stack !== undefined ? { stack: error.stack } : undefined)
    })
    process.exit(ExitCode.unexpected)
  })
}

/** Whether this process is a worker. */
export const hasBegun = (): boolean => isWorker

/** Leaves it, before the process ends: nothing that takes another turn of the event loop would be done any more. */
export const leave = (error: LastError): void => {
  const line = JSON.stringify({ error })
  process.stderr.write(`${line}\n`)
  if (file === undefined) return
  // Whoever looks for it finds all of it or nothing.
  writeFileSync(`${file}.tmp`, `${line}\n`)
  renameSync(`${file}.tmp`, file)
}
