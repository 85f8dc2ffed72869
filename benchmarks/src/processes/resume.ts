/**
 * Opens a directory and takes up what is unfinished there; reports when the first step begins, and waits to be killed.
 */
import * as Effect from "effect/Effect"
import { inDirectory } from "../engine.ts"
import type { Place } from "../engine.ts"
import { stopped } from "../flows.ts"
import { report } from "../harness/processes.ts"

/** In milliseconds; `behind` is in steps. */
export interface Resumed {
  readonly opened: number
  readonly resumed: number
  /** Before opening: starting Node and loading the code. */
  readonly loaded: number
  readonly behind: number
}

const [directory, place] = process.argv.slice(2)
const start = performance.now()
const engine = inDirectory(directory!, place as Place)
await engine.runPromise(Effect.void)
const opened = performance.now() - start
const { at, time } = await stopped
const resumed: Resumed = { opened, resumed: time - start, loaded: start, behind: at }
await report(resumed)
