/**
 * What a command does to a run: the events that say so.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type { Codec, CodecError } from "../../Codec.ts"
import type { Request, Settlement } from "../../Command.ts"
import { mapValues } from "../../Event.ts"
import type { Body, CommandRef, RefusalReason } from "../../Event.ts"
import type { Call, RunState } from "../../RunState.ts"
import type { Received } from "../../Store.ts"
import { fewOf } from "../definition/quoted.ts"
import { hasCompensated, undoneOf } from "../compensation.ts"
import { isHandled } from "../inbox.ts"
import type { Mutable } from "../record.ts"
import { isTerminal } from "../status.ts"
import { staysInDoubt, visitsOf } from "../visits.ts"
import { isChoice } from "./waits.ts"
import * as WaitSchemas from "./waitSchemas.ts"
import * as Waking from "./waking.ts"

/** A command as its sender meant it; `problem` says why it cannot be carried out, whatever the run does. */
export interface Opened extends Received {
  readonly problem?: Parameters<Ignored>
}

const mapSettlement = <E>(
  as: Settlement,
  f: (value: Json) => Effect.Effect<Json, E>
): Effect.Effect<Settlement, E> =>
  "output" in as ? Effect.map(f(as.output), (output) => ({ output })) : Effect.succeed(as)

/** Applies `f` to the values in a request that the flow's author defined. */
const mapRequest = <E>(
  request: Request,
  f: (value: Json) => Effect.Effect<Json, E>
): Effect.Effect<Request, E> => {
  switch (request.type) {
    case "retry":
      return Effect.gen(function* () {
        const { edits, settle } = request
        const mapped: Mutable<typeof request> = { ...request }
        if (edits !== undefined) {
          mapped.edits = (yield* mapValues({ kind: "restarted" as const, edits }, f)).edits
        }
        if (settle !== undefined) {
          const calls = Object.entries(settle).map(([call, as]) => [call, mapSettlement(as, f)] as const)
          mapped.settle = yield* Effect.all(Object.fromEntries(calls))
        }
        return mapped
      })
    case "settle":
      return Effect.map(mapSettlement(request.as, f), (as) => ({ ...request, as }))
    case "annotate":
      return request.data === undefined
        ? Effect.succeed(request)
        : Effect.map(f(request.data), (data) => ({ ...request, data }))
    case "signal":
      return Effect.map(f(request.payload), (payload) => ({ ...request, payload }))
    case "answer":
      return Effect.map(f(request.value), (value) => ({ ...request, value }))
    case "finish": {
      if (!("value" in request.as)) return Effect.succeed(request)
      return Effect.map(f(request.as.value), (value) => ({ ...request, as: { value } }))
    }
    case "ended": {
      const { outcome } = request
      return "value" in outcome
        ? Effect.map(f(outcome.value), (value) => ({ ...request, outcome: { value } }))
        : Effect.map(mapValues({ kind: "failed" as const, error: outcome.failure }, f), ({ error }) => ({
            ...request,
            outcome: { failure: error }
          }))
    }
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
            onFailure: ({ message }): Opened => ({ ...received, problem: ["unreadable", message] })
          }
        )
      })

const undoing = "the run is undoing its calls, and is about to end"

type Bodies = readonly [Body, ...ReadonlyArray<Body>]
type Ignored = (reason: RefusalReason, note: string) => Bodies

type Settled = Extract<Body, { readonly kind: "callCompleted" | "callFailed" | "callReleased" }>

/**
 * The event that says what became of a call that is in doubt in an open visit, or will be in its next attempt; or why
 * there is none.
 */
const settlement = (
  state: RunState,
  id: string,
  as: Settlement,
  next: boolean
): { readonly body: Settled } | { readonly problem: string } => {
  const isInDoubt = (call: Call) => (next ? staysInDoubt(call) : call.status === "started")
  let problem: string | undefined
  for (const [branch, { attempt, calls, node, visit }] of visitsOf(state)) {
    const call: Call | undefined = Option.getOrUndefined(HashMap.get(calls, id))
    if (call === undefined) continue
    problem = `call ${id} is not in doubt`
    if (!isInDoubt(call)) continue
    const { tool } = call
    const place = {
      ...(branch === "" ? undefined : { branch }),
      node,
      visit,
      attempt: attempt + (next ? 1 : 0),
      call: id,
      tool
    }
    return {
      body:
        "output" in as
          ? { kind: "callCompleted", ...place, output: as.output }
          : "again" in as
            ? { kind: "callReleased", ...place }
            : { kind: "callFailed", ...place, error: { kind: "inDoubt", tool, call: id } }
    }
  }
  if (problem !== undefined) return { problem }
  const inDoubt = [...visitsOf(state)].flatMap(([, { calls }]) =>
    [...calls].flatMap(([call, made]) => (isInDoubt(made) ? [call] : []))
  )
  const which = inDoubt.length === 0 ? "" : `; in doubt: ${fewOf(inDoubt)}`
  return { problem: `no open visit has a call ${id}${which}` }
}

/** The events that a command amounts to at a checkpoint; `undefined` if it was dealt with already. */
export const carryOut = (
  state: RunState,
  received: Opened,
  problemFor: WaitSchemas.Problem = WaitSchemas.recorded
): readonly [Body, ...ReadonlyArray<Body>] | undefined => {
  if (isHandled(state.inbox[received.source], received.position)) return undefined
  const { id, request } = received.command
  const sender = Waking.senderOf(received.command)
  const reference: CommandRef = { id, source: received.source, position: received.position }
  const by: Waking.By = { command: reference, ...sender }
  const ignored: Ignored = (reason, note) => [{ kind: "commandIgnored", ...by, reason, note }]
  const ended = (): Bodies => ignored("ended", `the run had ${state.status} already`)
  if (received.problem !== undefined) return ignored(...received.problem)
  switch (request.type) {
    case "cancel":
      if (isTerminal(state.status)) return ended()
      if (state.status === "cancelling") return ignored("ending", "the run is being cancelled already")
      if (state.compensating !== undefined) return ignored("ending", undoing)
      return [{ kind: "cancelRequested", ...by, reason: request.reason }]
    case "pause":
      if (isTerminal(state.status)) return ended()
      if (state.status === "paused" || state.status === "cancelling")
        return ignored("status", `the run is ${state.status} already`)
      if (state.compensating !== undefined) return ignored("ending", undoing)
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
        : isTerminal(state.status)
          ? ended()
          : ignored("status", `the run is ${state.status}, not paused`)
    case "retry": {
      if (isTerminal(state.status) && hasCompensated(state)) {
        if (undoneOf(state).length === 0) return ignored("ended", "the run has undone what it did")
        if (request.edits !== undefined)
          return ignored("ending", "the run only goes on to undo: there is no state to edit")
      } else if (state.status !== "failed") return ignored("status", `the run is ${state.status}, not failed`)
      const settled: Array<Body> = []
      for (const call of Object.keys(request.settle ?? {})) {
        const told = settlement(state, call, request.settle![call]!, true)
        if ("problem" in told) return ignored("notInDoubt", told.problem)
        // The command is answered by the event before it; who decided stands in each.
        settled.push({ ...told.body, ...sender })
      }
      const { edits, limits } = request
      return [
        { kind: "restarted", ...by, ...(edits === undefined ? undefined : { edits }) },
        ...settled,
        // The command is dealt with by the event before it.
        ...(limits === undefined ? [] : [{ kind: "limitsChanged" as const, ...sender, ...limits }])
      ]
    }
    case "limits":
      if (isTerminal(state.status)) return ended()
      return [{ kind: "limitsChanged", ...by, ...request.limits }]
    case "settle": {
      if (state.compensating !== undefined) return ignored("ending", undoing)
      if (isTerminal(state.status)) return ended()
      const told = settlement(state, request.call, request.as, false)
      return "problem" in told ? ignored("notInDoubt", told.problem) : [{ ...told.body, ...by }]
    }
    case "annotate": {
      const { type: _, ...note } = request
      return [{ kind: "annotated", ...by, ...note }]
    }
    case "bookmark": {
      const { type: _, ...bookmark } = request
      return bookmark.at > state.seq
        ? ignored("unknown", `the journal ends at seq ${state.seq}, before seq ${bookmark.at}`)
        : [{ kind: "bookmarked", ...by, ...bookmark }]
    }
    case "signal":
      return signalled(state, request, by, problemFor) ?? ignored(...unwanted(state, request, problemFor))
    case "answer":
      return endNamed(state, "user", request.wait, request.value, by, ignored, problemFor)
    case "finish":
      return endNamed(state, "job", request.job, request.as, by, ignored, problemFor)
    case "ended": {
      const { outcome, run, wait } = request
      return isTerminal(state.status) || !Waking.isForRun(state, wait, run)
        ? ignored("nothingWaits", `nothing waits for run ${run}`)
        : Waking.end(state, wait, outcome, by)
    }
  }
}

/** Whether a command may end a wait: it is carried out at once, whatever else is executed. */
export const isForWait = ({ command: { request } }: Received): boolean =>
  request.type === "signal" ||
  request.type === "answer" ||
  request.type === "finish" ||
  request.type === "ended"

type Signal = Extract<Request, { type: "signal" }>

/** How many signals a run keeps. */
const keptSignals = 1000

/** The signal ends the wait that was opened first of those that it is meant for, or is kept. */
const signalled = (
  state: RunState,
  signal: Signal,
  by: Waking.By,
  problemFor: WaitSchemas.Problem
): Bodies | undefined => {
  if (isTerminal(state.status) || state.status === "cancelling") return undefined
  const meant = Waking.meantBy(state, signal)
  for (const [id, wait] of meant) {
    if (problemFor(state, wait, signal.payload) === undefined)
      return Waking.end(state, id, { value: signal.payload }, by)
  }
  const isKept = meant.length === 0 && state.keeps?.includes(signal.name) === true
  if (!isKept || state.signals.length >= keptSignals) return undefined
  const { key, name, payload } = signal
  return [{ kind: "signalled", ...by, name, ...(key === undefined ? undefined : { key }), payload }]
}

/** Why a signal comes to nothing. */
const unwanted = (
  state: RunState,
  signal: Signal,
  problemFor: WaitSchemas.Problem
): readonly [reason: RefusalReason, note: string] => {
  const over = overOf(state)
  if (over !== undefined) return over
  const [first] = Waking.meantBy(state, signal)
  if (first !== undefined) {
    const problem = problemFor(state, first[1], signal.payload)
    return ["doesNotFit", `its payload is not what is waited for: ${problem}`]
  }
  if (state.keeps?.includes(signal.name) === true) return ["full", `${keptSignals} signals are kept already`]
  const keys = Waking.keysOf(state, signal.name)
  return keys.length === 0
    ? [
        "nothingWaits",
        `nothing waits for signal "${signal.name}", and the flow does not name it among its signals${Waking.openOf(state, "event")}`
      ]
    : ["wrongKey", `it is waited for with ${keys.map((key) => JSON.stringify(key)).join(" or ")} as its key`]
}

/** Why nothing in a run waits any more; `undefined` if something may. */
const overOf = (state: RunState): readonly [reason: RefusalReason, note: string] | undefined => {
  if (isTerminal(state.status)) return ["ended", `the run had ${state.status} already`]
  return state.status === "cancelling" ? ["ending", "the run is being cancelled"] : undefined
}

type Finish = Extract<Request, { type: "finish" }>["as"]

const endNamed = (
  state: RunState,
  type: "user" | "job",
  name: string,
  given: Json | Finish,
  by: Waking.By,
  ignored: Ignored,
  problemFor: WaitSchemas.Problem
): Bodies => {
  const over = overOf(state)
  if (over !== undefined) return ignored(...over)
  const named = Waking.named(state, type, name)
  const [only] = named
  if (only === undefined)
    return ignored("nothingWaits", `nothing waits for "${name}"${Waking.openOf(state, type)}`)
  if (named.length > 1) {
    const ids = named.map(([id]) => id).join(" or ")
    return ignored("ambiguous", `several wait for ${name}: say which, ${ids}`)
  }
  const [id, wait] = only
  if (type === "job" && "failure" in (given as Finish)) {
    const { failure } = given as Extract<Finish, { failure: string }>
    return Waking.end(state, id, { failure: { kind: "defect", name: "JobFailed", message: failure } }, by)
  }
  const value = type === "job" ? (given as Extract<Finish, { value: Json }>).value : given
  const problem = problemFor(state, wait, value)
  if (problem !== undefined)
    return ignored("doesNotFit", `what was given for "${name}" is not what is waited for: ${problem}`)
  return isChoice(wait, value)
    ? Waking.end(state, id, { value }, by)
    : ignored(
        "notAChoice",
        `what was given for "${name}" is not what is waited for: it is none of the choices`
      )
}
