/** The engine, with its power cut at every point: what becomes of what people ask of a run. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import type { RunStatus } from "@waymark/core/RunInfo"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class NoPaper extends Schema.TaggedError<NoPaper>()("NoPaper", {}) {}

const Print = Tool.make("print", { input: { page: Schema.Int }, output: Schema.Int, error: NoPaper })

const jobs = (durability: "pipelined" | "strict" | "ephemeral") => {
  const Job = Flow.make("job", {
    input: Schema.Int,
    state: { printed: State.list(Schema.Int), copies: State.value(Schema.Int, 1) },
    output: Schema.Array(Schema.Int),
    error: NoPaper,
    start: "print",
    durability,
    nodes: { print: Node.make({ to: ["print", "end"], error: NoPaper }) }
  })
  const handlers = Job.toLayer({
    print: Effect.fnUntraced(function* ({ input, next, state }) {
      const page = state.printed.length
      const first = yield* Print.call({ page })
      const second = yield* Print.call({ page: page + 100 * state.copies })
      return page + 1 === input
        ? next.end([...state.printed, first + second])
        : next.to("print", { printed: [first + second] })
    })
  })
  return { Job, handlers }
}

const printing = () =>
  FakeTools.make(
    FakeTools.answer(Print, ({ page }) => FakeTools.after("10 seconds", FakeTools.succeed(page)))
  )

/** Waits until a run has one of these statuses. */
const until = (run: string, ...statuses: ReadonlyArray<RunStatus>) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    while (true) {
      const { status } = yield* runs.get(run)
      if (statuses.includes(status)) return status
      yield* Effect.sleep("1 second")
    }
  })

const ended = ["completed", "failed", "cancelled"] as const

for (const { durability, name, ...how } of variants) {
  const { Job, handlers } = jobs(durability)
  const base = {
    ...how,
    world: printing,
    handlers: (tools: ReturnType<typeof printing>) => Layer.provide(handlers, tools.layer)
  } as const

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a run that is paused and resumed comes to the same",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          scenario: ({ once }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Job, 2, { id: "r" })
              yield* Effect.sleep("5 seconds")
              yield* once("pause", Effect.ignore(runs.pause(run, { note: "lunch", commandId: "pause" })))
              const status = yield* until("r", "paused", ...ended)
              if (status === "paused") {
                yield* Effect.sleep("1 hour")
                yield* Effect.ignore(runs.resume(run, { commandId: "resume" }))
              }
              return yield* runs.await(run)
            })
        }),
      300_000
    )

    it.effect(
      "of a run that is cancelled leaves it cancelled, and nothing of it is executed afterwards",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Job, 4, { id: "r" })
              yield* Effect.sleep("15 seconds")
              const how = yield* runs.cancel(run, "no need", { commandId: "cancel" })
              // Whoever asks again is told how it ended.
              assert.strictEqual(yield* runs.cancel(run, "really"), how)
              yield* Effect.sleep("1 hour")
              return how
            }),
          check: ({ journal, result }) =>
            Effect.map(result, (how) => {
              assert.strictEqual(how, "cancelled")
              const events = journal("r").filter(
                ({ kind }) => kind !== "claimed" && kind !== "commandIgnored"
              )
              assert.strictEqual(events[events.length - 1]!.kind, "cancelled")
            })
        }),
      300_000
    )

    it.effect(
      "of a failed run that is retried with an edited state goes on from the visit that failed",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          world: () => {
            const paper = { isThere: false }
            const tools = FakeTools.make(
              FakeTools.answer(Print, ({ page }) =>
                Effect.suspend(() =>
                  page < 100 || paper.isThere ? Effect.succeed(page) : Effect.fail(new NoPaper())
                )
              )
            )
            return { paper, tools }
          },
          handlers: ({ tools }) => Layer.provide(handlers, tools.layer),
          scenario: ({ world: { paper } }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Job, 2, { id: "r" })
              yield* until("r", ...ended)
              paper.isThere = true
              yield* Effect.ignore(runs.retry(run, { commandId: "retry", edits: { copies: 3 } }))
              yield* until("r", "completed")
              return yield* runs.await(run)
            }),
          check: ({ executions, result, runs }) =>
            Effect.map(result, (printed) => {
              assert.deepStrictEqual(printed, [300, 302])
              assert.deepStrictEqual(runs["r"]!.state["copies"], 3)
              // Page 0 had succeeded in the attempt that failed.
              const zero = executions.filter(({ input }) => (input as { page: number }).page === 0)
              assert.strictEqual(zero.filter(({ result }) => result === "succeeded").length >= 1, true)
            })
        }),
      300_000
    )

    it.effect(
      "of a run that is forked within a visit serves the fork what had finished",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const store = yield* Store
              const run = yield* runs.start(Job, 2, { id: "r" })
              yield* runs.await(run)
              const events = (yield* store.read("r")).map(({ event }) => event)
              const finished = events.find((event) => event.kind === "callCompleted" && event.visit === 2)
              const fork = yield* runs
                .fork(run, finished!.seq, { id: "f", edits: { copies: 2 } })
                .pipe(Effect.catchTag("RunConflict", () => Effect.succeed(Runs.ref(Job, "f"))))
              return yield* runs.await(fork)
            }),
          check: ({ executions, journal, result }) =>
            Effect.map(result, (printed) => {
              assert.deepStrictEqual(printed, [100, 202])
              const inFork = executions.filter(({ run }) => run === "f")
              assert.deepStrictEqual(
                new Set(inFork.map(({ input }) => (input as { page: number }).page)),
                new Set([201])
              )
              assert.strictEqual(journal("f")[0]!.kind, "forked")
            })
        }),
      300_000
    )

    it.effect(
      "of a run whose worker is down for a day goes on then",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          nested: "none",
          downtime: "1 day",
          scenario: () => Effect.flatMap(Runs.Runs, (runs) => runs.execute(Job, 2, { id: "r" }))
        }),
      300_000
    )
  })
}

describe("the durability that a run is started with", () => {
  const { Job, handlers } = jobs("ephemeral")
  for (const durability of ["pipelined", "strict"] as const) {
    it.effect(
      `is that of the run, whatever its flow says (${durability})`,
      () =>
        CrashExplorer.explore(Job, {
          world: printing,
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          nested: "none",
          scenario: () => Effect.flatMap(Runs.Runs, (runs) => runs.execute(Job, 2, { id: "r", durability }))
        }),
      300_000
    )
  }
})
