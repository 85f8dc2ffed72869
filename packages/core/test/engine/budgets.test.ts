import { assert, describe, it } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type { Visit } from "@waymark/core/Visit"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const call = (text: string) => Effect.orDie(Echo.call({ text }))

/** Visits one node so many times; each visit calls a tool and spends. */
const spending = (
  budget: Parameters<typeof Run.budget>[1],
  visits: ReadonlyArray<(budget: Run.Budget<"tokens">) => Effect.Effect<void, never, Visit>>,
  options: { readonly onDefect?: "after"; readonly retry?: boolean } = {}
) => {
  const Tokens = Run.budget("tokens", budget)
  const called: Array<string> = []
  const flow = Flow.make("spending", {
    input: Schema.Struct({}),
    state: { n: State.counter() },
    output: Schema.String,
    error: Busy,
    budgets: [Tokens],
    start: "work",
    nodes: {
      work: Node.make({
        to: ["work", "after"],
        error: Busy,
        ...(options.onDefect === undefined ? undefined : { onDefect: options.onDefect }),
        ...(options.retry === true ? { retry: Schedule.recurs(1) } : undefined)
      }),
      after: Node.make({ to: ["end"] })
    }
  })
  const world = { failures: 0 }
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        work: ({ next, state }) =>
          Effect.gen(function* () {
            yield* call(`model ${state.n}`)
            yield* visits[state.n]!(Tokens)
            yield* call(`tool ${state.n}`)
            if (world.failures-- > 0) return yield* new Busy({ n: 1 })
            return state.n + 1 === visits.length ? next.to("after", { n: 1 }) : next.to("work", { n: 1 })
          }),
        after: ({ next, state }) => Effect.succeed(next.end(`after ${state.n}`))
      })
    ),
    Layer.provide(Echo.toLayer(({ text }) => Effect.sync(() => (called.push(text), text))))
  )
  return { called, flow, live, Tokens, world }
}

describe("a budget", () => {
  it.effect("holds what a run spends, warns once at its share, and is spent to its end without harm", () =>
    Effect.gen(function* () {
      const { flow, live } = spending({ limit: 100, warnAt: 0.8 }, [
        (tokens) => tokens.spend(50),
        (tokens) => Effect.andThen(Run.spend(tokens, 30), tokens.spend(10)),
        (tokens) => Effect.andThen(tokens.spend(0), tokens.spend(10))
      ])
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      const [created] = yield* eventsOf(run, "created")
      assert.deepStrictEqual(created!.budgets, { tokens: 100 })
      assert.deepStrictEqual(RunInfo.apply(undefined, created!).budgets, { tokens: { spent: 0, limit: 100 } })
      assert.strictEqual(yield* runs.await(run), "after 3")
      assert.deepStrictEqual(
        (yield* eventsOf(run, "spent")).map(({ amount, limit, total }) => [amount, total, limit]),
        [
          [50, 50, 100],
          [30, 80, 100],
          [10, 90, 100],
          [10, 100, 100]
        ]
      )
      const warnings = yield* eventsOf(run, "budgetWarned")
      assert.strictEqual(warnings.length, 1)
      assert.deepInclude(warnings[0], { budget: "tokens", total: 80, limit: 100, node: "work", visit: 2 })
      assert.deepStrictEqual((yield* runs.get(run)).budgets, { tokens: { spent: 100, limit: 100 } })
    })
  )

  it.effect(
    "that is exceeded pauses the run; with a higher limit it goes on, and nothing is done or spent twice",
    () =>
      Effect.gen(function* () {
        const { called, flow, live } = spending({ limit: 100, warnAt: 0.9 }, [
          (tokens) => Effect.andThen(tokens.spend(60), tokens.spend(60)),
          (tokens) => tokens.spend(60)
        ])
        const { boot, crash, eventsOf } = machine()
        const first = yield* boot(live)
        const run = yield* first.runs.start(flow, {})
        yield* untilStatus(first.runs, run, "paused")
        const [paused] = yield* eventsOf(run, "paused")
        assert.deepStrictEqual(paused!.reason, {
          kind: "budget",
          node: "work",
          visit: 1,
          budget: "tokens",
          spent: 120,
          limit: 100
        })
        assert.strictEqual((yield* first.runs.get(run)).pause, "budget")
        assert.deepStrictEqual(called, ["model 0"])

        // Without a higher limit it comes no further, in this process or the next.
        yield* first.runs.resume(run)
        yield* idle
        yield* crash
        const { runs } = yield* boot(live)
        yield* untilStatus(runs, run, "paused")
        yield* runs.setLimits(run, { budgets: { tokens: 119 } })
        yield* runs.resume(run)
        yield* idle
        yield* untilStatus(runs, run, "paused")
        assert.deepStrictEqual((yield* runs.get(run)).budgets, { tokens: { spent: 120, limit: 119 } })
        assert.deepStrictEqual(called, ["model 0"])

        yield* runs.setLimits(run, { budgets: { tokens: 150 } }, { actor: "ada" })
        yield* idle
        assert.strictEqual((yield* runs.get(run)).status, "paused")
        yield* runs.resume(run)
        yield* idle
        yield* untilStatus(runs, run, "paused")
        assert.deepStrictEqual(called, ["model 0", "tool 0", "model 1"])
        yield* runs.setLimits(run, { budgets: { tokens: 1_000 } })
        yield* runs.resume(run)
        assert.strictEqual(yield* runs.await(run), "after 2")
        assert.deepStrictEqual(called, ["model 0", "tool 0", "model 1", "tool 1"])
        assert.deepStrictEqual(
          (yield* eventsOf(run, "spent")).map(({ limit, total }) => [total, limit]),
          [
            [60, 100],
            [120, 100],
            [180, 150]
          ]
        )
        // The warning is given once for each limit.
        assert.deepStrictEqual(
          (yield* eventsOf(run, "budgetWarned")).map(({ limit, total }) => [total, limit]),
          [
            [120, 100],
            [180, 150]
          ]
        )
        assert.deepInclude((yield* eventsOf(run, "limitsChanged"))[1], {
          actor: "ada",
          budgets: { tokens: 150 }
        })
      })
  )

  it.effect(
    "that is exceeded fails the visit, if that is its policy; a retry with a higher limit goes on",
    () =>
      Effect.gen(function* () {
        const { called, flow, live } = spending({ limit: 100, onExceeded: "fail" }, [
          (tokens) => Effect.andThen(tokens.spend(60), tokens.spend(60))
        ])
        const { boot, eventsOf, kinds } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(flow, {})
        const error = yield* Effect.flip(runs.await(run))
        assert.strictEqual(error._tag, "RunFailed")
        assert.deepInclude(error, { failure: { kind: "budget", budget: "tokens", limit: 100 }, node: "work" })
        assert.match(error.message, /more of budget tokens was spent than its limit of 100/)
        assert.strictEqual((yield* runs.get(run)).error!.kind, "budget")

        yield* runs.retry(run)
        yield* idle
        assert.strictEqual((yield* Effect.flip(runs.await(run)))._tag, "RunFailed")
        yield* runs.retry(run, { limits: { budgets: { tokens: 120 } }, actor: "ada" })
        yield* idle
        assert.strictEqual(yield* runs.await(run), "after 1")
        assert.strictEqual((yield* eventsOf(run, "spent")).length, 2)
        assert.deepStrictEqual(called, ["model 0", "tool 0"])
        const all = yield* kinds(run)
        const at = all.lastIndexOf("restarted")
        assert.strictEqual(all[at + 1], "limitsChanged")
        assert.deepInclude((yield* eventsOf(run, "limitsChanged"))[0], {
          actor: "ada",
          budgets: { tokens: 120 }
        })
      })
  )

  it.effect("that fails a visit leads where the node's policy for defects says", () =>
    Effect.gen(function* () {
      const { flow, live } = spending({ limit: 1, onExceeded: "fail" }, [(tokens) => tokens.spend(2)], {
        onDefect: "after"
      })
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      assert.strictEqual(yield* runs.await(run), "after 0")
      assert.deepStrictEqual((yield* eventsOf(run, "visitFailed"))[0]!.error, {
        kind: "budget",
        budget: "tokens",
        limit: 1
      })
    })
  )

  it.effect("is spent once by all attempts of a visit, unless a key tells what they spend apart", () =>
    Effect.gen(function* () {
      let attempt = 0
      const { flow, live, world } = spending(
        { limit: 1_000 },
        [
          (tokens) =>
            Effect.gen(function* () {
              attempt += 1
              yield* tokens.spend(10)
              yield* tokens.spend(10)
              yield* tokens.spend(1, { key: `attempt ${attempt}` })
            })
        ],
        { retry: true }
      )
      world.failures = 1
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      assert.strictEqual(attempt, 2)
      assert.deepStrictEqual(
        (yield* eventsOf(run, "spent")).map(({ amount, attempt: of }) => [of, amount]),
        [
          [1, 10],
          [1, 10],
          [1, 1],
          [2, 1]
        ]
      )
      assert.deepStrictEqual((yield* runs.get(run)).budgets, { tokens: { spent: 22, limit: 1_000 } })
    })
  )

  it.effect("has the limit that its run is started with", () =>
    Effect.gen(function* () {
      const { flow, live } = spending({ limit: 1 }, [(tokens) => tokens.spend(2)])
      const { boot } = machine()
      const { runs } = yield* boot(live)
      assert.strictEqual(yield* runs.execute(flow, {}, { budgets: { tokens: 2 } }), "after 1")
      const unknown = yield* Effect.flip(runs.start(flow, {}, { budgets: { money: 2 } }))
      assert.match(unknown.message, /budgets.money is not among what the flow has/)
      const wrong = yield* Effect.flip(runs.start(flow, {}, { budgets: { tokens: -1 } }))
      assert.match(wrong.message, /budgets.tokens is -1; it must be a number from 0/)
    })
  )

  it.effect("is carried on by a fork, and a replay finds what was spent", () =>
    Effect.gen(function* () {
      const { flow, live } = spending({ limit: 10 }, [
        (tokens) => tokens.spend(7),
        (tokens) => tokens.spend(7),
        (tokens) => tokens.spend(7)
      ])
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "paused")
      const [, second] = yield* eventsOf(run, "spent")
      const fork = yield* runs.fork(run, second!.seq)
      yield* untilStatus(runs, fork, "paused")
      assert.strictEqual((yield* eventsOf(fork, "spent")).length, 0)
      yield* runs.setLimits(fork, { budgets: { tokens: 20 } })
      yield* runs.resume(fork)
      yield* idle
      yield* untilStatus(runs, fork, "paused")
      assert.deepStrictEqual((yield* runs.get(fork)).budgets, { tokens: { spent: 21, limit: 20 } })

      yield* runs.setLimits(run, { budgets: { tokens: 100 } })
      yield* runs.resume(run)
      yield* runs.await(run)
      const handlers = flow.toLayer({
        work: ({ next, state }) =>
          Effect.gen(function* () {
            yield* call(`model ${state.n}`)
            yield* Run.spend(flow.budgets[0]!, 7)
            yield* call(`tool ${state.n}`)
            return state.n === 2 ? next.to("after", { n: 1 }) : next.to("work", { n: 1 })
          }),
        after: ({ next, state }) => Effect.succeed(next.end(`after ${state.n}`))
      })
      const tools = Echo.toLayer(({ text }) => Effect.succeed(text))
      const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
        Effect.provide(handlers.pipe(Layer.provide(tools)))
      )
      assert.deepStrictEqual(report, { run: run.id, visits: 4, divergences: [] })
    })
  )

  it.effect("that failed a visit fails it in a replay, too", () =>
    Effect.gen(function* () {
      const { flow, live } = spending({ limit: 10, onExceeded: "fail" }, [(tokens) => tokens.spend(11)])
      const { boot } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* Effect.flip(runs.await(run))
      const replayed = (amount: number) =>
        Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
          Effect.provide(
            flow
              .toLayer({
                work: ({ next, state }) =>
                  Effect.gen(function* () {
                    yield* call(`model ${state.n}`)
                    yield* Run.spend(flow.budgets[0]!, amount)
                    return next.to("after", { n: 1 })
                  }),
                after: ({ next }) => Effect.succeed(next.end(""))
              })
              .pipe(Layer.provide(Echo.toLayer(({ text }) => Effect.succeed(text))))
          )
        )
      assert.deepStrictEqual(yield* replayed(11), { run: run.id, visits: 1, divergences: [] })
      assert.strictEqual((yield* replayed(9)).divergences[0]?.node, "work")
    })
  )

  it.effect("can be given to a flow whose runs have begun", () =>
    Effect.gen(function* () {
      const Tokens = Run.budget("tokens", { limit: 5 })
      const make = (budgets: ReadonlyArray<Run.AnyBudget>) => {
        const flow = Flow.make("later", {
          input: Schema.Struct({}),
          budgets,
          start: "work",
          nodes: { work: Node.make({ to: ["end"] }) }
        })
        const handlers = flow.toLayer({
          work: ({ next }) =>
            Effect.andThen(
              budgets.length === 0 ? Effect.never : Tokens.spend(6),
              Effect.sync(() => next.end())
            )
        })
        return { flow, live: Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)) }
      }
      const { boot, crash } = machine()
      const before = make([])
      const first = yield* boot(before.live)
      const run = yield* first.runs.start(before.flow, {})
      yield* crash
      const { runs } = yield* boot(make([Tokens]).live)
      yield* untilStatus(runs, run, "paused")
      assert.deepStrictEqual((yield* runs.get(run)).budgets, { tokens: { spent: 6, limit: 5 } })
      yield* runs.setLimits(run.id, { budgets: { tokens: 6 } })
      yield* runs.resume(run)
      yield* runs.await(run)
    })
  )

  it.effect("that the flow does not name, and an amount that is none, are defects", () =>
    Effect.gen(function* () {
      const other = Run.budget("money", { limit: 1 })
      for (const [spend, detail] of [
        [() => other.spend(1), /flow "spending" has no budget "money": name it in its `budgets`/],
        [(tokens: Run.Budget<"tokens">) => tokens.spend(-1), /-1 cannot be spent of budget "tokens"/],
        [(tokens: Run.Budget<"tokens">) => tokens.spend(NaN), /NaN cannot be spent/],
        [(tokens: Run.Budget<"tokens">) => tokens.spend(Infinity), /Infinity cannot be spent/]
      ] as const) {
        const { flow, live } = spending({ limit: 1 }, [spend])
        const { runs } = yield* machine().boot(live)
        assert.match((yield* Effect.flip(runs.execute(flow, {}))).message, detail)
      }
    })
  )

  it.effect("cannot be spent by something that outlived its visit", () =>
    Effect.gen(function* () {
      const left: Array<Context.Context<Visit>> = []
      const keep = Effect.map(Effect.context<Visit>(), (context) => void left.push(context))
      const { flow, live, Tokens } = spending({ limit: 5 }, [() => keep])
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* runs.await(run)
      const defect = yield* Tokens.spend(1).pipe(
        Effect.provide(left[0]!),
        Effect.catchDefect((error) => Effect.succeed((error as Error).message))
      )
      assert.strictEqual(defect, "Run.spend was used by something that outlived visit 1 of node work")
      assert.notInclude(yield* kinds(run), "spent")
    })
  )

  it("is defined with a name, a limit and a share, once in a flow", () => {
    assert.throws(
      () => Run.budget("", { limit: -1, warnAt: 2 }),
      /budget "" cannot be defined:\n- "" cannot be .*\n- `limit` is -1.*\n- `warnAt` is 2; it must be a share/
    )
    const budgets = [Run.budget("a", { limit: 1 }), Run.budget("a", { limit: 2 })]
    const define = () =>
      Flow.make("f", {
        input: Schema.Struct({}),
        budgets,
        start: "a",
        nodes: { a: Node.make({ to: ["end"] }) }
      })
    assert.throws(define, /`budgets` has two that are called "a"/)
  })
})
