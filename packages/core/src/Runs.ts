/**
 * The client: starts runs, waits for them, steers them, looks into them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Checkpoint, HistoryOptions } from "./Checkpoint.ts"
import type { CodecError } from "./Codec.ts"
import type { Limits } from "./Command.ts"
import type { Durability, Kind, Of } from "./Event.ts"
import type * as Flow from "./Flow.ts"
import type { Client } from "./internal/client/client.ts"
import { make } from "./internal/client/service.ts"
import type * as History from "./internal/engine/history.ts"
import {
  AwaitTimeout,
  CommandRefused,
  InvalidCheckpoint,
  InvalidValue,
  RunCancelled,
  RunConflict,
  RunFailed
} from "./RunError.ts"
import type { RunInfo, RunStatus } from "./RunInfo.ts"
import type * as RunState from "./RunState.ts"
import type { Store } from "./Store.ts"
import type * as StoreModule from "./Store.ts"

export { AwaitTimeout, CommandRefused, InvalidCheckpoint, InvalidValue, RunCancelled, RunConflict, RunFailed }
export type { Checkpoint, HistoryOptions, Limits }
export {
  /**
   * A client; with a `starter`, runs of the flows it has are executed in this process from the start.
   *
   * @internal
   */
  make
}
export * from "./internal/client/blame.ts"
export * from "./internal/client/diff.ts"
export * from "./internal/client/doubts.ts"
export * from "./internal/client/following.ts"
export * from "./internal/client/notes.ts"
export * from "./internal/client/outputs.ts"
export * from "./internal/client/replaying.ts"
export * from "./internal/client/verifying.ts"
export {
  /**
   * Says of all unfinished runs of a flow what becomes of them: see `Compatibility`.
   *
   * @category checking
   * @since 0.1.0
   */
  checkCompatibility
} from "./Compatibility.ts"

/**
 * Names a run, and the flow it is a run of: that is where the types of its output and errors come from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run<F extends Flow.Any> {
  readonly id: string
  readonly flow: F
}

/**
 * A run by its id, or with its flow.
 *
 * @category models
 * @since 0.1.0
 */
export type RunLike = string | Run<Flow.Any>

/**
 * Names a run that was started earlier, perhaps by another process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ref = <F extends Flow.Any>(flow: F, id: string): Run<F> => ({ id, flow })

/**
 * A run that was forked, and from where.
 *
 * @category models
 * @since 0.1.0
 */
export interface Forked<F extends Flow.Any> extends Run<F> {
  readonly from: { readonly run: string; readonly seq: number }
}

/**
 * How to start a run.
 *
 * - `id`: the run's id. The same id with the same input joins the run that is there
 * - `idempotencyKey`: the same for a key of yours, from which the id is derived; `id` and this exclude each other
 * - `session`, `actor`, `correlation`: who and what the run belongs to; in the journal and searchable
 * - `tags`, `attributes`: to find it by
 * - `durability`, `maxSteps`, `timeout`: instead of the flow's
 * - `budgets`: limits of budgets, instead of the flow's
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions {
  readonly id?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly session?: string | undefined
  readonly actor?: string | undefined
  readonly correlation?: string | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly attributes?: { readonly [name: string]: string } | undefined
  readonly durability?: Durability | undefined
  readonly maxSteps?: number | undefined
  readonly budgets?: { readonly [budget: string]: number } | undefined
  readonly timeout?: Duration.Input | undefined
}

/**
 * Which events of a run to read.
 *
 * - `from`, `to`: positions, both included; without `to` those that come are given, too, until the run has ended. A run that
 *   ends before it comes to `from` gives none; what is no position is a `StoreError` with the reason `Invalid`
 * - `kinds`: only these kinds
 * - `order`: with `newest` those that are there, the last one first
 *
 * @category models
 * @since 0.1.0
 */
export type EventsOptions<K extends Kind> = History.EventsOptions<K>

/**
 * @category models
 * @since 0.1.0
 */
export interface CommandOptions {
  /** Who asks for it, for which session, and on which occasion: stands in the journal, and is part of its hash chain. */
  readonly actor?: string | undefined
  readonly session?: string | undefined
  readonly correlation?: string | undefined
  /**
   * The command's own id: sending it again under the same id changes nothing. Another command under it is refused: its
   * reason is `idTaken`.
   */
  readonly commandId?: string | undefined
}

/**
 * How to send a command. It counts as done when it is `accepted`: durable in the run's inbox (the default); or when it is
 * `applied`: when the run's journal says what came of it, and then a refusal is told, too. If nobody has the run, the client
 * itself writes that, unless it cannot check what the command brings (see `settle` and `signal`): then a worker has to.
 *
 * @category models
 * @since 0.1.0
 */
export interface SendOptions extends CommandOptions {
  readonly until?: "accepted" | "applied" | undefined
}

/**
 * Why reading can fail.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReadError = StoreModule.RunNotFound | StoreModule.StoreError | CodecError

/**
 * Why waiting for a run's result can fail, besides the errors its flow declares.
 *
 * @category errors
 * @since 0.1.0
 */
export type ResultError = ReadError | RunFailed | RunCancelled

/**
 * The status of a run that has ended.
 *
 * @category models
 * @since 0.1.0
 */
export type HowEnded = "completed" | "failed" | "cancelled"

/**
 * What became of a call that was in doubt: it succeeded with this output (encoded), it failed, or it is to be carried out
 * (again).
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement = "failed" | "again" | { readonly output: Schema.Json }

/**
 * How to retry. `settle` says of calls that are in doubt what became of them, by their names: those of which it does not
 * stay in doubt.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions extends CommandOptions {
  readonly settle?: { readonly [call: string]: Settlement } | undefined
}

/** What a signal to a run carries: what its flow says, if it is known here. */
type SignalPayload<R extends RunLike, Name extends string> =
  R extends Run<infer F> ? Flow.SignalPayload<F, Name> : unknown

/** Edits of a run's state: the whole new content of some channels. */
type Edits<F extends Flow.Any> = Partial<Flow.State<F>>

/**
 * The client of a store's runs. It needs no worker in this process: runs are executed wherever one is.
 *
 * @category services
 * @since 0.1.0
 */
export class Runs extends Context.Service<
  Runs,
  {
    /**
     * Starts a run, durably, and does not wait for it.
     *
     * If there is a run of this `id` already, of the same flow and with the same input, it is that one. Inputs are compared
     * as they are stored: the keys of an object may be in any order, but what a schema stores as a list, such as a `Map` or
     * a `Set`, has to be in the same order. Another one is a `RunConflict`.
     */
    readonly start: <F extends Flow.Any>(
      flow: F,
      input: Flow.Input<F>,
      options?: StartOptions
    ) => Effect.Effect<Run<F>, RunConflict | InvalidValue | StoreModule.StoreError | CodecError>

    /** Starts a run and waits for its output. */
    readonly execute: <F extends Flow.Any>(
      flow: F,
      input: Flow.Input<F>,
      options?: StartOptions
    ) => Effect.Effect<Flow.Output<F>, Flow.Error<F> | RunConflict | InvalidValue | ResultError>

    /**
     * Waits for a run to end: succeeds with its output, fails with the typed errors of its flow, with `RunFailed` or
     * with `RunCancelled`. With a timeout it stops waiting then; the run goes on. A run of another flow than it is named
     * with is an `InvalidValue`.
     */
    readonly await: {
      <F extends Flow.Any>(
        run: Run<F>
      ): Effect.Effect<Flow.Output<F>, Flow.Error<F> | InvalidValue | ResultError>
      <F extends Flow.Any>(
        run: Run<F>,
        options: { readonly timeout: Duration.Input }
      ): Effect.Effect<Flow.Output<F>, Flow.Error<F> | InvalidValue | ResultError | AwaitTimeout>
    }

    /** The run's row in the index: status, node, times, error, and more. */
    readonly get: (run: RunLike) => Effect.Effect<RunInfo, StoreModule.RunNotFound | StoreModule.StoreError>

    /**
     * Lists runs by status, flow, session, parent, tag, attributes, bookmark, time and wait, page by page. A `limit` that is
     * no whole number from 0 (or `Number.POSITIVE_INFINITY`) is `Invalid`.
     */
    readonly list: (query?: StoreModule.ListQuery) => Effect.Effect<StoreModule.Page, StoreModule.StoreError>

    /** The checkpoints of a run, by node, kind, branch and time, page by page. */
    readonly history: (
      run: RunLike,
      options?: HistoryOptions
    ) => Effect.Effect<ReadonlyArray<Checkpoint>, ReadError>

    /** The run as it was after the event at `seq`: its last one, unless given. */
    readonly stateAt: (
      run: RunLike,
      seq?: number
    ) => Effect.Effect<RunState.RunState, ReadError | InvalidCheckpoint>

    /** The content of the channels as handlers see it, after the event at `seq`: the last one, unless given. */
    readonly state: <F extends Flow.Any>(
      run: Run<F>,
      seq?: number
    ) => Effect.Effect<Flow.State<F>, ReadError | InvalidCheckpoint | InvalidValue>

    /**
     * The events of a run from `from` on: those that are there, then, until the run has ended, those that come. None is
     * given before it is durable.
     */
    readonly events: <const K extends Kind = Kind>(
      run: RunLike,
      options?: EventsOptions<K>
    ) => Stream.Stream<Of<K>, ReadError>

    /**
     * Lets a failed run go on from the visit that failed, with edits of its state and other limits if there are any, and
     * with what became of calls that are in doubt. An at-most-once call of which nobody says so stays in doubt and is not
     * made again.
     *
     * When it answers the failure is over, durably: whoever waits for the run from then on waits for how it ends next.
     * That takes no worker: if nobody has the run, the client itself writes that it goes on. A run that did not fail, or
     * that somebody else was faster to retry, is refused; under a `commandId` that the run has answered before, nothing
     * happens.
     *
     * A run that has undone what it did does not go on. If it could not undo all of it (`RunInfo.undone`), it tries that
     * again, also if it was cancelled.
     */
    readonly retry: {
      (run: RunLike, options?: RetryOptions): Effect.Effect<void, ReadError | CommandRefused>
      (
        run: RunLike,
        options: RetryOptions & { readonly limits: Limits }
      ): Effect.Effect<void, ReadError | CommandRefused | InvalidValue>
      <F extends Flow.Any>(
        run: Run<F>,
        options: RetryOptions & { readonly edits: Edits<F>; readonly limits?: Limits | undefined }
      ): Effect.Effect<void, ReadError | CommandRefused | InvalidValue>
    }

    /** Changes limits of a run that has not ended: at its next checkpoint, if it is executed now. */
    readonly setLimits: (
      run: RunLike,
      limits: Limits,
      options?: SendOptions
    ) => Effect.Effect<void, ReadError | CommandRefused | InvalidValue>

    /** Stops a run at its next checkpoint. */
    readonly pause: (
      run: RunLike,
      options?: SendOptions & { readonly note?: string | undefined }
    ) => Effect.Effect<void, ReadError | CommandRefused>

    /**
     * Lets a paused run go on. With `settle` what became of its calls that are in doubt is said before that, by their
     * names, as `Runs.settle` does: one command each.
     */
    readonly resume: (
      run: RunLike,
      options?: SendOptions & { readonly settle?: { readonly [call: string]: Settlement } | undefined }
    ) => Effect.Effect<void, ReadError | CommandRefused>

    /**
     * Cancels a run and waits until it has ended; the answer is how. A run that had ended already is not changed.
     *
     * That takes a worker, and what the run has to undo takes its time: with a `timeout` it stops waiting then, while the
     * request stands. With `until: "accepted"` it waits only until the request is durable, and answers with the status
     * that the run had then.
     */
    readonly cancel: {
      (
        run: RunLike,
        reason: string,
        options?: CommandOptions & { readonly until?: "applied" | undefined }
      ): Effect.Effect<HowEnded, ReadError | CommandRefused>
      (
        run: RunLike,
        reason: string,
        options: CommandOptions & { readonly until: "accepted" }
      ): Effect.Effect<RunStatus, ReadError | CommandRefused>
      (
        run: RunLike,
        reason: string,
        options: CommandOptions & { readonly timeout: Duration.Input }
      ): Effect.Effect<HowEnded, ReadError | CommandRefused | AwaitTimeout>
    }

    /**
     * Sends a signal: it ends the wait for this name (and `key`, if the wait has one) that the run opened first, or is kept
     * if the flow names it among its `signals`. It succeeds when the signal is in the run's inbox, durably.
     *
     * A signal that nothing waits for and that would not be kept is refused, and so is one whose payload does not fit. The
     * payload is what the flow's schema for the signal says, and is encoded by it, if the run is named together with its
     * flow; else it is JSON, or `undefined` where the schema is that of nothing. Sent by the run's id alone, or with
     * another version of its flow, a signal that the flow declares is checked by a worker: until it is `applied` takes one.
     */
    readonly signal: <const R extends RunLike, const Name extends string>(
      run: R,
      name: Name,
      payload: SignalPayload<R, Name>,
      options?: SendOptions & { readonly key?: string | undefined }
    ) => Effect.Effect<void, ReadError | CommandRefused | InvalidValue>

    /** Sends a signal to all unfinished runs of a flow, a session or a correlation id that it is meant for: their ids. */
    readonly broadcast: (
      to: Pick<StoreModule.ListQuery, "flow" | "session" | "correlation" | "tag">,
      name: string,
      payload: unknown,
      options?: CommandOptions & { readonly key?: string | undefined }
    ) => Effect.Effect<ReadonlyArray<string>, ReadError | InvalidValue>

    /**
     * Answers a question that a run asked, by the question's name, or by the wait's own if several are called so. The
     * answer is JSON, as the question's schema encodes it; one that does not fit is refused.
     */
    readonly answer: (
      run: RunLike,
      wait: string,
      value: unknown,
      options?: SendOptions
    ) => Effect.Effect<void, ReadError | CommandRefused | InvalidValue>

    /** Says what came of a job that a run waits for. */
    readonly finishJob: (
      run: RunLike,
      job: string,
      as: { readonly value: unknown } | { readonly failure: string },
      options?: SendOptions
    ) => Effect.Effect<void, ReadError | CommandRefused | InvalidValue>

    /**
     * Decides what became of a call that is in doubt in a paused run, which is then resumed with `resume`. In a failed
     * run that is decided with `retry`.
     *
     * Whether an output fits the tool's schema is known to workers only: until it is `applied` takes one.
     */
    readonly settle: (
      run: RunLike,
      call: string,
      as: Settlement,
      options?: SendOptions
    ) => Effect.Effect<void, ReadError | CommandRefused>

    /**
     * Starts a new run from a checkpoint of another, with edits of its state if there are any. Calls that had finished
     * by then are served from the journal; they are the other run's, and only that one ever undoes them.
     */
    readonly fork: <F extends Flow.Any>(
      run: Run<F>,
      seq: number,
      options?: Pick<StartOptions, "id" | "session" | "actor" | "correlation" | "tags"> & {
        readonly edits?: Edits<F> | undefined
      }
    ) => Effect.Effect<Forked<F>, ReadError | InvalidCheckpoint | InvalidValue | RunConflict>

    /** Deletes a run that has ended, that no other run was forked from, and whose end is known to whoever waits for it. */
    readonly delete: (
      run: RunLike
    ) => Effect.Effect<void, StoreModule.RunNotFound | StoreModule.RunInUse | StoreModule.StoreError>

    /** @internal What the functions of this module work with. */
    readonly client: Client
  }
>()("@waymark/core/Runs") {}

/**
 * The client alone, for processes that execute nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Runs, never, Store> = Layer.effect(Runs, make({ starter: undefined }))
