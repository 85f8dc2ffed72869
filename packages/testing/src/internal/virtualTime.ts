/**
 * Time that stands still until somebody moves it, and machines that run on it and can be switched off.
 *
 * A machine is a scheduler and a clock. Fibers that run on it do nothing any more once it is switched off: no finalizer
 * runs, and whatever they wait for, they never go on. That is what a power cut does to a process.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type * as TestClock from "effect/testing/TestClock"

export interface Machine {
  /** The clock and the scheduler: what a fiber has to have in its context to run on this machine. */
  readonly context: Context.Context<never>
  readonly switchOff: () => void
  readonly isOff: () => boolean
}

export interface VirtualTime {
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly machine: () => Machine
  /** When the next sleep is over; `undefined` if nobody sleeps. */
  readonly nextDue: () => number | undefined
  /** Goes to the end of the sleep that is over next and ends it. */
  readonly wakeNext: () => void
  /**
   * Calls back once nothing can go on without time passing or something from outside: no fiber has a turn left, and
   * promises that were settled have been looked at.
   */
  readonly whenIdle: (callback: () => void) => void
  readonly idle: Effect.Effect<void>
  /** Goes to this time, ending every sleep on the way at its own time. */
  readonly setTime: (timestamp: number) => Effect.Effect<void>
}

interface Sleep {
  readonly until: number
  readonly machine: object
  readonly wake: () => void
}

/** The clock of the world outside. */
export const liveClock: Clock.Clock = Clock.Clock.defaultValue()

/** Calls back in a turn of the event loop of its own, after all promises that are settled. */
const inTurn: (callback: () => void) => void =
  "setImmediate" in globalThis
    ? (callback) => void globalThis.setImmediate(callback)
    : (callback) => void setTimeout(callback, 0)

/** So many tasks at most are run in one turn of the event loop, so that a loop without end can be interrupted. */
const tasksPerTurn = 20_000

const nanosPerMilli = BigInt(1_000_000)

export const make = (start: number): VirtualTime => {
  let now = start
  const began = start
  const tasks: Array<{ readonly machine: object; readonly run: () => void }> = []
  let head = 0
  let late: typeof tasks = []
  const sleeps: Array<Sleep> = []
  let waiting: Array<() => void> = []
  let scheduled = false
  let running = false

  const pending = (): boolean => head < tasks.length || late.length > 0

  const schedule = (): void => {
    if (scheduled || running) return
    scheduled = true
    inTurn(turn)
  }

  const runSome = (): void => {
    for (let count = 0; count < tasksPerTurn; count++) {
      if (head === tasks.length) {
        tasks.length = 0
        head = 0
        if (late.length === 0) return
        tasks.push(...late)
        late = []
      }
      tasks[head++]!.run()
    }
  }

  const runTasks = (): void => {
    if (running) return
    running = true
    try {
      runSome()
    } finally {
      running = false
    }
  }

  const turn = (): void => {
    scheduled = false
    const quiet = !pending()
    runTasks()
    if (pending()) return schedule()
    if (waiting.length === 0) return
    // What has just run may have settled promises.
    if (!quiet) return schedule()
    const callbacks = waiting
    waiting = []
    for (const callback of callbacks) callback()
  }

  const whenIdle = (callback: () => void): void => {
    waiting.push(callback)
    runTasks()
    schedule()
  }

  const wakeNext = (): void => {
    const sleep = sleeps.shift()
    if (sleep === undefined) return
    now = Math.max(now, sleep.until)
    sleep.wake()
  }

  const sleep = (machine: object, duration: Duration.Duration): Effect.Effect<void> => {
    const millis = Duration.toMillis(duration)
    if (!(millis > 0)) return Effect.yieldNow
    if (millis === Number.POSITIVE_INFINITY) return Effect.never
    return Effect.callback<void>((resume) => {
      const entry: Sleep = { until: now + millis, machine, wake: () => resume(Effect.void) }
      let index = sleeps.length
      while (index > 0 && sleeps[index - 1]!.until > entry.until) index -= 1
      sleeps.splice(index, 0, entry)
      return Effect.sync(() => {
        const at = sleeps.indexOf(entry)
        if (at !== -1) sleeps.splice(at, 1)
      })
    })
  }

  const setTime = (timestamp: number): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      let interrupted = false
      const go = (): void => {
        if (interrupted) return
        const next = sleeps[0]
        if (next === undefined || next.until > timestamp) {
          now = timestamp
          return resume(Effect.void)
        }
        wakeNext()
        whenIdle(go)
      }
      whenIdle(go)
      return Effect.sync(() => {
        interrupted = true
      })
    })

  const machine = (): Machine => {
    const self = {}
    let off = false
    const clock: TestClock.TestClock = {
      currentTimeMillisUnsafe: () => now,
      currentTimeMillis: Effect.sync(() => now),
      currentTimeNanosUnsafe: () => nanosOf(now),
      currentTimeNanos: Effect.sync(() => nanosOf(now)),
      monotonicTimeNanosUnsafe: () => nanosOf(now - began),
      monotonicTimeNanos: Effect.sync(() => nanosOf(now - began)),
      sleep: (duration) => sleep(self, duration),
      adjust: (duration) =>
        Effect.suspend(() => setTime(now + Duration.toMillis(Duration.fromInputUnsafe(duration)))),
      setTime,
      withLive: (effect) => Effect.provideService(effect, Clock.Clock, liveClock)
    }
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      // A fiber that yields on a machine that is off gets no further turn.
      shouldYield: (fiber) => off || fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield,
      makeDispatcher: () => ({
        scheduleTask: (run, priority) => {
          if (off) return
          const task = { machine: self, run: () => (off ? undefined : run()) }
          if (priority > 0) late.push(task)
          else tasks.push(task)
          schedule()
        },
        flush: runTasks
      })
    }
    return {
      context: Context.make(Clock.Clock, clock).pipe(Context.add(Scheduler.Scheduler, scheduler)),
      isOff: () => off,
      switchOff: () => {
        off = true
        for (let i = sleeps.length - 1; i >= 0; i--) if (sleeps[i]!.machine === self) sleeps.splice(i, 1)
      }
    }
  }

  return {
    now: () => now,
    machine,
    nextDue: () => sleeps[0]?.until,
    wakeNext,
    whenIdle,
    idle: Effect.callback<void>((resume) => whenIdle(() => resume(Effect.void))),
    setTime
  }
}

const nanosOf = (millis: number): bigint => BigInt(Math.round(millis * 1000)) * (nanosPerMilli / BigInt(1000))

/** Random numbers that follow from a seed. */
export const seededRandom = (seed: string): typeof Random.Random.Service =>
  Effect.runSync(Random.withSeed(Random.Random, seed))
