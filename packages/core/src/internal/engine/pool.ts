/**
 * The runs that a worker has: those it executes, those that wait for a place, and how it comes by more.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { Event } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { Head } from "../../Journal.ts"
import type { RunState } from "../../RunState.ts"
import { isHandled, isTerminal } from "../../RunInfo.ts"
import type { RunInfo } from "../../RunInfo.ts"
import type { Change, Lease, RunNotFound, StoreError } from "../../Store.ts"
import { cursorOf } from "../inbox.ts"
import * as Commands from "./commands.ts"
import * as Deadlines from "./deadlines.ts"
import type { Environment, Places } from "./environment.ts"
import * as Execution from "./execution.ts"
import * as Looking from "./looking.ts"
import type { Why } from "./looking.ts"
import * as Reader from "./reader.ts"
import * as Spans from "./spans.ts"
import * as Writer from "./writer.ts"

/** Takes a run that was just created with a lease for this worker; how {@link Runs} starts runs where they are executed. */
export interface Starter {
  readonly holder: string
  /** Whether it executes runs of this version of a flow. */
  readonly has: (flow: string, version: number) => boolean
  /** The span of a run that is about to be created, if there is tracing. */
  readonly span: (run: string, flow: string) => Effect.Effect<Tracer.Span | undefined>
  /** Begins at once. The effect waits until this worker does nothing more with the run. */
  readonly start: (
    lease: Lease,
    state: RunState,
    head: Head,
    span: Tracer.Span | undefined
  ) => Effect.Effect<Rest>
  /** Asks for a run that somebody made before. */
  readonly takeUp: (run: string) => Effect.Effect<void>
}

/** How far this worker came with a run: to its end, which is durable; or not so far. */
export interface Rest {
  readonly ended?: Event
}

export interface Pool {
  readonly starter: Starter
  readonly running: Effect.Effect<ReadonlyArray<string>>
  readonly drain: Effect.Effect<void>
}

export interface Options {
  readonly takesUp: "all" | "asked"
  readonly onRun: ((run: RunState, what: "takenUp" | "atRest") => Effect.Effect<void>) | undefined
  readonly concurrency: number
  readonly sweep: Duration.Input
  readonly timers: Duration.Input
  readonly drainTimeout: Duration.Input
}

/** Statuses of runs that go on by themselves when somebody takes them up. */
const runnable: ReadonlySet<string> = new Set(["pending", "running", "cancelling"])

/**
 * Waits before a run is taken up again whose journal could not be written, or whose execution died, for the nth time in a
 * row: what is wrong may be so every time.
 */
const retakeDelayAfter = (times: number): Duration.Duration =>
  Duration.seconds(Math.min(2 ** (times - 1), 60))

interface Held {
  readonly execution: Execution.Execution
  launched: boolean
  /** Whether it has one of the places. */
  placed: boolean
  queued: boolean
  /** Told when it has a place again, if it asked for one. */
  onPlace: (() => void) | undefined
  fiber: Fiber.Fiber<void> | undefined
  rest: Rest | undefined
  onRest: ((rest: Rest) => void) | undefined
}

/** What became of the executions of a run here since it last came to rest. */
interface Trouble {
  /** The last lease that this worker had on it. */
  lease: Lease
  /** Whether nobody here takes it up as yet. */
  alone: boolean
  /** How often in a row it could not be written, died, or could not be taken up again. */
  readonly times: number
  /** Whether one died: taking it up again counts as a recovery, which it does not if it could not be written. */
  readonly died: boolean
}

let holders = 0

export const make = /* @__PURE__ */ Effect.fnUntraced(function* (
  given: Omit<Environment, "deadlines" | "places">,
  services: ReadonlyMap<string, Flow.HandlersService>,
  options: Options
): Effect.fn.Return<Pool, never, Scope.Scope> {
  const { store } = given
  const scope = yield* Effect.scope
  const runFork = Effect.runForkWith(given.context)
  const deadlines = Deadlines.make(given.clock, runFork, (run) =>
    Effect.suspend(() => {
      const held = executions.get(run)
      if (held === undefined) return Effect.void
      // What waits for a place has nothing to be interrupted.
      return Effect.andThen(
        held.execution.expire,
        Effect.sync(() => {
          if (held.execution.isUrgent()) launch(run)
        })
      )
    })
  )
  const holder = `worker-${++holders}`

  /** Everything this worker holds a lease for. */
  const executions = new Map<string, Held>()
  const queue: Array<string> = []
  /** Runs that are being taken up, and whether something happened to them meanwhile. */
  const adopting = new Map<string, { again: boolean; why: Why }>()
  /** Runs whose journals cannot be read, and the position at which that was found; a changed journal is tried again. */
  const unreadable = new Map<string, number>()
  /** Runs that this worker let go of when they had ended, until it is told so. */
  const released = new Set<string>()
  /** Runs that somebody else had when a command came in for them: there is something to do when they are let go. */
  const heldUp = new Set<string>()
  /** Runs that came to rest with messages that could not be delivered: not to be taken up for them all the time. */
  const stuck = new Set<string>()
  /** Runs whose journals could not be written or whose executions died here, until they come to rest. */
  const troubles = new Map<string, Trouble>()
  /** Runs that it was asked for, until they have ended; all if there is none. */
  const asked = options.takesUp === "all" ? undefined : new Set<string>()
  let active = 0
  let filling = false
  let draining = false

  const starter: Starter = {
    holder,
    has: (flow, version) => serviceFor(flow, version) !== undefined && !draining,
    span: (run, flow) =>
      environment.traced ? Spans.start(environment, run, flow) : Effect.succeed(undefined),
    start: (lease, state, head, span) => {
      if (draining) return Effect.as(Fiber.await(runFork(release(lease))), {})
      const service = services.get(state.flow)!
      const { clock, codec, hash } = environment
      const writer = Writer.make({ store, codec, hash, clock, lease, state, head })
      asked?.add(state.run)
      const held = submit(Execution.make(environment, service, writer, undefined, span))
      return Effect.callback<Rest>((resume) => {
        const answer = (rest: Rest) => resume(Effect.succeed(rest))
        if (held.rest === undefined) held.onRest = answer
        else answer(held.rest)
      })
    },
    takeUp: (run) =>
      Effect.suspend(() => {
        if (asked === undefined) return Effect.void
        asked.add(run)
        return looking.look
      })
  }
  const places: Places = {
    leave: (run) => {
      const held = executions.get(run)
      if (held === undefined) return
      held.onPlace = undefined
      vacate(held)
    },
    ask: (run, granted) => {
      const held = executions.get(run)
      if (held === undefined) return
      held.onPlace = granted
      enter(held)
    }
  }
  const environment: Environment = { ...given, deadlines, places, starter }

  const report = (message: string, run: string, error: { readonly message: string }) =>
    Effect.logWarning(message, { run, error: error.message })

  /** Tells who wants to know: nothing waits for them, or is broken by them. */
  const tell = (run: RunState, what: "takenUp" | "atRest"): void => {
    const told = Effect.suspend(() => options.onRun?.(run, what) ?? Effect.void)
    if (options.onRun !== undefined)
      runFork(Effect.ignoreCause(told, { log: "Error", message: "`onRun` failed" }))
  }

  const release = (lease: Lease): Effect.Effect<void> =>
    Effect.catch(store.release(lease), (error) => report("a run could not be released", lease.run, error))

  /** What executes a run of this version; those of later versions are left to workers that have these. */
  const serviceFor = (flow: string, version: number): Flow.HandlersService | undefined => {
    const service = services.get(flow)
    return service !== undefined && version <= service.flow.version ? service : undefined
  }

  const has = (execution: Execution.Execution): boolean =>
    executions.get(execution.run)?.execution === execution

  const vacate = (held: Held): void => {
    if (!held.placed) return
    held.placed = false
    active -= 1
    next()
  }

  /** Frees the place of a run, and answers whoever waits for it. */
  const rest = (held: Held, how: Rest): void => {
    if (held.rest !== undefined) return
    held.rest = how
    held.onRest?.(how)
    vacate(held)
  }

  const atRest = (held: Held): Effect.Effect<void> => {
    const { execution } = held
    const { run, writer } = execution
    const { outbox, status } = writer.state
    if (HashMap.isEmpty(outbox)) stuck.delete(run)
    else stuck.add(run)
    troubles.delete(run)
    const ended = isTerminal(status)
    tell(writer.state, "atRest")
    rest(held, ended && writer.last !== undefined ? { ended: writer.last } : {})
    if (ended) {
      released.add(run)
      if (HashMap.isEmpty(outbox)) asked?.delete(run)
    }
    return Effect.flatMap(release(writer.lease), () => {
      executions.delete(run)
      // A command may have come in after the run looked for the last time.
      const unread = execution.hasUnread() ? consider(run, "commanded") : Effect.void
      return Effect.map(unread, () => {
        const { state } = writer
        if (state.status === "waiting") looking.note(Deadlines.nextDue(state))
      })
    })
  }

  const failed = ({ execution }: Held, error: Writer.WriteError): Effect.Effect<void> => {
    const { run, writer } = execution
    executions.delete(run)
    const message = "the journal of a run cannot be written; the run goes back to what is durable"
    return Effect.flatMap(report(message, run, error), () => {
      if (error._tag === "LeaseLost") return Effect.sync(() => forget(run))
      if (error._tag === "StoreError" && Reader.isLasting(error)) unreadable.set(run, writer.state.seq)
      // What cannot be sealed may be so every time, and what led to it is done each time.
      return leave(writer.lease, error._tag === "CodecError")
    })
  }

  const finished = (held: Held, outcome: Execution.Outcome): Effect.Effect<void> => {
    deadlines.remove(held.execution.run)
    switch (outcome._tag) {
      case "AtRest":
        return atRest(held)
      case "Lost":
        return failed(held, outcome.error)
      case "Died":
        return died(held, outcome.cause)
    }
  }

  /**
   * After a failed sync the lease is void, and releasing it does nothing. Until it is released nobody takes the run up
   * again, and then less and less often as long as the store fails: it is not to be asked all the time.
   */
  const leave = (lease: Lease, died: boolean): Effect.Effect<void> => {
    const before = troubles.get(lease.run)
    const times = (before?.times ?? 0) + 1
    const trouble = { lease, alone: true, times, died: died || before?.died === true }
    troubles.set(lease.run, trouble)
    const retake = Effect.suspend(() =>
      draining ? Effect.void : Effect.andThen(release(lease), consider(lease.run, "due", trouble))
    )
    return Effect.asVoid(Effect.forkIn(Effect.delay(retake, retakeDelayAfter(times)), scope))
  }

  /** Others have to do with a run now, or nobody. That it died here they do not know. */
  const forget = (run: string): void => {
    if (!troubles.get(run)?.died) troubles.delete(run)
  }

  /** Something broke that nobody expected: the run goes back to what is durable, and on from there. */
  const died = (held: Held, cause: Cause.Cause<never>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { execution } = held
      const { run } = execution
      if (has(execution)) executions.delete(run)
      deadlines.remove(run)
      return Effect.andThen(
        Effect.logError(`the execution of run ${JSON.stringify(run)} died`, cause),
        leave(execution.writer.lease, true)
      )
    })

  const launch = (run: string): void => {
    const held = executions.get(run)
    if (held === undefined || held.placed || held.rest !== undefined) return
    const { launched, onPlace } = held
    if (launched && onPlace === undefined) return
    held.placed = true
    active += 1
    if (launched) {
      held.onPlace = undefined
      return onPlace?.()
    }
    held.launched = true
    held.fiber = runFork(
      held.execution.execute.pipe(
        Effect.flatMap((outcome) => finished(held, outcome)),
        Effect.catchCause((cause) => died(held, cause)),
        Effect.onExit(() => {
          rest(held, {})
          return Effect.void
        })
      ),
      // Only handlers are interrupted, by the execution itself.
      { uninterruptible: true }
    )
  }

  /** Fills the free places. A run may be through before `launch` returns: the loop goes on then, not a nested one. */
  const next = (): void => {
    if (filling) return
    filling = true
    while (active < options.concurrency && queue.length > 0 && !draining) {
      const run = queue.shift()!
      const held = executions.get(run)
      if (held !== undefined) held.queued = false
      launch(run)
    }
    filling = false
  }

  /** Gives a run a place, now or in its turn. One that is to end early need not wait for that. */
  const enter = (held: Held): void => {
    const { run } = held.execution
    if (active < options.concurrency || draining || held.execution.isUrgent()) return launch(run)
    if (held.queued) return
    held.queued = true
    queue.push(run)
  }

  const submit = (execution: Execution.Execution): Held => {
    const held: Held = {
      execution,
      launched: false,
      placed: false,
      queued: false,
      onPlace: undefined,
      fiber: undefined,
      rest: undefined,
      onRest: undefined
    }
    executions.set(execution.run, held)
    tell(execution.writer.state, "takenUp")
    deadlines.add(execution.run, execution.writer.state.deadline)
    enter(held)
    return held
  }

  /** Delivers what has come in for a run that this worker has. */
  const deliver = Effect.fnUntraced(function* (execution: Execution.Execution) {
    const commands = yield* store.inbox(execution.run, cursorOf(execution.writer.state.inbox))
    if (commands.length === 0) return
    const opened = yield* Commands.open(environment.codec, commands)
    if (has(execution)) yield* execution.deliver(opened)
    // It may have come to rest meanwhile.
    if (!has(execution)) return yield* consider(execution.run, "commanded")
    if (execution.isUrgent()) launch(execution.run)
  })

  /** Takes the lease on a run and submits it; if that cannot be done, lets go of it again. */
  const take = Effect.fnUntraced(function* (run: string, service: Flow.HandlersService, seq: number) {
    const { lease, previous } = yield* store.acquire(run, holder)
    const trouble = troubles.get(run)
    // This worker had it until it could not write its journal: the store may not know that it let go of it.
    const isOwn = trouble?.lease.epoch === lease.epoch - 1
    yield* Effect.gen(function* () {
      const { head, state } = yield* Reader.load(environment, run)
      const commands = yield* Commands.open(environment.codec, yield* store.inbox(run, cursorOf(state.inbox)))
      unreadable.delete(run)
      // Another worker may have ended it, just before.
      const isOver = isTerminal(state.status) && HashMap.isEmpty(state.outbox) && commands.length === 0
      // Or brought it to a later version.
      if (isOver || draining || state.version > service.flow.version) return yield* release(lease)
      const execution = Execution.make(
        environment,
        service,
        Writer.make({ ...environment, lease, state, head }),
        {
          cause: trouble?.died === true ? "crash" : isOwn ? "handover" : previous,
          previous: { epoch: state.epoch, seq: head.seq, hash: head.hash }
        }
      )
      yield* execution.deliver(commands)
      submit(execution)
    }).pipe(
      Effect.tapError((error) =>
        Effect.gen(function* () {
          if (isOwn) trouble.lease = lease
          if (Reader.isLasting(error)) {
            unreadable.set(run, seq)
            yield* Effect.logError("a run cannot be read and is left alone", { run, error: error.message })
          }
          yield* release(lease)
        })
      ),
      // A codec that breaks, say: it would do so again.
      Effect.tapDefect(() => {
        unreadable.set(run, seq)
        return release(lease)
      })
    )
  }, Effect.uninterruptible)

  /** Whether it was asked for a run, or for one above it. */
  const isAsked = (info: RunInfo): Effect.Effect<boolean, RunNotFound | StoreError> => {
    if (asked === undefined || asked.has(info.run)) return Effect.succeed(true)
    if (info.parent === undefined) return Effect.succeed(false)
    return Effect.flatMap(store.get(info.parent), (above) => isAsked(above.info))
  }

  /**
   * Takes up a run that nobody has, if there is something to do for it: because of its status, of a command, or of the
   * time. Tells whether somebody else has it.
   */
  const adopt = Effect.fnUntraced(function* (run: string, why: Why) {
    if (why === "commanded") heldUp.add(run)
    const { head, info, owner } = yield* store.get(run)
    const service = serviceFor(info.flow, info.version)
    if (owner !== undefined) return service !== undefined
    if (service === undefined || unreadable.get(run) === head.seq) return false
    if (!(yield* isAsked(info))) return false
    const sends = (info.outbox ?? 0) > 0 && (why === "sending" || !stuck.has(run))
    if (!runnable.has(info.status) && !(why === "due" && Looking.isDue(info, environment.clock)) && !sends) {
      if (why === "changed") return false
      const commands = yield* store.inbox(run, cursorOf(info.inbox ?? {}))
      if (commands.every(({ position, source }) => isHandled(info, source, position))) return false
    }
    yield* take(run, service, head.seq)
    return false
  })

  /**
   * Looks at a run: delivers to it if this worker has it, takes it up if nobody has it. One that is left alone it takes up
   * only because of that trouble, and leaves it alone for longer if the store still fails.
   */
  const consider = (run: string, why: Why, trouble?: Trouble): Effect.Effect<void> =>
    Effect.suspend((): Effect.Effect<void> => {
      if (draining) return Effect.void
      if (trouble !== undefined) trouble.alone = false
      const held = executions.get(run)
      if (held !== undefined) {
        return Effect.catch(deliver(held.execution), (error) =>
          report("commands could not be read", run, error)
        )
      }
      // Also if nobody has it by then.
      if (troubles.get(run)?.alone) return Effect.void
      const busy = adopting.get(run)
      if (busy !== undefined) {
        busy.again = true
        if (busy.why === "changed") busy.why = why
        return Effect.void
      }
      const turn: { again: boolean; why: Why } = { again: false, why: "changed" }
      adopting.set(run, turn)
      return adopt(run, why).pipe(
        Effect.catchTag(["RunNotFound", "LeaseHeld"], ({ _tag }) => Effect.succeed(_tag === "LeaseHeld")),
        Effect.map((held) => {
          if (why === "commanded" && !held) heldUp.delete(run)
          if (troubles.get(run) === trouble && !executions.has(run)) forget(run)
        }),
        Effect.catch((error) => {
          if (unreadable.has(run)) return Effect.void
          const reported = report("a run could not be taken up", run, error)
          return trouble === undefined ? reported : Effect.andThen(reported, leave(trouble.lease, false))
        }),
        Effect.onExit(() => Effect.sync(() => adopting.delete(run))),
        Effect.andThen(Effect.suspend(() => (turn.again ? consider(run, turn.why) : Effect.void)))
      )
    }).pipe(
      // One run must not keep the worker from looking at the others.
      Effect.catchDefect((defect) =>
        Effect.logError(`run ${JSON.stringify(run)} could not be looked at`, defect)
      )
    )

  /** Whether a change is none of what this worker did itself. Most are: they are looked through at once. */
  const isNews = ({ run, what }: Change): boolean => {
    if (what === "deleted") return false
    if (what === "inbox") return true
    if (executions.has(run)) return false
    if (!released.has(run)) return true
    // It let go of the run itself, at its end.
    if (what === "lease") released.delete(run)
    return heldUp.has(run)
  }

  const onChange = ({ run, what }: Change): Effect.Effect<void> => {
    const isCommanded = what === "inbox" || (what === "lease" && heldUp.has(run))
    return consider(run, isCommanded ? "commanded" : "changed")
  }

  const onChanges = (changes: ReadonlyArray<Change>): Effect.Effect<void> => {
    const news = changes.filter(isNews)
    return news.length === 0 ? Effect.void : Effect.forEach(news, onChange, { discard: true })
  }

  const looking = Looking.make({
    store,
    clock: environment.clock,
    sweep: options.sweep,
    timers: options.timers,
    onChanges,
    has: ({ flow, parent, run, version }) =>
      serviceFor(flow, version) !== undefined &&
      (asked === undefined || parent !== undefined || asked.has(run)),
    consider,
    isDraining: () => draining
  })
  yield* looking.begin

  const drainOne = Effect.fnUntraced(function* (run: string) {
    const held = executions.get(run)
    if (held === undefined) return
    yield* held.execution.drain
    launch(run)
    const ended = Effect.timeoutOption(Fiber.await(held.fiber!), options.drainTimeout)
    if (Option.isSome(yield* ended)) return
    // What does not stop is not to keep the run from being released.
    yield* held.execution.abandon
    if (Option.isNone(yield* ended)) {
      yield* Effect.logWarning("a run did not stop in time and is left behind", { run })
    }
  })

  const drain = Effect.suspend(() => {
    draining = true
    queue.length = 0
    deadlines.close()
    return Effect.andThen(
      looking.end,
      Effect.forEach([...executions.keys()], drainOne, { concurrency: "unbounded", discard: true })
    ).pipe(
      Effect.andThen(
        Effect.suspend(() =>
          Effect.forEach([...troubles.values()], ({ lease }) => release(lease), { discard: true })
        )
      )
    )
  }).pipe(Effect.uninterruptible)

  yield* Effect.addFinalizer(() => drain)

  return {
    starter,
    running: Effect.sync(() => [...executions.keys()]),
    drain
  }
})
