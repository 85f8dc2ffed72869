/**
 * What is different between two states.
 */
import * as Effect from "effect/Effect"
import * as JsonPatch from "effect/JsonPatch"
import type { InvalidCheckpoint } from "../../RunError.ts"
import { stateOf } from "../../RunState.ts"
import type { ReadError, RunLike, Runs } from "../../Runs.ts"
import { Service } from "./client.ts"

/**
 * A position in the journal of a run: that of its last event, unless given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Position {
  readonly run: RunLike
  readonly seq?: number | undefined
}

/**
 * The JSON Patch (RFC 6902) that makes the state at `b` of that at `a`: of one run, of a run and its fork, of any two. Both
 * are as they are stored, with their keys in order. Lists are compared item by item, from the first on.
 *
 * @category history
 * @since 0.1.0
 */
export const diff = (
  a: Position,
  b: Position
): Effect.Effect<JsonPatch.JsonPatch, ReadError | InvalidCheckpoint, Runs> =>
  Service.use(({ stateAt }) =>
    Effect.map(Effect.all([stateAt(a.run, a.seq), stateAt(b.run, b.seq)]), ([before, after]) =>
      JsonPatch.get(stateOf(before), stateOf(after))
    )
  )
