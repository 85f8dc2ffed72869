/**
 * How waits end: the events that say so.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type { Command } from "../../Command.ts"
import type { Body, CommandRef, Of } from "../../Event.ts"
import type { KeptSignal, OpenWait, RunState } from "../../RunState.ts"
import { fewOf } from "../definition/quoted.ts"
import type { Mutable } from "../record.ts"
import { visitIn } from "../visits.ts"

type Bodies = readonly [Body, ...ReadonlyArray<Body>]
export type WaitOutcome = Of<"waitEnded">["outcome"]

/** Who sent a command: stands in the events that come of it. */
export type Sender = Pick<Command, "actor" | "session" | "correlation">

export const senderOf = ({
  actor,
  correlation,
  session
}: { readonly [Field in keyof Sender]: Sender[Field] | undefined }): Sender => {
  const sender: Mutable<Sender> = {}
  if (actor !== undefined) sender.actor = actor
  if (session !== undefined) sender.session = session
  if (correlation !== undefined) sender.correlation = correlation
  return sender
}

/** What ended a wait besides its time. */
export interface By extends Sender {
  readonly command?: CommandRef
  readonly signal?: number
}

const place = ({ branch }: OpenWait) => (branch === "" ? undefined : { branch })

/** What a visit is marked with that gave a run up: it never waits for that one again. */
export const givenUp = (child: string): string => `givenUp/${child}`

/** A run that is not waited for any more, although it has not ended, is cancelled. */
const cancelling = (state: RunState, id: string, wait: OpenWait, why: string): ReadonlyArray<Body> => {
  const { on } = wait
  if (on.type !== "run") return []
  const reason = `run ${state.run}, which waited for it, gave it up: ${why}`
  return [
    {
      kind: "sent",
      ...place(wait),
      to: on.run,
      message: `${on.run}:cancel:${state.seq}`,
      body: { type: "cancel", wait: id, reason },
      mark: givenUp(on.run)
    }
  ]
}

/** A wait ends, and with it the others of its race are lost. */
export const end = (state: RunState, id: string, outcome: WaitOutcome, by: By = {}): Bodies => {
  const wait = HashMap.getUnsafe(state.waits, id)
  const ended: Body = { kind: "waitEnded", ...place(wait), wait: id, outcome, ...by }
  // A message comes before what it tells of.
  const sent: Array<Body> = "timedOut" in outcome ? [...cancelling(state, id, wait, "its time was over")] : []
  const lost: Array<Body> = []
  if (wait.race !== undefined) {
    for (const other of visitIn(state, wait.branch)!.waiting) {
      const rival = HashMap.getUnsafe(state.waits, other)
      if (other === id || rival.race !== wait.race) continue
      sent.push(...cancelling(state, other, rival, "something else came first"))
      lost.push({ kind: "waitEnded", ...place(wait), wait: other, outcome: { lost: true } })
    }
  }
  return [...sent, ended, ...lost] as unknown as Bodies
}

/** The waits of an attempt that ends are over with it. */
export const lose = (state: RunState, branch: string): ReadonlyArray<Body> =>
  (visitIn(state, branch)?.waiting ?? []).map((wait): Body => ({
    kind: "waitEnded",
    ...(branch === "" ? undefined : { branch }),
    wait,
    outcome: { lost: true }
  }))

const isDue = ({ due }: OpenWait, now: number): boolean => due !== undefined && due <= now

/** Ends the waits whose time is over, in the order in which it was, if there are any. */
export const endOverdue = (state: RunState, now: number): Bodies | undefined => {
  const over = [...state.waits].filter(([, wait]) => isDue(wait, now)).sort(([, a], [, b]) => a.due! - b.due!)
  const ended = new Set<string>()
  const bodies: Array<Body> = []
  for (const [id] of over) {
    // It lost its race to one of those before.
    if (ended.has(id)) continue
    for (const body of end(state, id, { timedOut: true })) {
      bodies.push(body)
      if (body.kind === "waitEnded") ended.add(body.wait)
    }
  }
  return bodies.length === 0 ? undefined : (bodies as unknown as Bodies)
}

/** When the time of the next open wait is over. */
export const nextDue = (state: RunState): number | undefined => {
  let earliest = Number.POSITIVE_INFINITY
  for (const { due } of HashMap.values(state.waits)) if (due !== undefined && due < earliest) earliest = due
  return earliest === Number.POSITIVE_INFINITY ? undefined : earliest
}

/** Whether a signal is what is waited for. A wait without a key takes a signal with any. */
const isMeant = (
  { on }: OpenWait,
  { key, name }: { readonly name: string; readonly key?: string }
): boolean => on.type === "event" && on.name === name && (on.key === undefined || on.key === key)

/** Ends a wait that was just opened, if it is over already: a signal for it was kept, or its time is over. */
export const endEarly = (
  state: RunState,
  ids: ReadonlyArray<string>,
  now: number,
  isValid: (payload: Json, wait: OpenWait) => boolean
): Bodies | undefined => {
  let first: { readonly id: string; readonly signal: KeptSignal } | undefined
  for (const id of ids) {
    const wait = HashMap.getUnsafe(state.waits, id)
    const signal = state.signals.find((kept) => isMeant(wait, kept) && isValid(kept.payload, wait))
    if (signal !== undefined && (first === undefined || signal.seq < first.signal.seq)) first = { id, signal }
  }
  if (first !== undefined) {
    return end(state, first.id, { value: first.signal.payload }, { signal: first.signal.seq })
  }
  let due: string | undefined
  for (const id of ids) {
    const wait = HashMap.getUnsafe(state.waits, id)
    if (isDue(wait, now) && (due === undefined || wait.due! < HashMap.getUnsafe(state.waits, due).due!))
      due = id
  }
  return due === undefined ? undefined : end(state, due, { timedOut: true })
}

/** The keys with which a signal of this name is waited for. */
export const keysOf = (state: RunState, name: string): ReadonlyArray<string> => [
  ...new Set(
    [...HashMap.values(state.waits)].flatMap(({ on }) =>
      on.type === "event" && on.name === name && on.key !== undefined ? [on.key] : []
    )
  )
]

/** What of a kind the run waits for, in words: for who named something else. */
export const openOf = (state: RunState, type: "event" | "user" | "job"): string => {
  const names = new Set<string>()
  for (const { on } of HashMap.values(state.waits))
    if (on.type === type) names.add(on.type === "job" ? on.id : on.name)
  return names.size === 0 ? "" : `; it waits for ${fewOf([...names])}`
}

/** The open waits that a signal may end, the one opened first in front. */
export const meantBy = (
  state: RunState,
  signal: { readonly name: string; readonly key?: string }
): ReadonlyArray<readonly [id: string, wait: OpenWait]> =>
  [...state.waits].filter(([, wait]) => isMeant(wait, signal)).sort(([, a], [, b]) => a.seq - b.seq)

/** Whether a wait is open, and for the end of this run. */
export const isForRun = (state: RunState, wait: string | undefined, run: string): boolean => {
  const open = wait === undefined ? undefined : Option.getOrUndefined(HashMap.get(state.waits, wait))
  return open?.on.type === "run" && open.on.run === run
}

/** The open waits of a kind that are called so: by their own name, which is one of a kind, or by what they wait for. */
export const named = (
  state: RunState,
  type: OpenWait["on"]["type"],
  name: string
): ReadonlyArray<readonly [id: string, wait: OpenWait]> => {
  const exact = HashMap.get(state.waits, name)
  if (exact._tag === "Some") return exact.value.on.type === type ? [[name, exact.value]] : []
  return [...state.waits].filter(([, { on }]) => {
    if (on.type !== type) return false
    return on.type === "user"
      ? on.name === name
      : on.type === "job"
        ? on.id === name
        : on.type === "run" && on.run === name
  })
}
