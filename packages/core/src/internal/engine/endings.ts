/**
 * What a run tells the run that waits for its end.
 */
import type { Request } from "../../Command.ts"
import type { Body } from "../../Event.ts"
import type { RunState } from "../../RunState.ts"
import type { Bodies } from "./writer.ts"

export type Ended = Extract<Request, { readonly type: "ended" }>
/** How a run ended, for whoever waits for it. */
export type Outcome = Ended["outcome"]

/** The message by which a run tells its end; it may end once more after each restart. */
export const messageOf = (run: string, restarts: number): string => `${run}:ended:${restarts}`

const outcomeOf = (run: string, body: Body): Outcome | undefined => {
  switch (body.kind) {
    case "completed":
      return { value: body.output }
    case "failed":
      return { failure: body.error }
    case "cancelled":
      return { failure: { kind: "cancelled", run, reason: body.reason } }
    default:
      return undefined
  }
}

/** Puts the message before the end, in one batch with it, if the run was started by one that waits for it. */
export const announced = (state: RunState, bodies: Bodies): Bodies => {
  const { parent, restarts, run } = state
  if (parent?.wait === undefined) return bodies
  const all: Array<Body> = []
  for (const body of bodies) {
    const outcome = outcomeOf(run, body)
    if (outcome !== undefined) {
      const ended: Ended = { type: "ended", run, wait: parent.wait, outcome }
      all.push({ kind: "sent", to: parent.run, message: messageOf(run, restarts), body: ended as any })
    }
    all.push(body)
  }
  return all as unknown as Bodies
}
