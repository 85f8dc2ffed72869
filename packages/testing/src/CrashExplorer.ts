/**
 * Cuts the power at every point of a scenario, and sees whether it comes to the same.
 *
 * A scenario is what a client does with your flows: it starts runs, steers them, waits for them. `explore` executes it
 * once undisturbed, and counts the crash points: the operations that reach the store. Then, for each point, it executes
 * it again on a new disk and cuts the power there, before the operation and after it. What was not synced is gone; the
 * process does nothing any more. A new process with a new worker starts on the disk, the scenario begins again, and what
 * it comes to is compared with the undisturbed outcome. Then the same with a second cut, at every point of the recovery.
 *
 * Besides, it checks what has to hold with and without crashes:
 *
 * - no tool call is carried out again after its success was durable
 * - at-most-once calls are carried out once, unless the time before is known to have failed
 * - no call is carried out, and nothing of a recovered run is executed, before what led to it is durable
 * - nothing begins in a run that has ended or is being cancelled, nor in one that was to be cancelled when the power was
 *   cut; finalizers may call tools, but not after a cut, and what the run did may be undone
 * - no command counts twice, and no wait is over before its time
 * - every journal is a chain that folds; its head is found on the disk after each cut, and all of it at the end, as written
 *
 * Time is virtual: it jumps to the next timer when nothing else can go on, so a retry after a day takes no time. A
 * scenario must therefore do the same every time: no real I/O but that of fakes.
 *
 * ```ts
 * import * as Flow from "@waymark/core/Flow"
 * import * as Node from "@waymark/core/Node"
 * import * as Tool from "@waymark/core/Tool"
 * import * as CrashExplorer from "@waymark/testing/CrashExplorer"
 * import * as FakeTools from "@waymark/testing/FakeTools"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Schema from "effect/Schema"
 *
 * const Charge = Tool.make("charge", { input: { amount: Schema.Int }, output: Schema.String })
 * const Order = Flow.make("order", {
 *   input: { amount: Schema.Int },
 *   output: Schema.String,
 *   start: "pay",
 *   nodes: { pay: Node.make({ to: ["end"] }) }
 * })
 * const handlers = Order.toLayer({
 *   pay: ({ input, next }) => Effect.map(Charge.call(input), (receipt) => next.end(receipt))
 * })
 *
 * export const test = CrashExplorer.explore(Order, {
 *   // What outlives a crash: the outside world. Made anew for every crash point.
 *   world: () => FakeTools.make(FakeTools.answer(Charge, ({ amount }) => FakeTools.succeed(`receipt for ${amount}`))),
 *   handlers: (tools) => Layer.provide(handlers, tools.layer),
 *   // One run with this input; or a `scenario` that starts runs, and does what your clients do with them.
 *   input: { amount: 5 },
 *   check: {
 *     "the charge has one key": ({ world }) => new Set(world.calls(Charge).map(({ key }) => key)).size === 1
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import * as Runs from "@waymark/core/Runs"
import type { Store } from "@waymark/core/Store"
import type * as Worker from "@waymark/core/Worker"
import type { Cut, Operation } from "./CrashStore.ts"
import { CrashPointFailed, defaultSeed, nameOf, parseCuts } from "./internal/crash/failure.ts"
import { slow } from "./internal/crash/latency.ts"
import { causeText, compareOutcomes, unfitToExplore, whatCounts } from "./internal/crash/outcome.ts"
import type { Execution, Outcome, PlacedCut, RunOutcome } from "./internal/crash/outcome.ts"
import { refuseUnfit } from "./internal/crash/options.ts"
import * as Trial from "./internal/crash/trial.ts"
import { aBoolean, optional, shown } from "./internal/given.ts"
import type { HandlersOf } from "./internal/workerProcess.ts"

export { CrashPointFailed }
export type { Cut, Execution, Operation, Outcome, PlacedCut, RunOutcome }

/**
 * What a scenario gets.
 *
 * - `world`: what outlives crashes
 * - `process`: which process this is, counted from 1; from the second on the scenario begins again after a crash
 * - `once`: an effect whose answer the client remembers: it is not executed again after that. Names are unique in a
 *   scenario. Without it, everything in a scenario is done again after a crash, as by a client that forgot
 *
 * @category models
 * @since 0.1.0
 */
export interface Given<World> {
  readonly world: World
  readonly process: number
  readonly once: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * Something that must hold of an outcome, whenever the power was cut. It does not if it gives `false`, throws, fails or
 * dies; what it says then is part of the report.
 *
 * @category models
 * @since 0.1.0
 */
export type Check<World, A, E> = (
  outcome: Outcome<World, A, E>
) => Effect.Effect<void | boolean, unknown> | void | boolean

/**
 * What to explore.
 *
 * - `handlers`: what the worker of each process executes; the layer is built anew in every process
 * - `world`: makes what outlives the processes, such as fake tools; called once for each crash point, and has to make it
 *   anew. A call that its fakes do not expect fails the exploration
 * - `scenario`: what a client does. Its result is part of the outcome. It may fail, with the error of a flow or because a run came
 *   to a limit. What is broken is no outcome to compare with: undisturbed, it must not die, nor fail with `RunConflict`,
 *   `InvalidValue`, or a `RunFailed` whose failure is a defect or a value that could not be encoded. If that is what you
 *   test, let it succeed with the error (`Effect.flip`). Give the runs ids, since a scenario that begins again would start
 *   others
 * - `input`: instead of a scenario, the input of the one run that it consists of; the run's id is that of its flow
 * - `check`: what else must hold of an outcome, the undisturbed one included: one check, or several by name
 * - `compare`: what of a run has to be the same as without a crash: everything in its outcome unless said otherwise, but
 *   of cancelled runs only that they were cancelled and why
 * - `nested`: a second cut at each point of each recovery (`"all"`, the default), at so many points spread over each
 *   recovery, or at `"none"`
 * - `only`: the crash point that a failure named, to repeat it alone
 * - `prune`: whether a cut is taken as tested (the default) if an earlier one left the same journals, commands, time and
 *   carried-out calls. Say `false` if handlers do more than call tools, and it outlives a crash
 * - `downtime`: how long it takes until the next process starts, nothing by default
 * - `latency`: how long an operation of the store takes before it happens, and again until it answers, in virtual time:
 *   nothing by default. With it other fibers go on meanwhile, and the power is cut between
 * - `timeLimit`: the virtual time within which a process must bring the scenario to its end, a day by default
 * - `stallAfter`: how long nothing may happen in real time before the scenario is given up, 2 seconds by default
 * - `start`: the time at the beginning, in milliseconds since 1970, 0 by default; `seed`: for Random
 * - `worker`: how the workers work; unless said otherwise they do not sweep, and do not look now and then at what is due
 * - `store`: goes around the store of every process, and of whoever verifies the journals after a cut and at the end; with
 *   it one can show that a broken store is found
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<F extends Flow.Any, World, A, E, LE, LR> {
  readonly handlers:
    | Layer.Layer<HandlersOf<ReadonlyArray<F>>, LE, LR>
    | ((world: World) => Layer.Layer<HandlersOf<ReadonlyArray<F>>, LE, LR>)
  readonly world?: (() => World) | undefined
  readonly check?: Check<World, A, E> | { readonly [name: string]: Check<World, A, E> } | undefined
  readonly compare?: ((run: RunOutcome) => unknown) | undefined
  readonly nested?: "all" | "none" | number | undefined
  readonly only?: string | undefined
  readonly prune?: boolean | undefined
  readonly downtime?: Duration.Input | undefined
  readonly latency?: Duration.Input | undefined
  readonly timeLimit?: Duration.Input | undefined
  readonly stallAfter?: Duration.Input | undefined
  readonly start?: number | undefined
  readonly seed?: string | undefined
  readonly worker?: Omit<Worker.Options<ReadonlyArray<Flow.Any>>, "flows"> | undefined
  readonly store?: ((store: Store["Service"]) => Store["Service"]) | undefined
}

/**
 * What was explored.
 *
 * - `points`: the crash points of the undisturbed scenario
 * - `cuts`: the cuts in the first process, two for each point; `nested`: those in a recovery
 * - `same`: how many of these leave what another had left, and were not executed
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly points: number
  readonly cuts: number
  readonly nested: number
  readonly same: number
}

/** Why waiting for a run can fail, besides the errors of its flow. */
type ExecuteError = Runs.RunConflict | Runs.InvalidValue | Runs.ResultError

const isMany = (flows: Flow.Any | ReadonlyArray<Flow.Any>): flows is ReadonlyArray<Flow.Any> =>
  Array.isArray(flows)

/** The scenario of one run. */
const executing =
  <A, E>(flow: Flow.Any, input: unknown) =>
  (): Effect.Effect<A, E, Runs.Runs> =>
    Effect.flatMap(Runs.Runs, (runs) => runs.execute(flow, input, { id: flow.id })) as Effect.Effect<
      A,
      E,
      Runs.Runs
    >

/** The same lines are digested again and again, since every trial begins alike. */
const remembering = (hash: (text: string) => string): ((text: string) => string) => {
  const known = new Map<string, string>()
  return (text) => {
    let digest = known.get(text)
    if (digest === undefined) {
      digest = hash(text)
      if (known.size > 4_000) known.clear()
      known.set(text, digest)
    }
    return digest
  }
}

/** At most so many of these, evenly spread. */
const spread = <A>(all: ReadonlyArray<A>, limit: number): ReadonlyArray<A> =>
  all.length <= limit
    ? all
    : Array.from({ length: limit }, (_, index) => all[Math.floor(((index + 0.5) * all.length) / limit)]!)

const describeOperation = ({ detail, operation, run }: Operation): string =>
  [operation, run, detail].filter((part) => part !== undefined && part !== "").join(" ")

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** Whether something that could remember was not made anew. */
const isShared = (before: unknown, after: unknown): boolean =>
  typeof before === "object" && before !== null && before === after

const answer = optional(aBoolean)

/** What the checks object to. */
const objections = <World, A, E>(
  check: Options<Flow.Any, World, A, E, never, never>["check"],
  outcome: Outcome<World, A, E>
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const checks: ReadonlyArray<readonly [string, Check<World, A, E>]> =
      typeof check === "function" ? [["the check does not hold", check]] : Object.entries(check ?? {})
    const found: Array<string> = []
    for (const [name, holds] of checks) {
      const exit = yield* Effect.exit(
        Effect.suspend((): Effect.Effect<void | boolean, unknown> => {
          const given = holds(outcome)
          return Effect.isEffect(given) ? given : Effect.succeed(given)
        })
      )
      if (Exit.isFailure(exit)) found.push(`${name}: ${causeText(exit.cause)}`)
      else if (exit.value === false) found.push(`${name}: it is not so`)
      // Such as the promise of an async function, which nobody would wait for.
      else if (!answer.fits(exit.value)) {
        found.push(
          `${name}: it gave ${shown(exit.value)}; a check gives true or false, nothing if it throws, or an Effect of these`
        )
      }
    }
    return found
  })

/**
 * Explores the crash points of a flow, or of several together, in a scenario; fails with the first crash point after which
 * something is wrong.
 *
 * @category exploring
 * @since 0.1.0
 */
export const explore: {
  <F extends Flow.Any, World = undefined, LE = never, LR = never>(
    flow: F,
    options: Options<F, World, Flow.Output<F>, Flow.Error<F> | ExecuteError, LE, LR> & {
      readonly input: Flow.Input<F>
      readonly scenario?: undefined
    }
  ): Effect.Effect<Report, CrashPointFailed, Exclude<LR, Store | Scope.Scope>>
  <const F extends Flow.Any, A, E, World = undefined, LE = never, LR = never, R = never>(
    flows: F | ReadonlyArray<F>,
    options: Options<F, World, A, E, LE, LR> & {
      readonly scenario: (given: Given<World>) => Effect.Effect<A, E, R>
      readonly input?: undefined
    }
  ): Effect.Effect<
    Report,
    CrashPointFailed,
    Exclude<LR, Store | Scope.Scope> | Exclude<R, Runs.Runs | Worker.Worker | Store>
  >
} = <World, A, E, LE>(
  given: Flow.Any | ReadonlyArray<Flow.Any>,
  options: Options<Flow.Any, World, A, E, LE, any> & {
    readonly scenario?: ((given: Given<World>) => Effect.Effect<A, E, any>) | undefined
    readonly input?: unknown
  }
): Effect.Effect<Report, CrashPointFailed, any> =>
  Effect.gen(function* () {
    refuseUnfit(given, options)
    const { check, handlers } = options
    const flows: ReadonlyArray<Flow.Any> = isMany(given) ? given : [given]
    const scenario = options.scenario ?? executing<A, E>(flows[0]!, options.input)
    const setting: Trial.Setting<World, A, E, LE, any> = {
      flows,
      world: options.world ?? (() => undefined as World),
      handlers: typeof handlers === "function" ? handlers : () => handlers,
      scenario,
      store: (store) => {
        const timed =
          options.latency === undefined ? store : slow(Duration.fromInputUnsafe(options.latency))(store)
        return options.store === undefined ? timed : options.store(timed)
      },
      isForeign: options.store !== undefined,
      read: options.store ?? ((store) => store),
      // A store in memory tells of every change, and nobody sets the clock; without the sweep and the look at what is due
      // a worker that misses something is found out.
      worker: { sweep: Duration.infinity, timers: Duration.infinity, ...options.worker },
      seed: options.seed ?? defaultSeed,
      start: options.start ?? 0,
      downtime: millis(options.downtime ?? 0),
      timeLimit: millis(options.timeLimit ?? "1 day"),
      stallAfter: millis(options.stallAfter ?? "2 seconds"),
      outer: yield* Effect.context<any>(),
      hash: remembering(Hasher.defaultValue().hash)
    }
    let undisturbed: Outcome<World, A, E> | undefined

    const attempt = Effect.fnUntraced(function* (cuts: ReadonlyArray<Cut>, left?: string) {
      const trial = yield* Trial.run(setting, cuts)
      const problems = [...trial.problems]
      if (left !== undefined && trial.left !== left) {
        problems.push("executed twice up to this point, the scenario does two different things")
      }
      const { outcome } = trial
      if (outcome !== undefined) {
        if (cuts.length === 0) problems.push(...unfitToExplore(outcome.result, trial.operations.length))
        if (undisturbed !== undefined) {
          const others = compareOutcomes(undisturbed, outcome, options.compare ?? whatCounts)
          problems.push(...others)
          if (others.length > 0 && isShared(undisturbed.world, outcome.world)) {
            problems.push(
              "`world` gave the same object twice, so what an earlier trial left in it is still there: make it anew in `world`, such as `world: () => FakeTools.make(…)`"
            )
          }
        }
        problems.push(...(yield* objections(check, outcome)))
      }
      if (problems.length > 0) {
        return yield* new CrashPointFailed({
          at: nameOf(cuts),
          seed: setting.seed,
          problems,
          timeline: trial.timeline()
        })
      }
      return trial
    })

    const undisturbedTrial = yield* attempt([])
    undisturbed = undisturbedTrial.outcome
    const { chances, operations } = yield* attempt([])
    const other = undisturbedTrial.operations.findIndex(
      (operation, index) =>
        operations[index] === undefined ||
        describeOperation(operation) !== describeOperation(operations[index])
    )
    if (other !== -1 || operations.length !== undisturbedTrial.operations.length) {
      const at = other === -1 ? undisturbedTrial.operations.length : other
      const [before, after] = [undisturbedTrial.operations[at], operations[at]].map((operation) =>
        operation === undefined ? "nothing" : describeOperation(operation)
      )
      const problem = `executed twice, the scenario does two different things: operation ${at + 1} was ${before}, then ${after}`
      return yield* new CrashPointFailed({
        at: "none",
        seed: setting.seed,
        problems: [problem],
        timeline: ""
      })
    }

    const report = { points: operations.length, cuts: 0, nested: 0, same: 0 }
    if (options.only !== undefined) {
      yield* attempt(parseCuts(options.only))
      return { ...report, cuts: 1 }
    }
    const prune = options.prune ?? true
    const nested = options.nested ?? "all"
    const limit = nested === "all" ? Number.POSITIVE_INFINITY : nested === "none" ? 0 : nested

    // One cut first: what goes wrong after one is easier to understand than what goes wrong after two.
    const tested = new Set<string>()
    const recoveries: Array<{
      readonly cut: Cut
      readonly left: string
      readonly chances: ReadonlyArray<Trial.Chance>
    }> = []
    for (const { cut, left, progress } of chances) {
      report.cuts += 1
      const moment = `${progress}\n${left}`
      if (prune && tested.has(moment)) report.same += 1
      else {
        tested.add(moment)
        const recovery = yield* attempt([cut], left)
        if (limit > 0) recoveries.push({ cut, left, chances: spread(recovery.chances, limit) })
      }
    }
    const recovered = new Set(recoveries.map(({ left }) => left))
    const explored = new Set<string>()
    for (const first of recoveries) {
      if (prune && explored.has(first.left)) continue
      explored.add(first.left)
      for (const second of first.chances) {
        report.nested += 1
        if (prune && recovered.has(second.left)) report.same += 1
        else {
          recovered.add(second.left)
          yield* attempt([first.cut, second.cut], second.left)
        }
      }
    }
    return report
  })
