/** The engine, with its power cut at every point: what runs tell, spend and may do. */
import { assert, describe, it } from "@effect/vitest"
import type { Event, Kind, Of } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as RunInfo from "@waymark/core/RunInfo"
import type { RunStatus } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import { Visit } from "@waymark/core/Visit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class Garbled extends Schema.TaggedError<Garbled>()("Garbled", {}) {}

const Model = Tool.make("model", { input: { prompt: Schema.String }, output: Schema.Int })
const Draft = Run.output("draft", Schema.Struct({ round: Schema.Int, words: Schema.Int }))

/** A model whose answers have as many words as the prompt says, and take a while. */
const models = () =>
  FakeTools.make(
    FakeTools.answer(Model, ({ prompt }) =>
      FakeTools.after("2 seconds", FakeTools.succeed(Number(prompt.split(" ")[1])))
    )
  )

const ended = ["completed", "failed", "cancelled"] as const

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

const eventsOf = <K extends Kind>(journal: ReadonlyArray<Event>, kind: K): ReadonlyArray<Of<K>> =>
  journal.filter((event): event is Of<K> => event.kind === kind)

const infoOf = (journal: ReadonlyArray<Event>): RunInfo.RunInfo => {
  let info: RunInfo.RunInfo | undefined
  for (const event of journal) info = RunInfo.apply(info, event)
  return info!
}

for (const { durability, name, ...how } of variants) {
  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "lets a run tell everything once, in the same order, whatever is executed again",
      () => {
        const Tokens = Run.budget("tokens", { limit: 1_000, warnAt: 0.01 })
        const Writer = Flow.make("writer", {
          input: Schema.Struct({}),
          state: { rounds: State.counter() },
          output: Schema.Int,
          error: Garbled,
          budgets: [Tokens],
          durability,
          start: "write",
          nodes: {
            write: Node.make({ to: ["write", "end"], error: Garbled, retry: Schedule.spaced("1 minute") })
          }
        })
        const handlers = Writer.toLayer({
          write: Effect.fnUntraced(function* ({ next, state }) {
            const round = state.rounds
            const { attempt } = yield* Visit
            yield* Run.log("asking", { round })
            for (let i = 0; i < 3; i++) yield* Run.progress(i, 6)
            const words = yield* Model.call({ prompt: `write ${round + 5}` })
            yield* Tokens.spend(words)
            yield* Draft.emit({ round, words })
            yield* Draft.emit({ round, words })
            yield* Run.progress(4, 6)
            // The same tokens are not spent again by the attempt that is served the same answer.
            if (attempt === 1) return yield* new Garbled()
            const more = yield* Model.call({ prompt: "again 5" })
            yield* Tokens.spend(more)
            yield* Run.tag(`round ${round}`)
            yield* Run.progress(6, 6)
            return round === 1 ? next.end(words + more) : next.to("write", { rounds: 1 })
          })
        })
        return CrashExplorer.explore(Writer, {
          ...how,

          world: models,
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Writer, {}, { id: "r" })
              // Whoever follows the outputs from the beginning sees each one once.
              const streamed = yield* Stream.runCollect(Runs.outputStream(run, Draft))
              assert.strictEqual(yield* runs.await(run), 11)
              return streamed.map(({ value }) => value)
            }),
          check: ({ journal, result }) =>
            Effect.map(result, (streamed) => {
              const events = journal("r")
              const drafts = [0, 0, 1, 1].map((round) => ({ round, words: round + 5 }))
              assert.deepStrictEqual(streamed, drafts)
              assert.deepStrictEqual(
                eventsOf(events, "emitted").map(({ value }) => value),
                drafts
              )
              assert.deepStrictEqual(
                eventsOf(events, "logged").map(({ data, text }) => [text, data]),
                [
                  ["asking", { round: 0 }],
                  ["asking", { round: 1 }]
                ]
              )
              assert.deepStrictEqual(
                eventsOf(events, "spent").map(({ amount, total }) => [amount, total]),
                [
                  [5, 5],
                  [5, 10],
                  [6, 16],
                  [5, 21]
                ]
              )
              assert.strictEqual(eventsOf(events, "budgetWarned").length, 1)
              const { budgets, progress, tags } = infoOf(events)
              assert.deepStrictEqual(budgets, { tokens: { spent: 21, limit: 1_000 } })
              assert.deepStrictEqual(tags, ["round 0", "round 1"])
              assert.deepStrictEqual(progress, { node: "write", done: 6, total: 6 })
              const reports = eventsOf(events, "progressed")
              reports.forEach(({ done, visit }, i) => {
                const before = reports[i - 1]
                if (before?.visit === visit) assert.isAtLeast(done, before.done)
              })
            })
        })
      },
      300_000
    )

    it.effect(
      "of a run that pauses for its budget, is given more and resumed spends nothing twice",
      () => {
        const Tokens = Run.budget("tokens", { limit: 10 })
        const Talk = Flow.make("talk", {
          input: Schema.Struct({}),
          state: { n: State.counter() },
          output: Schema.Int,
          budgets: [Tokens],
          durability,
          start: "talk",
          nodes: { talk: Node.make({ to: ["talk", "end"] }) }
        })
        const handlers = Talk.toLayer({
          talk: Effect.fnUntraced(function* ({ next, state }) {
            const tokens = yield* Model.call({ prompt: "say 8" })
            yield* Tokens.spend(tokens)
            yield* Model.call({ prompt: "think 1" })
            return state.n === 1 ? next.end(state.n) : next.to("talk", { n: 1 })
          })
        })
        return CrashExplorer.explore(Talk, {
          ...how,

          world: models,
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: ({ once }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Talk, {}, { id: "r" })
              const status = yield* until("r", "paused", ...ended)
              if (status === "paused") {
                yield* once(
                  "limits",
                  Effect.ignore(
                    runs.setLimits(run, { budgets: { tokens: 16 } }, { commandId: "limits", actor: "ada" })
                  )
                )
                yield* Effect.sleep("1 hour")
                yield* Effect.ignore(runs.resume(run, { commandId: "resume" }))
              }
              return yield* runs.await(run)
            }),
          check: ({ executions, journal, result }) =>
            Effect.map(result, () => {
              const events = journal("r")
              assert.deepStrictEqual(
                eventsOf(events, "spent").map(({ limit, total }) => [total, limit]),
                [
                  [8, 10],
                  [16, 10]
                ]
              )
              assert.deepStrictEqual(infoOf(events).budgets, { tokens: { spent: 16, limit: 16 } })
              const [change] = eventsOf(events, "limitsChanged")
              assert.strictEqual(change!.actor, "ada")
              assert.strictEqual(eventsOf(events, "limitsChanged").length, 1)
              // Nothing was asked for after the budget was exceeded and before it was raised.
              const late = executions.filter(({ input, visit }) => visit === 2 && isThinking(input))
              const thought = events.filter(
                (event) => event.kind === "callStarted" && event.visit === 2 && isThinking(event.input)
              )
              assert.isAtLeast(late.length, 1)
              for (const { seq } of thought) assert.isAbove(seq, change!.seq)
            })
        })
      },
      300_000
    )

    it.effect(
      "of a run that fails for its limits and is retried with higher ones counts and spends the same",
      () => {
        const Tokens = Run.budget("tokens", { limit: 10, onExceeded: "fail" })
        const Loop = Flow.make("loop", {
          input: Schema.Struct({}),
          state: { n: State.counter() },
          output: Schema.Int,
          budgets: [Tokens],
          durability,
          maxSteps: 10,
          warnAt: 0.3,
          start: "ask",
          nodes: {
            ask: Node.make({ to: ["check"], maxVisits: 2 }),
            check: Node.make({ to: ["ask", "end"] })
          }
        })
        const handlers = Loop.toLayer({
          ask: Effect.fnUntraced(function* ({ next }) {
            yield* Tokens.spend(yield* Model.call({ prompt: "say 6" }))
            return next.to("check", { n: 1 })
          }),
          check: ({ next, state }) => Effect.succeed(state.n === 3 ? next.end(state.n) : next.to("ask"))
        })
        return CrashExplorer.explore(Loop, {
          ...how,

          world: models,
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Loop, {}, { id: "r" })
              // First the budget, then the visits.
              for (const limits of [{ budgets: { tokens: 99 } }, { maxVisits: { ask: 3 } }]) {
                const commandId = Object.keys(limits)[0]!
                yield* until("r", ...ended)
                yield* Effect.ignore(runs.retry(run, { limits, commandId }))
                yield* Effect.sleep("1 second")
              }
              yield* until("r", "completed")
              return yield* runs.await(run)
            }),
          check: ({ journal, result }) =>
            Effect.map(result, (asked) => {
              assert.strictEqual(asked, 3)
              const events = journal("r")
              assert.deepStrictEqual(
                eventsOf(events, "spent").map(({ total }) => total),
                [6, 12, 18]
              )
              assert.deepStrictEqual(
                eventsOf(events, "failed").map(({ error }) => error),
                [
                  { kind: "budget", budget: "tokens", limit: 10 },
                  { kind: "visitLimit", node: "ask", limit: 2 }
                ]
              )
              assert.deepStrictEqual(
                eventsOf(events, "limitWarned").map(({ steps }) => steps),
                [3]
              )
            })
        })
      },
      300_000
    )
  })
}

const isThinking = (input: unknown): boolean => JSON.stringify(input).includes("think")
