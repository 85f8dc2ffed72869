/**
 * Appending to the journal of a run that this process owns.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { Codec, CodecError } from "../../Codec.ts"
import type { Body, Event, Kind } from "../../Event.ts"
import * as Journal from "../../Journal.ts"
import * as RunState from "../../RunState.ts"
import { StoreError } from "../../Store.ts"
import type * as Store from "../../Store.ts"
import { isEvent } from "../isEvent.ts"
import { announced } from "./endings.ts"
import * as Failures from "./failure.ts"
import { seal } from "./reader.ts"

export type WriteError = Store.LeaseLost | Store.SeqConflict | Store.StoreError | CodecError

/**
 * The one place where a run's events are made. Events get their seq, time and hash in the step in which they are
 * folded, so the state never disagrees with what was appended; batches reach the store one at a time, in that order.
 *
 * After an error nothing is appended any more: what is in memory may be ahead of what is durable.
 */
export interface Writer {
  readonly lease: Store.Lease
  /** The state after the last appended event, durable or not. */
  readonly state: RunState.RunState
  readonly broken: WriteError | undefined
  /**
   * Appends events that belong together. Succeeds when the store has accepted them, with the first one's position. It is
   * to be used where nothing interrupts.
   */
  readonly append: (...bodies: Bodies) => Effect.Effect<number, WriteError>
  /**
   * The same for events that follow from the state: `decide` sees the state that they are appended to, whatever else is
   * being appended. It may be used anywhere.
   */
  readonly appendTo: (
    decide: (state: RunState.RunState) => Bodies | undefined
  ) => Effect.Effect<unknown, WriteError>
  /** Waits until everything appended is durable and was written under a valid lease. */
  readonly sync: Effect.Effect<void, WriteError>
}

export type Bodies = readonly [Body, ...ReadonlyArray<Body>]

interface Pending {
  readonly expected: number
  readonly batch: Store.Batch
  accepted: ((exit: Exit.Exit<void, WriteError>) => void) | undefined
}

export interface Options {
  readonly store: Store.Store["Service"]
  readonly codec: Codec | undefined
  readonly hash: (text: string) => string
  readonly clock: Clock.Clock
  readonly lease: Store.Lease
  readonly state: RunState.RunState
  readonly head: Journal.Head
}

/**
 * Kinds whose events the engine makes of nothing but what it has checked. They are most of all events: to look at each
 * one would cost half as much as to write it.
 */
const checked: ReadonlySet<Kind> = new Set([
  "callCompleted",
  "callStarted",
  "completed",
  "joined",
  "snapshot",
  "snapshotPart",
  "visited"
])

/** Nothing is written that could not be read again: `null` in place of a number that JSON does not have, for one. */
const assertReadable = ({ event, line }: Journal.Entry): void => {
  if (checked.has(event.kind) || isEvent(event)) return
  const read = Journal.parse(line)
  if (Result.isSuccess(read)) return
  const { kind, run, seq } = event
  throw new RunState.IllegalEvent({
    run,
    seq,
    kind,
    detail: `nobody could read it again: ${read.failure.detail}`
  })
}

/**
 * Adds events to a journal that stands at `head`: the entries to store, and the state and head after them.
 */
export const extend = (
  options: Pick<Options, "hash">,
  at: { readonly run: string; readonly epoch: number; readonly time: number },
  state: RunState.RunState | undefined,
  head: Journal.Head,
  plain: ReadonlyArray<Body>,
  sealed: ReadonlyArray<Body>
): { readonly batch: Store.Batch; readonly state: RunState.RunState; readonly head: Journal.Head } => {
  const entries: Array<Journal.Entry> = []
  let { hash: prev, seq } = head
  let next = state
  for (let i = 0; i < plain.length; i++) {
    seq += 1
    // The clock may go back; a journal's time does not.
    const time = Math.max(at.time, next?.time ?? 0)
    const header = { run: at.run, seq, epoch: at.epoch, time, prev }
    const entry = Journal.entry(header, sealed[i]!)
    assertReadable(entry)
    const event: Event = plain[i] === sealed[i] ? entry.event : ({ ...entry.event, ...plain[i]! } as Event)
    const folded = RunState.apply(next, event, entry.line.length)
    if (Result.isFailure(folded)) throw folded.failure
    next = folded.success
    prev = options.hash(entry.line)
    entries.push(entry)
  }
  return {
    batch: { entries: entries as unknown as Store.Batch["entries"], head: prev },
    state: next!,
    head: { seq, hash: prev }
  }
}

/** A store that breaks has failed: what it holds now is not known, as after any other error. */
const errorOf = (operation: string, cause: Cause.Cause<WriteError>): Cause.Cause<WriteError> => {
  const defect = cause.reasons.find((reason) => reason._tag === "Die")?.defect
  if (defect === undefined) return cause
  const detail = `the store broke: ${Failures.detailOf(Failures.store({ _tag: "Defect", defect }, []))}`
  return Cause.fail(new StoreError({ operation, reason: { _tag: "Invalid", detail }, cause: defect }))
}

export const make = (options: Options): Writer => {
  const { clock, codec, lease, store } = options
  let state = options.state
  let head = options.head
  let broken: WriteError | undefined
  let flushing = false
  const queue: Array<Pending> = []

  const fail = (error: WriteError): Effect.Effect<never, WriteError> => {
    broken ??= error
    return Effect.fail(broken)
  }

  const settle = (pending: Pending, exit: Exit.Exit<void, WriteError>): void => pending.accepted?.(exit)

  /** Hands the queue to the store, one batch after the other. */
  const flush: Effect.Effect<void, WriteError> = Effect.suspend(() => {
    const pending = queue[0]
    if (pending === undefined) {
      flushing = false
      return Effect.void
    }
    return Effect.matchCauseEffect(store.append(lease, pending.expected, pending.batch), {
      onSuccess: () => {
        queue.shift()
        settle(pending, Exit.void)
        return queue.length === 0 ? ((flushing = false), Effect.void) : flush
      },
      onFailure: (cause) => {
        flushing = false
        const waiting = queue.splice(0)
        const failed = errorOf("append", cause)
        for (const each of waiting) settle(each, Exit.failCause(failed))
        return Effect.catch(Effect.failCause(failed), fail)
      }
    })
  })

  const plainly = (decided: Bodies): Effect.Effect<number, WriteError> => {
    const bodies = announced(state, decided)
    return enqueue(bodies, bodies)
  }

  const enqueue = (
    plain: ReadonlyArray<Body>,
    sealed: ReadonlyArray<Body>
  ): Effect.Effect<number, WriteError> => {
    if (broken !== undefined) return Effect.fail(broken)
    const expected = head.seq
    const time = clock.currentTimeMillisUnsafe()
    const extended = extend(options, { run: lease.run, epoch: lease.epoch, time }, state, head, plain, sealed)
    state = extended.state
    head = extended.head
    const pending: Pending = { expected, batch: extended.batch, accepted: undefined }
    queue.push(pending)
    const first = expected + 1
    if (!flushing) {
      flushing = true
      return Effect.as(flush, first)
    }
    return Effect.callback<number, WriteError>((resume) => {
      pending.accepted = (exit) =>
        resume(Exit.isSuccess(exit) ? Effect.succeed(first) : Effect.failCause(exit.cause))
    })
  }

  // Sealing takes time: what was asked for first is appended first, and nothing comes between deciding and appending.
  const sealing = Semaphore.makeUnsafe(1)

  const sealed = (
    by: Codec,
    decide: (state: RunState.RunState) => Bodies | undefined
  ): Effect.Effect<number, WriteError> =>
    sealing
      .withPermit(
        Effect.suspend((): Effect.Effect<Effect.Effect<number, WriteError>, WriteError> => {
          if (broken !== undefined) return Effect.fail(broken)
          const decided = decide(state)
          if (decided === undefined) return Effect.succeed(Effect.succeed(head.seq))
          const bodies = announced(state, decided)
          return Effect.forEach(bodies, (body) => seal(by, lease.run, body)).pipe(
            Effect.catch(fail),
            // Its place is taken in this step; waiting for the store is done outside.
            Effect.map((stored) => enqueue(bodies, stored))
          )
        })
      )
      .pipe(Effect.flatten)

  return {
    lease,
    get state() {
      return state
    },
    get broken() {
      return broken
    },
    append: (...bodies) =>
      codec === undefined ? Effect.suspend(() => plainly(bodies)) : sealed(codec, () => bodies),
    appendTo: (decide) =>
      Effect.uninterruptible(
        codec === undefined
          ? Effect.suspend((): Effect.Effect<unknown, WriteError> => {
              const bodies = decide(state)
              return bodies === undefined ? Effect.void : plainly(bodies)
            })
          : sealed(codec, decide)
      ),
    sync: Effect.suspend(() =>
      broken === undefined
        ? Effect.catchCause(store.sync(lease), (cause) =>
            Effect.catch(Effect.failCause(errorOf("sync", cause)), fail)
          )
        : Effect.fail(broken)
    )
  }
}
