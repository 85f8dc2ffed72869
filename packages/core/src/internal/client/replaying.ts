/**
 * Replaying a run: apart from the client itself, since it needs what executes handlers.
 */
import * as Effect from "effect/Effect"
import type * as Flow from "../../Flow.ts"
import type { InvalidCheckpoint, InvalidValue } from "../../RunError.ts"
import type { ReadError, Run, Runs } from "../../Runs.ts"
import * as Replay from "../engine/replay.ts"
import { Service } from "./client.ts"

/**
 * What a replay found: how many executions of handlers were compared, and the first thing that was not as recorded.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplayReport = Replay.Report

/**
 * Executes the handlers of a run again, against the recorded results of its tools: no tool is called and nothing is
 * written. It stops at the first thing that is not as recorded. With `from`, what had ended after the event of that
 * position is taken as it is recorded: it begins with the visits that were open then.
 *
 * @category checking
 * @since 0.1.0
 */
export const replay = <F extends Flow.Any>(
  run: Run<F>,
  options?: { readonly from?: number | undefined }
): Effect.Effect<ReplayReport, ReadError | InvalidCheckpoint | InvalidValue, Runs | Flow.Handlers<F["id"]>> =>
  Service.use(({ client, stateAt }) => {
    const from = options?.from
    return Effect.flatMap(from === undefined ? Effect.undefined : stateAt(run, from), (state) =>
      Replay.replay(client, client.clock, run.flow, run.id, state)
    )
  })
