/**
 * Several processes on one directory that start, signal and cancel runs while processes are killed, and stopped and
 * continued, at random.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { kindOf } from "./errand.ts"
import type { Member } from "./members.ts"
import { spawn } from "./members.ts"

export interface Options {
  readonly directory: string
  readonly witness: string
  readonly processes: number
  /** What decides whom it hits, how and for how long; the system decides the rest. */
  readonly seed: number
  /** Milliseconds without a sign of life after which a process loses its runs. */
  readonly leaseTtl: number
  /** How many runs are started for each blow. */
  readonly runsPerBlow: number
  /** Whether, after so many blows, no more runs are started. */
  readonly isEnough: (blows: number) => boolean
  /** Is told now and then how far it is. */
  readonly progress?: ((line: string) => void) | undefined
}

export interface Outcome {
  readonly runs: number
  readonly kills: number
  readonly stops: number
  /** Stops for longer than a lease lasts. */
  readonly longStops: number
  /** Requests that were sent again because a process was gone before it answered. */
  readonly resent: number
  /** Answers that were errors, by what they say, and how often. */
  readonly refusals: ReadonlyMap<string, number>
  readonly problems: ReadonlyArray<string>
}

interface Job {
  readonly what: "start" | "signal" | "cancel"
  readonly n: number
  attempts: number
}

/** Numbers from 0 to below 1 that a seed determines (mulberry32). */
const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** At most so many requests are unanswered at once, in all processes. */
const window = 64

/** Whether an error of a request that was sent before says that the first time did it. */
const wasDone = (job: Job, answer: string): boolean =>
  job.attempts > 1 && job.what === "signal" && answer.startsWith("CommandRefused")

/**
 * Errors after which a request may be made again: the process was taken for dead while it was stopped; or what a process that
 * is stopped has written last is not seen by others before it goes on or loses its lease.
 */
const mayBeRepeated = (answer: string): boolean =>
  answer.startsWith("StoreError") || answer.startsWith("RunNotFound")

/** How often, and after how many milliseconds. */
const maxAttempts = 200
const repeatAfter = 100

export const play = (options: Options): Effect.Effect<Outcome, never, Scope.Scope> =>
  Effect.gen(function* () {
    const next = random(options.seed)
    const between = (low: number, high: number): number => low + next() * (high - low)
    const members: Array<Member> = []
    const delayed = yield* FiberSet.make()
    const problems: Array<string> = []
    const refusals = new Map<string, number>()
    const queue: Array<Job> = []
    let unanswered = 0
    let runs = 0
    let allowed = options.runsPerBlow
    let kills = 0
    let stops = 0
    let longStops = 0
    let resent = 0
    let turn = 0

    const start = yield* FiberSet.runtime(delayed)()
    const later = (millis: number, work: () => void): void =>
      void start(Effect.andThen(Effect.sleep(millis), Effect.sync(work)))

    const settle = (job: Job, answer: string): void => {
      unanswered -= 1
      if (answer === "done" || wasDone(job, answer)) {
        if (job.what !== "start") return
        const kind = kindOf(job.n)
        if (kind === "signalled") queue.push({ what: "signal", n: job.n, attempts: 0 })
        if (kind === "cancelled") queue.push({ what: "cancel", n: job.n, attempts: 0 })
        return
      }
      const said = answer.replace(/\d+/g, "n")
      refusals.set(said, (refusals.get(said) ?? 0) + 1)
      if (mayBeRepeated(answer) && job.attempts < maxAttempts) later(repeatAfter, () => queue.push(job))
      else {
        const problem = `${job.what} of run ${job.n}, attempt ${job.attempts}: ${answer}`
        options.progress?.(problem)
        problems.push(problem)
      }
    }

    const dispatch = (): void => {
      while (unanswered < window) {
        const job: Job | undefined =
          queue.shift() ?? (runs < allowed ? { what: "start", n: runs++, attempts: 0 } : undefined)
        if (job === undefined) return
        const able = members.filter(({ state }) => state === "ready" || state === "stopped")
        const member = able[turn++ % Math.max(1, able.length)]
        if (member === undefined) {
          queue.unshift(job)
          return
        }
        job.attempts += 1
        unanswered += 1
        member.ask(job.what, job.n, (answer) => {
          if (answer === undefined) {
            unanswered -= 1
            resent += 1
            queue.push(job)
          } else settle(job, answer)
        })
      }
    }

    const add = Effect.map(spawn(options), (member) => void members.push(member))
    for (let i = 0; i < options.processes; i++) yield* add

    /** Hits one of them; `false` if they have not recovered from the last blow. */
    const blow = Effect.gen(function* () {
      if (members.some(({ state }) => state === "starting" || state === "gone")) return false
      const running = members.filter(({ state }) => state === "ready")
      if (running.length < 2 || next() < 0.5) {
        const victim = members[Math.floor(next() * members.length)]!
        victim.kill()
        members.splice(members.indexOf(victim), 1)
        kills += 1
        yield* add
        return true
      }
      const victim = running[Math.floor(next() * running.length)]!
      const isLong = next() < 0.4
      const millis = isLong
        ? between(1.2 * options.leaseTtl, 2.5 * options.leaseTtl)
        : between(10, 0.5 * options.leaseTtl)
      victim.stop()
      stops += 1
      if (isLong) longStops += 1
      later(millis, victim.proceed)
      return true
    })

    const pump = yield* Effect.forkScoped(
      Effect.forever(Effect.andThen(Effect.sync(dispatch), Effect.sleep(2)))
    )
    for (let blows = 0; !options.isEnough(blows);) {
      yield* Effect.sleep(between(20, 400))
      if (runs < allowed) continue
      if (!(yield* blow)) continue
      blows += 1
      allowed += options.runsPerBlow
      if (blows % 50 === 0) {
        options.progress?.(`${blows} blows, ${runs} runs started, ${problems.length} problems`)
      }
    }
    do {
      yield* FiberSet.awaitEmpty(delayed)
      yield* Effect.sleep(10)
    } while (runs < allowed || queue.length > 0 || unanswered > 0 || (yield* FiberSet.size(delayed)) > 0)
    yield* Effect.sync(() => pump.interruptUnsafe())
    return { runs, kills, stops, longStops, resent, refusals, problems }
  })
