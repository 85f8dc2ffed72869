/**
 * One execution of a scenario on one disk, in as many processes as the power is cut times, and one more.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import type { IdGenerator } from "@waymark/core/IdGenerator"
import * as Journal from "@waymark/core/Journal"
import * as MemoryStore from "@waymark/core/MemoryStore"
import type * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import type * as Worker from "@waymark/core/Worker"
import * as CrashStore from "../../CrashStore.ts"
import { isPromise, refuse, shown } from "../given.ts"
import * as VirtualTime from "../virtualTime.ts"
import * as WorkerProcess from "../workerProcess.ts"
import * as Ledger from "./ledger.ts"
import { runOutcomes } from "./outcome.ts"
import type { Outcome, PlacedCut } from "./outcome.ts"
import { render } from "./timeline.ts"
import * as Witness from "./witness.ts"

/** What the scenario gets. */
export interface Given<World> {
  readonly world: World
  readonly process: number
  readonly once: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export type Services = Runs.Runs | Worker.Worker | Store

export interface Setting<World, A, E, LE, R> {
  readonly flows: ReadonlyArray<Flow.Any>
  readonly world: () => World
  readonly handlers: (world: World) => Layer.Layer<any, LE, R>
  readonly scenario: (given: Given<World>) => Effect.Effect<A, E, Services | R>
  readonly store: (store: Store["Service"]) => Store["Service"]
  /** Whether that is a store that may not keep what was written. */
  readonly isForeign: boolean
  /** The same for whoever reads it between processes, when no time passes. */
  readonly read: (store: Store["Service"]) => Store["Service"]
  readonly worker: WorkerProcess.WorkerOptions | undefined
  readonly seed: string
  readonly start: number
  /** Milliseconds. */
  readonly downtime: number
  /** Milliseconds of virtual time for one process. */
  readonly timeLimit: number
  /** Milliseconds of real time in which nothing happens. */
  readonly stallAfter: number
  readonly outer: Context.Context<R>
  /** The digest of journals, unless the handlers' layer brings another. */
  readonly hash: (text: string) => string
}

export interface Trial<World, A, E> {
  /** What it came to; `undefined` if it was given up. */
  readonly outcome: Outcome<World, A, E> | undefined
  /** The operations of the last process. */
  readonly operations: ReadonlyArray<CrashStore.Operation>
  /** Where the power might be cut in the last process, and what would be left then. */
  readonly chances: ReadonlyArray<Chance>
  /** What the last cut left. */
  readonly left: string | undefined
  readonly problems: ReadonlyArray<string>
  readonly timeline: () => string
}

/**
 * A moment at which the power might be cut. `left` says all that the next process can find then: two moments of which
 * it is the same are followed by the same. `progress` tells such moments apart by what handlers had done until then,
 * should they have done something that outlives their process.
 */
export interface Chance {
  readonly cut: CrashStore.Cut
  readonly left: string
  readonly progress: number
}

type End =
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<unknown, unknown> }
  | { readonly _tag: "Cut" }
  | { readonly _tag: "GivenUp"; readonly detail: string }

const collector = (lines: Array<string>, process: number): Logger.Logger<unknown, void> =>
  Logger.make(({ cause, logLevel, message }) => {
    if (logLevel !== "Warn" && logLevel !== "Error" && logLevel !== "Fatal") return
    const parts = (Array.isArray(message) ? message : [message]).map((part: unknown) =>
      typeof part === "string" ? part : format(part)
    )
    if (cause.reasons.length > 0) parts.push(Cause.pretty(cause))
    lines.push(`process ${process} ${logLevel}: ${parts.join(" ")}`)
  })

/** Runs the scenario until it ends, the power is cut, or nothing can come any more. Never fails. */
const runProcess = <World, A, E, LE, R>(
  setting: Setting<World, A, E, LE, R>,
  trial: {
    readonly time: VirtualTime.VirtualTime
    readonly disk: MemoryStore.Disk
    readonly witness: Witness.Witness
    readonly ids: IdGenerator
    readonly logs: Array<string>
  },
  given: Given<World>,
  cutAt: CrashStore.Cut | undefined,
  pass: (cut: CrashStore.Cut) => void
): Effect.Effect<{ readonly end: End; readonly operations: ReadonlyArray<CrashStore.Operation> }> =>
  Effect.callback((resume) => {
    const { disk, time, witness } = trial
    const { process } = given
    const machine = time.machine()
    const onCut = (): void => {
      machine.switchOff()
      end = { _tag: "Cut" }
    }
    const crashStore = CrashStore.makeObserved({ disk, cutAt, owner: `process-${process}`, onCut }, pass)
    let end: End | undefined
    const context = WorkerProcess.contextOn(
      machine,
      setting.outer,
      VirtualTime.seededRandom(`${setting.seed}/${process}`),
      trial.ids
    ).pipe(
      Context.add(Logger.CurrentLoggers, new Set([collector(trial.logs, process)])),
      Context.add(Hasher, {
        hash: setting.hash,
        hashBytes: (bytes) => Hasher.defaultValue().hashBytes(bytes)
      })
    )

    const store = Layer.effect(Store, Effect.map(Store, setting.store)).pipe(Layer.provide(crashStore.layer))
    const program = Effect.scoped(
      Effect.gen(function* () {
        const services = yield* WorkerProcess.build({
          flows: setting.flows,
          handlers: setting.handlers(given.world),
          store,
          around: witness.layer(process),
          worker: setting.worker
        })
        const doing = setting.scenario(given)
        if (!Effect.isEffect(doing)) {
          refuse("CrashExplorer.explore", [
            `\`scenario\` gave ${shown(doing)}; it has to give an Effect, as Effect.gen does`
          ])
        }
        return yield* Effect.exit(Effect.provideContext(doing, services))
      })
    ) as Effect.Effect<Exit.Exit<A, E>, unknown, R>

    const fiber = Effect.runForkWith(context)(program)
    fiber.addObserver((exit) => {
      if (end !== undefined) return
      end = Exit.isSuccess(exit)
        ? { _tag: "Ended", exit: exit.value }
        : {
            _tag: "GivenUp",
            detail: `the worker of process ${process} could not be built or closed: ${Cause.pretty(exit.cause)}`
          }
    })

    const deadline = time.now() + setting.timeLimit
    let stalled: number | undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    let interrupted = false

    const giveUp = (detail: string): End => {
      machine.switchOff()
      return { _tag: "GivenUp", detail }
    }
    const settle = (final: End): void => {
      resume(Effect.map(crashStore.operations, (operations) => ({ end: final, operations })))
    }
    const live = VirtualTime.liveClock
    const go = (): void => {
      if (interrupted) return
      if (end !== undefined) return settle(end)
      const due = time.nextDue()
      if (due !== undefined) {
        stalled = undefined
        if (due > deadline) {
          return settle(
            giveUp(
              `the scenario had not ended after ${Duration.format(Duration.millis(setting.timeLimit))} of virtual time in process ${process}`
            )
          )
        }
        time.wakeNext()
        return time.whenIdle(go)
      }
      // Nobody sleeps, so something of the real world is waited for, or nothing at all.
      stalled ??= live.currentTimeMillisUnsafe()
      if (live.currentTimeMillisUnsafe() - stalled > setting.stallAfter) {
        return settle(
          giveUp(`nothing happens any more in process ${process}, and the scenario has not ended`)
        )
      }
      timer = setTimeout(() => time.whenIdle(go), 1)
    }
    time.whenIdle(go)
    return Effect.sync(() => {
      interrupted = true
      clearTimeout(timer)
      machine.switchOff()
    })
  })

/** All entries of a journal. */
const entriesOf = Effect.fnUntraced(function* (store: Store["Service"], run: string) {
  const entries: Array<Journal.Entry> = []
  for (;;) {
    const page = yield* store.read(run, { from: entries.length })
    if (page.length === 0) return entries
    entries.push(...page)
  }
})

/**
 * Whether what is stored is what was written, and a chain: each journal is looked at by somebody who has just come, who reads
 * it from the beginning, as `Runs.verify` does, if it is to be looked at as a whole.
 */
const verifyDisk = <World, A, E, LE, R>(
  setting: Setting<World, A, E, LE, R>,
  disk: MemoryStore.Disk,
  ledger: Ledger.Ledger,
  whole: boolean
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const store = setting.read(yield* MemoryStore.make({ disk, owner: "reader" }))
    const problems: Array<string> = []
    for (const { durable, head, run } of ledger.runs.values()) {
      if (durable.length === 0) continue
      const reading = whole ? entriesOf(store, run) : Effect.succeed(durable)
      const stored = yield* Effect.result(Effect.all([store.get(run), reading]))
      if (Result.isFailure(stored)) {
        problems.push(`the journal of run ${run} cannot be read: ${stored.failure.message}`)
        continue
      }
      const [{ head: shown }, entries] = stored.success
      const fault = whole ? faultOf(setting.hash, entries, durable) : undefined
      if (fault !== undefined) problems.push(fault)
      else if (shown.hash !== head?.hash)
        problems.push(
          `the store says that the journal of run ${run} ends at seq ${shown.seq}; it ends at ${durable.length - 1}`
        )
    }
    return problems
  }).pipe(Effect.scoped)

const faultOf = (
  hash: (text: string) => string,
  entries: ReadonlyArray<Journal.Entry>,
  durable: ReadonlyArray<Journal.Entry>
): string | undefined => {
  let head: Journal.Head | undefined
  for (const entry of entries) {
    // The anchor of a fork was compared with its origin when it became durable.
    const anchor = entry.event.kind === "forked" ? entry.event.prev : undefined
    const followed = Journal.follow(hash, head, entry, anchor)
    if (Result.isFailure(followed)) return followed.failure.message
    head = followed.success
  }
  const { run } = durable[0]!.event
  const other = durable.findIndex(({ line }, seq) => line !== entries[seq]?.line)
  if (other === -1 && entries.length === durable.length) return undefined
  const at = other === -1 ? durable.length : other
  return `the journal of run ${run} holds something else than was written, from seq ${at} on`
}

/** Why runs do not go on that wait for somebody to do something about them. */
const heldUp = (ledger: Ledger.Ledger): ReadonlyArray<string> =>
  [...ledger.runs.values()].flatMap((run) => {
    const pause = Ledger.stateOf(run)?.pause
    if (pause === undefined) return []
    const todo =
      pause.kind === "inDoubt"
        ? "the scenario has to settle the call (Runs.settle), as whoever looks after the run would"
        : "the scenario has to do something about it, and resume the run (Runs.resume)"
    return [`run ${run.run} is paused, ${format(pause)}: ${todo}`]
  })

/**
 * Carries out a trial: the power is cut once in each process but the last.
 */
export const run = <World, A, E, LE, R>(
  setting: Setting<World, A, E, LE, R>,
  cuts: ReadonlyArray<CrashStore.Cut>
): Effect.Effect<Trial<World, A, E>> =>
  Effect.gen(function* () {
    const disk = MemoryStore.makeDisk()
    const ledger = CrashStore.ledgerOf(disk, setting.hash)
    const witness = Witness.make(ledger, setting.hash)
    const time = VirtualTime.make(setting.start)
    const logs: Array<string> = []
    const shared = { time, disk, witness, ids: WorkerProcess.sequentialIds(), logs }
    const world = setting.world()
    if (isPromise(world))
      refuse("CrashExplorer.explore", ["`world` gave a Promise; it has to make the world at once"])
    const answers = new Map<string, unknown>()
    const placed: Array<PlacedCut> = []
    const problems: Array<string> = []

    const once: Given<World>["once"] = (name, effect) =>
      Effect.suspend(() =>
        answers.has(name)
          ? Effect.succeed(answers.get(name) as never)
          : Effect.tap(effect, (answer) => Effect.sync(() => answers.set(name, answer)))
      )
    const left = (): string =>
      [Ledger.describe(ledger), time.now(), JSON.stringify([...answers.keys()]), witness.digest()].join("\n")

    let remains: string | undefined

    for (let process = 1; ; process++) {
      const cutAt = cuts[process - 1]
      const chances: Array<Chance> = []
      const isLast = cutAt === undefined
      const { end, operations } = yield* runProcess(
        setting,
        shared,
        { world, process, once },
        cutAt,
        (cut) => {
          if (isLast) chances.push({ cut, left: left(), progress: witness.progress() })
        }
      )
      const finish = (outcome: Outcome<World, A, E> | undefined): Trial<World, A, E> => ({
        outcome,
        operations,
        chances,
        left: remains,
        problems: [...new Set([...problems, ...ledger.problems, ...witness.problems])],
        timeline: () => render(ledger, placed, witness.executions, logs)
      })
      if (end._tag === "GivenUp") {
        problems.push(end.detail, ...heldUp(ledger))
        return finish(undefined)
      }
      if (end._tag === "Ended") {
        if (!isLast) {
          problems.push(
            `process ${process} ended after ${operations.length} operations, before the power could be cut at operation ${cutAt.point}`
          )
        }
        problems.push(...(yield* verifyDisk(setting, disk, ledger, true)))
        const runs = yield* Effect.exit(runOutcomes(ledger, witness.codec()))
        if (Exit.isFailure(runs)) {
          problems.push(`the journals cannot be opened: ${Cause.pretty(runs.cause)}`)
          return finish(undefined)
        }
        return finish({
          result: end.exit as Exit.Exit<A, E>,
          runs: runs.value,
          journal: (id) => (ledger.runs.get(id)?.durable ?? []).map(({ event }) => event),
          executions: witness.executions,
          cuts: placed,
          world
        })
      }
      const { detail, operation, run: about } = operations[operations.length - 1]!
      placed.push({
        ...cutAt!,
        process,
        operation,
        run: about,
        detail,
        lost: ledger.lost.map(({ event }) => event),
        durable: Object.fromEntries(
          [...ledger.runs.values()].map(({ durable, run: id }) => [id, durable.length - 1])
        )
      })
      witness.cut()
      remains = left()
      problems.push(...(yield* verifyDisk(setting, disk, ledger, setting.isForeign)))
      if (setting.downtime > 0) yield* time.setTime(time.now() + setting.downtime)
    }
  })
