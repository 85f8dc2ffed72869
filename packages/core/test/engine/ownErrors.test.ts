/** Defects and interruptions that look like the engine's own, and are the program's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Wait from "@waymark/core/Wait"
import * as TestClock from "effect/testing/TestClock"
import * as Retry from "../../src/internal/engine/retry.ts"
import { Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

/** What the engine needs of its own errors of these names is missing, or is something else. */
const defects = [
  "BudgetExceeded",
  "InDoubt",
  "NodeTimeout",
  "RunCancelled",
  "ToolStalled",
  "ToolTimeout",
  "Unencodable"
].map((_tag) => ({ _tag, spent: 5 }))

describe("a defect of the program", () => {
  it.effect("is recorded as that, whatever it is called: of a node", () =>
    Effect.gen(function* () {
      for (const defect of defects) {
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(
          program(
            () => Effect.die(defect),
            Echo.toLayer(({ text }) => Effect.succeed(text))
          )
        )
        const run = yield* runs.start(oneNode, {})
        yield* untilStatus(runs, run, "failed")
        const [failed] = yield* eventsOf(run, "failed")
        assert.deepInclude(failed!.error, { kind: "defect" })
      }
    })
  )

  it.effect("is recorded as that, whatever it is called: of a tool, which is not called again", () =>
    Effect.gen(function* () {
      for (const defect of defects) {
        let calls = 0
        const { boot, eventsOf } = machine()
        const tool = Echo.toLayer(() =>
          Effect.suspend(() => {
            calls += 1
            return Effect.die(defect)
          })
        )
        const live = program(
          ({ next }) => Effect.as(Effect.exit(Echo.call({ text: "a" })), next.end(["tolerated"])),
          tool
        )
        const { runs } = yield* boot(live)
        const run = yield* runs.start(oneNode, {})
        yield* untilStatus(runs, run, "completed")
        const [failed] = yield* eventsOf(run, "callFailed")
        assert.deepInclude(failed!.error, { kind: "defect" })
        assert.strictEqual(calls, 1)
      }
    })
  )
})

describe("a tool that is interrupted by nobody who called it", () => {
  const world = () => {
    const hang = new Set<string>()
    const tool = Echo.toLayer(({ text }) =>
      Effect.gen(function* () {
        if (hang.has(text)) return yield* Effect.never
        if (text !== "interrupted") return text
        const fiber = yield* Effect.forkChild(Effect.never)
        yield* Fiber.interrupt(fiber)
        return yield* Fiber.join(fiber)
      })
    )
    return { hang, tool }
  }
  const outcome = Effect.map(Effect.exit(Echo.call({ text: "interrupted" })), (exit) =>
    Exit.isSuccess(exit) ? "succeeded" : Exit.hasDies(exit) ? "broke" : "was interrupted"
  )

  it.effect("has broken: after a crash, too", () =>
    Effect.gen(function* () {
      const { hang, tool } = world()
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const how = yield* outcome
            return next.end([how, yield* Echo.call({ text: "after it" })])
          }),
        tool
      )
      hang.add("after it")
      const { boot, crash, eventsOf } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* crash
      hang.clear()
      const { runs } = yield* boot(live)
      yield* untilStatus(runs, run, "completed")
      assert.deepStrictEqual(yield* runs.await(run), ["broke", "after it"])
      const [failed] = yield* eventsOf(run, "callFailed")
      assert.deepInclude(failed!.error, { kind: "defect" })
    })
  )

  it.effect("has broken: after a wait, too", () =>
    Effect.gen(function* () {
      const { tool } = world()
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const how = yield* outcome
            yield* Wait.sleep("1 hour")
            return next.end([how])
          }),
        tool
      )
      const { boot } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* untilStatus(runs, run, "waiting")
      yield* TestClock.adjust("1 hour")
      yield* untilStatus(runs, run, "completed")
      assert.deepStrictEqual(yield* runs.await(run), ["broke"])
    })
  )
})

describe("a retry policy", () => {
  it.effect("looks at each failure once", () =>
    Effect.gen(function* () {
      const retry = Retry.make(Schedule.spaced("1 second"))
      const decoded: Array<number> = []
      const counted = Schema.Int
      const tried: Array<{
        readonly time: number
        readonly error: {
          readonly kind: "error"
          readonly tag: string
          readonly error: number
          readonly message: string
        }
      }> = []
      for (let n = 0; n < 100; n++) {
        const recorded = tried.map(({ time, error }) => ({
          time,
          get error() {
            decoded.push(error.error)
            return error
          }
        }))
        assert.strictEqual(yield* Retry.delayAfter(retry, recorded, [counted], { time: n, error: n }), 1_000)
        tried.push({ time: n, error: { kind: "error", tag: "", error: n, message: "" } })
      }
      assert.deepStrictEqual(decoded, [])
    })
  )
})
