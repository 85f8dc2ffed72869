/**
 * One attempt of the open visit of a branch: its handler is executed, and what came of it is appended.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Body, Event, Failure, PauseReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import { BranchFailed } from "../../Next.ts"
import type { BranchResult } from "../../Next.ts"
import { apply } from "../../RunState.ts"
import type { EndedBranch, OpenVisit, RunState } from "../../RunState.ts"
import { isEnding } from "../compensation.ts"
import { isTerminal } from "../status.ts"
import { fanOutAround, visitIn } from "../visits.ts"
import type { Environment } from "./environment.ts"
import * as Failures from "./failure.ts"
import * as Grace from "./grace.ts"
import * as Handler from "./handler.ts"
import * as Joins from "./joins.ts"
import type { Outbox } from "./outbox.ts"
import * as Order from "./order.ts"
import type * as Outcomes from "./outcomes.ts"
import * as Restart from "./restart.ts"
import type { Mismatch, TypedState } from "./typedState.ts"
import type { Views } from "./views.ts"
import * as VisitClock from "./visitClock.ts"
import * as WaitSchemas from "./waitSchemas.ts"
import * as Waking from "./waking.ts"
import type { Bodies, WriteError, Writer } from "./writer.ts"

/** The execution of a branch's open visit. */
export interface Line {
  readonly branch: string
  /** Where its handler is executed. */
  readonly grace: Grace.Grace
  /** What it executes, or executed last. */
  visit: OpenVisit | undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** It waits and is not kept: what its handler does from now on counts for nothing. */
  suspended: boolean
  /** Its visit was ended by somebody else, or it did not stop and was left behind: it has no part in the run any more. */
  gone: boolean
  /** Where its handler is kept while it waits. */
  parked: { readonly wake: () => void; readonly since: number } | undefined
  /** It is not to be kept any longer. */
  evicted: boolean
  /** Its handler sleeps and does nothing else. */
  resting: boolean
  /** It is executed up to its wait only, to be interrupted there; and whether it came there. */
  unwinding: "not" | "under way" | "done"
  /** How often it was refused something because it is to stop. */
  refusals: number
}

export const lineOf = (options: Grace.Options, branch: string): Line => ({
  branch,
  grace: Grace.make(options),
  visit: undefined,
  fiber: undefined,
  suspended: false,
  gone: false,
  parked: undefined,
  evicted: false,
  resting: false,
  unwinding: "not",
  refusals: 0
})

/** Whether a branch's visit was ended by somebody else: what is appended is known before whoever it concerns is told. */
const isOverFor = ({ branch, gone }: Line, state: RunState): boolean =>
  gone || (branch !== "" && (isEnding(state) || visitIn(state, branch) === undefined))

/** The state as it will be after these events, for what is to be appended with them. */
const ahead = (state: RunState, bodies: Bodies): RunState => {
  let { seq } = state
  const events = bodies.map((body): Event => ({
    ...body,
    run: state.run,
    seq: ++seq,
    epoch: state.epoch,
    time: state.time,
    prev: ""
  }))
  return events.reduce((before, event) => Result.getOrThrow(apply(before, event, 0)), state)
}

/** What the attempts of a run need of its execution. */
export interface Course {
  readonly environment: Environment
  readonly service: Flow.HandlersService
  readonly writer: Writer
  readonly views: Views
  readonly outcomes: Outcomes.Outcomes
  /** Sees to it that a message that was sent arrives. */
  readonly deliver: Outbox["deliver"]
  /** What stands before this position was written before this execution. */
  readonly inherited: number
  /** Whether the execution stops, by whatever; and whether it does so without ending the run. */
  readonly isStopping: () => boolean
  readonly isHalted: () => boolean
  readonly isLost: () => boolean
  /** The branches whose handlers were interrupted because the run ends: their finalizers have been executed. */
  readonly unwound: Set<string>
  /** The journal cannot be written any more. */
  readonly lost: (error: WriteError) => void
  readonly pause: (reason: PauseReason) => void
  /** Told of the branches that something became of. */
  readonly touched: (bodies: Bodies) => void
  /** Calls back after so many milliseconds, unless the result is called before. */
  readonly timer: (millis: number, callback: () => void) => () => void
  /** A handler is kept while it waits, or sleeps: it needs no place for now. */
  readonly parked: (branch: string) => void
  /** Until the run has a place for a handler that goes on. */
  readonly reenter: Effect.Effect<void>
}

export interface Visiting {
  /** Executes an attempt. It is not to be interrupted itself; its handler is. */
  readonly attempt: (line: Line) => Effect.Effect<unknown, WriteError>
  /**
   * Appends what follows from the state, and with it the join that it makes possible: in between the run might look as
   * if all that is left of it waits. Tells of the branches that it concerns.
   */
  readonly appendTo: (decide: (state: RunState) => Bodies | undefined) => Effect.Effect<unknown, WriteError>
  /** Appends the join of the branches that a branch made. */
  readonly join: (branch: string) => Effect.Effect<unknown, WriteError>
}

const incompatible = ({ message, what }: Mismatch): PauseReason => ({
  kind: "incompatible",
  message: `${what}: ${message}`
})

export const make = (course: Course): Visiting => {
  const { environment, outcomes, service, views, writer } = course
  const { clock } = environment
  const { flow } = service
  const problemFor = WaitSchemas.problemFor(flow)

  /** The join of the branches that a branch made, and the state that the main line has after it. */
  const joining = (state: RunState, branch: string): readonly [Bodies, TypedState | undefined] => {
    let after: TypedState | undefined
    const bodies = Joins.joining(state, flow.state, branch, (ops) => {
      const view = views.of(state, branch)
      const applied = Result.isFailure(view) ? view : view.success.apply(ops)
      if (Result.isFailure(applied)) {
        return Result.fail(Failures.encoding(applied.failure.what, applied.failure.message))
      }
      // What branches of a branch combine is decided further out.
      if (branch !== "") return Result.succeed(ops)
      after = applied.success
      return Joins.finish(flow.state, ops, after)
    })
    return [bodies, after]
  }

  const append = (
    decide: (state: RunState) => readonly [Bodies, TypedState | undefined] | undefined
  ): Effect.Effect<unknown, WriteError> => {
    let appended: ReturnType<typeof decide>
    return Effect.flatMap(
      writer.appendTo((state) => (appended = decide(state))?.[0]),
      () => {
        if (appended === undefined) return Effect.void
        const [bodies, after] = appended
        let isJoined = false
        for (const body of bodies) {
          if (body.kind !== "joined") continue
          isJoined = true
          if (body.branch !== undefined) views.drop(body.branch)
          else if (after !== undefined) views.set("", after)
        }
        // Whoever is told goes on at the join, which in a strict run comes after the disk.
        const synced = isJoined && writer.state.durability === "strict" ? writer.sync : Effect.void
        return Effect.map(synced, () => course.touched(bodies))
      }
    )
  }

  const withJoins = (state: RunState, bodies: Bodies): readonly [Bodies, TypedState | undefined] => {
    const branch = Joins.madeReady(state, bodies)
    if (branch === undefined) return [bodies, undefined]
    const then = ahead(state, bodies)
    const [joined, after] = joining(then, branch)
    const [rest, last] = withJoins(then, joined)
    return [[...bodies, ...rest], last ?? after]
  }

  const appendTo: Visiting["appendTo"] = (decide) =>
    append((state) => {
      const bodies = decide(state)
      return bodies === undefined ? undefined : withJoins(state, bodies)
    })

  const join: Visiting["join"] = (branch) => append((state) => joining(state, branch))

  const hostOf = (line: Line): Handler.Host => {
    const { branch } = line
    const halted = () => line.suspended || line.gone || course.isHalted()
    const refused = Grace.refusal(line)
    const outside = VisitClock.outside(environment.context)
    const isGone = (state: RunState) => isOverFor(line, state)

    /**
     * For code that runs inside a handler: a run that cannot be written stops there.
     */
    const orHalt = <A>(effect: Effect.Effect<A, WriteError>): Effect.Effect<A> =>
      Effect.catch(outside(effect), (error) => {
        course.lost(error)
        return refused
      })

    /** Keeps the handler until something happened that may have ended its wait, or for as long as it may be kept. */
    const kept = (millis: number): Effect.Effect<void> =>
      Effect.callback<void>((resume) => {
        const since = line.parked?.since ?? clock.currentTimeMillisUnsafe()
        const now = clock.currentTimeMillisUnsafe()
        const { waiting } = visitIn(writer.state, branch)!
        let due = Number.POSITIVE_INFINITY
        for (const id of waiting) due = Math.min(due, HashMap.getUnsafe(writer.state.waits, id).due ?? due)
        const until = Math.max(1, Math.min(due - now, since + millis - now, environment.lookInterval))
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
        course.parked(branch)
        return Effect.sync(cancel)
      })

    /** Whether a wait ended, or the line is to stop, while nobody was there to be woken. */
    const isOver = () => halted() || visitIn(writer.state, branch)!.waiting.length === 0

    /** The run that is waited for may need the place that this one takes. */
    const waitsForRun = () =>
      visitIn(writer.state, branch)!.waiting.some(
        (id) => HashMap.getUnsafe(writer.state.waits, id).on.type === "run"
      )

    /** How those of these waits end that are over already. */
    const overIn = (state: RunState, ids: ReadonlyArray<string>): Bodies | undefined =>
      Waking.endEarly(
        state,
        ids,
        clock.currentTimeMillisUnsafe(),
        (payload, wait) => problemFor(state, wait, payload) === undefined
      )

    const endEarly = orHalt(
      appendTo((state) => (isGone(state) ? undefined : overIn(state, visitIn(state, branch)!.waiting)))
    )

    return {
      run: writer.lease.run,
      durability: writer.state.durability,
      hash: environment.hash,
      context: environment.context,
      executor: environment.executor,
      limits: environment,
      lookInterval: environment.lookInterval,
      middlewares: environment.toolMiddlewares,
      traced: environment.traced,
      encrypts: environment.codec?.encrypts === true,
      open: () => (line.gone ? line.visit! : visitIn(writer.state, branch)!),
      openedAt: (wait) => {
        const { seq } = HashMap.getUnsafe(writer.state.waits, wait)
        return { seq, time: writer.state.time }
      },
      append: (body) =>
        Effect.suspend(() => {
          let isLate = false
          return orHalt(
            Effect.flatMap(
              writer.appendTo((state) => {
                isLate = isGone(state)
                return isLate ? undefined : [body]
              }),
              () => (isLate || line.gone ? refused : Effect.succeed(undefined))
            )
          )
        }),
      appendTo: (decide) => orHalt(writer.appendTo((state) => (isGone(state) ? undefined : decide(state)))),
      state: () => writer.state,
      sync: orHalt(writer.sync),
      deliver: (message, of) => orHalt(course.deliver(message, of)),
      stopping: () => line.suspended || line.gone || course.isStopping(),
      halted,
      refused,
      resting: (sleep) =>
        Effect.suspend(() => {
          // The limit of an attempt is not to count the time for which it waits for a place.
          if (flow.nodes[visitIn(writer.state, branch)!.node]!.timeout !== undefined) return sleep
          line.resting = true
          course.parked(branch)
          const awake = Effect.sync(() => {
            line.resting = false
          })
          return Effect.andThen(Effect.ensuring(sleep, awake), course.reenter)
        }),
      pause: (reason) =>
        Effect.suspend(() => {
          if (!line.gone) course.pause(reason)
          return refused
        }),
      openWaits: (bodies) =>
        Effect.suspend(() => {
          const ids = bodies.flatMap((body) => (body.kind === "waitOpened" ? [body.wait] : []))
          const opening = bodies as unknown as Bodies
          return orHalt(
            appendTo((state) => {
              if (isGone(state)) return undefined
              // A wait that is over already is never seen open: nobody would look for what is kept for it.
              const over = overIn(ahead(state, opening), ids)
              return over === undefined ? opening : [...opening, ...over]
            })
          )
        }),
      waker: () => line.parked?.wake,
      park: ({ isAlone, isBusy: makesCalls }) => {
        const isUnwinding = () => line.unwinding !== "not"
        // A call that is being carried out is not given up because the visit waits meanwhile.
        const isBusy = () => !isUnwinding() && makesCalls()
        // The limit of an attempt does not count the time for which it waits: then it has to leave.
        const { timeout } = flow.nodes[visitIn(writer.state, branch)!.node]!
        const keepWaiting = timeout === undefined && !isUnwinding() ? environment.keepWaiting : 0
        const leaves = () => !isBusy() && (line.evicted || keepWaiting <= 0 || waitsForRun())
        // What other fibers are about to ask for is not left until the wait is over.
        const othersBegin = Effect.withFiber((fiber) =>
          isUnwinding() || isAlone(fiber) ? Effect.void : Order.othersFirst
        )
        const suspend = Effect.suspend(() => {
          // A handler that does not end now is left behind.
          if (!halted()) line.grace.interrupt()
          if (isUnwinding()) line.unwinding = "done"
          else line.suspended = true
          return refused
        })
        const keep = Effect.suspend(() =>
          isOver() || leaves() ? Effect.void : kept(isBusy() ? Infinity : keepWaiting)
        )
        const goOn = Effect.suspend(() => (isOver() && !line.evicted ? course.reenter : Effect.void))
        const waited = Effect.andThen(
          orHalt(writer.sync),
          Effect.andThen(keep, Effect.andThen(endEarly, goOn))
        )
        return Effect.andThen(
          othersBegin,
          Effect.suspend(() => {
            if (!halted() && !leaves()) return waited
            // A run that comes to rest is synced then; what goes on while somebody waits is not held up by it.
            return branch === "" ? suspend : Effect.andThen(orHalt(writer.sync), suspend)
          })
        )
      }
    }
  }

  /** Most visits need nothing of their run; the main line may take many steps. */
  let onMain: { readonly line: Line; readonly host: Handler.Host } | undefined
  const hosting = (line: Line): (() => Handler.Host) => {
    if (line.branch === "") {
      return () => {
        if (onMain?.line !== line) onMain = { line, host: hostOf(line) }
        return onMain.host
      }
    }
    let host: Handler.Host | undefined
    return () => (host ??= hostOf(line))
  }

  const restarted = Restart.make(flow)

  /** A visit failed for good: its run is restarted from there, or goes on or ends as its fan-outs say. */
  const failed = (
    line: Line,
    { branch, started, visit }: Outcomes.Attempted,
    failure: Failure,
    ofRun = failure
  ): Effect.Effect<unknown, WriteError> => {
    if (isOverFor(line, writer.state)) return Effect.void
    const bodies = Joins.failed(writer.state, branch, visit, failure, ofRun)
    const now = clock.currentTimeMillisUnsafe()
    return Effect.flatMap(restarted(writer.state, started, now, bodies), ([first]) => {
      const again = first?.kind === "attemptFailed" ? first : undefined
      // It may have been the policy that broke.
      const broken = first?.kind === "failed" && first !== bodies[0] ? first.error : undefined
      return appendTo((state) => {
        if (isOverFor(line, state)) return undefined
        const made: Bodies =
          again === undefined
            ? Joins.failed(state, branch, visit, broken ?? failure, broken ?? ofRun)
            : [again]
        return withLost(Waking.lose(state, branch), made)
      })
    })
  }

  /** The handler was interrupted and does not stop: whatever it still does is none of the run's business. */
  const leaveBehind = (line: Line, { node, visit }: OpenVisit): Effect.Effect<unknown, WriteError> => {
    line.gone = true
    course.unwound.add(line.branch)
    const { run } = writer.lease
    const warning = Effect.logWarning("a handler does not stop and is left behind", { run, node, visit })
    return Effect.flatMap(warning, (): Effect.Effect<unknown, WriteError> => {
      if (course.isLost() || isTerminal(writer.state.status)) return Effect.void
      const note = `visit ${visit} of node ${node} was interrupted, does not stop, and is left behind`
      return writer.append({ kind: "annotated", note, data: { node, visit } })
    })
  }

  const conclude = (
    line: Line,
    attempted: Outcomes.Attempted,
    outcome: Outcomes.Outcome
  ): Effect.Effect<unknown, WriteError> => {
    const { branch } = line
    const { visit } = attempted
    if ("failure" in outcome) return failed(line, attempted, outcome.failure, outcome.ofRun)
    const { bodies, state: typed } = outcome
    if (bodies[0].kind === "attemptFailed" || bodies[0].kind === "visitFailed") {
      return appendTo((state) =>
        isOverFor(line, state) ? undefined : withLost(Waking.lose(state, branch), bodies)
      )
    }
    const [open] = visitIn(writer.state, branch)?.waiting ?? []
    if (open !== undefined) return notAsked(visit, open)
    views.set(branch, typed)
    if (branch === "") return writer.append(...bodies)
    return appendTo((state) => (isOverFor(line, state) ? undefined : bodies))
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
    if (line.suspended || isOverFor(line, writer.state) || course.isStopping()) {
      if (!line.suspended) course.unwound.add(line.branch)
      return Effect.void
    }
    if (Exit.isSuccess(exit)) return conclude(line, attempted, outcomes.answered(attempted, exit.value))
    return Effect.flatMap(outcomes.failed(attempted, Failures.outcomeOf(exit.cause)), (outcome) =>
      conclude(line, attempted, outcome)
    )
  }

  const attempt = (line: Line): Effect.Effect<unknown, WriteError> => {
    const { branch } = line
    const { state } = writer
    const visit = visitIn(state, branch)!
    const node = flow.nodes[visit.node]!
    const view = views.of(state, branch)
    const input = views.inputOf(state)
    const item = node.item === undefined ? undefined : views.itemOf(visit)
    if (Result.isFailure(view) || Result.isFailure(input) || (item !== undefined && Result.isFailure(item))) {
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
    const { run } = writer.lease
    const { close, context, effect } = Handler.prepare(environment, service, run, hosting(line), {
      visit,
      branch,
      state: view.success.view,
      input: input.success,
      item: item === undefined ? undefined : { value: item.success },
      branches: joined === undefined ? undefined : () => branchesOf(flow, joined),
      recovered: visit.since.seq <= course.inherited || hasEnded(visit),
      timeout: node.timeout
    })
    line.visit = visit
    line.refusals = 0
    const place = { run, branch, node: visit.node, visit: visit.visit }
    const stopping = () =>
      line.gone ||
      line.suspended ||
      (line.unwinding === "under way" ? course.isHalted() : course.isStopping())
    return Effect.flatMap(
      line.grace.execute(Effect.onExit(effect, close), place, stopping, context),
      (exit) => (exit === undefined ? leaveBehind(line, visit) : settle(line, attempted, exit))
    )
  }

  return { attempt, appendTo, join }
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
