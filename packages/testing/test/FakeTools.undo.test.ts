import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as FakeTools from "../src/FakeTools.ts"
import * as TestRuntime from "../src/TestRuntime.ts"

class Full extends Schema.TaggedError<Full>()("Full", {}) {}

const Book = Tool.make("book", {
  input: { seat: Schema.Int },
  output: Schema.String,
  error: Full,
  compensate: true
})
const Trip = Flow.make("trip", {
  input: Schema.Void,
  error: Full,
  start: "book",
  nodes: { book: Node.make({ to: ["end"], error: Full }) }
})
const handlers = Trip.toLayer({
  book: () => Effect.andThen(Book.call({ seat: 7 }), Effect.fail(new Full()))
})

const fail = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  assert.strictEqual((yield* Effect.flip(runs.execute(Trip, undefined, { id: "r" })))._tag, "Full")
  return yield* runs.get("r")
})

describe("undoing a call of a fake", () => {
  it.effect("succeeds, and is remembered with what it undid", () => {
    const tools = FakeTools.make(FakeTools.always(Book, FakeTools.succeed("seat 7")))
    return Effect.gen(function* () {
      assert.strictEqual((yield* fail).undone, 0)
      const [call] = tools.calls(Book)
      const [undo] = tools.undos(Book)
      assert.deepInclude(undo, {
        number: 1,
        tool: "book",
        input: { seat: 7 },
        output: "seat 7",
        undoes: call!.key,
        attempt: 1,
        result: "succeeded"
      })
      assert.notStrictEqual(undo!.key, call!.key)
      assert.strictEqual(tools.calls().length, 1)
      assert.match(tools.timeline(), /\n.*undo #1 book \{"seat":7\} at r book\/1, try 1: succeeded/)
    }).pipe(
      Effect.provide(TestRuntime.layer({ flows: [Trip], handlers: Layer.provide(handlers, tools.layer) }))
    )
  })

  it.effect("is answered as the test says, also in front of real handlers", () => {
    const real = Book.toLayer({
      call: () => Effect.die("the real one was called"),
      compensate: () => Effect.die("the real one was undone")
    })
    const tools = FakeTools.make(
      FakeTools.undo(Book, FakeTools.always(Book, FakeTools.succeed("seat 7")), ({ input, output }) => {
        assert.deepStrictEqual([input.seat, output], [7, "seat 7"])
        return FakeTools.fail(new Full())
      })
    )
    return Effect.gen(function* () {
      assert.strictEqual((yield* fail).undone, 1)
      assert.deepStrictEqual(
        tools.undos().map(({ result }) => result),
        ["failed"]
      )
    }).pipe(
      Effect.provide(
        TestRuntime.layer({
          flows: [Trip],
          handlers: handlers.pipe(Layer.provide(real), Layer.merge(tools.layerExecutor))
        })
      )
    )
  })
})
