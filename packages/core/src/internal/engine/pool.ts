/**
 * The runs that a worker has: those it executes, those that wait for a place, and how it comes by more.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type * as Flow from "../../Flow.ts"
import type { Head } from "../../Journal.ts"
import type { RunState } from "../../RunState.ts"
import { isHandled, isTerminal } from "../../RunInfo.ts"
import type { Change, InboxCursor, Lease } from "../../Store.ts"
import * as Commands from "./commands.ts"
import * as Execution from "./execution.ts"
import * as Reader from "./reader.ts"
import * as Writer from "./writer.ts"

/** Takes a run that was just created with a lease for this worker; how {@link Runs} starts runs where they are executed. */
export interface Starter {
  readonly holder: string
  readonly has: (flow: string) => boolean
  /** The span of a run that is about to be created, if there is tracing. */
  readonly span: (run: string, flow: string) => Effect.Effect<Tracer.Span | undefined>
  /** Begins at once. The effect waits until this worker does nothing more with the run. */
  readonly start: (
    lease: Lease,
    state: RunState,
    head: Head,
    span: Tracer.Span | undefined
  ) => Effect.Effect<Rest>
}

/** How far this worker came with a run: to its end, which is durable and at a position; or not so far. */
export interface Rest {
  readonly ended?: number
}

export interface Pool {
  readonly starter: Starter
  readonly running: Effect.Effect<ReadonlyArray<string>>
  readonly drain: Effect.Effect<void>
}

export interface Options {
  readonly concurrency: number
  readonly sweep: Duration.Input
  readonly drainTimeout: Duration.Input
}

/** Statuses of runs that go on by themselves when somebody takes them up. */
const runnable: ReadonlySet<string> = new Set(["pending", "running", "cancelling"])

/** Waits before a run whose journal could not be written is taken up again. */
const retakeDelay = Duration.seconds(1)

const cursorOf = (inbox: RunState["inbox"]): InboxCursor =>
  Object.fromEntries(Object.keys(inbox).map((source) => [source, inbox[source]!.upTo]))

/** Whether reading again would come to the same: then a run is left alone until its journal has changed. */
const isLasting = (error: Reader.ReadError): boolean =>
  error._tag === "CodecError" ||
  (error._tag === "StoreError" &&
    (error.reason._tag === "Corrupt" || error.reason._tag === "UnsupportedFormat"))

interface Held {
  readonly execution: Execution.Execution
  launched: boolean
  fiber: Fiber.Fiber<void> | undefined
  rest: Rest | undefined
  onRest: ((rest: Rest) => void) | undefined
}

let holders = 0

export const make = Effect.fnUntraced(function* (
  environment: Execution.Environment,
  services: ReadonlyMap<string, Flow.HandlersService>,
  options: Options
): Effect.fn.Return<Pool, never, Scope.Scope> {
  const { store } = environment
  const scope = yield* Effect.scope
  const runFork = Effect.runForkWith(environment.context)
  const holder = `worker-${++holders}`

  /** Everything this worker holds a lease for. */
  const executions = new Map<string, Held>()
  const queue: Array<string> = []
  /** Runs that are being taken up, and whether something happened to them meanwhile. */
  const adopting = new Map<string, { again: boolean; commanded: boolean }>()
  /** Runs whose journals cannot be read, and the position at which that was found; a changed journal is tried again. */
  const unreadable = new Map<string, number>()
  /** Runs that this worker let go of when they had ended, until it is told so. */
  const released = new Set<string>()
  /** Runs whose journals could not be written, until they are taken up again. */
  const lost = new Map<string, Lease>()
  let active = 0
  let filling = false
  let draining = false

  const report = (message: string, run: string, error: { readonly message: string }) =>
    Effect.logWarning(message, { run, error: error.message })

  const release = (lease: Lease): Effect.Effect<void> =>
    Effect.catch(store.release(lease), (error) => report("a run could not be released", lease.run, error))

  const has = (execution: Execution.Execution): boolean =>
    executions.get(execution.run)?.execution === execution

  /** Frees the place of a run, and answers whoever waits for it. */
  const rest = (held: Held, how: Rest): void => {
    if (held.rest !== undefined) return
    held.rest = how
    active -= 1
    held.onRest?.(how)
    next()
  }

  const finished = (held: Held, outcome: Execution.Outcome): Effect.Effect<void> =>
    Effect.gen(function* () {
      const { execution } = held
      const { run } = execution
      if (outcome._tag === "AtRest") {
        const { seq, status } = execution.writer.state
        const ended = isTerminal(status)
        rest(held, ended ? { ended: seq } : {})
        if (ended) released.add(run)
        yield* release(execution.writer.lease)
        executions.delete(run)
        // A command may have come in after the run looked for the last time.
        if (execution.hasUnread()) yield* consider(run, true)
        return
      }
      executions.delete(run)
      const { error } = outcome
      yield* report(
        "the journal of a run cannot be written; the run goes back to what is durable",
        run,
        error
      )
      if (error._tag === "LeaseLost") return
      // After a failed sync the lease is void, and releasing it does nothing. Until it is released nobody takes the run
      // up again: a store that fails is not to be asked all the time.
      lost.set(run, execution.writer.lease)
      yield* Effect.forkIn(Effect.andThen(Effect.sleep(retakeDelay), retake(run)), scope)
    })

  /** Lets go of a run whose journal could not be written, so that it can be taken up again. */
  const retake = (run: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const lease = lost.get(run)
      if (lease === undefined) return Effect.void
      lost.delete(run)
      return Effect.andThen(release(lease), consider(run, true))
    })

  const launch = (run: string): void => {
    const held = executions.get(run)
    if (held === undefined || held.launched) return
    held.launched = true
    active += 1
    held.fiber = runFork(
      held.execution.execute.pipe(
        Effect.flatMap((outcome) => finished(held, outcome)),
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            rest(held, {})
            if (Exit.isSuccess(exit)) return Effect.void
            if (has(held.execution)) executions.delete(run)
            return Effect.logError(`the execution of run ${JSON.stringify(run)} died`, exit.cause)
          })
        ),
        // Only handlers are interrupted, by the execution itself.
        Effect.uninterruptible
      )
    )
  }

  /** Fills the free places. A run may be through before `launch` returns: the loop goes on then, not a nested one. */
  const next = (): void => {
    if (filling) return
    filling = true
    while (active < options.concurrency && queue.length > 0 && !draining) launch(queue.shift()!)
    filling = false
  }

  const submit = (execution: Execution.Execution): Held => {
    const held: Held = { execution, launched: false, fiber: undefined, rest: undefined, onRest: undefined }
    executions.set(execution.run, held)
    // A run that is to end early need not wait for a place.
    if (active < options.concurrency || execution.isUrgent()) launch(execution.run)
    else queue.push(execution.run)
    return held
  }

  /** Delivers what has come in for a run that this worker has. */
  const deliver = Effect.fnUntraced(function* (execution: Execution.Execution) {
    const commands = yield* store.inbox(execution.run, cursorOf(execution.writer.state.inbox))
    if (commands.length === 0) return
    const opened = yield* Commands.open(environment.codec, commands)
    if (has(execution)) yield* execution.deliver(opened)
    // It may have come to rest meanwhile.
    if (!has(execution)) return yield* consider(execution.run, true)
    if (execution.isUrgent()) launch(execution.run)
  })

  /** Takes the lease on a run and submits it; if that cannot be done, lets go of it again. */
  const take = Effect.fnUntraced(function* (run: string, service: Flow.HandlersService, seq: number) {
    const { lease, previous } = yield* store.acquire(run, holder)
    yield* Effect.gen(function* () {
      const { head, state } = yield* Reader.load(environment, run)
      const commands = yield* Commands.open(environment.codec, yield* store.inbox(run, cursorOf(state.inbox)))
      unreadable.delete(run)
      if (draining) return yield* release(lease)
      const execution = Execution.make(
        environment,
        service,
        Writer.make({ ...environment, lease, state, head }),
        {
          cause: previous,
          previous: { epoch: state.epoch, seq: head.seq, hash: head.hash }
        }
      )
      yield* execution.deliver(commands)
      submit(execution)
    }).pipe(
      Effect.tapError((error) =>
        Effect.gen(function* () {
          if (isLasting(error)) {
            unreadable.set(run, seq)
            yield* Effect.logError("a run cannot be read and is left alone", { run, error: error.message })
          }
          yield* release(lease)
        })
      )
    )
  }, Effect.uninterruptible)

  /** Takes up a run that nobody has, if there is something to do for it: because of its status, or of a command. */
  const adopt = Effect.fnUntraced(function* (run: string, commanded: boolean) {
    const { head, info, owner } = yield* store.get(run)
    const service = services.get(info.flow)
    if (owner !== undefined || service === undefined || unreadable.get(run) === head.seq) return
    if (!runnable.has(info.status)) {
      if (!commanded) return
      const commands = yield* store.inbox(run, cursorOf(info.inbox ?? {}))
      if (commands.every(({ position, source }) => isHandled(info, source, position))) return
    }
    yield* take(run, service, head.seq)
  })

  /** Looks at a run: delivers to it if this worker has it, takes it up if nobody has it. */
  const consider = (run: string, commanded: boolean): Effect.Effect<void> =>
    Effect.suspend((): Effect.Effect<void> => {
      if (draining) return Effect.void
      const held = executions.get(run)
      if (held !== undefined) {
        return Effect.catch(deliver(held.execution), (error) =>
          report("commands could not be read", run, error)
        )
      }
      const busy = adopting.get(run)
      if (busy !== undefined) {
        busy.again = true
        busy.commanded ||= commanded
        return Effect.void
      }
      const turn = { again: false, commanded: false }
      adopting.set(run, turn)
      return adopt(run, commanded).pipe(
        Effect.catchTag(["RunNotFound", "LeaseHeld"], () => Effect.void),
        Effect.catch((error) =>
          unreadable.has(run) ? Effect.void : report("a run could not be taken up", run, error)
        ),
        Effect.onExit(() => Effect.sync(() => adopting.delete(run))),
        Effect.andThen(Effect.suspend(() => (turn.again ? consider(run, turn.commanded) : Effect.void)))
      )
    }).pipe(
      // One run must not keep the worker from looking at the others.
      Effect.catchDefect((defect) =>
        Effect.logError(`run ${JSON.stringify(run)} could not be looked at`, defect)
      )
    )

  const onChange = ({ run, what }: Change): Effect.Effect<void> => {
    if (what === "deleted") return Effect.void
    // This worker let go of it itself, at its end.
    if (what === "lease" && released.delete(run)) return Effect.void
    if (what !== "inbox" && executions.has(run)) return Effect.void
    return consider(run, what === "inbox")
  }

  /** Looks through the index for runs that nobody owns and that have something to do. */
  const sweep = Effect.gen(function* () {
    for (const query of [
      { unowned: true, status: ["pending", "running", "cancelling"] as const },
      {
        unowned: true,
        commanded: true,
        status: ["paused", "failed", "waiting", "completed", "cancelled"] as const
      }
    ]) {
      let cursor: string | undefined
      do {
        const page = yield* store.list({
          ...query,
          order: "oldest",
          limit: 100,
          ...(cursor === undefined ? undefined : { cursor })
        })
        for (const { flow, run } of page.runs)
          if (services.has(flow)) yield* consider(run, "commanded" in query)
        cursor = page.cursor
      } while (cursor !== undefined && !draining)
    }
  })

  const watching = yield* Stream.runForEach(store.changes, onChange).pipe(
    Effect.catch((error) =>
      Effect.andThen(report("changes of the store cannot be followed", "", error), Effect.sleep("1 second"))
    ),
    Effect.forever,
    Effect.forkIn(scope, { startImmediately: true })
  )
  const sweeping = yield* sweep.pipe(
    Effect.catch((error) => report("the store could not be searched for runs", "", error)),
    Effect.andThen(Effect.sleep(options.sweep)),
    Effect.forever,
    Effect.forkIn(scope)
  )

  const drainOne = Effect.fnUntraced(function* (run: string) {
    const held = executions.get(run)
    if (held === undefined) return
    yield* held.execution.drain
    launch(run)
    yield* Fiber.await(held.fiber!).pipe(
      Effect.timeoutOrElse({
        duration: options.drainTimeout,
        orElse: () => Effect.logWarning("a run did not stop in time and is left behind", { run })
      })
    )
  })

  const drain = Effect.suspend(() => {
    draining = true
    queue.length = 0
    return Effect.andThen(
      Fiber.interruptAll([watching, sweeping]),
      Effect.forEach([...executions.keys()], drainOne, { concurrency: "unbounded", discard: true })
    ).pipe(Effect.andThen(Effect.suspend(() => Effect.forEach([...lost.keys()], retake, { discard: true }))))
  }).pipe(Effect.uninterruptible)

  yield* Effect.addFinalizer(() => drain)

  return {
    starter: {
      holder,
      has: (flow) => services.has(flow) && !draining,
      span: (run, flow) =>
        environment.traced ? Execution.startSpan(environment, run, flow) : Effect.succeed(undefined),
      start: (lease, state, head, span) => {
        if (draining) return Effect.as(Fiber.await(runFork(release(lease))), {})
        const service = services.get(state.flow)!
        const writer = Writer.make({ ...environment, lease, state, head })
        const held = submit(Execution.make(environment, service, writer, undefined, span))
        return Effect.callback<Rest>((resume) => {
          const answer = (rest: Rest) => resume(Effect.succeed(rest))
          if (held.rest === undefined) held.onRest = answer
          else answer(held.rest)
        })
      }
    },
    running: Effect.sync(() => [...executions.keys()]),
    drain
  }
})
