/**
 * What a worker gives to all its executions.
 */
import type { NodeMiddleware, ToolMiddleware } from "../../Middleware.ts"
import type { ToolExecutor } from "../../ToolExecutor.ts"
import type * as Deadlines from "./deadlines.ts"
import type * as Grace from "./grace.ts"
import type { Starter } from "./pool.ts"
import type { Journals } from "./reader.ts"

/** What all executions of a worker share. */
export interface Environment extends Journals, Grace.Options {
  readonly deadlines: Deadlines.Deadlines
  readonly places: Places
  readonly executor: ToolExecutor
  readonly nodeMiddlewares: ReadonlyArray<NodeMiddleware>
  readonly toolMiddlewares: ReadonlyArray<ToolMiddleware>
  readonly traced: boolean
  /** Nothing sleeps for longer without a look at the clock, in milliseconds: it may be set. */
  readonly lookInterval: number
  /** How long the fiber of a visit that waits is kept, in milliseconds. */
  readonly keepWaiting: number
  /** Executes what runs start, as far as the worker can. */
  readonly starter?: Starter | undefined
}

/** The places of a worker: so many runs execute something at once. Each execution begins with one. */
export interface Places {
  /** The run executes nothing for a while: another one may have its place. */
  readonly leave: (run: string) => void
  /** It has to go on: `granted` is called when it has a place, perhaps at once. */
  readonly ask: (run: string, granted: () => void) => void
}
