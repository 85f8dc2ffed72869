import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { Echo } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const versioned = (version: number, channel: Schema.Codec<unknown, unknown> = Schema.String) => {
  const flow = Flow.make("versioned", {
    version,
    input: Schema.Struct({}),
    state: { items: State.list(channel) },
    output: Schema.Int,
    start: "work",
    nodes: { work: Node.make({ to: ["wait"] }), wait: Node.make({ to: ["end"] }) }
  })
  const visits: Array<string> = []
  const world = { hang: false }
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        work: ({ next }) => Effect.sync(() => (visits.push("work"), next.to("wait", { items: ["x"] }))),
        wait: ({ next, state }) =>
          Effect.gen(function* () {
            visits.push("wait")
            yield* Effect.orDie(Echo.call({ text: "x" }))
            return next.end(state.items.length)
          })
      })
    ),
    Layer.provide(Echo.toLayer(({ text }) => (world.hang ? Effect.never : Effect.succeed(text))))
  )
  return { flow, live, visits, world }
}

describe("a run that was started by another version of its flow", () => {
  for (const [name, other] of [
    ["with another number", () => versioned(2)],
    ["with another shape under the same number", () => versioned(1, Schema.Int)]
  ] as const) {
    it.effect(
      `${name} is paused as incompatible, which says what differs, and goes on with the right one`,
      () =>
        Effect.gen(function* () {
          const computer = machine()
          const one = versioned(1)
          one.world.hang = true
          const first = yield* computer.boot(one.live)
          const run = yield* first.runs.start(one.flow, {})
          yield* idle
          yield* first.stop
          const two = other()
          const second = yield* computer.boot(two.live)
          yield* untilStatus(second.runs, run, "paused")
          assert.deepStrictEqual(two.visits, [])
          const [paused] = yield* computer.eventsOf(run, "paused")
          assert.strictEqual(paused!.reason.kind, "incompatible")
          if (paused!.reason.kind !== "incompatible") return
          assert.include(paused!.reason.message, "version 1")
          assert.include(paused!.reason.message, `version ${two.flow.version}`)
          assert.include(paused!.reason.message, one.flow.fingerprint.slice(0, 12))
          // Resuming it with the wrong flow again changes nothing.
          yield* second.runs.resume(run)
          yield* idle
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* second.runs.get(run)).status, "paused")
          assert.deepStrictEqual(two.visits, [])
          yield* second.stop
          one.world.hang = false
          const third = yield* computer.boot(one.live)
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* third.runs.get(run)).status, "paused")
          yield* third.runs.resume(run)
          assert.strictEqual(yield* third.runs.await(run), 1)
          assert.deepStrictEqual(one.visits, ["work", "wait", "wait"])
          assert.strictEqual((yield* third.runs.get(run)).version, 1)
        })
    )
  }

  it.effect("can be cancelled by a worker that has another version", () =>
    Effect.gen(function* () {
      const computer = machine()
      const one = versioned(1)
      one.world.hang = true
      const first = yield* computer.boot(one.live)
      const run = yield* first.runs.start(one.flow, {})
      yield* idle
      yield* first.stop
      const second = yield* computer.boot(versioned(2).live)
      yield* untilStatus(second.runs, run, "paused")
      assert.strictEqual(yield* second.runs.cancel(run, "old"), "cancelled")
    })
  )

  it.effect("that ended is read and awaited as ever", () =>
    Effect.gen(function* () {
      const computer = machine()
      const one = versioned(1)
      const first = yield* computer.boot(one.live)
      const run = yield* first.runs.start(one.flow, {}, { id: "r" })
      yield* first.runs.await(run)
      yield* first.stop
      const two = versioned(2)
      const second = yield* computer.boot(two.live)
      assert.strictEqual(yield* second.runs.execute(two.flow, {}, { id: "r" }), 1)
      assert.deepStrictEqual(two.visits, [])
    })
  )
})
