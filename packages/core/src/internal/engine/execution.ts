/**
 * The execution of one run by the worker that owns it: visits, commands, pauses, the end.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type * as Tracer from "effect/Tracer"
import type { PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { OpenVisit, RunState } from "../../RunState.ts"
import { isTerminal } from "../status.ts"
import { visitIn, visitsOf } from "../visits.ts"
import * as Branching from "./branching.ts"
import type * as Commands from "./commands.ts"
import * as Compensation from "./compensation.ts"
import * as Deadlines from "./deadlines.ts"
import * as Due from "./due.ts"
import type { Environment } from "./environment.ts"
import * as Grace from "./grace.ts"
import * as Joins from "./joins.ts"
import * as Limits from "./limits.ts"
import * as Obeying from "./obeying.ts"
import * as Outbox from "./outbox.ts"
import * as Outcomes from "./outcomes.ts"
import * as Pausing from "./pausing.ts"
import * as Placing from "./placing.ts"
import { snapshotIfDue, takeSnapshot } from "./snapshotting.ts"
import * as Spans from "./spans.ts"
import { takeOver } from "./takingOver.ts"
import type { Claim } from "./takingOver.ts"
import * as Versions from "./versions.ts"
import * as Views from "./views.ts"
import * as Visiting from "./visiting.ts"
import * as Waking from "./waking.ts"
import type { Bodies, WriteError, Writer } from "./writer.ts"

/** Why an execution has to stop before the run itself stops. */
type Stop =
  | { readonly _tag: "Drain" }
  | { readonly _tag: "Cancel" }
  | { readonly _tag: "Deadline" }
  | { readonly _tag: "Pause"; readonly reason: PauseReason }
  | { readonly _tag: "Lost"; readonly error: WriteError }
  | { readonly _tag: "Died"; readonly cause: Cause.Cause<never> }

/**
 * How an execution ended: at rest (ended, paused, waiting, drained), because nothing more could be written, or by
 * something that nobody expected.
 */
export type Outcome =
  | { readonly _tag: "AtRest" }
  | { readonly _tag: "Lost"; readonly error: WriteError }
  | { readonly _tag: "Died"; readonly cause: Cause.Cause<never> }

export interface Execution {
  readonly run: string
  readonly writer: Writer
  /** Executes the run until it rests, on a fiber of its own that nobody interrupts: it is stopped by `drain`. */
  readonly execute: Effect.Effect<Outcome>
  /** Stops executing and writes what there is; the run goes on wherever it is taken up next. */
  readonly drain: Effect.Effect<void>
  /** The run may have taken as long as it may. */
  readonly expire: Effect.Effect<void>
  /** Leaves behind what does not stop. */
  readonly abandon: Effect.Effect<void>
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
  let main = Visiting.lineOf(environment, "")
  let draining = false
  let phase: "queued" | "executing" | "resting" = "queued"
  const views = Views.make(flow)

  /** Stops the execution; the first reason counts, but that nothing can be written any more overrides the others. */
  const halt = (reason: Stop): void => {
    const isFinal = reason._tag === "Lost" || reason._tag === "Died"
    if (stop === undefined || isFinal) stop = reason
    // A drain has a limit of its own.
    const isUnlimited = reason._tag === "Drain"
    main.grace.interrupt(isUnlimited)
    branching?.interrupt(isUnlimited)
    // What the end of the handlers leads to is not meant, if that is already under way.
    if (draining || isFinal) undoing?.interrupt(isUnlimited)
    placing.wake()
  }

  const isLost = (): boolean => stop?._tag === "Lost" || stop?._tag === "Died"

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

  const placing = Placing.make(environment.places, run, timer)
  const { enter, idle, reenter, wake } = placing

  const touched = (bodies: Bodies): void => {
    branching?.touched(bodies)
    for (const body of bodies) if (body.kind === "waitEnded") main.parked?.wake()
    if (writer.state.open[""] === undefined || writer.state.status === "cancelling") wake()
  }

  /** Most runs send nothing to others. */
  let sending: Outbox.Outbox | undefined
  const outbox = (): Outbox.Outbox =>
    (sending ??= Outbox.make({
      creator: { ...environment, starter: environment.starter },
      writer,
      touched,
      timer,
      poke: () => {
        const isWoken = wake()
        return isWoken || stop !== undefined
      },
      fork: (effect) => runFork(Effect.catch(effect, (error) => Effect.sync(() => course.lost(error))))
    }))
  const isSending = (): boolean => !HashMap.isEmpty(writer.state.outbox) && outbox().isDue()
  const flush = Effect.suspend(() => (isSending() ? outbox().flush : Effect.void))

  const course: Visiting.Course = {
    environment,
    service,
    writer,
    views,
    outcomes: Outcomes.make(flow, clock),
    deliver: (message, of) => outbox().deliver(message, of),
    inherited: claim === undefined ? -1 : writer.state.seq,
    isStopping: () => stop !== undefined,
    isHalted: () => stop !== undefined && stop._tag !== "Cancel" && stop._tag !== "Deadline",
    unwound: new Set(),
    isLost,
    lost: (error) => halt({ _tag: "Lost", error }),
    pause: (reason) => halt({ _tag: "Pause", reason }),
    touched,
    timer,
    parked: (branch) => {
      if (branch === "" || branching?.isQuiet() === true) placing.leave()
    },
    reenter
  }
  const visiting = Visiting.make(course)

  const isStrict = writer.state.durability === "strict"
  const afterVisit = (): Effect.Effect<void, WriteError> =>
    isStrict ? Effect.flatMap(writer.sync, () => snapshotIfDue(writer)) : snapshotIfDue(writer)

  /** Most runs have no branches. */
  let branching: Branching.Branching | undefined
  const inBranches = Effect.suspend(() => {
    branching ??= Branching.make({
      course,
      visiting,
      idle,
      isAway: placing.isAway,
      enter,
      poke: wake,
      afterVisit: isStrict ? writer.sync : Effect.void,
      betweenVisits: Effect.suspend(warnIfDue).pipe(
        Effect.flatMap(() => snapshotIfDue(writer)),
        Effect.andThen(flush)
      ),
      isDisturbed: () => stop !== undefined || !isIdle()
    })
    return branching.execute
  })

  /** Most runs have nothing to undo. */
  let undoing: Grace.Grace | undefined
  const undo = Effect.suspend(() => {
    undoing ??= Grace.make(environment)
    return Effect.map(
      Compensation.make({
        journals: environment,
        writer,
        clock,
        surroundings: {
          context: environment.context,
          executor: environment.executor,
          limits: environment,
          middlewares: environment.toolMiddlewares,
          traced: environment.traced
        },
        tools: service.context as Context.Context<never>,
        stopping: () => draining || isLost(),
        execute: undoing.execute,
        sleep: idle,
        enter,
        obey: Effect.suspend(() => (isIdle() ? Effect.void : obey))
      }),
      () => {
        if (!isLost() && !isTerminal(writer.state.status)) through = true
      }
    )
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

  const obeying = Obeying.make({
    service,
    writer,
    appendTo: visiting.appendTo,
    // Before and after, nothing is executed that could be interrupted, or that waits.
    isExecuting: () => phase === "executing" && !isTerminal(writer.state.status),
    cancelled: () => halt({ _tag: "Cancel" }),
    restarted: () => {
      environment.deadlines.add(run, writer.state.deadline)
      views.reset()
      isRead = false
    }
  })
  const { isIdle, obey } = obeying

  const warnIfDue = (): Effect.Effect<unknown, WriteError> => {
    const warning = Limits.warningOf(flow, writer.state)
    return warning === undefined ? Effect.void : writer.append(warning)
  }

  /** Until the next attempt of the main line. */
  let sleeping: Due.Due | undefined

  /** Executes the open visit of the main line: one attempt, and the events that come of it. */
  const step = ({ due }: OpenVisit): Effect.Effect<unknown, WriteError> => {
    if (due !== undefined && sleeping?.at !== due) sleeping = Due.make(clock, due)
    const wait = due === undefined ? 0 : sleeping!.left()
    if (wait > 0) {
      // What comes after a long sleep should not have to begin before it. Clocks may be set meanwhile.
      const look = Math.min(wait, environment.lookInterval)
      return Effect.flatMap(writer.sync, () => (stop !== undefined || !isIdle() ? Effect.void : idle(look)))
    }
    if (placing.isAway()) return Effect.asVoid(enter)
    if (main.gone) main = Visiting.lineOf(environment, "")
    main.suspended = false
    main.evicted = false
    return Effect.flatMap(visiting.attempt(main), () =>
      stop !== undefined || main.suspended ? Effect.void : afterVisit()
    )
  }

  /** Then an earlier process has seen to the finalizers, as far as it came: handlers are not executed any more. */
  const wasCancelling = writer.state.status === "cancelling"

  /**
   * A run ends whose handlers wait and were not kept: they are executed up to their waits again and interrupted there, so
   * that their finalizers can call tools, as those of handlers that are kept. Whether there was something to do.
   */
  const unwind = (why: "Cancel" | "Deadline"): Effect.Effect<boolean, WriteError> =>
    Effect.gen(function* () {
      const { fingerprint, version } = writer.state
      const waiting = [...visitsOf(writer.state)].filter(
        ([branch, visit]) => visit.waiting.length > 0 && !course.unwound.has(branch)
      )
      if (waiting.length === 0 || wasCancelling || isLost()) return false
      // Without a handler that the run fits there is nothing to be executed.
      if (version !== flow.version || fingerprint !== flow.fingerprint || incompatible() !== undefined)
        return false
      stop ??= { _tag: why }
      for (const [branch] of waiting) {
        if (draining || isLost()) break
        main = Visiting.lineOf(environment, branch)
        main.unwinding = "under way"
        const { grace } = main
        // Nobody knows whether it comes to its wait again.
        const cancel = Duration.isFinite(environment.grace)
          ? timer(Duration.toMillis(environment.grace), () => grace.interrupt())
          : () => {}
        yield* Effect.ensuring(visiting.attempt(main), Effect.sync(cancel))
        course.unwound.add(branch)
      }
      main = Visiting.lineOf(environment, "")
      return true
    })

  /** Brings the run to the version of the flow, or pauses it because that cannot be done. */
  const follow = Effect.suspend(() =>
    Effect.flatMap(Versions.follow(environment, flow, writer.state), (change) => {
      if (change === undefined) return Effect.void
      // A cancel may have come in meanwhile, which comes first.
      const appended = writer.appendTo((now) => (now.status === "cancelling" ? undefined : [change]))
      return Effect.flatMap(appended, () => {
        views.reset()
        if (change.kind === "paused") return Pausing.report(run, change.reason)
        return change.kind === "migrated" && writer.state.version === flow.version
          ? takeSnapshot(writer)
          : Effect.void
      })
    })
  )

  /** Nothing is left to do for the run now. */
  let through = false
  const rest = (): Effect.Effect<void> => {
    through = true
    return Effect.void
  }
  const pause = (reason: PauseReason): Effect.Effect<unknown, WriteError> => {
    through = true
    return Effect.andThen(writer.append({ kind: "paused", reason }), Pausing.report(run, reason))
  }

  const endChildren = Effect.suspend(() =>
    Effect.flatMap(outbox().endChildren, (ended): Effect.Effect<unknown, WriteError> => {
      if (ended) return undo
      if (draining) return rest()
      return isIdle() ? idle(Outbox.tryAgain) : Effect.void
    })
  )

  /** Does something about a run that ends early, unless its handlers have to be unwound before. */
  const unwound = (
    why: "Cancel" | "Deadline",
    then: () => Effect.Effect<unknown, WriteError>
  ): Effect.Effect<unknown, WriteError> =>
    Effect.flatMap(unwind(why), (isBusy): Effect.Effect<unknown, WriteError> => {
      if (!isBusy) return then()
      return draining ? rest() : Effect.void
    })

  /** Ends the run early: first what it started, then what it did. */
  const end = (state: RunState): Effect.Effect<unknown, WriteError> =>
    state.status === "cancelling" && state.compensating === undefined
      ? unwound("Cancel", () => endChildren)
      : undo

  /** Does what is to be done next: one thing, after which it is looked again. */
  const turn = (): Effect.Effect<unknown, WriteError> => {
    const { state } = writer
    if (stop !== undefined) {
      if (isLost() || stop._tag === "Drain") return rest()
      const { status } = state
      if (stop._tag === "Pause" && status !== "cancelling" && !isTerminal(status)) return pause(stop.reason)
    }
    if (!isIdle()) return obey
    if (isSending()) return outbox().flush
    if (isTerminal(state.status) || state.status === "paused") return rest()
    if (state.status === "cancelling" || state.compensating !== undefined) return end(state)
    const isOver = stop?._tag === "Deadline" && Deadlines.isTimed(state)
    if (isOver || Deadlines.isExpired(state, clock.currentTimeMillisUnsafe())) {
      return unwound("Deadline", () => {
        // Whoever retries the run gives it time again.
        if (isOver) stop = undefined
        return writer.append(Deadlines.expire(state))
      })
    }
    if (!isRead) {
      if (!Versions.isCurrent(flow, state)) return follow
      const reason = incompatible()
      if (reason !== undefined) return pause(reason)
    }
    if (!HashMap.isEmpty(state.waits)) {
      const overdue = (now: RunState) => Waking.endOverdue(now, clock.currentTimeMillisUnsafe())
      if (overdue(state) !== undefined) return writer.appendTo(overdue)
    }
    const visit = visitIn(state, "")
    if (visit === undefined) {
      if (HashMap.isEmpty(state.fanOuts)) return rest()
      return Effect.map(inBranches, (isWaiting) => {
        if (isWaiting) through = true
      })
    }
    if (visit.waiting.length > 0) return rest()
    const exceeded = Limits.exceededBy(state, visit)
    if (exceeded !== undefined) {
      if (Limits.pausesAt(flow, exceeded)) return pause(exceeded)
      return writer.append(Joins.failRun(state, exceeded))
    }
    const warning = Limits.warningOf(flow, state)
    return warning === undefined ? step(visit) : writer.append(warning)
  }

  /** Whether nothing is under way any more that might append something, or has to be waited for. */
  const isQuiet = (): boolean =>
    (branching === undefined || branching.isEmpty()) && (sending === undefined || !sending.isBusy())

  const turns = Effect.whileLoop({ while: () => !through, body: turn, step: () => {} })
  const executing = Effect.suspend(() => {
    phase = "executing"
    return Effect.flatMap(turns, (): Effect.Effect<Outcome, WriteError> => {
      phase = "resting"
      if (stop?._tag === "Lost") return Effect.fail(stop.error)
      if (stop?._tag === "Died") return Effect.failCause(stop.cause)
      return Effect.as(isQuiet() ? writer.finish : writer.sync, atRest)
    })
  })
  const loop = (
    claim === undefined ? executing : Effect.andThen(takeOver(writer, claim, environment.traced), executing)
  ).pipe(
    Effect.catch((error): Effect.Effect<Outcome> => Effect.succeed({ _tag: "Lost", error })),
    Effect.catchCause((cause) =>
      Effect.sync((): Outcome => {
        halt({ _tag: "Died", cause })
        return { _tag: "Died", cause }
      })
    ),
    Effect.onExit(() => {
      phase = "resting"
      if (branching === undefined && sending === undefined) return Effect.void
      const endSending = Effect.suspend(() => (sending === undefined ? Effect.void : sending.end))
      return branching === undefined ? endSending : Effect.andThen(branching.end, endSending)
    })
  )

  return {
    run,
    writer,
    execute: Spans.around(environment, writer, span, loop),
    drain: Effect.sync(() => {
      draining = true
      halt({ _tag: "Drain" })
    }),
    expire: Effect.sync(() => {
      if (phase === "executing" && Deadlines.isExpired(writer.state, clock.currentTimeMillisUnsafe())) {
        halt({ _tag: "Deadline" })
      }
    }),
    abandon: Effect.sync(() => {
      main.grace.leave()
      undoing?.leave()
      branching?.leave()
    }),
    hasUnread: () => !isIdle(),
    isUrgent: () =>
      writer.state.status === "cancelling" ||
      obeying.hasCancel() ||
      Deadlines.isExpired(writer.state, clock.currentTimeMillisUnsafe()),
    deliver: (commands) =>
      Effect.forEach(commands, obeying.receive, { discard: true }).pipe(
        Effect.catch((error) => Effect.sync(() => halt({ _tag: "Lost", error }))),
        Effect.catchCause((cause) => Effect.sync(() => halt({ _tag: "Died", cause }))),
        Effect.andThen(
          Effect.sync(() => {
            if (isIdle()) return
            // Whoever is kept while it waits would come to no checkpoint.
            Branching.evict(main)
            branching?.evict()
            wake()
          })
        )
      )
  }
}
