/**
 * One attempt of the open visit of a branch: its handler is executed, and what came of it is appended.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Body, PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import { BranchFailed } from "../../Next.ts"
import type { BranchResult } from "../../Next.ts"
import type { EndedBranch, OpenVisit, RunState } from "../../RunState.ts"
import { fanOutAround, visitIn } from "../visits.ts"
import type { Environment } from "./execution.ts"
import * as Failures from "./failure.ts"
import * as Handler from "./handler.ts"
import * as Joins from "./joins.ts"
import type * as Outcomes from "./outcomes.ts"
import * as RecordedSchema from "./recordedSchema.ts"
import type { Mismatch } from "./typedState.ts"
import type { Views } from "./views.ts"
import * as Waking from "./waking.ts"
import type { Bodies, WriteError, Writer } from "./writer.ts"

/** The execution of a branch's open visit. */
export interface Line {
  readonly branch: string
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** It waits and is not kept: what its handler does from now on counts for nothing. */
  suspended: boolean
  /** Its visit was ended by somebody else. */
  gone: boolean
  /** Where its handler is kept while it waits. */
  parked: { readonly wake: () => void; readonly since: number } | undefined
  /** It is not to be kept any longer. */
  evicted: boolean
}

export const lineOf = (branch: string): Line => ({
  branch,
  fiber: undefined,
  suspended: false,
  gone: false,
  parked: undefined,
  evicted: false
})

/** What the attempts of a run need of its execution. */
export interface Course {
  readonly environment: Environment
  readonly service: Flow.HandlersService
  readonly writer: Writer
  readonly views: Views
  readonly outcomes: Outcomes.Outcomes
  /** What stands before this position was written before this execution. */
  readonly inherited: number
  /** Whether the execution stops, by whatever; and whether it does so without ending the run. */
  readonly isStopping: () => boolean
  readonly isHalted: () => boolean
  /** The journal cannot be written any more. */
  readonly lost: (error: WriteError) => void
  readonly pause: (reason: PauseReason) => void
  /** Told of the branches that something became of. */
  readonly touched: (bodies: Bodies) => void
  /** Calls back after so many milliseconds, unless the result is called before. */
  readonly timer: (millis: number, callback: () => void) => () => void
}

/** How long a wait that is kept goes without a look at the clock, in milliseconds: it may be set. */
export const lookInterval = 30_000

export interface Visiting {
  /** Executes an attempt. It is not to be interrupted itself; its handler is. */
  readonly attempt: (line: Line) => Effect.Effect<void, WriteError>
  /** Appends what follows from the state, and tells of the branches that it concerns. */
  readonly appendTo: (decide: (state: RunState) => Bodies | undefined) => Effect.Effect<unknown, WriteError>
}

const incompatible = ({ message, what }: Mismatch): PauseReason => ({
  kind: "incompatible",
  message: `${what}: ${message}`
})

export const make = (course: Course): Visiting => {
  const { environment, outcomes, service, views, writer } = course
  const { clock } = environment
  const { flow } = service

  const appendTo: Visiting["appendTo"] = (decide) => {
    let appended: Bodies | undefined
    return Effect.map(
      writer.appendTo((state) => (appended = decide(state))),
      () => {
        if (appended !== undefined) course.touched(appended)
      }
    )
  }

  const hostOf = (line: Line): Handler.Host => {
    const { branch } = line
    const halted = () => line.suspended || line.gone || course.isHalted()

    /**
     * For code that runs inside a handler: a run that cannot be written stops there. It interrupts itself besides being
     * interrupted, since it may stand in a region that cannot be.
     */
    const orHalt = <A>(effect: Effect.Effect<A, WriteError>): Effect.Effect<A> =>
      Effect.catch(effect, (error) => {
        course.lost(error)
        return Effect.interrupt
      })

    /** Keeps the handler until something happened that may have ended its wait, or for as long as it may be kept. */
    const kept = (millis: number): Effect.Effect<void> =>
      Effect.callback<void>((resume) => {
        const since = line.parked?.since ?? clock.currentTimeMillisUnsafe()
        const now = clock.currentTimeMillisUnsafe()
        const { waiting } = visitIn(writer.state, branch)!
        let due = Number.POSITIVE_INFINITY
        for (const id of waiting) due = Math.min(due, HashMap.getUnsafe(writer.state.waits, id).due ?? due)
        const until = Math.max(1, Math.min(due - now, since + millis - now, lookInterval))
        const wake = () => {
          cancel()
          line.parked = undefined
          resume(Effect.void)
        }
        const cancel = course.timer(until, () => {
          line.parked = undefined
          if (clock.currentTimeMillisUnsafe() >= since + millis) line.evicted = true
          else line.parked = { wake, since }
          resume(Effect.void)
        })
        line.parked = { wake, since }
        return Effect.sync(cancel)
      })

    /** Whether a wait ended, or the line is to stop, while nobody was there to be woken. */
    const isOver = () => line.evicted || halted() || visitIn(writer.state, branch)!.waiting.length === 0

    /** Ends those of these waits that are over already. */
    const endEarly = (ids: (state: RunState) => ReadonlyArray<string>) =>
      orHalt(
        appendTo((state) =>
          line.gone
            ? undefined
            : Waking.endEarly(
                state,
                ids(state),
                clock.currentTimeMillisUnsafe(),
                (payload, { schema }) => RecordedSchema.problemWith(schema, payload) === undefined
              )
        )
      )

    return {
      run: writer.lease.run,
      durability: writer.state.durability,
      hash: environment.hash,
      context: environment.context,
      executor: environment.executor,
      middlewares: environment.toolMiddlewares,
      traced: environment.traced,
      encrypts: environment.codec?.encrypts === true,
      open: () => visitIn(writer.state, branch)!,
      openedAt: (wait) => {
        const { seq } = HashMap.getUnsafe(writer.state.waits, wait)
        return { seq, time: writer.state.time }
      },
      append: (body) =>
        orHalt(
          Effect.flatMap(
            writer.appendTo(() => (line.gone ? undefined : [body])),
            () => (line.gone ? Effect.interrupt : Effect.succeed(undefined))
          )
        ),
      appendTo: (decide) => orHalt(writer.appendTo((state) => (line.gone ? undefined : decide(state)))),
      state: () => writer.state,
      sync: orHalt(writer.sync),
      stopping: () => line.suspended || line.gone || course.isStopping(),
      halted,
      pause: (reason) =>
        Effect.suspend(() => {
          course.pause(reason)
          return Effect.interrupt
        }),
      openWaits: (bodies) =>
        Effect.suspend(() => {
          const ids = bodies.map((body) => (body as { readonly wait: string }).wait)
          return Effect.andThen(
            orHalt(appendTo(() => (line.gone ? undefined : (bodies as unknown as Bodies)))),
            endEarly(() => ids)
          )
        }),
      park: Effect.suspend(() => {
        const { keepWaiting } = environment
        const suspend = Effect.suspend(() => {
          line.suspended = true
          return Effect.interrupt
        })
        // A run that comes to rest is synced then; what goes on while somebody waits is not held up by it.
        if (line.evicted || halted() || keepWaiting <= 0) {
          return branch === "" ? suspend : Effect.andThen(orHalt(writer.sync), suspend)
        }
        return Effect.andThen(
          orHalt(writer.sync),
          Effect.andThen(
            Effect.suspend(() => (isOver() ? Effect.void : kept(keepWaiting))),
            endEarly((state) => visitIn(state, branch)!.waiting)
          )
        )
      })
    }
  }

  /** There is one main line, and it may take many steps. */
  let onMain: Handler.Host | undefined
  const mainHost = (line: Line): Handler.Host => (onMain ??= hostOf(line))

  const conclude = (
    line: Line,
    attempted: Outcomes.Attempted,
    outcome: Outcomes.Outcome
  ): Effect.Effect<unknown, WriteError> => {
    const { branch } = line
    const { visit } = attempted
    if ("failure" in outcome) {
      return appendTo((state) =>
        line.gone
          ? undefined
          : withLost(Waking.lose(state, branch), Joins.failed(state, branch, visit, outcome.failure))
      )
    }
    const { bodies, state: typed } = outcome
    if (bodies[0].kind === "attemptFailed" || bodies[0].kind === "visitFailed") {
      return appendTo((state) => (line.gone ? undefined : withLost(Waking.lose(state, branch), bodies)))
    }
    const [open] = visitIn(writer.state, branch)?.waiting ?? []
    if (open !== undefined) return notAsked(visit, open)
    views.set(branch, typed)
    if (branch === "") return writer.append(...bodies)
    return appendTo(() => (line.gone ? undefined : bodies))
  }

  /** The handler ended and did not come to a wait that it had come to before. */
  const notAsked = ({ node, visit }: OpenVisit, wait: string): Effect.Effect<void> =>
    Effect.sync(() =>
      course.pause({
        kind: "diverged",
        node,
        visit,
        expected: { tool: "wait", call: wait, seq: HashMap.getUnsafe(writer.state.waits, wait).seq },
        got: { tool: "end", call: "the end of the handler", input: null }
      })
    )

  const settle = (
    line: Line,
    attempted: Outcomes.Attempted,
    exit: Exit.Exit<any, unknown>
  ): Effect.Effect<unknown, WriteError> => {
    if (line.suspended || line.gone || course.isStopping()) return Effect.void
    if (Exit.isSuccess(exit)) return conclude(line, attempted, outcomes.answered(attempted, exit.value))
    return Effect.flatMap(outcomes.failed(attempted, Failures.outcomeOf(exit.cause)), (outcome) =>
      conclude(line, attempted, outcome)
    )
  }

  const attempt = (line: Line): Effect.Effect<void, WriteError> =>
    Effect.suspend((): Effect.Effect<void, WriteError> => {
      const { branch } = line
      const { state } = writer
      const visit = visitIn(state, branch)!
      const node = flow.nodes[visit.node]!
      const view = views.of(state, branch)
      const input = views.inputOf(state)
      const item = node.item === undefined ? undefined : views.itemOf(visit)
      if (
        Result.isFailure(view) ||
        Result.isFailure(input) ||
        (item !== undefined && Result.isFailure(item))
      ) {
        const problem = [view, input, item].find((result) => result !== undefined && Result.isFailure(result))
        course.pause(incompatible((problem as Result.Failure<unknown, Mismatch>).failure))
        return Effect.void
      }
      const { joined } = visit
      const attempted: Outcomes.Attempted = {
        branch,
        join: branch === "" ? undefined : fanOutAround(state, branch)!.join,
        visit,
        started: clock.currentTimeMillisUnsafe(),
        state: view.success
      }
      const { close, effect } = Handler.prepare(
        environment,
        service,
        branch === "" ? mainHost(line) : hostOf(line),
        {
          visit,
          branch,
          state: view.success.view,
          input: input.success,
          item: item === undefined ? undefined : { value: item.success },
          branches: joined === undefined ? undefined : () => branchesOf(flow, joined),
          recovered: visit.since.seq <= course.inherited || hasEnded(visit),
          timeout: node.timeout
        }
      )
      return Effect.flatMap(Effect.exit(Effect.interruptible(effect)), (exit) =>
        Effect.andThen(
          close(exit),
          Effect.suspend(() => settle(line, attempted, exit))
        )
      )
    })

  return { attempt, appendTo }
}

/** How the branches came out that a visit joins. */
export const branchesOf = (
  flow: Flow.Any,
  joined: NonNullable<OpenVisit["joined"]>
): ReadonlyArray<BranchResult> =>
  Joins.resultsOf(joined, ({ error, index, node }: EndedBranch): unknown => {
    const outcome = Failures.load(error!, [flow.nodes[node]?.error ?? flow.error, flow.error])
    return outcome._tag === "Error" ? outcome.error : new BranchFailed({ index, node, failure: error! })
  })

const hasEnded = ({ ended }: OpenVisit): boolean => {
  for (const _ in ended) return true
  return false
}

const withLost = (lost: ReadonlyArray<Body>, bodies: Bodies): Bodies =>
  lost.length === 0 ? bodies : ([...lost, ...bodies] as unknown as Bodies)
