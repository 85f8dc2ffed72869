import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Event, Kind, Of } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import { parse } from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"
import { idle, machine, type StoreService, until, untilStatus } from "./process.ts"

const Pay = Tool.make("pay", {
  input: { amount: Schema.Int },
  output: Schema.String,
  delivery: "atMostOnce"
})

/** It pays, and fails as long as the world is broken. */
const flow = Flow.make("order", {
  input: Schema.Struct({}),
  output: Schema.String,
  error: Busy,
  start: "pay",
  nodes: { pay: Node.make({ to: ["ship"] }), ship: Node.make({ to: ["end"], error: Busy }) }
})

const ordering = () => {
  const world = { hang: false, broken: false }
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        pay: ({ next }) => Effect.as(Pay.call({ amount: 5 }), next.to("ship")),
        ship: ({ next }) =>
          Effect.gen(function* () {
            yield* Effect.sleep("1 second")
            if (world.broken) return yield* new Busy({ n: 1 })
            return next.end("shipped")
          })
      })
    ),
    Layer.provide(
      Pay.toLayer(() =>
        Effect.suspend(() => (world.hang ? Effect.never : Effect.as(Effect.sleep("1 second"), "paid")))
      )
    )
  )
  return { live, world }
}

type Booted = Effect.Success<ReturnType<ReturnType<typeof machine>["boot"]>>

interface Setting {
  readonly runs: Runs.Runs["Service"]
  readonly run: Runs.Run<typeof flow>
  readonly world: ReturnType<typeof ordering>["world"]
  /** Kills the process in the midst of the call, which is in doubt then. */
  readonly doubt: Effect.Effect<Runs.Runs["Service"]>
}

const ada = { actor: "ada", session: "the office", correlation: "ticket 7" }

/**
 * What a person does, and what the journal says about it; `in` the run that the event is in, if it is not the first one.
 */
interface Action<K extends Kind = Kind> {
  readonly kind: K
  readonly event?: Partial<Of<K>>
  readonly in?: string
  readonly hangs?: boolean
  readonly act: (setting: Setting, by: typeof ada) => Effect.Effect<unknown, unknown>
}
const action = <K extends Kind>(it: Action<K>): Action => it

const paused = ({ run, runs }: Setting) =>
  Effect.gen(function* () {
    yield* runs.pause(run)
    yield* TestClock.adjust("1 second")
    yield* untilStatus(runs, run, "paused")
  })

const failed = ({ run, runs, world }: Setting) =>
  Effect.gen(function* () {
    world.broken = true
    yield* TestClock.adjust("2 seconds")
    yield* untilStatus(runs, run, "failed")
    world.broken = false
  })

const settling =
  (as: "failed" | "again" | { readonly output: string }) => (setting: Setting, by: Runs.CommandOptions) =>
    Effect.gen(function* () {
      const runs = yield* setting.doubt
      yield* untilStatus(runs, setting.run, "paused")
      const { pause } = yield* runs.stateAt(setting.run)
      yield* runs.settle(setting.run, pause!.kind === "inDoubt" ? pause!.call : "", as, by)
    })

const actions: { readonly [name: string]: Action } = {
  "starts a run": action({
    kind: "created",
    in: "other",
    act: ({ runs }, by) => runs.start(flow, {}, { id: "other", ...by })
  }),
  "pauses it": action({ kind: "paused", act: ({ run, runs }, by) => runs.pause(run, by) }),
  "resumes it": action({
    kind: "resumed",
    act: (setting, by) => Effect.andThen(paused(setting), setting.runs.resume(setting.run, by))
  }),
  "cancels it": action({
    kind: "cancelRequested",
    act: ({ run, runs }, by) => runs.cancel(run, "no need", by)
  }),
  "retries it": action({
    kind: "restarted",
    act: (setting, by) => Effect.andThen(failed(setting), setting.runs.retry(setting.run, by))
  }),
  "retries it with other limits": action({
    kind: "limitsChanged",
    event: { maxSteps: 9 },
    act: (setting, by) =>
      Effect.andThen(failed(setting), setting.runs.retry(setting.run, { ...by, limits: { maxSteps: 9 } }))
  }),
  "changes its limits": action({
    kind: "limitsChanged",
    event: { maxSteps: 9 },
    act: ({ run, runs }, by) => runs.setLimits(run, { maxSteps: 9 }, by)
  }),
  "says that a call in doubt succeeded": action({
    kind: "callCompleted",
    event: { output: "by hand" },
    hangs: true,
    act: settling({ output: "by hand" })
  }),
  "says that a call in doubt failed": action({ kind: "callFailed", hangs: true, act: settling("failed") }),
  "lets a call in doubt be carried out": action({
    kind: "callReleased",
    hangs: true,
    act: settling("again")
  }),
  "forks it": action({
    kind: "forked",
    in: "fork",
    act: ({ run, runs }, by) => runs.fork(run, 0, { id: "fork", ...by })
  }),
  "asks for what has no effect": action({
    kind: "commandIgnored",
    act: (setting, by) => Effect.andThen(paused(setting), setting.runs.pause(setting.run, by))
  })
}

/** The store of a process that reads another actor's name in the events of one kind. */
const renamed =
  (kind: Kind, name: string) =>
  (store: StoreService): StoreService => ({
    ...store,
    read: (run, options) =>
      Effect.map(store.read(run, options), (entries) =>
        entries.map((entry): Entry => {
          const line = entry.line.replaceAll('"actor":"ada"', `"actor":${JSON.stringify(name)}`)
          return entry.event.kind === kind ? Result.getOrThrow(parse(line)) : entry
        })
      )
  })

describe("the journal says who", () => {
  for (const [name, { act, event, hangs, in: where, kind }] of Object.entries(actions)) {
    it.effect(`${name}, and nobody can put another name there`, () =>
      Effect.gen(function* () {
        const { live, world } = ordering()
        const { boot, crash, journal, kinds } = machine()
        world.hang = hangs === true
        const { runs } = yield* boot(live)
        const run = yield* runs.start(flow, {}, { id: "r" })
        yield* until(Effect.map(kinds(run), (all) => all.includes("callStarted")))
        const doubt = Effect.gen(function* () {
          yield* crash
          world.hang = false
          return (yield* boot(live)).runs
        })
        const acting = yield* Effect.forkChild(act({ runs, run, world, doubt: Effect.orDie(doubt) }, ada))
        for (let second = 0; second < 9; second++) {
          yield* idle
          yield* TestClock.adjust("1 second")
        }
        yield* idle
        assert.isDefined(acting.pollUnsafe())

        const id = where ?? "r"
        const all: ReadonlyArray<Event> = yield* journal(id)
        const done = all.find((one) => one.kind === kind && "actor" in one && one.actor !== undefined)
        assert.isDefined(done, `no ${kind} event with an actor in ${all.map((one) => one.kind).join(", ")}`)
        assert.deepInclude(done, { ...ada, ...event })

        const honest: Booted = yield* boot(live)
        yield* Effect.provideService(Runs.verify(id), Runs.Runs, honest.runs)
        const forged = yield* boot(live, { wrap: renamed(kind, "eve") })
        const broken = yield* Effect.flip(Effect.provideService(Runs.verify(id), Runs.Runs, forged.runs))
        assert.strictEqual(broken._tag, "ChainBroken")
        assert.strictEqual("seq" in broken ? broken.seq : undefined, Math.min(done.seq + 1, all.length - 1))
      })
    )
  }

  it.effect("a run belongs to, with its session and correlation, in the index, too", () =>
    Effect.gen(function* () {
      const { live } = ordering()
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const identity = { actor: "ada", session: "s", correlation: "c" }
      const run = yield* runs.start(flow, {}, identity)
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      assert.deepInclude((yield* eventsOf(run, "created"))[0], identity)
      assert.deepInclude(yield* runs.get(run), identity)
      assert.deepInclude(yield* runs.stateAt(run), identity)
      const fork = yield* runs.fork(run, 0, { actor: "bob", session: "t" })
      const info = yield* runs.get(fork)
      // A fork belongs to who made it.
      assert.deepStrictEqual([info.actor, info.session, info.correlation], ["bob", "t", undefined])
    })
  )
})
