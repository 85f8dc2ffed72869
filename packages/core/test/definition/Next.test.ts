import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Next from "@waymark/core/Next"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Combiner from "effect/Combiner"
import * as Reducer from "effect/Reducer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const flow = Flow.make("x", {
  input: Schema.Void,
  state: { n: State.counter() },
  start: "a",
  nodes: { a: Node.make({ to: ["b"] }), b: Node.make({ to: ["a", "end"] }) }
})

const reason = (node: string, value: unknown) => {
  const result = Next.validate(flow, node, value)
  if (Result.isSuccess(result)) return assert.fail("it was accepted")
  assert.strictEqual(result.failure._tag, "InvalidNext")
  return result.failure
}

describe("Next", () => {
  it("says where to go on, and with which update", () => {
    assert.deepStrictEqual(Next.nexts.to("b", { n: 1 }), { _tag: "To", to: "b", update: { n: 1 } })
    assert.deepStrictEqual(Next.nexts.to("b"), { _tag: "To", to: "b", update: undefined })
    assert.deepStrictEqual(Next.nexts.end("out"), { _tag: "End", output: "out", update: undefined })
    assert.deepStrictEqual(Next.nexts.end(), { _tag: "End", output: undefined, update: undefined })
  })

  it("is accepted where the node allows it", () => {
    assert.isTrue(Result.isSuccess(Next.validate(flow, "a", Next.to("b", { n: 1 }))))
    assert.isTrue(Result.isSuccess(Next.validate(flow, "b", Next.end(undefined, { n: 1 }))))
  })

  it("is refused where a handler escaped the compiler", () => {
    assert.deepStrictEqual(reason("a", undefined).reason, { _tag: "NotANext", got: "nothing" })
    assert.deepStrictEqual(reason("a", { to: "b" }).reason, {
      _tag: "NotANext",
      got: "a value of type object"
    })
    const unknown = { _tag: "UnknownTarget", targets: ["b"] } as const
    assert.deepStrictEqual(reason("a", Next.to("a")).reason, { ...unknown, target: "a" })
    assert.deepStrictEqual(reason("a", Next.end()).reason, { ...unknown, target: "end" })
    assert.strictEqual(reason("b", Next.to("end")).reason._tag, "UnknownTarget")
    assert.deepStrictEqual(reason("a", Next.to("b", { m: 1 })).reason, {
      _tag: "UnknownChannel",
      channel: "m",
      channels: ["n"]
    })
    assert.deepStrictEqual(reason("a", Next.to("b", [1])).reason, { _tag: "InvalidUpdate", got: "an array" })
  })

  it("is refused with a message that names flow, node and remedy", () => {
    assert.strictEqual(
      reason("a", Next.to("b", { m: 1 })).message,
      `the handler of node "a" of flow "x" updates "m", but the flow's channels are "n"`
    )
    assert.strictEqual(
      reason("a", null).message,
      `the handler of node "a" of flow "x" returned null: return what next.to or next.end gives`
    )
  })
})

describe("State", () => {
  it("knows what each kind of channel starts with", () => {
    const starts = {
      value: State.value(Schema.String, "a"),
      optional: State.optional(Schema.String),
      list: State.list(Schema.String),
      record: State.record(Schema.String),
      counter: State.counter(3),
      reduce: State.reduce(
        Schema.Finite,
        Reducer.make<number>((a, b) => a * b, 1)
      )
    }
    for (const [kind, channel] of Object.entries<State.Any>(starts)) assert.strictEqual(channel.kind, kind)
    assert.deepStrictEqual(
      Object.values<State.Any>(starts).map(({ initial }) => initial),
      ["a", undefined, [], {}, 3, 1]
    )
  })

  it("makes a reducer of a combiner and a value to start with", () => {
    const channel = State.reduce(
      Schema.UndefinedOr(Schema.Finite),
      Combiner.make<number | undefined>(() => 7),
      undefined
    )
    assert.isUndefined(channel.initial)
    assert.strictEqual(channel.reducer?.combine(undefined, 1), 7)
    const reducer = Reducer.make<number>((a, b) => a + b, 0)
    assert.strictEqual(State.reduce(Schema.Finite, reducer).reducer, reducer)
  })
})
