import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import * as Worker from "@waymark/core/Worker"
import { Busy, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const input = { beats: Schema.Int }

/** It copies something, and beats after each part, which takes a second. */
const copying = (seen: Array<Tool.Invocation["Service"]>) =>
  Effect.fnUntraced(function* ({ beats }: { readonly beats: number }) {
    seen.push(yield* Tool.Invocation)
    for (let i = 0; i < beats; i++) {
      yield* Effect.sleep("1 second")
      yield* Tool.heartbeat
    }
    yield* Effect.sleep("2 seconds")
    return "copied"
  })

const calling = (
  tool: { readonly call: (input: { beats: number }) => Effect.Effect<string, any, any> },
  beats: number,
  ...layers: ReadonlyArray<Layer.Layer<any>>
) =>
  Worker.layer({ flows: [oneNode] }).pipe(
    Layer.provide(
      handlersOf(
        ({ next }) =>
          Effect.map(tool.call({ beats }), (text) => next.end([text])) as Effect.Effect<any, Busy>,
        ...layers
      )
    )
  )

describe("a tool that has to show that it is alive", () => {
  const Copy = Tool.make("copy", { input, output: Schema.String, heartbeat: "3 seconds" })

  it.effect("may take as long as it likes, as long as it does", () =>
    Effect.gen(function* () {
      const seen: Array<Tool.Invocation["Service"]> = []
      const computer = machine()
      const { runs } = yield* computer.boot(calling(Copy, 100, Copy.toLayer(copying(seen))))
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust("101 seconds")
      assert.strictEqual((yield* runs.get(run)).status, "running")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs.await(run), ["copied"])
      assert.lengthOf(seen, 1)
    })
  )

  it.effect("is interrupted when it does not, and counts as one that took too long", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const computer = machine()
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [oneNode] }).pipe(
          Layer.provide(
            handlersOf(
              ({ next }) =>
                Effect.gen(function* () {
                  const exit = yield* Effect.exit(Copy.call({ beats: 2 }))
                  const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
                  assert.deepStrictEqual(
                    reason?._tag === "Die" ? reason.defect : undefined,
                    new Tool.ToolStalled({ tool: "copy", millis: 3000 })
                  )
                  return next.end([])
                }),
              Copy.toLayer(({ beats }) =>
                Effect.gen(function* () {
                  for (let i = 0; i < beats; i++) {
                    yield* Effect.sleep("2 seconds")
                    yield* Tool.heartbeat
                  }
                  return yield* Effect.onInterrupt(Effect.never, () =>
                    Effect.sync(() => log.push("interrupted"))
                  )
                })
              )
            )
          )
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust(6_999)
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust(1)
      yield* idle
      yield* runs.await(run)
      assert.deepStrictEqual(log, ["interrupted"])
      const [failed] = yield* computer.eventsOf(run, "callFailed")
      assert.deepStrictEqual(failed!.error, {
        kind: "timeout",
        what: "heartbeat",
        name: "copy",
        millis: 3000
      })
    })
  )

  it.effect("fails the run with words that say so, if nobody handles it", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(
        calling(
          Copy,
          0,
          Copy.toLayer(() => Effect.never)
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust("3 seconds")
      const error = yield* Effect.flip(runs.await(run))
      assert.match(error.message, /tool copy has not shown for 3000 ms that it is alive/)
    })
  )

  it.effect(
    "is retried by its policy, which may look at the error; the next try is told that it is not the first",
    () =>
      Effect.gen(function* () {
        const errors: Array<unknown> = []
        const Retried = Tool.make("retried", {
          input,
          output: Schema.String,
          error: Busy,
          heartbeat: "3 seconds",
          retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 5 })),
          while: (error) => {
            errors.push(error)
            return error._tag === "Busy" || error.millis === 3000
          }
        })
        const seen: Array<Tool.Invocation["Service"]> = []
        const computer = machine()
        const { runs } = yield* computer.boot(
          calling(
            Retried,
            0,
            Retried.toLayer(() =>
              Effect.gen(function* () {
                seen.push(yield* Tool.Invocation)
                return seen.length === 1
                  ? yield* Effect.never
                  : seen.length === 2
                    ? yield* new Busy({ n: 1 })
                    : "copied"
              })
            )
          )
        )
        const run = yield* runs.start(oneNode, {})
        yield* idle
        yield* TestClock.adjust("3 seconds")
        yield* TestClock.adjust("1 minute")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* runs.await(run), ["copied"])
        assert.deepStrictEqual(errors, [
          new Tool.ToolStalled({ tool: "retried", millis: 3000 }),
          new Busy({ n: 1 })
        ])
        assert.deepStrictEqual(
          seen.map(({ attempt, repeated }) => [attempt, repeated]),
          [
            [1, false],
            [2, true],
            [3, true]
          ]
        )
      })
  )

  it.effect("is not retried if the policy says so, and never if it must not be called twice", () =>
    Effect.gen(function* () {
      for (const options of [{ while: () => false }, { delivery: "atMostOnce" as const }]) {
        const Once = Tool.make("once", {
          input,
          output: Schema.String,
          heartbeat: "3 seconds",
          retry: Schedule.recurs(5),
          ...options
        })
        let tries = 0
        const { runs } = yield* machine().boot(
          calling(
            Once,
            0,
            Once.toLayer(() => Effect.suspend(() => (tries++, Effect.never)))
          )
        )
        const run = yield* runs.start(oneNode, {})
        yield* idle
        yield* TestClock.adjust("3 seconds")
        yield* untilStatus(runs, run, "failed")
        assert.strictEqual(tries, 1)
      }
    })
  )

  it.effect("may be one that is carried out elsewhere: its executor passes the signs of life on", () =>
    Effect.gen(function* () {
      const remote = Layer.succeed(ToolExecutor, {
        execute: ({ invocation }) =>
          Effect.sleep("2 seconds").pipe(
            Effect.andThen(invocation.beat!),
            Effect.andThen(Effect.sleep("2 seconds")),
            Effect.as("remote")
          )
      })
      const { runs } = yield* machine().boot(
        calling(
          Copy,
          0,
          Copy.toLayer(() => Effect.never)
        ).pipe(Layer.provide(remote))
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* runs.await(run), ["remote"])
    })
  )

  it("is checked when it is defined", () => {
    assert.throws(
      () => Tool.make("x", { input: {}, heartbeat: 0 }),
      /`heartbeat` must be longer than nothing/
    )
  })
})

describe("a tool that need not", () => {
  it.effect("may do so all the same, and nothing comes of it", () =>
    Effect.gen(function* () {
      const Plain = Tool.make("plain", { input, output: Schema.String })
      const seen: Array<Tool.Invocation["Service"]> = []
      const { runs } = yield* machine().boot(calling(Plain, 1, Plain.toLayer(copying(seen))))
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* runs.await(run), ["copied"])
      assert.isUndefined(seen[0]!.beat)
    })
  )
})
