/**
 * Calls of which nobody knows whether they took effect, and that somebody has to decide on.
 */
import * as Effect from "effect/Effect"
import type { Json } from "effect/Schema"
import type { ReadError, RunLike, Runs } from "../../Runs.ts"
import type { Call, RunState } from "../../RunState.ts"
import { corrupt, eventAt } from "../engine/reader.ts"
import { visitsOf } from "../visits.ts"
import { idOf, Service } from "./client.ts"

/**
 * An at-most-once call of which nobody knows whether it took effect.
 *
 * - `call`: the name that `Runs.settle` and `Runs.retry` take
 * - `branch`, `node`, `visit`: where it was made; `seq`: the position of its `callStarted`
 * - `key`: its idempotency key, by which the other system may know it
 * - `input`: as the tool's schema encodes it
 * - `time`: when it was begun (milliseconds)
 *
 * @category models
 * @since 0.1.0
 */
export interface CallInDoubt {
  readonly call: string
  readonly tool: string
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly seq: number
  readonly key: string
  readonly input: Json
  readonly time: number
}

/** Whether a run that failed does not make the call again until somebody says what became of it. */
const isUndecided = ({ error, undecided }: Call): boolean =>
  undecided === true || (error?.kind === "inDoubt" && error.undecided === true)

const placesOf = (state: RunState): ReadonlyArray<Pick<CallInDoubt, "call" | "branch" | "seq">> => {
  const { pause, status } = state
  const isMeant = (call: string, made: Call): boolean =>
    status === "failed" ? isUndecided(made) : pause?.kind === "inDoubt" && pause.call === call
  return [...visitsOf(state)].flatMap(([branch, { calls }]) =>
    [...calls].flatMap(([call, made]) => (isMeant(call, made) ? [{ call, branch, seq: made.seq }] : []))
  )
}

/**
 * The calls that keep a run from going on until somebody says what became of them: of a paused run with `Runs.settle`, of a
 * failed one with `Runs.retry`. Most runs have none.
 *
 * @category history
 * @since 0.1.0
 */
export const callsInDoubt = (run: RunLike): Effect.Effect<ReadonlyArray<CallInDoubt>, ReadError, Runs> =>
  Service.use(({ client, stateAt }) =>
    Effect.gen(function* () {
      const id = idOf(run)
      const state = yield* Effect.catchTag(stateAt(run), "InvalidCheckpoint", Effect.die)
      return yield* Effect.forEach(placesOf(state), ({ seq, ...place }) =>
        Effect.gen(function* () {
          const event = yield* eventAt(client, id, seq)
          if (event.kind !== "callStarted") {
            return yield* corrupt("read", id, seq, `call ${place.call} does not begin here`)
          }
          const { input, key, node, time, tool, visit } = event
          return { ...place, tool, node, visit, seq, key, input, time }
        })
      )
    })
  )
