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

  it("goes on in branches, one per item or as they are listed", () => {
    assert.deepStrictEqual(Next.nexts.each(["x", "y"], "b", { concurrency: 2, update: { n: 1 } }), {
      _tag: "FanOut",
      branches: [
        { node: "b", item: "x" },
        { node: "b", item: "y" }
      ],
      concurrency: 2,
      update: { n: 1 }
    })
    assert.deepStrictEqual(Next.nexts.each([], "b").branches, [])
    assert.deepStrictEqual(Next.nexts.all(["a", Next.nexts.branch("b", 1)]), {
      _tag: "FanOut",
      branches: [
        { node: "a", item: undefined },
        { node: "b", item: 1 }
      ],
      concurrency: undefined,
      update: undefined
    })
  })

  const wide = (policy: Node.FanOutPolicy) =>
    Flow.make("wide", {
      input: Schema.Void,
      state: { n: State.counter() },
      start: "split",
      nodes: {
        split: Node.make({ to: [], fanOut: { to: ["check", "scan", "may"], join: "merge", policy } }),
        check: Node.make({ to: ["merge"], item: Schema.Int }),
        may: Node.make({ to: ["merge"], item: Schema.UndefinedOr(Schema.Int) }),
        scan: Node.make({ to: ["merge"] }),
        merge: Node.make({ to: ["end"] })
      }
    })
  const branchesRefused = (value: unknown, policy: Node.FanOutPolicy = "failFast", node = "split") => {
    const result = Next.validate(wide(policy), node, value)
    return Result.isFailure(result) ? result.failure.reason : undefined
  }

  it("begins the branches that the fan-out of the node allows", () => {
    for (const next of [
      Next.each([1, 2], "check", { concurrency: 1, update: { n: 1 } }),
      Next.each([], "check"),
      Next.all(["scan", "scan", Next.branch("check", 1), Next.branch("may", undefined)])
    ]) {
      assert.isUndefined(branchesRefused(next))
    }
    assert.isUndefined(branchesRefused(Next.all(["scan", "scan"]), { quorum: 2 }))
  })

  it("begins no branches that it does not allow", () => {
    const invalidBranch = (value: unknown, node?: string) => {
      const reason = branchesRefused(value, "failFast", node)
      return reason?._tag === "InvalidBranch"
        ? `${reason.index} ${reason.target}: ${reason.detail}`
        : reason?._tag
    }
    const known = 'the nodes of its fanOut are "check", "scan", "may"'
    assert.strictEqual(invalidBranch(Next.all(["scan", "merge"])), `1 merge: ${known}`)
    assert.strictEqual(invalidBranch({ _tag: "FanOut", branches: [null] }), `0 undefined: ${known}`)
    assert.strictEqual(
      invalidBranch(Next.all(["scan", "check"])),
      "1 check: that node takes an item: use next.branch or next.each"
    )
    assert.strictEqual(
      invalidBranch(Next.each([1], "scan")),
      "0 scan: that node takes no item: declare one, or give the name alone to next.all"
    )
    assert.strictEqual(invalidBranch({ _tag: "FanOut" }), "NotANext")
    assert.deepStrictEqual(branchesRefused(Next.all(["scan"]), "failFast", "scan"), {
      _tag: "InvalidFanOut",
      detail: "the node has no fanOut: declare one, or use next.to"
    })
    for (const concurrency of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.deepStrictEqual(branchesRefused(Next.each([1], "check", { concurrency })), {
        _tag: "InvalidFanOut",
        detail: `the concurrency is ${concurrency}: give a whole number from 1`
      })
    }
    assert.deepStrictEqual(branchesRefused(Next.each([1], "check"), { quorum: 2 }), {
      _tag: "InvalidFanOut",
      detail: "there are 1 and 2 of them must complete: begin more, or lower the quorum"
    })
    assert.strictEqual(branchesRefused(Next.each([], "check"), { quorum: 1 })?._tag, "InvalidFanOut")
    assert.strictEqual(branchesRefused(Next.each([1], "check", { update: { m: 1 } }))?._tag, "UnknownChannel")
    assert.strictEqual(branchesRefused(Next.each([1], "check", { update: [] }))?._tag, "InvalidUpdate")
  })

  it("is refused with a message that names flow, node and remedy", () => {
    assert.strictEqual(
      reason("a", Next.to("b", { m: 1 })).message,
      `the handler of node "a" of flow "x" updates "m", but the flow's channels are "n"`
    )
    const said = (value: unknown) => {
      const result = Next.validate(wide("failFast"), "split", value)
      return Result.isFailure(result) ? result.failure.message : ""
    }
    assert.strictEqual(
      said(Next.all(["check"])),
      'the handler of node "split" of flow "wide" begins branch 0 at "check", ' +
        "but that node takes an item: use next.branch or next.each"
    )
    assert.strictEqual(
      said(Next.all([], { concurrency: 0 })),
      'the handler of node "split" of flow "wide" goes on in branches, ' +
        "but the concurrency is 0: give a whole number from 1"
    )
    assert.strictEqual(
      new Next.BranchFailed({ index: 3, node: "scan", failure: { kind: "interrupted" } }).message,
      "branch 3 failed at node scan: its handler interrupted itself"
    )
    assert.strictEqual(
      reason("a", null).message,
      `the handler of node "a" of flow "x" returned null: return what next.to, next.end, next.each or next.all gives`
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
