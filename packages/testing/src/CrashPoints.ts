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
 * - nothing is executed in a run that had ended or was being cancelled
 * - no command counts twice, and no wait is over before its time
 * - every journal is a chain that folds, and the disk holds what was written
 *
 * Time is virtual: it jumps to the next timer when nothing else can go on, so a retry after a day takes no time. A
 * scenario must therefore do the same every time: no real I/O but that of fakes.
 *
 * ```ts
 * import * as Flow from "@waymark/core/Flow"
 * import * as Node from "@waymark/core/Node"
 * import * as Runs from "@waymark/core/Runs"
 * import * as Tool from "@waymark/core/Tool"
 * import * as CrashPoints from "@waymark/testing/CrashPoints"
 * import * as FakeTools from "@waymark/testing/FakeTools"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Schema from "effect/Schema"
 *
 * const Charge = Tool.make("charge", { input: { amount: Schema.Int }, output: Schema.String })
 * const Order = Flow.make("order", {
 *   input: Schema.Struct({ amount: Schema.Int }),
 *   output: Schema.String,
 *   start: "pay",
 *   nodes: { pay: Node.make({ to: ["end"] }) }
 * })
 * const handlers = Order.toLayer({
 *   pay: ({ input, next }) => Effect.map(Charge.call(input), (receipt) => next.end(receipt))
 * })
 *
 * export const test = CrashPoints.explore({
 *   flows: [Order],
 *   // What outlives a crash: the outside world. Made anew for every crash point.
 *   world: () => FakeTools.make(FakeTools.answer(Charge, ({ amount }) => FakeTools.succeed(`receipt for ${amount}`))),
 *   handlers: (tools) => Layer.provide(handlers, tools.layer),
 *   scenario: () =>
 *     Effect.gen(function*() {
 *       const runs = yield* Runs.Runs
 *       return yield* runs.execute(Order, { amount: 5 }, { id: "order-1" })
 *     })
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import type * as Runs from "@waymark/core/Runs"
import type { Store } from "@waymark/core/Store"
import type * as Worker from "@waymark/core/Worker"
import type { Cut, Operation } from "./CrashStore.ts"
import { slow } from "./internal/crash/latency.ts"
import { causeText, compareOutcomes, whatCounts } from "./internal/crash/outcome.ts"
import type { Execution, Outcome, PlacedCut, RunOutcome } from "./internal/crash/outcome.ts"
import * as Trial from "./internal/crash/trial.ts"
import type { HandlersOf } from "./internal/workerProcess.ts"

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
 * What to explore.
 *
 * - `flows`, `handlers`: what the worker of each process executes; the layer is built anew in every process. Give the
 *   runs ids, since a scenario that begins again would start others
 * - `world`: makes what outlives the processes, such as fake tools; called once for each crash point
 * - `scenario`: what a client does. Its result is part of the outcome
 * - `check`: fails, or dies, if an outcome is not what it should be; asked about the undisturbed one, too
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
 * - `store`: goes around the store of every process; with it one can show that a broken store is found
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Flows extends ReadonlyArray<Flow.Any>, World, A, E, LE, LR, R> {
  readonly flows: Flows
  readonly handlers:
    | Layer.Layer<HandlersOf<Flows>, LE, LR>
    | ((world: World) => Layer.Layer<HandlersOf<Flows>, LE, LR>)
  readonly scenario: (given: Given<World>) => Effect.Effect<A, E, R>
  readonly world?: (() => World) | undefined
  readonly check?: ((outcome: Outcome<World, A, E>) => Effect.Effect<void, unknown>) | undefined
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

/**
 * A scenario does not survive a power cut, or does not do without one what it should.
 *
 * @category errors
 * @since 0.1.0
 */
export class CrashPointFailed extends Schema.TaggedError<CrashPointFailed>()("CrashPointFailed", {
  /** The crash point, for `only`; `"none"` if it happens without a cut. */
  at: Schema.String,
  problems: Schema.Array(Schema.String),
  /** The journals of the runs with the cuts among their entries, and the calls that were carried out. */
  timeline: Schema.String
}) {
  override get message(): string {
    const where =
      this.at === "none"
        ? "without any power cut, the scenario does not do what it should"
        : `after a power cut at ${this.at} the scenario does not come to the same`
    const lines = [where, ...this.problems.map((problem) => `- ${problem}`), "", this.timeline]
    if (this.at !== "none")
      lines.push("", `to repeat it: CrashPoints.explore({ …, only: ${JSON.stringify(this.at)} })`)
    return lines.join("\n")
  }
}

const nameOf = (cuts: ReadonlyArray<Cut>): string =>
  cuts.length === 0 ? "none" : cuts.map(({ point, when }) => `${point}-${when}`).join("/")

const parseCuts = (name: string): ReadonlyArray<Cut> =>
  name === "none"
    ? []
    : name.split("/").map((part) => {
        const match = /^([1-9]\d*)-(before|after)$/.exec(part)
        if (match === null)
          throw new RangeError(
            `${JSON.stringify(name)} is not the name of a crash point, such as "17-after/3-before"`
          )
        return { point: Number(match[1]), when: match[2] as Cut["when"] }
      })

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

/**
 * Explores the crash points of a scenario; fails with the first one after which something is wrong.
 *
 * @category exploring
 * @since 0.1.0
 */
export const explore = <
  const Flows extends ReadonlyArray<Flow.Any>,
  A,
  E,
  World = undefined,
  LE = never,
  LR = never,
  R = never
>(
  options: Options<Flows, World, A, E, LE, LR, R>
): Effect.Effect<
  Report,
  CrashPointFailed,
  Exclude<LR, Store | Scope.Scope> | Exclude<R, Runs.Runs | Worker.Worker | Store>
> =>
  Effect.gen(function* () {
    const { check, handlers } = options
    const setting: Trial.Setting<World, A, E, LE, any> = {
      flows: options.flows,
      world: options.world ?? (() => undefined as World),
      handlers: typeof handlers === "function" ? handlers : () => handlers,
      scenario: options.scenario,
      store: (store) => {
        const timed =
          options.latency === undefined ? store : slow(Duration.fromInputUnsafe(options.latency))(store)
        return options.store === undefined ? timed : options.store(timed)
      },
      // A store in memory tells of every change, and nobody sets the clock; without the sweep and the look at what is due
      // a worker that misses something is found out.
      worker: { sweep: Duration.infinity, timers: Duration.infinity, ...options.worker },
      seed: options.seed ?? "waymark",
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
        if (undisturbed !== undefined) {
          problems.push(...compareOutcomes(undisturbed, outcome, options.compare ?? whatCounts))
        }
        if (check !== undefined) {
          const exit = yield* Effect.exit(Effect.suspend(() => check(outcome)))
          if (Exit.isFailure(exit)) problems.push(`the check does not hold: ${causeText(exit.cause)}`)
        }
      }
      if (problems.length > 0) {
        return yield* new CrashPointFailed({ at: nameOf(cuts), problems, timeline: trial.timeline() })
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
      return yield* new CrashPointFailed({ at: "none", problems: [problem], timeline: "" })
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
  }) as any
