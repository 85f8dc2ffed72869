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
import { entailed } from "./endings.ts"
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
  /** The last event that was appended here. */
  readonly last: Event | undefined
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
  /** The same for the last time: nothing is appended any more, and the run is released next. */
  readonly finish: Effect.Effect<void, WriteError>
}

export type Bodies = readonly [Body, ...ReadonlyArray<Body>]

interface Pending {
  readonly expected: number
  readonly batch: Store.Batch
  /** What is to be done about it, once that is known; and who waits to be told. */
  turn: Effect.Effect<number, WriteError> | undefined
  waiter: ((turn: Effect.Effect<number, WriteError>) => void) | undefined
}

const tell = (pending: Pending, turn: Effect.Effect<number, WriteError>): void => {
  pending.turn = turn
  pending.waiter?.(turn)
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
 * Adds events to a journal that stands at `head`: the entries to store, the state and head after them, and the last one.
 */
export const extend = (
  options: Pick<Options, "hash">,
  at: { readonly run: string; readonly epoch: number; readonly time: number },
  state: RunState.RunState | undefined,
  head: Journal.Head,
  plain: ReadonlyArray<Body>,
  sealed: ReadonlyArray<Body>
): {
  readonly batch: Store.Batch
  readonly state: RunState.RunState
  readonly head: Journal.Head
  readonly last: Event | undefined
} => {
  const entries: Array<Journal.Entry> = []
  let last: Event | undefined
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
    last = event
    const folded = RunState.apply(next, event, entry.line.length)
    if (Result.isFailure(folded)) throw folded.failure
    next = folded.success
    prev = options.hash(entry.line)
    entries.push(entry)
  }
  return {
    batch: { entries: entries as unknown as Store.Batch["entries"], head: prev },
    state: next!,
    head: { seq, hash: prev },
    last
  }
}

/** A store that breaks has failed: what it holds now is not known, as after any other error. */
const errorOf = (operation: string, cause: Cause.Cause<WriteError>): Cause.Cause<WriteError> => {
  const defect = cause.reasons.find((reason) => reason._tag === "Die")?.defect
  if (defect === undefined) return cause
  const detail = `the store broke: ${Failures.detailOf(Failures.store({ _tag: "Defect", defect }, []))}`
  return Cause.fail(new StoreError({ operation, reason: { _tag: "Invalid", detail }, cause: defect }))
}

/**
 * A class, since there is one for each run: the methods are made once, and nothing of a run that is over is held on to. (An
 * object with accessors of its own is kept by V8 until the old generation is collected.)
 */
class RunWriter implements Writer {
  readonly lease: Store.Lease
  readonly sync: Effect.Effect<void, WriteError>
  readonly finish: Effect.Effect<void, WriteError>
  state: RunState.RunState
  broken: WriteError | undefined
  last: Event | undefined
  private head: Journal.Head
  private readonly options: Options
  /** Batches that the store has not accepted yet; it has been given the first. */
  private readonly queue: Array<Pending> = []
  /** Sealing takes time: what was asked for first is appended first, and nothing comes between deciding and appending. */
  private sealing: Semaphore.Semaphore | undefined

  constructor(options: Options) {
    this.options = options
    this.lease = options.lease
    this.state = options.state
    this.head = options.head
    this.broken = undefined
    this.last = undefined
    this.sync = Effect.suspend(() => this.durable(false))
    this.finish = Effect.suspend(() => this.durable(true))
  }

  append(...bodies: Bodies): Effect.Effect<number, WriteError> {
    const { codec } = this.options
    return codec === undefined ? Effect.suspend(() => this.plainly(bodies)) : this.sealed(codec, () => bodies)
  }

  appendTo(decide: (state: RunState.RunState) => Bodies | undefined): Effect.Effect<unknown, WriteError> {
    const { codec } = this.options
    return Effect.uninterruptible(
      codec === undefined
        ? Effect.suspend((): Effect.Effect<unknown, WriteError> => {
            const bodies = decide(this.state)
            return bodies === undefined ? Effect.void : this.plainly(bodies)
          })
        : this.sealed(codec, decide)
    )
  }

  private durable(release: boolean): Effect.Effect<void, WriteError> {
    if (this.broken !== undefined) return Effect.fail(this.broken)
    return Effect.catchCause(this.options.store.sync(this.lease, { release }), (cause) =>
      Effect.catch(Effect.failCause(errorOf("sync", cause)), (error) => this.fail(error))
    )
  }

  private fail(error: WriteError): Effect.Effect<never, WriteError> {
    this.broken ??= error
    return Effect.fail(this.broken)
  }

  private plainly(decided: Bodies): Effect.Effect<number, WriteError> {
    const bodies = entailed(this.state, decided)
    return this.enqueue(bodies, bodies)
  }

  private sealed(
    codec: Codec,
    decide: (state: RunState.RunState) => Bodies | undefined
  ): Effect.Effect<number, WriteError> {
    this.sealing ??= Semaphore.makeUnsafe(1)
    return this.sealing
      .withPermit(
        Effect.suspend((): Effect.Effect<Effect.Effect<number, WriteError>, WriteError> => {
          if (this.broken !== undefined) return Effect.fail(this.broken)
          const decided = decide(this.state)
          if (decided === undefined) return Effect.succeed(Effect.succeed(this.head.seq))
          const bodies = entailed(this.state, decided)
          return Effect.forEach(bodies, (body) => seal(codec, this.lease.run, body)).pipe(
            Effect.catch((error) => this.fail(error)),
            // Its place is taken in this step; waiting for the store is done outside.
            Effect.map((stored) => this.enqueue(bodies, stored))
          )
        })
      )
      .pipe(Effect.flatten)
  }

  private enqueue(
    plain: ReadonlyArray<Body>,
    sealed: ReadonlyArray<Body>
  ): Effect.Effect<number, WriteError> {
    if (this.broken !== undefined) return Effect.fail(this.broken)
    const { head, lease, options } = this
    const at = { run: lease.run, epoch: lease.epoch, time: options.clock.currentTimeMillisUnsafe() }
    const extended = extend(options, at, this.state, head, plain, sealed)
    this.state = extended.state
    this.head = extended.head
    this.last = extended.last
    const pending: Pending = { expected: head.seq, batch: extended.batch, turn: undefined, waiter: undefined }
    this.queue.push(pending)
    if (this.queue.length === 1) return this.flush(pending)
    // Those behind it rely on its being handed on.
    return Effect.uninterruptible(
      Effect.callback((resume) => {
        // Its turn may have come while the fiber was on its way here.
        if (pending.turn === undefined) pending.waiter = resume
        else resume(pending.turn)
      })
    )
  }

  /**
   * Hands a batch to the store, and whoever is next its own; the position of its first event. Everybody goes on as soon as
   * its own batch is accepted, in the order of the journal.
   */
  private flush(pending: Pending): Effect.Effect<number, WriteError> {
    const first = pending.expected + 1
    return Effect.matchCauseEffect(this.options.store.append(this.lease, pending.expected, pending.batch), {
      onSuccess: () => {
        this.queue.shift()
        const next = this.queue[0]
        if (next === undefined) return Exit.succeed(first)
        return Effect.withFiber(({ currentDispatcher }) => {
          currentDispatcher.scheduleTask(
            () =>
              tell(
                next,
                Effect.suspend(() => this.flush(next))
              ),
            0
          )
          return Exit.succeed(first)
        })
      },
      onFailure: (cause) => {
        const failed = errorOf("append", cause)
        for (const each of this.queue.splice(0)) tell(each, Effect.failCause(failed))
        return Effect.catch(Effect.failCause(failed), (error) => this.fail(error))
      }
    })
  }
}

export const make = (options: Options): Writer => new RunWriter(options)
