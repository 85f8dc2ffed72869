/**
 * The one that writes: groups what is asked for, makes it durable, carries it out, and folds the log into the database.
 *
 * Nothing is in the database in memory that is not durable. So what is read is durable, and the database can be put in its
 * place at any moment between two groups: from then on a new log is written, and the old one counts until the database
 * has taken its place.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { StoreError } from "@waymark/core/Store"
import { coalesce } from "@waymark/store-kit/Coalesce"
import type { Within } from "@waymark/store-kit/Coalesce"
import { failure } from "@waymark/store-kit/Failures"
import type { Wakeups } from "@waymark/store-kit/Wakeups"
import type { Step } from "./operation.ts"
import { step } from "./operation.ts"
import { blockSize } from "./pageFile.ts"
import * as Redo from "./redo.ts"
import { formatVersion } from "./schema.ts"
import { onDatabase } from "./state.ts"
import type { Options as StateOptions, State } from "./state.ts"

/** Something that is done as a whole. One of `done` and `failed` is called. */
export interface Unit {
  readonly steps: ReadonlyArray<Step>
  readonly done: () => void
  readonly failed: (why: StoreError) => void
}

export interface Writer {
  /** Does it as soon as it can be done. */
  readonly enqueue: (unit: Unit) => void
  /** Does it when something else is done, or soon. */
  readonly enqueueSoon: (unit: Unit) => void
  /** Does it when something else is done. */
  readonly enqueueLazily: (steps: ReadonlyArray<Step>) => void
  /** Does what is waiting. */
  readonly hurry: () => void
  /** Why nothing more can be written, if so much more than there is would be too much. */
  readonly refusal: () => StoreError | undefined
  readonly isFull: () => boolean
  readonly awaitRoom: Effect.Effect<void>
  /** Puts the database in its place, with everything that was done before it was asked for. */
  readonly fold: Effect.Effect<void, StoreError>
  /** Does what is asked for, for ever. */
  readonly run: Effect.Effect<void>
}

export interface Options extends StateOptions {
  readonly state: State
  readonly owner: string
  /** Characters that may be accepted and not yet durable. */
  readonly maxUnsynced: number
  /** How many bytes the log may have before it is folded in when nothing else is going on, for a database of this size. */
  readonly foldAfter: (databaseBytes: number, inBlocks: boolean) => number
  readonly wakeups: Wakeups
  readonly untilClosed: Within<StoreError>
  readonly applied: (steps: ReadonlyArray<Step>) => void
  readonly onFailure: (why: StoreError) => void
}

/** What nobody waits for is written after so many milliseconds. */
const patience = 2
/** And at once when so much of it is waiting, in characters. */
const enough = 256 * 1024
/** How long nothing has to happen before a fold, in milliseconds. */
const idleAfter = 200
/** A log that is so many times longer than it should be is folded in at any rate. */
const urgently = 2

const sizeOf = (steps: ReadonlyArray<Step>): number => {
  let size = 0
  for (const { entries, operation } of steps) {
    size += 100
    for (const { line } of entries) size += line.length
    if (operation.$ === "artifact") size += operation.bytes.length
    if (operation.$ === "sent") size += JSON.stringify(operation.command).length
    if (operation.$ === "meta") size += operation.value.length
  }
  return size
}

export const make = (options: Options): Writer => {
  const { hasher, maxBytes, owner, persistence, state, wakeups } = options
  const { database } = state
  let queue: Array<Unit> = []
  let lazy: Array<Step> = []
  let unsynced = 0
  let hurried = false
  let waiting = false
  let wake: (() => void) | undefined
  let waitingForRoom: Array<() => void> = []
  /** Set when the database in memory cannot be trusted any more. */
  let broken: StoreError | undefined
  /** Whether something may lie in the log beyond where it counts. */
  let untidy = false
  let databaseBytes = database.size()
  let loggedBytes = state.logged
  /** A fold that failed is tried again when the log has grown to this. */
  let foldAgainAt = 0
  let lastGroup = 0

  const hurry = (): void => {
    hurried = true
    wake?.()
  }

  const add = (unit: Unit): void => {
    queue.push(unit)
    unsynced += sizeOf(unit.steps)
  }

  const enqueue = (unit: Unit): void => {
    add(unit)
    hurry()
  }

  const enqueueSoon = (unit: Unit): void => {
    add(unit)
    if (unsynced >= enough) return hurry()
    if (hurried || waiting) return
    waiting = true
    wakeups.fork(
      Effect.andThen(
        persistence.pause(patience),
        Effect.sync(() => {
          waiting = false
          if (queue.length > 0) hurry()
        })
      )
    )
  }

  const makeRoom = (): void => {
    const resumed = waitingForRoom
    waitingForRoom = []
    for (const resume of resumed) resume()
  }

  const fail = (units: ReadonlyArray<Unit>, why: StoreError): void => {
    const all = [...units, ...queue]
    queue = []
    unsynced = 0
    options.onFailure(why)
    for (const unit of all) unit.failed(why)
    wakeups.flush()
    makeRoom()
  }

  /** What failed to be written must not come back after a crash. If that cannot be done now, the next write does it. */
  const tidy = Effect.suspend(() =>
    Effect.match(persistence.writeLog(state.log, state.offset, new Uint8Array(0)), {
      onSuccess: () => {
        untidy = false
      },
      onFailure: () => {
        untidy = true
      }
    })
  )

  const group = Effect.gen(function* () {
    hurried = false
    if (broken !== undefined) return fail([], broken)
    if (queue.length === 0) return
    const units = queue
    const size = unsynced
    queue = []
    const late = lazy
    const steps = [...late, ...units.flatMap((unit) => unit.steps)]
    if (state.offset === 0) {
      const { before, log: generation } = state
      const follows = before === undefined ? undefined : { follows: before }
      steps.unshift(step({ $: "log", format: formatVersion, generation, owner, ...follows }))
    }
    const frame = Redo.encodeFrame(steps, state.offset, hasher)
    const written = yield* Effect.exit(persistence.writeLog(state.log, state.offset, frame))
    if (Exit.isFailure(written)) {
      yield* tidy
      return fail(units, errorIn(written))
    }
    untidy = false
    const applied = yield* Effect.exit(
      onDatabase(persistence.place, () => {
        state.applier.apply(steps)
        databaseBytes = database.size()
      })
    )
    if (Exit.isFailure(applied)) {
      // It is in the log, and not in memory: only opening the store anew brings the two together.
      broken = errorIn(applied)
      return fail(units, broken)
    }
    lazy = lazy.slice(late.length)
    state.offset += frame.length
    loggedBytes += frame.length
    unsynced -= size
    lastGroup += 1
    for (const unit of units) unit.done()
    options.applied(steps)
    wakeups.flush()
    makeRoom()
    considerFold()
  })

  // -----------------------------------------------------------------------------------------------------------------
  // folding

  /** What the loop does before its next group. */
  let between: Effect.Effect<void> = Effect.void

  /** Runs something between two groups. */
  const betweenGroups = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.callback<A, E>((resume) => {
      between = Effect.andThen(
        between,
        Effect.map(Effect.exit(work), (exit) => resume(exit))
      )
      wake?.()
    })

  const fold: Effect.Effect<void, StoreError> = coalesce(
    Effect.gen(function* () {
      const begun = yield* betweenGroups(
        Effect.gen(function* () {
          if (broken !== undefined) return yield* Effect.fail(broken)
          if (state.offset === 0 && loggedBytes === 0) return undefined
          // Nothing may come back from a log that is not written any more.
          if (untidy) yield* persistence.writeLog(state.log, state.offset, new Uint8Array(0))
          untidy = false
          const next = state.offset === 0 ? state.log : state.log + 1
          const capture = yield* onDatabase(persistence.place, () => {
            database.run("UPDATE store SET value = ? WHERE key = 'generation'", [next])
            return database.capture()
          })
          const folded = loggedBytes
          if (next > state.log) state.before = state.offset
          state.log = next
          state.offset = 0
          return { capture, folded, generation: next }
        })
      )
      if (begun === undefined) return
      const { capture, folded, generation } = begun
      yield* Effect.onExit(persistence.fold({ ...capture, blockSize, generation }), (exit) =>
        Effect.sync(() => capture.end(Exit.isSuccess(exit)))
      )
      loggedBytes -= folded
      // The log before stays until the next fold: whoever reads it can go on from its end.
      for (const log of yield* persistence.listLogs) {
        if (log < generation - 1) yield* persistence.removeLog(log)
      }
    }),
    { within: options.untilClosed }
  )

  let folding = false
  const considerFold = (): void => {
    const after = options.foldAfter(databaseBytes, database.inBlocks)
    if (folding || loggedBytes < Math.max(after, foldAgainAt)) return
    folding = true
    const idle = Effect.gen(function* () {
      let seen = -1
      while (seen !== lastGroup && loggedBytes < after * urgently) {
        seen = lastGroup
        yield* persistence.pause(idleAfter)
      }
    })
    wakeups.fork(
      Effect.andThen(idle, fold).pipe(
        Effect.catch((error) => {
          foldAgainAt = loggedBytes + after
          return Effect.logWarning("the redo log of a store could not be folded in; it grows until it can", {
            place: persistence.place,
            error: error.message
          })
        }),
        Effect.ensuring(
          Effect.sync(() => {
            folding = false
          })
        )
      )
    )
  }

  const awaitWork = Effect.callback<void>((resume) => {
    if (hurried || between !== Effect.void) return resume(Effect.void)
    wake = () => {
      wake = undefined
      // Whatever else is about to be enqueued in this turn of the event loop goes along.
      resume(Effect.yieldNow)
    }
  })

  const doBetween = Effect.suspend(() => {
    const work = between
    between = Effect.void
    return work
  })

  return {
    enqueue,
    enqueueSoon,
    enqueueLazily: (steps) => {
      lazy.push(...steps)
    },
    hurry: () => {
      if (queue.length > 0) hurry()
    },
    refusal: () => {
      if (broken !== undefined) return broken
      // What is written takes a little more room in the tables and indexes than in the log.
      if (databaseBytes + unsynced * 1.5 < maxBytes - headroom(maxBytes)) return undefined
      return failure({
        _tag: "NoSpace",
        path: `${persistence.place}, which may have ${maxBytes} bytes`
      })
    },
    isFull: () => unsynced >= options.maxUnsynced,
    awaitRoom: Effect.callback<void>((resume) => {
      const done = () => resume(Effect.void)
      if (unsynced < options.maxUnsynced) return done()
      waitingForRoom.push(done)
      hurry()
      return Effect.sync(() => {
        waitingForRoom = waitingForRoom.filter((other) => other !== done)
      })
    }),
    fold,
    run: Effect.forever(Effect.andThen(awaitWork, Effect.andThen(doBetween, group)))
  }
}

/** What is kept free for releases and deletions, which are never refused. */
const headroom = (maxBytes: number): number => Math.min(maxBytes / 16, 16 * 1024 * 1024)

const errorIn = (exit: Exit.Failure<unknown, StoreError>): StoreError => {
  for (const reason of exit.cause.reasons) if (reason._tag === "Fail") return reason.error
  return failure({ _tag: "Closed", detail: "this store was closed" })
}
