/**
 * What a scenario came to.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { Codec, CodecError } from "@waymark/core/Codec"
import type { Event } from "@waymark/core/Event"
import { mapValues } from "@waymark/core/Event"
import { RunFailed } from "@waymark/core/RunError"
import type { RunStatus } from "@waymark/core/RunInfo"
import * as RunState from "@waymark/core/RunState"
import type { Cut, Operation } from "../../CrashStore.ts"
import { differences } from "../differences.ts"
import { stateOf } from "./ledger.ts"
import type { Ledger, RunLedger } from "./ledger.ts"

/**
 * One time that a tool call was carried out.
 *
 * - `process`: in which process, counted from 1
 * - `result`: `"unknown"` if the process died meanwhile
 * - `undoes`: for a call that was undone, its idempotency key; `key` is that of the undoing
 *
 * @category models
 * @since 0.1.0
 */
export interface Execution {
  readonly process: number
  readonly tool: string
  readonly input: unknown
  readonly run: string
  readonly node: string
  readonly visit: number
  /** The idempotency key that the handler got. */
  readonly key: string
  readonly attempt: number
  readonly repeated: boolean
  readonly result: "succeeded" | "failed" | "interrupted" | "unknown"
  readonly undoes?: string
}

/**
 * A power cut as it came about: in which process, at which of its operations, and what was lost.
 *
 * - `durable`: the position of each run's last durable event
 *
 * @category models
 * @since 0.1.0
 */
export interface PlacedCut extends Cut, Omit<Operation, "point"> {
  readonly process: number
  readonly lost: ReadonlyArray<Event>
  readonly durable: { readonly [run: string]: number }
}

/**
 * What became of one run: its status, how it ended if it did, its state (encoded), and how many visits it took.
 *
 * - `waits`: the open waits, by id; `signals`: the names of the signals that are kept for waits to come
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOutcome {
  readonly run: string
  readonly flow: string
  readonly status: RunStatus
  readonly ending: RunState.Ending | undefined
  readonly state: { readonly [channel: string]: Schema.Json }
  readonly steps: number
  readonly waits: ReadonlyArray<string>
  readonly signals: ReadonlyArray<string>
}

/**
 * What a scenario came to, with or without power cuts.
 *
 * - `result`: what the scenario succeeded or failed with
 * - `runs`: what became of every run, by id
 * - `journal`: the durable events of a run
 * - `executions`: every time that a tool call was carried out, in all processes
 * - `world`: what outlived the processes
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<World, A, E> {
  readonly result: Exit.Exit<A, E>
  readonly runs: { readonly [run: string]: RunOutcome }
  readonly journal: (run: string) => ReadonlyArray<Event>
  readonly executions: ReadonlyArray<Execution>
  readonly cuts: ReadonlyArray<PlacedCut>
  readonly world: World
}

const opened = (codec: Codec, ledger: Ledger, run: RunLedger): Effect.Effect<RunState.RunState, CodecError> =>
  Effect.gen(function* () {
    let state: RunState.RunState | undefined
    for (const { event: sealed, line } of run.durable) {
      const event = yield* mapValues(sealed, (value) => codec.decode(value, run.run))
      if (event.kind === "forked") {
        const { run: origin, seq } = event.from
        const before = ledger.runs.get(origin)!
        state = yield* opened(codec, ledger, { ...before, durable: before.durable.slice(0, seq + 1) })
      }
      state = Result.getOrThrow(RunState.apply(state, event, line.length))
    }
    return state!
  })

export const runOutcomes = (
  ledger: Ledger,
  codec: Codec | undefined
): Effect.Effect<{ readonly [run: string]: RunOutcome }, CodecError> =>
  Effect.gen(function* () {
    const outcomes: { [run: string]: RunOutcome } = {}
    for (const run of ledger.runs.values()) {
      const state = codec === undefined ? stateOf(run) : yield* opened(codec, ledger, run)
      if (state === undefined) continue
      outcomes[run.run] = {
        run: run.run,
        flow: state.flow,
        status: state.status,
        ending: state.ending,
        state: RunState.stateOf(state),
        steps: state.steps,
        waits: [...HashMap.keys(state.waits)].sort(),
        signals: state.signals.map(({ name }) => name)
      }
    }
    return outcomes
  })

/**
 * By default: everything, but of a cancelled run only that it was cancelled, and why: how far it came is chance. Of what a
 * run could not undo, where it stands in the journal does not count.
 */
export const whatCounts = (outcome: RunOutcome): unknown => {
  const { ending, status } = outcome
  if (ending?.status === "cancelled") return { status, ending: { ...ending, undone: undefined } }
  if (ending?.status !== "failed" || ending.undone === undefined) return outcome
  const undone = ending.undone.map(({ completed: _completed, started: _started, ...call }) => call)
  return { ...outcome, ending: { ...ending, undone } }
}

/** What of a result counts when two are compared. */
const essence = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return { succeeded: exit.value }
  return {
    failed: exit.cause.reasons.map((reason) =>
      reason._tag === "Fail"
        ? reason.error
        : reason._tag === "Die"
          ? { defect: reason.defect }
          : "interrupted"
    )
  }
}

/** Whether an error says that something is broken. A run may fail because it came to a limit, say, and that be meant. */
const isBroken = (error: unknown): boolean =>
  Predicate.isTagged(error, "RunConflict") ||
  Predicate.isTagged(error, "InvalidValue") ||
  (error instanceof RunFailed && (error.failure.kind === "defect" || error.failure.kind === "encoding"))

/** Why there is nothing in an undisturbed scenario that others could be compared with. */
export const unfitToExplore = (
  result: Exit.Exit<unknown, unknown>,
  points: number
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  if (Exit.isFailure(result)) {
    const text = causeText(result.cause)
    if (result.cause.reasons.some(Cause.isDieReason)) problems.push(`the scenario itself dies: ${text}`)
    else if (result.cause.reasons.some((reason) => Cause.isFailReason(reason) && isBroken(reason.error)))
      problems.push(
        `the scenario fails because something is broken; if it should, let the scenario succeed with the error (Effect.flip): ${text}`
      )
  }
  if (points === 0) {
    problems.push(
      "nothing reached the store, so there is no point at which the power could be cut: the scenario has to start a run"
    )
  }
  return problems
}

export const compareOutcomes = (
  expected: Outcome<unknown, unknown, unknown>,
  got: Outcome<unknown, unknown, unknown>,
  counts: (run: RunOutcome) => unknown
): ReadonlyArray<string> => {
  const problems = differences(essence(expected.result), essence(got.result)).map(
    (line) => `the result of the scenario is another one: ${line}`
  )
  for (const run of new Set([...Object.keys(expected.runs), ...Object.keys(got.runs)])) {
    const before = expected.runs[run]
    const after = got.runs[run]
    if (after === undefined) problems.push(`run ${run} is not there, as it is without a power cut`)
    else if (before === undefined) {
      problems.push(
        `run ${run} is there, and is not without a power cut: did the scenario start it twice? Give it an id`
      )
    } else {
      for (const line of differences(counts(before), counts(after)))
        problems.push(`run ${run} came to something else: ${line}`)
    }
  }
  return problems
}

/** The problems in the form of one text, for a check of the user's that failed. */
export const causeText = (cause: Cause.Cause<unknown>): string =>
  Cause.pretty(cause)
    .split("\n")
    .filter((line) => !/^\s+at .*node_modules/.test(line))
    .slice(0, 12)
    .join("\n")
