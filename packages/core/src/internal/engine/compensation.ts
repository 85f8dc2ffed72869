/**
 * Undoing what a run did before it ends as failed or cancelled: call by call, the last one first, each one journaled.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Json } from "effect/Schema"
import * as Tracer from "effect/Tracer"
import type { Body, Failure, Of, Undone } from "../../Event.ts"
import type { RunState, Undo } from "../../RunState.ts"
import { LeaseLost, StoreError } from "../../Store.ts"
import * as Tool from "../../Tool.ts"
import { callsInDoubt, isDue, lastOf } from "../compensation.ts"
import { makeCodec } from "../definition/codec.ts"
import { retryable } from "./calls.ts"
import * as Failures from "./failure.ts"
import type { Grace } from "./grace.ts"
import { invoke } from "./invoke.ts"
import type { Surroundings } from "./invoke.ts"
import { eventAt, open } from "./reader.ts"
import type { Journals } from "./reader.ts"
import * as Retry from "./retry.ts"
import type { Writer, WriteError } from "./writer.ts"

/** What undoing needs of the execution of the run. */
export interface Host {
  readonly journals: Journals
  readonly writer: Writer
  readonly clock: Clock.Clock
  readonly surroundings: Surroundings
  /** Where the layers of the tools are found. */
  readonly tools: Context.Context<never>
  /** Whether this execution stops, although the run has not ended. */
  readonly stopping: () => boolean
  /** Executes what can be interrupted without this fiber, and left behind. */
  readonly execute: Grace["execute"]
  /** Lets this many milliseconds pass, or fewer if something has come in. */
  readonly sleep: (millis: number) => Effect.Effect<void>
  /** Until the run has a place to execute something, or something has come in; whether it has one. */
  readonly enter: Effect.Effect<boolean>
  /** Deals with what has come in. */
  readonly obey: Effect.Effect<void, WriteError>
}

/** What may have taken effect, and is not undone because nobody knows. */
const reported = (state: RunState): ReadonlyArray<Undone> =>
  callsInDoubt(state).flatMap(({ call, place }) =>
    call.undoable === "completed" ? [{ ...place, started: call.seq, inDoubt: true as const }] : []
  )

/** The last event of a run that has nothing left to undo. */
const ending = (state: RunState): Body => {
  const { cancel, compensating } = state
  const all = [...(compensating?.undone ?? []), ...reported(state)]
  if (compensating?.error !== undefined) {
    const { current: _, error, undone: _undone, ...place } = compensating
    return { kind: "failed", error, ...place, undone: all }
  }
  const undone = compensating === undefined && all.length === 0 ? undefined : { undone: all }
  return { kind: "cancelled", reason: cancel ?? "", ...undone }
}

/** A call that is to be undone, as the journal has it; `problem` says why it cannot be. */
interface Found {
  readonly names: Omit<Of<"compensationCompleted">, "kind" | "run" | "seq" | "epoch" | "time" | "prev">
  readonly key: string
  readonly tool?: Tool.Any
  readonly done?: Tool.Done<unknown, unknown>
  readonly problem?: Failure
}

const problemOf = (error: { readonly _tag: string; readonly message: string }): Failure => ({
  kind: "defect",
  name: error._tag,
  message: error.message
})

/**
 * Undoes what there is to undo and appends the end of the run; or, if the execution stops, leaves the rest to the next
 * one.
 */
export const make = (host: Host): Effect.Effect<void, WriteError> => {
  const { clock, journals, stopping, surroundings, tools, writer } = host
  const { run } = writer.lease
  let retry: { readonly of: number; readonly policy: Retry.Retry } | undefined

  /** An event as it is stored. */
  const read = (seq: number) =>
    Effect.catchTag(eventAt({ ...journals, codec: undefined }, run, seq), "RunNotFound", () =>
      Effect.fail(new LeaseLost({ run, epoch: writer.lease.epoch }))
    )

  const notThere = (seq: number) =>
    new StoreError({
      operation: "read",
      reason: { _tag: "Corrupt", run, seq, detail: "a call that is to be undone was expected here" }
    })

  const find = Effect.fnUntraced(function* ({
    completed,
    started: of,
    tool: name
  }: Undo): Effect.fn.Return<Found, WriteError> {
    const started = yield* read(of)
    if (started.kind !== "callStarted") return yield* notThere(of)
    const { branch, call, node, visit } = started
    const names = { ...(branch === undefined ? undefined : { branch }), node, visit, call, tool: name, of }
    const found = { names, key: journals.hash(JSON.stringify(["undo", started.key])).slice(0, 32) }
    const provided = Context.getOrUndefined(tools, Tool.handlerKey(name))
    if (provided === undefined) {
      const message = `tool ${name} has no handler here: provide the layer that ${name}.toLayer(...) makes to that of the flow`
      return { ...found, problem: { kind: "defect", name: "Error", message } }
    }
    const { tool } = provided
    const value = Effect.fnUntraced(function* (what: string, schema: Tool.Any["input"], json: Json) {
      const exit = makeCodec(schema).decode(json)
      if (Exit.isSuccess(exit)) return { value: exit.value }
      return yield* Effect.fail(Failures.mismatch(`the recorded ${what} of tool ${name}`, exit))
    })
    const opened = Effect.gen(function* () {
      const { input } = yield* Effect.mapError(open(journals.codec, started), problemOf)
      const decoded = yield* value("input", tool.input, input)
      let output: { readonly value: unknown } | undefined
      if (completed !== undefined) {
        const event = yield* read(completed)
        if (event.kind !== "callCompleted") return yield* notThere(completed)
        const { output: json } = yield* Effect.mapError(open(journals.codec, event), problemOf)
        output = yield* value("output", tool.output, json)
      }
      return { input: decoded.value, output: output?.value, key: started.key }
    })
    return yield* Effect.matchEffect(opened, {
      onSuccess: (done) => Effect.succeed({ ...found, tool, done }),
      onFailure: (error) =>
        "kind" in error ? Effect.succeed({ ...found, problem: error }) : Effect.fail(error)
    })
  })

  /** What a failed try amounts to: another one after a while, or none. */
  const failed = Effect.fnUntraced(function* (
    names: Found["names"],
    tool: Tool.Any,
    outcome: Failures.Outcome
  ): Effect.fn.Return<Body> {
    const error = Failures.store(outcome, [tool.error])
    const schedule = tool.compensate?.retry
    const tried = schedule === undefined ? undefined : retryable({ while: undefined }, outcome)
    if (tried === undefined) return { kind: "compensationFailed", ...names, error }
    if (retry?.of !== names.of) retry = { of: names.of, policy: Retry.make(schedule!) }
    const time = clock.currentTimeMillisUnsafe()
    const { retries } = writer.state.compensating!.current!
    const last = { time, error: tried.value }
    const delayed = yield* Retry.delayAfter(retry.policy, retries, [tool.error], last).pipe(
      Effect.setContext(surroundings.context),
      Effect.exit
    )
    if (Exit.isFailure(delayed)) {
      // The retry policy broke.
      const broken = Failures.store(Failures.outcomeOf(delayed.cause), [])
      return { kind: "compensationFailed", ...names, error: broken }
    }
    return delayed.value === undefined
      ? { kind: "compensationFailed", ...names, error }
      : { kind: "compensationRetried", ...names, error, due: time + delayed.value }
  })

  /** One try at undoing the last call that is not undone, or the wait for its time. */
  const step = Effect.fnUntraced(function* (last: Undo): Effect.fn.Return<void, WriteError> {
    const { compensating, maxRecoveries, recoveries } = writer.state
    const current = compensating!.current
    if (current?.due !== undefined) {
      const left = current.due - clock.currentTimeMillisUnsafe()
      if (left > 0) {
        // What comes after a long sleep should not have to begin before it.
        yield* writer.sync
        return yield* host.sleep(left)
      }
    }
    if (!(yield* host.enter)) return
    const { done, key, names, problem, tool } = yield* find(last)
    const crashes =
      recoveries > maxRecoveries ? { kind: "recoveries" as const, limit: maxRecoveries } : undefined
    const error = crashes ?? problem
    if (error !== undefined)
      return void (yield* writer.append({ kind: "compensationFailed", ...names, error }))
    yield* writer.append({ kind: "compensationStarted", ...names, key })
    yield* writer.sync
    if (stopping()) return
    const retries = current?.retries ?? []
    const invocation: Tool.Invocation["Service"] = {
      key,
      attempt: retries.length + 1,
      run,
      branch: names.branch ?? "",
      node: names.node,
      visit: names.visit,
      repeated:
        (current !== undefined && current.due === undefined) ||
        retries.some((tried) => tried.error.kind !== "error")
    }
    const { input, key: callKey, output } = done!
    const span = Context.getOption(yield* Effect.context(), Tracer.ParentSpan)
    const exit = yield* host.execute(
      invoke(
        surroundings,
        { tool: tool!, input, invocation, undo: { key: callKey, output } },
        Context.addOrOmit(tools, Tracer.ParentSpan, span)
      ),
      { run, branch: invocation.branch, node: names.node, visit: names.visit },
      stopping
    )
    // It was left behind by an execution that stops.
    if (exit === undefined) return
    if (Exit.isSuccess(exit)) return void (yield* writer.append({ kind: "compensationCompleted", ...names }))
    const outcome = Failures.outcomeOf(exit.cause)
    // It may have taken effect: whoever goes on does it again.
    if (outcome._tag === "Interrupted" && stopping()) return
    yield* writer.append(yield* failed(names, tool!, outcome))
  })

  return Effect.gen(function* () {
    if (isDue(writer.state)) yield* writer.append({ kind: "compensating", reason: writer.state.cancel ?? "" })
    // What the calls did is read from the journal.
    if (lastOf(writer.state) !== undefined) yield* writer.sync
    for (let last = lastOf(writer.state); last !== undefined; last = lastOf(writer.state)) {
      yield* host.obey
      if (stopping()) return
      yield* step(last)
    }
    yield* writer.append(ending(writer.state))
  })
}
