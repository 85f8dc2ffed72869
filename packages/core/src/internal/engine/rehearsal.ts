/**
 * Executing the handlers of a run's open visits as far as the journal goes: no tool is called, nothing is written. It
 * shows whether the handlers ask for what is recorded.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Body, PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { Next } from "../../Next.ts"
import type { OpenVisit, RunState } from "../../RunState.ts"
import { fanOutOf } from "../branch.ts"
import * as Cell from "../cell.ts"
import { applyOps } from "../channels.ts"
import { makeCodec } from "../definition/codec.ts"
import type { Difference } from "../definition/difference.ts"
import { fanOutIn, visitsOf } from "../visits.ts"
import type * as Calls from "./calls.ts"
import * as Failures from "./failure.ts"
import * as Handler from "./handler.ts"
import * as Outcomes from "./outcomes.ts"
import type { Journals } from "./reader.ts"
import { makeSleep } from "./replay.ts"
import * as TypedState from "./typedState.ts"
import * as Versions from "./versions.ts"

export type Divergence = Extract<PauseReason, { kind: "diverged" }> & { readonly branch: string }

/** What came of an open visit; `undefined` if it goes on. */
export type Finding = Divergence | Difference

/** The channels as a branch sees them: as they were at its fan-out, with its own updates. */
const channelsIn = (state: RunState, branch: string): RunState["channels"] => {
  const id = fanOutOf(branch)
  if (id === undefined) return state.channels
  const fanOut = fanOutIn(state, id)
  const made = Option.getOrUndefined(HashMap.get(fanOut.updates, branch))
  const origin = { run: state.run, seq: state.seq }
  return (made === undefined ? [] : Cell.toArray(made)).reduce(
    (channels, ops) => applyOps(channels, ops, origin),
    channelsIn(state, fanOut.branch)
  )
}

export interface Options {
  readonly journals: Journals
  readonly flow: Flow.Any
  /** The handlers, with what they need besides their visit. */
  readonly service: Flow.HandlersService
  readonly live: Clock.Clock
  /** How long, in real time, a handler may take to come to what is not recorded. */
  readonly timeout: Duration.Duration
}

const placeOf = (branch: string, { node, visit }: OpenVisit): string =>
  `visit ${visit} of node "${node}"${branch === "" ? "" : ` in branch ${branch}`}`

/** One open visit. */
const rehearseVisit = Effect.fnUntraced(function* (
  { flow, journals, live, service, timeout }: Options,
  state: RunState,
  branch: string,
  visit: OpenVisit,
  input: unknown
): Effect.fn.Return<Finding | undefined> {
  const typed = TypedState.decode(flow.state, channelsIn(state, branch))
  if (Result.isFailure(typed)) return Versions.unfit(typed.failure)
  // Time goes on from where the journal stands, and by nothing but sleeping.
  let now = state.time
  const clock: Clock.Clock = Object.assign(Object.create(live), {
    currentTimeMillisUnsafe: () => now,
    sleep: makeSleep((millis) => {
      now = state.time + millis
    })
  })
  const context = Context.add(service.context, Clock.Clock, clock)
  let end: { readonly finding: Finding | undefined } | undefined
  let running: Fiber.Fiber<Next, unknown> | undefined
  /** The journal ends here, or is not followed any more. */
  const stop = (finding: Finding | undefined): Effect.Effect<never> =>
    Effect.suspend(() => {
      end ??= { finding }
      running?.interruptUnsafe()
      return Effect.interrupt
    })
  const host: Calls.Host = {
    run: state.run,
    durability: state.durability,
    hash: journals.hash,
    context: context as Context.Context<never>,
    executor: { execute: () => Effect.never },
    middlewares: [],
    traced: false,
    encrypts: true,
    open: () => visit,
    append: () => stop(undefined),
    sync: Effect.never,
    stopping: () => true,
    halted: () => end !== undefined,
    pause: (reason) =>
      stop(
        reason.kind === "diverged"
          ? { ...reason, branch }
          : reason.kind === "incompatible"
            ? { kind: "call", message: reason.message }
            : undefined
      )
  }
  const { close, effect } = Handler.prepare(
    { clock, nodeMiddlewares: [], traced: false },
    { ...service, context },
    host,
    {
      visit,
      branch,
      state: typed.success.view,
      input,
      recovered: true,
      timeout: undefined
    }
  )
  // It may be where it cannot be interrupted: then nobody waits for it.
  const handler = yield* Effect.forkDetach(effect)
  running = handler
  const exit = yield* Effect.raceFirst(Fiber.await(handler), Effect.as(live.sleep(timeout), undefined)).pipe(
    Effect.ensuring(Effect.sync(() => handler.interruptUnsafe()))
  )
  if (exit === undefined) {
    end ??= { finding: undefined }
    const message = `${placeOf(branch, visit)} does not come to an end, nor to a call that is not recorded`
    return { kind: "handler", message }
  }
  yield* close(exit)
  if (end !== undefined) return end.finding
  const outcomes = Outcomes.make(flow, clock)
  const bodies: ReadonlyArray<Body> = Exit.isSuccess(exit)
    ? outcomes.answered(visit, 0, exit.value, typed.success).bodies
    : yield* outcomes.failed(visit, 0, Failures.outcomeOf(exit.cause))
  for (const body of bodies) {
    if (body.kind !== "failed") continue
    const { error } = body
    const text = "message" in error && typeof error.message === "string" ? `: ${error.message}` : ""
    return { kind: "handler", message: `${placeOf(branch, visit)} fails the run (${error.kind}${text})` }
  }
  return undefined
})

/** The first thing by which a run that is at the flow's version does not go on. */
export const rehearse = Effect.fnUntraced(function* (
  options: Options,
  state: RunState
): Effect.fn.Return<Finding | undefined> {
  const input = makeCodec(options.flow.input).decode(state.input.value)
  if (Exit.isFailure(input)) return Versions.unfit(Outcomes.mismatchOf("the input", input))
  const typed = TypedState.decode(options.flow.state, state.channels)
  if (Result.isFailure(typed)) return Versions.unfit(typed.failure)
  for (const [branch, visit] of visitsOf(state)) {
    const finding = yield* rehearseVisit(options, state, branch, visit, input.value)
    if (finding !== undefined) return finding
  }
  return undefined
})
