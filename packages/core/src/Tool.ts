/**
 * Tools: the effects of a flow on the world outside of it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type {
  Compensable,
  CompensableBy,
  Compensate,
  Done,
  HandlersOf
} from "./internal/definition/compensable.ts"
import { type Fields, inputOf, type InputOf } from "./internal/definition/input.ts"
import { holdSecrets, inspect } from "./internal/definition/inspect.ts"
import { checkSchedule, checkWord, stops } from "./internal/definition/options.ts"
import { DefinitionError, type Problem, problemsOf } from "./internal/definition/problem.ts"
import { captureSite, type Site } from "./internal/definition/site.ts"
import { Visit } from "./Visit.ts"

export type { Compensable, Compensate, Done }

/**
 * Identifies the handler of the tool `Name` among a layer's requirements.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<in out Name extends string> {
  readonly "~waymark/Tool/Handler": Name
}

/**
 * The service behind a {@link Handler}: what a tool's layer provides.
 *
 * - `handler`: carries out one try of a call
 * - `compensate`: undoes a call; tools that declare that their calls can be undone have it
 * - `context`: what was there when the layer was built; a handler runs with it, and with an {@link Invocation}
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerService {
  readonly tool: Any
  readonly handler: (input: any) => Effect.Effect<any, any, any>
  readonly compensate?: (done: Done<any, any>) => Effect.Effect<any, any, any>
  readonly context: Context.Context<any>
}

/**
 * The key under which a tool's handler is provided.
 *
 * @category services
 * @since 0.1.0
 */
export const handlerKey = <const Name extends string>(
  name: Name
): Context.Key<Handler<Name>, HandlerService> =>
  Context.Service<Handler<Name>, HandlerService>(`@waymark/core/Tool/${name}`)

/**
 * The try of a call that a tool's handler is carrying out, or undoing.
 *
 * - `key`: the idempotency key. It is the same for all tries of one call, in this process and the next, and no other
 *   call has it: pass it on to systems that can recognise a request they have seen. Undoing a call has its own
 * - `attempt`: from 1; one more than the tries of this call that are known to have failed and that another one follows by
 *   the tool's `retry` policy. A try in doubt (whoever made it died before its result was journaled) is made again under
 *   the number that it had: `repeated` tells the two apart
 * - `run`, `branch`, `node`, `visit`: where the call was made
 * - `repeated`: whether an earlier try may have taken effect without its result being known: it was in doubt, or took too
 *   long
 * - `beat`: says that the try is alive, for tools that have to: see {@link heartbeat}
 *
 * @category services
 * @since 0.1.0
 */
export class Invocation extends Context.Service<
  Invocation,
  {
    readonly key: string
    readonly attempt: number
    readonly run: string
    readonly branch: string
    readonly node: string
    readonly visit: number
    readonly repeated: boolean
    readonly beat?: Effect.Effect<void>
  }
>()("@waymark/core/Tool/Invocation") {}

/**
 * Says that the try of a call is alive, in a tool's handler. A tool that has a `heartbeat` must say so at least as often;
 * for others it does nothing.
 *
 * @category getters
 * @since 0.1.0
 */
export const heartbeat: Effect.Effect<void, never, Invocation> = /* @__PURE__ */ Effect.flatMap(
  Invocation,
  ({ beat }) => beat ?? Effect.void
)

/**
 * Options of one call.
 *
 * - `key`: tells calls of one visit apart that have the same input; by default they are numbered
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  readonly key?: string | undefined
}

/**
 * - `atLeastOnce`: a call whose result is not known after a crash is carried out again, with the same key
 * - `atMostOnce`: it is never carried out again
 *
 * @category models
 * @since 0.1.0
 */
export type Delivery = "atLeastOnce" | "atMostOnce"

/**
 * What becomes of an `atMostOnce` call whose result is not known: the run pauses for a person to decide, or the visit
 * fails.
 *
 * @category models
 * @since 0.1.0
 */
export type InDoubt = "pause" | "fail"

/**
 * A definition of an effect on the outside world, with the schemas of what goes in and comes out.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tool<
  Name extends string,
  Input extends Schema.Codec<unknown, unknown>,
  Output extends Schema.Codec<unknown, unknown>,
  Err extends Schema.Codec<unknown, unknown>,
  C extends Compensable = "none"
> {
  readonly name: Name
  readonly input: Input
  readonly output: Output
  readonly error: Err
  /** When a failed try is followed by another. */
  readonly retry: Schedule.Schedule<unknown, any> | undefined
  /** Which errors are followed by another try; all of them if it is `undefined`. */
  readonly while: ((error: any) => boolean) | undefined
  /** The limit of one try. */
  readonly timeout: Duration.Duration | undefined
  /** How long a try may show no sign of life. */
  readonly heartbeat: Duration.Duration | undefined
  readonly delivery: Delivery
  readonly inDoubt: InDoubt
  readonly key: ((input: any) => string) | undefined
  /** How its calls are undone if their run fails or is cancelled; they are not if it is `undefined`. */
  readonly compensate: Any["compensate"]
  readonly description: string | undefined
  readonly site: () => Site | undefined

  /**
   * Calls the tool, once and for all: if the run is executed again, the call answers with its recorded result.
   *
   * It can be used in the handlers of nodes only.
   */
  readonly call: (
    input: Input["Type"],
    options?: CallOptions
  ) => Effect.Effect<Output["Type"], Err["Type"], Handler<Name> | Visit>

  /**
   * Gives the tool its handler: a function from the input, or an effect that makes one.
   *
   * A tool whose calls can be undone gets two: `call`, and `compensate`, which undoes what `call` did. That is executed
   * at least once, so it has to bear being executed again; `Invocation.key` tells that it is.
   */
  readonly toLayer: <R = never, EX = never, RX = never, RC = never>(
    handler:
      | HandlersOf<Input["Type"], Output["Type"], Err["Type"], C, R, RC>
      | Effect.Effect<HandlersOf<Input["Type"], Output["Type"], Err["Type"], C, R, RC>, EX, RX>
  ) => Layer.Layer<Handler<Name>, EX, Exclude<R | RC, Invocation | Scope.Scope> | Exclude<RX, Scope.Scope>>
}

/**
 * Any tool.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly name: string
  readonly input: Schema.Codec<any, any>
  readonly output: Schema.Codec<any, any>
  readonly error: Schema.Codec<any, any>
  readonly retry: Schedule.Schedule<unknown, any> | undefined
  readonly while: ((error: any) => boolean) | undefined
  readonly timeout: Duration.Duration | undefined
  readonly heartbeat: Duration.Duration | undefined
  readonly delivery: Delivery
  readonly inDoubt: InDoubt
  readonly key: ((input: any) => string) | undefined
  readonly compensate:
    | {
        readonly retry: Schedule.Schedule<unknown, any> | undefined
        readonly timeout: Duration.Duration | undefined
        readonly inDoubt: boolean
      }
    | undefined
  readonly description: string | undefined
  readonly site: () => Site | undefined
}

/**
 * A try of a call has shown no sign of life for as long as the tool's `heartbeat` (milliseconds).
 *
 * @category errors
 * @since 0.1.0
 */
export class ToolStalled extends Schema.TaggedError<ToolStalled>()("ToolStalled", {
  tool: Schema.String,
  millis: Schema.Finite
}) {
  override get message(): string {
    return `tool "${this.tool}" has not shown for ${this.millis} ms that it is alive`
  }
}

/**
 * A try of a call took longer than the tool's `timeout` (milliseconds).
 *
 * @category errors
 * @since 0.1.0
 */
export class ToolTimeout extends Schema.TaggedError<ToolTimeout>()("ToolTimeout", {
  tool: Schema.String,
  millis: Schema.Finite
}) {
  override get message(): string {
    return `tool "${this.tool}" took longer than its timeout of ${this.millis} ms`
  }
}

type StalledIf<Heartbeat> = [Heartbeat] extends [undefined] ? never : ToolStalled

export type {
  /**
   * The fields of a struct whose schemas need no services.
   *
   * @category models
   * @since 0.1.0
   */
  Fields
}

/** What a tool's layer is made of, as it comes. */
type Built =
  | HandlerService["handler"]
  | {
      readonly call: HandlerService["handler"]
      readonly compensate: NonNullable<HandlerService["compensate"]>
    }

const Proto = {
  call(this: Any, input: unknown, options?: CallOptions) {
    return Effect.flatMap(Visit, (visit) => visit.call(this, input, options))
  },
  toLayer(this: Any, build: Built | Effect.Effect<Built, unknown, unknown>) {
    const key: Context.Key<Handler<string>, HandlerService> = handlerKey(this.name)
    return Layer.effectContext(
      Effect.gen({ self: this }, function* () {
        const context: Context.Context<any> = yield* Effect.context<any>()
        const built = Effect.isEffect(build) ? yield* build : build
        const handlers =
          typeof built === "function"
            ? { handler: built }
            : { handler: built.call, compensate: built.compensate }
        return Context.make(key, { tool: this, ...handlers, context })
      })
    )
  }
}

/**
 * Defines a tool.
 *
 * - `input`: a schema, or the fields of a struct
 * - `output`, `error`: nothing and none, by default
 * - `retry`: when a failed try is followed by another; `while`: only after these errors
 * - `timeout`: the limit of one try
 * - `heartbeat`: a try that does not say for so long that it is alive (`Tool.heartbeat`) is interrupted, and counts as one
 *   that took too long: with {@link ToolStalled}
 * - `delivery`: what happens to a call whose result was lost in a crash, `atLeastOnce` by default; `inDoubt`: for
 *   `atMostOnce`, `pause` by default
 * - `key`: tells calls of one visit apart; by default their input's digest and their number do
 * - `compensate`: that completed calls are undone if their run fails or is cancelled, and how; `true` for the defaults
 *
 * It throws a {@link DefinitionError} if values of its schemas could not be stored.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  I extends Schema.Codec<unknown, unknown> | Fields,
  Output extends Schema.Codec<unknown, unknown> = Schema.Void,
  Err extends Schema.Codec<unknown, unknown> = Schema.Never,
  Timeout extends Duration.Input | undefined = undefined,
  Heartbeat extends Duration.Input | undefined = undefined,
  const C extends true | Compensate<Err["Type"]> | undefined = undefined
>(
  name: Name,
  options: {
    readonly input: I
    readonly output?: Output
    readonly error?: Err
    readonly retry?: Schedule.Schedule<
      unknown,
      Err["Type"] | ([Timeout] extends [undefined] ? never : ToolTimeout) | StalledIf<Heartbeat>
    >
    readonly while?: (error: Err["Type"] | StalledIf<Heartbeat>) => boolean
    readonly timeout?: Timeout
    readonly heartbeat?: Heartbeat
    readonly delivery?: Delivery
    readonly inDoubt?: InDoubt
    readonly key?: (input: InputOf<I>["Type"]) => string
    readonly compensate?: C
    readonly description?: string
  }
): Tool<Name, InputOf<I>, Output, Err, CompensableBy<C>> => {
  const input = inputOf(options.input)
  const output = options.output ?? Schema.Void
  const error = options.error ?? Schema.Never
  const problems: Array<Problem> = []
  if (name === "") problems.push({ _tag: "InvalidName", what: "tool", name, detail: "it is empty" })
  problems.push(
    ...problemsOf(inspect(input, "input")),
    ...problemsOf(inspect(output, "output")),
    ...problemsOf(inspect(error, "error"))
  )
  const limit = (option: string, given: Duration.Input | undefined): Duration.Duration | undefined => {
    if (given === undefined) return undefined
    const duration = Duration.fromInputUnsafe(given)
    if (!(Duration.toMillis(duration) > 0)) {
      problems.push({ _tag: "InvalidOption", option, detail: "must be longer than nothing" })
    }
    return duration
  }
  const timeout = limit("timeout", options.timeout)
  const alive = limit("heartbeat", options.heartbeat)
  const undoing: true | Compensate | undefined = options.compensate
  const undo = undoing === true ? {} : undoing
  const compensate = undo && {
    retry: undo.retry,
    timeout: limit("compensate.timeout", undo.timeout),
    inDoubt: undo.inDoubt === true
  }
  const { delivery = "atLeastOnce", inDoubt = "pause" } = options
  problems.push(
    ...checkWord("delivery", delivery, ["atLeastOnce", "atMostOnce"]),
    ...checkWord("inDoubt", inDoubt, stops),
    ...checkSchedule("retry", options.retry),
    ...checkSchedule("compensate.retry", undo?.retry)
  )
  if (options.while !== undefined && options.retry === undefined) {
    problems.push({
      _tag: "InvalidOption",
      option: "while",
      detail: "says what to retry, but there is no `retry`"
    })
  }
  if (problems.length > 0) throw new DefinitionError({ definition: "tool", id: name, problems })
  return Object.assign(Object.create(Proto), {
    name,
    input,
    output,
    error,
    retry: options.retry,
    while: options.while,
    timeout,
    heartbeat: alive,
    delivery,
    inDoubt,
    key: options.key,
    compensate,
    description: options.description,
    site: captureSite(make)
  })
}

export {
  /**
   * A tool is defined in a way that cannot work.
   *
   * @category errors
   * @since 0.1.0
   */
  DefinitionError
}

/**
 * Whether the tool's input, output or error holds secrets (`Schema.Redacted`), which are stored encrypted only: the
 * worker must have a codec that encrypts.
 *
 * @category predicates
 * @since 0.1.0
 */
export const requiresCodec = (tool: Any): boolean => holdSecrets([tool.input, tool.output, tool.error])
