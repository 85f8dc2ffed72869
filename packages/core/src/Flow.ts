/**
 * Flows: graphs of nodes over a typed state.
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
import type { Durability } from "./Event.ts"
import { check, checkHandlers } from "./internal/definition/check.ts"
import type { ContextOf } from "./internal/definition/context.ts"
import { fingerprintOf } from "./internal/definition/fingerprint.ts"
import type { BranchesOf, CheckNodes } from "./internal/definition/fit.ts"
import { type Fields, inputOf, type InputOf } from "./internal/definition/input.ts"
import { holdSecrets, schemasOf } from "./internal/definition/inspect.ts"
import { DefinitionError } from "./internal/definition/problem.ts"
import type { Invalid } from "./internal/definition/invalid.ts"
import type * as Migrations from "./internal/definition/migration.ts"
import { captureSite, type Site } from "./internal/definition/site.ts"
import type * as Next from "./Next.ts"
import type * as Node from "./Node.ts"
import type * as Run from "./Run.ts"
import type * as State_ from "./State.ts"
import type { Run as RunRef } from "./Runs.ts"
import { Visit } from "./Visit.ts"
import * as Wait from "./Wait.ts"

/**
 * Identifies the handlers of the flow `Id` among a layer's requirements.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers<in out Id extends string> {
  readonly "~waymark/Flow/Handlers": Id
}

/**
 * The service behind {@link Handlers}: what a flow's layer provides.
 *
 * - `context`: what was there when the layer was built; the handlers run with it, and with a `Visit`
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlersService {
  readonly flow: Any
  readonly handlers: { readonly [node: string]: (context: any) => Effect.Effect<any, any, any> }
  readonly context: Context.Context<any>
}

/**
 * The key under which a flow's handlers are provided.
 *
 * @category services
 * @since 0.1.0
 */
export const handlersKey = <const Id extends string>(id: Id): Context.Key<Handlers<Id>, HandlersService> =>
  Context.Service<Handlers<Id>, HandlersService>(`@waymark/core/Flow/${id}`)

/**
 * The nodes of a flow, by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Nodes {
  readonly [node: string]: Node.Any
}

/**
 * The schemas of signals, by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signals {
  readonly [name: string]: Schema.Codec<any, any>
}

/**
 * When a run that would fail because a node failed for good is restarted from that node instead. What its calls achieved
 * by then is kept, and the node's retry policy begins anew.
 *
 * - `max`: how often in all; recoveries do not reset the count, a retry by a person does
 * - `schedule`: how long after each failure; at once, and `max` times, by default
 * - `fatal`: after which errors it fails at once: their tags, or a condition on the error (a defect is an `Error` with the
 *   name and message of what was thrown)
 *
 * @category models
 * @since 0.1.0
 */
export interface Restart<Tag extends string = any> {
  readonly max: number
  readonly schedule?: Schedule.Schedule<unknown> | undefined
  readonly fatal?: ReadonlyArray<Tag> | ((error: unknown) => boolean) | undefined
}

/**
 * What the handler of a node gets.
 *
 * - `state`: the state at the start of the visit
 * - `input`: the input of the run
 * - `next`: the ways on
 *
 * A node that takes an item gets an `item`, too; a node that is the join of a fan-out gets `branches`: how each branch
 * came out, in branch order. There are none if the visit did not come of a fan-out.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerContext<Input, C extends State_.Channels, Nexts> {
  readonly state: State_.State<C>
  readonly input: Input
  readonly next: Nexts
}

/**
 * The definition of a flow. It holds no behaviour: that is given with `toLayer`, where the flow is executed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flow<
  Id extends string,
  I extends Schema.Codec<unknown, unknown>,
  C extends State_.Channels,
  O extends Schema.Codec<unknown, unknown>,
  E extends Schema.Codec<unknown, unknown>,
  N extends Nodes,
  S extends Signals = Signals
> {
  readonly id: Id
  /** The version of the definition; runs of another one are not continued without a migration. */
  readonly version: number
  readonly input: I
  readonly state: C
  readonly output: O
  readonly error: E
  /** The first node. */
  readonly startNode: string
  readonly nodes: N
  /** The signals that are kept if they come before a run waits for them, and the schemas of their payloads. */
  readonly signals: S
  /** How runs of earlier versions are brought to this one, oldest first. */
  readonly migrations: ReadonlyArray<Migrations.Any>
  readonly durability: Durability
  /** How many visits a run may complete. */
  readonly maxSteps: number
  /** The share of these after which the journal gets a warning. */
  readonly warnAt: number | undefined
  /** What happens at the visit after them. */
  readonly onExceeded: "pause" | "fail"
  /** What runs may spend. */
  readonly budgets: ReadonlyArray<Run.AnyBudget>
  /** How often in a row a run may be recovered from crashes without completing a visit. */
  readonly maxRecoveries: number
  /** When a run that would fail is restarted from the node that failed; never if it is `undefined`. */
  readonly restart: Restart | undefined
  /** How long a run may take. */
  readonly timeout: Duration.Duration | undefined
  readonly description: string | undefined
  readonly site: () => Site | undefined
  /** A digest of the flow's shape and schemas: equal as long as runs of the one can be continued by the other. */
  readonly fingerprint: string

  /**
   * Gives the flow its handlers, one per node: an object of them, or an effect that makes one.
   *
   * What the handlers need stays in the layer's requirements, the handlers of their tools included.
   */
  readonly toLayer: <H extends HandlersOf<I["Type"], C, O["Type"], E["Type"], N>, EX = never, RX = never>(
    handlers: (H & NoOthers<H, N>) | Effect.Effect<H & NoOthers<H, N>, EX, RX>
  ) => Layer.Layer<Handlers<Id>, EX, Exclude<RX, Scope.Scope> | HandlersServices<H>>

  /**
   * Starts a run of this flow in a visit of another run, and waits for its end: succeeds with its output, fails with its
   * typed errors. That it failed otherwise is the defect `Runs.RunFailed`, that it was cancelled `Runs.RunCancelled`.
   *
   * It is a `Wait`: no fiber is held, it belongs on the visit's own fiber, and it can be raced with others. It can be used in
   * the handlers of nodes only; the run is executed by whichever worker has the flow. When its time is over, or it has lost
   * its race, the run is cancelled.
   */
  readonly call: <Timeout extends Duration.Input | undefined = undefined>(
    input: I["Type"],
    options?: CallOptions<Timeout>
  ) => Wait.Wait<O["Type"], E["Type"] | Wait.TimeoutError<Timeout>>

  /**
   * Starts a run of this flow in a visit of another run, once, and does not wait for it. The run is on its own from then
   * on: it is not cancelled with the run that started it.
   */
  readonly start: (
    input: I["Type"],
    options?: ChildOptions
  ) => Effect.Effect<RunRef<Flow<Id, I, C, O, E, N, S>>, never, Visit>
}

/**
 * How to start a run from within another. Session, actor and correlation id are those of the run that starts it.
 *
 * - `key`: tells the calls of one visit apart. By default calls of one flow are numbered, in the order in which the visit
 *   comes to them; what is started without waiting is known by its input and its number among equals
 * - `tags`, `attributes`: to find it by
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildOptions {
  readonly key?: string | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly attributes?: { readonly [name: string]: string } | undefined
}

/**
 * How to start a run from within another and wait for it; with `timeout` for so long, and then fail with `WaitTimeout`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<Timeout> extends ChildOptions {
  readonly timeout?: Timeout
}

type HandlersOf<Input, C extends State_.Channels, Output, Err, N extends Nodes> = {
  readonly [K in keyof N]: (
    context: ContextOf<N, K, Input, C, Output, Err>
  ) => Effect.Effect<
    Next.Returned<N[K]["to"][number], C, Output, BranchesOf<N[K]>>,
    Err | N[K]["error"]["Type"],
    any
  >
}

type NoOthers<H, N> = {
  readonly [K in Exclude<keyof H, keyof N>]: Invalid<`"${K & string}" is not a node of this flow`>
}

type HandlersServices<H> = Exclude<
  { [K in keyof H]: H[K] extends (...args: any) => Effect.Effect<any, any, infer R> ? R : never }[keyof H],
  Visit | Scope.Scope
>

/**
 * Any flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly id: string
  readonly version: number
  readonly input: Schema.Codec<any, any>
  readonly state: State_.Channels
  readonly output: Schema.Codec<any, any>
  readonly error: Schema.Codec<any, any>
  readonly startNode: string
  readonly nodes: Nodes
  readonly signals: Signals
  readonly migrations: ReadonlyArray<Migrations.Any>
  readonly durability: Durability
  readonly maxSteps: number
  readonly warnAt: number | undefined
  readonly onExceeded: "pause" | "fail"
  readonly budgets: ReadonlyArray<Run.AnyBudget>
  readonly maxRecoveries: number
  readonly restart: Restart | undefined
  readonly timeout: Duration.Duration | undefined
  readonly description: string | undefined
  readonly site: () => Site | undefined
  readonly fingerprint: string
}

/**
 * The input of a flow's runs.
 *
 * @category models
 * @since 0.1.0
 */
export type Input<F extends Any> = F["input"]["Type"]

/**
 * The output of a flow's runs.
 *
 * @category models
 * @since 0.1.0
 */
export type Output<F extends Any> = F["output"]["Type"]

/**
 * The errors that a flow's runs may fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type Error<F extends Any> = F["error"]["Type"]

/**
 * What the signal `Name` carries: what the flow's schema for it says; anything if the flow does not name it.
 *
 * @category models
 * @since 0.1.0
 */
export type SignalPayload<F extends Any, Name extends string> = Name extends keyof F["signals"]
  ? F["signals"][Name]["Type"]
  : unknown

/**
 * What a flow's handlers see of its state.
 *
 * @category models
 * @since 0.1.0
 */
export type State<F extends Any> = State_.State<F["state"]>

/**
 * The handler of the node `K` of a flow, to write it apart from the others.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<F extends Any, K extends keyof F["nodes"], R = never> = (
  context: ContextOf<F["nodes"], K, Input<F>, F["state"], Output<F>, Error<F>>
) => Effect.Effect<
  Next.Returned<F["nodes"][K]["to"][number], F["state"], Output<F>, BranchesOf<F["nodes"][K]>>,
  Error<F> | F["nodes"][K]["error"]["Type"],
  R
>

type Proto = Pick<Any, "fingerprint"> & {
  readonly toLayer: unknown
  readonly call: unknown
  readonly start: unknown
}

const fingerprints = new WeakMap<object, string>()

const Proto: Proto & ThisType<Any> = {
  get fingerprint() {
    let fingerprint = fingerprints.get(this)
    if (fingerprint === undefined) {
      fingerprint = fingerprintOf(this)
      fingerprints.set(this, fingerprint)
    }
    return fingerprint
  },
  toLayer(
    this: Any,
    build: HandlersService["handlers"] | Effect.Effect<HandlersService["handlers"], unknown, unknown>
  ) {
    const key: Context.Key<Handlers<string>, HandlersService> = handlersKey(this.id)
    return Layer.effectContext(
      Effect.gen({ self: this }, function* () {
        const context = yield* Effect.context<any>()
        const handlers = Effect.isEffect(build) ? yield* build : build
        const problems = checkHandlers(this, handlers)
        if (problems.length > 0)
          return yield* Effect.die(new DefinitionError({ definition: "flow", id: this.id, problems }))
        return Context.make(key, { flow: this, handlers, context })
      })
    )
  },
  call(this: Any, input: unknown, options?: CallOptions<Duration.Input | undefined>) {
    return Wait.call(this, input, options)
  },
  start(this: Any, input: unknown, options?: ChildOptions) {
    return Effect.flatMap(Visit, (visit) => visit.start(this, input, options))
  }
}

/**
 * Defines a flow.
 *
 * - `version`: 1 by default
 * - `migrations`: how runs of earlier versions are continued: one from each version to the next (see `Migration`)
 * - `input`: the schema of what runs start with, or the fields of a struct
 * - `output`, `error`: schemas of what they end with (nothing by default) and may fail with (none by default)
 * - `state`: the channels (none by default)
 * - `start`: the first node
 * - `signals`: the schemas of the signals that are kept if they come before a run waits for them, by name (none by default);
 *   others are refused until it does
 * - `durability`: when what a run did becomes durable, `pipelined` by default
 * - `maxSteps`: how many visits a run may complete, 10,000 by default
 * - `onExceeded`: what the visit after them does: `fail` (the default) fails the run; `pause` pauses it until it has a
 *   higher limit (`Runs.setLimits`) and is resumed
 * - `warnAt`: the share of `maxSteps` (0.8, say) after which a `limitWarned` event is written
 * - `budgets`: what runs may spend, made by `Run.budget`; each run has its own
 * - `maxRecoveries`: how often in a row a run may be recovered from crashes without completing a visit, 10 by default
 * - `restart`: when a run that would fail is restarted from the node that failed, never by default
 * - `timeout`: how long a run may take in all, its waits, delays and restarts included; while it is paused it does not
 *   fail for that. There is no limit by default
 *
 * It throws a {@link DefinitionError} that lists everything that is wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Id extends string,
  I extends Schema.Codec<unknown, unknown> | Fields,
  const N extends Nodes,
  C extends State_.Channels = {},
  O extends Schema.Codec<unknown, unknown> = Schema.Void,
  E extends Schema.Codec<unknown, unknown> = Schema.Never,
  const V extends number = number,
  const M extends ReadonlyArray<Migrations.Any> = readonly [],
  S extends Signals = {}
>(
  id: Id,
  options: {
    readonly version?: V
    readonly migrations?: M & Migrations.CheckChain<M, Migrations.Version<V, C, InputOf<I>>, keyof N & string>
    readonly input: I
    readonly state?: C
    readonly output?: O
    readonly error?: E
    readonly start: keyof N & string
    readonly nodes: N & CheckNodes<N, E["Type"], O["Type"]>
    readonly signals?: S
    readonly durability?: Durability
    readonly maxSteps?: number
    readonly onExceeded?: "pause" | "fail"
    readonly warnAt?: number
    readonly budgets?: ReadonlyArray<Run.AnyBudget>
    readonly maxRecoveries?: number
    readonly restart?: Restart<Node.Tags<E["Type"]> | "NodeTimeout">
    readonly timeout?: Duration.Input
    readonly description?: string
  }
): Flow<Id, InputOf<I>, C, O, E, N, S> => {
  const flow: Any = Object.assign(Object.create(Proto), {
    id,
    version: options.version ?? 1,
    input: inputOf(options.input),
    state: options.state ?? {},
    output: options.output ?? Schema.Void,
    error: options.error ?? Schema.Never,
    startNode: options.start,
    nodes: options.nodes,
    signals: options.signals ?? {},
    migrations: options.migrations ?? [],
    durability: options.durability ?? "pipelined",
    maxSteps: options.maxSteps ?? 10_000,
    warnAt: options.warnAt,
    onExceeded: options.onExceeded ?? "fail",
    budgets: options.budgets ?? [],
    maxRecoveries: options.maxRecoveries ?? 10,
    restart: options.restart,
    timeout: options.timeout === undefined ? undefined : Duration.fromInputUnsafe(options.timeout),
    description: options.description,
    site: captureSite(make)
  })
  const problems = check(flow)
  // It may be anything where nobody asked the compiler.
  const given: unknown = id
  if (problems.length > 0) throw new DefinitionError({ definition: "flow", id: String(given), problems })
  return flow as any
}

export {
  /**
   * A flow is defined in a way that cannot work.
   *
   * @category errors
   * @since 0.1.0
   */
  DefinitionError
}

/**
 * Whether a flow's schemas hold secrets (`Schema.Redacted`), which are stored encrypted only: the worker must have a
 * codec that encrypts.
 *
 * @category predicates
 * @since 0.1.0
 */
export const requiresCodec = (flow: Any): boolean => holdSecrets(schemasOf(flow))

export {
  /**
   * A flow as plain data: nodes, edges, policies, JSON Schemas, definition sites.
   *
   * @category constructors
   * @since 0.1.0
   */
  manifest
} from "./Manifest.ts"
