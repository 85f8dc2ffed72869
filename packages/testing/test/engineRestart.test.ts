/** The engine, with its power cut at every point: restarts of runs that would fail, and the limit of a run's time. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class Down extends Schema.TaggedError<Down>()("Down", {}) {}

const Pay = Tool.make("pay", { input: {}, output: Schema.String, compensate: true })
const Ask = Tool.make("ask", { input: { n: Schema.Int }, output: Schema.String, error: Down })

const hour = 3_600_000

for (const { durability, name, ...how } of variants) {
  const Job = Flow.make("job", {
    input: Schema.Struct({}),
    state: { log: State.list(Schema.String) },
    output: Schema.Array(Schema.String),
    error: Down,
    start: "pay",
    durability,
    restart: { max: 3, schedule: Schedule.spaced("1 hour") },
    nodes: {
      pay: Node.make({ to: ["ask"] }),
      ask: Node.make({ to: ["ask", "end"], error: Down })
    }
  })
  const handlers = Job.toLayer({
    pay: Effect.fnUntraced(function* ({ next }) {
      return next.to("ask", { log: [yield* Pay.call({})] })
    }),
    ask: Effect.fnUntraced(function* ({ next, state: { log } }) {
      const answer = yield* Ask.call({ n: log.length })
      return log.length === 2 ? next.end([...log, answer]) : next.to("ask", { log: [answer] })
    })
  })
  /** Nobody answers before that time. */
  const makeWorld = (from: number) => () => {
    const world = { ended: 0 }
    const tools = FakeTools.make(
      FakeTools.always(Pay, FakeTools.succeed("paid")),
      FakeTools.answer(Ask, ({ n }) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          now < from ? Effect.fail(new Down()) : Effect.succeed(`answer ${n}`)
        )
      )
    )
    return { world, tools }
  }
  const base = {
    ...how,
    handlers: ({ tools }: ReturnType<ReturnType<typeof makeWorld>>) => Layer.provide(handlers, tools.layer)
  } as const

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a run that is restarted neither adds nor forgets a restart, and waits no longer than it has to",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          world: makeWorld(3 * hour),
          scenario: ({ world: { world } }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const log = yield* runs.execute(Job, {}, { id: "r" })
              world.ended = Math.floor((yield* Clock.currentTimeMillis) / hour)
              return log
            }),
          check: ({ journal, result, world: { world } }) =>
            Effect.map(result, (log) => {
              assert.deepStrictEqual(log, ["paid", "answer 1", "answer 2"])
              assert.strictEqual(world.ended, 3)
              const restarts = journal("r").filter((event) => event.kind === "attemptFailed" && event.restart)
              assert.strictEqual(restarts.length, 3)
            })
        }),
      300_000
    )

    it.effect(
      "of a run that fails after all its restarts undoes what it did once",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          world: makeWorld(Infinity),
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              return (yield* Effect.flip(runs.execute(Job, {}, { id: "r" })))._tag
            }),
          check: ({ executions, result }) =>
            Effect.map(result, (error) => {
              assert.strictEqual(error, "Down")
              const undone = executions.filter(({ undoes }) => undoes !== undefined)
              assert.strictEqual(new Set(undone.map(({ key }) => key)).size, 1)
            })
        }),
      300_000
    )

    it.effect(
      "of a run whose time is over before its restarts are fails then",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          world: makeWorld(Infinity),
          scenario: ({ world: { world } }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Job, {}, { id: "r", timeout: "90 minutes" })
              const error = yield* Effect.flip(runs.await(run))
              world.ended = (yield* Clock.currentTimeMillis) / hour
              return error._tag === "RunFailed" ? error.failure : error
            }),
          check: ({ result, world: { world } }) =>
            Effect.map(result, (failure) => {
              assert.deepStrictEqual(failure, {
                kind: "timeout",
                what: "run",
                name: "r",
                millis: 1.5 * hour
              })
              assert.isAtLeast(world.ended, 1.5)
              assert.isBelow(world.ended, 1.6)
            })
        }),
      300_000
    )
  })
}
