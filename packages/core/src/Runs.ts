/**
 * The client: starts runs, waits for them, steers them, looks into them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Checkpoint, HistoryOptions } from "./Checkpoint.ts"
import { Codec } from "./Codec.ts"
import type { CodecError } from "./Codec.ts"
import type { Limits, Request } from "./Command.ts"
import type { Body, Durability, Event, Kind, Of } from "./Event.ts"
import { requiresCodec } from "./Flow.ts"
import type * as Flow from "./Flow.ts"
import { Hasher } from "./Hasher.ts"
import { IdGenerator } from "./IdGenerator.ts"
import { idOf } from "./internal/client/client.ts"
import type { Client } from "./internal/client/client.ts"
import { apply, refuse, send, sendIfWanted, submit } from "./internal/client/commanding.ts"
import * as Signals from "./internal/client/signals.ts"
import { makeCodec } from "./internal/definition/codec.ts"
import { canonical } from "./internal/engine/canonical.ts"
import * as Creating from "./internal/engine/creating.ts"
import * as Failures from "./internal/engine/failure.ts"
import * as History from "./internal/engine/history.ts"
import * as LimitsOf from "./internal/engine/limits.ts"
import type { Starter } from "./internal/engine/pool.ts"
import * as Reader from "./internal/engine/reader.ts"
import * as Replay from "./internal/engine/replay.ts"
import * as Retrying from "./internal/engine/retrying.ts"
import * as Told from "./internal/engine/told.ts"
import * as TypedState from "./internal/engine/typedState.ts"
import * as Versions from "./internal/engine/versions.ts"
import { hasCompensated } from "./internal/compensation.ts"
import { isThrough, openCount } from "./internal/visits.ts"
import type * as Journal from "./Journal.ts"
import {
  AwaitTimeout,
  CommandRefused,
  InvalidCheckpoint,
  InvalidValue,
  RunCancelled,
  RunConflict,
  RunFailed
} from "./RunError.ts"
import type * as Run_ from "./Run.ts"
import { isTerminal } from "./RunInfo.ts"
import type { RunInfo, RunStatus } from "./RunInfo.ts"
import * as RunState from "./RunState.ts"
import { RunInUse, Store, StoreError } from "./Store.ts"
import type * as StoreModule from "./Store.ts"

export { AwaitTimeout, CommandRefused, InvalidCheckpoint, InvalidValue, RunCancelled, RunConflict, RunFailed }
export type { Checkpoint, HistoryOptions, Limits }
export * from "./internal/client/blame.ts"
export * from "./internal/client/diff.ts"
export * from "./internal/client/following.ts"
export * from "./internal/client/notes.ts"
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
 * - `from`, `to`: positions, both included; without `to` those that come are given, too, until the run has ended
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
   * The command's own id: sending it again under the same id changes nothing.
   */
  readonly commandId?: string | undefined
}

/**
 * How to send a command. It counts as done when it is `accepted`: durable in the run's inbox (the default); or when it is
 * `applied`: when the run's journal says what came of it, and then a refusal is told, too.
 *
 * @category models
 * @since 0.1.0
 */
export interface SendOptions extends CommandOptions {
  readonly until?: "accepted" | "applied" | undefined
}

/**
 * What executing a run again came to: the visits that were executed, and the first thing that was not as recorded.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplayReport = Replay.Report

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
    /** Starts a run, durably, and does not wait for it. */
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
     * with `RunCancelled`. With a timeout it stops waiting then; the run goes on.
     */
    readonly await: {
      <F extends Flow.Any>(run: Run<F>): Effect.Effect<Flow.Output<F>, Flow.Error<F> | ResultError>
      <F extends Flow.Any>(
        run: Run<F>,
        options: { readonly timeout: Duration.Input }
      ): Effect.Effect<Flow.Output<F>, Flow.Error<F> | ResultError | AwaitTimeout>
    }

    /** The run's row in the index: status, node, times, error, and more. */
    readonly get: (run: RunLike) => Effect.Effect<RunInfo, StoreModule.RunNotFound | StoreModule.StoreError>

    /** Lists runs by status, flow, session, parent, tag, attributes, bookmark, time and wait, page by page. */
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

    /** Lets a paused run go on. */
    readonly resume: (run: RunLike, options?: SendOptions) => Effect.Effect<void, ReadError | CommandRefused>

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
      ): Effect.Effect<HowEnded, ReadError>
      (
        run: RunLike,
        reason: string,
        options: CommandOptions & { readonly until: "accepted" }
      ): Effect.Effect<RunStatus, ReadError>
      (
        run: RunLike,
        reason: string,
        options: CommandOptions & { readonly timeout: Duration.Input }
      ): Effect.Effect<HowEnded, ReadError | AwaitTimeout>
    }

    /**
     * Sends a signal: it ends the wait for this name (and `key`, if the wait has one) that the run opened first, or is kept
     * if the flow names it among its `signals`. It succeeds when the signal is in the run's inbox, durably.
     *
     * A signal that nothing waits for and that would not be kept is refused, and so is one whose payload does not fit. The
     * payload is encoded by the flow's schema for the signal, if the run is named together with its flow; else it is JSON.
     */
    readonly signal: (
      run: RunLike,
      name: string,
      payload: unknown,
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

    /**
     * Executes the handlers of a run again, against the recorded results of its tools: no tool is called and nothing is
     * written. It stops at the first thing that is not as recorded.
     */
    readonly replay: <F extends Flow.Any>(
      run: Run<F>
    ) => Effect.Effect<ReplayReport, ReadError | InvalidValue, Flow.Handlers<F["id"]>>

    /**
     * Checks the chain of hashes of a run from its first entry (or from `from`) to its last, and says what was
     * verified. Whether the end is missing can be told only with the hash of the head from elsewhere: `expect`.
     */
    readonly verify: (
      run: RunLike,
      options?: { readonly from?: number | undefined; readonly expect?: Journal.Head | undefined }
    ) => Effect.Effect<Journal.Verified, Journal.ChainBroken | ReadError | InvalidCheckpoint>

    /** Deletes a run that has ended, that no other run was forked from, and whose end is known to whoever waits for it. */
    readonly delete: (
      run: RunLike
    ) => Effect.Effect<void, StoreModule.RunNotFound | StoreModule.RunInUse | StoreModule.StoreError>

    /** @internal What the functions of this module work with. */
    readonly client: Client
  }
>()("@waymark/core/Runs") {}

const settlementOf = (as: Settlement) =>
  as === "failed"
    ? { failure: true as const }
    : as === "again"
      ? { again: true as const }
      : { output: as.output }

const flowOf = (run: RunLike): Flow.Any | undefined => (typeof run === "string" ? undefined : run.flow)

const ending = (status: RunStatus): string | undefined =>
  isTerminal(status) || status === "cancelling" ? "it has ended or is about to" : undefined

const refused = (run: string, command: string, status: RunStatus, detail: string): CommandRefused =>
  new CommandRefused({
    run,
    command,
    status,
    reason: isTerminal(status) ? "ended" : status === "cancelling" ? "ending" : "status",
    detail
  })

const invalid = (what: string, exit: Exit.Failure<unknown, unknown>): InvalidValue => {
  const reason = exit.cause.reasons[0]
  return new InvalidValue({
    what,
    detail: reason?._tag === "Fail" ? (reason.error as Error).message : "unknown"
  })
}

const invalidChannel = ({ message, what }: TypedState.Mismatch): InvalidValue =>
  new InvalidValue({ what, detail: message })

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const undoneIn = ({ undone }: Of<"failed"> | Of<"cancelled">) =>
  undone === undefined || undone.length === 0 ? undefined : { undone }
/** Why a run could not be created that was accepted. */
const undone = (error: StoreModule.LeaseLost | StoreModule.StoreError): StoreModule.StoreError =>
  error._tag === "StoreError"
    ? error
    : new StoreError({
        operation: "create",
        reason: {
          _tag: "Busy",
          detail: `run ${JSON.stringify(error.run)} was not created, since this process was taken for dead; try again`
        }
      })

const emptyId = () => new InvalidValue({ what: "the id", detail: "it is empty" })

const secrets = new WeakMap<Flow.Any, boolean>()

/**
 * A client; with a `starter`, runs of the flows it has are executed in this process from the start.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly starter: Starter | undefined
}): Effect.fn.Return<Runs["Service"], never, Store> {
  const store = yield* Store
  const codec = yield* Codec
  const { hash } = yield* Hasher
  const ids = yield* IdGenerator
  const clock = yield* Clock.Clock
  const { starter } = options
  const client: Client = { store, codec, hash, clock, ids }
  const journals: Reader.Journals = client
  const creator: Creating.Creator = { store, codec, hash, clock, starter }

  /** What a flow stores in plain text must not be secret. */
  const checkSecrets = (flow: Flow.Any): Effect.Effect<void, InvalidValue> => {
    if (codec?.encrypts === true) return Effect.void
    let secret = secrets.get(flow)
    if (secret === undefined) secrets.set(flow, (secret = requiresCodec(flow)))
    const detail =
      "its values would be stored in plain text, and it has Redacted ones: provide a Codec that encrypts"
    return secret ? Effect.fail(new InvalidValue({ what: `the flow ${flow.id}`, detail })) : Effect.void
  }

  const checkLimits = (
    limits: Parameters<typeof LimitsOf.problemOf>[0],
    flow: Flow.Any | undefined
  ): Effect.Effect<void, InvalidValue> => {
    const detail = LimitsOf.problemOf(limits, flow)
    return detail === undefined ? Effect.void : Effect.fail(new InvalidValue({ what: "the limits", detail }))
  }

  /** Whether the run that is there is the one that was to be started. */
  const join = Effect.fnUntraced(function* (run: string, flow: Flow.Any, input: Schema.Json) {
    const conflict = (detail: string) => Effect.fail(new RunConflict({ run, detail }))
    const first = yield* Reader.eventAt(journals, run, 0)
    if (first.kind !== "created") return yield* conflict("it is a fork")
    if (first.flow !== flow.id) return yield* conflict(`it is a run of flow ${JSON.stringify(first.flow)}`)
    if (canonical(first.input) !== canonical(input))
      return yield* conflict("it was started with another input")
    return undefined
  })

  /** Starts a run, or joins the one that is there: then nothing was created. */
  const begin = Effect.fnUntraced(function* <F extends Flow.Any>(
    flow: F,
    input: Flow.Input<F>,
    startOptions: StartOptions = {},
    ahead = false
  ) {
    yield* checkSecrets(flow)
    const encoded = makeCodec(flow.input).encode(input)
    if (Exit.isFailure(encoded)) return yield* invalid(`the input of flow ${flow.id}`, encoded)
    const initial = TypedState.initial(flow.state)
    if (Result.isFailure(initial)) return yield* invalidChannel(initial.failure)
    const { idempotencyKey } = startOptions
    if (startOptions.id !== undefined && idempotencyKey !== undefined) {
      return yield* new InvalidValue({
        what: "the options",
        detail: "id and idempotencyKey exclude each other"
      })
    }
    if (startOptions.id === "") return yield* emptyId()
    yield* checkLimits(startOptions, flow)
    const id =
      startOptions.id ??
      (idempotencyKey === undefined
        ? yield* ids.next
        : `${flow.id}-${hash(JSON.stringify([flow.id, idempotencyKey])).slice(0, 32)}`)
    const body = Creating.bodyOf(flow, encoded.value, initial.success, startOptions)
    if (body.timeout !== undefined && !(body.timeout > 0)) {
      return yield* new InvalidValue({ what: "the timeout", detail: "it must be longer than nothing" })
    }
    yield* Versions.keepShape(store, flow)
    const joined = join(id, flow, encoded.value)
    // What is promised to be durable at its start is not run ahead of.
    const isAhead = ahead && body.durability === "pipelined"
    const created = yield* Creating.create(creator, id, body, undefined, { ahead: isAhead }).pipe(
      Effect.catchTag("RunExists", () =>
        Effect.catchTag(joined, "RunNotFound", () =>
          Effect.fail(new RunConflict({ run: id, detail: "it is being deleted" }))
        )
      )
    )
    return { run: ref(flow, id), created, joined }
  })

  /** The answer to a run that has ended with this event. */
  const resultOf = Effect.fnUntraced(function* <F extends Flow.Any>(run: Run<F>, event: Event) {
    switch (event.kind) {
      case "completed": {
        const output = makeCodec(run.flow.output).decode(event.output)
        if (Exit.isSuccess(output)) return output.value as Flow.Output<F>
        const { detail, what } = invalid("the output", output)
        return yield* new RunFailed({ run: run.id, failure: Failures.encoding(what, detail) })
      }
      case "failed": {
        if (event.error.kind === "error") {
          const error = makeCodec(run.flow.error).decode(event.error.error)
          if (Exit.isSuccess(error)) return yield* Effect.fail(error.value as Flow.Error<F>)
        }
        const node = event.node === undefined ? undefined : { node: event.node }
        return yield* new RunFailed({ run: run.id, failure: event.error, ...node, ...undoneIn(event) })
      }
      case "cancelled":
        return yield* new RunCancelled({ run: run.id, reason: event.reason, ...undoneIn(event) })
      default:
        return yield* Effect.die(new Error(`run ${run.id} ended with a ${event.kind} event`))
    }
  })

  /** The row of the run as soon as it has ended. */
  const ended = (run: string): Effect.Effect<RunInfo, StoreModule.RunNotFound | StoreModule.StoreError> =>
    Effect.flatMap(store.get(run), ({ info }) =>
      isTerminal(info.status)
        ? Effect.succeed(info)
        : Effect.andThen(store.changed(run, info.seq), ended(run))
    )

  /** The same, if that is within a time. */
  const endedIn = (run: string, duration: Duration.Input) =>
    Effect.timeoutOrElse(ended(run), {
      duration,
      orElse: () =>
        Effect.flatMap(store.get(run), ({ info }) =>
          isTerminal(info.status)
            ? Effect.succeed(info)
            : Effect.fail(
                new AwaitTimeout({
                  run,
                  status: info.status,
                  millis: Duration.toMillis(Duration.fromInputUnsafe(duration))
                })
              )
        )
    })

  const awaitRun = <F extends Flow.Any>(
    run: Run<F>,
    awaitOptions?: { readonly timeout: Duration.Input }
  ): Effect.Effect<Flow.Output<F>, any> => {
    const end = awaitOptions === undefined ? ended(run.id) : endedIn(run.id, awaitOptions.timeout)
    return Effect.flatMap(end, (info) =>
      Effect.flatMap(Reader.eventAt(journals, run.id, info.ended!), (event) => resultOf(run, event))
    )
  }

  const execute = Effect.fnUntraced(function* <F extends Flow.Any>(
    flow: F,
    input: Flow.Input<F>,
    startOptions?: StartOptions
  ) {
    const { created, joined, run } = yield* begin(flow, input, startOptions, true)
    if (created?.rest === undefined) return yield* awaitRun(run)
    const { ended: last } = yield* created.rest
    if (last !== undefined) {
      // The end may be followed by the answer to a command that came too late, or by what else was to be done.
      const isEnd = last.kind === "completed" || last.kind === "failed" || last.kind === "cancelled"
      return yield* isEnd ? resultOf(run, last) : awaitRun(run)
    }
    // Others, or this worker later, go on with it; or it was undone, since it could not be written.
    const written = yield* Effect.result(store.sync(created.lease))
    if (Result.isFailure(written))
      yield* Effect.catchTag(joined, "RunNotFound", () => Effect.fail(undone(written.failure)))
    return yield* awaitRun(run)
  })

  /** Sends a command to a run whose status allows it. */
  const command = Effect.fnUntraced(function* (
    run: RunLike,
    name: string,
    allowed: (status: RunStatus, info: RunInfo) => string | undefined,
    request: Request,
    sendOptions: SendOptions = {}
  ) {
    const id = idOf(run)
    const { info } = yield* store.get(id)
    const detail = allowed(info.status, info)
    if (detail === undefined) return yield* submit(client, id, request, sendOptions)
    yield* refuse(client, sendOptions, refused(id, name, info.status, detail))
  })

  const editsOf = Effect.fnUntraced(function* (
    flow: Flow.Any,
    edits: { readonly [channel: string]: unknown },
    version: number
  ) {
    yield* checkSecrets(flow)
    if (version !== flow.version) {
      const detail = `the run is at version ${version} of the flow, and they are of version ${flow.version}`
      return yield* new InvalidValue({ what: "the edits", detail })
    }
    const ops = TypedState.edits(flow.state, edits)
    return Result.isFailure(ops) ? yield* invalidChannel(ops.failure) : ops.success
  })

  /** The run after the event at `seq`, or after its last one. */
  const load = Effect.fnUntraced(function* (run: string, seq: number | undefined) {
    if (seq !== undefined && !(Number.isSafeInteger(seq) && seq >= 0)) {
      return yield* new InvalidCheckpoint({ run, seq: -1, detail: `${seq} is no position in a journal` })
    }
    const loaded = yield* Reader.load(journals, run, seq)
    if (seq !== undefined && loaded.head.seq !== seq) {
      return yield* new InvalidCheckpoint({ run, seq, detail: `the journal ends at seq ${loaded.head.seq}` })
    }
    return loaded
  })

  const stateAt = (run: RunLike, seq?: number) => Effect.map(load(idOf(run), seq), ({ state }) => state)

  return Runs.of({
    ...Signals.make(client),
    start: (flow, input, startOptions) => Effect.map(begin(flow, input, startOptions), ({ run }) => run),
    execute,
    await: awaitRun,
    get: (run) => Effect.map(store.get(idOf(run)), ({ info }) => info),
    list: (query = {}) => store.list(query),
    history: (run, historyOptions) => History.checkpoints(journals, idOf(run), historyOptions ?? {}),
    stateAt,
    state: Effect.fnUntraced(function* <F extends Flow.Any>(run: Run<F>, seq?: number) {
      const { channels } = yield* stateAt(run, seq)
      const typed = TypedState.decode(run.flow.state, channels)
      if (Result.isFailure(typed)) return yield* invalidChannel(typed.failure)
      return typed.success.view as Flow.State<F>
    }),
    events: (run, eventOptions) => History.events(journals, idOf(run), eventOptions ?? {}),
    retry: (
      run: RunLike,
      retryOptions: RetryOptions & {
        readonly edits?: { readonly [channel: string]: unknown }
        readonly limits?: Limits | undefined
      } = {}
    ) =>
      Effect.gen(function* () {
        const id = idOf(run)
        const { edits, settle } = retryOptions
        const request: Mutable<Extract<Request, { type: "retry" }>> = { type: "retry" }
        if (edits !== undefined) {
          if (typeof run === "string") {
            return yield* new InvalidValue({
              what: "the edits",
              detail: "name the run together with its flow: Runs.ref"
            })
          }
          const { info } = yield* store.get(run.id)
          request.edits = yield* editsOf(run.flow, edits, info.version)
        }
        if (retryOptions.limits !== undefined) {
          yield* checkLimits(retryOptions.limits, flowOf(run))
          request.limits = retryOptions.limits
        }
        if (settle !== undefined) {
          const calls = Object.entries(settle).map(([call, as]) => [call, settlementOf(as)] as const)
          request.settle = Object.fromEntries(calls)
        }
        const { info } = yield* store.get(id)
        const detail = yield* Retrying.refusal(journals, info, request.edits !== undefined)
        if (detail !== undefined) {
          yield* refuse(client, retryOptions, refused(id, "retry", info.status, detail))
        }
        yield* apply(client, id, request, retryOptions, "applied")
      }) as any,
    setLimits: (run, limits, limitsOptions) =>
      Effect.andThen(
        checkLimits(limits, flowOf(run)),
        command(run, "set limits", ending, { type: "limits", limits }, limitsOptions)
      ),
    pause: (run, pauseOptions) =>
      command(
        run,
        "pause",
        (status, { compensating }) =>
          compensating === true ? "it has ended or is about to" : ending(status),
        pauseOptions?.note === undefined ? { type: "pause" } : { type: "pause", note: pauseOptions.note },
        pauseOptions
      ),
    resume: (run, resumeOptions) =>
      command(
        run,
        "resume",
        (status) => (status === "paused" ? undefined : "only a paused run can be resumed"),
        { type: "resume" },
        resumeOptions
      ),
    cancel: Effect.fnUntraced(function* (
      run: RunLike,
      reason: string,
      cancelOptions: CommandOptions & {
        readonly until?: "accepted" | "applied"
        readonly timeout?: Duration.Input
      } = {}
    ) {
      const id = idOf(run)
      const { info } = yield* store.get(id)
      if (!isTerminal(info.status)) yield* send(client, id, { type: "cancel", reason }, cancelOptions)
      if (cancelOptions.until === "accepted") return info.status
      const { timeout } = cancelOptions
      return (yield* timeout === undefined ? ended(id) : endedIn(id, timeout)).status
    }) as any,
    settle: Effect.fnUntraced(function* (run, call, as, settleOptions) {
      const id = idOf(run)
      const { info } = yield* store.get(id)
      if (info.status !== "paused") {
        const detail = "only a paused run has calls to settle; of a failed one retry does"
        return yield* refuse(client, settleOptions ?? {}, refused(id, "settle", info.status, detail))
      }
      yield* sendIfWanted(client, id, info, { type: "settle", call, as: settlementOf(as) }, settleOptions)
    }),
    fork: Effect.fnUntraced(function* <F extends Flow.Any>(
      run: Run<F>,
      seq: number,
      forkOptions: Parameters<Runs["Service"]["fork"]>[2] = {}
    ) {
      const { head, state } = yield* load(run.id, seq)
      if (state.flow !== run.flow.id) {
        const detail = `run ${JSON.stringify(run.id)} is one of ${JSON.stringify(state.flow)}`
        return yield* new InvalidValue({ what: "the flow", detail })
      }
      if (hasCompensated(state)) {
        return yield* new InvalidCheckpoint({
          run: run.id,
          seq,
          detail: "by then it has undone calls, or begun to; fork from before"
        })
      }
      if (isThrough(state)) {
        return yield* new InvalidCheckpoint({
          run: run.id,
          seq,
          detail: "nothing is left to execute; fork from before the end"
        })
      }
      const body: Mutable<Extract<Body, { kind: "forked" }>> = {
        kind: "forked",
        from: { run: run.id, seq },
        flow: state.flow,
        version: state.version,
        steps: state.steps,
        open: openCount(state),
        durability: state.durability
      }
      if (state.timeout !== undefined) body.timeout = state.timeout
      const node = RunState.nodeOf(state)
      if (node !== undefined) body.node = node
      if (forkOptions.edits !== undefined)
        body.edits = yield* editsOf(run.flow, forkOptions.edits, state.version)
      if (forkOptions.actor !== undefined) body.actor = forkOptions.actor
      if (forkOptions.session !== undefined) body.session = forkOptions.session
      if (forkOptions.correlation !== undefined) body.correlation = forkOptions.correlation
      if (forkOptions.tags !== undefined) body.tags = forkOptions.tags
      if (forkOptions.id === "") return yield* emptyId()
      const id = forkOptions.id ?? (yield* ids.next)
      const conflict = new RunConflict({ run: id, detail: "choose another id for the fork" })
      if (id === run.id) return yield* conflict
      yield* Creating.create(creator, id, body, { state, hash: head.hash }).pipe(
        Effect.catchTag("RunExists", () => Effect.fail(conflict))
      )
      return { ...ref(run.flow, id), from: { run: run.id, seq } }
    }),
    replay: (run) => Replay.replay(journals, clock, run.flow, run.id),
    verify: (run, verifyOptions) => History.verify(journals, idOf(run), verifyOptions ?? {}),
    delete: Effect.fnUntraced(function* (run) {
      const id = idOf(run)
      const { info } = yield* store.get(id)
      if (isTerminal(info.status) && (info.outbox ?? 0) > 0) {
        const detail =
          "what it has to tell another run has not arrived yet; a worker that has its flow sees to it"
        return yield* new RunInUse({ run: id, detail })
      }
      yield* store.delete(id)
    }),
    client
  })
})

/**
 * The client alone, for processes that execute nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Runs, never, Store> = Layer.effect(Runs, make({ starter: undefined }))

/**
 * An output that a run gave on its way: which one, and where and when (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export type Emitted<A> = Told.Emitted<A>

/**
 * A line of a run's log.
 *
 * @category models
 * @since 0.1.0
 */
export type LogLine = Told.Line

/**
 * Some items, and where to go on: `cursor` is missing if there are no more for now.
 *
 * @category models
 * @since 0.1.0
 */
export type ItemPage<A> = Told.Page<A>

/**
 * Which page to read: at most `limit` items (100 unless said otherwise), from `cursor` on, oldest first unless said
 * otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type PageOptions = Told.PageOptions

/**
 * Which lines of a log to read: those of a node, those between two times (milliseconds, `since` included), those that
 * contain a text.
 *
 * @category models
 * @since 0.1.0
 */
export type LogFilter = Told.LogFilter

const sourceOf = ({ events, get }: Runs["Service"]): Told.Source => ({ get, events })

/**
 * The outputs that a run gave so far, page by page: those of one kind with their types, or all of them as they are
 * stored. Those of a fork begin with the fork.
 *
 * @category outputs
 * @since 0.1.0
 */
export const outputs: {
  <S extends Schema.Codec<unknown, unknown>>(
    run: RunLike,
    output: Run_.Output<string, S>,
    options?: PageOptions
  ): Effect.Effect<ItemPage<Emitted<S["Type"]>>, ReadError | InvalidValue, Runs>
  (
    run: RunLike,
    output?: undefined,
    options?: PageOptions
  ): Effect.Effect<ItemPage<Emitted<Schema.Json>>, ReadError, Runs>
} = (run: RunLike, output?: Run_.AnyOutput, options: PageOptions = {}): Effect.Effect<any, any, Runs> =>
  Effect.flatMap(Runs, (runs) => Told.outputs(sourceOf(runs), idOf(run), output, options))

/**
 * The outputs of a run from the position `from` on: those that are there, then, until the run has ended, those that
 * come. None is given before it is durable.
 *
 * @category outputs
 * @since 0.1.0
 */
export const outputStream: {
  <S extends Schema.Codec<unknown, unknown>>(
    run: RunLike,
    output: Run_.Output<string, S>,
    options?: { readonly from?: number | undefined }
  ): Stream.Stream<Emitted<S["Type"]>, ReadError | InvalidValue, Runs>
  (
    run: RunLike,
    output?: undefined,
    options?: { readonly from?: number | undefined }
  ): Stream.Stream<Emitted<Schema.Json>, ReadError, Runs>
} = (
  run: RunLike,
  output?: Run_.AnyOutput,
  options: { readonly from?: number | undefined } = {}
): Stream.Stream<any, any, Runs> =>
  Stream.unwrap(
    Effect.map(Runs, (runs) => Told.outputStream(sourceOf(runs), idOf(run), output, options.from ?? 0))
  )

/**
 * The lines of a run's log that pass a filter, page by page.
 *
 * @category outputs
 * @since 0.1.0
 */
export const log = (
  run: RunLike,
  filter: LogFilter = {}
): Effect.Effect<ItemPage<LogLine>, ReadError, Runs> =>
  Effect.flatMap(Runs, (runs) => Told.log(sourceOf(runs), idOf(run), filter))
