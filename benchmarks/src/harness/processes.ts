/**
 * Processes that measure something and send home what they found.
 */
import { fork } from "node:child_process"

/** How a process ended, and what it reported before. */
export interface Ended<A> {
  readonly value: A
  /** Milliseconds from starting the process to its report. */
  readonly took: number
}

export interface Options {
  readonly execArgv: ReadonlyArray<string>
  /** Longer than it should take, in milliseconds. */
  readonly timeout: number
  /** So long after its report the process is killed, in milliseconds; otherwise it has to end by itself. */
  readonly killAfter?: number
}

/** Runs a script that ends with {@link report}, or is to be killed after it. */
export const runProcess = <A>(
  script: string,
  args: ReadonlyArray<string>,
  { execArgv, killAfter, timeout }: Options
): Promise<Ended<A>> =>
  new Promise((done, failed) => {
    const start = performance.now()
    const child = fork(script, [...args], { execArgv: [...execArgv], timeout, killSignal: "SIGKILL" })
    let ended: Ended<A> | undefined
    child.on("message", (value) => {
      ended = { value: value as A, took: performance.now() - start }
      if (killAfter !== undefined) setTimeout(() => child.kill("SIGKILL"), killAfter)
    })
    child.on("error", failed)
    child.on("exit", (code, signal) => {
      const expected = killAfter === undefined ? code === 0 : signal === "SIGKILL"
      if (expected && ended !== undefined) done(ended)
      else failed(new Error(`${[script, ...args].join(" ")} ended with ${signal ?? `code ${code}`}`))
    })
  })

/** Sends a result to the process that started this one, and lets this one end. */
export const report = async (value: unknown): Promise<void> => {
  await new Promise<void>((done, failed) => {
    if (process.send === undefined)
      failed(new Error("this is started by another process, which it reports to"))
    else process.send(value, undefined, undefined, (error) => (error === null ? done() : failed(error)))
  })
  process.disconnect()
}
