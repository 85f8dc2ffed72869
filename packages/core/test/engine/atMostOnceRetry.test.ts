import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Cause, Effect, Layer, Schedule, Schema } from "effect"
import { idle, machine, untilStatus } from "./process.ts"

class TooSlow extends Schema.TaggedError<TooSlow>()("TooSlow", {}) {}

const Pay = Tool.make("pay", { input: Schema.Int, delivery: "atMostOnce", inDoubt: "fail" })

const Paying = Flow.make("paying", {
  input: Schema.Void,
  error: TooSlow,
  start: "pay",
  nodes: { pay: Node.make({ to: ["end"], retry: Schedule.recurs(3) }) }
})

describe("an at-most-once call that its handler gave up waiting for", () => {
  it.live("is in doubt for the next attempt of the node, and not made again", () =>
    Effect.gen(function* () {
      let payments = 0
      const handlers = Paying.toLayer({
        pay: ({ next }) =>
          Pay.call(5).pipe(
            Effect.timeoutOrElse({ duration: "20 millis", orElse: () => Effect.fail(new TooSlow()) }),
            Effect.as(next.end())
          )
      })
      const tool = Pay.toLayer(() =>
        Effect.suspend(() => {
          payments += 1
          return Effect.never
        })
      )
      const live = Worker.layer({ flows: [Paying] }).pipe(
        Layer.provide(handlers),
        Layer.provide(tool),
        Layer.provideMerge(MemoryStore.layer())
      )
      const error = yield* Runs.Runs.use((runs) => Effect.flip(runs.execute(Paying, undefined))).pipe(
        Effect.provide(live)
      )
      assert.strictEqual(error._tag, "RunFailed")
      assert.strictEqual(payments, 1)
    })
  )
})

/** A node that gets more attempts, by its policy and by a restart, and goes on whatever its call comes to. */
const swallowing = (how: "fail" | "pause") => {
  const Once = Tool.make("once", {
    input: Schema.Int,
    output: Schema.String,
    delivery: "atMostOnce",
    inDoubt: how
  })
  const Stubborn = Flow.make("stubborn", {
    input: Schema.Void,
    error: TooSlow,
    start: "work",
    restart: { max: 1 },
    nodes: {
      work: Node.make({ to: ["end"], error: TooSlow, retry: Schedule.recurs(1) })
    }
  })
  const calls: Array<Tool.Invocation["Service"]> = []
  const seen: Array<string> = []
  const handlers = Stubborn.toLayer({
    work: () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Once.call(5))
        seen.push(exit._tag === "Success" ? exit.value : Cause.pretty(exit.cause).split("\n")[0]!)
        return yield* new TooSlow()
      })
  })
  const live = (answer: Effect.Effect<string>) =>
    Worker.layer({ flows: [Stubborn] }).pipe(
      Layer.provide(handlers),
      Layer.provide(
        Once.toLayer(() =>
          Effect.gen(function* () {
            calls.push(yield* Tool.Invocation)
            return yield* answer
          })
        )
      )
    )
  return { calls, live, seen, Stubborn }
}

describe("an at-most-once call whose failure its handler swallows", () => {
  for (const [what, answer] of [
    ["broke", Effect.die(new Error("the line is dead"))],
    ["gave what does not fit", Effect.succeed(5 as unknown as string)]
  ] as const) {
    it.effect(`is not made again by any attempt, once it ${what}`, () =>
      Effect.gen(function* () {
        const { calls, live, seen, Stubborn } = swallowing("fail")
        const { boot, crash, eventsOf } = machine()
        const { runs } = yield* boot(live(answer))
        const run = yield* runs.start(Stubborn, undefined)
        yield* Effect.flip(runs.await(run))
        yield* runs.retry(run)
        yield* Effect.flip(runs.await(run))
        yield* crash
        const { runs: later } = yield* boot(live(Effect.succeed("receipt")))
        yield* later.retry(run)
        yield* Effect.flip(later.await(run))
        assert.strictEqual(calls.length, 1)
        assert.strictEqual((yield* eventsOf(run, "callStarted")).length, 1)
        // Two attempts by the node's policy, and the first time two more by a restart.
        assert.isAtLeast(seen.length, 6)
        assert.isTrue(
          seen.slice(1).every((text) => text.includes("InDoubt")),
          seen.join("\n")
        )
      })
    )
  }

  it.effect("is made again if a person says so, and kept if a person says what it came to", () =>
    Effect.gen(function* () {
      const { calls, live, seen, Stubborn } = swallowing("fail")
      const { boot, eventsOf } = machine()
      let answer: Effect.Effect<string> = Effect.die(new Error("the line is dead"))
      const { runs } = yield* boot(live(Effect.suspend(() => answer)))
      const run = yield* runs.start(Stubborn, undefined)
      yield* Effect.flip(runs.await(run))
      const { call } = (yield* eventsOf(run, "callStarted"))[0]!
      assert.strictEqual(calls.length, 1)
      yield* runs.retry(run, { settle: { [call]: "again" } })
      yield* Effect.flip(runs.await(run))
      assert.strictEqual(calls.length, 2)
      assert.strictEqual(calls[1]!.key, calls[0]!.key)
      assert.isTrue(calls[1]!.repeated)
      answer = Effect.succeed("not asked for")
      seen.length = 0
      yield* runs.retry(run, { settle: { [call]: { output: "receipt" } } })
      yield* Effect.flip(runs.await(run))
      assert.strictEqual(calls.length, 2)
      assert.isTrue(seen.every((text) => text === "receipt"))
    })
  )

  it.effect("whose process died is in doubt for every attempt, and for a person if that is the policy", () =>
    Effect.gen(function* () {
      for (const how of ["fail", "pause"] as const) {
        const { calls, live, Stubborn } = swallowing(how)
        const { boot, crash } = machine()
        const { runs } = yield* boot(live(Effect.never))
        const run = yield* runs.start(Stubborn, undefined)
        yield* idle
        yield* crash
        const { runs: later } = yield* boot(live(Effect.succeed("receipt")))
        if (how === "fail") {
          yield* Effect.flip(later.await(run))
          yield* later.retry(run)
          yield* Effect.flip(later.await(run))
        } else {
          yield* untilStatus(later, run, "paused")
          yield* later.resume(run)
          yield* idle
          assert.strictEqual((yield* later.get(run)).status, "paused")
        }
        assert.strictEqual(calls.length, 1, how)
      }
    })
  )
})
