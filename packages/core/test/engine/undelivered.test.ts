import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import { StoreError } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { idle, machine } from "./process.ts"

const Part = Flow.make("part", {
  input: Schema.Void,
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})
const Whole = Flow.make("whole", {
  input: Schema.Void,
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

describe("a message to another run that could not be delivered", () => {
  it.effect("is tried again while the visit that sent it goes on, and not only after it", () =>
    Effect.gen(function* () {
      let isBroken = true
      const handlers = Layer.merge(
        Part.toLayer({ work: ({ next }) => Effect.succeed(next.end()) }),
        Whole.toLayer({
          work: ({ next }) =>
            Effect.gen(function* () {
              yield* Part.start(undefined)
              yield* Effect.sleep("1 hour")
              return next.end()
            })
        })
      )
      const { boot, kinds } = machine()
      const { runs } = yield* boot(
        Worker.layer({ flows: [Whole, Part], sweep: Duration.infinity }).pipe(Layer.provide(handlers)),
        {
          wrap: (store) => ({
            ...store,
            create: (batch, options) =>
              isBroken && batch.entries[0].event.run.startsWith("part-")
                ? Effect.fail(new StoreError({ operation: "create", reason: { _tag: "Io", code: "EIO" } }))
                : store.create(batch, options)
          })
        }
      )
      const run = yield* runs.start(Whole, undefined)
      yield* idle
      isBroken = false
      yield* TestClock.adjust("15 seconds")
      yield* idle
      const { runs: parts } = yield* runs.list({ parent: run.id })
      assert.deepStrictEqual(
        parts.map(({ status }) => status),
        ["completed"]
      )
      yield* TestClock.adjust("1 hour")
      yield* runs.await(run)
      assert.deepStrictEqual(yield* kinds(run), ["created", "sent", "delivered", "visited", "completed"])
    })
  )
})
