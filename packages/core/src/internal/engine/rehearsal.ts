/**
 * Executing the handlers of a run's open visits as far as the journal goes: no tool is called, nothing is written. It
 * shows whether the handlers ask for what is recorded.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { Next } from "../../Next.ts"
import type { OpenVisit, RunState } from "../../RunState.ts"
import type { Difference } from "../definition/difference.ts"
import { fanOutAround, visitsOf } from "../visits.ts"
import * as Failures from "./failure.ts"
import * as Grace from "./grace.ts"
import * as Handler from "./handler.ts"
import * as IdleTime from "./idleTime.ts"
import * as Outcomes from "./outcomes.ts"
import type { Journals } from "./reader.ts"
import * as RecordedSchema from "./recordedSchema.ts"
import * as Versions from "./versions.ts"
import * as Views from "./views.ts"
import * as Visiting from "./visiting.ts"

export type Divergence = Extract<PauseReason, { kind: "diverged" }> & { readonly branch: string }

/** What came of an open visit; `undefined` if it goes on. */
export type Finding = Divergence | Difference

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
const rehearseVisit = /* @__PURE__ */ Effect.fnUntraced(function* (
  { flow, journals, live, service, timeout }: Options,
  state: RunState,
  branch: string,
  visit: OpenVisit
): Effect.fn.Return<Finding | undefined> {
  const views = Views.make(flow)
  const typed = views.of(state, branch)
  const input = views.inputOf(state)
  const item = flow.nodes[visit.node]!.item === undefined ? Result.succeed(undefined) : views.itemOf(visit)
  for (const read of [input, typed, item]) if (Result.isFailure(read)) return Versions.unfit(read.failure)
  const view = Result.getOrThrow(typed)
  // Time goes on from where the journal stands, and by nothing but sleeping.
  let now = state.time
  const idle = IdleTime.make((millis) => {
    now = state.time + millis
  })
  const clock: Clock.Clock = Object.assign(Object.create(live), {
    currentTimeMillisUnsafe: () => now,
    sleep: idle.sleep
  })
  const context = Context.add(service.context, Clock.Clock, clock)
  let end: { readonly finding: Finding | undefined } | undefined
  let running: Fiber.Fiber<Next, unknown> | undefined
  const refusal = Grace.refusal({ refusals: 0 })
  /** The journal ends here, or is not followed any more. */
  const stop = (finding: Finding | undefined): Effect.Effect<never> =>
    Effect.suspend(() => {
      end ??= { finding }
      running?.interruptUnsafe()
      return refusal
    })
  const host: Handler.Host = {
    run: state.run,
    durability: state.durability,
    hash: journals.hash,
    context: context as Context.Context<never>,
    executor: { execute: () => Effect.never },
    lookInterval: Number.POSITIVE_INFINITY,
    limits: { clock, grace: Duration.zero, stuck: new Set() },
    middlewares: [],
    traced: false,
    encrypts: true,
    open: () => visit,
    append: () => stop(undefined),
    appendTo: () => stop(undefined),
    state: () => state,
    openedAt: (wait) => ({ seq: HashMap.getUnsafe(state.waits, wait).seq, time: state.time }),
    openWaits: () => stop(undefined),
    deliver: () => stop(undefined),
    park: () => stop(undefined),
    waker: () => undefined,
    reopened: (waits) => {
      const changed = waits.find(([id, schema]) => {
        const wait = Option.getOrUndefined(HashMap.get(state.waits, id))
        return wait !== undefined && !RecordedSchema.isSame(wait.schema, schema)
      })
      if (changed === undefined) return Effect.void
      const message = `${placeOf(branch, visit)} waits by another schema than the one that wait ${changed[0]} was opened with`
      return stop({ kind: "wait", message })
    },
    sync: Effect.never,
    stopping: () => true,
    halted: () => end !== undefined,
    refused: refusal,
    resting: (sleep) => sleep,
    still: idle.still,
    pause: (reason) =>
      stop(
        reason.kind === "diverged"
          ? { ...reason, branch }
          : reason.kind === "incompatible"
            ? { kind: "call", message: reason.message }
            : undefined
      )
  }
  const prepared = Handler.prepare(
    { clock, nodeMiddlewares: [], traced: false },
    { ...service, context },
    state.run,
    () => host,
    {
      visit,
      branch,
      state: view.view,
      input: Result.getOrThrow(input),
      item: flow.nodes[visit.node]!.item === undefined ? undefined : { value: Result.getOrThrow(item) },
      branches: visit.joined === undefined ? undefined : () => Visiting.branchesOf(flow, visit.joined!),
      recovered: true,
      timeout: undefined
    }
  )
  // It may be where it cannot be interrupted: then nobody waits for it.
  const handler = yield* Effect.forkDetach(Handler.complete(prepared))
  running = handler
  const exit = yield* Effect.raceFirst(Fiber.await(handler), Effect.as(live.sleep(timeout), undefined)).pipe(
    Effect.ensuring(Effect.sync(() => handler.interruptUnsafe()))
  )
  if (exit === undefined) {
    end ??= { finding: undefined }
    const message = `${placeOf(branch, visit)} does not come to an end, nor to a call that is not recorded`
    return { kind: "handler", message }
  }
  yield* prepared.close(exit)
  if (end !== undefined) return end.finding
  const outcomes = Outcomes.make(flow, clock)
  const join = branch === "" ? undefined : fanOutAround(state, branch)!.join
  const attempted = { branch, join, visit, started: 0, state: view }
  const outcome = Exit.isSuccess(exit)
    ? outcomes.answered(attempted, exit.value)
    : yield* outcomes.failed(attempted, Failures.outcomeOf(exit.cause))
  if (!("failure" in outcome)) return undefined
  const { failure } = outcome
  const text = "message" in failure ? `: ${Failures.detailOf(failure)}` : ""
  return { kind: "handler", message: `${placeOf(branch, visit)} fails the run (${failure.kind}${text})` }
})

/** The first thing by which a run that is at the flow's version does not go on. */
export const rehearse = /* @__PURE__ */ Effect.fnUntraced(function* (
  options: Options,
  state: RunState
): Effect.fn.Return<Finding | undefined> {
  const views = Views.make(options.flow)
  for (const read of [views.inputOf(state), views.of(state, "")])
    if (Result.isFailure(read)) return Versions.unfit(read.failure)
  for (const [branch, visit] of visitsOf(state)) {
    const finding = yield* rehearseVisit(options, state, branch, visit)
    if (finding !== undefined) return finding
  }
  return undefined
})
