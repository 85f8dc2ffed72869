/** A visit that waits while others of its fibers make calls: these are not given up for that. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const Often = Tool.make("often", { input: Schema.Finite, output: Schema.String })
const Once = Tool.make("once", { input: Schema.Finite, output: Schema.String, delivery: "atMostOnce" })

const Child = Flow.make("child", { input: {}, start: "rest", nodes: { rest: Node.make({ to: ["end"] }) } })

const Visits = Schema.Literals(["plain", "timed", "branch"])
const Waiting = Flow.make("waiting", {
  input: {
    visit: Visits,
    tool: Schema.Literals(["often", "once"]),
    waitsFor: Schema.Literals(["go", "run"])
  },
  state: { got: State.list(Schema.String) },
  output: Schema.Array(Schema.String),
  start: "begin",
  nodes: {
    begin: Node.make({ to: ["plain", "timed", "split"] }),
    plain: Node.make({ to: ["finish"] }),
    timed: Node.make({ to: ["finish"], timeout: "1 hour" }),
    split: Node.make({ to: [], fanOut: { to: ["branch"], join: "finish" } }),
    branch: Node.make({ item: Schema.Int, to: ["finish"] }),
    finish: Node.make({ to: ["end"] })
  }
})
type Input = typeof Waiting.input.Type

const go = Wait.event("go", { schema: Schema.String })

/** The tools take so many seconds as they are given; what was begun and what came to its end. */
const world = (keepWaiting: Duration.Input) => {
  const began: Array<string> = []
  const ended: Array<string> = []
  const taking = (name: string) => (seconds: number) =>
    Effect.gen(function* () {
      began.push(`${name} ${seconds}`)
      yield* Effect.sleep(Duration.seconds(seconds))
      ended.push(`${name} ${seconds}`)
      return name
    })
  const work = ({ tool, waitsFor }: Input) =>
    Effect.gen(function* () {
      const call = tool === "once" ? Once.call(10) : Often.call(10)
      const fiber = yield* Effect.forkChild(call)
      const came = waitsFor === "go" ? yield* go : yield* Effect.as(Child.call({}), "came")
      return { got: [came, yield* Fiber.join(fiber)] }
    })
  const handlers = Waiting.toLayer({
    begin: ({ input, next }) => Effect.succeed(next.to(input.visit === "branch" ? "split" : input.visit)),
    plain: ({ input, next }) => Effect.map(work(input), (got) => next.to("finish", got)),
    timed: ({ input, next }) => Effect.map(work(input), (got) => next.to("finish", got)),
    split: ({ next }) => Effect.succeed(next.each([1], "branch")),
    branch: ({ input, next }) => Effect.map(work(input), (got) => next.to("finish", got)),
    finish: ({ next, state }) => Effect.succeed(next.end(state.got))
  })
  const children = Child.toLayer({ rest: ({ next }) => Effect.as(Often.call(20), next.end()) })
  const live = Worker.layer({ flows: [Waiting, Child], keepWaiting, concurrency: 1 }).pipe(
    Layer.provide(Layer.merge(handlers, children)),
    Layer.provide(Layer.merge(Often.toLayer(taking("often")), Once.toLayer(taking("once"))))
  )
  return { began, ended, live, ...machine() }
}

const seconds = Effect.fnUntraced(function* (count: number) {
  for (let second = 0; second < count; second++) {
    yield* TestClock.adjust("1 second")
    yield* idle
  }
})

const plain: Input = { visit: "plain", tool: "often", waitsFor: "go" }

describe("a call of another fiber than that which waits", () => {
  for (const keepWaiting of [0, "1 minute"] as const) {
    for (const visit of Visits.literals) {
      for (const tool of ["often", "once"] as const) {
        it.effect(
          `${tool}, in a ${visit} visit, kept for ${keepWaiting}: is begun and comes to its end`,
          () =>
            Effect.gen(function* () {
              const { began, boot, ended, kinds, live } = world(keepWaiting)
              const { runs } = yield* boot(live)
              const run = yield* runs.start(Waiting, { ...plain, visit, tool })
              yield* idle
              // The worker executes one run at a time, and this one waits.
              assert.strictEqual((yield* runs.get(run)).status, "waiting")
              const other = yield* runs.start(Child, {})
              yield* seconds(10)
              assert.deepStrictEqual(began, [`${tool} 10`, "often 20"])
              assert.deepStrictEqual(ended, [`${tool} 10`])
              yield* seconds(10)
              yield* runs.await(other)
              yield* runs.signal(run, "go", "came")
              assert.deepStrictEqual(yield* runs.await(run), ["came", tool])
              assert.strictEqual(began.length, 2)
              assert.strictEqual((yield* kinds(run)).filter((kind) => kind.startsWith("call")).length, 2)
            })
        )
      }
    }
  }

  it.effect("goes on when the wait is over before it", () =>
    Effect.gen(function* () {
      const { began, boot, kinds, live } = world(0)
      const { runs } = yield* boot(live)
      const run = yield* runs.start(Waiting, plain)
      yield* idle
      yield* seconds(5)
      yield* runs.signal(run, "go", "came")
      yield* seconds(5)
      assert.deepStrictEqual(yield* runs.await(run), ["came", "often"])
      assert.deepStrictEqual(began, ["often 10"])
      assert.notInclude(yield* kinds(run), "callRepeated")
    })
  )

  it.effect("while a run is waited for does not take the place that that one needs", () =>
    Effect.gen(function* () {
      const { began, boot, live } = world(0)
      const { runs } = yield* boot(live)
      const run = yield* runs.start(Waiting, { ...plain, waitsFor: "run" })
      yield* idle
      yield* seconds(1)
      assert.deepStrictEqual(began, ["often 10", "often 20"])
      yield* seconds(25)
      assert.deepStrictEqual(yield* runs.await(run), ["came", "often"])
      assert.strictEqual(began.length, 2)
    })
  )

  it.effect("is waited for by whoever pauses the run, and not by whoever cancels it", () =>
    Effect.gen(function* () {
      const { began, boot, ended, live } = world("1 minute")
      const { runs, worker } = yield* boot(live)
      const run = yield* runs.start(Waiting, plain)
      yield* idle
      yield* seconds(5)
      const pausing = yield* Effect.forkChild(runs.pause(run))
      yield* seconds(4)
      assert.strictEqual((yield* runs.get(run)).status, "waiting")
      yield* seconds(1)
      yield* Fiber.join(pausing)
      assert.strictEqual((yield* runs.get(run)).status, "paused")
      assert.deepStrictEqual([began.splice(0), ended.splice(0)], [["often 10"], ["often 10"]])
      yield* runs.resume(run)
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual([began, yield* worker.running], [[], []])

      const other = yield* runs.start(Waiting, plain)
      yield* idle
      yield* seconds(5)
      yield* Effect.forkChild(runs.cancel(other, "no more"))
      yield* idle
      assert.strictEqual((yield* runs.get(other)).status, "cancelled")
      assert.deepStrictEqual([began, ended], [["often 10"], []])
    })
  )

  it.effect("is in doubt only if its process dies", () =>
    Effect.gen(function* () {
      const { began, boot, crash, live } = world(0)
      const first = yield* boot(live)
      const run = yield* first.runs.start(Waiting, { ...plain, tool: "once" })
      yield* seconds(5)
      yield* crash
      const { runs } = yield* boot(live)
      yield* runs.signal(run, "go", "came")
      yield* untilStatus(runs, run, "paused")
      assert.strictEqual((yield* runs.get(run)).pause, "inDoubt")
      assert.deepStrictEqual(began, ["once 10"])
    })
  )

  it.effect("is not made again for a run that is cancelled in the next process", () =>
    Effect.gen(function* () {
      const { began, boot, crash, live } = world(0)
      const first = yield* boot(live)
      const run = yield* first.runs.start(Waiting, plain)
      yield* seconds(5)
      yield* crash
      const { runs } = yield* boot(live)
      yield* runs.cancel(run, "no more")
      yield* untilStatus(runs, run, "cancelled")
      assert.deepStrictEqual(began, ["often 10"])
    })
  )

  it.effect("and the visit leaves memory when nothing is under way any more", () =>
    Effect.gen(function* () {
      const { boot, live } = world(0)
      const { runs, worker } = yield* boot(live)
      const run = yield* runs.start(Waiting, plain)
      yield* idle
      yield* seconds(9)
      assert.deepStrictEqual(yield* worker.running, [run.id])
      yield* seconds(1)
      assert.deepStrictEqual(yield* worker.running, [])
    })
  )
})
