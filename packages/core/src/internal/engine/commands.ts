/**
 * What a command does to a run: the events that say so.
 */
import type { Body, CommandRef } from "../../Event.ts"
import type { RunState } from "../../RunState.ts"
import type { Received } from "../../Store.ts"
import { isHandled } from "../inbox.ts"
import { isTerminal } from "../status.ts"

/** The events that a command amounts to at a checkpoint; `undefined` if it was dealt with already. */
export const carryOut = (state: RunState, received: Received): readonly [Body, ...ReadonlyArray<Body>] | undefined => {
  if (isHandled(state.inbox[received.source], received.position)) return undefined
  const { actor, id, request } = received.command
  const reference: CommandRef = { id, source: received.source, position: received.position }
  const by = actor === undefined ? { command: reference } : { command: reference, actor }
  const ignored = (note: string): readonly [Body] => [{ kind: "commandIgnored", ...by, note }]
  switch (request.type) {
    case "cancel":
      if (isTerminal(state.status)) return ignored(`the run had ${state.status} already`)
      if (state.status === "cancelling") return ignored("the run is being cancelled already")
      return [{ kind: "cancelRequested", ...by, reason: request.reason }]
    case "pause":
      if (isTerminal(state.status)) return ignored(`the run had ${state.status} already`)
      if (state.status === "paused" || state.status === "cancelling") return ignored(`the run is ${state.status} already`)
      return [
        {
          kind: "paused",
          ...by,
          reason: request.note === undefined ? { kind: "requested" } : { kind: "requested", note: request.note }
        }
      ]
    case "resume":
      return state.status === "paused" ? [{ kind: "resumed", ...by }] : ignored(`the run is ${state.status}, not paused`)
    case "retry":
      if (state.status !== "failed") return ignored(`the run is ${state.status}, not failed`)
      return [request.edits === undefined ? { kind: "restarted", ...by } : { kind: "restarted", ...by, edits: request.edits }]
    case "settle": {
      for (const branch of Object.keys(state.open)) {
        const { attempt, calls, node, visit } = state.open[branch]!
        for (const [call, { status, tool }] of calls) {
          if (call !== request.call) continue
          if (isTerminal(state.status) || status !== "started") return ignored(`call ${call} is not in doubt`)
          const place = { ...(branch === "" ? undefined : { branch }), node, visit, attempt, call, tool }
          if ("output" in request.as) return [{ kind: "callCompleted", ...place, ...by, output: request.as.output }]
          if ("again" in request.as) return [{ kind: "callReleased", ...place, ...by }]
          return [{ kind: "callFailed", ...place, ...by, error: { kind: "inDoubt", tool, call } }]
        }
      }
      return ignored(`no open visit has a call ${request.call}`)
    }
    case "signal":
    case "answer":
      return ignored("nothing waits for it")
  }
}
