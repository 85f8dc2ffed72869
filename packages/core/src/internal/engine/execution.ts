/**
 * The execution of one run by the worker that owns it: visits, commands, pauses, the end.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import type { PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { NodeMiddleware, ToolMiddleware } from "../../Middleware.ts"
import type * as Store from "../../Store.ts"
import type { ToolExecutor } from "../../ToolExecutor.ts"
import * as Snapshot from "../snapshot.ts"
import { isTerminal } from "../status.ts"
import { visitIn } from "../visits.ts"
import * as Branching from "./branching.ts"
import * as Commands from "./commands.ts"
import * as Joins from "./joins.ts"
import * as Limits from "./limits.ts"
import * as Outcomes from "./outcomes.ts"
import type { Journals } from "./reader.ts"
import * as Versions from "./versions.ts"
import * as Views from "./views.ts"
import * as Visiting from "./visiting.ts"
import * as Waking from "./waking.ts"
import type { Bodies, WriteError, Writer } from "./writer.ts"

/** What all executions of a worker share. */
export interface Environment extends Journals {
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  readonly executor: ToolExecutor
  readonly nodeMiddlewares: ReadonlyArray<NodeMiddleware>
  readonly toolMiddlewares: ReadonlyArray<ToolMiddleware>
  readonly traced: boolean
  /** How long the fiber of a visit that waits is kept, in milliseconds. */
  readonly keepWaiting: number
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

/** How an execution ended: at rest (ended, paused, waiting, drained), or because nothing more could be written. */
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
  /**
   * Commands have come in: a cancel, and what ends a wait, take effect at once, the others at the next checkpoint.
   */
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
  const { clock } = environment
  const { flow } = service
  const run = writer.lease.run
  const runFork = Effect.runForkWith(environment.context)

  let stop: Stop | undefined
  let fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** The main line, whose handlers are executed on the fiber of the execution itself. */
  const main = Visiting.lineOf("")
  let phase: "queued" | "executing" | "resting" = "queued"
  const views = Views.make(flow)
  /** Ends what the execution itself waits for, if it does. */
  let wake: (() => void) | undefined
  const inbox: Array<Commands.Opened> = []

  /** Stops the execution; the first reason counts, but losing the right to write overrides the others. */
  const halt = (reason: Stop): void => {
    if (stop === undefined || reason._tag === "Lost") stop = reason
    fiber?.interruptUnsafe()
    branching?.interrupt()
    wake?.()
  }

  const timer = (millis: number, callback: () => void): (() => void) => {
    const sleeping = runFork(
      Effect.andThen(
        clock.sleep(Duration.millis(millis)),
        Effect.sync(() => {
          cancelled = true
          callback()
        })
      )
    )
    let cancelled = false
    return () => {
      if (cancelled) return
      cancelled = true
      sleeping.interruptUnsafe()
    }
  }

  /** Until something is to be done, or so many milliseconds have passed. */
  const idle = (millis: number): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const cancel = Number.isFinite(millis) ? timer(Math.max(1, millis), () => wake?.()) : () => {}
      wake = () => {
        wake = undefined
        cancel()
        resume(Effect.void)
      }
    })

  const touched = (bodies: Bodies): void => {
    branching?.touched(bodies)
    for (const body of bodies) if (body.kind === "waitEnded") main.parked?.wake()
    if (writer.state.open[""] === undefined) wake?.()
  }

  const course: Visiting.Course = {
    environment,
    service,
    writer,
    views,
    outcomes: Outcomes.make(flow, clock),
    inherited: claim === undefined ? -1 : writer.state.seq,
    isStopping: () => stop !== undefined,
    isHalted: () => stop !== undefined && stop._tag !== "Cancel",
    lost: (error) => halt({ _tag: "Lost", error }),
    pause: (reason) => halt({ _tag: "Pause", reason }),
    touched,
    timer
  }
  const visiting = Visiting.make(course)

  const takeSnapshot = Effect.fnUntraced(function* () {
    const plan = Snapshot.plan(writer.state)
    const at = writer.state.seq
    for (const piece of plan.pieces) {
      piece.placed(run, yield* writer.append(Snapshot.pieceBody(piece, at)))
      yield* Effect.yieldNow
    }
    yield* writer.appendTo((state) => [Snapshot.headBody(plan, state, at)])
  })

  const isStrict = writer.state.durability === "strict"
  const snapshotIfDue = Effect.suspend((): Effect.Effect<void, WriteError> =>
    Snapshot.isDue(writer.state) && !isTerminal(writer.state.status) ? takeSnapshot() : Effect.void
  )
  const afterVisit = isStrict ? Effect.andThen(writer.sync, snapshotIfDue) : snapshotIfDue

  /** Most runs have no branches. */
  let branching: Branching.Branching | undefined
  const inBranches = Effect.suspend(() => {
    branching ??= Branching.make({
      course,
      visiting,
      idle,
      poke: () => wake?.(),
      afterVisit: isStrict ? writer.sync : Effect.void,
      betweenVisits: Effect.andThen(warnIfDue, snapshotIfDue),
      isDisturbed: () => stop !== undefined || inbox.length > 0
    })
    return branching.execute
  })

  /** What the flow cannot read pauses the run; it does not fail it. */
  let isRead = false
  const incompatible = (): PauseReason | undefined => {
    const { state } = writer
    for (const read of [views.inputOf(state), views.of(state, "")]) {
      if (Result.isSuccess(read)) continue
      return Versions.incompatible(
        flow,
        state,
        [Versions.unfit(read.failure)],
        environment.codec?.encrypts === true
      )
    }
    isRead = true
    return undefined
  }

  const enqueue = (received: Commands.Opened): void => {
    if (!inbox.some((other) => sameCommand(other, received))) inbox.push(received)
  }

  /** Carries out the commands that have come in. Those that change the state make it decoded anew. */
  const obey = Effect.fnUntraced(function* () {
    for (let received = inbox.shift(); received !== undefined; received = inbox.shift()) {
      const { restarts } = writer.state
      const next = received
      yield* writer.appendTo((state) => Commands.carryOut(state, next))
      if (writer.state.restarts === restarts) continue
      views.reset()
      isRead = false
    }
  })

  const warnIfDue = Effect.suspend((): Effect.Effect<unknown, WriteError> => {
    const warning = Limits.warningOf(flow, writer.state)
    return warning === undefined ? Effect.void : writer.append(warning)
  })

  /** Executes the open visit of the main line: one attempt, and the events that come of it. */
  const step: Effect.Effect<void, WriteError> = Effect.suspend(() => {
    const { due } = writer.state.open[""]!
    const wait = due === undefined ? 0 : due - clock.currentTimeMillisUnsafe()
    if (wait > 0) {
      // What comes after a long sleep should not have to begin before it.
      return Effect.andThen(
        writer.sync,
        Effect.suspend(() => (stop !== undefined || inbox.length > 0 ? Effect.void : idle(wait)))
      )
    }
    main.suspended = false
    main.evicted = false
    return Effect.flatMap(visiting.attempt(main), () =>
      stop !== undefined || main.suspended ? Effect.void : afterVisit
    )
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
    const { maxRecoveries, recoveries, status } = writer.state
    if (recoveries > maxRecoveries && !isTerminal(status)) {
      yield* writer.append(Joins.failRun(writer.state, { kind: "recoveries", limit: maxRecoveries }))
    }
    if (cause === "crash") yield* writer.sync
  })

  /** Lets the run go on until there is nothing to do for it now. */
  const goOn = Effect.gen(function* (): Effect.fn.Return<WriteError | undefined, WriteError> {
    while (true) {
      if (stop !== undefined) {
        if (stop._tag === "Lost") return stop.error
        if (stop._tag === "Drain") return undefined
        const { status } = writer.state
        if (stop._tag === "Pause" && status !== "cancelling" && !isTerminal(status)) {
          yield* writer.append({ kind: "paused", reason: stop.reason })
          // This fiber was interrupted: whoever resumes the run does so with another.
          return undefined
        }
      }
      if (inbox.length > 0) yield* obey()
      const { state } = writer
      if (isTerminal(state.status) || state.status === "paused") return undefined
      if (state.status === "cancelling") {
        yield* writer.append({ kind: "cancelled", reason: state.cancel ?? "" })
        return undefined
      }
      if (!isRead) {
        const change = yield* Versions.follow(environment, flow, state)
        if (change !== undefined) {
          // A cancel may have come in meanwhile, which comes first.
          yield* writer.appendTo((now) => (now.status === "cancelling" ? undefined : [change]))
          views.reset()
          const isApplied = change.kind === "migrated" && writer.state.version === flow.version
          if (isApplied && writer.state.fingerprint === flow.fingerprint) yield* takeSnapshot()
          continue
        }
      }
      const reason = isRead ? undefined : incompatible()
      if (reason !== undefined) {
        yield* writer.append({ kind: "paused", reason })
        return undefined
      }
      if (!HashMap.isEmpty(state.waits)) {
        yield* writer.appendTo((now) => Waking.endOverdue(now, clock.currentTimeMillisUnsafe()))
      }
      const visit = visitIn(writer.state, "")
      if (visit === undefined) {
        if (HashMap.isEmpty(writer.state.fanOuts)) return undefined
        if (yield* inBranches) return undefined
      } else if (visit.waiting.length > 0) return undefined
      else {
        const exceeded = Limits.exceededBy(writer.state, visit)
        if (exceeded !== undefined) yield* writer.append(Joins.failRun(writer.state, exceeded))
        else {
          yield* warnIfDue
          yield* step
        }
      }
    }
  })

  const loop = Effect.uninterruptible(
    Effect.gen(function* (): Effect.fn.Return<Outcome, WriteError> {
      if (claim !== undefined) yield* takeOver(claim)
      phase = "executing"
      const lost = yield* goOn
      phase = "resting"
      if (lost !== undefined) return { _tag: "Lost", error: lost }
      yield* writer.sync
      return atRest
    })
  ).pipe(
    Effect.catch((error): Effect.Effect<Outcome> => Effect.succeed({ _tag: "Lost", error })),
    Effect.ensuring(Effect.suspend(() => branching?.end ?? Effect.void)),
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

  /** The request is in the journal before anything is interrupted: a crash in between goes on cancelling. */
  const cancel = (command: Commands.Opened): Effect.Effect<unknown, WriteError> =>
    Effect.map(
      writer.appendTo((state) => Commands.carryOut(state, command)),
      () => {
        if (writer.state.status === "cancelling") halt({ _tag: "Cancel" })
      }
    )

  const receive = (command: Commands.Opened): Effect.Effect<unknown, WriteError> => {
    // Before and after, nothing is executed that could be interrupted, or that waits.
    if (phase === "executing" && !isTerminal(writer.state.status)) {
      if (isCancel(command)) return cancel(command)
      if (Commands.isForWait(command)) {
        // Nothing else may happen for long that would make it durable.
        return Effect.andThen(
          visiting.appendTo((state) => Commands.carryOut(state, command)),
          writer.sync
        )
      }
    }
    enqueue(command)
    return Effect.void
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
      Effect.forEach(commands, receive, { discard: true }).pipe(
        Effect.catch((error) => Effect.sync(() => halt({ _tag: "Lost", error }))),
        Effect.andThen(
          Effect.sync(() => {
            if (inbox.length === 0) return
            // Whoever is kept while it waits would come to no checkpoint.
            Branching.evict(main)
            branching?.evict()
            wake?.()
          })
        )
      )
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
