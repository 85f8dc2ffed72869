/**
 * What those are told who did not ask the compiler: programs may be executed with their types stripped, unchecked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Codec from "@waymark/core/Codec"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as RunError from "@waymark/core/RunError"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { TestClock } from "effect/testing"
import { oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

class Gone extends Schema.TaggedError<Gone>()("Gone", { what: Schema.String }) {
  override get message() {
    return `${this.what} is gone`
  }
}

const Look = Tool.make("look", { input: { n: Schema.Int }, output: Schema.String, error: Gone })

const One = Flow.make("one", {
  input: Schema.Void,
  output: Schema.String,
  start: "only",
  nodes: { only: Node.make({ to: ["end"] }) }
})

const workerOf = (
  handler: (context: any) => any,
  look: (input: any) => any = () => Effect.succeed("seen")
) => {
  const handlers = (One as any).toLayer({ only: handler }) as Layer.Layer<Flow.Handlers<"one">>
  return Worker.layer({ flows: [One] }).pipe(
    Layer.provide(handlers),
    Layer.provide((Look as any).toLayer(look) as Layer.Layer<Tool.Handler<"look">>),
    Layer.provide(MemoryStore.layer())
  )
}

const failureOf = (...handlers: Parameters<typeof workerOf>) =>
  Effect.flatMap(Runs.Runs, (runs) => runs.execute(One, undefined)).pipe(
    Effect.flip,
    Effect.flatMap((error) => (error._tag === "RunFailed" ? Effect.succeed(error) : Effect.die(error))),
    Effect.provide(workerOf(...handlers))
  )

const untagged: unknown = new TypeError("no lamp")

const looking = Effect.fnUntraced(function* ({ next }: any) {
  return next.end(yield* Look.call({ n: 1 }))
})

describe("a handler", () => {
  it.effect("that returns no effect is named, with what it returned and what to do", () =>
    Effect.gen(function* () {
      const promise = yield* failureOf(({ next }) => Promise.resolve(next.end("x")))
      assert.include(
        promise.message,
        `the handler of node "only" of flow "one" returned a promise and not an effect`
      )
      assert.include(promise.message, "Effect.promise")
      const plain = yield* failureOf(({ next }) => next.end("x"))
      assert.include(
        plain.message,
        `the handler of node "only" of flow "one" returned a plain value and not an effect`
      )
      const tool = yield* failureOf(looking, () => Promise.resolve("x"))
      assert.include(tool.message, "the handler of tool look returned a promise and not an effect")
    })
  )

  it.effect("that fails with what is not declared says what it failed with", () =>
    Effect.gen(function* () {
      const gone = yield* failureOf(() => Effect.fail(new Gone({ what: "the lamp" })))
      assert.include(gone.message, `the error Gone does not fit its schema: it is not declared`)
      assert.include(gone.message, `it says "the lamp is gone"`)
      const plain = yield* failureOf(() => Effect.fail(untagged))
      assert.include(plain.message, `the error TypeError does not fit its schema: it is not declared`)
      assert.include(plain.message, `it says "no lamp"`)
      const tool = yield* failureOf(looking, () => Effect.fail(untagged))
      assert.include(tool.message, `the error TypeError does not fit its schema: it is not declared`)
    })
  )

  it.effect("whose error is declared and does not fit says what does not", () =>
    Effect.gen(function* () {
      const error = yield* failureOf(looking, () => Effect.fail({ _tag: "Gone", what: 7 }))
      assert.include(error.message, "the error Gone does not fit its schema")
      assert.notInclude(error.message, "it is not declared")
    })
  )

  it.effect("that throws is found by the stack of what it threw", () =>
    Effect.gen(function* () {
      const error = yield* failureOf(() => {
        throw new RangeError("too far")
      })
      assert.strictEqual(error.cause?.message, "too far")
      assert.strictEqual(error.cause?.name, "RangeError")
      assert.match(error.cause?.stack ?? "", /mistakes\.test\.ts:\d+:\d+/)
    })
  )

  it.effect("that throws something else than an error says what", () =>
    Effect.gen(function* () {
      const error = yield* failureOf(() => Effect.die({ code: 7 }))
      assert.include(error.message, `{"code":7}`)
      assert.isUndefined(error.cause)
    })
  )

  it.effect("that waits without a schema is told so", () =>
    Effect.gen(function* () {
      const user = yield* failureOf(() => Wait.user("ok", { prompt: "ok?", choices: ["yes"] } as any))
      assert.include(user.message, `wait "ok" cannot be defined:\n- \`schema\` is missing`)
      const event = yield* failureOf(() => Wait.event("paid", {} as any))
      assert.include(event.message, `wait "paid" cannot be defined:\n- \`schema\` is missing`)
      const job = yield* failureOf(() => Wait.job("job-1", undefined as any))
      assert.include(job.message, `wait "job-1" cannot be defined:\n- \`schema\` is missing`)
    })
  )
})

describe("a run that pauses by itself", () => {
  it.effect("stands in the worker's log, with what to do, and whoever awaits it is told in time", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(JSON.stringify(message)))
      const Pay = Tool.make("pay", { input: {}, output: Schema.String, delivery: "atMostOnce" })
      const live = program(
        Effect.fnUntraced(function* ({ next }) {
          return next.end([yield* Pay.call({})])
        }),
        Pay.toLayer(() => Effect.never)
      ).pipe(Layer.provide(Logger.layer([logger])))
      const computer = machine()
      const run = yield* (yield* computer.boot(live)).runs.start(oneNode, {})
      yield* idle
      yield* computer.crash
      const { runs } = yield* computer.boot(live)
      yield* untilStatus(runs, run, "paused")
      yield* idle
      const [line, ...others] = lines
      assert.isEmpty(others)
      assert.include(line, "a run is paused: inDoubt")
      assert.include(line, run.id)
      assert.include(
        line,
        "of the at-most-once tool pay took effect is not known: say what became of it (Runs.settle)"
      )

      const awaiting = yield* Effect.forkChild(Effect.flip(runs.await(run, { timeout: "5 seconds" })))
      yield* TestClock.adjust("5 seconds")
      const late = yield* Fiber.join(awaiting)
      assert.include(
        late.message,
        "has not ended after 5000 ms and is paused: it stays so until somebody resumes it"
      )

      const wrong = yield* Effect.flip(runs.settle(run, "pay", { output: "x" }))
      assert.match(wrong.message, /no open visit has a call pay; in doubt: "pay\/[0-9a-f]{32}\/0"$/)
    })
  )

  it.effect("is not reported when somebody asked for it", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(JSON.stringify(message)))
      const live = program(({ next }) => Effect.as(Wait.sleep("1 hour"), next.end([]))).pipe(
        Layer.provide(Logger.layer([logger]))
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* runs.pause(run)
      yield* untilStatus(runs, run, "paused")
      yield* idle
      assert.isEmpty(lines)
    })
  )
})

describe("a signal or an answer with another name", () => {
  it.effect("is refused with the names that are waited for", () =>
    Effect.gen(function* () {
      const live = program(({ next }) =>
        Effect.as(
          Wait.race({
            remark: Wait.event("remark", { schema: Schema.String }),
            verdict: Wait.user("verdict", { prompt: "?", schema: Schema.String }),
            job: Wait.job("job-1", Schema.Int)
          }).pipe(Effect.orDie),
          next.end([])
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* untilStatus(runs, run, "waiting")
      const signal = yield* Effect.flip(runs.signal(run, "remrk", "x"))
      assert.include(signal.message, `nothing waits for signal "remrk"`)
      assert.include(signal.message, `it waits for "remark"`)
      const answer = yield* Effect.flip(runs.answer(run, "verdikt", "x"))
      assert.include(answer.message, `nothing waits for "verdikt"; it waits for "verdict"`)
      const job = yield* Effect.flip(runs.finishJob(run, "job", { value: 1 }))
      assert.include(job.message, `nothing waits for "job"; it waits for "job-1"`)
      const unfit = yield* Effect.flip(runs.answer(run, "verdict", 7))
      assert.include(unfit.message, `what was given for "verdict" is not what is waited for`)
    })
  )
})

describe("a client", () => {
  it.effect("is told of a codec that is missing, and not that something else is wrong", () =>
    Effect.gen(function* () {
      const codec = Layer.succeed(Codec.Codec)({
        name: "text",
        encrypts: false,
        encode: (value) => Effect.succeed(JSON.stringify(value)),
        decode: (value) => Effect.succeed(JSON.parse(value as string) as Schema.Json)
      })
      const live = program(({ next }) => Effect.succeed(next.end([])))
      const computer = machine()
      const sealing = yield* computer.boot(live.pipe(Layer.provide(codec)))
      const sealed = sealing.runs
      yield* sealed.execute(oneNode, {}, { id: "r" })
      const { runs } = yield* computer.boot(live)
      const run = Runs.ref(oneNode, "r")
      for (const reading of [
        runs.start(oneNode, {}, { id: "r" }),
        runs.await(run),
        runs.state(run),
        runs.fork(run, 0),
        Effect.provideService(Runs.annotate(run, "note"), Runs.Runs, runs)
      ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>>) {
        const error = yield* Effect.flip(reading)
        assert.strictEqual(error._tag, "CodecError")
        assert.include(error.message, 'codec text could not decode a value of run "r"')
        assert.include(error.message, "no codec is provided here")
      }
      // What needs no value of it works as ever.
      assert.strictEqual((yield* runs.get(run)).codec, "text")
      assert.strictEqual((yield* runs.stateAt(run)).status, "completed")
      const fork = yield* sealed.fork(run, 0, { id: "fork" })
      assert.strictEqual((yield* runs.get(fork)).codec, "text")
    })
  )

  it.effect("says which flow a run is of that is named with another one", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(program(({ next }) => Effect.succeed(next.end([]))))
      yield* runs.execute(oneNode, {}, { id: "r" })
      const other = Flow.make("other", {
        input: Schema.Struct({}),
        output: Schema.Array(Schema.String),
        state: { got: State.list(Schema.String) },
        signals: { go: Schema.String },
        start: "work",
        nodes: { work: Node.make({ to: ["end"] }) }
      })
      const run = Runs.ref(other, "r")
      for (const naming of [
        runs.await(run),
        runs.await(run, { timeout: "1 second" }),
        runs.state(run),
        runs.retry(run, { edits: { got: [] } }),
        runs.fork(run, 0),
        runs.signal(run, "go", "x")
      ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>>) {
        const error = yield* Effect.flip(naming)
        assert.strictEqual(error._tag, "InvalidValue")
        assert.include(error.message, 'run "r" is one of flow "one-node", not of "other"')
      }
    })
  )

  it.effect("is told of options that are none", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(program(({ next }) => Effect.succeed(next.end([]))))
      const run = yield* runs.start(oneNode, {}, { id: "r" })
      yield* runs.await(run)
      const messageOf = (asked: Effect.Effect<unknown, { readonly message: string }>) =>
        Effect.map(Effect.flip(asked), ({ message }) => message)
      for (const [options, detail] of [
        [{ durability: "foo" }, 'durability is "foo"; it must be one of "pipelined", "strict", "ephemeral"'],
        [{ tags: "abc" }, "tags is not a list of texts"],
        [{ attributes: ["a"] }, "attributes is not an object of texts"],
        [{ attributes: { a: 1 } }, "attributes is not an object of texts"],
        [{ actor: 7 }, "actor is not a text"],
        [{ id: "" }, "id is empty"],
        [{ id: "a", idempotencyKey: "b" }, "id and idempotencyKey exclude each other"]
      ] as ReadonlyArray<readonly [any, string]>) {
        const message = `the options are not valid: ${detail}`
        assert.strictEqual(yield* messageOf(runs.start(oneNode, {}, options)), message)
        assert.strictEqual(yield* messageOf(runs.fork(run, 0, options)), message)
      }
      for (const seq of [1.5, Number.NaN, -1, "2" as unknown as number]) {
        const at = `seq ${typeof seq === "number" ? seq : "NaN"} of run "r"`
        const message = `${at}: a position in a journal is a whole number from 0`
        for (const reading of [
          runs.stateAt(run, seq),
          runs.fork(run, seq),
          Effect.provideService(Runs.bookmark(run, seq, { name: "b" }), Runs.Runs, runs),
          Effect.provideService(Runs.verify(run, { from: seq }), Runs.Runs, runs)
        ])
          assert.strictEqual(yield* messageOf(reading), message)
      }
      assert.strictEqual(
        yield* messageOf(runs.retry(run, { limits: { maxSteps: 0 } })),
        "the limits are not valid: maxSteps is 0; it must be a whole number from 1"
      )
      const crashed = (limit: number) => RunError.describe({ kind: "recoveries", limit })
      assert.strictEqual(crashed(0), "it crashed without completing a visit")
      assert.strictEqual(crashed(1), "it crashed more than once without completing a visit")
      assert.strictEqual(crashed(2), "it crashed more than 2 times without completing a visit")
    })
  )
})
