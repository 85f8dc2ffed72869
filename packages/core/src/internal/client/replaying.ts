/**
 * Replaying a run: apart from the client itself, since it needs what executes handlers.
 */
import * as Effect from "effect/Effect"
import type * as Flow from "../../Flow.ts"
import { InvalidValue } from "../../RunError.ts"
import type { InvalidCheckpoint } from "../../RunError.ts"
import type { ReadError, Run, Runs } from "../../Runs.ts"
import { isCount } from "../definition/count.ts"
import * as Replay from "../engine/replay.ts"
import { Service } from "./client.ts"

export type { Divergence } from "../engine/replay.ts"

/**
 * What a replay found: how many executions of handlers were compared, and what was not as recorded: nothing, if
 * `divergences` is empty.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplayReport = Replay.Report

/**
 * Executes the handlers of a run again, against the recorded results of its tools: no tool is called and nothing is
 * written. Each execution begins with what is recorded before it, so what follows a divergence is compared as if there had
 * been none. An execution has to ask for every call and every wait that is recorded, and come to what is recorded. What the
 * flow as it is now cannot execute, because a node is gone or a channel has another schema, is a divergence, too.
 *
 * - `from`: what had ended after the event of that position is taken as it is recorded; it begins with the visits that
 *   were open then
 * - `most`: it ends when it has found so many divergences: the first one, unless given. A whole number from 1, or
 *   `Number.POSITIVE_INFINITY` for all
 *
 * @category checking
 * @since 0.1.0
 */
export const replay = <F extends Flow.Any>(
  run: Run<F>,
  options: { readonly from?: number | undefined; readonly most?: number | undefined } = {}
): Effect.Effect<
  ReplayReport,
  ReadError | InvalidCheckpoint | InvalidValue,
  Runs | Flow.Handlers<F["id"]>
> => {
  const { from, most = 1 } = options
  if (most !== Number.POSITIVE_INFINITY && !isCount(most, 1)) {
    const detail = `it is ${most}; it must be a whole number from 1, or Number.POSITIVE_INFINITY`
    return Effect.fail(new InvalidValue({ what: "the option `most` of a replay", detail }))
  }
  return Service.use(({ client, stateAt }) =>
    Effect.flatMap(from === undefined ? Effect.undefined : stateAt(run, from), (state) =>
      Replay.replay(client, client.clock, run.flow, run.id, state, most)
    )
  )
}
