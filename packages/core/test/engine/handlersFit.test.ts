import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { idle, machine } from "./process.ts"
import type { Program } from "./process.ts"

const refusal = (program: Program) =>
  Effect.map(Effect.flip(machine().boot(program)), ({ message }) => message)

const flowOf = (version: number, node: string, id = "a") =>
  Flow.make(id, {
    version,
    input: Schema.Struct({}),
    output: Schema.String,
    start: node,
    nodes: { [node]: Node.make({ to: ["end"] }) }
  }) as Flow.Any

const handlersOf = (flow: Flow.Any, node: string, tools: ReadonlyArray<Tool.Any> = []) =>
  (flow as any).toLayer({
    [node]: ({ next }: any) =>
      Effect.map(
        Effect.forEach(tools, (tool) => (tool as any).call({}) as Effect.Effect<unknown>),
        (all) => next.end(all.join())
      )
  }) as Layer.Layer<Flow.Handlers<string>>

describe("a worker", () => {
  it.effect("does not take the handlers of another version of a flow for those of the flow", () =>
    Effect.gen(function* () {
      const live = (to: string) =>
        Worker.layer({ flows: [flowOf(2, to)] }).pipe(Layer.provide(handlersOf(flowOf(1, "w"), "w")))
      const other = yield* refusal(live("x"))
      assert.include(other, `flow "a" of version 2 is given the handlers of its version 1`)
      assert.include(other, `node "x" has no handler`)
      assert.include(other, `there is a handler "w", which is not a node`)
      assert.include(
        yield* refusal(live("w")),
        `flow "a" of version 2 is given the handlers of its version 1`
      )
    })
  )

  it.effect("says where two flows of one id are defined", () =>
    Effect.gen(function* () {
      const [one, other] = [flowOf(1, "w"), flowOf(1, "w")]
      const message = yield* refusal(
        Worker.layer({ flows: [one, other] }).pipe(Layer.provide(handlersOf(one, "w")))
      )
      assert.match(
        message,
        /two flows are called "a": one is defined at .*handlersFit\.test\.ts:\d+:\d+, one at/
      )
    })
  )

  it.effect("is not given a flow twice", () =>
    Effect.gen(function* () {
      const one = flowOf(1, "w")
      const message = yield* refusal(
        Worker.layer({ flows: [one, one] }).pipe(Layer.provide(handlersOf(one, "w")))
      )
      assert.match(
        message,
        /flow "a" is given twice \(defined at .*handlersFit\.test\.ts:\d+:\d+\); give it once/
      )
    })
  )

  it.effect("has no two tools of one name", () =>
    Effect.gen(function* () {
      const Mail = Tool.make("send", { input: {}, output: Schema.String })
      const Text = Tool.make("send", { input: {}, output: Schema.String })
      const [a, b] = [flowOf(1, "w", "a"), flowOf(1, "w", "b")]
      const live = (other: typeof Mail) =>
        Worker.layer({ flows: [a, b] }).pipe(
          Layer.provide(
            handlersOf(a, "w", [Mail]).pipe(Layer.provide(Mail.toLayer(() => Effect.succeed("mail"))))
          ),
          Layer.provide(
            handlersOf(b, "w", [other]).pipe(Layer.provide(other.toLayer(() => Effect.succeed("other"))))
          )
        )
      const message = yield* refusal(live(Text))
      assert.match(message, /two tools are called "send": one is defined at .*:\d+:\d+, one at .*:\d+:\d+/)
      const { runs } = yield* machine().boot(live(Mail))
      assert.strictEqual(yield* runs.execute(a, {}), "mail")
      assert.strictEqual(yield* runs.execute(b, {}), "other")
    })
  )
})

describe("a call", () => {
  it.effect("is not carried out by the handler of another tool of the same name", () =>
    Effect.gen(function* () {
      const Mail = Tool.make("send", { input: {}, output: Schema.String })
      const Text = Tool.make("send", { input: {}, output: Schema.String })
      const flow = flowOf(1, "w")
      const done: Array<string> = []
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          handlersOf(flow, "w", [Mail, Text]).pipe(
            Layer.provide(Mail.toLayer(() => Effect.sync(() => `mail ${done.push("mail")}`))),
            Layer.provide(Text.toLayer(() => Effect.sync(() => `text ${done.push("text")}`)))
          )
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* idle
      const { error, status } = yield* runs.get(run)
      assert.strictEqual(status, "failed")
      assert.match(error?.message ?? "", /two tools are called "send"/)
      assert.strictEqual(done.length, 1)
    })
  )
})
