import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, until, untilStatus } from "./process.ts"

const Quote = Flow.make("quote", {
  input: Schema.Int,
  output: Schema.String,
  start: "ask",
  nodes: { ask: Node.make({ to: ["end"] }) }
})

const Buyer = Flow.make("buyer", {
  input: Schema.Void,
  output: Schema.Array(Schema.String),
  error: Wait.WaitTimeout,
  start: "work",
  nodes: {
    work: Node.make({
      to: ["end"],
      error: Wait.WaitTimeout,
      retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 1 }))
    })
  }
})

const untilEnded = (runs: Runs.Runs["Service"], parent: string) =>
  until(
    Effect.map(runs.list({ parent }), ({ runs: all }) =>
      all.every(({ outbox, status }) => RunInfo.isTerminal(status) && outbox === undefined)
    )
  )

for (const [mode, keepWaiting] of [
  ["runs leave memory while they wait", 0],
  ["fibers are kept while they wait", "1 hour"]
] as const) {
  const live = (work: Flow.Handler<typeof Buyer, "work", Visit>) =>
    Worker.layer({ flows: [Buyer, Quote], keepWaiting }).pipe(
      Layer.provide(Buyer.toLayer({ work })),
      Layer.provide(
        Quote.toLayer({
          ask: ({ input, next }) => Effect.as(Wait.sleep(input), next.end(`in ${input}`))
        })
      )
    )

  describe(`a call that is not waited for to its end (${mode})`, () => {
    it.effect("fails when its time is over, and the run is cancelled", () =>
      Effect.gen(function* () {
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(
          live(({ next }) =>
            Quote.call(3_600_000, { timeout: "1 minute" }).pipe(
              Effect.map((quote) => next.end([quote])),
              Effect.catchTag("WaitTimeout", ({ name }) => Effect.succeed(next.end([name])))
            )
          )
        )
        const run = yield* runs.start(Buyer, undefined)
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        assert.strictEqual((yield* runs.get(run)).due, 60_000)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* runs.await(run), ["a run of flow quote"])
        yield* untilEnded(runs, run.id)
        const { runs: children } = yield* runs.list({ parent: run.id })
        assert.deepStrictEqual(
          children.map(({ status }) => status),
          ["cancelled"]
        )
        const error = yield* Effect.flip(runs.await(Runs.ref(Quote, children[0]!.run)))
        assert.include(error.message, "gave it up: its time was over")
        assert.deepStrictEqual(
          (yield* eventsOf(run, "waitEnded")).map(({ outcome }) => outcome),
          [{ timedOut: true }]
        )
        assert.isUndefined((yield* runs.get(run)).outbox)
      })
    )

    it.effect("is made again by the next attempt, with a run of its own", () =>
      Effect.gen(function* () {
        const { boot } = machine()
        let attempts = 0
        const { runs } = yield* boot(
          live(({ next }) =>
            Effect.gen(function* () {
              const quote = yield* Quote.call(attempts === 0 ? 3_600_000 : 1_000, {
                key: "q",
                timeout: "1 minute"
              }).pipe(Effect.tapError(() => Effect.sync(() => (attempts += 1))))
              return next.end([quote])
            })
          )
        )
        const run = yield* runs.start(Buyer, undefined)
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        yield* TestClock.adjust("1 minute")
        yield* TestClock.adjust("1 second")
        yield* untilStatus(runs, run, "waiting")
        yield* TestClock.adjust("1 second")
        assert.lengthOf(yield* runs.await(run), 1)
        yield* untilEnded(runs, run.id)
        const { runs: children } = yield* runs.list({ parent: run.id, order: "oldest" })
        assert.deepStrictEqual(
          children.map(({ status }) => status),
          ["cancelled", "completed"]
        )
      })
    )

    it.effect("can be raced: what is lost is cancelled, what wins is served to replays, too", () =>
      Effect.gen(function* () {
        const { boot, eventsOf } = machine()
        const work: Flow.Handler<typeof Buyer, "work", Visit> = ({ next }) =>
          Effect.gen(function* () {
            const first = yield* Wait.race({
              slow: Quote.call(3_600_000),
              fast: Quote.call(60_000),
              never: Wait.event("never", { schema: Schema.String })
            })
            const second = yield* Wait.race({
              told: Wait.event("told", { schema: Schema.String }),
              quote: Quote.call(60_000)
            })
            return next.end([first.winner, second.winner, second.value])
          })
        const { runs } = yield* boot(live(work))
        const run = yield* runs.start(Buyer, undefined)
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        yield* TestClock.adjust("1 minute")
        yield* until(Effect.map(runs.get(run), ({ waits }) => waits.some(({ name }) => name === "told")))
        yield* runs.signal(run, "told", "it")
        assert.deepStrictEqual(yield* runs.await(run), ["fast", "told", "it"])
        yield* untilEnded(runs, run.id)
        const { runs: children } = yield* runs.list({ parent: run.id, order: "oldest" })
        assert.deepStrictEqual(children.map(({ status }) => status).sort(), [
          "cancelled",
          "cancelled",
          "completed"
        ])
        assert.deepStrictEqual(
          (yield* eventsOf(run, "waitEnded")).map(({ outcome }) => Object.keys(outcome)[0]),
          ["value", "lost", "lost", "value", "lost"]
        )
        const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
          Effect.provide(Buyer.toLayer({ work }))
        )
        assert.deepStrictEqual(report.divergences, [])
      })
    )
  })
}
