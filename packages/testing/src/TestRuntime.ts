/**
 * A worker to test flows with: in memory, in virtual time, with chance and ids that are the same every time.
 *
 * Time stands still until the test moves it, with `TestClock.adjust` from `effect/testing`, or with `advanceToNext`, which
 * jumps to the next timer. The worker can be stopped and started again on the same disk: in good order (`"drain"`), or as
 * if its process had died (`"crash"`). The client stays, as one in another process would.
 *
 * ```ts
 * import * as Flow from "@waymark/core/Flow"
 * import * as Node from "@waymark/core/Node"
 * import * as Runs from "@waymark/core/Runs"
 * import * as Tool from "@waymark/core/Tool"
 * import * as FakeTools from "@waymark/testing/FakeTools"
 * import * as TestRuntime from "@waymark/testing/TestRuntime"
 * import { assert, it } from "@effect/vitest"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Schema from "effect/Schema"
 *
 * const Fetch = Tool.make("fetch", { input: { url: Schema.String }, output: Schema.String })
 * const Read = Flow.make("read", {
 *   input: Schema.String,
 *   output: Schema.String,
 *   start: "fetch",
 *   nodes: { fetch: Node.make({ to: ["end"] }) }
 * })
 * const handlers = Read.toLayer({
 *   fetch: ({ input, next }) => Effect.map(Fetch.call({ url: input }), (page) => next.end(page))
 * })
 *
 * it.effect("survives the death of its worker during a call", () => {
 *   const tools = FakeTools.make(FakeTools.always(Fetch, FakeTools.after("1 minute", FakeTools.succeed("page"))))
 *   return Effect.gen(function*() {
 *     const runs = yield* Runs.Runs
 *     const runtime = yield* TestRuntime.TestRuntime
 *     const run = yield* runs.start(Read, "a", { id: "r" })
 *     yield* runtime.idle
 *     yield* runtime.restart("crash")
 *     yield* runtime.advanceToNext
 *     assert.strictEqual(yield* runs.await(run), "page")
 *     assert.deepStrictEqual(tools.calls(Fetch).map(({ result }) => result), ["pending", "succeeded"])
 *   }).pipe(Effect.provide(TestRuntime.layer({ flows: [Read], handlers: Layer.provide(handlers, tools.layer) })))
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import * as Given from "./internal/given.ts"
import * as VirtualTime from "./internal/virtualTime.ts"
import { TestRuntime } from "./internal/testRuntime.ts"
import type { Stop } from "./internal/testRuntime.ts"
import * as WorkerProcess from "./internal/workerProcess.ts"
import type { HandlersOf } from "./internal/workerProcess.ts"

export { ExpectationFailed } from "./internal/expectation.ts"
export * from "./internal/expectations.ts"
export { TestRuntime }
export type { Stop }

/**
 * What to run.
 *
 * - `flows`, `handlers`: what the worker executes; the layer is built anew, in virtual time, for every worker
 * - `disk`: a disk to go on with; a new one unless given
 * - `flush`: when what the worker appends becomes durable; only when somebody waits for it, unless said otherwise
 * - `store`: goes around the store of every worker, not of the client: the `store` of `Faults`, or a layer of yours
 * - `now`: the time to begin at, in milliseconds since 1970, 0 by default
 * - `seed`: for Random
 * - `worker`: how the worker works; unless said otherwise it does not sweep, and does not look now and then at what is due
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Flows extends ReadonlyArray<Flow.Any>, E, R> {
  readonly flows: Flows
  readonly handlers: Layer.Layer<HandlersOf<Flows>, E, R>
  readonly disk?: MemoryStore.Disk | undefined
  readonly flush?: MemoryStore.Options["flush"]
  readonly store?: ((inner: Layer.Layer<Store>) => Layer.Layer<Store>) | undefined
  readonly now?: number | undefined
  readonly seed?: string | undefined
  readonly worker?: Omit<Worker.Options<ReadonlyArray<Flow.Any>>, "flows"> | undefined
}

const kinds: Given.Kinds<Options<ReadonlyArray<Flow.Any>, unknown, unknown>> = {
  flows: Given.flows,
  handlers: Given.aLayer,
  disk: Given.optional(Given.aDisk),
  flush: Given.optional(Given.oneOf("onSync", "background")),
  store: Given.optional(Given.aFunction),
  now: Given.optional(Given.aTime),
  seed: Given.optional(Given.anyText),
  worker: Given.optional(WorkerProcess.workerOptions)
}

const howToStop = Given.oneOf("drain", "crash")

interface Running {
  readonly owner: string
  readonly machine: VirtualTime.Machine
  readonly context: Context.Context<never>
  readonly scope: Scope.Closeable
  readonly worker: Worker.Worker["Service"]
  readonly runs: Runs.Runs["Service"]
}

/**
 * A worker for these flows, its client, and the clock, random numbers and ids they use.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Flows extends ReadonlyArray<Flow.Any>, E, R>(
  options: Options<Flows, E, R>
): Layer.Layer<
  TestRuntime | Runs.Runs | Worker.Worker | Store,
  E | Worker.WorkerError,
  Exclude<R, Store | Scope.Scope>
> =>
  Layer.effectContext(
    Effect.gen(function* () {
      Given.options("TestRuntime.layer", options, kinds)
      const outer = yield* Effect.context()
      const disk = options.disk ?? MemoryStore.makeDisk()
      const flush = options.flush ?? "onSync"
      const time = VirtualTime.make(options.now ?? 0)
      const ids = WorkerProcess.sequentialIds()
      const seed = options.seed ?? "waymark"
      const around = options.store ?? ((inner: Layer.Layer<Store>) => inner)
      const contextOf = (machine: VirtualTime.Machine, name: string, around: Context.Context<never>) =>
        WorkerProcess.contextOn(machine, around, VirtualTime.seededRandom(`${seed}/${name}`), ids)

      let count = 0
      let running: Running | undefined

      const begin = Effect.gen(function* () {
        if (running !== undefined) return
        const owner = `worker-${++count}`
        const machine = time.machine()
        const context = contextOf(machine, owner, outer)
        const scope = Scope.makeUnsafe()
        const building = WorkerProcess.build({
          flows: options.flows,
          handlers: options.handlers,
          store: around(MemoryStore.layer({ disk, owner, flush })),
          // A store in memory tells of every change, and nobody else starts waits; the timers of the sweep and of the look at
          // what is due would be in the way of those of the flows.
          worker: { sweep: Duration.infinity, timers: Duration.infinity, ...options.worker }
        }).pipe(Effect.provideService(Scope.Scope, scope)) as Effect.Effect<
          Context.Context<Worker.Worker | Runs.Runs | Store>,
          E | Worker.WorkerError
        >
        const services = yield* Fiber.join(Effect.runForkWith(context)(building))
        running = {
          owner,
          machine,
          context,
          scope,
          worker: Context.get(services, Worker.Worker),
          runs: Context.get(services, Runs.Runs)
        }
      }).pipe(Effect.uninterruptible)

      const stop = (how: Stop, where = "stop"): Effect.Effect<void> =>
        Effect.suspend(() => {
          Given.argument(`TestRuntime: ${where}`, "how", how, howToStop)
          if (running === undefined) return Effect.void
          const { context, machine, owner, scope } = running
          running = undefined
          if (how === "crash") {
            machine.switchOff()
            disk.lapse(owner)
            return Effect.void
          }
          return Effect.asVoid(Fiber.await(Effect.runForkWith(context)(Scope.close(scope, Exit.void))))
        }).pipe(Effect.uninterruptible)

      const advanceToNext = Effect.gen(function* () {
        yield* time.idle
        const before = time.now()
        const due = time.nextDue()
        if (due === undefined) return Option.none()
        yield* time.setTime(due)
        yield* time.idle
        return Option.some(Duration.millis(due - before))
      })

      /** A worker that stops must not wait for a test that is over to move the clock. */
      const end = Effect.suspend(() => {
        const stopped = Effect.runForkWith(outer)(stop("drain"))
        const go = Effect.suspend((): Effect.Effect<void> => {
          if (stopped.pollUnsafe() !== undefined) return Effect.void
          return Effect.andThen(advanceToNext, go)
        })
        return go
      })

      const main = contextOf(time.machine(), "test", Context.empty())
      const client = Effect.gen(function* () {
        const store = yield* MemoryStore.make({ disk, owner: "client", flush })
        return { store, runs: yield* Effect.provideService(Runs.make({ starter: undefined }), Store, store) }
      })
      const { runs, store } = yield* Effect.provideContext(client, main)
      yield* begin
      yield* Effect.addFinalizer(() => end)

      const start = Effect.orDie(begin)
      const current = (): Runs.Runs["Service"] => running?.runs ?? runs
      return main.pipe(
        Context.add(TestRuntime, {
          disk,
          idle: time.idle,
          advanceToNext,
          stop: (how) => stop(how),
          start,
          restart: (how) => Effect.andThen(stop(how, "restart"), start)
        }),
        Context.add(Store, store),
        // What begins a run begins it where it is executed; whatever waits, waits outside of the worker's process.
        Context.add(Runs.Runs, {
          ...runs,
          start: (flow, input, startOptions) =>
            Effect.suspend(() => current().start(flow, input, startOptions)),
          fork: (run, seq, forkOptions) => Effect.suspend(() => current().fork(run, seq, forkOptions)),
          execute: (flow, input, startOptions) =>
            Effect.flatMap(
              Effect.suspend(() => current().start(flow, input, startOptions)),
              (run) => runs.await(run)
            )
        }),
        Context.add(Worker.Worker, {
          get owner() {
            return running?.owner ?? "nobody"
          },
          running: Effect.suspend(() => running?.worker.running ?? Effect.succeed([])),
          stuck: Effect.suspend(() => running?.worker.stuck ?? Effect.succeed([])),
          drain: Effect.suspend(() => running?.worker.drain ?? Effect.void),
          takeUp: (run) => Effect.suspend(() => running?.worker.takeUp(run) ?? Effect.void)
        })
      )
    })
  )
