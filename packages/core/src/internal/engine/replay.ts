/**
 * Executing a run's handlers again against what the journal recorded. Nothing is called, nothing is written.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Json } from "effect/Schema"
import type { Body, Event, Failure, Of } from "../../Event.ts"
import * as Flow from "../../Flow.ts"
import * as RunState from "../../RunState.ts"
import type { OpenVisit } from "../../RunState.ts"
import * as Store from "../../Store.ts"
import { fanOutAround, visitIn } from "../visits.ts"
import { findBackwards } from "./backwards.ts"
import { canonical } from "./canonical.ts"
import type * as Claims from "./claims.ts"
import * as Failures from "./failure.ts"
import * as Grace from "./grace.ts"
import * as Handler from "./handler.ts"
import * as IdleTime from "./idleTime.ts"
import * as Joins from "./joins.ts"
import * as Outcomes from "./outcomes.ts"
import { page } from "./pages.ts"
import { corrupt, load, open } from "./reader.ts"
import type { Journals, ReadError } from "./reader.ts"
import * as Restart from "./restart.ts"
import type * as TypedState from "./typedState.ts"
import * as Views from "./views.ts"
import * as Visiting from "./visiting.ts"

/**
 * An attempt of a visit that came out otherwise than its journal has it.
 *
 * - `seq`: the event that is not as it would be now: where the call or wait of `expected` was asked for, or else the event
 *   that the attempt ended with
 * - `branch`: that of the visit, if it was in one
 * - `node`, `visit`, `attempt`: which attempt it is
 * - `expected`: what the journal has there: the first call or wait that is recorded and was not asked for. If there is none,
 *   how the attempt ended: where the visit led with which update, its failure, or the end of the run (`null` where the run
 *   did not end)
 * - `got`: what came instead: how the attempt ended now, in the same form; or the call, wait or child that was asked for and
 *   is not recorded (`tool` is `wait` or `start` for the latter two); or why the flow, as it is now, cannot execute it
 *   (`incompatible`)
 *
 * @category models
 * @since 0.1.0
 */
export interface Divergence {
  readonly seq: number
  readonly branch?: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
  readonly expected: Json
  readonly got: Json
}

/**
 * - `visits`: how many executions of handlers were compared with the journal
 * - `skipped`: how many were not, because a migration has brought the run to another version since
 * - `divergences`: what was not as recorded, in the order of the journal: one at most of each execution
 */
export interface Report {
  readonly run: string
  readonly visits: number
  readonly skipped?: number
  readonly divergences: ReadonlyArray<Divergence>
}

type Closing =
  | Of<"visited">
  | Of<"visitFailed">
  | Of<"attemptFailed">
  | (Of<"branchFailed"> & { readonly attempt: number })
  | (Of<"failed"> & { readonly node: string; readonly attempt: number })
  | (Of<"compensating"> & { readonly node: string; readonly attempt: number; readonly error: Failure })

/** The events that end an attempt of a visit. */
const isClosing = (event: Event): event is Closing =>
  event.kind === "visited" ||
  event.kind === "visitFailed" ||
  event.kind === "attemptFailed" ||
  (event.kind === "branchFailed" && event.attempt !== undefined) ||
  ((event.kind === "failed" || event.kind === "compensating") &&
    event.node !== undefined &&
    event.attempt !== undefined &&
    event.error !== undefined &&
    event.error.kind !== "stepLimit" &&
    event.error.kind !== "visitLimit" &&
    event.error.kind !== "recoveries")

/** What of an event has to be the same when the visit is executed again. */
const essence = (event: Body): Json => {
  switch (event.kind) {
    case "visited":
      return { kind: event.kind, next: event.next as Json, ops: (event.ops ?? {}) as Json }
    case "visitFailed":
      return { kind: event.kind, error: errorEssence(event.error), outcome: event.outcome as Json }
    case "attemptFailed":
    case "branchFailed":
    case "failed":
      return { kind: event.kind, error: errorEssence(event.error) }
    // A run that has something to undo fails later; its visit failed here.
    case "compensating":
      return { kind: "failed", error: errorEssence(event.error!) }
    case "completed":
      return { kind: event.kind, output: event.output }
    default:
      return { kind: event.kind }
  }
}

const errorEssence = (error: Of<"failed">["error"]): Json => {
  if (error.kind === "defect") return { kind: error.kind, name: error.name, message: error.message }
  return error
}

/** What an attempt did instead of what is recorded. */
interface Refused {
  readonly got: Json
  /** What is recorded and was not asked for. */
  readonly expected?: Claims.Recorded | undefined
}

export const replay = <F extends Flow.Any>(
  journals: Journals,
  live: Clock.Clock,
  flow: F,
  run: string,
  /** The run as it was where to begin; from its first event otherwise. */
  from: RunState.RunState | undefined,
  /** After so many divergences it ends. */
  most: number
): Effect.Effect<Report, ReadError, Flow.Handlers<F["id"]>> =>
  Effect.gen(function* () {
    const { codec, hash, store } = journals
    const context = yield* Effect.context<Flow.Handlers<F["id"]>>()
    const provided = Context.getUnsafe(
      context,
      Flow.handlersKey(flow.id) as Context.Key<never, Flow.HandlersService>
    )
    /** When what is being executed ended, as the journal has it: retry policies may ask for the time. */
    let now = 0
    const idle = IdleTime.make()
    const clock: Clock.Clock = Object.assign(Object.create(live), {
      currentTimeMillisUnsafe: () => now,
      sleep: idle.sleep
    })
    const surroundings = context.pipe(Context.add(Clock.Clock, clock)) as Context.Context<never>
    const service: Flow.HandlersService = {
      ...provided,
      flow,
      context: Context.merge(surroundings, provided.context as Context.Context<never>) as Context.Context<any>
    }
    const outcomes = Outcomes.make(flow, clock)
    const restarted = Restart.make(flow)

    /** What the handler of a visit is given, as the flow now reads what is recorded; or why it cannot be. */
    const givenTo = (visit: OpenVisit, state: RunState.RunState, branch: string) =>
      Result.gen(function* () {
        const views = Views.make(flow)
        const node = Object.hasOwn(flow.nodes, visit.node) ? flow.nodes[visit.node] : undefined
        if (node === undefined) return yield* Result.fail(`flow "${flow.id}" has no node "${visit.node}"`)
        const read = <A>(result: Result.Result<A, TypedState.Mismatch>) =>
          Result.mapError(result, ({ message, what }) => `${what}: ${message}`)
        const typed = yield* read(views.of(state, branch))
        const input = yield* read(views.inputOf(state))
        const item = node.item === undefined ? undefined : { value: yield* read(views.itemOf(visit)) }
        return { typed, input, item }
      })

    /**
     * Executes one attempt as recorded in `state`; the events it amounts to now, or the call that was not recorded, or why
     * it cannot be executed.
     */
    const execute = Effect.fnUntraced(function* (
      state: RunState.RunState,
      branch: string
    ): Effect.fn.Return<{ readonly bodies: ReadonlyArray<Body> } | Refused> {
      const visit = visitIn(state, branch)!
      const given = givenTo(visit, state, branch)
      if (Result.isFailure(given)) return { got: { kind: "incompatible", message: given.failure } }
      const { input, item, typed } = given.success
      let refused: Refused | undefined
      /** What was asked for first and is not recorded, while others have time to ask for what is. */
      let asked: Json | undefined
      let running: Fiber.Fiber<unknown, unknown> | undefined
      const refusal = Grace.refusal({ refusals: 0 })
      const refuse = (what: Refused): Effect.Effect<never> =>
        Effect.suspend(() => {
          refused ??= what
          running?.interruptUnsafe()
          return refusal
        })
      const host: Handler.Host = {
        run,
        durability: state.durability,
        hash,
        context: surroundings,
        executor: { execute: (_request, local) => local },
        lookInterval: Number.POSITIVE_INFINITY,
        limits: { clock, grace: Duration.zero, stuck: new Set() },
        middlewares: [],
        traced: false,
        encrypts: true,
        open: () => visit,
        append: () => Effect.never,
        openedAt: (wait) => ({ seq: HashMap.getUnsafe(state.waits, wait).seq, time: state.time }),
        openWaits: () => Effect.never,
        deliver: () => Effect.never,
        park: () => Effect.never,
        waker: () => undefined,
        appendTo: () => Effect.never,
        state: () => state,
        sync: Effect.never,
        stopping: () => true,
        halted: () => refused !== undefined,
        refused: refusal,
        resting: (sleep) => sleep,
        still: idle.still,
        // Others may have ended the attempt before there was one. If nobody does, it is what the attempt waits for.
        unanswered: (what) =>
          Effect.andThen(
            idle.sleep(Duration.infinity),
            Effect.suspend(() => refuse({ got: { ...what } }))
          ),
        pause: (reason) => refuse({ got: reason }),
        refuse: (what, missing) =>
          Effect.suspend(() => {
            const got = (asked ??= { ...what })
            return Effect.flatMap(missing, (expected) => refuse({ got, expected }))
          })
      }
      const prepared = Handler.prepare(
        { clock, nodeMiddlewares: [], traced: false },
        service,
        run,
        () => host,
        {
          visit,
          branch,
          state: typed.view,
          input,
          item,
          branches: visit.joined === undefined ? undefined : () => Visiting.branchesOf(flow, visit.joined!),
          recovered: true,
          timeout: undefined
        }
      )
      const fiber = yield* Effect.forkChild(Handler.complete(prepared))
      running = fiber
      const exit = yield* Fiber.await(fiber)
      yield* prepared.close(exit)
      if (refused !== undefined) return refused
      if (asked !== undefined) return { got: asked }
      const expected = prepared.unasked()
      const join = branch === "" ? undefined : fanOutAround(state, branch)!.join
      const attempted = { branch, join, visit, started: 0, state: typed }
      const outcome = Exit.isSuccess(exit)
        ? outcomes.answered(attempted, exit.value)
        : yield* outcomes.failed(attempted, Failures.outcomeOf(exit.cause))
      const bodies =
        "failure" in outcome
          ? yield* restarted(state, 0, now, Joins.failed(state, branch, visit, outcome.failure))
          : outcome.bodies
      return expected === undefined ? { bodies } : { got: essence(bodies[0]!), expected }
    })

    /** A recorded call or wait as what is asked for instead would be told, and where it was asked for. */
    const recordedCall = Effect.fnUntraced(function* ({ call, seq, tool }: Claims.Recorded) {
      const isIt = (event: Event) =>
        event.kind === "callStarted" ? event.seq === seq : event.kind === "waitOpened" && event.wait === call
      const found = yield* findBackwards(journals, { run, seq }, false, isIt)
      if (found === undefined) return yield* corrupt("replay", run, seq, `nobody has asked for ${call}`)
      const event = yield* open(codec, found)
      const input = event.kind === "callStarted" ? event.input : (event as Of<"waitOpened">).on
      return { seq: event.seq, expected: { tool, call, input } }
    })

    /** The events of an attempt as they are recorded: the end follows what closed it, after what the run tells another. */
    const recordedFrom = Effect.fnUntraced(function* (closing: Closing, bodies: number) {
      if (bodies === 1) return [closing]
      // On the next page perhaps.
      const following = yield* store.read(run, { from: closing.seq + 1, limit: 2 })
      const end = following.find((other) => other.event.kind !== "sent")
      return end === undefined ? [closing] : [closing, yield* open(codec, end.event)]
    })

    /** Executes the attempt that this event closed, from the state before it; what is not as recorded. */
    const compare = Effect.fnUntraced(function* (state: RunState.RunState, closing: Closing) {
      const branch = closing.branch ?? ""
      const { attempt, node, visit } = visitIn(state, branch)!
      now = closing.time
      const result = yield* execute(state, branch)
      const diverges = (expected: Json, got: Json, seq = closing.seq): Divergence => {
        const place = { node, visit, attempt, expected, got }
        return branch === "" ? { seq, ...place } : { seq, branch, ...place }
      }
      if ("got" in result) {
        const { expected: call, got } = result
        if (call === undefined) return diverges(essence(closing), got)
        const { expected, seq } = yield* recordedCall(call)
        return diverges(expected, got, seq)
      }
      const recorded = yield* recordedFrom(closing, result.bodies.length)
      for (const [k, body] of result.bodies.entries()) {
        const expected = recorded[k] === undefined ? null : essence(recorded[k])
        const got = essence(body)
        if (canonical(expected) !== canonical(got)) return diverges(expected, got)
      }
      return undefined
    })

    let state = from
    let visits = 0
    let skipped = 0
    let begun: number | undefined
    const divergences: Array<Divergence> = []
    const { info } = yield* store.get(run)
    const report = (): Report =>
      skipped === 0 ? { run, visits, divergences } : { run, visits, skipped, divergences }
    for (let next = from === undefined ? 0 : from.seq + 1; ;) {
      const entries = yield* store.read(run, { from: next, ...page })
      if (entries.length === 0) return report()
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!
        const event = yield* open(codec, entry.event)
        if (event.kind === "forked") state = (yield* load(journals, event.from.run, event.from.seq)).state
        begun ??= state?.version
        const isMigrated = begun !== info.version && state?.version !== flow.version
        // Once the run undoes its calls, its visits are over.
        const isClosed = state?.compensating !== undefined
        if (isMigrated && isClosing(event)) skipped += 1
        else if (state !== undefined && !isClosed && isClosing(event) && !isTimeout(event)) {
          const divergence = yield* compare(state, event)
          visits += 1
          // The next attempts begin with what is recorded, whatever came out of this one.
          if (divergence !== undefined && divergences.push(divergence) >= most) return report()
        }
        const folded: Result.Result<RunState.RunState, RunState.IllegalEvent> = RunState.apply(
          state,
          event,
          entry.line.length
        )
        if (Result.isFailure(folded)) {
          return yield* new Store.StoreError({
            operation: "replay",
            reason: { _tag: "Corrupt", run, seq: event.seq, detail: folded.failure.message }
          })
        }
        state = folded.success
        next = event.seq + 1
      }
    }
  })

/** A node's own timeout came from outside of its handler; to have it again, one would have to wait for it. */
const isTimeout = (event: Closing): boolean =>
  "error" in event && event.error.kind === "timeout" && event.error.what === "node"
