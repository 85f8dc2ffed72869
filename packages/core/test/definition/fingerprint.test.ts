import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

class Failed extends Schema.TaggedError<Failed>()("Failed", { reason: Schema.String }) {}

/** What is defined here would be too much for the compiler to follow. */
const make: (id: string, options: unknown) => Flow.Any = Flow.make as never

const define = (options: {
  readonly id?: string
  readonly input?: Schema.Codec<unknown, unknown>
  readonly state?: State.Channels
  readonly a?: Node.Any
  readonly rest?: object
}) =>
  make(options.id ?? "x", {
    input: options.input ?? Schema.Struct({ a: Schema.String, b: Schema.Int }),
    state: options.state ?? { n: State.counter(), l: State.list(Schema.String) },
    error: Failed,
    start: "a",
    nodes: { a: options.a ?? Node.make({ to: ["b", "end"] }), b: Node.make({ to: ["end"] }) },
    ...options.rest
  }).fingerprint

const plain = define({})

describe("a fingerprint", () => {
  it("is a SHA-256 and the same each time", () => {
    assert.match(plain, /^[0-9a-f]{64}$/)
    assert.strictEqual(define({}), plain)
  })

  it("does not change with order, words, sites or policies", () => {
    const same = {
      "order of fields": define({ input: Schema.Struct({ b: Schema.Int, a: Schema.String }) }),
      "order of channels": define({ state: { l: State.list(Schema.String), n: State.counter() } }),
      "order of targets": define({ a: Node.make({ to: ["end", "b"] }) }),
      "order of nodes": Flow.make("x", {
        input: Schema.Struct({ a: Schema.String, b: Schema.Int }),
        state: { n: State.counter(), l: State.list(Schema.String) },
        error: Failed,
        start: "a",
        nodes: { b: Node.make({ to: ["end"] }), a: Node.make({ to: ["b", "end"] }) }
      }).fingerprint,
      descriptions: define({
        input: Schema.Struct({ a: Schema.String.annotate({ description: "A" }), b: Schema.Int }).annotate({
          title: "Input"
        }),
        a: Node.make({ to: ["b", "end"], description: "first" }),
        rest: { description: "a flow" }
      }),
      policies: define({
        a: Node.make({ to: ["b", "end"], retry: Schedule.forever, timeout: "1 second" }),
        rest: { maxSteps: 3, durability: "strict" }
      }),
      "the initial value": define({ state: { n: State.counter(7), l: State.list(Schema.String) } }),
      version: define({ rest: { version: 2 } })
    }
    for (const [what, fingerprint] of Object.entries(same)) assert.strictEqual(fingerprint, plain, what)
  })

  it("is that of earlier releases, so that their runs go on", () => {
    assert.strictEqual(plain, "2eeda8a383fc4b17c51f1ce92f536895b804991a0a1439bb88fbcc7820c1c897")
  })

  const branching = (
    fanOut: {
      readonly policy?: Node.FanOutPolicy
      readonly concurrency?: number
      readonly to?: ReadonlyArray<string>
    },
    item?: Schema.Codec<unknown, unknown>
  ) =>
    define({
      rest: {
        start: "split",
        nodes: {
          split: Node.make({ to: ["b"], fanOut: { to: ["w", "v"], join: "b", ...fanOut } }),
          w: Node.make({ to: ["b"], ...(item === undefined ? {} : { item }) }),
          v: Node.make({ to: ["b", "w"].slice(0, item === undefined ? 2 : 1) }),
          b: Node.make({ to: ["end"] })
        }
      }
    })

  it("covers where branches lead and what is handed to them, but not how they are executed", () => {
    const fanOut = branching({})
    assert.strictEqual(branching({ policy: "collect", concurrency: 2, to: ["v", "w"] }), fanOut)
    assert.strictEqual(branching({ policy: { quorum: 2 } }), fanOut)
    const others = [branching({ to: ["v"] }), branching({}, Schema.Int), branching({}, Schema.Finite)]
    assert.strictEqual(new Set([fanOut, ...others]).size, 4)
  })

  it("changes with the shape and the schemas", () => {
    const circle = { a: Node.make({ to: ["b", "end"] }), b: Node.make({ to: ["a", "end"] }) }
    const other = {
      id: define({ id: "y" }),
      "a field's type": define({ input: Schema.Struct({ a: Schema.String, b: Schema.String }) }),
      "a field's check": define({
        input: Schema.Struct({ a: Schema.String, b: Schema.Int.check(Schema.isGreaterThan(0)) })
      }),
      "the bound of a check": define({
        input: Schema.Struct({ a: Schema.String, b: Schema.Int.check(Schema.isGreaterThan(1)) })
      }),
      "an optional field": define({
        input: Schema.Struct({ a: Schema.optionalKey(Schema.String), b: Schema.Int })
      }),
      "another field": define({ input: Schema.Struct({ a: Schema.String, b: Schema.Int, c: Schema.Int }) }),
      "a number": define({ input: Schema.Finite }),
      "a number stored as text": define({ input: Schema.FiniteFromString }),
      "a literal": define({ input: Schema.Literal("a") }),
      "another literal": define({ input: Schema.Literal("b") }),
      "a channel": define({ state: { n: State.counter() } }),
      "a channel's kind": define({
        state: { n: State.value(Schema.Finite, 0), l: State.list(Schema.String) }
      }),
      "a channel's schema": define({ state: { n: State.counter(), l: State.list(Schema.Int) } }),
      "a node's targets": define({ a: Node.make({ to: ["b"] }) }),
      "a node's errors": define({ a: Node.make({ to: ["b", "end"], error: Failed }) }),
      "a node's routes": define({
        a: Node.make({ to: ["b", "end"], error: Failed, onError: { Failed: "b" } })
      }),
      "the status of a route": define({
        a: Node.make({ to: ["b", "end"], error: Failed, onError: { Failed: Node.skip("b") } })
      }),
      "a route of defects": define({ a: Node.make({ to: ["b", "end"], onDefect: "b" }) }),
      "one start of two": define({ rest: { start: "a", nodes: circle } }),
      "the other start": define({ rest: { start: "b", nodes: circle } })
    }
    const seen = new Map([[plain, "nothing"]])
    for (const [what, fingerprint] of Object.entries(other)) {
      assert.isFalse(seen.has(fingerprint), `${what} looks like ${seen.get(fingerprint) ?? ""}`)
      seen.set(fingerprint, what)
    }
  })

  it("tells recursive schemas apart", () => {
    interface Tree {
      readonly children: ReadonlyArray<Tree>
    }
    const Tree = Schema.Struct({ children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree)) })
    interface Pair {
      readonly children: readonly [Pair] | readonly []
    }
    const Pair = Schema.Struct({
      children: Schema.Union([
        Schema.Tuple([Schema.suspend((): Schema.Codec<Pair> => Pair)]),
        Schema.Tuple([])
      ])
    })
    assert.strictEqual(define({ input: Tree }), define({ input: Tree }))
    assert.notStrictEqual(define({ input: Tree }), define({ input: Pair }))
  })
})
