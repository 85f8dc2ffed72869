/**
 * The execution of one run by the worker that owns it: visits in sequence, commands, pauses, the end.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import type { Body, PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { NodeMiddleware, ToolMiddleware } from "../../Middleware.ts"
import type * as Store from "../../Store.ts"
import type { ToolExecutor } from "../../ToolExecutor.ts"
import { makeCodec } from "../definition/codec.ts"
import * as Snapshot from "../snapshot.ts"
import { isTerminal } from "../status.ts"
import type * as Calls from "./calls.ts"
import * as Commands from "./commands.ts"
import * as Failures from "./failure.ts"
import * as Handler from "./handler.ts"
import * as Outcomes from "./outcomes.ts"
import type { Journals } from "./reader.ts"
import * as TypedState from "./typedState.ts"
import * as Versions from "./versions.ts"
import type { WriteError, Writer } from "./writer.ts"

/** What all executions of a worker share. */
export interface Environment extends Journals {
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  readonly executor: ToolExecutor
  readonly nodeMiddlewares: ReadonlyArray<NodeMiddleware>
  readonly toolMiddlewares: ReadonlyArray<ToolMiddleware>
  readonly traced: boolean
}

/** Why an execution has to stop before the run itself stops. */
type Stop =
  | { readonly _tag: "Drain" }
  | { readonly _tag: "Cancel" }
  | { readonly _tag: "Pause"; readonly reason: PauseReason }
  | { readonly _tag: "Lost"; readonly error: WriteError }

/** How the run came to this execution, if it was taken over from another owner. */
export interface Claim {
  readonly cause: "handover" | "crash"
  readonly previous: { readonly epoch: number; readonly seq: number; readonly hash: string }
}

/** How an execution ended: at rest (ended, paused, drained), or because nothing more could be written. */
export type Outcome = { readonly _tag: "AtRest" } | { readonly _tag: "Lost"; readonly error: WriteError }

export interface Execution {
  readonly run: string
  readonly writer: Writer
  /** Executes the run until it rests, on a fiber of its own: it is stopped by `drain` and in no other way. */
  readonly execute: Effect.Effect<Outcome>
  /** Stops executing and writes what there is; the run goes on wherever it is taken up next. */
  readonly drain: Effect.Effect<void>
  /** Whether commands were delivered that it did not look at. */
  readonly hasUnread: () => boolean
  /** Whether the run is to end early: then it need not wait for a place. */
  readonly isUrgent: () => boolean
  /** Commands have come in: a cancel takes effect at once, the others at the next checkpoint. */
  readonly deliver: (commands: ReadonlyArray<Commands.Opened>) => Effect.Effect<void>
}

const atRest: Outcome = { _tag: "AtRest" }

export const make = (
  environment: Environment,
  /** The flow and its handlers, their context merged with the worker's. */
  service: Flow.HandlersService,
  writer: Writer,
  claim: Claim | undefined,
  /** The run's span, if it begins with this execution and is traced. */
  span?: Tracer.Span
): Execution => {
  const { clock, hash } = environment
  const { flow } = service
  const run = writer.lease.run

  let stop: Stop | undefined
  let fiber: Fiber.Fiber<unknown, unknown> | undefined
  let typed: TypedState.TypedState | undefined
  let input: { readonly value: unknown } | undefined
  let recovered = claim !== undefined
  let phase: "queued" | "executing" | "resting" = "queued"
  /** Ends the sleep before the next attempt, if the run is in it. */
  let wake: (() => void) | undefined
  const inbox: Array<Commands.Opened> = []

  /** Stops the execution; the first reason counts, but losing the right to write overrides the others. */
  const halt = (reason: Stop): void => {
    if (stop === undefined || reason._tag === "Lost") stop = reason
    fiber?.interruptUnsafe()
  }

  /**
   * For code that runs inside a handler: a run that cannot be written stops there. It interrupts itself besides being
   * interrupted, since it may stand in a region that cannot be.
   */
  const orHalt = <A>(effect: Effect.Effect<A, WriteError>): Effect.Effect<A> =>
    Effect.catch(effect, (error) => {
      halt({ _tag: "Lost", error })
      return Effect.interrupt
    })

  const host: Calls.Host = {
    run,
    durability: writer.state.durability,
    hash,
    context: environment.context,
    executor: environment.executor,
    middlewares: environment.toolMiddlewares,
    traced: environment.traced,
    encrypts: environment.codec?.encrypts === true,
    open: () => writer.state.open[""]!,
    append: (body) => orHalt(Effect.map(writer.append(body), () => writer.state.time)),
    sync: orHalt(writer.sync),
    stopping: () => stop !== undefined,
    halted: () => stop !== undefined && stop._tag !== "Cancel",
    pause: (reason) =>
      Effect.suspend(() => {
        halt({ _tag: "Pause", reason })
        return Effect.interrupt
      })
  }

  const outcomes = Outcomes.make(flow, clock)

  const takeSnapshot = Effect.fnUntraced(function* () {
    const plan = Snapshot.plan(writer.state)
    const at = writer.state.seq
    for (const piece of plan.pieces) {
      piece.placed(run, yield* writer.append(Snapshot.pieceBody(piece, at)))
      yield* Effect.yieldNow
    }
    yield* writer.appendTo((state) => [Snapshot.headBody(plan, state, at)])
  })

  /** Decodes what the handlers see; a run that the flow cannot read is paused, not failed. */
  const decodeState = (): PauseReason | undefined => {
    const { state } = writer
    const incompatible = (mismatch: TypedState.Mismatch): PauseReason =>
      Versions.incompatible(flow, state, [Versions.unfit(mismatch)], host.encrypts)
    if (input === undefined) {
      const exit = makeCodec(flow.input).decode(state.input.value)
      if (Exit.isFailure(exit)) return incompatible(Outcomes.mismatchOf("the input", exit))
      input = { value: exit.value }
    }
    const decoded = TypedState.decode(flow.state, state.channels)
    if (Result.isFailure(decoded)) return incompatible(decoded.failure)
    typed = decoded.success
    return undefined
  }

  const enqueue = (commands: ReadonlyArray<Commands.Opened>): void => {
    for (const received of commands)
      if (!inbox.some((other) => sameCommand(other, received))) inbox.push(received)
  }

  /** Carries out the commands that have come in. Those that change the state make it decoded anew. */
  const obey = Effect.fnUntraced(function* () {
    for (let received = inbox.shift(); received !== undefined; received = inbox.shift()) {
      const { restarts } = writer.state
      const next = received
      yield* writer.appendTo((state) => Commands.carryOut(state, next))
      if (writer.state.restarts !== restarts) typed = undefined
    }
  })

  /** Until it is time for the next attempt, or something is to be done. */
  const sleep = (millis: number): Effect.Effect<void> =>
    Effect.raceFirst(
      clock.sleep(Duration.millis(millis)),
      Effect.callback<void>((resume) => {
        wake = () => resume(Effect.void)
        return Effect.sync(() => {
          wake = undefined
        })
      })
    )

  const append = (bodies: ReadonlyArray<Body>) =>
    writer.append(...(bodies as readonly [Body, ...ReadonlyArray<Body>]))

  /** Executes the open visit: one attempt, and the events that come of it. */
  const step = Effect.gen(function* () {
    const visit = writer.state.open[""]!
    if (visit.due !== undefined) {
      const wait = visit.due - clock.currentTimeMillisUnsafe()
      if (wait > 0) {
        // What comes after a long sleep should not have to begin before it.
        yield* writer.sync
        if (inbox.length === 0) yield* Effect.exit(Effect.interruptible(sleep(wait)))
        if (stop !== undefined || inbox.length > 0) return
      }
    }
    const started = clock.currentTimeMillisUnsafe()
    const { close, effect } = Handler.prepare(environment, service, host, {
      visit,
      branch: "",
      state: typed!.view,
      input: input!.value,
      recovered,
      timeout: flow.nodes[visit.node]!.timeout
    })
    const exit = yield* Effect.exit(Effect.interruptible(effect))
    yield* close(exit)
    if (stop !== undefined) return
    recovered = false
    if (Exit.isSuccess(exit)) {
      const answer = outcomes.answered(visit, started, exit.value, typed!)
      typed = answer.state
      yield* append(answer.bodies)
    } else yield* append(yield* outcomes.failed(visit, started, Failures.outcomeOf(exit.cause)))
    if (writer.state.durability === "strict") yield* writer.sync
    if (Snapshot.isDue(writer.state) && !isTerminal(writer.state.status)) yield* takeSnapshot()
  })

  /** Opens the epoch. After a crash that is durable before any code of the flow's author runs. */
  const takeOver = Effect.fnUntraced(function* ({ cause, previous }: Claim) {
    const { owner } = writer.lease
    const span = environment.traced ? yield* Effect.serviceOption(Tracer.ParentSpan) : Option.none()
    yield* writer.append(
      Option.isNone(span)
        ? { kind: "claimed", owner, cause, previous }
        : {
            kind: "claimed",
            owner,
            cause,
            previous,
            trace: { traceId: span.value.traceId, spanId: span.value.spanId }
          }
    )
    const { maxRecoveries, open, recoveries, status } = writer.state
    if (recoveries > maxRecoveries && !isTerminal(status)) {
      yield* writer.append(Outcomes.failRun({ kind: "recoveries", limit: maxRecoveries }, open[""]!))
    }
    if (cause === "crash") yield* writer.sync
  })

  const loop = Effect.uninterruptible(
    Effect.gen(function* (): Effect.fn.Return<Outcome, WriteError> {
      if (claim !== undefined) yield* takeOver(claim)
      phase = "executing"
      while (true) {
        if (stop !== undefined) {
          if (stop._tag === "Lost") return stop
          if (stop._tag === "Drain") break
          const { status } = writer.state
          if (stop._tag === "Pause" && status !== "cancelling" && !isTerminal(status)) {
            yield* writer.append({ kind: "paused", reason: stop.reason })
            // This fiber was interrupted: whoever resumes the run does so with another.
            break
          }
        }
        if (inbox.length > 0) yield* obey()
        const { status } = writer.state
        if (isTerminal(status) || status === "paused") break
        if (status === "cancelling") {
          yield* writer.append({ kind: "cancelled", reason: writer.state.cancel ?? "" })
          break
        }
        if (typed === undefined) {
          const change = yield* Versions.follow(environment, flow, writer.state)
          if (change !== undefined) {
            // A cancel may have come in meanwhile, which comes first.
            yield* writer.appendTo((now) => (now.status === "cancelling" ? undefined : [change]))
            if (change.kind === "migrated" && writer.state.version === flow.version) yield* takeSnapshot()
            continue
          }
          const reason = decodeState()
          if (reason !== undefined) {
            yield* writer.append({ kind: "paused", reason })
            break
          }
        }
        if (writer.state.steps >= writer.state.maxSteps) {
          yield* writer.append(
            Outcomes.failRun({ kind: "stepLimit", limit: writer.state.maxSteps }, writer.state.open[""]!)
          )
          break
        }
        yield* step
      }
      phase = "resting"
      yield* writer.sync
      return atRest
    })
  ).pipe(
    Effect.catch((error): Effect.Effect<Outcome> => Effect.succeed({ _tag: "Lost", error })),
    Effect.tap(() => Effect.sync(() => (phase = "resting")))
  )

  /** A span for the execution: the run's own, or one that is linked to that of the execution before it. */
  const traced = (effect: Effect.Effect<Outcome>): Effect.Effect<Outcome> => {
    if (!environment.traced) return effect
    if (span !== undefined) {
      return Effect.onExit(Effect.withParentSpan(effect, span), (exit) =>
        Effect.sync(() => span.end(clock.currentTimeNanosUnsafe(), exit))
      )
    }
    const { trace } = writer.state
    const before = trace === undefined ? undefined : Tracer.externalSpan({ ...trace, sampled: true })
    return Effect.withSpan(effect, spanName(flow.id), {
      attributes: spanAttributes(run, flow.id, writer.lease.epoch),
      root: true,
      ...(before === undefined ? undefined : { links: [{ span: before, attributes: {} }] })
    })
  }

  return {
    run,
    writer,
    execute: Effect.withFiber((self) => {
      fiber = self
      return traced(loop)
    }),
    drain: Effect.sync(() => halt({ _tag: "Drain" })),
    hasUnread: () => inbox.length > 0,
    isUrgent: () => writer.state.status === "cancelling" || inbox.some(isCancel),
    deliver: (commands) =>
      Effect.suspend(() => {
        enqueue(commands)
        wake?.()
        // Before and after, nothing is executed that could be interrupted.
        const cancel = phase === "executing" ? inbox.find(isCancel) : undefined
        if (cancel === undefined || isTerminal(writer.state.status)) return Effect.void
        inbox.splice(inbox.indexOf(cancel), 1)
        // The request is in the journal before anything is interrupted: a crash in between goes on cancelling.
        return Effect.match(
          writer.appendTo((state) => Commands.carryOut(state, cancel)),
          {
            onSuccess: () => {
              if (writer.state.status === "cancelling") halt({ _tag: "Cancel" })
            },
            onFailure: (error) => halt({ _tag: "Lost", error })
          }
        )
      })
  }
}

const spanName = (flow: string): string => `run ${flow}`

const spanAttributes = (run: string, flow: string, epoch: number) => ({
  "waymark.run": run,
  "waymark.flow": flow,
  "waymark.epoch": epoch
})

/** The span of a new run, under the one that it is started in. */
export const startSpan = (environment: Environment, run: string, flow: string): Effect.Effect<Tracer.Span> =>
  Effect.makeSpan(spanName(flow), { attributes: spanAttributes(run, flow, 0) }).pipe(
    Effect.provideService(Tracer.Tracer, Context.get(environment.context, Tracer.Tracer))
  )

const isCancel = ({ command }: Store.Received): boolean => command.request.type === "cancel"

const sameCommand = (a: Store.Received, b: Store.Received): boolean =>
  a.source === b.source && a.position === b.position
