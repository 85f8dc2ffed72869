/**
 * What goes along with what happens to a run: what it has to undo before it fails, what it tells the run that waits for
 * its end, and that the runs that branches waited for which are given up are not to be done any more.
 */
import * as HashMap from "effect/HashMap"
import type { Request } from "../../Command.ts"
import type { Body } from "../../Event.ts"
import type { RunState } from "../../RunState.ts"
import { fanOutId } from "../branch.ts"
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

/** The fan-out of which branches are given up. */
const givenUp = (body: Body): string | undefined => {
  if (body.kind === "joined") return body.dropped === undefined ? undefined : body.fanOut
  if (body.kind !== "branchFailed" || body.dropped === undefined) return undefined
  return fanOutId(body.branch ?? "", body.visit)
}

/** Whoever waited for these runs is gone for good, also if the run is retried. */
const cancelling = ({ run, seq, waits }: RunState, fanOut: string): ReadonlyArray<Body> => {
  const bodies: Array<Body> = []
  for (const [wait, { branch, on }] of waits) {
    if (on.type !== "run" || !branch.startsWith(`${fanOut}.`)) continue
    const reason = `branch ${branch} of run ${run}, which waits for it, was given up`
    bodies.push({
      kind: "sent",
      to: on.run,
      message: `${on.run}:cancel:${seq}`,
      body: { type: "cancel", wait, reason }
    })
  }
  return bodies
}

/** Puts the messages before what they tell of, in one batch with it. */
const announced = (state: RunState, bodies: Bodies): Bodies => {
  const { parent, restarts, run, waits } = state
  if (parent?.wait === undefined && HashMap.isEmpty(waits)) return bodies
  const all: Array<Body> = []
  for (const body of bodies) {
    const fanOut = givenUp(body)
    if (fanOut !== undefined) all.push(...cancelling(state, fanOut))
    const outcome = parent?.wait === undefined ? undefined : outcomeOf(run, body)
    if (outcome !== undefined) {
      const ended: Ended = { type: "ended", run, wait: parent!.wait!, outcome }
      all.push({ kind: "sent", to: parent!.run, message: messageOf(run, restarts), body: ended as any })
    }
    all.push(body)
  }
  return all as unknown as Bodies
}

/** Whether something may go along with it: with an end, and with what gives up branches. */
const isTold = ({ kind }: Body): boolean =>
  kind === "completed" ||
  kind === "failed" ||
  kind === "cancelled" ||
  kind === "joined" ||
  kind === "branchFailed"

/** The events that are appended for those that somebody decided on: most entail nothing, and stay as they are. */
export const entailed = (state: RunState, bodies: Bodies): Bodies =>
  bodies.some(isTold) ? announced(state, undoneFirst(state, bodies)) : bodies
