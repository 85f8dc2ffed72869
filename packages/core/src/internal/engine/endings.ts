/**
 * What goes along with the end of a run: what it has to undo before, and what it tells the run that waits for it.
 */
import type { Request } from "../../Command.ts"
import type { Body } from "../../Event.ts"
import type { RunState } from "../../RunState.ts"
import { isDue } from "../compensation.ts"
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

/** A run that has something to undo does not fail before that is done. */
const undoneFirst = (state: RunState, bodies: Bodies): Bodies =>
  isDue(state)
    ? (bodies.map((body): Body =>
        body.kind === "failed" ? { ...body, kind: "compensating" } : body
      ) as unknown as Bodies)
    : bodies

/** Puts the message before the end, in one batch with it, if the run was started by one that waits for it. */
const announced = (state: RunState, bodies: Bodies): Bodies => {
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

const isEnd = ({ kind }: Body): boolean => kind === "completed" || kind === "failed" || kind === "cancelled"

/** The events that are appended for those that somebody decided on: most are no end, and stay as they are. */
export const entailed = (state: RunState, bodies: Bodies): Bodies =>
  bodies.some(isEnd) ? announced(state, undoneFirst(state, bodies)) : bodies
