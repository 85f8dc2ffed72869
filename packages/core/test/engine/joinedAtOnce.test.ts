import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Kind } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"
import type { StoreService } from "./process.ts"

class Bad extends Schema.TaggedError<Bad>()("Bad", {}) {}

const flowOf = (policy: Node.FanOutPolicy, durability: "pipelined" | "strict" = "pipelined") =>
  Flow.make("joining", {
    input: Schema.Array(Schema.Int),
    state: { list: State.list(Schema.Int) },
    output: Schema.Array(Schema.Int),
    error: Schema.Union([Bad, Wait.WaitTimeout]),
    signals: { early: Schema.Int },
    durability,
    start: "split",
    nodes: {
      split: Node.make({ to: [], fanOut: { to: ["one"], join: "merge", policy: policy as "failFast" } }),
      one: Node.make({
        item: Schema.Int,
        to: ["merge"],
        error: Schema.Union([Bad, Wait.WaitTimeout]),
        retry: Schedule.spaced("1 hour").pipe(Schedule.upTo({ times: 1 }))
      }),
      merge: Node.make({ to: ["end"] })
    }
  })

const worker = (
  flow: ReturnType<typeof flowOf>,
  one: Flow.Handler<ReturnType<typeof flowOf>, "one", Visit>,
  merge: Effect.Effect<void, never, Visit> = Effect.void
) =>
  Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        split: ({ input, next }) => Effect.succeed(next.each(input, "one")),
        one,
        merge: ({ next, state }) => Effect.as(merge, next.end(state.list))
      })
    )
  )

/** What reaches the store: the kinds of the events of each batch. */
const recording = () => {
  const batches: Array<ReadonlyArray<Kind>> = []
  const wrap = (store: StoreService): StoreService => ({
    ...store,
    append: (lease, expected, batch) => {
      batches.push(batch.entries.map(({ event }) => event.kind))
      return store.append(lease, expected, batch)
    },
    sync: (lease) => {
      batches.push([])
      return store.sync(lease)
    }
  })
  return { batches, wrap }
}

describe("what belongs together", () => {
  it.effect("is one batch: a join, and the last branch that it needs, while the others wait", () =>
    Effect.gen(function* () {
      const flow = flowOf({ quorum: 1 })
      const live = worker(flow, ({ item, next }) =>
        item === 0
          ? Effect.as(Wait.event("never", { schema: Schema.Null }), next.to("merge"))
          : Effect.as(Wait.sleep("1 second"), next.to("merge", { list: [item] }))
      )
      const { batches, wrap } = recording()
      const { runs } = yield* machine().boot(live, { wrap })
      const run = yield* runs.start(flow, [0, 1])
      yield* untilStatus(runs, run, "waiting")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs.await(run), [1])
      // In between, the index would say that the run waits, and nobody would take it up.
      assert.deepInclude(batches, ["visited", "joined"])
      assert.isFalse(batches.some((kinds) => kinds.length === 1 && kinds[0] === "joined"))
    })
  )

  it.effect("is one batch: a wait, and the signal that was kept for it", () =>
    Effect.gen(function* () {
      const flow = flowOf("failFast")
      const live = worker(flow, ({ next }) =>
        Effect.gen(function* () {
          yield* Wait.sleep("1 second")
          return next.to("merge", { list: [yield* Wait.event("early", { schema: Schema.Int })] })
        })
      )
      const { batches, wrap } = recording()
      const { runs } = yield* machine().boot(live, { wrap })
      const run = yield* runs.start(flow, [1])
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run, "early", 7)
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs.await(run), [7])
      assert.deepInclude(batches, ["waitOpened", "waitEnded"])
    })
  )
})

describe("the join of a strict run", () => {
  it.effect("begins when the branches before it are durable", () =>
    Effect.gen(function* () {
      const flow = flowOf("failFast", "strict")
      const { batches, wrap } = recording()
      const live = worker(
        flow,
        ({ item, next }) => Effect.succeed(next.to("merge", { list: [item] })),
        Effect.sync(() => batches.push(["completed"]))
      )
      const { runs } = yield* machine().boot(live, { wrap })
      const run = yield* runs.start(flow, [1, 2])
      assert.deepStrictEqual(yield* runs.await(run), [1, 2])
      const joined = batches.findIndex((kinds) => kinds.includes("joined"))
      const begun = batches.findIndex((kinds) => kinds[0] === "completed")
      assert.isTrue(batches.slice(joined, begun).some((kinds) => kinds.length === 0))
    })
  )
})

describe("another attempt of a branch", () => {
  it.effect("is made when it is due, also by a worker that found it waiting for that", () =>
    Effect.gen(function* () {
      const flow = flowOf("failFast")
      let tries = 0
      const live = worker(flow, ({ item, next }) =>
        Effect.suspend(() =>
          tries++ === 0 ? Effect.fail(new Bad()) : Effect.succeed(next.to("merge", { list: [item] }))
        )
      )
      const { boot, crash } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, [1])
      yield* idle
      yield* first.stop
      yield* crash
      const second = yield* boot(live)
      yield* idle
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* second.runs.await(run), [1])
      assert.strictEqual(tries, 2)
    })
  )

  it.effect("begins, for its waits, when it was due, and not when the one before it failed", () =>
    Effect.gen(function* () {
      const flow = flowOf("failFast")
      let tries = 0
      const live = worker(flow, ({ next }) =>
        Effect.gen(function* () {
          if (tries++ === 0) return yield* new Bad()
          const got = yield* Wait.event("early", { schema: Schema.Int, timeout: "10 minutes" })
          return next.to("merge", { list: [got] })
        })
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, [1])
      yield* idle
      yield* TestClock.adjust("1 hour")
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(
        (yield* eventsOf(run, "waitOpened")).map(({ due }) => due),
        [70 * 60_000]
      )
      yield* runs.signal(run, "early", 3)
      assert.deepStrictEqual(yield* runs.await(run), [3])
    })
  )
})
