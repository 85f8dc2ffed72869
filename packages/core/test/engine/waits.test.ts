import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const Note = Tool.make("note", { input: Schema.String, output: Schema.String })
const Approval = Schema.Struct({ by: Schema.String, ok: Schema.Boolean })

const Asking = Flow.make("asking", {
  input: Schema.Struct({}),
  state: { got: State.list(Schema.String) },
  output: Schema.Array(Schema.String),
  error: Schema.Union([Wait.WaitTimeout, Wait.JobFailed]),
  start: "work",
  signals: { early: Schema.String },
  nodes: { work: Node.make({ to: ["work", "end"], error: Schema.Union([Wait.WaitTimeout, Wait.JobFailed]) }) }
})

/** A worker for the flow, and what its handler and its tool did. */
const asking = (
  work: Flow.Handler<typeof Asking, "work", Tool.Handler<"note"> | Visit>,
  keepWaiting: Worker.Options<[]>["keepWaiting"]
) => {
  const calls: Array<string> = []
  const handlers = Asking.toLayer({ work })
  const note = Note.toLayer((text) =>
    Effect.sync(() => {
      calls.push(text)
      return `${text}!`
    })
  )
  const live = Worker.layer({ flows: [Asking], keepWaiting, timers: "30 seconds" }).pipe(
    Layer.provide(handlers),
    Layer.provide(note)
  )
  return { calls, live }
}

const ended = { concurrency: "unbounded" } as const

for (const [mode, keepWaiting] of [
  ["runs leave memory while they wait", 0],
  ["fibers are kept while they wait", "1 hour"]
] as const) {
  describe(`waiting (${mode})`, () => {
    const event = (name = "approved") => Wait.event(name, { schema: Approval })

    it.effect(
      "for a signal: what came before is not executed again, and the run holds no place meanwhile",
      () =>
        Effect.gen(function* () {
          const { calls, live } = asking(
            ({ next }) =>
              Effect.gen(function* () {
                const before = yield* Note.call("before")
                const { by, ok } = yield* event()
                const after = yield* Note.call("after")
                return next.end([before, `${by} ${ok}`, after])
              }),
            keepWaiting
          )
          const { boot, eventsOf } = machine()
          const { runs, worker } = yield* boot(live)
          const run = yield* runs.start(Asking, {})
          yield* untilStatus(runs, run, "waiting")
          yield* idle
          const info = yield* runs.get(run)
          assert.deepStrictEqual(
            info.waits.map(({ name, type }) => [type, name]),
            [["event", "approved"]]
          )
          if (keepWaiting === 0) assert.deepStrictEqual(yield* worker.running, [])
          yield* runs.signal(run, "approved", { by: "ada", ok: true }, { actor: "ada", commandId: "s1" })
          assert.deepStrictEqual(yield* runs.await(run), ["before!", "ada true", "after!"])
          assert.deepStrictEqual(calls, ["before", "after"])
          const [over] = yield* eventsOf(run, "waitEnded")
          assert.strictEqual(over!.command?.id, "s1")
          assert.strictEqual(over!.actor, "ada")
        })
    )

    it.effect("several times, in loops", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next, state }) =>
            Effect.gen(function* () {
              const a = yield* event()
              const b = yield* event()
              const got = [`${a.by}${b.by}`]
              return state.got.length === 2 ? next.end([...state.got, ...got]) : next.to("work", { got })
            }),
          keepWaiting
        )
        const { runs } = yield* machine().boot(live)
        const run = yield* runs.start(Asking, {})
        for (const by of ["a", "b", "c", "d", "e", "f"]) {
          yield* untilStatus(runs, run, "waiting")
          yield* runs.signal(run, "approved", { by, ok: true })
          yield* idle
        }
        assert.deepStrictEqual(yield* runs.await(run), ["ab", "cd", "ef"])
      })
    )

    it.effect("survives crashes: before the signal, and between the signal and its effect", () =>
      Effect.gen(function* () {
        const { calls, live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const before = yield* Note.call("before")
              const { by } = yield* event()
              return next.end([before, by])
            }),
          keepWaiting
        )
        const { boot, client, crash } = machine()
        const first = yield* boot(live)
        const run = yield* first.runs.start(Asking, {})
        yield* untilStatus(first.runs, run, "waiting")
        yield* crash
        const runs = yield* client
        yield* runs.signal(run, "approved", { by: "ada", ok: true })
        const second = yield* boot(live)
        assert.deepStrictEqual(yield* second.runs.await(run), ["before!", "ada"])
        assert.deepStrictEqual(calls, ["before"])
      })
    )

    it.effect("keeps a signal that comes early if the flow declares it, and refuses others", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              yield* Wait.sleep("1 minute")
              const first = yield* Wait.event("early", { schema: Schema.String })
              const second = yield* Wait.event("early", { schema: Schema.String, key: "k" })
              return next.end([first, second])
            }),
          keepWaiting
        )
        const { boot, crash, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        const refused = yield* Effect.flip(runs.signal(run, "approved", { by: "ada", ok: true }))
        assert.strictEqual(refused._tag, "CommandRefused")
        // A payload is encoded by the flow's own schema.
        assert.strictEqual(
          (yield* Effect.flip(runs.signal<Runs.Run<Flow.Any>, "early">(run, "early", 7)))._tag,
          "InvalidValue"
        )
        yield* runs.signal(run, "early", "keyed", { key: "k" })
        yield* runs.signal(run, "early", "one", { commandId: "c" })
        yield* runs.signal(run, "early", "one", { commandId: "c" })
        yield* idle
        assert.strictEqual((yield* eventsOf(run, "signalled")).length, 2)
        yield* crash
        const second = yield* boot(live)
        yield* TestClock.adjust("1 minute")
        // A wait without a key takes a signal with any; the oldest first.
        yield* untilStatus(second.runs, run, "waiting")
        yield* second.runs.signal(run, "early", "late", { key: "k" })
        assert.deepStrictEqual(yield* second.runs.await(run), ["keyed", "late"])
        assert.strictEqual((yield* eventsOf(run, "waitEnded")).length, 3)
      })
    )

    it.effect("refuses what does not fit, with what is wrong, and goes on waiting", () =>
      Effect.gen(function* () {
        const { live } = asking(({ next }) => Effect.map(event(), ({ by }) => next.end([by])), keepWaiting)
        const { boot, send, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        const refused = yield* Effect.flip(runs.signal(run, "approved", { by: 7, ok: true }))
        assert.strictEqual(refused._tag, "CommandRefused")
        assert.include(refused.message, "Expected string")
        assert.include(refused.message, "by")
        assert.strictEqual((yield* Effect.flip(runs.answer(run, "approved", "x")))._tag, "CommandRefused")
        // The owner decides by the same rules, whoever puts what in the inbox.
        yield* send(run, "s", { type: "signal", name: "approved", payload: { by: 7 } })
        yield* idle
        assert.include((yield* eventsOf(run, "commandIgnored"))[0]!.note, "Expected string")
        yield* runs.signal(run, "approved", { by: "ada", ok: false })
        assert.deepStrictEqual(yield* runs.await(run), ["ada"])
        assert.strictEqual(
          (yield* Effect.flip(runs.signal(run, "approved", { by: "ada", ok: false })))._tag,
          "CommandRefused"
        )
      })
    )

    it.effect("for a person: with choices, by name, or by the wait's own name", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const verdict = yield* Wait.user("verdict", {
                prompt: "Ship it?",
                schema: Schema.String,
                choices: ["ship", "hold"]
              })
              const reason = yield* Wait.user("reason", {
                prompt: "Why?",
                schema: Schema.String,
                choices: ["late"],
                allowFreeText: true
              })
              return next.end([verdict, reason])
            }),
          keepWaiting
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        const refused = yield* Effect.flip(runs.answer(run, "verdict", "maybe"))
        assert.include(refused.message, "none of the choices")
        assert.include((yield* Effect.flip(runs.answer(run, "other", "ship"))).message, "nothing waits")
        yield* runs.answer(run, "verdict", "ship", { actor: "ada" })
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        const [wait] = (yield* runs.get(run)).waits
        assert.strictEqual(wait!.name, "reason")
        yield* runs.answer(run, wait!.wait, "because")
        assert.deepStrictEqual(yield* runs.await(run), ["ship", "because"])
        assert.strictEqual((yield* eventsOf(run, "waitEnded"))[0]!.actor, "ada")
      })
    )

    it.effect("for a job of another system: its result, or its failure as a typed error", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const first = yield* Wait.job("job-1", Schema.Int)
              yield* Wait.job("job-2", Schema.Int)
              return next.end([String(first)])
            }),
          keepWaiting
        )
        const { runs } = yield* machine().boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        assert.strictEqual(
          (yield* Effect.flip(runs.finishJob(run, "job-1", { value: "x" })))._tag,
          "CommandRefused"
        )
        yield* runs.finishJob(run, "job-1", { value: 7 })
        yield* idle
        yield* untilStatus(runs, run, "waiting")
        yield* runs.finishJob(run, "job-2", { failure: "no disk" })
        const error = yield* Effect.flip(runs.await(run))
        assert.deepInclude(error, { _tag: "JobFailed", job: "job-2", detail: "no disk" })
      })
    )

    it.effect("for a time: on time, once, after a restart too, and at once if it was over meanwhile", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next, state }) =>
            Effect.gen(function* () {
              if (state.got.length === 0) yield* Wait.sleep("1 hour")
              else yield* Wait.until(2 * 3_600_000)
              return state.got.length === 2 ? next.end(state.got) : next.to("work", { got: ["x"] })
            }),
          keepWaiting
        )
        const { boot, crash, eventsOf } = machine()
        const first = yield* boot(live)
        const run = yield* first.runs.start(Asking, {})
        yield* untilStatus(first.runs, run, "waiting")
        yield* TestClock.adjust("59 minutes")
        yield* crash
        const second = yield* boot(live)
        yield* idle
        assert.strictEqual((yield* second.runs.get(run)).status, "waiting")
        yield* TestClock.adjust("1 minute")
        yield* idle
        assert.strictEqual((yield* second.runs.get(run)).steps, 1)
        yield* crash
        yield* TestClock.adjust("5 hours")
        const third = yield* boot(live)
        yield* third.runs.await(run)
        const opened = yield* eventsOf(run, "waitOpened")
        assert.deepStrictEqual(
          opened.map(({ due }) => due),
          [3_600_000, 7_200_000, 7_200_000]
        )
        assert.strictEqual((yield* eventsOf(run, "waitEnded")).length, 3)
      })
    )

    it.effect("with a timeout: a typed error that the flow handles, and the clock has moved", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const first = yield* Wait.event("x", { schema: Schema.String, timeout: "10 seconds" }).pipe(
                Effect.catchTag("WaitTimeout", ({ name }) => Effect.succeed(`no ${name}`))
              )
              const second = yield* Wait.event("y", { schema: Schema.String, timeout: "10 seconds" })
              return next.end([first, second])
            }),
          keepWaiting
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        yield* TestClock.adjust("10 seconds")
        yield* idle
        const opened = yield* eventsOf(run, "waitOpened")
        assert.deepStrictEqual(
          opened.map(({ due }) => due),
          [10_000, 20_000]
        )
        yield* TestClock.adjust("10 seconds")
        const error = yield* Effect.flip(runs.await(run))
        assert.deepInclude(error, { _tag: "WaitTimeout", name: "y" })
      })
    )

    it.effect("with a timeout, anew when the failed run is retried, from then on", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const first = yield* Wait.event("x", { schema: Schema.String })
              const second = yield* Wait.event("y", { schema: Schema.String, timeout: "10 seconds" })
              return next.end([first, second])
            }),
          keepWaiting
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        yield* runs.signal(run, "x", "one")
        yield* idle
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Effect.flip(runs.await(run)))._tag, "WaitTimeout")
        yield* TestClock.adjust("1 hour")
        yield* runs.retry(run)
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        const opened = yield* eventsOf(run, "waitOpened")
        assert.deepStrictEqual(
          opened.map(({ due }) => due),
          [undefined, 10_000, 3_620_000]
        )
        yield* runs.signal(run, "y", "two")
        // The signal of the first attempt counts in the second.
        assert.deepStrictEqual(yield* runs.await(run), ["one", "two"])
      })
    )

    it.effect("for the first of several: the others are lost, in the journal too", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next, state }) =>
            Effect.gen(function* () {
              const won = yield* Wait.race({
                approved: event(),
                never: Wait.event("never", { schema: Schema.String }),
                late: Wait.sleep("1 hour")
              })
              const got = [won.winner === "approved" ? won.value.by : won.winner]
              return state.got.length === 1 ? next.end([...state.got, ...got]) : next.to("work", { got })
            }),
          keepWaiting
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        yield* runs.signal(run, "approved", { by: "ada", ok: true })
        yield* idle
        yield* untilStatus(runs, run, "waiting")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* runs.await(run), ["ada", "late"])
        const over = yield* eventsOf(run, "waitEnded")
        assert.deepStrictEqual(
          over.map(({ outcome }) => Object.keys(outcome)[0]),
          ["value", "lost", "lost", "timedOut", "lost", "lost"]
        )
      })
    )

    it.effect("is refused on another fiber than the visit's own", () =>
      Effect.gen(function* () {
        for (const wrap of [
          Effect.timeout("1 hour"),
          <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.raceFirst(self, Effect.never),
          <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.all([self, self], ended)
        ] as ReadonlyArray<(self: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>>) {
          const { live } = asking(
            ({ next }) => Effect.as(wrap(event()), next.end([])) as Effect.Effect<any>,
            keepWaiting
          )
          const { runs } = yield* machine().boot(live)
          const run = yield* runs.start(Asking, {})
          const error = yield* Effect.flip(runs.await(run))
          assert.strictEqual(error._tag, "RunFailed")
          assert.include(error.message, "Wait.race")
        }
      })
    )

    it.effect("in a node with a timeout, a retry, and a finalizer that calls a tool", () =>
      Effect.gen(function* () {
        const finalized: Array<Exit.Exit<unknown, unknown>> = []
        const flow = Flow.make("limited", {
          input: Schema.Struct({}),
          output: Schema.String,
          start: "work",
          nodes: { work: Node.make({ to: ["end"], timeout: "1 minute" }) }
        })
        const handlers = flow.toLayer({
          work: ({ next }) =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer((exit) => Effect.sync(() => finalized.push(exit)))
              const text = yield* Wait.event("x", { schema: Schema.String })
              return next.end(text)
            })
        })
        const live = Worker.layer({ flows: [flow], keepWaiting }).pipe(Layer.provide(handlers))
        const { runs } = yield* machine().boot(live)
        const run = yield* runs.start(flow, {})
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        // The node's timeout counts only what is executed, whether or not fibers are kept.
        yield* TestClock.adjust("10 minutes")
        yield* runs.signal(run, "x", "done")
        assert.strictEqual(yield* runs.await(run), "done")
        assert.strictEqual(finalized.length, 2)
      })
    )

    it.effect("can be paused, resumed and cancelled; waits end while the run is paused", () =>
      Effect.gen(function* () {
        const { live } = asking(({ next }) => Effect.map(event(), ({ by }) => next.end([by])), keepWaiting)
        const { boot } = machine()
        const { runs, worker } = yield* boot(live)
        const run = yield* runs.start(Asking, {}, { id: "paused" })
        const other = yield* runs.start(Asking, {}, { id: "cancelled" })
        yield* untilStatus(runs, run, "waiting")
        yield* untilStatus(runs, other, "waiting")
        yield* runs.pause(run)
        yield* untilStatus(runs, run, "paused")
        yield* runs.signal(run, "approved", { by: "ada", ok: true })
        yield* idle
        assert.strictEqual((yield* runs.get(run)).status, "paused")
        assert.deepStrictEqual((yield* runs.get(run)).waits, [])
        yield* runs.resume(run)
        assert.deepStrictEqual(yield* runs.await(run), ["ada"])
        assert.strictEqual(yield* runs.cancel(other, "no need"), "cancelled")
        assert.strictEqual((yield* Effect.flip(runs.await(other)))._tag, "RunCancelled")
        yield* idle
        assert.deepStrictEqual(yield* worker.running, [])
      })
    )

    it.effect("of a fork asks anew, and its timers keep their due time", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const won = yield* Wait.race({ approved: event(), late: Wait.sleep("1 hour") })
              return next.end([won.winner])
            }),
          keepWaiting
        )
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        const { seq } = yield* runs.get(run)
        yield* TestClock.adjust("20 minutes")
        const fork = yield* runs.fork(run, seq)
        yield* untilStatus(runs, fork, "waiting")
        assert.strictEqual((yield* eventsOf(fork, "waitOpened"))[1]!.due, 3_600_000)
        yield* runs.signal(fork, "approved", { by: "ada", ok: true })
        assert.deepStrictEqual(yield* runs.await(fork), ["approved"])
        assert.strictEqual((yield* runs.get(run)).status, "waiting")
        yield* TestClock.adjust("40 minutes")
        assert.deepStrictEqual(yield* runs.await(run), ["late"])
      })
    )

    it.effect("diverges if the handler comes to another wait, or to none, in recovery", () =>
      Effect.gen(function* () {
        let what = "approved"
        const { live } = asking(
          ({ next }) =>
            Effect.suspend(() =>
              what === "" ? Effect.succeed(next.end([])) : Effect.map(event(what), () => next.end([what]))
            ),
          keepWaiting
        )
        const { boot, crash, eventsOf } = machine()
        const first = yield* boot(live)
        const one = yield* first.runs.start(Asking, {}, { id: "one" })
        const two = yield* first.runs.start(Asking, {}, { id: "two" })
        yield* untilStatus(first.runs, one, "waiting")
        yield* untilStatus(first.runs, two, "waiting")
        yield* crash
        const { client } = { client: first.runs }
        assert.isDefined(client)
        what = "renamed"
        const second = yield* boot(live)
        yield* second.runs.pause(one)
        yield* untilStatus(second.runs, one, "paused")
        yield* second.runs.resume(one)
        yield* idle
        // Nothing is executed as long as the recorded wait is not over.
        assert.strictEqual((yield* second.runs.get(one)).status, "waiting")
        yield* second.runs.signal(one, "approved", { by: "ada", ok: true })
        yield* TestClock.adjust("1 minute")
        yield* untilStatus(second.runs, one, "paused")
        const paused = yield* eventsOf(one, "paused")
        const { reason } = paused[paused.length - 1]!
        assert.strictEqual(reason.kind, "diverged")
        what = ""
        yield* second.runs.signal(two, "approved", { by: "ada", ok: true })
        assert.deepStrictEqual(yield* second.runs.await(two), [])
      })
    )

    it.effect("is replayed from what is recorded", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) =>
            Effect.gen(function* () {
              const { by } = yield* event()
              yield* Wait.sleep("1 hour")
              return next.end([by])
            }),
          keepWaiting
        )
        const { boot } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        yield* runs.signal(run, "approved", { by: "ada", ok: true })
        yield* idle
        yield* TestClock.adjust("1 hour")
        yield* runs.await(run)
        const handlers = Asking.toLayer({
          work: ({ next }) =>
            Effect.gen(function* () {
              const { by } = yield* event()
              yield* Wait.sleep("1 hour")
              return next.end([by])
            })
        })
        const report = yield* Effect.provide(
          Effect.provideService(Runs.replay(run), Runs.Runs, runs),
          handlers
        )
        assert.deepStrictEqual(report, { run: run.id, visits: 1, divergences: [] })
      })
    )
  })

  describe(`signals to many (${mode})`, () => {
    it.effect("reach each run that waits for them, once", () =>
      Effect.gen(function* () {
        const { live } = asking(
          ({ next }) => Effect.map(Wait.event("go", { schema: Schema.Int }), (n) => next.end([String(n)])),
          keepWaiting
        )
        const { runs } = yield* machine().boot(live)
        const some = yield* Effect.forEach([1, 2, 3], (i) =>
          runs.start(Asking, {}, { id: `r${i}`, session: i === 3 ? "b" : "a", correlation: "c" })
        )
        for (const run of some) yield* untilStatus(runs, run, "waiting")
        assert.deepStrictEqual(yield* runs.broadcast({ session: "a" }, "go", 1, { commandId: "b1" }), [
          "r1",
          "r2"
        ])
        yield* idle
        assert.deepStrictEqual(yield* runs.broadcast({ correlation: "c" }, "go", 2), ["r3"])
        assert.deepStrictEqual(yield* Effect.forEach(some, (run) => runs.await(run)), [["1"], ["1"], ["2"]])
      })
    )
  })

  describe(`timers (${mode})`, () => {
    it.effect("of thousands of runs fire in the order in which they are due", () =>
      Effect.gen(function* () {
        const order: Array<number> = []
        const flow = Flow.make("timed", {
          input: Schema.Int,
          start: "work",
          nodes: { work: Node.make({ to: ["end"] }) }
        })
        const handlers = flow.toLayer({
          work: ({ input, next }) =>
            Effect.gen(function* () {
              yield* Wait.until(input)
              order.push(input)
              return next.end()
            })
        })
        const live = Worker.layer({ flows: [flow], keepWaiting }).pipe(Layer.provide(handlers))
        const { boot, crash } = machine()
        const first = yield* boot(live)
        const dues = Array.from({ length: 300 }, (_, i) => 1_000_000 + ((i * 7919) % 300) * 100)
        const some = yield* Effect.forEach(dues, (due, i) => first.runs.start(flow, due, { id: `r${i}` }))
        for (const run of some) yield* untilStatus(first.runs, run, "waiting")
        yield* TestClock.adjust("500 seconds")
        yield* crash
        // Half of them are over when somebody looks again.
        yield* TestClock.adjust("515 seconds")
        const second = yield* boot(live)
        const all = yield* Effect.forkChild(Effect.forEach(some, (run) => second.runs.await(run)))
        for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 second")
        yield* Fiber.join(all)
        assert.deepStrictEqual(
          order,
          [...dues].sort((a, b) => a - b)
        )
      })
    )

    it.effect("are not lost when the clock is set back", () =>
      Effect.gen(function* () {
        const { live } = asking(({ next }) => Effect.as(Wait.sleep("1 hour"), next.end([])), keepWaiting)
        const { boot } = machine()
        const { runs } = yield* boot(live)
        yield* TestClock.setTime(10 * 3_600_000)
        const run = yield* runs.start(Asking, {})
        yield* untilStatus(runs, run, "waiting")
        yield* TestClock.setTime(9 * 3_600_000)
        yield* TestClock.setTime(11 * 3_600_000)
        yield* idle
        yield* TestClock.adjust("30 seconds")
        yield* runs.await(run)
      })
    )
  })
}
