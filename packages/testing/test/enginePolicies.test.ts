/** The engine, with its power cut at every point: what becomes of the policies of nodes. */
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

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const execute = <F extends Flow.Any>(flow: F, input: Flow.Input<F>) =>
  Effect.flatMap(Runs.Runs, (runs) => runs.execute(flow, input, { id: "r" }))

for (const { durability, name, ...how } of variants) {
  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a node's retries continues them at the right attempt, after the right time, with what succeeded",
      () => {
        const Read = Tool.make("read", { input: { part: Schema.String }, output: Schema.String })
        const Write = Tool.make("write", { input: { text: Schema.String }, error: Busy })
        const Copy = Flow.make("copy", {
          input: Schema.Void,
          state: { tries: State.counter() },
          output: Schema.String,
          error: Busy,
          start: "copy",
          durability,
          nodes: {
            copy: Node.make({
              to: ["end"],
              error: Busy,
              retry: Schedule.exponential("1 day").pipe(Schedule.upTo({ times: 5 }))
            })
          }
        })
        const handlers = Copy.toLayer({
          copy: Effect.fnUntraced(function* ({ next }) {
            const text = yield* Read.call({ part: "all" })
            yield* Write.call({ text })
            return next.end(text)
          })
        })
        return CrashExplorer.explore(Copy, {
          ...how,

          world: () => {
            const failed = new Set<number>()
            return {
              failed,
              tools: FakeTools.make(
                FakeTools.always(Read, FakeTools.succeed("text")),
                // Fails three days, whoever asks.
                FakeTools.answer(Write, () =>
                  Effect.flatMap(Clock.currentTimeMillis, (now) =>
                    now < 7 * 86_400_000 ? Effect.fail(new Busy()) : Effect.void
                  )
                )
              )
            }
          },
          handlers: ({ tools }) => Layer.provide(handlers, tools.layer),
          timeLimit: "30 days",
          scenario: () =>
            Effect.gen(function* () {
              const text = yield* execute(Copy, undefined)
              return { text, days: Math.floor((yield* Clock.currentTimeMillis) / 86_400_000) }
            }),
          check: ({ executions, journal, result }) =>
            Effect.gen(function* () {
              assert.deepStrictEqual(yield* result, { text: "text", days: 7 })
              const failed = journal("r").filter(({ kind }) => kind === "attemptFailed")
              assert.deepStrictEqual(
                failed.map((event) => "attempt" in event && event.attempt),
                [1, 2, 3]
              )
              assert.isAbove(executions.length, 4)
            })
        })
      },
      300_000
    )

    it.effect(
      "of nodes that time out, are skipped, tolerated and routed leads the same way",
      () => {
        const Slow = Tool.make("slow", { input: { n: Schema.Int } })
        const Fail = Tool.make("fail", { input: { n: Schema.Int }, error: Busy })
        const Path = Flow.make("path", {
          input: Schema.Void,
          state: { log: State.list(Schema.String) },
          output: Schema.Array(Schema.String),
          start: "timesOut",
          durability,
          nodes: {
            timesOut: Node.make({
              to: ["skipped"],
              timeout: "1 minute",
              onError: { NodeTimeout: "skipped" }
            }),
            skipped: Node.make({ to: ["tolerated"], error: Busy, onError: { Busy: Node.skip() } }),
            tolerated: Node.make({ to: ["dies"], error: Busy, onError: { Busy: Node.tolerate() } }),
            dies: Node.make({ to: ["last"], onDefect: "rescue" }),
            rescue: Node.make({ to: ["last"] }),
            last: Node.make({ to: ["end"] })
          }
        })
        const handlers = Path.toLayer({
          timesOut: Effect.fnUntraced(function* ({ next }) {
            yield* Slow.call({ n: 1 })
            return next.to("skipped", { log: ["not reached"] })
          }),
          skipped: Effect.fnUntraced(function* ({ next }) {
            yield* Fail.call({ n: 1 })
            return next.to("tolerated", { log: ["not reached"] })
          }),
          tolerated: Effect.fnUntraced(function* ({ next }) {
            yield* Fail.call({ n: 2 })
            return next.to("dies", { log: ["not reached"] })
          }),
          dies: () => Effect.die(new Error("a bug")),
          rescue: ({ next }) => Effect.succeed(next.to("last", { log: ["rescued"] })),
          last: ({ next, state }) => Effect.succeed(next.end(state.log))
        })
        return CrashExplorer.explore(Path, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.always(Slow, FakeTools.hang),
              FakeTools.always(Fail, FakeTools.fail(new Busy()))
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => execute(Path, undefined),
          check: ({ result }) => Effect.map(result, (log) => assert.deepStrictEqual(log, ["rescued"]))
        })
      },
      300_000
    )

    it.effect(
      "of a run that comes to its step limit does not give it more steps",
      () => {
        const Forever = Flow.make("forever", {
          input: Schema.Void,
          state: { rounds: State.counter() },
          output: Schema.Int,
          start: "round",
          durability,
          maxSteps: 6,
          nodes: { round: Node.make({ to: ["round", "end"] }) }
        })
        return CrashExplorer.explore(Forever, {
          ...how,

          handlers: Forever.toLayer({ round: ({ next }) => Effect.succeed(next.to("round", { rounds: 1 })) }),
          scenario: () => execute(Forever, undefined),
          check: ({ runs }) =>
            Effect.sync(() => {
              assert.strictEqual(runs["r"]!.steps, 6)
              assert.deepStrictEqual(runs["r"]!.state, { rounds: 6 })
              const { ending } = runs["r"]!
              assert.deepStrictEqual(ending?.status === "failed" && ending.error, {
                kind: "stepLimit",
                limit: 6
              })
            })
        })
      },
      300_000
    )

    it.effect(
      "of a run with a growing state restores it from its snapshots",
      () => {
        const Grow = Flow.make("grow", {
          input: Schema.Int,
          state: {
            items: State.list(Schema.String),
            byName: State.record(Schema.Int),
            fixed: State.value(Schema.String, "x".repeat(2000))
          },
          output: Schema.Int,
          start: "grow",
          durability,
          nodes: { grow: Node.make({ to: ["grow", "end"] }) }
        })
        return CrashExplorer.explore(Grow, {
          ...how,

          handlers: Grow.toLayer({
            grow: ({ input, next, state }) => {
              const n = state.items.length
              return Effect.succeed(
                n === input
                  ? next.end(n)
                  : next.to("grow", {
                      items: [`item ${n} ${"y".repeat(8000)}`],
                      byName: { [`k${n % 3}`]: n }
                    })
              )
            }
          }),
          scenario: () => execute(Grow, 12),
          check: ({ journal, runs }) =>
            Effect.sync(() => {
              assert.include(
                journal("r").map(({ kind }) => kind),
                "snapshot"
              )
              assert.deepStrictEqual(runs["r"]!.state["byName"], { k0: 9, k1: 10, k2: 11 })
            })
        })
      },
      300_000
    )
  })
}

describe("several runs at once", () => {
  it.effect(
    "come to what each comes to alone, wherever the power is cut",
    () => {
      const Add = Tool.make("add", { input: { n: Schema.Int, run: Schema.String }, output: Schema.Int })
      const Count = Flow.make("count", {
        input: Schema.String,
        state: { total: State.counter() },
        output: Schema.Int,
        start: "add",
        nodes: { add: Node.make({ to: ["add", "end"] }) }
      })
      const handlers = Count.toLayer({
        add: Effect.fnUntraced(function* ({ input, next, state }) {
          const n = yield* Add.call({ n: state.total, run: input })
          return n >= 2 ? next.end(n) : next.to("add", { total: 1 })
        })
      })
      return CrashExplorer.explore(Count, {
        nested: 4,
        latency: "1 millis",

        world: () =>
          FakeTools.make(
            FakeTools.answer(Add, ({ n, run }) =>
              FakeTools.after(`${run.length} seconds`, FakeTools.succeed(n + 1))
            )
          ),
        handlers: (tools) => Layer.provide(handlers, tools.layer),
        worker: { concurrency: 2 },
        scenario: () =>
          Effect.gen(function* () {
            const runs = yield* Runs.Runs
            const names = ["a", "bb", "ccc"]
            yield* Effect.forEach(names, (name) => runs.start(Count, name, { id: name }))
            return yield* Effect.forEach(names, (name) => runs.await(Runs.ref(Count, name)))
          })
      })
    },
    300_000
  )
})
