/**
 * The client itself: starts runs, waits for them, and steers them.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { Codec } from "../../Codec.ts"
import type { Limits, Request } from "../../Command.ts"
import type { Body, Event, Of } from "../../Event.ts"
import { requiresCodec } from "../../Flow.ts"
import type * as Flow from "../../Flow.ts"
import { Hasher } from "../../Hasher.ts"
import { IdGenerator } from "../../IdGenerator.ts"
import {
  AwaitTimeout,
  CommandRefused,
  InvalidCheckpoint,
  InvalidValue,
  RunCancelled,
  RunConflict,
  RunFailed
} from "../../RunError.ts"
import { isTerminal } from "../../RunInfo.ts"
import type { RunInfo, RunStatus } from "../../RunInfo.ts"
import type {
  CommandOptions,
  RetryOptions,
  Run,
  RunLike,
  Runs,
  SendOptions,
  Settlement,
  StartOptions
} from "../../Runs.ts"
import * as RunState from "../../RunState.ts"
import { RunInUse, Store, StoreError } from "../../Store.ts"
import type * as StoreModule from "../../Store.ts"
import { hasCompensated } from "../compensation.ts"
import { makeCodec } from "../definition/codec.ts"
import { canonical } from "../engine/canonical.ts"
import * as Creating from "../engine/creating.ts"
import { encode } from "../engine/encoded.ts"
import * as Failures from "../engine/failure.ts"
import * as History from "../engine/history.ts"
import * as LimitsOf from "../engine/limits.ts"
import type { Starter } from "../engine/pool.ts"
import { checkLimit } from "../engine/pages.ts"
import * as Reader from "../engine/reader.ts"
import * as Retrying from "../engine/retrying.ts"
import * as TypedState from "../engine/typedState.ts"
import * as Versions from "../engine/versions.ts"
import type { Mutable } from "../record.ts"
import { isThrough, openCount } from "../visits.ts"
import { checkFlow, checkPosition, idOf, Service } from "./client.ts"
import type { Client } from "./client.ts"
import { apply, refuse, send, sendIfWanted, submit } from "./commanding.ts"
import { checkOptions } from "./given.ts"
import * as Signals from "./signals.ts"

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

const invalidChannel = ({ message, what }: TypedState.Mismatch): InvalidValue =>
  new InvalidValue({ what, detail: message })

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

const secrets = new WeakMap<Flow.Any, boolean>()

/**
 * A client; with a `starter`, runs of the flows it has are executed in this process from the start.
 *
 * @internal
 */
export const make = /* @__PURE__ */ Effect.fnUntraced(function* (options: {
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
    const missing = Reader.missingCodec(journals, (yield* store.get(run)).info)
    if (missing !== undefined) return yield* missing
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
    const encoded = encode(flow.input, input)
    if (Exit.isFailure(encoded)) return yield* Failures.invalid(`the input of flow ${flow.id}`, encoded)
    const initial = TypedState.initial(flow.state)
    if (Result.isFailure(initial)) return yield* invalidChannel(initial.failure)
    yield* checkOptions(startOptions)
    const { idempotencyKey } = startOptions
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
        ).pipe(Effect.tap(() => starter?.takeUp(id) ?? Effect.void))
      )
    )
    return { run: { id, flow }, created, joined }
  })

  /** The answer to a run that has ended with this event. */
  const resultOf = Effect.fnUntraced(function* <F extends Flow.Any>(run: Run<F>, event: Event) {
    switch (event.kind) {
      case "completed": {
        const output = makeCodec(run.flow.output).decode(event.output)
        if (Exit.isSuccess(output)) return output.value as Flow.Output<F>
        return yield* new RunFailed({ run: run.id, failure: Failures.mismatch("the output", output) })
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

  /** A run that is named with its flow, if its values can be read here. */
  const named = Effect.fnUntraced(function* (run: Run<Flow.Any>) {
    const stored = yield* store.get(run.id)
    yield* checkFlow(run.flow, run.id, stored.info.flow)
    const missing = Reader.missingCodec(journals, stored.info)
    return missing === undefined ? stored : yield* missing
  })

  const awaitRun = <F extends Flow.Any>(
    run: Run<F>,
    awaitOptions?: { readonly timeout: Duration.Input }
  ): Effect.Effect<Flow.Output<F>, any> =>
    Effect.gen(function* () {
      const { info } = yield* named(run)
      const last = isTerminal(info.status)
        ? info
        : yield* awaitOptions === undefined ? ended(run.id) : endedIn(run.id, awaitOptions.timeout)
      return yield* resultOf(run, yield* Reader.eventAt(journals, run.id, last.ended!))
    })

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
    yield* refuse(client, info, request, sendOptions, refused(id, name, info.status, detail))
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
    if (seq !== undefined) yield* checkPosition(run, seq)
    const loaded = yield* Reader.load(journals, run, seq, "sealed")
    if (seq !== undefined && loaded.head.seq !== seq) {
      return yield* new InvalidCheckpoint({ run, seq, detail: `the journal ends at seq ${loaded.head.seq}` })
    }
    return loaded
  })

  const stateAt = (run: RunLike, seq?: number) => Effect.map(load(idOf(run), seq), ({ state }) => state)

  const settle: Runs["Service"]["settle"] = Effect.fnUntraced(function* (run, call, as, settleOptions) {
    const id = idOf(run)
    const { info } = yield* store.get(id)
    const request: Request = { type: "settle", call, as: settlementOf(as) }
    if (info.status !== "paused") {
      const detail = "only a paused run has calls to settle; of a failed one retry does"
      return yield* refuse(
        client,
        info,
        request,
        settleOptions ?? {},
        refused(id, "settle", info.status, detail)
      )
    }
    yield* sendIfWanted(client, id, info, request, settleOptions)
  })

  return Service.of({
    ...Signals.make(client),
    start: (flow, input, startOptions) => Effect.map(begin(flow, input, startOptions), ({ run }) => run),
    execute,
    await: awaitRun,
    get: (run) => Effect.map(store.get(idOf(run)), ({ info }) => info),
    list: (query = {}) => Effect.andThen(checkLimit("list", query.limit), store.list(query)),
    history: (run, historyOptions) => History.checkpoints(journals, idOf(run), historyOptions ?? {}),
    stateAt,
    state: Effect.fnUntraced(function* <F extends Flow.Any>(run: Run<F>, seq?: number) {
      yield* named(run)
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
          const { info } = yield* named(run)
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
          yield* refuse(client, info, request, retryOptions, refused(id, "retry", info.status, detail))
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
    resume: Effect.fnUntraced(function* (run, resumeOptions) {
      const { settle: settled = {}, ...sending } = resumeOptions ?? {}
      const { commandId } = sending
      for (const [call, as] of Object.entries(settled)) {
        const own = commandId === undefined ? sending : { ...sending, commandId: `${commandId}/${call}` }
        yield* settle(run, call, as, own)
      }
      yield* command(
        run,
        "resume",
        (status) => (status === "paused" ? undefined : "only a paused run can be resumed"),
        { type: "resume" },
        sending
      )
    }),
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
    settle,
    fork: Effect.fnUntraced(function* <F extends Flow.Any>(
      run: Run<F>,
      seq: number,
      forkOptions: Parameters<Runs["Service"]["fork"]>[2] = {}
    ) {
      yield* named(run)
      const { head, state } = yield* load(run.id, seq)
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
      yield* checkOptions(forkOptions)
      if (forkOptions.edits !== undefined)
        body.edits = yield* editsOf(run.flow, forkOptions.edits, state.version)
      if (forkOptions.actor !== undefined) body.actor = forkOptions.actor
      if (forkOptions.session !== undefined) body.session = forkOptions.session
      if (forkOptions.correlation !== undefined) body.correlation = forkOptions.correlation
      if (forkOptions.tags !== undefined) body.tags = [...forkOptions.tags]
      const id = forkOptions.id ?? (yield* ids.next)
      const conflict = new RunConflict({ run: id, detail: "choose another id for the fork" })
      if (id === run.id) return yield* conflict
      yield* Creating.create(creator, id, body, { state, hash: head.hash }).pipe(
        Effect.catchTag("RunExists", () => Effect.fail(conflict))
      )
      return { id, flow: run.flow, from: { run: run.id, seq } }
    }),
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
