import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Middleware from "@waymark/core/Middleware"
import * as Node from "@waymark/core/Node"
import * as RunError from "@waymark/core/RunError"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"
import { machine } from "./process.ts"

const boom = (): never => {
  throw new RangeError("boom")
}

type Policy = Parameters<typeof Tool.make>[1]

/** Executes a flow that calls a tool which fails, and whose defects lead to a node that ends it. */
const execute = (
  plugin: Layer.Layer<never>,
  policy: Partial<Pick<Policy, "retry" | "while" | "delivery">> = {}
) =>
  Effect.gen(function* () {
    const Act = Tool.make("act", { input: {}, output: Schema.String, error: Busy, ...policy })
    const flow = Flow.make("plugged", {
      input: Schema.Void,
      output: Schema.String,
      error: Busy,
      start: "work",
      nodes: {
        work: Node.make({ to: ["broken"], error: Busy, onDefect: "broken" }),
        broken: Node.make({ to: ["end"] })
      }
    })
    const handlers = flow.toLayer({
      work: ({ next }: any) => Effect.as(Act.call({}), next.to("broken")),
      broken: ({ next }: any) => Effect.succeed(next.end("broken"))
    } as any) as Layer.Layer<Flow.Handlers<"plugged">>
    const computer = machine()
    const { runs } = yield* computer.boot(
      Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(handlers),
        Layer.provide((Act as any).toLayer(() => Effect.fail(new Busy({ n: 1 }))) as Layer.Layer<never>),
        Layer.provide(plugin)
      )
    )
    const run = yield* runs.start(flow, undefined)
    assert.strictEqual(yield* runs.await(run), "broken")
    return computer.journal(run)
  }).pipe(Effect.flatten)

const failuresOf = (journal: Effect.Success<ReturnType<typeof execute>>) =>
  journal.flatMap((event) => {
    if (event.kind !== "callFailed" && event.kind !== "visitFailed") return []
    return [[event.kind, RunError.describe(event.error)]]
  })

describe("a plugin that throws breaks the visit, and not the engine:", () => {
  it.effect("middleware of a node", () =>
    Effect.gen(function* () {
      const around: Middleware.NodeMiddleware = (handler, { node }) => (node === "work" ? boom() : handler)
      const journal = yield* execute(Middleware.layerNode(around))
      assert.deepStrictEqual(failuresOf(journal), [["visitFailed", "RangeError: boom"]])
      assert.deepStrictEqual(
        journal.map(({ kind }) => kind),
        ["created", "visitFailed", "visited", "completed"]
      )
    })
  )

  it.effect("middleware of a node that gives no effect", () =>
    Effect.gen(function* () {
      const around = ((handler, { node }) => (node === "work" ? 5 : handler)) as Middleware.NodeMiddleware
      const [[, failure] = []] = failuresOf(yield* execute(Middleware.layerNode(around)))
      assert.include(failure, "a node middleware returned a plain value and not an effect")
    })
  )

  const thrown = [
    ["callFailed", "RangeError: boom"],
    ["visitFailed", "RangeError: boom"]
  ]

  for (const [what, plugin] of [
    ["middleware of a tool", Middleware.layerTool(boom)],
    ["an executor of tools", Layer.succeed(ToolExecutor, { execute: boom })]
  ] as const) {
    it.effect(`${what}, whose call is recorded as failed`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(failuresOf(yield* execute(plugin)), thrown)
      })
    )
  }

  for (const [what, policy] of [
    ["`while` of a tool", { retry: Schedule.recurs(1), while: boom }],
    ["`while` of an at-most-once tool", { retry: Schedule.recurs(1), while: boom, delivery: "atMostOnce" }],
    ["the schedule of a tool", { retry: Schedule.recurs(3).pipe(Schedule.while(boom)) }]
  ] as const) {
    it.effect(`${what}, whose call is recorded as failed`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(failuresOf(yield* execute(Layer.empty, policy)), thrown)
      })
    )
  }
})
