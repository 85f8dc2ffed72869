/** Scripts of what happens to the scenario, made of a seed, and their execution. */
import { assert } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import { Hasher } from "@waymark/core/Hasher"
import * as MemoryStore from "@waymark/core/MemoryStore"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunState } from "@waymark/core/RunState"
import * as Runs from "@waymark/core/Runs"
import type { Store } from "@waymark/core/Store"
import type * as Worker from "@waymark/core/Worker"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type * as CrashExplorer from "../src/CrashExplorer.ts"
import * as CrashStore from "../src/CrashStore.ts"
import { stateOf } from "../src/internal/crash/ledger.ts"
import { render } from "../src/internal/crash/timeline.ts"
import * as Witness from "../src/internal/crash/witness.ts"
import * as VirtualTime from "../src/internal/virtualTime.ts"
import * as WorkerProcess from "../src/internal/workerProcess.ts"
import * as Scenario from "./engineScenarioFlow.ts"
import { picking } from "./picking.ts"

// ---------------------------------------------------------------------------------------------------------------
// scripts
// ---------------------------------------------------------------------------------------------------------------

/** The order, or the run that it waits for. */
type Which = "order" | "part"

export type Action =
  | { readonly do: "signal"; readonly name: "go" | "paid" | "extra" | "parcel"; readonly n: number }
  | { readonly do: "answer"; readonly verdict: "ship" | "hold" | "maybe" }
  /** Everything is given that is waited for. */
  | { readonly do: "serve"; readonly n: number }
  /** Something that was sent before comes again. */
  | { readonly do: "repeat"; readonly which: number }
  | { readonly do: "time"; readonly seconds: number }
  /** Somebody sets the clock, forwards or backwards. */
  | { readonly do: "clock"; readonly minutes: number }
  /** The power will be cut, so many operations of the store from now on. */
  | ({ readonly do: "cut" } & Cut)
  | { readonly do: "crash" | "drain"; readonly minutes: number }
  | { readonly do: "pause" | "resume" | "cancel"; readonly which: Which }
  | { readonly do: "limits" }
  | { readonly do: "settle"; readonly as: "again" | "output" }

/** So many operations of the store from now on. */
interface Cut {
  readonly operations: number
  readonly when: "before" | "after"
}

export interface Script {
  readonly order: Scenario.Order
  /** Whether it begins with the first version. */
  readonly earlier: boolean
  readonly keepWaiting: number
  readonly actions: ReadonlyArray<Action>
  /** Power cuts after that, while everybody is given what it waits for. */
  readonly late: ReadonlyArray<Cut>
}

const minute = Scenario.minute

export const scriptOf = (seed: number): Script => {
  const pick = picking(seed)
  const of = <A>(...all: ReadonlyArray<A>): A => all[pick(all.length)]!
  const cut = (): Cut => ({ operations: 1 + pick(14), when: of("before", "after") })
  const action = (): Action => {
    switch (pick(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return { do: "serve", n: 1 + pick(20) }
      case 4:
        return { do: "signal", name: of("go", "paid", "extra", "parcel"), n: 1 + pick(20) }
      case 5:
        return { do: "answer", verdict: of("ship", "hold", "maybe") }
      case 6:
        return { do: "repeat", which: pick(6) }
      case 7:
      case 8:
      case 9:
        return { do: "time", seconds: of(2, 5, 10, 30, 60, 130, 700) }
      case 10:
        return { do: "clock", minutes: pick(30) === 0 ? 700 : of(-40, -7, -1, 3, 11, 35) }
      case 11:
      case 12:
      case 13:
        return { do: "cut", ...cut() }
      case 14:
        return { do: of("crash", "drain"), minutes: of(0, 0, 4, 40) }
      default:
        return of<() => Action>(
          () => ({ do: "pause", which: of("order", "part") }),
          () => ({ do: "resume", which: of("order", "part") }),
          () => ({ do: "limits" }),
          () => ({ do: "settle", as: of("again", "output") }),
          () => ({ do: "cancel", which: of("order", "order", "part") })
        )()
    }
  }
  return {
    order: {
      pages: 1 + pick(3),
      failures: pick(6) === 0 ? Scenario.attempts : pick(4),
      hangs: pick(3) === 0
    },
    earlier: pick(4) === 0,
    keepWaiting: pick(2) * 4 * minute,
    actions: Array.from({ length: 4 + pick(24) }, action),
    late: Array.from({ length: pick(8) }, cut)
  }
}

// ---------------------------------------------------------------------------------------------------------------
// a computer whose power can be cut, and whose clock can be set
// ---------------------------------------------------------------------------------------------------------------

type Services = Worker.Worker | Runs.Runs | Store

/** A client's request, and what it is told of it: nothing, if the power is cut meanwhile. */
export interface Sent {
  readonly id: string
  readonly run: string
  readonly action: Action
  answer: "accepted" | "refused" | "unknown"
}

export interface Played {
  readonly script: Script
  readonly sent: ReadonlyArray<Sent>
  readonly runs: ReadonlyMap<
    string,
    { readonly journal: ReadonlyArray<Event>; readonly states: ReadonlyArray<RunState> }
  >
  readonly executions: ReadonlyArray<CrashExplorer.Execution>
  /** What the computer's witness saw that must not be. */
  readonly problems: ReadonlyArray<string>
  readonly verified: ReadonlyMap<string, number>
  readonly timeline: () => string
}

const scenario = Scenario.flowsOf("pipelined")
/** The store and its ledger digest the same lines, and scripts begin alike. */
const digests = new Map<string, string>()
const hash = (text: string): string => {
  let digest = digests.get(text)
  if (digest === undefined) {
    if (digests.size > 10_000) digests.clear()
    digests.set(text, (digest = Hasher.defaultValue().hash(text)))
  }
  return digest
}

const start = 1_000_000_000

/** Plays a script, then gives everybody what it waits for until all runs have ended. Dies if they do not. */
export const play = (script: Script): Effect.Effect<Played> =>
  Effect.gen(function* () {
    const disk = MemoryStore.makeDisk()
    const ledger = CrashStore.ledgerOf(disk, hash)
    const witness = Witness.make(ledger, hash)
    const time = VirtualTime.make(start)
    const ids = WorkerProcess.sequentialIds()
    const tools = Scenario.makeTools(script.order.failures)
    const outer = yield* Effect.context()
    const logs: Array<string> = []
    let skew = 0
    let process = 0
    let armed: { operations: number; readonly when: "before" | "after" } | undefined
    let now:
      | {
          readonly machine: VirtualTime.Machine
          readonly context: Context.Context<never>
          readonly scope: Scope.Closeable
          readonly cutPower: () => void
          services: Context.Context<Services> | undefined
        }
      | undefined

    const timeline = (): string => render(ledger, [], witness.executions, logs)
    const give = (message: string): never => {
      throw new Error(`${message}\n\n${timeline()}`)
    }

    /** An engine that goes round in circles is switched off after a while. */
    const within = (effect: Effect.Effect<void>): Effect.Effect<void> =>
      Effect.raceFirst(
        effect,
        Effect.callback((resume) => {
          const timer = setTimeout(() => {
            now?.machine.switchOff()
            resume(Effect.sync(() => give("the engine does not come to rest")))
          }, 20_000)
          return Effect.sync(() => clearTimeout(timer))
        })
      )
    const idle = within(time.idle)

    /** The clock of the machine, which somebody may have set. */
    const clockOf = (machine: VirtualTime.Machine): Clock.Clock => {
      const clock = Context.get(machine.context as Context.Context<Clock.Clock>, Clock.Clock)
      const millis = () => clock.currentTimeMillisUnsafe() + skew
      const nanos = () => BigInt(millis()) * BigInt(1_000_000)
      return Object.assign(Object.create(clock) as Clock.Clock, {
        currentTimeMillisUnsafe: millis,
        currentTimeMillis: Effect.sync(millis),
        currentTimeNanosUnsafe: nanos,
        currentTimeNanos: Effect.sync(nanos)
      })
    }

    const isOn = (): boolean => now !== undefined && !now.machine.isOff()

    const boot = Effect.fnUntraced(function* (earlier: boolean) {
      const machine = time.machine()
      const store = CrashStore.makeObserved(
        { disk, owner: `process-${++process}`, onCut: () => machine.switchOff() },
        ({ when }) => {
          if (armed?.when !== when || (armed.operations -= 1) > 0) return
          armed = undefined
          cutPower()
        }
      )
      const cutPower = (): void => {
        Effect.runSync(store.cutPower)
        witness.cut()
      }
      const context = WorkerProcess.contextOn(
        machine,
        outer,
        VirtualTime.seededRandom(`scenario/${process}`),
        ids
      ).pipe(
        Context.add(Clock.Clock, clockOf(machine)),
        Context.add(Hasher, { hash, hashBytes: (bytes) => Hasher.defaultValue().hashBytes(bytes) }),
        Context.add(
          Logger.CurrentLoggers,
          new Set([
            Logger.make(({ cause, message }) => {
              logs.push(
                [message, ...cause.reasons.map((reason) => Cause.pretty(Cause.fromReasons([reason])))].join(
                  " "
                )
              )
            })
          ])
        )
      )
      const scope = Scope.makeUnsafe()
      const { flows, handlers } = earlier ? scenario.earlier : scenario
      const building = WorkerProcess.build({
        flows: flows as typeof scenario.flows,
        handlers: Layer.provide(handlers, tools.layer) as Layer.Layer<any>,
        store: store.layer,
        around: witness.layer(process),
        // Clocks that are set are found out by looking now and then; what is missed otherwise is not.
        worker: { sweep: Number.POSITIVE_INFINITY, timers: "5 minutes", keepWaiting: script.keepWaiting }
      }).pipe(Effect.provideService(Scope.Scope, scope)) as Effect.Effect<Context.Context<Services>, unknown>
      now = { machine, context, scope, cutPower, services: undefined }
      const built = now
      const fiber = Effect.runForkWith(built.context)(building)
      yield* idle
      const exit = fiber.pollUnsafe()
      if (exit === undefined) return isOn() ? give("the worker is not built") : undefined
      built.services = Exit.getSuccess(exit).pipe((services) =>
        services._tag === "Some" ? services.value : give("the worker cannot be built")
      )
    })

    /** Whoever finds the computer off switches it on. */
    const on = Effect.gen(function* () {
      for (let tries = 0; !isOn(); tries++) {
        assert.isBelow(tries, 20)
        yield* boot(false)
      }
    })

    /** Somebody asks for something in this process; `undefined` if it is not told what came of it. */
    const ask = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E, Runs.Runs>) {
      yield* on
      const { context, services } = now!
      const fiber = Effect.runForkWith(context)(Effect.provideContext(effect, services!))
      yield* idle
      return fiber.pollUnsafe()
    })

    const drain = Effect.gen(function* () {
      if (!isOn()) return
      const { context, machine, scope } = now!
      const fiber = Effect.runForkWith(context)(Scope.close(scope, Exit.void))
      yield* idle
      while (fiber.pollUnsafe() === undefined && !machine.isOff()) {
        const due = time.nextDue()
        if (due === undefined) return give("the worker does not stop")
        yield* time.setTime(due)
        yield* idle
      }
      machine.switchOff()
    })

    const pass = (millis: number) =>
      Effect.andThen(
        Effect.suspend(() => within(time.setTime(time.now() + millis))),
        idle
      )

    const idOf = (which: Which): string | undefined =>
      which === "order" ? "r" : [...ledger.runs.keys()].find((run) => run.startsWith("part-"))
    const stateNow = (run: string | undefined): RunState | undefined => {
      const known = run === undefined ? undefined : ledger.runs.get(run)
      return known === undefined ? undefined : stateOf(known)
    }

    const sent: Array<Sent> = []
    const request = (action: Action, run: string, id: string) =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const commandId = id
        switch (action.do) {
          case "signal": {
            const key = action.name === "paid" ? { key: "k" } : undefined
            return yield* runs.signal(run, action.name, action.n, { commandId, ...key })
          }
          case "answer":
            return yield* runs.answer(run, "verdict", action.verdict, { commandId })
          case "pause":
          case "resume":
            return yield* runs[action.do](run, { commandId })
          case "cancel":
            return yield* runs.cancel(run, "no need", { commandId, until: "accepted" })
          case "limits":
            return yield* runs.setLimits(run, { budgets: { tokens: 30 } }, { commandId })
          case "settle": {
            const { pause } = yield* runs.stateAt(run)
            const call = pause?.kind === "inDoubt" ? pause.call : "none"
            const as = action.as === "again" ? ("again" as const) : { output: Scenario.receipt }
            return yield* runs.settle(run, call, as, { commandId })
          }
        }
      })

    /** A client that is not told what came of its request makes it again. */
    const insist = Effect.fnUntraced(function* (one: Sent) {
      for (let tries = 0; tries < 3; tries++) {
        const exit = yield* ask(request(one.action, one.run, one.id))
        if (exit !== undefined) {
          // What was refused the second time may have been accepted the first.
          const refused = one.answer === "unknown" && tries > 0 ? "unknown" : "refused"
          one.answer = Exit.isSuccess(exit) ? "accepted" : refused
          return
        }
        one.answer = "unknown"
        if (isOn()) return
      }
    })

    const act = Effect.fnUntraced(function* (action: Action): Effect.fn.Return<void> {
      switch (action.do) {
        case "time":
          return yield* pass(action.seconds * 1000)
        case "clock":
          skew += action.minutes * minute
          return yield* idle
        case "cut":
          armed = { ...action }
          return
        case "crash":
          if (isOn()) now!.cutPower()
          return yield* pass(action.minutes * minute)
        case "drain":
          yield* drain
          return yield* pass(action.minutes * minute)
        case "repeat": {
          const before = sent[action.which]
          if (before !== undefined) yield* ask(request(before.action, before.run, before.id))
          return
        }
        case "serve":
          return yield* serve(action.n)
        default: {
          const which =
            action.do === "signal" && action.name === "parcel"
              ? "part"
              : "which" in action
                ? action.which
                : "order"
          const run = idOf(which)
          if (run === undefined) return
          const one: Sent = { id: `c${sent.length}`, run, action, answer: "unknown" }
          sent.push(one)
          yield* insist(one)
        }
      }
    })

    const serve = (n: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (const which of ["order", "part"] as const) {
          const state = stateNow(idOf(which))
          if (state === undefined) continue
          if (state.status === "paused") {
            if (state.pause?.kind === "inDoubt")
              yield* act({ do: "settle", as: n % 2 === 0 ? "output" : "again" })
            if (state.pause?.kind === "budget") yield* act({ do: "limits" })
            yield* act({ do: "resume", which })
          }
          for (const { on: target } of HashMap.values(state.waits)) {
            if (target.type === "user") yield* act({ do: "answer", verdict: n % 3 === 0 ? "hold" : "ship" })
            if (target.type === "event" && (target.name !== "paid" || n % 4 === 0))
              yield* act({ do: "signal", name: target.name as "go", n })
          }
        }
      })

    // It begins, maybe with the first version, and that may be cut off anywhere.
    yield* boot(script.earlier)
    const Order = script.earlier ? scenario.earlier.Order : scenario.Order
    const begun = yield* ask(
      Effect.flatMap(Runs.Runs, (runs) =>
        runs.start(Order as typeof scenario.Order, script.order, { id: "r" })
      )
    )
    assert.isTrue(begun !== undefined && Exit.isSuccess(begun), "the run is started")
    const [first, ...rest] = script.actions
    if (script.earlier) {
      // The first version is there for one action only.
      if (first !== undefined) yield* act(first)
      if (isOn()) yield* rest.length % 2 === 0 ? drain : Effect.sync(() => now!.cutPower())
    }
    for (const action of script.earlier ? rest : script.actions) {
      yield* on
      yield* act(action)
      yield* on
    }

    // Everybody is given what it waits for, and the clock goes right again.
    armed = undefined
    skew = Math.max(skew, 0)
    yield* on
    yield* pass(6 * minute)
    const isOpen = (run: string) => !isTerminal(stateNow(run)!.status)
    for (let turn = 0; [...ledger.runs.keys()].some(isOpen); turn++) {
      if (turn === 60) return give(`not all runs end: ${[...ledger.runs.keys()].filter(isOpen).join(", ")}`)
      const cut = script.late[turn]
      armed = cut === undefined ? undefined : { ...cut }
      yield* on
      yield* act({ do: "serve", n: 8 })
      yield* pass(4 * minute)
    }
    armed = undefined
    yield* on
    yield* pass(minute)

    const verified = new Map<string, number>()
    for (const run of ledger.runs.keys()) {
      const exit = yield* ask(Runs.verify(run))
      if (exit !== undefined && Exit.isSuccess(exit)) verified.set(run, exit.value.to)
    }
    yield* drain
    return {
      script,
      sent,
      runs: new Map(
        [...ledger.runs].map(([run, { durable, states }]) => [
          run,
          { journal: durable.map(({ event }) => event), states }
        ])
      ),
      executions: witness.executions,
      problems: [...ledger.problems, ...witness.problems],
      verified,
      timeline
    }
  })
