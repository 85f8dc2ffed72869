/**
 * How runs come into being: their first events.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Json } from "effect/Schema"
import * as Tracer from "effect/Tracer"
import type { Body } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import * as Journal from "../../Journal.ts"
import type { RunState } from "../../RunState.ts"
import type { StartOptions } from "../../Runs.ts"
import type { Mutable } from "../record.ts"
import * as LimitsOf from "./limits.ts"
import type { Starter } from "./pool.ts"
import * as Reader from "./reader.ts"
import { extend } from "./writer.ts"

export type Created = Extract<Body, { readonly kind: "created" }>
type First = Extract<Body, { readonly kind: "created" | "forked" }>

export interface Creator extends Reader.Journals {
  readonly clock: Clock.Clock
  /** Executes in this process the runs that it can, from the start. */
  readonly starter: Starter | undefined
}

/** The first event of a run of a flow: `input` and `state` as they are stored. */
export const bodyOf = (
  flow: Flow.Any,
  input: Json,
  state: { readonly [channel: string]: Json },
  options: Omit<StartOptions, "id" | "idempotencyKey">
): Mutable<Created> => {
  const body: Mutable<Created> = {
    kind: "created",
    flow: flow.id,
    version: flow.version,
    fingerprint: flow.fingerprint,
    start: flow.startNode,
    input,
    state,
    durability: options.durability ?? flow.durability,
    maxSteps: options.maxSteps ?? flow.maxSteps,
    maxRecoveries: flow.maxRecoveries,
    ...LimitsOf.initial(flow, options.budgets)
  }
  if (Object.keys(flow.signals).length > 0) body.signals = Object.keys(flow.signals)
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? flow.timeout ?? Infinity))
  if (timeout < Infinity) body.timeout = timeout
  if (options.session !== undefined) body.session = options.session
  if (options.actor !== undefined) body.actor = options.actor
  if (options.correlation !== undefined) body.correlation = options.correlation
  if (options.tags !== undefined) body.tags = [...options.tags]
  if (options.attributes !== undefined) body.attributes = { ...options.attributes }
  return body
}

/**
 * The span in which a run is made, if somebody traces it or it came from elsewhere: a span of which nobody hears has ids by
 * chance, which say nothing and would make each journal another one.
 */
const around = (context: Context.Context<never>): Tracer.AnySpan | undefined => {
  const span = Context.getOrUndefined(
    context,
    Tracer.ParentSpan as unknown as Context.Key<never, Tracer.AnySpan>
  )
  return span?._tag === "ExternalSpan" || context.mapUnsafe.has(Tracer.TracerKey) ? span : undefined
}

/**
 * Writes the first event of a run, and others that follow it at once. If it is executed here, `rest` waits until this worker
 * does nothing more with it; with `ahead` it may begin before it is durable.
 */
export const create = /* @__PURE__ */ Effect.fnUntraced(function* (
  { clock, starter, ...journals }: Creator,
  run: string,
  given: First,
  origin: { readonly state: RunState; readonly hash: string } | undefined,
  options: { readonly following?: ReadonlyArray<Body>; readonly ahead?: boolean } = {}
) {
  const { codec, store } = journals
  const here = starter?.has(given.flow, given.version) === true ? starter : undefined
  const span = here === undefined ? undefined : yield* here.span(run, given.flow)
  const trace = span ?? around(yield* Effect.context())
  const first: First = {
    ...given,
    ...(codec === undefined ? undefined : { codec: codec.name }),
    ...(trace === undefined ? undefined : { trace: { traceId: trace.traceId, spanId: trace.spanId } })
  }
  const bodies: ReadonlyArray<Body> = [first, ...(options.following ?? [])]
  const sealed =
    codec === undefined ? bodies : yield* Effect.forEach(bodies, (body) => Reader.seal(codec, run, body))
  const at = { run, epoch: 0, time: clock.currentTimeMillisUnsafe() }
  const head = { seq: -1, hash: origin?.hash ?? Journal.genesis }
  const extended = extend(journals, at, origin?.state, head, bodies, sealed)
  const created = store.create(extended.batch, { holder: here?.holder, ahead: options.ahead })
  const lease = yield* span === undefined
    ? created
    : Effect.onError(created, (cause) =>
        Effect.sync(() => span.end(clock.currentTimeNanosUnsafe(), Exit.failCause(cause)))
      )
  return { lease, rest: here?.start(lease, extended.state, extended.head, span) }
  // Between the two, the run would be owned and never executed.
}, Effect.uninterruptible)
