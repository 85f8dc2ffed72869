/**
 * The part of an execution in which a run has branches: each attempt is executed on a fiber of its own, and no branch
 * waits for another but at the join.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import { isEnding } from "../compensation.ts"
import { fanOutBy, visitIn } from "../visits.ts"
import * as Branches from "./branches.ts"
import * as Joins from "./joins.ts"
import * as Limits from "./limits.ts"
import * as Visiting from "./visiting.ts"
import * as Waking from "./waking.ts"
import type { Bodies, WriteError } from "./writer.ts"

export interface Branching {
  /** Executes branches until they are joined or the run has to stop; whether nothing is left but to wait. */
  readonly execute: Effect.Effect<boolean, WriteError>
  /** Something became of branches: others may have to stop, or to go on. */
  readonly touched: (bodies: Bodies) => void
  /** Unless that is unlimited, what is interrupted has the grace time to end. */
  readonly interrupt: (isUnlimited: boolean) => void
  /** Leaves behind what does not stop. */
  readonly leave: () => void
  /** Lets go of handlers that are kept while they wait. */
  readonly evict: () => void
  /** Whether nothing is executed: all handlers that there are wait. */
  readonly isQuiet: () => boolean
  /** Whether there are no handlers at all, not even such as are to stop. */
  readonly isEmpty: () => boolean
  /** Waits until nothing is executed any more. */
  readonly end: Effect.Effect<void>
}

export interface Options {
  readonly course: Visiting.Course
  readonly visiting: Visiting.Visiting
  readonly idle: (millis: number, isQuiet: boolean) => Effect.Effect<void>
  /** Whether the run has left its place, and what takes one again, unless something else is to be done. */
  readonly isAway: () => boolean
  readonly enter: Effect.Effect<unknown>
  /** Ends `idle`. */
  readonly poke: () => void
  /** What follows each attempt before the next one of its branch. */
  readonly afterVisit: Effect.Effect<void, WriteError>
  /** What is done now and then, while attempts may be under way. */
  readonly betweenVisits: Effect.Effect<void, WriteError>
  /** Whether the run has to come to a checkpoint. */
  readonly isDisturbed: () => boolean
}

/** A handler that is kept while it waits is not to be kept any longer. */
export const evict = (line: Visiting.Line): void => {
  line.evicted = true
  line.parked?.wake()
}

export const make = (options: Options): Branching => {
  const { course, visiting } = options
  const { clock } = course.environment
  const { views, writer } = course
  const branches = Branches.make(clock)
  let touched = new Set<string>()
  let active = false
  let defect: Exit.Failure<void, WriteError> | undefined
  /** What is known to be durable. */
  let synced = -1
  /** No wait is over before this time. */
  let over = Number.POSITIVE_INFINITY
  /** Lines whose visits are over, until their fibers are. */
  const leaving = new Set<Visiting.Line>()

  const isQuiet = (): boolean => {
    for (const { parked, resting } of branches.running.values())
      if (parked === undefined && !resting) return false
    return true
  }

  const busy = (): number => branches.running.size - leaving.size

  const leave = (line: Visiting.Line): void => {
    if (line.gone) return
    line.gone = true
    leaving.add(line)
    line.grace.interrupt()
  }

  const finished = (line: Visiting.Line, exit: Exit.Exit<void, WriteError>): void => {
    branches.stopped(line)
    leaving.delete(line)
    touched.add(line.branch)
    if (Exit.isFailure(exit)) {
      // An interruption is asked for by the execution itself.
      for (const reason of exit.cause.reasons) {
        if (reason._tag === "Fail") course.lost(reason.error)
        if (reason._tag === "Die") defect ??= exit
      }
    }
    options.poke()
  }

  const start = (branch: string): Effect.Effect<void> => {
    const line = Visiting.lineOf(course.environment, branch)
    branches.started(line)
    return Effect.map(
      Effect.forkDetach(
        Effect.andThen(
          Effect.suspend(() => visiting.attempt(line)),
          options.afterVisit
        ),
        { startImmediately: true, uninterruptible: true }
      ),
      (fiber) => {
        line.fiber = fiber
        fiber.addObserver((exit) => finished(line, exit))
      }
    )
  }

  const takeIn = (): void => {
    const { state } = writer
    const which = touched
    touched = new Set()
    for (const branch of which) {
      branches.update(state, branch)
      const isOver = visitIn(state, branch) === undefined && fanOutBy(state, branch) === undefined
      if (branch !== "" && isOver) views.drop(branch)
    }
    branches.wake()
  }

  /** Starts what can be started; whether the run may take no more steps. */
  const startAll = Effect.gen(function* () {
    while (!options.isDisturbed() && !isEnding(writer.state)) {
      if (writer.state.steps + busy() >= writer.state.maxSteps) return busy() === 0
      const branch = branches.next()
      if (branch === undefined) return false
      const visit = visitIn(writer.state, branch)
      if (visit === undefined || visit.waiting.length > 0) continue
      const exceeded = Limits.exceededBy(writer.state, visit)
      if (exceeded === undefined) yield* start(branch)
      else if (Limits.pausesAt(course.service.flow, exceeded)) course.pause(exceeded)
      else yield* visiting.appendTo((state) => [Joins.failRun(state, exceeded, branch)])
    }
    return false
  })

  /** How long nothing has to be done by itself. */
  const untilDue = (): number => {
    const left = Math.min(branches.sleeps(), over - clock.currentTimeMillisUnsafe())
    return left === Number.POSITIVE_INFINITY ? left : Math.min(left, course.environment.lookInterval)
  }

  const endOverdue = Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    if (now < over) return Effect.void
    return Effect.map(
      visiting.appendTo((state) => Waking.endOverdue(state, now)),
      () => {
        over = Waking.nextDue(writer.state) ?? Number.POSITIVE_INFINITY
      }
    )
  })

  const execute: Branching["execute"] = Effect.gen(function* () {
    active = true
    touched = new Set()
    over = Waking.nextDue(writer.state) ?? Number.POSITIVE_INFINITY
    branches.begin(writer.state)
    while (true) {
      if (defect !== undefined) return yield* defect as unknown as Effect.Effect<never>
      takeIn()
      if (options.isDisturbed() || HashMap.isEmpty(writer.state.fanOuts) || isEnding(writer.state)) {
        // What a run did is undone when nothing of it is executed any more.
        const isUndoing = writer.state.compensating !== undefined
        if ((isUndoing ? branches.running.size : busy()) === 0) return false
      } else {
        const joinable = branches.joinable(writer.state)
        if (joinable !== undefined) {
          yield* visiting.join(joinable)
          continue
        }
        if (options.isAway() && branches.isReady()) {
          yield* options.enter
          continue
        }
        const isLimited = yield* startAll
        if (isLimited && branches.next() !== undefined) {
          const exceeded = { kind: "stepLimit", limit: writer.state.maxSteps } as const
          if (Limits.pausesAt(course.service.flow, exceeded)) course.pause(exceeded)
          else yield* visiting.appendTo((state) => [Joins.failRun(state, exceeded)])
          continue
        }
        yield* options.betweenVisits
        if (touched.size > 0) continue
        if (busy() === 0 && branches.sleeps() === Number.POSITIVE_INFINITY) return true
      }
      // What comes after a long sleep should not have to begin before it. If handlers that are kept while they wait are all
      // there is, what led to them is to be seen.
      const sleeps = busy() === 0 || writer.state.status === "waiting"
      if (sleeps && writer.state.seq !== synced) {
        synced = writer.state.seq
        yield* writer.sync
        continue
      }
      // Nothing may have happened since it was looked: what is told while this fiber waits wakes it.
      if (touched.size === 0) yield* options.idle(untilDue(), isQuiet())
      yield* endOverdue
    }
  }).pipe(Effect.ensuring(Effect.sync(() => (active = false))))

  return {
    execute,
    touched: (bodies) => {
      if (!active) return
      let isCut = false
      for (const body of bodies) {
        const branch = "branch" in body && body.branch !== undefined ? body.branch : ""
        touched.add(branch)
        if (body.kind === "waitEnded") branches.running.get(branch)?.parked?.wake()
        else if (body.kind === "waitOpened") over = Math.min(over, body.due ?? over)
        else isCut ||= body.kind === "failed" || body.kind === "joined" || body.kind === "branchFailed"
        if (body.kind === "joined") branches.joined(body.fanOut)
      }
      if (!isCut) return
      const lines = isEnding(writer.state) ? branches.running.values() : branches.strays(writer.state)
      for (const line of lines) leave(line)
    },
    interrupt: (isUnlimited) => branches.running.forEach(({ grace }) => grace.interrupt(isUnlimited)),
    leave: () => branches.running.forEach(({ grace }) => grace.leave()),
    evict: () => branches.running.forEach(evict),
    isQuiet,
    isEmpty: () => branches.running.size === 0,
    end: Effect.suspend(() =>
      Effect.forEach(
        [...branches.running.values()],
        ({ fiber }) => (fiber === undefined ? Effect.void : Fiber.await(fiber)),
        {
          discard: true
        }
      )
    )
  }
}
