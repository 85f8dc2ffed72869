/**
 * Executes runs: claims them, recovers them after crashes, drains in good order.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { Codec } from "./Codec.ts"
import * as Flow from "./Flow.ts"
import { Hasher } from "./Hasher.ts"
import { checkHandlers } from "./internal/definition/check.ts"
import { isCount } from "./internal/definition/count.ts"
import { describe } from "./internal/definition/problem.ts"
import { twoOf } from "./internal/definition/site.ts"
import type { Environment } from "./internal/engine/environment.ts"
import type { Stuck } from "./internal/engine/grace.ts"
import * as Pool from "./internal/engine/pool.ts"
import { NodeMiddlewares, ToolMiddlewares } from "./Middleware.ts"
import * as Runs from "./Runs.ts"
import type { RunState } from "./RunState.ts"
import { Store } from "./Store.ts"
import * as Tool from "./Tool.ts"
import { ToolExecutor } from "./ToolExecutor.ts"

/**
 * A worker cannot work as it is set up.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerError extends Schema.TaggedError<WorkerError>()("WorkerError", {
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

export type { Stuck }

/**
 * A running worker.
 *
 * - `owner`: the name of the store's owner that its leases are given to
 * - `running`: the ids of the runs it is executing, and of those that wait for a free place
 * - `stuck`: handlers and calls that were interrupted and have not stopped in time; their runs went on without them
 * - `drain`: stops claiming, interrupts what is executing without journaling a failure, makes everything durable and
 *   lets go of all runs; it is done when that is done. Closing the layer does it, too
 * - `takeUp`: asks it to execute a run that nobody executes, and the runs that this one starts; for workers that take up
 *   only what they are asked for. What nobody can execute now it takes up when there is something to do
 *
 * @category services
 * @since 0.1.0
 */
export class Worker extends Context.Service<
  Worker,
  {
    readonly owner: string
    readonly running: Effect.Effect<ReadonlyArray<string>>
    readonly stuck: Effect.Effect<ReadonlyArray<Stuck>>
    readonly drain: Effect.Effect<void>
    readonly takeUp: (run: string) => Effect.Effect<void>
  }
>()("@waymark/core/Worker") {}

/**
 * How a worker works. What it cannot work by is refused when it is built, all of it at once.
 *
 * - `flows`: what it executes; their handlers, and those of their tools, are in the layer's requirements
 * - `takesUp`: which of the runs that nobody executes: `"all"` by default; or only those that it is `"asked"` for, which are
 *   those that its own client starts, joins or forks, those that `takeUp` names, and the runs that any of these start
 * - `concurrency`: how many runs are executed at once, 64 by default; those that wait, or sleep until they are tried again,
 *   do not count
 * - `keepWaiting`: how long the fiber of a visit that waits is kept in memory, not at all by default. Kept or not, the run
 *   comes to the same; a wait that is over soon costs less if it is. Those of nodes with a timeout are not kept
 * - `timers`: at most how long it goes without a look at what is due (waits, and what is to be tried again), 30 seconds by
 *   default: clocks may be set, and other processes start waits, too
 * - `sweep`: how often it looks for runs that nobody owns besides being told of them, every 15 seconds by default
 * - `grace`: how long a handler or a call has to end that is interrupted because its run is cancelled or it took too long,
 *   10 seconds by default; what takes longer is reported and left behind, and can call no tool any more
 * - `drainTimeout`: how long draining waits for what is executing, 30 seconds by default; what takes longer is reported
 *   and left behind
 * - `onRun`: told of each run that it takes up, and of each that it lets go of, because it has ended, waits, is paused or the
 *   worker drains; with the run as it is then. Nothing waits for it
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Flows extends ReadonlyArray<Flow.Any>> {
  readonly flows: Flows
  readonly takesUp?: "all" | "asked" | undefined
  readonly concurrency?: number | undefined
  readonly keepWaiting?: Duration.Input | undefined
  readonly timers?: Duration.Input | undefined
  readonly sweep?: Duration.Input | undefined
  readonly grace?: Duration.Input | undefined
  readonly drainTimeout?: Duration.Input | undefined
  readonly onRun?: ((run: RunState, what: "takenUp" | "atRest") => Effect.Effect<void>) | undefined
}

type HandlersOf<Flows extends ReadonlyArray<Flow.Any>> = Flows[number] extends infer F
  ? F extends Flow.Any
    ? Flow.Handlers<F["id"]>
    : never
  : never

const withoutSpan = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.omit(Tracer.ParentSpan)(context as Context.Context<any>)

/** Why handlers are not those of a flow, although they are known by its id. */
const misfitOf = (flow: Flow.Any, { flow: of, handlers }: Flow.HandlersService): string | undefined => {
  if (of === flow) return undefined
  const problems = checkHandlers(flow, handlers)
  if (problems.length === 0 && of.version === flow.version) return undefined
  const which = `flow ${JSON.stringify(flow.id)} of version ${flow.version} is given the handlers of its version ${of.version}`
  return [which, ...problems.map((problem) => `- ${describe(problem)}`)].join("\n")
}

/** The tools whose layers are in a context. */
function* toolsIn(context: Context.Context<any>): Generator<readonly [string, Tool.Any]> {
  const prefix = Tool.handlerKey("").key
  for (const [key, service] of context.mapUnsafe) {
    if (key.startsWith(prefix)) yield [key.slice(prefix.length), (service as Tool.HandlerService).tool]
  }
}

const servicesOf = (
  flows: ReadonlyArray<Flow.Any>,
  context: Context.Context<never>,
  codec: Codec | undefined
): Effect.Effect<ReadonlyMap<string, Flow.HandlersService>, WorkerError> =>
  Effect.suspend(() => {
    const services = new Map<string, Flow.HandlersService>()
    const tools = new Map<string, Tool.Any>()
    const refused = (detail: string) => Effect.fail(new WorkerError({ detail }))
    for (const flow of flows) {
      const other = services.get(flow.id)?.flow
      if (other !== undefined) return refused(twoOf("flow", flow.id, other, flow))
      if (Flow.requiresCodec(flow) && codec?.encrypts !== true) {
        return refused(
          `flow ${JSON.stringify(flow.id)} has Redacted values: provide a Codec that encrypts what is stored`
        )
      }
      const service = Context.getUnsafe(
        context,
        Flow.handlersKey(flow.id) as Context.Key<never, Flow.HandlersService>
      )
      const problem = misfitOf(flow, service)
      if (problem !== undefined) return refused(problem)
      for (const [name, tool] of toolsIn(service.context)) {
        const known = tools.get(name)
        if (known !== undefined && known !== tool) return refused(twoOf("tool", name, known, tool))
        tools.set(name, tool)
      }
      const merged = Context.merge(context, withoutSpan(service.context as Context.Context<never>))
      services.set(flow.id, { ...service, flow, context: merged as Context.Context<any> })
    }
    return Effect.succeed(services)
  })

/** Those that are durations, and the shortest that each may be, in milliseconds: a worker that never pauses does nothing else. */
const durations = [
  ["sweep", 1],
  ["timers", 1],
  ["grace", 0],
  ["keepWaiting", 0],
  ["drainTimeout", 0]
] as const

const checkOptions = (options: Options<ReadonlyArray<Flow.Any>>): Effect.Effect<void, WorkerError> => {
  const problems: Array<string> = []
  const { concurrency = 1 } = options
  if (!isCount(concurrency, 1)) {
    problems.push(
      `\`concurrency\` is ${concurrency}; it must be a whole number from 1, or nothing would be executed`
    )
  }
  for (const [name, least] of durations) {
    const given = options[name] ?? least
    const duration = Duration.fromInput(given)
    // As a duration NaN is none at all.
    if (Option.isSome(duration) && !Number.isNaN(given) && Duration.toMillis(duration.value) >= least)
      continue
    const asIs = typeof given === "number" || typeof given === "bigint"
    const legible = typeof given === "object" ? Option.getOrUndefined(duration) : undefined
    const shown = asIs ? String(given) : legible === undefined ? JSON.stringify(given) : String(legible)
    problems.push(`\`${name}\` is ${shown}; it must be a duration of at least ${least} ms`)
  }
  return problems.length === 0 ? Effect.void : Effect.fail(new WorkerError({ detail: problems.join("\n") }))
}

/**
 * A worker that executes the runs of some flows, and the client to start and steer runs with.
 *
 * It begins by taking up what is unfinished in the store and owned by nobody, unless it takes up only what it is asked for.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Flows extends ReadonlyArray<Flow.Any>>(
  options: Options<Flows>
): Layer.Layer<Worker | Runs.Runs, WorkerError, Store | HandlersOf<Flows>> =>
  Layer.effectContext(
    Effect.gen(function* () {
      yield* checkOptions(options)
      // Spans of runs do not belong to whatever builds the layer.
      const context = withoutSpan(yield* Effect.context<Store | HandlersOf<Flows>>())
      const store = Context.get(context, Store)
      const codec = yield* Codec
      const environment: Omit<Environment, "deadlines" | "places"> = {
        store,
        codec,
        hash: (yield* Hasher).hash,
        clock: yield* Clock.Clock,
        context,
        grace: Duration.fromInputUnsafe(options.grace ?? "10 seconds"),
        stuck: new Set(),
        executor: yield* ToolExecutor,
        nodeMiddlewares: yield* NodeMiddlewares,
        toolMiddlewares: yield* ToolMiddlewares,
        lookInterval: Duration.toMillis(Duration.fromInputUnsafe(options.timers ?? "30 seconds")),
        keepWaiting: Duration.toMillis(Duration.fromInputUnsafe(options.keepWaiting ?? 0)),
        traced: context.mapUnsafe.has(Tracer.TracerKey)
      }
      const services = yield* servicesOf(options.flows, context, codec)
      const pool = yield* Pool.make(environment, services, {
        takesUp: options.takesUp ?? "all",
        onRun: options.onRun,
        concurrency: options.concurrency ?? 64,
        sweep: options.sweep ?? "15 seconds",
        timers: options.timers ?? "30 seconds",
        drainTimeout: options.drainTimeout ?? "30 seconds"
      })
      const runs = yield* Runs.make({ starter: pool.starter })
      return Context.make(
        Worker,
        Worker.of({
          owner: store.owner,
          running: pool.running,
          stuck: Effect.sync(() => [...environment.stuck]),
          drain: pool.drain,
          takeUp: pool.starter.takeUp
        })
      ).pipe(Context.add(Runs.Runs, runs))
    })
  )
