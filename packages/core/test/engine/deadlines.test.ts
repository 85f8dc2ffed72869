import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Manifest from "@waymark/core/Manifest"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"
import { idle, machine, until, untilStatus } from "./process.ts"
import { makeWorld, Pay, toolsOf, undoneIn } from "./saga.ts"

/** It may take ten minutes in all. */
const timed = Flow.make("timed", {
  input: Schema.Struct({}),
  output: Schema.String,
  error: Busy,
  start: "work",
  timeout: "10 minutes",
  nodes: { work: Node.make({ to: ["work", "end"], error: Busy, retry: Schedule.spaced("1 hour") }) }
})

const working = (
  world: ReturnType<typeof makeWorld>,
  work: Flow.Handler<typeof timed, "work", any>,
  options: Omit<Worker.Options<[]>, "flows"> = {}
) =>
  Worker.layer({ ...options, flows: [timed] }).pipe(
    Layer.provide(timed.toLayer({ work }) as unknown as Layer.Layer<Flow.Handlers<"timed">>),
    Layer.provide(toolsOf(world))
  )

const handlersOf = (world: ReturnType<typeof makeWorld>, work: Flow.Handler<typeof timed, "work", any>) =>
  Worker.layer({ flows: [timed] }).pipe(
    Layer.provide(
      (timed.toLayer({ work }) as unknown as Layer.Layer<Flow.Handlers<"timed">>).pipe(
        Layer.provide(toolsOf(world))
      )
    )
  )

const minutes = (count: number): number => count * 60_000

const tooLong = (run: { readonly id: string }, millis = minutes(10)) =>
  new Runs.RunFailed({
    run: run.id,
    failure: { kind: "timeout", what: "run", name: run.id, millis }
  })

describe("a run that takes longer than it may", () => {
  it.effect("fails then, its handler interrupted; what it did is undone", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      const log: Array<string> = []
      const { runs } = yield* computer.boot(
        handlersOf(world, () =>
          Effect.andThen(
            Pay.call({ what: "a" }),
            Effect.onInterrupt(Effect.never, () =>
              Effect.gen(function* () {
                yield* Effect.sleep("3 seconds")
                log.push(yield* Pay.call({ what: "final" }))
              }).pipe(Effect.orDie)
            )
          )
        )
      )
      const run = yield* runs.start(timed, {})
      yield* idle
      assert.deepInclude(yield* runs.get(run), {
        due: minutes(10),
        deadline: minutes(10),
        timeout: minutes(10)
      })
      yield* TestClock.adjust(minutes(10) - 1)
      assert.strictEqual((yield* runs.get(run)).status, "running")
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("4 seconds")
      const error = yield* Effect.flip(runs.await(run))
      assert.deepStrictEqual(error, tooLong(run))
      assert.match(error.message, /took longer than 600000 ms/)
      assert.deepStrictEqual(log, ["final is done"])
      assert.deepStrictEqual(undoneIn(world), ["final", "a"])
      const info = yield* runs.get(run)
      assert.deepStrictEqual([info.error?.kind, info.due], ["timeout", undefined])
    })
  )

  it.effect("fails also while it waits to be tried again, or for a place; others are not disturbed", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      let count = 0
      const { runs } = yield* computer.boot(
        working(world, () => (count++ === 0 ? Effect.fail(new Busy({ n: 1 })) : Effect.never), {
          concurrency: 1
        })
      )
      const sleeping = yield* runs.start(timed, {})
      yield* idle
      const other = yield* runs.start(timed, {}, { timeout: "1 day" })
      yield* idle
      const queued = yield* runs.start(timed, {}, { timeout: "5 minutes" })
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* Effect.flip(runs.await(queued)), tooLong(queued, minutes(5)))
      assert.strictEqual((yield* runs.get(sleeping)).status, "running")
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* Effect.flip(runs.await(sleeping)), tooLong(sleeping))
      assert.strictEqual((yield* runs.get(other)).status, "pending")
      assert.deepStrictEqual(yield* computer.kinds(queued), ["created", "failed"])
      assert.strictEqual(count, 2)
    })
  )

  it.effect("fails then, and not when the worker looks the next time, if it waits for something", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const waiting = () => Effect.andThen(Wait.event("never", { schema: Schema.Int }), Effect.never)
      const options = { timers: Duration.infinity, sweep: Duration.infinity }
      const { runs } = yield* boot(working(makeWorld(), waiting, options))
      const run = yield* runs.start(timed, {})
      yield* untilStatus(runs, run, "waiting")
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), tooLong(run))
      assert.strictEqual((yield* eventsOf(run, "failed"))[0]!.time, minutes(10))
    })
  )

  it.effect("fails when a worker comes, if there was none when its time was over", () =>
    Effect.gen(function* () {
      const computer = machine()
      const client = yield* computer.client
      const run = yield* client.start(timed, {}, { timeout: "1 minute" })
      const awaiting = yield* Effect.forkChild(Effect.flip(client.await(run)))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* client.get(run)).status, "pending")
      // Whoever looks for what is due finds it.
      assert.lengthOf((yield* client.list({ dueBefore: minutes(2) })).runs, 1)
      let visits = 0
      yield* computer.boot(working(makeWorld(), () => Effect.suspend(() => (visits++, Effect.never))))
      assert.deepStrictEqual(yield* Fiber.join(awaiting), tooLong(run, minutes(1)))
      assert.strictEqual(visits, 0)
      assert.isEmpty((yield* client.list({ dueBefore: minutes(2) })).runs)
    })
  )

  it.effect("is not given more time by a crash", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = working(makeWorld(), () => Effect.never)
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(timed, {})
      yield* idle
      yield* TestClock.adjust("9 minutes")
      yield* computer.crash
      const { runs } = yield* computer.boot(live)
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), tooLong(run))
    })
  )

  it.effect("is left alone while it is paused, and fails when it is resumed", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(
        working(makeWorld(), ({ next }) => Effect.as(Effect.sleep("1 minute"), next.to("work")))
      )
      const run = yield* runs.start(timed, {})
      yield* idle
      yield* runs.pause(run)
      yield* TestClock.adjust("1 minute")
      yield* untilStatus(runs, run, "paused")
      assert.isUndefined((yield* runs.get(run)).due)
      yield* TestClock.adjust("20 minutes")
      assert.strictEqual((yield* runs.get(run)).status, "paused")
      yield* runs.resume(run)
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), tooLong(run))
    })
  )

  it.effect("is given the same time again when it is retried, and so is a fork of it", () =>
    Effect.gen(function* () {
      const computer = machine()
      let count = 0
      const { runs } = yield* computer.boot(
        working(makeWorld(), ({ next }) =>
          count++ === 0
            ? Effect.never
            : Effect.as(Effect.sleep(count === 2 ? "11 minutes" : "9 minutes"), next.end("done"))
        )
      )
      const run = yield* runs.start(timed, {})
      yield* idle
      yield* TestClock.adjust("10 minutes")
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run)
      yield* until(Effect.sync(() => count === 2))
      yield* TestClock.adjust("9 minutes")
      assert.lengthOf(yield* computer.eventsOf(run, "failed"), 1)
      yield* TestClock.adjust("1 minute")
      yield* until(Effect.map(computer.eventsOf(run, "failed"), (failed) => failed.length === 2))
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), tooLong(run))
      assert.strictEqual((yield* runs.get(run)).deadline, minutes(20))
      const fork = yield* runs.fork(run, 0)
      assert.deepInclude(yield* runs.get(fork), { due: minutes(30), timeout: minutes(10) })
      yield* idle
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(yield* runs.await(fork), "done")
    })
  )

  it.effect("is not failed for that when it has ended, or is about to", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld({ undo: () => Effect.andThen(Effect.sleep("8 seconds"), Effect.void) })
      const { runs } = yield* computer.boot(
        handlersOf(world, ({ next }) =>
          Effect.gen(function* () {
            yield* Pay.call({ what: "a" })
            yield* Effect.sleep("9 minutes")
            return next.end("done")
          })
        )
      )
      const completed = yield* runs.start(timed, {})
      const cancelled = yield* runs.start(timed, {}, { timeout: "5 seconds" })
      yield* idle
      yield* TestClock.adjust("4 seconds")
      const how = yield* Effect.forkChild(runs.cancel(cancelled, "no"))
      yield* idle
      yield* TestClock.adjust("4 seconds")
      assert.deepInclude(yield* runs.get(cancelled), { status: "cancelling", compensating: true })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
      yield* TestClock.adjust("20 minutes")
      assert.strictEqual(yield* runs.await(completed), "done")
    })
  )

  it.effect("is left behind in the end, like any other, if its handler does not stop", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs, worker } = yield* computer.boot(
        working(makeWorld(), () => Effect.uninterruptible(Effect.never), { grace: "5 seconds" })
      )
      const run = yield* runs.start(timed, {}, { timeout: "1 minute" })
      yield* idle
      yield* TestClock.adjust("65 seconds")
      assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), tooLong(run, minutes(1)))
      assert.lengthOf(yield* worker.stuck, 1)
    })
  )
})

describe("the limit of a run's time", () => {
  it.effect("is its flow's, unless it is started with another; infinity is none", () =>
    Effect.gen(function* () {
      const client = yield* machine().client
      const endless = yield* client.start(timed, {}, { timeout: Infinity })
      assert.isUndefined((yield* client.get(endless)).due)
      for (const timeout of [0, -1, NaN]) {
        const error = yield* Effect.flip(client.start(timed, {}, { timeout }))
        assert.strictEqual(error._tag, "InvalidValue")
      }
    })
  )

  it("is checked when the flow is defined, and is in its manifest", () => {
    const define = (timeout: number) =>
      Flow.make("x", { input: Schema.Void, start: "a", timeout, nodes: { a: Node.make({ to: ["end"] }) } })
    assert.throws(() => define(0), /`timeout` must be longer than nothing/)
    assert.strictEqual(Manifest.manifest(define(5)).timeout, 5)
  })
})
