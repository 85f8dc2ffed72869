/**
 * Durable waits: for a signal, for a person, for a time, for a job of another system.
 *
 * A run that waits holds no fiber. When the wait is over the handler is executed again from its top, with the results that
 * are recorded: it gets to the same wait, finds its outcome, and goes on. So a wait belongs on the visit's own fiber: inside
 * `Effect.timeout`, `Effect.race` or a concurrent `Effect.all` it is refused. A wait has a `timeout` of its own, and
 * {@link race} waits for the first of several.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { WaitTarget } from "./Event.ts"
import type * as Flow from "./Flow.ts"
import { makeCodec } from "./internal/definition/codec.ts"
import { DefinitionError } from "./internal/definition/problem.ts"
import { Visit } from "./Visit.ts"

/**
 * A wait that had a limit was not over in time.
 *
 * @category errors
 * @since 0.1.0
 */
export class WaitTimeout extends Schema.TaggedError<WaitTimeout>()("WaitTimeout", {
  /** What was waited for: the name of a signal or of a question, the id of a job, a run of which flow. */
  name: Schema.String
}) {
  override get message(): string {
    return `nothing came of ${JSON.stringify(this.name)} in the time that the wait was given`
  }
}

/**
 * A job of another system failed, as whoever finished it said.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", {
  job: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `job ${JSON.stringify(this.job)} failed: ${this.detail}`
  }
}

/**
 * A wait stands where it could not be found again: on another fiber than that of its visit.
 *
 * @category errors
 * @since 0.1.0
 */
export class WaitMisplaced extends Schema.TaggedError<WaitMisplaced>()("WaitMisplaced", {
  node: Schema.String,
  wait: Schema.String
}) {
  override get message(): string {
    return (
      `the wait for ${this.wait} in node ${this.node} is not on the visit's own fiber: instead of Effect.timeout, race ` +
      `or a concurrent all around it, use the wait's own timeout, or Wait.race for the first of several`
    )
  }
}

/**
 * What a visit asks of the engine when it waits.
 *
 * - `name`: what is waited for; waits of one name in one visit are told apart by their number
 * - `schema`: of the value that ends the wait, if one does
 * - `limit`: when the wait is over anyway: a time in milliseconds, of the visit's clock when it came to the wait
 * - `calls`: the run that is waited for, if it is one
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly name: string
  readonly on: WaitTarget
  readonly schema: Schema.Codec<any, any> | undefined
  readonly limit: ((now: number) => number) | undefined
  readonly calls?: Calling | undefined
}

/**
 * The run that a visit starts and waits for: see `Flow.call`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Calling {
  readonly flow: Flow.Any
  readonly input: unknown
  readonly options: Flow.ChildOptions | undefined
}

/**
 * An effect that waits, durably. It can be used in the handlers of nodes only.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wait<out A, out E = never> extends Effect.Effect<A, E, Visit> {
  readonly "~waymark/Wait": Request
}

/**
 * The error of a wait that has a limit, by its `timeout`.
 *
 * @category models
 * @since 0.1.0
 */
export type TimeoutError<Timeout> = [Timeout] extends [undefined] ? never : WaitTimeout

const make = <A, E>(request: Request): Wait<A, E> =>
  Object.assign(
    Effect.flatMap(Visit, (visit) => Effect.map(visit.wait([request]), ({ value }) => value as A)),
    { "~waymark/Wait": request }
  ) as Wait<any>

/** A schema that is missing where the compiler was not asked: the wait could not tell what ends it. */
const schemaOf = <S>(schema: S | undefined, name: string): S => {
  if (schema !== undefined) return schema
  throw new DefinitionError({
    definition: "wait",
    id: name,
    problems: [
      {
        _tag: "InvalidOption",
        option: "schema",
        detail: "is missing; give that of the value that ends the wait"
      }
    ]
  })
}

const after = (timeout: Duration.Input | undefined): Request["limit"] => {
  if (timeout === undefined) return undefined
  const millis = Duration.toMillis(Duration.fromInputUnsafe(timeout))
  return Number.isFinite(millis) ? (now) => now + Math.max(0, millis) : undefined
}

/**
 * Waits for a signal.
 *
 * - `schema`: of its payload. A signal whose payload does not fit is refused
 * - `key`: only a signal with this key counts
 * - `timeout`: how long to wait; after that it fails with {@link WaitTimeout}
 *
 * A signal that comes before the run waits for it is kept if the flow names it among its `signals`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const event = <
  S extends Schema.Codec<unknown, unknown>,
  Timeout extends Duration.Input | undefined = undefined
>(
  name: string,
  options: { readonly schema: S; readonly timeout?: Timeout; readonly key?: string | undefined }
): Wait<S["Type"], TimeoutError<Timeout>> =>
  make({
    name,
    on: options.key === undefined ? { type: "event", name } : { type: "event", name, key: options.key },
    schema: schemaOf(options.schema, name),
    limit: after(options.timeout)
  })

/**
 * Waits until a time, which may be over already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const until = (instant: DateTime.DateTime | Date | number): Wait<void> => {
  const millis =
    typeof instant === "number"
      ? instant
      : "epochMilliseconds" in instant
        ? instant.epochMilliseconds
        : instant.getTime()
  return make({ name: "time", on: { type: "until" }, schema: undefined, limit: () => millis })
}

/**
 * Waits for so long, from the time at which the visit came to the wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sleep = (duration: Duration.Input): Wait<void> =>
  make({ name: "time", on: { type: "until" }, schema: undefined, limit: after(duration) })

/**
 * Asks a person, and waits for the answer.
 *
 * - `prompt`: the question
 * - `schema`: of the answer. An answer that does not fit is refused
 * - `choices`: answers to choose from
 * - `allowFreeText`: whether others than these are taken, too; not unless said
 * - `timeout`: how long to wait; after that it fails with {@link WaitTimeout}
 *
 * @category constructors
 * @since 0.1.0
 */
export const user = <
  S extends Schema.Codec<unknown, unknown>,
  Timeout extends Duration.Input | undefined = undefined
>(
  name: string,
  options: {
    readonly prompt: string
    readonly schema: S
    readonly choices?: ReadonlyArray<S["Type"]> | undefined
    readonly allowFreeText?: boolean | undefined
    readonly timeout?: Timeout
  }
): Wait<S["Type"], TimeoutError<Timeout>> => {
  const { encode } = makeCodec(schemaOf(options.schema, name))
  const choices = options.choices?.map((choice) => Effect.runSync(encode(choice)))
  return make({
    name,
    on: {
      type: "user",
      name,
      prompt: options.prompt,
      ...(choices === undefined ? undefined : { choices }),
      ...(options.allowFreeText === true ? { freeText: true as const } : undefined)
    },
    schema: options.schema,
    limit: after(options.timeout)
  })
}

/**
 * Waits until another system says that a job of its own is finished: whoever does calls `Runs.finishJob`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const job = <
  S extends Schema.Codec<unknown, unknown>,
  Timeout extends Duration.Input | undefined = undefined
>(
  id: string,
  schema: S,
  options?: { readonly timeout?: Timeout }
): Wait<S["Type"], JobFailed | TimeoutError<Timeout>> =>
  make({ name: id, on: { type: "job", id }, schema: schemaOf(schema, id), limit: after(options?.timeout) })

/**
 * Waits for the end of a run that is started for it.
 *
 * @internal
 */
export const call = (
  flow: Flow.Any,
  input: unknown,
  options: Flow.CallOptions<Duration.Input | undefined> | undefined
): Wait<any, any> =>
  make({
    name: `a run of flow ${flow.id}`,
    // Which run it is is known when the visit has come to it.
    on: { type: "run", run: "" },
    schema: undefined,
    limit: after(options?.timeout),
    calls: { flow, input, options }
  })

/**
 * What won a race.
 *
 * @category models
 * @since 0.1.0
 */
export type Won<Waits extends { readonly [name: string]: Wait<any, any> }> = {
  [K in keyof Waits]: { readonly winner: K; readonly value: Effect.Success<Waits[K]> }
}[keyof Waits]

/**
 * Waits for the first of several waits: the one that is over first decides, the others are lost.
 *
 * @category combinators
 * @since 0.1.0
 */
export const race = <const Waits extends { readonly [name: string]: Wait<any, any> }>(
  waits: Waits
): Effect.Effect<Won<Waits>, Effect.Error<Waits[keyof Waits]>, Visit> => {
  const names = Object.keys(waits)
  const requests = names.map((name) => waits[name]!["~waymark/Wait"])
  return Effect.flatMap(Visit, (visit) =>
    Effect.map(visit.wait(requests), ({ index, value }) => ({ winner: names[index]!, value }) as Won<Waits>)
  ) as Effect.Effect<Won<Waits>, Effect.Error<Waits[keyof Waits]>, Visit>
}
