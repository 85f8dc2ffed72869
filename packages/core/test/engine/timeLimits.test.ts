import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine, until } from "./process.ts"

const warnings = () => {
  const lines: Array<string> = []
  const layer = Logger.layer([
    Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") lines.push(JSON.stringify(message))
    })
  ])
  return { layer, lines }
}

const limited = (retry?: Schedule.Schedule<unknown>) =>
  Flow.make("limited", {
    input: Schema.Struct({}),
    output: Schema.String,
    start: "work",
    nodes: { work: Node.make({ to: ["end"], timeout: "1 second", ...(retry && { retry }) }) }
  })
type Limited = ReturnType<typeof limited>

const working = <R>(
  flow: Limited,
  work: Flow.Handler<Limited, "work", R>,
  ...tools: ReadonlyArray<Layer.Layer<any>>
) => {
  const handlers = flow.toLayer({ work }) as unknown as Layer.Layer<Flow.Handlers<"limited">>
  return Worker.layer({ flows: [flow], grace: "5 seconds", concurrency: 1 }).pipe(
    Layer.provide(tools.length === 0 ? handlers : handlers.pipe(Layer.provide(tools as [Layer.Layer<any>])))
  )
}

describe("an attempt that takes longer than it may and cannot be interrupted", () => {
  it.effect("fails after the grace time, is reported, and holds nothing any more", () =>
    Effect.gen(function* () {
      const { layer, lines } = warnings()
      const flow = limited()
      const latch = yield* Latch.make()
      const live = working(flow, ({ next }) =>
        Effect.as(Effect.uninterruptible(latch.await), next.end("late"))
      )
      const computer = machine()
      const { runs, worker } = yield* computer.boot(live.pipe(Layer.provide(layer)))
      const run = yield* runs.start(flow, {})
      const other = yield* runs.start(flow, {})
      yield* TestClock.adjust("5900 millis")
      assert.strictEqual((yield* runs.get(run)).status, "pending")
      yield* TestClock.adjust("100 millis")
      yield* until(Effect.map(runs.get(run), ({ status }) => status === "failed"))
      const { error } = yield* runs.get(run)
      assert.strictEqual(error?.kind, "timeout")
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /left behind/)
      for (const part of [run.id, "work"]) assert.include(lines[0]!, part)
      assert.deepStrictEqual(
        (yield* worker.stuck).map(({ node, run, since }) => ({ node, run, since })),
        [{ node: "work", run: run.id, since: 6000 }]
      )
      // The other one has the place now.
      yield* TestClock.adjust("6 seconds")
      yield* until(Effect.map(runs.get(other), ({ status }) => status === "failed"))
      assert.deepStrictEqual(yield* worker.running, [])
      yield* latch.open
      yield* idle
      assert.deepStrictEqual(yield* worker.stuck, [])
      assert.deepStrictEqual(yield* computer.kinds(run), ["created", "failed"])
    })
  )

  it.effect("fails at once if it ends when it is interrupted", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const flow = limited()
      const live = working(flow, () =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("ends")))
      )
      const { runs, worker } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("1 second")
      yield* until(Effect.map(runs.get(run), ({ status }) => status === "failed"))
      assert.deepStrictEqual(log, ["ends"])
      assert.deepStrictEqual(yield* worker.stuck, [])
    })
  )

  it.effect("does nothing to the run any more, which goes on with the next attempt", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const flow = limited(Schedule.recurs(1))
      const latch = yield* Latch.make()
      let attempts = 0
      const call = (text: string) => Effect.orDie(Echo.call({ text }))
      const live = working(
        flow,
        ({ next }) =>
          Effect.gen(function* () {
            const attempt = ++attempts
            if (attempt === 1) yield* Effect.uninterruptible(call("slow"))
            log.push(`attempt ${attempt} goes on`)
            yield* call(`in attempt ${attempt}`)
            log.push(`attempt ${attempt} ends`)
            return next.end("done")
          }),
        Echo.toLayer(({ text }) =>
          Effect.gen(function* () {
            log.push(text)
            if (text === "slow") yield* latch.await
            return text
          })
        )
      )
      const computer = machine()
      const { runs, worker } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {})
      yield* idle
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* runs.await(run), "done")
      yield* latch.open
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* worker.stuck, [])
      assert.deepStrictEqual(log, ["slow", "attempt 2 goes on", "in attempt 2", "attempt 2 ends"])
      assert.deepStrictEqual(yield* computer.kinds(run), [
        "created",
        "callStarted",
        "attemptFailed",
        "callStarted",
        "callCompleted",
        "visited",
        "completed"
      ])
    })
  )

  it.effect("can be cancelled meanwhile", () =>
    Effect.gen(function* () {
      const flow = limited()
      const live = working(flow, () => Effect.uninterruptible(Effect.never))
      const { runs, worker } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("3 seconds")
      const how = yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(how), "cancelled")
      assert.isAtLeast((yield* worker.stuck).length, 1)
    })
  )
})

for (const [what, policy, after] of [
  ["a call that takes longer than it may", { timeout: "1 second" }, 6],
  ["a call that shows no sign of life", { heartbeat: "1 second" }, 6],
  ["and if it has both limits", { timeout: "3 seconds", heartbeat: "1 second" }, 6]
] as const) {
  it.effect(`${what} and cannot be interrupted is left behind and tried again`, () =>
    Effect.gen(function* () {
      const { layer, lines } = warnings()
      const latch = yield* Latch.make()
      let tries = 0
      const Slow = Tool.make("slow", {
        input: Schema.Struct({}),
        output: Schema.String,
        retry: Schedule.recurs(1),
        ...policy
      })
      const live = Worker.layer({ flows: [oneNode], grace: "5 seconds" }).pipe(
        Layer.provide(
          handlersOf(
            ({ next }) => Effect.map(Slow.call({}), (text) => next.end([text])),
            Slow.toLayer(() =>
              Effect.suspend(() => {
                const nth = ++tries
                return nth === 1
                  ? Effect.as(Effect.uninterruptible(latch.await), `try ${nth}`)
                  : Effect.succeed(`try ${nth}`)
              })
            )
          )
        ),
        Layer.provide(layer)
      )
      const computer = machine()
      const { runs, worker } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust(after * 1000 - 1)
      assert.strictEqual(tries, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* runs.await(run), ["try 2"])
      assert.lengthOf(lines, 1)
      for (const part of [run.id, "work", "slow"]) assert.include(lines[0]!, part)
      assert.deepStrictEqual(
        (yield* worker.stuck).map(({ tool }) => tool),
        ["slow"]
      )
      yield* latch.open
      yield* idle
      assert.deepStrictEqual(yield* worker.stuck, [])
      assert.deepStrictEqual(yield* computer.kinds(run), [
        "created",
        "callStarted",
        "callRetried",
        "callRepeated",
        "callCompleted",
        "visited",
        "completed"
      ])
    })
  )
}

it.effect("what undoes a call, takes longer than it may and cannot be interrupted is left behind", () =>
  Effect.gen(function* () {
    const Book = Tool.make("book", {
      input: Schema.Struct({}),
      output: Schema.String,
      compensate: { timeout: "1 second" }
    })
    const live = Worker.layer({ flows: [oneNode], grace: "5 seconds" }).pipe(
      Layer.provide(
        handlersOf(
          () => Effect.andThen(Book.call({}), Effect.fail(new Busy({ n: 1 }))),
          Book.toLayer({
            call: () => Effect.succeed("booked"),
            compensate: () => Effect.uninterruptible(Effect.never)
          })
        )
      )
    )
    const { runs, worker } = yield* machine().boot(live)
    const run = yield* runs.start(oneNode, {})
    yield* idle
    yield* TestClock.adjust("6 seconds")
    yield* until(Effect.map(runs.get(run), ({ status }) => status === "failed"))
    assert.strictEqual((yield* runs.get(run)).undone, 1)
    assert.lengthOf(yield* worker.stuck, 1)
  })
)
