import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import { Visit } from "@waymark/core/Visit"
import * as Worker from "@waymark/core/Worker"
import { Broken, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

/** A tool that takes as long as its input says, and a count of what was executed. */
const timed = () => {
  const started: Array<string> = []
  const done: Array<string> = []
  const hang = new Set<string>()
  const layer = Echo.toLayer(({ text }) =>
    Effect.gen(function* () {
      started.push(text)
      if (hang.has(text)) return yield* Effect.never
      yield* Effect.sleep(Duration.millis(Number(text.split(":")[1] ?? 0)))
      done.push(text)
      return text
    })
  )
  return { layer, started, done, hang }
}

const call = (text: string) => Effect.orDie(Echo.call({ text }))

describe("calls of several fibers are recovered without a false alarm", () => {
  /** What the fibers of the handler do: names with a time are calls, numbers are sleeps. */
  const shapes: Readonly<Record<string, ReadonlyArray<ReadonlyArray<string | number>>>> = {
    "fibers that begin at once": [
      ["a:1000", "a2:1000"],
      ["b:500", "b2:2500"],
      ["c:100", "c2:100", "c3:100"]
    ],
    "a fiber that sleeps long before it calls, beside one whose call takes long": [
      [5000, "a:0", "a2:3000"],
      ["b:5500", "b2:0", "b3:4000"]
    ],
    "a fiber that calls late, beside one whose first call took long and is served at once now": [
      [5000, "a:1000", "a2:500"],
      ["b:5500", 2000, "b2:500"]
    ],
    "equal calls in all fibers": [["x:1000", "x:1000"], [500, "x:1000", "x:1000"], ["x:1000"]]
  }

  for (const [name, fibers] of Object.entries(shapes)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        for (let crashAt = 0; crashAt <= 10_000; crashAt += 500) {
          const { done, layer } = timed()
          const live = program(
            ({ next }) =>
              Effect.forEach(
                fibers,
                (steps) =>
                  Effect.forEach(steps, (step) =>
                    typeof step === "number" ? Effect.as(Effect.sleep(Duration.millis(step)), "") : call(step)
                  ),
                { concurrency: "unbounded" }
              ).pipe(Effect.map((results) => next.end(results.flat().filter((text) => text !== "")))),
            layer
          )
          const { boot, crash, eventsOf } = machine()
          const first = yield* boot(live)
          const run = yield* first.runs.start(oneNode, {})
          yield* TestClock.adjust(Duration.millis(crashAt))
          const completed = (yield* eventsOf(run, "callCompleted")).length
          yield* crash
          const lost = done.length - completed
          const second = yield* boot(live)
          yield* idle
          yield* TestClock.adjust("30 seconds")
          const { status } = yield* second.runs.get(run)
          assert.strictEqual(status, "completed", `after a crash at ${crashAt} ms`)
          const expected = fibers.flat().filter((step) => typeof step === "string")
          assert.deepStrictEqual(yield* second.runs.await(run), expected)
          assert.strictEqual(done.length, expected.length + lost, `after a crash at ${crashAt} ms`)
        }
      })
    )
  }

  it.effect("a fiber that lives as long as the visit", () =>
    Effect.gen(function* () {
      const { layer, started } = timed()
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            yield* Effect.forkScoped(
              Effect.sleep("3 seconds").pipe(
                Effect.andThen(call("background")),
                Effect.andThen(call("background:2000"))
              )
            )
            const main = yield* call("main:2500")
            yield* Effect.sleep("1 second")
            return next.end([main, yield* call("last:5000")])
          }),
        layer
      )
      const { boot, crash } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* TestClock.adjust("3200 millis")
      assert.deepStrictEqual(started, ["main:2500", "background", "background:2000"])
      yield* crash
      const second = yield* boot(live)
      yield* idle
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* second.runs.await(run), ["main:2500", "last:5000"])
    })
  )
})

describe("a handler that does not ask for what was recorded", () => {
  /** The handler calls `before`, crashes in its last call, and calls `after` in the next process. */
  const diverge = (
    before: ReadonlyArray<string>,
    after: ReadonlyArray<string>,
    options: { readonly timeout?: boolean } = {}
  ) =>
    Effect.gen(function* () {
      const flow = Flow.make("diverging", {
        input: Schema.Struct({}),
        output: Schema.Array(Schema.String),
        start: "work",
        nodes: { work: Node.make({ to: ["end"], timeout: options.timeout === true ? "1 hour" : undefined }) }
      })
      const { hang, layer, started } = timed()
      const live = (texts: ReadonlyArray<string>) =>
        Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(
            flow.toLayer({
              work: ({ next }) => Effect.map(Effect.forEach(texts, call), (got) => next.end(got))
            })
          ),
          Layer.provide(layer)
        )
      const computer = machine()
      hang.add(before[before.length - 1]!)
      const first = yield* computer.boot(live(before))
      const run = yield* first.runs.start(flow, {})
      yield* idle
      yield* computer.crash
      hang.clear()
      started.length = 0
      const second = yield* computer.boot(live(after))
      return { ...computer, flow, live, run, second, started }
    })

  it.effect("pauses the run, names both calls and executes nothing", () =>
    Effect.gen(function* () {
      const { eventsOf, run, second, started } = yield* diverge(["a", "b"], ["a", "other", "b"])
      yield* untilStatus(second.runs, run, "paused")
      assert.deepStrictEqual(started, [])
      const [paused] = yield* eventsOf(run, "paused")
      const reason = paused!.reason
      assert.strictEqual(reason.kind, "diverged")
      if (reason.kind !== "diverged") return
      assert.strictEqual(reason.node, "work")
      assert.strictEqual(reason.expected.tool, "echo")
      const [, b] = yield* eventsOf(run, "callStarted")
      assert.deepStrictEqual(reason.expected, { tool: "echo", call: b!.call, seq: b!.seq })
      assert.strictEqual(reason.got.tool, "echo")
      assert.deepStrictEqual(reason.got.input, { text: "other" })
      const info = yield* second.runs.get(run)
      assert.strictEqual(info.pause, "diverged")
    })
  )

  it.effect("goes on from where it was when it is resumed with the handler put right", () =>
    Effect.gen(function* () {
      const { boot, live, run, second, started } = yield* diverge(["a", "b", "c"], ["x", "a", "b", "c"])
      yield* untilStatus(second.runs, run, "paused")
      yield* second.runs.resume(run)
      yield* idle
      assert.strictEqual((yield* second.runs.get(run)).status, "paused")
      yield* second.stop
      const third = yield* boot(live(["a", "b", "c", "d"]))
      yield* third.runs.resume(run)
      assert.deepStrictEqual(yield* third.runs.await(run), ["a", "b", "c", "d"])
      assert.deepStrictEqual(started, ["c", "d"])
    })
  )

  it.effect("is found out, too, when the node has a timeout", () =>
    Effect.gen(function* () {
      const { run, second, started } = yield* diverge(["a", "b"], ["other"], { timeout: true })
      yield* untilStatus(second.runs, run, "paused")
      assert.deepStrictEqual(started, [])
    })
  )

  it.effect("and when it calls from several fibers, once the others had time to", () =>
    Effect.gen(function* () {
      const { hang, layer, started } = timed()
      const handler = (texts: ReadonlyArray<string>) =>
        program(
          ({ next }) =>
            Effect.map(Effect.forEach(texts, call, { concurrency: "unbounded" }), (got) => next.end(got)),
          layer
        )
      const { boot, crash } = machine()
      hang.add("b")
      const first = yield* boot(handler(["a", "b"]))
      const run = yield* first.runs.start(oneNode, {})
      yield* TestClock.adjust("2 seconds")
      yield* crash
      started.length = 0
      const second = yield* boot(handler(["x", "y"]))
      yield* idle
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* second.runs.get(run)).status, "running")
      yield* TestClock.adjust("1 millis")
      yield* idle
      assert.strictEqual((yield* second.runs.get(run)).status, "paused")
      assert.deepStrictEqual(started, [])
    })
  )

  it.effect("may call more than was recorded, once it has asked for all of that", () =>
    Effect.gen(function* () {
      const { run, second, started } = yield* diverge(["a", "b"], ["a", "b", "c"])
      assert.deepStrictEqual(yield* second.runs.await(run), ["a", "b", "c"])
      assert.deepStrictEqual(started, ["b", "c"])
    })
  )
})

describe("an attempt that makes a call of an earlier one again", () => {
  it.effect("has to ask for that call after a crash, and for none that it did not make", () =>
    Effect.gen(function* () {
      const flow = Flow.make("trying", {
        input: {},
        error: Broken,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Broken, retry: Schedule.recurs(2) }) }
      })
      const { hang, layer, started } = timed()
      const live = (second: ReadonlyArray<string>) => {
        const work = Effect.gen(function* () {
          const { attempt } = yield* Visit
          if (attempt > 1) return yield* Effect.forEach(second, call, { discard: true })
          // It gives up two calls: nobody knows whether they took effect.
          const fibers = yield* Effect.forEach(["a", "b"], (text) => Effect.forkChild(call(text)))
          yield* Effect.sleep("1 second")
          yield* Effect.forEach(fibers, Fiber.interrupt)
          return yield* new Broken({ why: "it is the first" })
        })
        const handlers = flow.toLayer({ work: ({ next }) => Effect.as(work, next.end()) })
        return Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers), Layer.provide(layer))
      }
      const { boot, crash, eventsOf } = machine()
      hang.add("a").add("b")
      const first = yield* boot(live(["b"]))
      const run = yield* first.runs.start(flow, {})
      yield* idle
      yield* TestClock.adjust("1 second")
      yield* idle
      assert.deepStrictEqual(started.splice(0), ["a", "b", "b"])
      yield* crash
      hang.clear()
      const other = yield* boot(live(["other"]))
      yield* untilStatus(other.runs, run, "paused")
      const [paused] = yield* eventsOf(run, "paused")
      const made = (yield* eventsOf(run, "callStarted")).find(({ input }) =>
        JSON.stringify(input).includes("b")
      )
      assert.deepInclude(paused!.reason, {
        kind: "diverged",
        expected: { tool: "echo", call: made!.call, seq: made!.seq }
      })
      yield* other.stop
      const third = yield* boot(live(["b", "c"]))
      yield* third.runs.resume(run)
      yield* third.runs.await(run)
      assert.deepStrictEqual(started, ["b", "c"])
    })
  )
})

describe("a tool's finalizers in a handler", () => {
  it.effect(
    "call nothing while the process drains, so that what is recorded stays what the handler asks for",
    () =>
      Effect.gen(function* () {
        const Release = Tool.make("release", { input: Schema.Struct({}) })
        const released: Array<string> = []
        const { hang, layer, started } = timed()
        const live = program(
          ({ next }) =>
            Effect.gen(function* () {
              const got = yield* Effect.ensuring(call("a"), Release.call({}))
              return next.end([got, yield* call("b")])
            }),
          layer,
          Release.toLayer(() => Effect.sync(() => void released.push("released")))
        )
        const { boot } = machine()
        hang.add("a")
        const first = yield* boot(live)
        const run = yield* first.runs.start(oneNode, {})
        yield* idle
        yield* first.stop
        assert.deepStrictEqual(released, [])
        hang.clear()
        const second = yield* boot(live)
        assert.deepStrictEqual(yield* second.runs.await(run), ["a", "b"])
        assert.deepStrictEqual(started, ["a", "a", "b"])
        assert.deepStrictEqual(released, ["released"])
      })
  )
})
