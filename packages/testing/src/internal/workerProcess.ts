/**
 * A worker as it stands in a process: everything is built anew, by the clock and on the scheduler of a machine.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Flow from "@waymark/core/Flow"
import { IdGenerator } from "@waymark/core/IdGenerator"
import type * as Runs from "@waymark/core/Runs"
import type { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import * as Given from "./given.ts"
import type { Machine } from "./virtualTime.ts"

/** The handlers of these flows, as a layer's output. */
export type HandlersOf<Flows extends ReadonlyArray<Flow.Any>> = Flows[number] extends infer F
  ? F extends Flow.Any
    ? Flow.Handlers<F["id"]>
    : never
  : never

export type WorkerOptions = Omit<Worker.Options<ReadonlyArray<Flow.Any>>, "flows">

/** What they are is for the worker to say. */
const known: { readonly [K in keyof Required<WorkerOptions>]: true } = {
  takesUp: true,
  concurrency: true,
  keepWaiting: true,
  timers: true,
  sweep: true,
  grace: true,
  drainTimeout: true,
  onRun: true
}

export const workerOptions: Given.Kind = Given.kind(
  `an object with options of Worker.layer: ${Object.keys(known).join(", ")}`,
  (value) => Given.isObject(value) && Object.keys(value).every((name) => Object.hasOwn(known, name))
)

export interface Parts<Flows extends ReadonlyArray<Flow.Any>, E, R> {
  readonly flows: Flows
  readonly handlers: Layer.Layer<HandlersOf<Flows>, E, R>
  readonly store: Layer.Layer<Store>
  /** Goes around what the handlers' layer gives the worker: executor, middleware. */
  readonly around?: Layer.Layer<never> | undefined
  readonly worker?: WorkerOptions | undefined
}

export const build = <Flows extends ReadonlyArray<Flow.Any>, E, R>({
  around = Layer.empty,
  flows,
  handlers,
  store,
  worker
}: Parts<Flows, E, R>): Effect.Effect<
  Context.Context<Worker.Worker | Runs.Runs | Store>,
  E | Worker.WorkerError,
  Exclude<R, Store> | Scope.Scope
> => {
  const layer = Worker.layer({ ...worker, flows }).pipe(
    Layer.provide(Layer.provideMerge(around, handlers)),
    Layer.provideMerge(store)
  ) as Layer.Layer<Worker.Worker | Runs.Runs | Store, E | Worker.WorkerError, Exclude<R, Store>>
  // What an earlier process built is not there any more.
  return Effect.flatMap(Effect.scope, (scope) =>
    Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), scope)
  )
}

/** Ids in order: `id-1`, `id-2` and so on. */
export const sequentialIds = (): IdGenerator => {
  let count = 0
  return { next: Effect.sync(() => `id-${++count}`) }
}

/** What surrounds a process: whatever is there already, but the machine's own time, chance and ids. */
export const contextOn = <R>(
  machine: Machine,
  outer: Context.Context<R>,
  random: typeof Random.Random.Service,
  ids: IdGenerator
): Context.Context<R> =>
  Context.merge(Context.omit(Layer.CurrentMemoMap)(outer), machine.context).pipe(
    Context.add(Random.Random, random),
    Context.add(IdGenerator, ids)
  ) as Context.Context<R>
