/**
 * Positions in a journal that a person or a program may want to go back to.
 *
 * @since 0.1.0
 */
import type { Kind } from "./Event.ts"

/**
 * A position in a run's journal at which it can be looked at, continued or forked.
 *
 * - `kind`: what happened there; `node`, `visit` and `attempt` say where
 * - `status`: that of the visit, where a visit ended
 * - `actor`, `command`: who asked for it, and the id of the command by which they did
 *
 * @category models
 * @since 0.1.0
 */
export interface Checkpoint {
  readonly run: string
  readonly seq: number
  readonly time: number
  readonly kind: Kind
  readonly branch?: string
  readonly node?: string
  readonly visit?: number
  readonly attempt?: number
  readonly status?: "completed" | "failed" | "tolerated" | "skipped"
  readonly actor?: string
  readonly command?: string
}

/**
 * Which checkpoints to list. All conditions must hold, and `limit` counts those for which they do.
 *
 * - `limit`: at most so many, 100 unless said otherwise: a whole number from 0, or `Number.POSITIVE_INFINITY` for all
 * - `order`: newest first unless said otherwise
 * - `before`, `after`: only those before or after a position: for the next page, that of the last one seen
 * - `node`: only those of visits of this node
 * - `kind`: only what happened as events of this kind, or of one of these kinds, whichever they are. Unless it is given,
 *   those after which the run stood somewhere else: tool calls, notes and the like are left out
 * - `branch`: only those of this branch; `""` for what belongs to none
 * - `since`, `until`: only what happened from one time on and before another, in milliseconds since 1970
 *
 * @category models
 * @since 0.1.0
 */
export interface HistoryOptions {
  readonly limit?: number | undefined
  readonly order?: "newest" | "oldest" | undefined
  readonly before?: number | undefined
  readonly after?: number | undefined
  readonly node?: string | undefined
  readonly kind?: Kind | ReadonlyArray<Kind> | undefined
  readonly branch?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
}
