/**
 * Processes for tests: workers over one disk in memory, to be stopped, crashed and started again.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type { Request } from "@waymark/core/Command"
import type { Event, Kind, Of } from "@waymark/core/Event"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"

export type StoreService = Store["Service"]

/** What a process is made of: a worker with everything it needs but a store. */
export type Program = Layer.Layer<Worker.Worker | Runs.Runs, Worker.WorkerError, Store>

export interface Process {
  readonly runs: Runs.Runs["Service"]
  readonly worker: Worker.Worker["Service"]
  /** The store as the engine sees it. */
  readonly store: StoreService
  /** Ends the process in good order: the worker drains, then the store is closed. */
  readonly stop: Effect.Effect<void>
}

export interface BootOptions {
  /** Puts something between the engine and the store. */
  readonly wrap?: ((store: StoreService) => StoreService) | undefined
  readonly owner?: string | undefined
}

export interface Machine {
  readonly disk: MemoryStore.Disk
  /** Starts a process. What is not synced when the power is cut is gone. */
  readonly boot: (program: Program, options?: BootOptions) => Effect.Effect<Process, Worker.WorkerError>
  /** A process without a worker. */
  readonly client: Effect.Effect<Runs.Runs["Service"]>
  /** Puts a command in a run's inbox, whatever the run's status. */
  readonly send: (run: string | { readonly id: string }, id: string, request: Request) => Effect.Effect<void>
  /** Kills all processes: nothing of them comes back to life. */
  readonly crash: Effect.Effect<void>
  /** The durable journal of a run. */
  readonly journal: (run: string | { readonly id: string }) => Effect.Effect<ReadonlyArray<Event>>
  /** The kinds of the events in it. */
  readonly kinds: (run: string | { readonly id: string }) => Effect.Effect<ReadonlyArray<Kind>>
  /** Its events of one kind. */
  readonly eventsOf: <K extends Kind>(
    run: string | { readonly id: string },
    kind: K
  ) => Effect.Effect<ReadonlyArray<Of<K>>>
}

/** A clock that stops with its process: nobody who sleeps by it wakes after a crash. */
const mortal = (clock: Clock.Clock, power: { readonly on: boolean }): Clock.Clock =>
  Object.assign(Object.create(clock), {
    sleep: (duration: Duration.Duration) =>
      Effect.flatMap(clock.sleep(duration), () => (power.on ? Effect.void : Effect.never))
  })

const idOf = (run: string | { readonly id: string }): string => (typeof run === "string" ? run : run.id)

const storeOn = (disk: MemoryStore.Disk, owner?: string) => MemoryStore.make({ disk, flush: "onSync", owner })

/** A computer that can be switched off and on again. */
export const machine = (): Machine => {
  const disk = MemoryStore.makeDisk()
  let power = { on: true }

  const journal: Machine["journal"] = (run) =>
    Effect.scoped(
      Effect.gen(function* () {
        const store = yield* storeOn(disk)
        const id = idOf(run)
        const events: Array<Event> = []
        while (true) {
          const page = yield* store.read(id, { from: events.length })
          if (page.length === 0) return events
          for (const { event } of page) events.push(event)
        }
      })
    ).pipe(Effect.orDie)

  return {
    disk,
    journal,
    kinds: (run) => Effect.map(journal(run), (events) => events.map(({ kind }) => kind)),
    eventsOf: <K extends Kind>(run: string | { readonly id: string }, kind: K) =>
      Effect.map(journal(run), (events) => events.filter((event): event is Of<K> => event.kind === kind)),
    boot: Effect.fnUntraced(function* (program, { owner, wrap }: BootOptions = {}) {
      const storeScope = yield* Scope.make()
      const memory = yield* Scope.provide(storeOn(disk, owner), storeScope)
      const store = wrap === undefined ? memory : wrap(memory)
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        Layer.fresh(program).pipe(Layer.provide(Layer.succeed(Store, store))),
        scope
      ).pipe(Effect.provideService(Clock.Clock, mortal(yield* Clock.Clock, power)))
      return {
        runs: Context.get(context, Runs.Runs),
        worker: Context.get(context, Worker.Worker),
        store,
        stop: Effect.andThen(Scope.close(scope, Exit.void), Scope.close(storeScope, Exit.void))
      }
    }),
    client: Effect.gen(function* () {
      const store = yield* Scope.provide(storeOn(disk), yield* Scope.make())
      const context = yield* Layer.buildWithScope(
        Layer.fresh(Runs.layer).pipe(Layer.provide(Layer.succeed(Store, store))),
        yield* Scope.make()
      )
      return Context.get(context, Runs.Runs)
    }),
    send: (run, id, request) =>
      Effect.scoped(
        Effect.flatMap(storeOn(disk), (store) => store.send({ id, run: idOf(run), time: 0, request }))
      ).pipe(Effect.orDie),
    crash: Effect.sync(() => {
      power.on = false
      power = { on: true }
      disk.cutPower()
    })
  }
}

/** Lets everything that can go on without time passing go on. */
export const idle: Effect.Effect<void> = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, {
  discard: true
})

/** Waits until a condition holds, without time passing. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    for (let turn = 0; turn < 20_000; turn++) {
      if (yield* condition) return
      yield* Effect.yieldNow
    }
    return yield* Effect.die(new Error("what the test waits for does not happen"))
  })

/** Waits until a run has a status. */
export const untilStatus = (
  runs: Runs.Runs["Service"],
  run: string | Runs.Run<any>,
  status: string
): Effect.Effect<void, unknown> => until(Effect.map(runs.get(run), (info) => info.status === status))
