import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { checkCompatibility } from "@waymark/core/Compatibility"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import { Store } from "@waymark/core/Store"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const Secret = Schema.Redacted(Schema.String)

const flow = Flow.make("asking", {
  input: Schema.Struct({}),
  output: Schema.String,
  start: "ask",
  nodes: { ask: Node.make({ to: ["end"] }) }
})

const handlers = (wait: Effect.Effect<unknown, any, any>) =>
  flow.toLayer({
    ask: ({ next }) => Effect.map(Effect.orDie(wait), (value) => next.end(JSON.stringify(value)))
  }) as Layer.Layer<Flow.Handlers<"asking">>

const worker = (wait: Effect.Effect<unknown, any, any>) =>
  Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers(wait)))

describe("secrets", () => {
  for (const [what, wait] of [
    ["a signal", Wait.event("s", { schema: Secret })],
    ["an answer", Wait.user("s", { prompt: "?", schema: Secret })],
    ["a job", Wait.job("s", Secret)],
    [
      "one of several",
      Wait.race({
        other: Wait.sleep("1 hour"),
        s: Wait.event("s", { schema: Schema.Struct({ secret: Secret }) })
      })
    ]
  ] as const) {
    it.effect(`are not waited for without a codec that encrypts: ${what}`, () =>
      Effect.gen(function* () {
        const { boot, kinds } = machine()
        const { runs } = yield* boot(worker(wait))
        const run = yield* runs.start(flow, {})
        yield* idle
        const { error, status } = yield* runs.get(run)
        assert.strictEqual(status, "failed")
        assert.include(
          error?.message ?? "",
          "the wait for s has Redacted values: provide a Codec that encrypts"
        )
        assert.deepStrictEqual(yield* kinds(run), ["created", "failed"])
      })
    )
  }

  it.effect("and neither is anything waited for that no schema describes", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(worker(Wait.event("s", { schema: Schema.Any })))
      const run = yield* runs.start(flow, {})
      yield* idle
      const { error } = yield* runs.get(run)
      assert.include(
        error?.message ?? "",
        "the wait for s cannot be stored: its schema (Any) does not say how"
      )
    })
  )

  it("make a flow whose signals hold them need such a codec", () => {
    const secretive = Flow.make("secretive", {
      input: Schema.Struct({}),
      signals: { s: Secret },
      start: "work",
      nodes: { work: Node.make({ to: ["end"] }) }
    })
    assert.isTrue(Flow.requiresCodec(secretive))
  })
})

describe("the signals of a flow", () => {
  const define = (signals: { readonly [name: string]: Schema.Codec<any, any> }) =>
    Flow.make("signalled", {
      input: Schema.Struct({}),
      signals,
      start: "work",
      nodes: { work: Node.make({ to: ["end"] }) }
    })

  it("have schemas that say how to store them", () => {
    assert.throws(() => define({ s: Schema.Any }), /signals\.s is a Schema\.Any/)
  })

  it("have names", () => {
    assert.throws(() => define({ "": Schema.String }), /"" cannot be the name of a signal: it is empty/)
  })
})

describe("what ended a wait and does not fit its schema any more", () => {
  it.effect("pauses the run as incompatible and does not fail it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const waiting = (schema: Schema.Codec<any, any>) =>
        Effect.andThen(Wait.event("go", { schema }), Wait.event("other", { schema: Schema.String }))
      const first = yield* computer.boot(worker(waiting(Schema.String)))
      const run = yield* first.runs.start(flow, {})
      yield* untilStatus(first.runs, run, "waiting")
      yield* first.runs.signal(run, "go", "abc", { until: "applied" })
      yield* idle
      yield* first.stop

      const second = yield* computer.boot(worker(waiting(Schema.Int)))
      yield* second.runs.signal(run, "other", "x")
      yield* untilStatus(second.runs, run, "paused")
      const [pause] = yield* computer.eventsOf(run, "paused")
      assert.strictEqual(pause!.reason.kind, "incompatible")
      assert.include(
        pause!.reason.kind === "incompatible" ? pause!.reason.message : "",
        "what ended the wait for go in visit 1 of node ask does not fit the schema that the handler waits with: Expected"
      )
      yield* second.stop

      const third = yield* computer.boot(worker(waiting(Schema.String)))
      yield* third.runs.resume(run)
      assert.strictEqual(yield* third.runs.await(run), `"x"`)
    })
  )

  it.effect("is found beforehand", () =>
    Effect.gen(function* () {
      const computer = machine()
      const waiting = (schema: Schema.Codec<any, any>) => Wait.event("go", { schema })
      const { runs, store } = yield* computer.boot(worker(waiting(Schema.String)))
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      const check = (schema: Schema.Codec<any, any>) =>
        Stream.runCollect(checkCompatibility(flow)).pipe(
          Effect.provide(handlers(waiting(schema))),
          Effect.provideService(Store, store)
        )
      const [same] = yield* check(Schema.String)
      assert.strictEqual(same!._tag, "Continues")
      const [described] = yield* check(Schema.String.annotate({ description: "what to do" }))
      assert.strictEqual(described!._tag, "Continues")
      const [changed] = yield* check(Schema.Int)
      assert.strictEqual(changed!._tag, "Breaks")
      assert.include(changed!.why, `visit 1 of node "ask" waits by another schema`)
    })
  )
})
