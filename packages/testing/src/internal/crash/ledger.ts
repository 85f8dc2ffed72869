/**
 * What is durable on a disk, kept beside it: written by the store that cuts the power, read by the checks.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Command } from "@waymark/core/Command"
import type { Event, Failure } from "@waymark/core/Event"
import * as Journal from "@waymark/core/Journal"
import * as RunInfo from "@waymark/core/RunInfo"
import * as RunState from "@waymark/core/RunState"
import type { Batch } from "@waymark/core/Store"

/** What the durable journal of a run says about one idempotency key. */
export interface KeyRecord {
  /** How many times it says that the call is about to be carried out. */
  announced: number
  /** After how many of these it knows that the call had no effect, or that a person decided to repeat it. */
  excused: number
  /** The position of the event that completed the call. */
  completed: number | undefined
}

export interface RunLedger {
  readonly run: string
  readonly durable: Array<Journal.Entry>
  /** The state after each durable entry. */
  readonly states: Array<RunState.RunState>
  /** Accepted, not durable. */
  pending: Array<Journal.Entry>
  head: Journal.Head | undefined
  leased: boolean
  /** Whether there was an event that could not follow the state. */
  refused: boolean
  /** Whether the last owner was lost without letting go. */
  crashed: boolean
  readonly keys: Map<string, KeyRecord>
  /** The idempotency keys of calls by where they were made. */
  readonly places: Map<string, string>
  /** The idempotency keys of undoing calls, by where the calls began. */
  readonly undos: Map<number, string>
  /** At which event each command was answered, by source and position. */
  readonly answered: Map<string, number>
  /** The ids of cancels that lie in the inbox and were not answered yet. */
  readonly cancels: Set<string>
}

export interface Ledger {
  readonly runs: Map<string, RunLedger>
  readonly commands: Array<string>
  /** What no journal may hold, as found. */
  readonly problems: Array<string>
  /** What the last power cut lost. */
  readonly lost: ReadonlyArray<Journal.Entry>
  /** A run was created: durably, or accepted if it is `ahead`. */
  readonly created: (batch: Batch, leased: boolean, ahead: boolean) => void
  /** Somebody was told that there is such a run. */
  readonly found: (run: string) => void
  readonly appended: (batch: Batch) => void
  readonly synced: (run: string) => void
  readonly acquired: (run: string) => void
  readonly released: (run: string) => void
  readonly deleted: (run: string) => void
  readonly sent: (command: Command) => void
  /** The power was cut. */
  readonly cut: () => void
  /** The process ended in good order. */
  readonly closed: () => void
}

export const stateOf = (ledger: RunLedger): RunState.RunState | undefined =>
  ledger.states[ledger.states.length - 1]

const placeOf = (event: {
  readonly branch?: string
  readonly node: string
  readonly visit: number
  readonly call: string
}): string => JSON.stringify([event.branch ?? "", event.node, event.visit, event.call])

export const recordOf = (ledger: RunLedger, key: string): KeyRecord => {
  let record = ledger.keys.get(key)
  if (record === undefined) {
    record = { announced: 0, excused: 0, completed: undefined }
    ledger.keys.set(key, record)
  }
  return record
}

/** Whether a failed try is known to have had no effect: the tool itself said that it failed, or a person. */
const isKnown = (error: Failure): boolean =>
  error.kind === "error" || (error.kind === "inDoubt" && error.undecided !== true)

/** What the fold lets through, and yet must not happen: a command counts once, and no time is over early. */
const faultOf = (
  ledger: RunLedger,
  before: RunState.RunState | undefined,
  event: Event
): string | undefined => {
  if ("command" in event && event.command !== undefined) {
    const { id, position, source } = event.command
    const command = JSON.stringify([source, position])
    const first = ledger.answered.get(command)
    if (first !== undefined) return `command ${id} is answered at seq ${first} and again at seq ${event.seq}`
    ledger.answered.set(command, event.seq)
    ledger.cancels.delete(id)
  }
  if (event.kind === "waitEnded" && "timedOut" in event.outcome && before !== undefined) {
    const due = Option.getOrUndefined(HashMap.get(before.waits, event.wait))?.due
    if (due === undefined || event.time < due) {
      return `the time of wait ${event.wait} is over at ${due ?? "no time"}, and it ended at ${event.time}, at seq ${event.seq}`
    }
  }
  return undefined
}

const note = (ledger: RunLedger, event: Event): void => {
  if (event.kind === "callStarted") {
    ledger.places.set(placeOf(event), event.key)
    recordOf(ledger, event.key).announced += 1
    return
  }
  if (event.kind === "migrated" && event.nodes !== undefined) {
    for (const [place, key] of Array.from(ledger.places)) {
      const [branch, node, ...rest] = JSON.parse(place) as readonly [
        string,
        string,
        ...ReadonlyArray<unknown>
      ]
      const renamed = Object.hasOwn(event.nodes, node) ? event.nodes[node] : node
      ledger.places.set(JSON.stringify([branch, renamed, ...rest]), key)
    }
    return
  }
  if (event.kind === "compensationStarted") {
    ledger.undos.set(event.of, event.key)
    recordOf(ledger, event.key).announced += 1
    return
  }
  if (event.kind === "compensationCompleted") {
    recordOf(ledger, ledger.undos.get(event.of)!).completed = event.seq
    return
  }
  if (!("call" in event)) return
  const key = ledger.places.get(placeOf(event))
  // A fork goes on with calls that its origin started.
  if (key === undefined) return
  const record = recordOf(ledger, key)
  if (event.kind === "callRepeated") record.announced += 1
  else if (event.kind === "callCompleted") record.completed = event.seq
  else if (event.kind === "callReleased") record.excused += 1
  else if ((event.kind === "callRetried" || event.kind === "callFailed") && isKnown(event.error))
    record.excused += 1
}

export const make = (hash: (text: string) => string): Ledger => {
  const runs = new Map<string, RunLedger>()
  const commands: Array<string> = []
  const problems: Array<string> = []
  let lost: ReadonlyArray<Journal.Entry> = []

  const originOf = (
    event: Event
  ): { readonly state: RunState.RunState; readonly hash: string } | undefined => {
    if (event.kind !== "forked") return undefined
    const origin = runs.get(event.from.run)
    const state = origin?.states[event.from.seq]
    const entry = origin?.durable[event.from.seq]
    return state === undefined || entry === undefined ? undefined : { state, hash: hash(entry.line) }
  }

  const makeDurable = (ledger: RunLedger): void => {
    for (const entry of ledger.pending) {
      const { event } = entry
      const origin = originOf(event)
      const followed = Journal.follow(hash, ledger.head, entry, origin?.hash)
      if (Result.isFailure(followed)) problems.push(followed.failure.message)
      const before = stateOf(ledger)
      const folded = RunState.apply(before ?? origin?.state, event, entry.line.length)
      // What follows does not follow from what could not be folded: that says nothing new.
      if (Result.isFailure(folded)) {
        if (!ledger.refused) problems.push(folded.failure.message)
        ledger.refused = true
      }
      ledger.head = Result.isSuccess(followed) ? followed.success : { seq: event.seq, hash: hash(entry.line) }
      const fault = faultOf(ledger, before ?? origin?.state, event)
      if (fault !== undefined) problems.push(`run ${ledger.run}: ${fault}`)
      ledger.durable.push(entry)
      const state = Result.isSuccess(folded) ? folded.success : before
      if (state !== undefined) ledger.states.push(state)
      note(ledger, event)
    }
    ledger.pending = []
  }

  const of = (run: string): RunLedger => {
    let ledger = runs.get(run)
    if (ledger === undefined) {
      ledger = {
        run,
        durable: [],
        states: [],
        pending: [],
        head: undefined,
        leased: false,
        refused: false,
        crashed: false,
        keys: new Map(),
        places: new Map(),
        undos: new Map(),
        answered: new Map(),
        cancels: new Set()
      }
      runs.set(run, ledger)
    }
    return ledger
  }

  return {
    runs,
    commands,
    problems,
    get lost() {
      return lost
    },
    created: (batch, leased, ahead) => {
      const ledger = of(batch.entries[0].event.run)
      ledger.pending.push(...batch.entries)
      ledger.leased = leased
      if (!ahead) makeDurable(ledger)
    },
    found: (run) => {
      const ledger = runs.get(run)
      if (ledger?.durable.length === 0) makeDurable(ledger)
    },
    appended: (batch) => {
      of(batch.entries[0].event.run).pending.push(...batch.entries)
    },
    synced: (run) => makeDurable(of(run)),
    acquired: (run) => {
      const ledger = of(run)
      ledger.leased = true
      ledger.crashed = false
      ledger.pending = []
    },
    released: (run) => {
      const ledger = of(run)
      makeDurable(ledger)
      ledger.leased = false
    },
    deleted: (run) => {
      runs.delete(run)
    },
    sent: ({ id, request, run }) => {
      const text = JSON.stringify([run, id, request])
      if (commands.includes(text)) return
      commands.push(text)
      const ledger = runs.get(run)
      if (request.type === "cancel" && ledger !== undefined && !isEnded(ledger)) ledger.cancels.add(id)
    },
    cut: () => {
      lost = [...runs.values()].flatMap(({ pending }) => pending)
      for (const [run, ledger] of runs) {
        ledger.pending = []
        ledger.crashed ||= ledger.leased
        ledger.leased = false
        // It was never created.
        if (ledger.durable.length === 0) runs.delete(run)
      }
    },
    closed: () => {
      for (const ledger of runs.values()) {
        makeDurable(ledger)
        ledger.leased = false
      }
    }
  }
}

/**
 * What would be durable if the power were cut now, as one text: two disks of which it is the same are the same to a
 * process that starts on them.
 */
export const describe = (ledger: Ledger): string =>
  JSON.stringify([
    [...ledger.runs.values()]
      .filter(({ durable }) => durable.length > 0)
      .map(({ crashed, head, leased, run }) => JSON.stringify([run, head?.hash, crashed || leased]))
      .sort(),
    ledger.commands
  ])

/** Whether a run has ended. */
const isEnded = (ledger: RunLedger): boolean => {
  const state = stateOf(ledger)
  return state !== undefined && RunInfo.isTerminal(state.status)
}

/**
 * Why nothing of a run may be executed any more but the undoing of its calls; `isEnding` if that stands in its journal, and
 * not only in its inbox.
 */
export interface Over {
  readonly why: string
  readonly isEnding: boolean
}

/** Whether a run has ended, is ending, or somebody was told that it will be cancelled. */
export const overOf = (ledger: RunLedger): Over | undefined => {
  const state = stateOf(ledger)
  if (state === undefined) return undefined
  if (RunInfo.isTerminal(state.status)) return { why: `was ${state.status}`, isEnding: true }
  if (state.status === "cancelling") return { why: "was being cancelled", isEnding: true }
  if (state.compensating !== undefined) return { why: "was undoing its calls", isEnding: true }
  return ledger.cancels.size > 0 ? { why: "was to be cancelled", isEnding: false } : undefined
}
