import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { type Broken, Busy, Echo, Errors, oneNode, program } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

type Seen = { readonly text: string } & Tool.Invocation["Service"]

/** What the tool `echo` was asked for, and a handler that hangs on some inputs until told otherwise. */
const world = (
  behave: (text: string) => Effect.Effect<string, Busy | Broken> = (text) =>
    Effect.succeed(text.toUpperCase())
) => {
  const seen: Array<Seen> = []
  const hang = new Set<string>()
  const layer = Echo.toLayer(({ text }) =>
    Effect.gen(function* () {
      seen.push({ text, ...(yield* Tool.Invocation) })
      return hang.has(text) ? yield* Effect.never : yield* behave(text)
    })
  )
  return { layer, hang, seen, texts: () => seen.map(({ text }) => text) }
}

describe("after a crash", () => {
  it.effect(
    "completed calls are served, the one under way is made again with the same key, the rest follow",
    () =>
      Effect.gen(function* () {
        const { hang, layer, seen, texts } = world()
        const live = program(
          ({ next }) =>
            Effect.map(
              Effect.forEach(["a", "b", "c", "d"], (text) => Echo.call({ text })),
              (got) => next.end(got)
            ),
          layer
        )
        const { boot, crash, kinds } = machine()
        hang.add("c")
        const first = yield* boot(live)
        const run = yield* first.runs.start(oneNode, {})
        yield* idle
        assert.deepStrictEqual(texts(), ["a", "b", "c"])
        yield* crash
        hang.clear()
        const second = yield* boot(live)
        assert.deepStrictEqual(yield* second.runs.await(run), ["A", "B", "C", "D"])
        assert.deepStrictEqual(texts(), ["a", "b", "c", "c", "d"])
        assert.strictEqual(seen[3]!.key, seen[2]!.key)
        assert.deepStrictEqual(
          seen.map(({ repeated }) => repeated),
          [false, false, false, true, false]
        )
        assert.deepStrictEqual((yield* kinds(run)).slice(0, 9), [
          "created",
          "callStarted",
          "callCompleted",
          "callStarted",
          "callCompleted",
          "callStarted",
          "claimed",
          "callRepeated",
          "callCompleted"
        ])
      })
  )

  it.effect("a completed call is not made again however often the process dies", () =>
    Effect.gen(function* () {
      const { hang, layer, texts } = world()
      const live = program(
        ({ next }) =>
          Effect.map(
            Effect.forEach(["a", "b"], (text) => Echo.call({ text })),
            (got) => next.end(got)
          ),
        layer
      )
      const { boot, crash, eventsOf } = machine()
      hang.add("b")
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      for (let i = 0; i < 5; i++) {
        yield* idle
        yield* crash
        if (i === 4) hang.clear()
        yield* boot(live)
      }
      yield* idle
      assert.deepStrictEqual(texts(), ["a", "b", "b", "b", "b", "b", "b"])
      assert.strictEqual((yield* eventsOf(run, "completed")).length, 1)
    })
  )

  it.effect("recorded failures are served in the same attempt, typed", () =>
    Effect.gen(function* () {
      const { hang, layer, texts } = world((text) =>
        text === "bad"
          ? Effect.fail(new Busy({ n: 7 }))
          : text === "bug"
            ? Effect.die(new Error("bug"))
            : Effect.succeed(text)
      )
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const busy = yield* Echo.call({ text: "bad" }).pipe(
              Effect.catchTag("Busy", (error) => Effect.succeed(`${error instanceof Busy} ${error.n}`))
            )
            const bug = yield* Echo.call({ text: "bug" }).pipe(
              Effect.catchDefect((defect) => Effect.succeed((defect as Error).message))
            )
            return next.end([busy, bug, yield* Echo.call({ text: "last" })])
          }),
        layer
      )
      const { boot, crash } = machine()
      hang.add("last")
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* crash
      hang.clear()
      const second = yield* boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["true 7", "bug", "last"])
      assert.deepStrictEqual(texts(), ["bad", "bug", "last", "last"])
    })
  )

  it.effect("calls with the same input are told apart by their number, and visits by theirs", () =>
    Effect.gen(function* () {
      const counter = { n: 0 }
      const { hang, layer, seen, texts } = world(() => Effect.sync(() => `${++counter.n}`))
      const live = program(
        ({ next, state }) =>
          Effect.gen(function* () {
            const got = [yield* Echo.call({ text: "x" }), yield* Echo.call({ text: "x" })]
            if (state.got.length === 4) yield* Echo.call({ text: "wait" })
            return state.got.length === 4 ? next.end([...state.got, ...got]) : next.to("work", { got })
          }),
        layer
      )
      const { boot, crash } = machine()
      hang.add("wait")
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* crash
      hang.clear()
      const second = yield* boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["1", "2", "3", "4", "5", "6"])
      assert.deepStrictEqual(texts(), ["x", "x", "x", "x", "x", "x", "wait", "wait"])
      assert.strictEqual(new Set(seen.map(({ key }) => key)).size, 7)
    })
  )

  it.effect("a retried call goes on at its try, with what is left of the delay and the same policy", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const Flaky = Tool.make("flaky", {
        input: Schema.Int,
        output: Schema.Int,
        error: Errors,
        retry: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 4 })),
        while: (error) => error._tag === "Busy"
      })
      const live = program(
        ({ next }) => Effect.map(Flaky.call(1), (n) => next.end([`${n}`])),
        Flaky.toLayer(() =>
          Effect.gen(function* () {
            const { attempt } = yield* Tool.Invocation
            attempts.push(attempt)
            return attempt < 5 ? yield* new Busy({ n: attempt }) : attempt
          })
        )
      )
      const { boot, crash, eventsOf } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(attempts, [1, 2])
      yield* crash
      yield* boot(live)
      yield* TestClock.adjust("1499 millis")
      assert.deepStrictEqual(attempts, [1, 2])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(attempts, [1, 2, 3])
      yield* TestClock.adjust("4 seconds")
      yield* crash
      const third = yield* boot(live)
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(yield* third.runs.await(run), ["5"])
      assert.deepStrictEqual(attempts, [1, 2, 3, 4, 5])
      assert.deepStrictEqual(
        (yield* eventsOf(run, "callRetried")).map(({ due, time }) => due - time),
        [1000, 2000, 4000, 8000]
      )
    })
  )

  it.effect("time and chance are the same when a handler is executed again", () =>
    Effect.gen(function* () {
      const rounds: Array<Array<number>> = []
      const { hang, layer } = world((text) => Effect.as(Effect.sleep("3 seconds"), text))
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const round: Array<number> = []
            rounds.push(round)
            const note = Effect.gen(function* () {
              const clock = yield* Clock.Clock
              const now = yield* DateTime.now
              round.push(
                yield* Clock.currentTimeMillis,
                yield* Random.next,
                yield* Random.nextIntBetween(0, 1_000_000)
              )
              round.push(clock.currentTimeMillisUnsafe(), DateTime.toEpochMillis(now))
            })
            yield* note
            yield* Echo.call({ text: "a" })
            yield* note
            yield* Effect.ignore(Echo.call({ text: "b" }))
            yield* note
            yield* Echo.call({ text: "c" })
            return next.end([])
          }),
        layer
      )
      const { boot, crash } = machine()
      hang.add("c")
      const first = yield* boot(live)
      yield* TestClock.adjust("1 second")
      const run = yield* first.runs.start(oneNode, {})
      yield* TestClock.adjust("10 seconds")
      yield* crash
      yield* TestClock.adjust("1 hour")
      hang.clear()
      const second = yield* boot(live)
      yield* TestClock.adjust("3 seconds")
      yield* second.runs.await(run)
      assert.strictEqual(rounds.length, 2)
      assert.strictEqual(rounds[0]!.length, 15)
      assert.deepStrictEqual(rounds[1], rounds[0])
      assert.deepStrictEqual([rounds[0]![0], rounds[0]![5], rounds[0]![10]], [1000, 4000, 7000])
      assert.deepStrictEqual([rounds[0]![3], rounds[0]![4], rounds[0]![13]], [1000, 1000, 7000])
      const other = yield* second.runs.start(oneNode, {})
      yield* TestClock.adjust("10 seconds")
      yield* second.runs.await(other)
      assert.notStrictEqual(rounds[2]![1], rounds[0]![1])
    })
  )
})

describe("a call that was interrupted", () => {
  it.effect("is interrupted again when the handler is executed again, although it would be quick now", () =>
    Effect.gen(function* () {
      const { hang, layer, texts } = world()
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const slow = yield* Echo.call({ text: "slow" }).pipe(
              Effect.timeoutOrElse({ duration: "1 second", orElse: () => Echo.call({ text: "instead" }) })
            )
            const won = yield* Effect.raceFirst(Echo.call({ text: "slower" }), Echo.call({ text: "quick" }))
            return next.end([slow, won, yield* Echo.call({ text: "last" })])
          }),
        layer
      )
      const { boot, crash, eventsOf } = machine()
      for (const text of ["slow", "slower", "last"]) hang.add(text)
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(texts(), ["slow", "instead", "slower", "quick", "last"])
      yield* crash
      hang.clear()
      const second = yield* boot(live)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* second.runs.await(run), ["INSTEAD", "QUICK", "LAST"])
      assert.deepStrictEqual(texts(), ["slow", "instead", "slower", "quick", "last", "last"])
      assert.deepStrictEqual((yield* eventsOf(run, "paused")).length, 0)
    })
  )

  it.effect("while it waits for its next try, after a crash, is recorded like any other", () =>
    Effect.gen(function* () {
      const Flaky = Tool.make("flaky", {
        input: Schema.Int,
        output: Schema.String,
        error: Busy,
        retry: Schedule.spaced("1 hour")
      })
      const { hang, layer, texts } = world()
      let tries = 0
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const flaky = yield* Flaky.call(1).pipe(
              Effect.timeoutOrElse({ duration: "1 minute", orElse: () => Echo.call({ text: "instead" }) })
            )
            return next.end([flaky, yield* Echo.call({ text: "last" })])
          }),
        layer,
        Flaky.toLayer(() =>
          Effect.suspend(() => (++tries === 1 ? Effect.fail(new Busy({ n: 1 })) : Effect.succeed("flaky")))
        )
      )
      const { boot, crash, eventsOf } = machine()
      hang.add("last")
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* TestClock.adjust("1 second")
      yield* crash
      yield* boot(live)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(texts(), ["instead", "last"])
      yield* crash
      yield* TestClock.adjust("2 hours")
      hang.clear()
      const third = yield* boot(live)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* third.runs.await(run), ["INSTEAD", "LAST"])
      assert.strictEqual(tries, 1)
      assert.deepStrictEqual(
        (yield* eventsOf(run, "callFailed")).map(({ error }) => error.kind),
        ["interrupted"]
      )
    })
  )
})

describe("a retry of the node", () => {
  it.effect("keeps the calls that succeeded and makes those that failed again, under the same keys", () =>
    Effect.gen(function* () {
      const flow = Flow.make("retrying", {
        input: Schema.Struct({}),
        output: Schema.Array(Schema.String),
        error: Errors,
        start: "work",
        nodes: {
          work: Node.make({
            to: ["end"],
            error: Errors,
            retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 3 }))
          })
        }
      })
      const state = { failures: 2 }
      const { hang, layer, seen, texts } = world((text) =>
        text === "bad" && state.failures-- > 0
          ? Effect.fail(new Busy({ n: state.failures }))
          : Effect.succeed(text)
      )
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            work: ({ next }) =>
              Effect.map(
                Effect.forEach(["good", "bad", "last"], (text) => Echo.call({ text })),
                (got) => next.end(got)
              )
          })
        ),
        Layer.provide(layer)
      )
      const { boot, crash } = machine()
      hang.add("last")
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, {})
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(texts(), ["good", "bad", "bad"])
      yield* crash
      yield* boot(live)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(texts(), ["good", "bad", "bad", "bad", "last"])
      yield* crash
      hang.clear()
      const third = yield* boot(live)
      assert.deepStrictEqual(yield* third.runs.await(run), ["good", "bad", "last"])
      assert.deepStrictEqual(texts(), ["good", "bad", "bad", "bad", "last", "last"])
      const keys = seen.filter(({ text }) => text === "bad").map(({ key }) => key)
      assert.strictEqual(new Set(keys).size, 1)
    })
  )
})
