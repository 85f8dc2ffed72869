import { assert, it } from "@effect/vitest"
import { Runs, type Tool } from "@waymark/core"
import { CrashExplorer, FakeTools, TestRuntime } from "@waymark/testing"
import { Effect, Layer } from "effect"
import type { Response } from "effect/ai"
import { Agent, ai, NotThere, Turn } from "../src/agent.ts"
import { AiFailed } from "../src/stored.ts"
import { AgentHandlers } from "../src/handlers.ts"

const question = { question: "Why did the light go dark?" }

type Reply = Tool.Any & typeof ai.model extends { readonly output: { readonly Type: infer Parts } }
  ? Parts
  : never

const text = (words: string) => ({ type: "text", text: words }) as const
const call = (id: string, name: string, params: Response.ToolCallPartEncoded["params"]) =>
  ({ type: "tool-call", id, name, params }) as Reply[number]
const finish = (tokens: number): Reply[number] => ({
  type: "finish",
  reason: "stop",
  usage: {
    inputTokens: { total: tokens },
    outputTokens: { total: 0 }
  }
})

const hit = { path: "log.md", line: 3, text: "dark" }
const search = call("c1", "search_docs", { query: "dark" })
const read = call("c2", "read_section", { path: "log.md", line: 3 })
const publish = call("c3", "publish_report", { title: "Dark", markdown: "> dark" })

/** A model that searches, reads, publishes and answers, each time for so many tokens. */
const world = (tokens = 100) =>
  FakeTools.make(
    FakeTools.script(
      ai.model,
      FakeTools.succeed([text("looking"), search, finish(tokens)]),
      FakeTools.succeed([read, finish(tokens)]),
      FakeTools.succeed([publish, finish(tokens)]),
      FakeTools.succeed([text("no oil"), finish(tokens)])
    ),
    FakeTools.always(ai.tools.search_docs, FakeTools.succeed([hit])),
    FakeTools.always(ai.tools.read_section, FakeTools.succeed("the lamp was dark")),
    FakeTools.always(ai.tools.publish_report, FakeTools.succeed({ path: "dark.md" }))
  )

const runtime = (tools: ReturnType<typeof world>) =>
  TestRuntime.layer({ flows: [Agent], handlers: Layer.provide(AgentHandlers, tools.layer) })

const rolesOf = (asked: (typeof ai.model.input)["Type"]) =>
  asked.options.prompt.content.map(({ role }) => role)

it.effect("asks, calls tools, asks for an approval, and ends with what the model says last", () => {
  const tools = world()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Agent, question, { id: "r" })
    yield* idle
    const { status, waits } = yield* runs.get(run)
    assert.strictEqual(status, "waiting")
    assert.deepStrictEqual(
      waits.map(({ name, type }) => [type, name]),
      [["user", "approval"]]
    )
    assert.strictEqual(tools.calls(ai.tools.publish_report).length, 0, "nobody has approved it yet")
    yield* runs.answer(run, "approval", "approve", { actor: "ada" })
    assert.deepStrictEqual(yield* runs.await(run), { answer: "no oil", turns: 4 })
    tools.expectInputs(ai.tools.search_docs, [{ query: "dark" }])
    tools.expectInputs(ai.tools.publish_report, [{ title: "Dark", markdown: "> dark" }])
    tools.expectDone()
    assert.deepStrictEqual(
      tools.inputs(ai.model).map(rolesOf),
      [
        ["system", "user"],
        ["system", "user", "assistant", "tool"],
        ["system", "user", "assistant", "tool", "assistant", "tool"],
        ["system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool"]
      ],
      "each call of a tool is answered before the model goes on"
    )
    const turns = yield* Runs.outputs(run, Turn)
    assert.deepStrictEqual(
      turns.items.map(({ value }) => value.calls),
      [["search_docs"], ["read_section"], ["publish_report"], []]
    )
    const { budgets } = yield* runs.get(run)
    assert.deepStrictEqual(budgets, { tokens: { spent: 400, limit: 2_000 } })
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect("tells the model that a call was denied, and does not make it", () => {
  const tools = world()
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { idle } = yield* TestRuntime.TestRuntime
    const run = yield* runs.start(Agent, question, { id: "r" })
    yield* idle
    yield* runs.answer(run, "approval", "deny")
    yield* runs.await(run)
    assert.strictEqual(tools.calls(ai.tools.publish_report).length, 0)
    const last = tools.inputs(ai.model).at(-1)!.options.prompt.content.at(-1)!
    assert.deepStrictEqual(
      last.role === "tool"
        ? last.content.map((part) => (part.type === "tool-result" ? part.result : part.type))
        : [],
      [{ type: "execution-denied", reason: "a person said no" }]
    )
  }).pipe(Effect.provide(runtime(tools)))
})

it.effect(
  "pauses when its tokens are spent, before it calls what the model wants, and goes on with more",
  () => {
    const tools = world(1_000)
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const { idle } = yield* TestRuntime.TestRuntime
      const run = yield* runs.start(Agent, question, { id: "r" })
      yield* idle
      const paused = yield* runs.get(run)
      assert.deepStrictEqual([paused.status, paused.pause], ["paused", "budget"])
      assert.deepStrictEqual(paused.budgets, { tokens: { spent: 3_000, limit: 2_000 } })
      assert.strictEqual(tools.calls(ai.model).length, 3)
      yield* runs.setLimits(run, { budgets: { tokens: 5_000 } })
      yield* runs.resume(run)
      yield* idle
      yield* runs.answer(run, "approval", "approve")
      yield* runs.await(run)
      assert.strictEqual(tools.calls(ai.model).length, 4, "no answer was paid for twice")
    }).pipe(Effect.provide(runtime(tools)))
  }
)

it.effect(
  "a model that cannot be reached now is asked again, and what it cannot do is an error of the run",
  () => {
    const refused = (reason: string, retryable: boolean) =>
      new AiFailed({ module: "m", method: "generateText", reason, detail: "no", retryable })
    const tools = FakeTools.make(
      FakeTools.script(
        ai.model,
        FakeTools.fail(refused("RateLimitError", true)),
        FakeTools.succeed([read, finish(1)]),
        FakeTools.fail(refused("AuthenticationError", false))
      ),
      FakeTools.refuse(ai.tools.search_docs),
      FakeTools.always(ai.tools.read_section, FakeTools.fail(new NotThere({ path: "log.md" }))),
      FakeTools.refuse(ai.tools.publish_report)
    )
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const { advanceToNext } = yield* TestRuntime.TestRuntime
      const run = yield* runs.start(Agent, question, { id: "r" })
      // The second try of the first request.
      yield* advanceToNext
      const error = yield* Effect.flip(runs.await(run))
      assert.strictEqual(error._tag, "AgentFailed")
      assert.include(error.message, "AuthenticationError")
      const told = tools.inputs(ai.model).at(-1)!.options.prompt.content.at(-1)!
      assert.strictEqual(
        told.role === "tool" && told.content[0]!.type === "tool-result" && told.content[0]!.isFailure,
        true
      )
      tools.expectDone()
    }).pipe(Effect.provide(runtime(tools as never)))
  }
)

it.effect(
  "with the power cut at any point it comes to the same, and no completed call is made again",
  () =>
    Effect.gen(function* () {
      const report = yield* CrashExplorer.explore(Agent, {
        world,
        handlers: (tools) => Layer.provide(AgentHandlers, tools.layer),
        nested: "none",
        scenario: () =>
          Effect.gen(function* () {
            const runs = yield* Runs.Runs
            const run = yield* runs.start(Agent, question, { id: "r" })
            yield* Runs.awaitUntil(run, ({ status, waits }) => status === "completed" || waits.length > 0)
            yield* runs.answer(run, "approval", "approve", { commandId: "yes" }).pipe(
              // A client that begins again may find that its answer of before has counted.
              Effect.catchTag("CommandRefused", () => Effect.void)
            )
            return yield* runs.await(run)
          })
      })
      assert.isAbove(report.cuts, 40)
    }),
  { timeout: 300_000 }
)
