import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FakeTools from "../src/FakeTools.ts"
import * as TestRuntime from "../src/TestRuntime.ts"

const Anything: Schema.Codec<any, Schema.Json> = Schema.Json
const Take = Tool.make("take", { input: { value: Anything } })
const Giving = Flow.make("giving", {
  input: Schema.Void,
  start: "give",
  nodes: { give: Node.make({ to: ["end"] }) }
})

/** Fakes that were called once, with this value. */
const calledWith = (value: unknown) =>
  Effect.gen(function* () {
    const tools = FakeTools.make(FakeTools.answer(Take, () => FakeTools.ok))
    // The value does not have to fit a journal, so the handler is called as the engine does.
    const context = yield* Layer.build(tools.layer)
    const entry = context.mapUnsafe.get(Tool.handlerKey(Take.name).key) as {
      readonly handler: (input: unknown) => Effect.Effect<unknown, unknown, Tool.Invocation>
    }
    yield* Effect.orDie(entry.handler({ value, more: 1 })).pipe(
      Effect.provideService(Tool.Invocation, {
        key: "key",
        attempt: 1,
        repeated: false,
        run: "r",
        branch: "",
        node: "give",
        visit: 1,
        beat: () => Effect.void
      } as never)
    )
    return tools
  }).pipe(Effect.scoped)

const values: ReadonlyArray<readonly [name: string, same: () => unknown, other: unknown]> = [
  ["a date", () => new Date(2), new Date(1)],
  ["a map", () => new Map([["a", 1]]), new Map([["a", 2]])],
  ["a set", () => new Set(["a", "b"]), new Set(["a"])],
  ["an address", () => new URL("https://a.example/x"), new URL("https://a.example/y")],
  ["a pattern", () => /a/g, /a/i],
  ["an option", () => Option.some(undefined), Option.none()],
  ["bytes", () => new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  ["a big number", () => 1n, 2n],
  ["no number", () => Number.NaN, Number.POSITIVE_INFINITY]
]

describe("what fakes were called with", () => {
  for (const [name, same, other] of values) {
    it.effect(`is told apart by its content: ${name}`, () =>
      Effect.gen(function* () {
        const tools = yield* calledWith(same())
        tools.expectCalled(Take, { with: { value: same() } })
        tools.expectCalled(Take, { with: { value: same(), more: 1 } as never })
        tools.expectInputs(Take, [{ value: same(), more: 1 } as never])
        assert.throws(
          () => tools.expectCalled(Take, { with: { value: other } }),
          /was expected to be called with/
        )
        assert.throws(
          () => tools.expectInputs(Take, [{ value: other, more: 1 } as never]),
          /was not called with/
        )
      })
    )
  }

  it.effect("is in part what is asked for, also within", () =>
    Effect.gen(function* () {
      const tools = yield* calledWith({ at: new Date(2), who: { name: "ada", age: 3 } })
      tools.expectCalled(Take, { with: { value: { who: { name: "ada" } } } })
      assert.throws(() => tools.expectCalled(Take, { with: { value: { at: new Date(1) } } }))
      assert.throws(() => tools.expectCalled(Take, { with: { value: { who: { name: "bob" } } } }))
    })
  )

  it.effect("does not count in which order a set was filled", () =>
    Effect.gen(function* () {
      const tools = yield* calledWith(new Set(["a", "b"]))
      tools.expectInputs(Take, [{ value: new Set(["b", "a"]), more: 1 } as never])
    })
  )

  it.effect("is shown as what it is", () =>
    Effect.gen(function* () {
      const tools = yield* calledWith({ big: 5n, bytes: new Uint8Array([1, 2]) })
      assert.include(tools.timeline(), 'take {"value":{"big":5n,"bytes":Uint8Array([1,2])},"more":1}')
      assert.throws(() => tools.expectCalled(Take, { with: { value: 7n } }), /with \{"value":7n\}/)
      const none = yield* calledWith(Number.NaN)
      assert.throws(
        () => none.expectInputs(Take, [{ value: Number.POSITIVE_INFINITY, more: 1 } as never]),
        /Infinity was expected, it is NaN/
      )
    })
  )

  it.effect("does not hide that a call was unexpected", () =>
    Effect.gen(function* () {
      const Big = Tool.make("big", { input: { amount: Schema.BigInt } })
      const tools = FakeTools.make(FakeTools.refuse(Big))
      const handlers = Giving.toLayer({
        give: ({ next }) => Effect.as(Big.call({ amount: 5n }), next.end())
      })
      yield* Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* Effect.exit(runs.execute(Giving, undefined, { id: "r" }))
      }).pipe(
        Effect.provide(TestRuntime.layer({ flows: [Giving], handlers: Layer.provide(handlers, tools.layer) }))
      )
      assert.throws(() => tools.expectDone(), /unexpected call of tool big with \{"amount":5n\}/)
    })
  )
})
