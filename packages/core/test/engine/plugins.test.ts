import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import { IdGenerator } from "@waymark/core/IdGenerator"
import * as Middleware from "@waymark/core/Middleware"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

class Tenant extends Context.Service<Tenant, { readonly name: string }>()("test/Tenant") {}

describe("middleware", () => {
  it.effect(
    "around nodes runs once for each attempt, in the order in which it was added, and gives handlers context",
    () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const logging =
          (name: string): Middleware.NodeMiddleware =>
          (handler, visit) =>
            Effect.suspend(() => {
              log.push(`>${name} ${visit.node} ${visit.visit}.${visit.attempt}`)
              return Effect.ensuring(
                handler,
                Effect.sync(() => log.push(`<${name}`))
              )
            })
        const flow = Flow.make("wrapped", {
          input: Schema.Struct({}),
          output: Schema.String,
          error: Busy,
          start: "work",
          nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.recurs(1) }) }
        })
        let attempts = 0
        const tenant: Middleware.NodeMiddleware = (handler, visit) =>
          Effect.updateContext(handler, (context: Context.Context<any>) =>
            Context.add(context, Tenant, { name: visit.flow })
          )
        const live = Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(
            flow.toLayer({
              work: ({ next }) =>
                Effect.gen(function* () {
                  log.push("handler")
                  if (++attempts === 1) return yield* new Busy({ n: 1 })
                  const found = yield* Effect.serviceOption(Tenant)
                  return next.end(found._tag === "Some" ? found.value.name : "none")
                })
            })
          ),
          Layer.provide(Middleware.layerNode(tenant)),
          Layer.provide(
            Middleware.layerNode(logging("inner")).pipe(
              Layer.provideMerge(Middleware.layerNode(logging("outer")))
            )
          )
        )
        const { runs } = yield* machine().boot(live)
        const run = yield* runs.start(flow, {})
        yield* idle
        assert.strictEqual(yield* runs.await(run), "wrapped")
        const round = (attempt: number) => [
          `>outer work 1.${attempt}`,
          `>inner work 1.${attempt}`,
          "handler",
          "<inner",
          "<outer"
        ]
        assert.deepStrictEqual(log, [...round(1), ...round(2)])
      })
  )

  it.effect("around tools runs once for each try, inside their timeout, and sees the call", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const logging =
        (name: string): Middleware.ToolMiddleware =>
        (call, { input, invocation, tool }) =>
          Effect.suspend(() => {
            log.push(`>${name} ${tool.name}(${JSON.stringify(input)}) ${invocation.attempt}`)
            return Effect.onExit(call, (exit) => Effect.sync(() => log.push(`<${name} ${exit._tag}`)))
          })
      const Slow = Tool.make("slow", {
        input: Schema.Int,
        output: Schema.String,
        timeout: "1 second",
        retry: Schedule.recurs(1)
      })
      const live = program(
        ({ next }) => Effect.map(Slow.call(7), (text) => next.end([text])),
        Slow.toLayer(() =>
          Effect.gen(function* () {
            const { attempt } = yield* Tool.Invocation
            const tenant = yield* Effect.serviceOption(Tenant)
            return attempt === 1 ? yield* Effect.never : tenant._tag === "Some" ? tenant.value.name : "none"
          })
        )
      ).pipe(
        Layer.provide(
          Middleware.layerTool((call, { tool }) =>
            Effect.updateContext(call, (context: Context.Context<any>) =>
              Context.add(context, Tenant, { name: tool.name })
            )
          )
        ),
        Layer.provide(
          Middleware.layerTool(logging("inner")).pipe(
            Layer.provideMerge(Middleware.layerTool(logging("outer")))
          )
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs.await(run), ["slow"])
      assert.deepStrictEqual(log, [
        ">outer slow(7) 1",
        ">inner slow(7) 1",
        "<inner Failure",
        "<outer Failure",
        ">outer slow(7) 2",
        ">inner slow(7) 2",
        "<inner Success",
        "<outer Success"
      ])
    })
  )

  it.effect("that breaks fails the visit, not the worker", () =>
    Effect.gen(function* () {
      const breaking: Middleware.NodeMiddleware = () => Effect.die(new Error("middleware broke"))
      const live = program(({ next }) => Effect.succeed(next.end([]))).pipe(
        Layer.provide(Middleware.layerNode(breaking))
      )
      const { runs } = yield* machine().boot(live)
      assert.include((yield* Effect.flip(runs.execute(oneNode, {}))).message, "middleware broke")
      const throwing: Middleware.ToolMiddleware = () => {
        throw new Error("middleware threw")
      }
      const tools = program(
        ({ next }) => Effect.map(Echo.call({ text: "x" }), (text) => next.end([text])),
        Echo.toLayer(({ text }) => Effect.succeed(text))
      ).pipe(Layer.provide(Middleware.layerTool(throwing)))
      const other = yield* machine().boot(tools)
      assert.include((yield* Effect.flip(other.runs.execute(oneNode, {}))).message, "middleware threw")
    })
  )
})

describe("a hasher", () => {
  it.effect("of node:crypto gives the chain that the default gives, so that they can take turns", () =>
    Effect.gen(function* () {
      let hashed = 0
      const native: Hasher = {
        hash: (text) => (hashed++, createHash("sha256").update(text, "utf8").digest("hex")),
        hashBytes: (bytes) => createHash("sha256").update(bytes).digest("hex")
      }
      const world = { hang: true }
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const one = yield* Effect.orDie(Echo.call({ text: "héllo \u{1F600}" }))
            return next.end([one, yield* Effect.orDie(Echo.call({ text: "hang" }))])
          }),
        Echo.toLayer(({ text }) => (world.hang && text === "hang" ? Effect.never : Effect.succeed(text)))
      )
      const withNative = live.pipe(Layer.provide(Layer.succeed(Hasher, native)))
      const computer = machine()
      const first = yield* computer.boot(withNative)
      const run = yield* first.runs.start(oneNode, {}, { id: "r", idempotencyKey: undefined })
      yield* idle
      assert.isAbove(hashed, 4)
      yield* computer.crash
      world.hang = false
      const second = yield* computer.boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["héllo \u{1F600}", "hang"])
      const third = yield* computer.boot(withNative)
      assert.deepStrictEqual(
        yield* Effect.provideService(Runs.verify("r"), Runs.Runs, third.runs),
        yield* Effect.provideService(Runs.verify("r"), Runs.Runs, second.runs)
      )
      const keys = (yield* computer.eventsOf("r", "callStarted")).map(({ key }) => key)
      const before = hashed
      const other = yield* third.runs.start(oneNode, {}, { idempotencyKey: "k" })
      assert.strictEqual((yield* second.runs.start(oneNode, {}, { idempotencyKey: "k" })).id, other.id)
      assert.isAbove(hashed, before)
      assert.strictEqual(new Set(keys).size, 2)
    })
  )
})

describe("an id generator", () => {
  it.effect("names runs and commands", () =>
    Effect.gen(function* () {
      let n = 0
      const numbered: IdGenerator = { next: Effect.sync(() => `id-${++n}`) }
      const live = program(({ next }) => Effect.as(Effect.never, next.end([]))).pipe(
        Layer.provide(Layer.succeed(IdGenerator, numbered))
      )
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      assert.strictEqual(run.id, "id-1")
      yield* idle
      yield* runs.cancel(run, "x")
      const [requested] = yield* computer.eventsOf(run, "cancelRequested")
      assert.strictEqual(requested!.command!.id, "id-2")
      const fork = yield* runs.fork(run, 0)
      assert.strictEqual(fork.id, "id-3")
    })
  )

  it.effect("that repeats itself is found out", () =>
    Effect.gen(function* () {
      const live = program(({ next }) => Effect.succeed(next.end([]))).pipe(
        Layer.provide(Layer.succeed(IdGenerator, { next: Effect.succeed("same") }))
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      assert.strictEqual((yield* Effect.flip(runs.fork(run, 0)))._tag, "RunConflict")
    })
  )

  it.effect("by default gives ids that sort by time", () =>
    Effect.gen(function* () {
      const { next } = yield* IdGenerator
      const first = yield* next
      yield* TestClock.adjust("1 second")
      const second = yield* next
      yield* TestClock.adjust("3000 days")
      const third = yield* next
      assert.deepStrictEqual([third, first, second].sort(), [first, second, third])
      assert.strictEqual(new Set([first.length, second.length, third.length, 26]).size, 1)
    })
  )
})

describe("a tool executor", () => {
  const work: Flow.Handler<typeof oneNode, "work", Tool.Handler<"echo">> = ({ next }) =>
    Effect.gen(function* () {
      const got = yield* Effect.forEach(["a", "b"], (text) =>
        Echo.call({ text }).pipe(Effect.catchTag("Busy", ({ n }) => Effect.succeed(`busy ${n}`)))
      )
      return next.end(got)
    }) as any

  it.effect("may answer from a recording, or as a remote service would, without the tool's own handler", () =>
    Effect.gen(function* () {
      const local: Array<string> = []
      const requests: Array<unknown> = []
      const remote: ToolExecutor = {
        execute: ({ input, invocation, tool }, _local) =>
          Effect.gen(function* () {
            requests.push({ tool: tool.name, input, key: invocation.key })
            yield* Effect.yieldNow
            return (input as { readonly text: string }).text === "a" ? "from afar" : yield* new Busy({ n: 9 })
          })
      }
      const live = program(
        work,
        Echo.toLayer(({ text }) => Effect.sync(() => (local.push(text), text)))
      ).pipe(Layer.provide(Layer.succeed(ToolExecutor, remote)))
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      assert.deepStrictEqual(yield* runs.await(run), ["from afar", "busy 9"])
      assert.deepStrictEqual(local, [])
      const started = yield* computer.eventsOf(run, "callStarted")
      assert.deepStrictEqual(
        requests,
        started.map(({ input, key, tool }) => ({ tool, input, key }))
      )
      assert.deepStrictEqual((yield* computer.eventsOf(run, "callFailed")).length, 1)
    })
  )

  it.effect("may do something around the local handler, and is not asked for what is recorded", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const world = { hang: true }
      const around: ToolExecutor = {
        execute: ({ input }, local) =>
          Effect.suspend(() => {
            asked.push((input as { readonly text: string }).text)
            return Effect.map(local, (output) => `<${String(output)}>`)
          })
      }
      const live = program(
        work,
        Echo.toLayer(({ text }) => (world.hang && text === "b" ? Effect.never : Effect.succeed(text)))
      ).pipe(Layer.provide(Layer.succeed(ToolExecutor, around)))
      const computer = machine()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* computer.crash
      world.hang = false
      const second = yield* computer.boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["<a>", "<b>"])
      assert.deepStrictEqual(asked, ["a", "b", "b"])
    })
  )

  it.effect("whose answer does not fit the tool's schema fails the call", () =>
    Effect.gen(function* () {
      const live = program(
        work,
        Echo.toLayer(({ text }) => Effect.succeed(text))
      ).pipe(Layer.provide(Layer.succeed(ToolExecutor, { execute: () => Effect.succeed(7) })))
      const { runs } = yield* machine().boot(live)
      assert.include((yield* Effect.flip(runs.execute(oneNode, {}))).message, "the output of tool echo")
    })
  )
})
