/**
 * What a command does to a run: the events that say so.
 */
import * as Effect from "effect/Effect"
import type { Json } from "effect/Schema"
import type { Codec, CodecError } from "../../Codec.ts"
import type { Request } from "../../Command.ts"
import { mapValues } from "../../Event.ts"
import type { Body, CommandRef } from "../../Event.ts"
import type { RunState } from "../../RunState.ts"
import type { Received } from "../../Store.ts"
import { hasCompensated, undoneOf } from "../compensation.ts"
import { isHandled } from "../inbox.ts"
import { isTerminal } from "../status.ts"
import { visitsOf } from "../visits.ts"

/** A command as its sender meant it; `problem` says why its values cannot be read. */
export interface Opened extends Received {
  readonly problem?: string
}

/** Applies `f` to the values in a request that the flow's author defined. */
const mapRequest = <E>(
  request: Request,
  f: (value: Json) => Effect.Effect<Json, E>
): Effect.Effect<Request, E> => {
  switch (request.type) {
    case "retry": {
      if (request.edits === undefined) return Effect.succeed(request)
      const body = { kind: "restarted" as const, edits: request.edits }
      return Effect.map(mapValues(body, f), ({ edits }) => ({ ...request, edits }))
    }
    case "settle": {
      if (!("output" in request.as)) return Effect.succeed(request)
      return Effect.map(f(request.as.output), (output) => ({ ...request, as: { output } }))
    }
    case "signal":
      return Effect.map(f(request.payload), (payload) => ({ ...request, payload }))
    case "answer":
      return Effect.map(f(request.value), (value) => ({ ...request, value }))
    default:
      return Effect.succeed(request)
  }
}

/** A request as it is put in an inbox: its values are stored like those in a journal. */
export const seal = (
  codec: Codec | undefined,
  run: string,
  request: Request
): Effect.Effect<Request, CodecError> =>
  codec === undefined ? Effect.succeed(request) : mapRequest(request, (value) => codec.encode(value, run))

/** Commands from an inbox. One that cannot be opened is told apart, so that it does not hold up the others. */
export const open = (
  codec: Codec | undefined,
  commands: ReadonlyArray<Received>
): Effect.Effect<ReadonlyArray<Opened>> =>
  codec === undefined
    ? Effect.succeed(commands)
    : Effect.forEach(commands, (received): Effect.Effect<Opened> => {
        const { command } = received
        return Effect.match(
          mapRequest(command.request, (value) => codec.decode(value, command.run)),
          {
            onSuccess: (request) => ({ ...received, command: { ...command, request } }),
            onFailure: ({ message }) => ({ ...received, problem: message })
          }
        )
      })

const undoing = "the run is undoing its calls, and is about to end"

/** The events that a command amounts to at a checkpoint; `undefined` if it was dealt with already. */
export const carryOut = (
  state: RunState,
  received: Opened
): readonly [Body, ...ReadonlyArray<Body>] | undefined => {
  if (isHandled(state.inbox[received.source], received.position)) return undefined
  const { actor, id, request } = received.command
  const reference: CommandRef = { id, source: received.source, position: received.position }
  const by = actor === undefined ? { command: reference } : { command: reference, actor }
  const ignored = (note: string): readonly [Body] => [{ kind: "commandIgnored", ...by, note }]
  if (received.problem !== undefined) return ignored(received.problem)
  switch (request.type) {
    case "cancel":
      if (isTerminal(state.status)) return ignored(`the run had ${state.status} already`)
      if (state.status === "cancelling") return ignored("the run is being cancelled already")
      if (state.compensating !== undefined) return ignored(undoing)
      return [{ kind: "cancelRequested", ...by, reason: request.reason }]
    case "pause":
      if (isTerminal(state.status)) return ignored(`the run had ${state.status} already`)
      if (state.status === "paused" || state.status === "cancelling")
        return ignored(`the run is ${state.status} already`)
      if (state.compensating !== undefined) return ignored(undoing)
      return [
        {
          kind: "paused",
          ...by,
          reason:
            request.note === undefined ? { kind: "requested" } : { kind: "requested", note: request.note }
        }
      ]
    case "resume":
      return state.status === "paused"
        ? [{ kind: "resumed", ...by }]
        : ignored(`the run is ${state.status}, not paused`)
    case "retry":
      if (isTerminal(state.status) && hasCompensated(state)) {
        if (undoneOf(state).length === 0) return ignored("the run has undone what it did")
        if (request.edits !== undefined)
          return ignored("the run only goes on to undo: there is no state to edit")
      } else if (state.status !== "failed") return ignored(`the run is ${state.status}, not failed`)
      return [
        request.edits === undefined
          ? { kind: "restarted", ...by }
          : { kind: "restarted", ...by, edits: request.edits }
      ]
    case "settle": {
      if (state.compensating !== undefined) return ignored(undoing)
      for (const [branch, { attempt, calls, node, visit }] of visitsOf(state)) {
        for (const [call, { status, tool }] of calls) {
          if (call !== request.call) continue
          if (isTerminal(state.status) || status !== "started") return ignored(`call ${call} is not in doubt`)
          const place = { ...(branch === "" ? undefined : { branch }), node, visit, attempt, call, tool }
          if ("output" in request.as)
            return [{ kind: "callCompleted", ...place, ...by, output: request.as.output }]
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
