/**
 * Automatic restarts: a run that would fail goes on from the node that failed, a limited number of times.
 */
import * as Effect from "effect/Effect"
import type { Body, Failure } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { RunState } from "../../RunState.ts"
import * as Failures from "./failure.ts"
import * as Retry from "./retry.ts"

/** Whether trying again may help: not after limits, for values that do not fit, or where nobody knows what happened. */
const isRestartable = (error: Failure): boolean =>
  error.kind === "error" ||
  error.kind === "defect" ||
  error.kind === "interrupted" ||
  (error.kind === "timeout" && error.what === "node")

const isFatal = ({ fatal }: Flow.Restart, error: unknown): boolean =>
  fatal !== undefined && (typeof fatal === "function" ? fatal(error) : fatal.includes(Failures.tagOf(error)))

export type Restart = (
  state: RunState,
  started: number,
  now: number,
  bodies: ReadonlyArray<Body>
) => Effect.Effect<ReadonlyArray<Body>>

/** For one execution: what the events of a failed visit become if its run is restarted. */
export const make = ({ error: schema, nodes, restart }: Flow.Any): Restart => {
  if (restart === undefined) return (_state, _started, _now, bodies) => Effect.succeed(bodies)
  const policy = restart.schedule && Retry.make(restart.schedule)
  return (state, started, now, bodies) => {
    const [body] = bodies
    const before = state.autoRestarts ?? []
    if (
      body?.kind !== "failed" ||
      body.node === undefined ||
      before.length >= restart.max ||
      !isRestartable(body.error)
    ) {
      return Effect.succeed(bodies)
    }
    const { attempt, branch, error, node, visit } = body
    // In the order in which the failure of a run is encoded.
    const schemas = [schema, nodes[node]!.error]
    return Effect.gen(function* (): Effect.fn.Return<ReadonlyArray<Body>> {
      const value = Failures.valueOf(Failures.load(error, schemas))
      if (isFatal(restart, value)) return bodies
      const delay =
        policy === undefined
          ? 0
          : yield* Retry.delayAfter(policy, before, schemas, { time: now, error: value })
      if (delay === undefined) return bodies
      const place = {
        ...(branch === undefined ? undefined : { branch }),
        node,
        visit: visit!,
        attempt: attempt!
      }
      return [{ kind: "attemptFailed", ...place, started, error, due: now + delay, restart: true }]
    }).pipe(
      // What decides about restarts broke.
      Effect.catchDefect((defect) =>
        Effect.succeed([{ ...body, error: Failures.store({ _tag: "Defect", defect }, []) }])
      )
    )
  }
}
