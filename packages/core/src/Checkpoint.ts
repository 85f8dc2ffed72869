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
}

/**
 * Which checkpoints to list: at most `limit` (100 unless said otherwise), newest first unless said otherwise, and only
 * those before or after a position.
 *
 * @category models
 * @since 0.1.0
 */
export interface HistoryOptions {
  readonly limit?: number | undefined
  readonly order?: "newest" | "oldest" | undefined
  readonly before?: number | undefined
  readonly after?: number | undefined
}
