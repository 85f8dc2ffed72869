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
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Checkpoint, HistoryOptions } from "./Checkpoint.ts"
import { Codec } from "./Codec.ts"
import type { CodecError } from "./Codec.ts"
import type { Request } from "./Command.ts"
import type { Body, Durability, Event } from "./Event.ts"
import { requiresCodec } from "./Flow.ts"
import type * as Flow from "./Flow.ts"
import { Hasher } from "./Hasher.ts"
import { IdGenerator } from "./IdGenerator.ts"
import { makeCodec } from "./internal/definition/codec.ts"
import { canonical } from "./internal/engine/canonical.ts"
import * as Commands from "./internal/engine/commands.ts"
import * as Failures from "./internal/engine/failure.ts"
import * as History from "./internal/engine/history.ts"
import type { Starter } from "./internal/engine/pool.ts"
import * as Reader from "./internal/engine/reader.ts"
import * as Replay from "./internal/engine/replay.ts"
import * as TypedState from "./internal/engine/typedState.ts"
import { extend } from "./internal/engine/writer.ts"
import { isThrough } from "./internal/visits.ts"
import * as Journal from "./Journal.ts"
import {
  AwaitTimeout,
  CommandRefused,
  InvalidCheckpoint,
  InvalidValue,
  RunCancelled,
  RunConflict,
  RunFailed
} from "./RunError.ts"
import { isTerminal } from "./RunInfo.ts"
import type { RunInfo, RunStatus } from "./RunInfo.ts"
import * as RunState from "./RunState.ts"
import { Store, StoreError } from "./Store.ts"
import type * as StoreModule from "./Store.ts"

export { AwaitTimeout, CommandRefused, InvalidCheckpoint, InvalidValue, RunCancelled, RunConflict, RunFailed }
export type { Checkpoint, HistoryOptions }

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
 * How to start a run.
 *
 * - `id`: the run's id. The same id with the same input joins the run that is there
 * - `idempotencyKey`: the same for a key of yours, from which the id is derived; `id` and this exclude each other
 * - `session`, `actor`, `correlation`: who and what the run belongs to; in the journal and searchable
 * - `tags`, `attributes`: to find it by
 * - `durability`, `maxSteps`: instead of the flow's
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
}

/**
 * @category models
 * @since 0.1.0
 */
export interface CommandOptions {
  /** Who asks for it. */
  readonly actor?: string | undefined
  /**
   * The command's own id: sending it again under the same id changes nothing.
   */
  readonly commandId?: string | undefined
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

    /** Lists runs by status, flow, session, parent, tag and time, page by page. */
    readonly list: (query?: StoreModule.ListQuery) => Effect.Effect<StoreModule.Page, StoreModule.StoreError>

    /** The checkpoints of a run. */
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
    readonly events: (
      run: RunLike,
      options?: { readonly from?: number | undefined }
    ) => Stream.Stream<Event, ReadError>

    /** Lets a failed run go on from the visit that failed, with edits of its state if there are any. */
    readonly retry: {
      (run: RunLike, options?: CommandOptions): Effect.Effect<void, ReadError | CommandRefused>
      <F extends Flow.Any>(
        run: Run<F>,
        options: CommandOptions & { readonly edits: Edits<F> }
      ): Effect.Effect<void, ReadError | CommandRefused | InvalidValue>
    }

    /** Stops a run at its next checkpoint. */
    readonly pause: (
      run: RunLike,
      options?: CommandOptions & { readonly note?: string | undefined }
    ) => Effect.Effect<void, ReadError | CommandRefused>

    /** Lets a paused run go on. */
    readonly resume: (
      run: RunLike,
      options?: CommandOptions
    ) => Effect.Effect<void, ReadError | CommandRefused>

    /**
     * Cancels a run and waits until it has ended; the answer is how. A run that had ended already is not changed.
     */
    readonly cancel: (
      run: RunLike,
      reason: string,
      options?: CommandOptions
    ) => Effect.Effect<"completed" | "failed" | "cancelled", ReadError>

    /**
     * Decides what became of a call that is in doubt: it succeeded with this output, it failed, or it is to be carried
     * out again. The run is resumed with `resume`.
     */
    readonly settle: (
      run: RunLike,
      call: string,
      as: "failed" | "again" | { readonly output: Schema.Json },
      options?: CommandOptions
    ) => Effect.Effect<void, ReadError | CommandRefused>

    /**
     * Starts a new run from a checkpoint of another, with edits of its state if there are any. Calls that had finished
     * by then are served from the journal.
     */
    readonly fork: <F extends Flow.Any>(
      run: Run<F>,
      seq: number,
      options?: Pick<StartOptions, "id" | "session" | "actor" | "correlation" | "tags"> & {
        readonly edits?: Edits<F> | undefined
      }
    ) => Effect.Effect<Run<F>, ReadError | InvalidCheckpoint | InvalidValue | RunConflict>

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

    /** Deletes a run that has ended and that no other run was forked from. */
    readonly delete: (
      run: RunLike
    ) => Effect.Effect<void, StoreModule.RunNotFound | StoreModule.RunInUse | StoreModule.StoreError>
  }
>()("@waymark/core/Runs") {}

const idOf = (run: RunLike): string => (typeof run === "string" ? run : run.id)

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
  const journals: Reader.Journals = { store, codec, hash }

  /** What a flow stores in plain text must not be secret. */
  const checkSecrets = (flow: Flow.Any): Effect.Effect<void, InvalidValue> => {
    if (codec?.encrypts === true) return Effect.void
    let secret = secrets.get(flow)
    if (secret === undefined) secrets.set(flow, (secret = requiresCodec(flow)))
    const detail =
      "its values would be stored in plain text, and it has Redacted ones: provide a Codec that encrypts"
    return secret ? Effect.fail(new InvalidValue({ what: `the flow ${flow.id}`, detail })) : Effect.void
  }

  /**
   * Writes the first event of a run. If it is executed here, `rest` waits until this worker does nothing more with it; with
   * `ahead` it may begin before it is durable.
   */
  const create = Effect.fnUntraced(function* (
    run: string,
    flow: Flow.Any,
    given: Extract<Body, { kind: "created" | "forked" }>,
    origin: { readonly state: RunState.RunState; readonly hash: string } | undefined,
    ahead?: boolean
  ) {
    const here = starter?.has(flow.id) === true ? starter : undefined
    const span = here === undefined ? undefined : yield* here.span(run, flow.id)
    const trace = span ?? Option.getOrUndefined(yield* Effect.serviceOption(Tracer.ParentSpan))
    const body =
      trace === undefined ? given : { ...given, trace: { traceId: trace.traceId, spanId: trace.spanId } }
    const sealed = codec === undefined ? body : yield* Reader.seal(codec, run, body)
    const at = { run, epoch: 0, time: clock.currentTimeMillisUnsafe() }
    const head = { seq: -1, hash: origin?.hash ?? Journal.genesis }
    const extended = extend(journals, at, origin?.state, head, [body], [sealed])
    const created = store.create(extended.batch, { holder: here?.holder, ahead })
    const lease = yield* span === undefined
      ? created
      : Effect.onError(created, (cause) =>
          Effect.sync(() => span.end(clock.currentTimeNanosUnsafe(), Exit.failCause(cause)))
        )
    return { lease, rest: here?.start(lease, extended.state, extended.head, span) }
    // Between the two, the run would be owned and never executed.
  }, Effect.uninterruptible)

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
    const id =
      startOptions.id ??
      (idempotencyKey === undefined
        ? yield* ids.next
        : `${flow.id}-${hash(JSON.stringify([flow.id, idempotencyKey])).slice(0, 32)}`)
    const body: Mutable<Extract<Body, { kind: "created" }>> = {
      kind: "created",
      flow: flow.id,
      version: flow.version,
      fingerprint: flow.fingerprint,
      start: flow.start,
      input: encoded.value,
      state: initial.success,
      durability: startOptions.durability ?? flow.durability,
      maxSteps: startOptions.maxSteps ?? flow.maxSteps,
      maxRecoveries: flow.maxRecoveries
    }
    if (startOptions.session !== undefined) body.session = startOptions.session
    if (startOptions.actor !== undefined) body.actor = startOptions.actor
    if (startOptions.correlation !== undefined) body.correlation = startOptions.correlation
    if (startOptions.tags !== undefined) body.tags = startOptions.tags
    if (startOptions.attributes !== undefined) body.attributes = startOptions.attributes
    const joined = join(id, flow, encoded.value)
    // What is promised to be durable at its start is not run ahead of.
    const created = yield* create(id, flow, body, undefined, ahead && body.durability === "pipelined").pipe(
      Effect.catchTag("RunExists", () =>
        Effect.catchTag(joined, "RunNotFound", () =>
          Effect.fail(new RunConflict({ run: id, detail: "it is being deleted" }))
        )
      )
    )
    return { run: ref(flow, id), created, joined }
  })

  /** The answer to a run that has ended. */
  const resultOf = Effect.fnUntraced(function* <F extends Flow.Any>(run: Run<F>, at: number) {
    const event = yield* Reader.eventAt(journals, run.id, at)
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
        return yield* new RunFailed({ run: run.id, failure: event.error, ...node })
      }
      case "cancelled":
        return yield* new RunCancelled({ run: run.id, reason: event.reason })
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

  const awaitRun = <F extends Flow.Any>(
    run: Run<F>,
    awaitOptions?: { readonly timeout: Duration.Input }
  ): Effect.Effect<Flow.Output<F>, any> => {
    const end =
      awaitOptions === undefined
        ? ended(run.id)
        : Effect.timeoutOrElse(ended(run.id), {
            duration: awaitOptions.timeout,
            orElse: () =>
              Effect.flatMap(store.get(run.id), ({ info }) =>
                isTerminal(info.status)
                  ? Effect.succeed(info)
                  : Effect.fail(
                      new AwaitTimeout({
                        run: run.id,
                        status: info.status,
                        millis: Duration.toMillis(Duration.fromInputUnsafe(awaitOptions.timeout))
                      })
                    )
              )
          })
    return Effect.flatMap(end, (info) => resultOf(run, info.ended!))
  }

  const execute = Effect.fnUntraced(function* <F extends Flow.Any>(
    flow: F,
    input: Flow.Input<F>,
    startOptions?: StartOptions
  ) {
    const { created, joined, run } = yield* begin(flow, input, startOptions, true)
    if (created?.rest === undefined) return yield* awaitRun(run)
    const { ended } = yield* created.rest
    if (ended !== undefined) return yield* resultOf(run, ended)
    // Others, or this worker later, go on with it; or it was undone, since it could not be written.
    const written = yield* Effect.result(store.sync(created.lease))
    if (Result.isFailure(written))
      yield* Effect.catchTag(joined, "RunNotFound", () => Effect.fail(undone(written.failure)))
    return yield* awaitRun(run)
  })

  const send = Effect.fnUntraced(function* (
    run: string,
    plain: Request,
    commandOptions: CommandOptions = {}
  ) {
    const request = yield* Commands.seal(codec, run, plain)
    const id = commandOptions.commandId ?? (yield* ids.next)
    const time = clock.currentTimeMillisUnsafe()
    const { actor } = commandOptions
    yield* store.send(actor === undefined ? { id, run, time, request } : { id, run, time, actor, request })
  })

  /** Sends a command to a run whose status allows it. */
  const command = Effect.fnUntraced(function* (
    run: RunLike,
    name: string,
    allowed: (status: RunStatus) => string | undefined,
    request: Request,
    commandOptions?: CommandOptions
  ) {
    const id = idOf(run)
    const { info } = yield* store.get(id)
    const detail = allowed(info.status)
    if (detail !== undefined) {
      return yield* new CommandRefused({ run: id, command: name, status: info.status, detail })
    }
    yield* send(id, request, commandOptions)
  })

  const editsOf = Effect.fnUntraced(function* (
    flow: Flow.Any,
    edits: { readonly [channel: string]: unknown }
  ) {
    yield* checkSecrets(flow)
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
    events: (run, eventOptions) => History.events(journals, idOf(run), eventOptions?.from ?? 0),
    retry: (
      run: RunLike,
      retryOptions?: CommandOptions & { readonly edits?: { readonly [channel: string]: unknown } }
    ) =>
      Effect.gen(function* () {
        const request: Mutable<Extract<Request, { type: "retry" }>> = { type: "retry" }
        if (retryOptions?.edits !== undefined) {
          if (typeof run === "string") {
            return yield* new InvalidValue({
              what: "the edits",
              detail: "name the run together with its flow: Runs.ref"
            })
          }
          request.edits = yield* editsOf(run.flow, retryOptions.edits)
        }
        const allowed = (status: RunStatus) =>
          status === "failed" ? undefined : "only a failed run can be retried"
        yield* command(run, "retry", allowed, request, retryOptions)
      }) as any,
    pause: (run, pauseOptions) =>
      command(
        run,
        "pause",
        (status) =>
          isTerminal(status) || status === "cancelling" ? "it has ended or is about to" : undefined,
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
    cancel: Effect.fnUntraced(function* (run, reason, cancelOptions) {
      const id = idOf(run)
      const { info } = yield* store.get(id)
      if (!isTerminal(info.status)) yield* send(id, { type: "cancel", reason }, cancelOptions)
      return (yield* ended(id)).status as "completed" | "failed" | "cancelled"
    }),
    settle: (run, call, as, settleOptions) =>
      command(
        run,
        "settle",
        (status) => (status === "paused" ? undefined : "only a paused run has calls to settle"),
        {
          type: "settle",
          call,
          as: as === "failed" ? { failure: true } : as === "again" ? { again: true } : { output: as.output }
        },
        settleOptions
      ),
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
        durability: state.durability
      }
      const node = RunState.nodeOf(state)
      if (node !== undefined) body.node = node
      if (forkOptions.edits !== undefined) body.edits = yield* editsOf(run.flow, forkOptions.edits)
      if (forkOptions.actor !== undefined) body.actor = forkOptions.actor
      if (forkOptions.session !== undefined) body.session = forkOptions.session
      if (forkOptions.correlation !== undefined) body.correlation = forkOptions.correlation
      if (forkOptions.tags !== undefined) body.tags = forkOptions.tags
      if (forkOptions.id === "") return yield* emptyId()
      const id = forkOptions.id ?? (yield* ids.next)
      const conflict = new RunConflict({ run: id, detail: "choose another id for the fork" })
      if (id === run.id) return yield* conflict
      yield* create(id, run.flow, body, { state, hash: head.hash }).pipe(
        Effect.catchTag("RunExists", () => Effect.fail(conflict))
      )
      return ref(run.flow, id)
    }),
    replay: (run) => Replay.replay(journals, clock, run.flow, run.id),
    verify: (run, verifyOptions) => History.verify(journals, idOf(run), verifyOptions ?? {}),
    delete: (run) => store.delete(idOf(run))
  })
})

/**
 * The client alone, for processes that execute nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Runs, never, Store> = Layer.effect(Runs, make({ starter: undefined }))
