/**
 * The runs that a worker has: those it executes, those that wait for a place, and how it comes by more.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Flow from "../../Flow.ts"
import type { Head } from "../../Journal.ts"
import type { RunState } from "../../RunState.ts"
import { isHandled } from "../../RunInfo.ts"
import type { Change, InboxCursor, Lease } from "../../Store.ts"
import * as Execution from "./execution.ts"
import * as Reader from "./reader.ts"
import * as Writer from "./writer.ts"

/** Takes a run that was just created with a lease for this worker; how {@link Runs} starts runs where they are executed. */
export interface Starter {
  readonly holder: string
  readonly has: (flow: string) => boolean
  readonly start: (lease: Lease, state: RunState, head: Head) => void
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

let holders = 0

export const make = Effect.fnUntraced(function*(
  environment: Execution.Environment,
  services: ReadonlyMap<string, Flow.HandlersService>,
  options: Options
): Effect.fn.Return<Pool, never, Scope.Scope> {
  const { store } = environment
  const scope = yield* Effect.scope
  const runFork = Effect.runForkWith(environment.context)
  const holder = `worker-${++holders}`

  /** Everything this worker holds a lease for. */
  const executions = new Map<string, { readonly execution: Execution.Execution; fiber: Fiber.Fiber<void> | undefined }>()
  const queue: Array<string> = []
  const adopting = new Set<string>()
  /** Runs whose journals cannot be read, and the position at which that was found; a changed journal is tried again. */
  const unreadable = new Map<string, number>()
  let active = 0
  let draining = false

  const report = (message: string, run: string, error: { readonly message: string }) =>
    Effect.logWarning(message, { run, error: error.message })

  const finished = (run: string, outcome: Execution.Outcome): Effect.Effect<void> =>
    Effect.gen(function*() {
      const { execution } = executions.get(run)!
      if (outcome._tag === "AtRest") {
        yield* Effect.catch(store.release(execution.writer.lease), (error) =>
          report("a run could not be released", run, error)
        )
        executions.delete(run)
        // A command may have come in after the run looked for the last time.
        if (execution.hasUnread()) yield* consider(run, true)
        return
      }
      executions.delete(run)
      const { error } = outcome
      yield* report("the journal of a run cannot be written; the run goes back to what is durable", run, error)
      if (error._tag !== "LeaseLost" && !draining) {
        yield* Effect.forkIn(Effect.andThen(Effect.sleep(retakeDelay), consider(run, true)), scope)
      }
    })

  const launch = (run: string): void => {
    const held = executions.get(run)
    if (held === undefined || held.fiber !== undefined) return
    active += 1
    held.fiber = runFork(
      held.execution.execute.pipe(
        Effect.flatMap((outcome) => finished(run, outcome)),
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            active -= 1
            next()
            if (Exit.isSuccess(exit)) return Effect.void
            executions.delete(run)
            return Effect.logError(`the execution of run ${JSON.stringify(run)} died`, exit.cause)
          })
        ),
        // Only handlers are interrupted, by the execution itself.
        Effect.uninterruptible
      )
    )
  }

  const next = (): void => {
    while (active < options.concurrency && queue.length > 0 && !draining) launch(queue.shift()!)
  }

  const submit = (execution: Execution.Execution): void => {
    executions.set(execution.run, { execution, fiber: undefined })
    if (active < options.concurrency) launch(execution.run)
    else queue.push(execution.run)
  }

  /** Delivers what has come in for a run that this worker has. */
  const deliver = Effect.fnUntraced(function*(execution: Execution.Execution) {
    const commands = yield* store.inbox(execution.run, cursorOf(execution.writer.state.inbox))
    if (commands.length === 0) return
    yield* execution.deliver(commands)
    // It may have come to rest while its inbox was read.
    if (executions.get(execution.run)?.execution !== execution) return yield* consider(execution.run, true)
    // A run that is being stopped need not wait for a place.
    if (execution.writer.state.status === "cancelling") launch(execution.run)
  })

  /** Takes up a run that nobody has, if there is something to do for it: because of its status, or of a command. */
  const adopt = Effect.fnUntraced(function*(run: string, commanded: boolean) {
    const { head, info, owner } = yield* store.get(run)
    const service = services.get(info.flow)
    if (owner !== undefined || service === undefined || unreadable.get(run) === head.seq) return
    if (!runnable.has(info.status)) {
      if (!commanded) return
      const commands = yield* store.inbox(run, cursorOf(info.inbox ?? {}))
      if (commands.every(({ position, source }) => isHandled(info, source, position))) return
    }
    const acquired = yield* store.acquire(run, holder)
    const loaded = yield* Reader.load(environment, run).pipe(
      Effect.tapError((error) =>
        Effect.gen(function*() {
          unreadable.set(run, head.seq)
          yield* Effect.logError("a run cannot be read and is left alone", { run, error: error.message })
          yield* store.release(acquired.lease)
        })
      )
    )
    unreadable.delete(run)
    const { state } = loaded
    const writer = Writer.make({ ...environment, lease: acquired.lease, state, head: loaded.head })
    const execution = Execution.make(environment, service, writer, {
      cause: acquired.previous,
      previous: { epoch: state.epoch, seq: loaded.head.seq, hash: loaded.head.hash }
    })
    yield* execution.expect(yield* store.inbox(run, cursorOf(state.inbox)))
    submit(execution)
  })

  /** Looks at a run: delivers to it if this worker has it, takes it up if nobody has it. */
  const consider = (run: string, commanded: boolean): Effect.Effect<void> =>
    Effect.suspend((): Effect.Effect<void> => {
      if (draining) return Effect.void
      const held = executions.get(run)
      if (held !== undefined) {
        return Effect.catch(deliver(held.execution), (error) => report("commands could not be read", run, error))
      }
      if (adopting.has(run)) return Effect.void
      adopting.add(run)
      return adopt(run, commanded).pipe(
        Effect.catchTag(["RunNotFound", "LeaseHeld"], () => Effect.void),
        Effect.catch((error) => report("a run could not be taken up", run, error)),
        Effect.onExit(() => Effect.sync(() => adopting.delete(run)))
      )
    })

  const onChange = ({ run, what }: Change): Effect.Effect<void> => {
    if (what === "deleted") return Effect.void
    if (what !== "inbox" && executions.has(run)) return Effect.void
    return consider(run, what === "inbox")
  }

  /** Looks through the index for runs that nobody owns and that have something to do. */
  const sweep = Effect.gen(function*() {
    for (const query of [
      { unowned: true, status: ["pending", "running", "cancelling"] as const },
      { unowned: true, commanded: true, status: ["paused", "failed", "waiting", "completed", "cancelled"] as const }
    ]) {
      let cursor: string | undefined
      do {
        const page = yield* store.list({ ...query, order: "oldest", limit: 100, ...(cursor === undefined ? undefined : { cursor }) })
        for (const { flow, run } of page.runs) if (services.has(flow)) yield* consider(run, "commanded" in query)
        cursor = page.cursor
      } while (cursor !== undefined && !draining)
    }
  })

  const watching = yield* Stream.runForEach(store.changes, onChange).pipe(
    Effect.catch((error) => Effect.andThen(report("changes of the store cannot be followed", "", error), Effect.sleep("1 second"))),
    Effect.forever,
    Effect.forkIn(scope, { startImmediately: true })
  )
  const sweeping = yield* sweep.pipe(
    Effect.catch((error) => report("the store could not be searched for runs", "", error)),
    Effect.andThen(Effect.sleep(options.sweep)),
    Effect.forever,
    Effect.forkIn(scope)
  )

  const drainOne = Effect.fnUntraced(function*(run: string) {
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
    )
  }).pipe(Effect.uninterruptible)

  yield* Effect.addFinalizer(() => drain)

  return {
    starter: {
      holder,
      has: (flow) => services.has(flow) && !draining,
      start: (lease, state, head) => {
        const service = services.get(state.flow)!
        const writer = Writer.make({ ...environment, lease, state, head })
        submit(Execution.make(environment, service, writer, undefined))
      }
    },
    running: Effect.sync(() => [...executions.keys()]),
    drain
  }
})
