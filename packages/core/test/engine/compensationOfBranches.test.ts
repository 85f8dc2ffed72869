import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { idle, machine } from "./process.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

const Book = Tool.make("book", { input: Schema.String, output: Schema.String, compensate: true })
const Copy = Tool.make("copy", { input: Schema.String })

const Trip = Flow.make("trip", {
  input: Schema.Void,
  error: Broken,
  start: "split",
  nodes: {
    split: Node.make({ to: [], fanOut: { to: ["fails", "copies"], join: "merge" } }),
    fails: Node.make({ to: ["merge"], error: Broken }),
    copies: Node.make({ to: ["merge"] }),
    merge: Node.make({ to: ["end"] })
  }
})

describe("a run of which a branch fails while another one is in the middle of a call", () => {
  it.effect("undoes what both did once neither is executed any more, and fails", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const say = (what: string) => Effect.sync(() => void log.push(what))
      const handlers = Trip.toLayer({
        split: ({ next }) => Effect.succeed(next.all(["fails", "copies"])),
        fails: Effect.fnUntraced(function* () {
          yield* Book.call("train")
          yield* Effect.sleep("1 second")
          return yield* new Broken()
        }),
        copies: Effect.fnUntraced(function* ({ next }) {
          yield* Book.call("seat")
          yield* Copy.call("map")
          return next.to("merge")
        }),
        merge: ({ next }) => Effect.succeed(next.end())
      })
      const tools = Layer.merge(
        Book.toLayer({
          call: (what) => Effect.as(say(`booked ${what}`), what),
          compensate: ({ output }) => say(`cancelled ${output}`)
        }),
        // It takes a while to stop.
        Copy.toLayer(() =>
          Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.sleep("3 seconds"), say("stopped")))
        )
      )
      const { boot, kinds } = machine()
      const { runs } = yield* boot(
        Worker.layer({ flows: [Trip] }).pipe(Layer.provide(handlers), Layer.provide(tools))
      )
      const run = yield* runs.start(Trip, undefined)
      yield* idle
      yield* TestClock.adjust("2 seconds")
      yield* idle
      assert.deepStrictEqual(log, ["booked train", "booked seat"])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Effect.flip(runs.await(run)))._tag, "Broken")
      assert.deepStrictEqual(log, [
        "booked train",
        "booked seat",
        "stopped",
        "cancelled seat",
        "cancelled train"
      ])
      assert.deepStrictEqual((yield* kinds(run)).slice(-6), [
        "compensating",
        "compensationStarted",
        "compensationCompleted",
        "compensationStarted",
        "compensationCompleted",
        "failed"
      ])
    })
  )
})
