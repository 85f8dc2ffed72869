import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Worker from "@waymark/core/Worker"
import { idle, machine } from "./process.ts"

class Flaky extends Schema.TaggedError<Flaky>()("Flaky", { n: Schema.Int }) {}
class Fatal extends Schema.TaggedError<Fatal>()("Fatal", { why: Schema.String }) {}
const Errors = Schema.Union([Flaky, Fatal])

/** One node with a policy, whose handler does what the test says at its n-th execution. */
const flaky = (work: Node.Any) => {
  const flow = Flow.make("flaky", {
    input: Schema.Struct({}),
    output: Schema.String,
    error: Errors,
    start: "work",
    nodes: {
      work: work as unknown as Node.Node<"end" | "other", typeof Errors>,
      other: Node.make({ to: ["end"] })
    }
  })
  const times: Array<number> = []
  const attempts: Array<number> = []
  const program = (behave: (n: number) => Effect.Effect<string, Flaky | Fatal>) =>
    Worker.layer({ flows: [flow] }).pipe(
      Layer.provide(
        flow.toLayer({
          work: ({ next }) =>
            Effect.gen(function* () {
              times.push(yield* Clock.currentTimeMillis)
              attempts.push(times.length)
              return next.end(yield* behave(times.length))
            }),
          other: ({ next }) => Effect.succeed(next.end("other"))
        })
      )
    )
  return { flow, program, times, attempts }
}

const policy = (times: number) => Schedule.exponential("100 millis").pipe(Schedule.upTo({ times }))

describe("a node's retry policy", () => {
  it.effect("tries again as the schedule says, and journals each attempt", () =>
    Effect.gen(function* () {
      const { attempts, flow, program } = flaky(
        Node.make({ to: ["end", "other"], error: Errors, retry: policy(5) })
      )
      const { boot, eventsOf, kinds } = machine()
      const { runs } = yield* boot(
        program((n) => (n < 4 ? Effect.fail(new Flaky({ n })) : Effect.succeed(`at ${n}`)))
      )
      const run = yield* runs.start(flow, {})
      const result = yield* Effect.forkChild(runs.await(run))
      for (const [n, millis] of [
        [1, 100],
        [2, 200],
        [3, 400]
      ] as const) {
        yield* TestClock.adjust(Duration.millis(millis - 1))
        assert.strictEqual(attempts.length, n)
        yield* TestClock.adjust(Duration.millis(1))
      }
      assert.strictEqual(yield* Fiber.join(result), "at 4")
      assert.deepStrictEqual(yield* kinds(run), [
        "created",
        "attemptFailed",
        "attemptFailed",
        "attemptFailed",
        "visited",
        "completed"
      ])
      const failures = yield* eventsOf(run, "attemptFailed")
      assert.deepStrictEqual(
        failures.map(({ attempt, due, time }) => [attempt, due - time]),
        [
          [1, 100],
          [2, 200],
          [3, 400]
        ]
      )
      assert.deepStrictEqual(
        failures.map(({ error }) => error.kind === "error" && error.error),
        [
          { _tag: "Flaky", n: 1 },
          { _tag: "Flaky", n: 2 },
          { _tag: "Flaky", n: 3 }
        ]
      )
      assert.strictEqual((yield* runs.get(run)).steps, 1)
    })
  )

  it.effect("gives up when the schedule ends, with the last error", () =>
    Effect.gen(function* () {
      const { attempts, flow, program } = flaky(
        Node.make({ to: ["end", "other"], error: Errors, retry: policy(2) })
      )
      const { runs } = yield* machine().boot(program((n) => Effect.fail(new Flaky({ n }))))
      const result = yield* Effect.forkChild(Effect.flip(runs.execute(flow, {})))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(result), new Flaky({ n: 3 }))
      assert.strictEqual(attempts.length, 3)
    })
  )

  it.effect("retries only the errors that `while` names, and never a defect", () =>
    Effect.gen(function* () {
      const retry = {
        to: ["end", "other"],
        error: Errors,
        retry: policy(9),
        while: (error: Flaky | Fatal) => error._tag === "Flaky"
      } as const
      const one = flaky(Node.make(retry))
      const first = yield* machine().boot(
        one.program((n) =>
          n < 3 ? Effect.fail(new Flaky({ n })) : Effect.fail(new Fatal({ why: "enough" }))
        )
      )
      const failed = yield* Effect.forkChild(Effect.flip(first.runs.execute(one.flow, {})))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(failed), new Fatal({ why: "enough" }))
      assert.strictEqual(one.attempts.length, 3)

      const two = flaky(Node.make(retry))
      const second = yield* machine().boot(two.program(() => Effect.die(new Error("bug"))))
      const died = yield* Effect.flip(second.runs.execute(two.flow, {}))
      assert.strictEqual(died._tag, "RunFailed")
      assert.strictEqual(two.attempts.length, 1)
    })
  )

  it.effect("that breaks fails the run instead of leaving it hanging", () =>
    Effect.gen(function* () {
      const { flow, program } = flaky(
        Node.make({
          to: ["end", "other"],
          error: Errors,
          retry: policy(9),
          while: () => {
            throw new Error("broken policy")
          }
        })
      )
      const { runs } = yield* machine().boot(program((n) => Effect.fail(new Flaky({ n }))))
      const error = yield* Effect.flip(runs.execute(flow, {}))
      assert.strictEqual(error._tag, "RunFailed")
      assert.include(error.message, "broken policy")
    })
  )

  for (const when of ["before", "after"] as const) {
    it.effect(
      `goes on after a crash at the attempt and with the delay where it stood, ${when} the delay is over`,
      () =>
        Effect.gen(function* () {
          const { attempts, flow, program } = flaky(
            Node.make({ to: ["end", "other"], error: Errors, retry: policy(5) })
          )
          const { boot, crash, eventsOf } = machine()
          const live = program((n) => (n < 5 ? Effect.fail(new Flaky({ n })) : Effect.succeed("done")))
          const first = yield* boot(live)
          const run = yield* first.runs.start(flow, {})
          yield* TestClock.adjust("100 millis")
          yield* TestClock.adjust("50 millis")
          assert.strictEqual(attempts.length, 2)
          yield* crash
          if (when === "after") yield* TestClock.adjust("1 hour")
          const second = yield* boot(live)
          yield* idle
          if (when === "before") {
            assert.strictEqual(attempts.length, 2)
            yield* TestClock.adjust("149 millis")
            assert.strictEqual(attempts.length, 2)
            yield* TestClock.adjust("1 millis")
          }
          assert.strictEqual(attempts.length, 3)
          yield* TestClock.adjust("399 millis")
          assert.strictEqual(attempts.length, 3)
          yield* TestClock.adjust("1 millis")
          assert.strictEqual(attempts.length, 4)
          yield* TestClock.adjust("800 millis")
          assert.strictEqual(yield* second.runs.await(run), "done")
          const failures = yield* eventsOf(run, "attemptFailed")
          assert.deepStrictEqual(
            failures.map(({ attempt }) => attempt),
            [1, 2, 3, 4]
          )
          assert.deepStrictEqual(
            failures.map(({ due, time }) => due - time),
            [100, 200, 400, 800]
          )
        })
    )
  }

  it.effect("begins anew when a failed run is retried", () =>
    Effect.gen(function* () {
      const { attempts, flow, program } = flaky(
        Node.make({ to: ["end", "other"], error: Errors, retry: policy(2) })
      )
      const { runs } = yield* machine().boot(
        program((n) => (n < 6 ? Effect.fail(new Flaky({ n })) : Effect.succeed("done")))
      )
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* runs.get(run)).status, "failed")
      assert.strictEqual(attempts.length, 3)
      yield* runs.retry(run)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), "done")
      assert.strictEqual(attempts.length, 6)
    })
  )
})

describe("a node's timeout", () => {
  const slow = (n: number) => (n < 3 ? Effect.as(Effect.sleep("1 hour"), "slow") : Effect.succeed("quick"))

  it.effect("fails the run with what took too long", () =>
    Effect.gen(function* () {
      const { flow, program } = flaky(Node.make({ to: ["end", "other"], error: Errors, timeout: "1 second" }))
      const { runs } = yield* machine().boot(program(slow))
      const result = yield* Effect.forkChild(Effect.flip(runs.execute(flow, {})))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(result)
      assert.deepStrictEqual(error._tag === "RunFailed" ? error.failure : error, {
        kind: "timeout",
        what: "node",
        name: "work",
        millis: 1000
      })
    })
  )

  it.effect("is routed by NodeTimeout", () =>
    Effect.gen(function* () {
      const { flow, program } = flaky(
        Node.make({
          to: ["end", "other"],
          error: Errors,
          timeout: "1 second",
          onError: { NodeTimeout: "other" }
        })
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(program(slow))
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* runs.await(run), "other")
      const [failed] = yield* eventsOf(run, "visitFailed")
      assert.deepStrictEqual(failed!.error, { kind: "timeout", what: "node", name: "work", millis: 1000 })
      assert.deepStrictEqual(failed!.outcome, { status: "failed", to: "other" })
    })
  )

  it.effect("is retried, and the handler's finalizers run", () =>
    Effect.gen(function* () {
      const { attempts, flow, program } = flaky(
        Node.make({ to: ["end", "other"], error: Errors, timeout: "1 second", retry: Schedule.recurs(5) })
      )
      const released: Array<number> = []
      const { runs } = yield* machine().boot(
        program((n) => Effect.onInterrupt(slow(n), () => Effect.sync(() => released.push(n))))
      )
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* runs.await(run), "quick")
      assert.deepStrictEqual(attempts, [1, 2, 3])
      assert.deepStrictEqual(released, [1, 2])
    })
  )
})

describe("what becomes of a visit that failed", () => {
  const outcome = (work: Node.Any, behave: (n: number) => Effect.Effect<string, Flaky | Fatal>) =>
    Effect.gen(function* () {
      const { flow, program } = flaky(work)
      const { boot, eventsOf, client, crash } = machine()
      const { runs } = yield* boot(program(behave))
      const run = yield* runs.start(flow, {})
      const exit = yield* Effect.result(runs.await(run))
      const failed = (yield* eventsOf(run, "visitFailed"))[0]
      const checkpoints = yield* runs.history(run, { order: "oldest" })
      yield* crash
      const later = yield* Effect.result((yield* client).await(Runs.ref(flow, run.id)))
      assert.deepStrictEqual(later, exit)
      return { exit, failed, statuses: checkpoints.map(({ status }) => status) }
    })

  it.effect("onError routes by tag", () =>
    Effect.gen(function* () {
      const work = Node.make({ to: ["end", "other"], error: Errors, onError: { Flaky: "other" } })
      const routed = yield* outcome(work, (n) => Effect.fail(new Flaky({ n })))
      assert.strictEqual(routed.exit._tag === "Success" && routed.exit.success, "other")
      assert.deepStrictEqual(routed.failed!.outcome, { status: "failed", to: "other" })
      const other = yield* outcome(work, () => Effect.fail(new Fatal({ why: "x" })))
      assert.deepStrictEqual(other.exit._tag === "Failure" && other.exit.failure, new Fatal({ why: "x" }))
    })
  )

  it.effect("skip and tolerate go on, and say so", () =>
    Effect.gen(function* () {
      const skipped = yield* outcome(
        Node.make({ to: ["end", "other"], error: Errors, onError: { Flaky: Node.skip("other") } }),
        (n) => Effect.fail(new Flaky({ n }))
      )
      assert.deepStrictEqual(skipped.statuses, [undefined, "skipped", "completed", undefined])
      const tolerated = yield* outcome(
        Node.make({ to: ["end", "other"], error: Errors, onError: { Flaky: Node.tolerate("other") } }),
        (n) => Effect.fail(new Flaky({ n }))
      )
      assert.deepStrictEqual(tolerated.statuses, [undefined, "tolerated", "completed", undefined])
      assert.strictEqual(tolerated.exit._tag === "Success" && tolerated.exit.success, "other")
    })
  )

  it.effect("stop fails the run with the error, typed, here and in a later process", () =>
    Effect.gen(function* () {
      const stopped = yield* outcome(
        Node.make({ to: ["end", "other"], error: Errors, onError: { Flaky: Node.stop } }),
        (n) => Effect.fail(new Flaky({ n }))
      )
      const error = stopped.exit._tag === "Failure" ? stopped.exit.failure : undefined
      assert.isTrue(error !== undefined && error._tag === "Flaky" && error.n === 1)
    })
  )

  it.effect("onDefect takes exceptions and interruption of itself, never a declared error", () =>
    Effect.gen(function* () {
      const work = Node.make({ to: ["end", "other"], error: Errors, onDefect: "other" })
      const died = yield* outcome(work, () => Effect.die(new TypeError("bug")))
      assert.strictEqual(died.failed!.error.kind, "defect")
      assert.strictEqual(died.failed!.error.kind === "defect" && died.failed!.error.name, "TypeError")
      const thrown = yield* outcome(work, () => {
        throw new RangeError("thrown")
      })
      assert.strictEqual(thrown.failed!.error.kind === "defect" && thrown.failed!.error.message, "thrown")
      const interrupted = yield* outcome(work, () => Effect.interrupt)
      assert.strictEqual(interrupted.failed!.error.kind, "interrupted")
      const failed = yield* outcome(work, (n) => Effect.fail(new Flaky({ n })))
      assert.isUndefined(failed.failed)
    })
  )

  it.effect("without a policy a defect and an interruption fail the run as what they are", () =>
    Effect.gen(function* () {
      const work = Node.make({ to: ["end", "other"], error: Errors })
      const died = yield* outcome(work, () => Effect.die("just text"))
      assert.deepInclude(died.exit._tag === "Failure" ? died.exit.failure : {}, {
        _tag: "RunFailed",
        node: "work",
        failure: { kind: "defect", name: "Defect", message: "just text" }
      })
      const interrupted = yield* outcome(work, () => Effect.interrupt)
      assert.deepInclude(interrupted.exit._tag === "Failure" ? interrupted.exit.failure : {}, {
        failure: { kind: "interrupted" }
      })
    })
  )

  it.effect("an error that is none of the declared ones is not passed off as one", () =>
    Effect.gen(function* () {
      const work = Node.make({ to: ["end", "other"], error: Errors })
      const { exit } = yield* outcome(work, () => Effect.fail({ _tag: "Unknown" } as never))
      assert.strictEqual(
        exit._tag === "Failure" && exit.failure._tag === "RunFailed" && exit.failure.failure.kind,
        "encoding"
      )
    })
  )
})
