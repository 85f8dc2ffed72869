import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Tool from "@waymark/core/Tool"
import { Broken, Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

describe("a tool's call", () => {
  it.effect(
    "answers with what the handler gave, as a later process would read it, and leaves its result in the journal",
    () =>
      Effect.gen(function* () {
        const When = Tool.make("when", { input: Schema.Date, output: Schema.Struct({ at: Schema.Date }) })
        let got: unknown
        const live = program(
          ({ next }) =>
            Effect.gen(function* () {
              const answer = yield* When.call(new Date(5))
              assert.instanceOf(answer.at, Date)
              return next.end([answer.at.toISOString()])
            }),
          When.toLayer((at) => Effect.sync(() => ((got = at), { at: new Date(at.getTime() + 1) })))
        )
        const { boot, eventsOf, kinds } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(oneNode, {})
        assert.deepStrictEqual(yield* runs.await(run), ["1970-01-01T00:00:00.006Z"])
        assert.deepStrictEqual(got, new Date(5))
        assert.deepStrictEqual(yield* kinds(run), [
          "created",
          "callStarted",
          "callCompleted",
          "visited",
          "completed"
        ])
        const [started] = yield* eventsOf(run, "callStarted")
        assert.strictEqual(started!.input, "1970-01-01T00:00:00.005Z")
        const [completed] = yield* eventsOf(run, "callCompleted")
        assert.deepStrictEqual(completed!.output, { at: "1970-01-01T00:00:00.006Z" })
      })
  )

  it.effect("fails with the tool's typed error, which the handler may catch", () =>
    Effect.gen(function* () {
      const live = program(
        ({ next }) =>
          Echo.call({ text: "x" }).pipe(
            Effect.catchTag("Busy", ({ n }) => Effect.succeed(`busy ${n}`)),
            Effect.map((text) => next.end([text]))
          ),
        Echo.toLayer(() => Effect.fail(new Busy({ n: 3 })))
      )
      const { runs } = yield* machine().boot(live)
      assert.deepStrictEqual(yield* runs.execute(oneNode, {}), ["busy 3"])
      const uncaught = program(
        ({ next }) => Effect.map(Echo.call({ text: "x" }), (text) => next.end([text])),
        Echo.toLayer(() => Effect.fail(new Broken({ why: "y" })))
      )
      const other = yield* machine().boot(uncaught)
      assert.deepStrictEqual(yield* Effect.flip(other.runs.execute(oneNode, {})), new Broken({ why: "y" }))
    })
  )

  it.effect("dies with the handler's defect, with its name and message", () =>
    Effect.gen(function* () {
      const live = program(
        ({ next }) =>
          Effect.exit(Echo.call({ text: "x" })).pipe(
            Effect.map((exit) => {
              const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
              return next.end([defect instanceof Error ? `${defect.name}: ${defect.message}` : "?"])
            })
          ),
        Echo.toLayer(() => Effect.die(new RangeError("too far")))
      )
      const { runs } = yield* machine().boot(live)
      assert.deepStrictEqual(yield* runs.execute(oneNode, {}), ["RangeError: too far"])
    })
  )

  it.effect("that gives or gets what does not fit dies, and says what", () =>
    Effect.gen(function* () {
      const badOutput = program(
        ({ next }) => Effect.map(Echo.call({ text: "x" }), (text) => next.end([text])),
        Echo.toLayer(() => Effect.succeed(5 as never))
      )
      const { boot, kinds } = machine()
      const first = yield* boot(badOutput)
      const run = yield* first.runs.start(oneNode, {})
      const error = yield* Effect.flip(first.runs.await(run))
      assert.strictEqual(error._tag === "RunFailed" && error.failure.kind, "encoding")
      assert.include(error.message, "the output of tool echo")
      assert.deepStrictEqual(yield* kinds(run), ["created", "callStarted", "callFailed", "failed"])
      const badInput = program(
        ({ next }) => Effect.map(Echo.call({ text: 5 as never }), (text) => next.end([text])),
        Echo.toLayer(({ text }) => Effect.succeed(text))
      )
      const second = yield* machine().boot(badInput)
      assert.include((yield* Effect.flip(second.runs.execute(oneNode, {}))).message, "the input of tool echo")
    })
  )

  it.effect("gets its place in the run and a key of its own", () =>
    Effect.gen(function* () {
      const seen: Array<Tool.Invocation["Service"]> = []
      const live = program(
        ({ next, state }) =>
          Effect.gen(function* () {
            yield* Echo.call({ text: "same" })
            yield* Echo.call({ text: "same" })
            yield* Echo.call({ text: "other" }, { key: "mine" })
            return state.got.length === 0 ? next.to("work", { got: ["once"] }) : next.end([])
          }),
        Echo.toLayer(({ text }) =>
          Effect.gen(function* () {
            seen.push(yield* Tool.Invocation)
            return text
          })
        )
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      assert.strictEqual(seen.length, 6)
      assert.strictEqual(new Set(seen.map(({ key }) => key)).size, 6)
      for (const [i, invocation] of seen.entries()) {
        const { key, ...place } = invocation
        const visit = i < 3 ? 1 : 2
        assert.deepStrictEqual(place, {
          attempt: 1,
          run: run.id,
          branch: "",
          node: "work",
          visit,
          repeated: false
        })
        assert.isAbove(key.length, 16)
      }
      const started = yield* eventsOf(run, "callStarted")
      assert.deepStrictEqual(
        started.map(({ key }) => key),
        seen.map(({ key }) => key)
      )
      assert.strictEqual(started[2]!.call, "echo/mine/0")
    })
  )

  it.effect("sees the world's time, while the visit's stands still between what it consumes and sleeps", () =>
    Effect.gen(function* () {
      const times: Array<readonly [string, number]> = []
      const note = (where: string) =>
        Effect.map(Clock.currentTimeMillis, (now) => void times.push([where, now]))
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            yield* note("visit")
            yield* Effect.sleep("1 second")
            yield* note("visit")
            yield* Echo.call({ text: "x" })
            yield* note("visit")
            return next.end([])
          }),
        Echo.toLayer(({ text }) =>
          Effect.gen(function* () {
            yield* note("tool")
            yield* Effect.sleep("1 minute")
            yield* note("tool")
            return text
          })
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("2 minutes")
      yield* runs.await(run)
      assert.deepStrictEqual(times, [
        ["visit", 0],
        ["visit", 1000],
        ["tool", 1000],
        ["tool", 61_000],
        ["visit", 61_000]
      ])
    })
  )

  it.effect("closes the scope of each try, and the visit's scope is closed when the visit ends", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const resource = (name: string) =>
        Effect.acquireRelease(
          Effect.sync(() => log.push(`+${name}`)),
          () => Effect.sync(() => log.push(`-${name}`))
        )
      const Flaky = Tool.make("flaky", { input: Schema.Int, error: Busy, retry: Schedule.recurs(1) })
      let tries = 0
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            yield* resource("visit")
            yield* Flaky.call(1)
            log.push("called")
            return next.end([])
          }),
        Flaky.toLayer(() =>
          Effect.andThen(
            resource("try"),
            Effect.suspend(() => (tries++ === 0 ? Effect.fail(new Busy({ n: 1 })) : Effect.void))
          )
        )
      )
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      assert.deepStrictEqual(log, ["+visit", "+try", "-try", "+try", "-try", "called", "-visit"])
      assert.include(yield* kinds(run), "callRetried")
    })
  )

  it.effect("cannot be made by what outlives its visit", () =>
    Effect.gen(function* () {
      let outcome: Exit.Exit<unknown, unknown> | undefined
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            yield* Effect.sleep("1 second").pipe(
              Effect.andThen(Echo.call({ text: "late" })),
              Effect.onExit((exit) => Effect.sync(() => (outcome = exit))),
              Effect.forkDetach
            )
            return next.end([])
          }),
        Echo.toLayer(({ text }) => Effect.succeed(text))
      )
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      yield* TestClock.adjust("1 second")
      assert.isTrue(outcome !== undefined && Exit.isFailure(outcome) && Cause.hasDies(outcome.cause))
      assert.notInclude(yield* kinds(run), "callStarted")
    })
  )
})

describe("calls that a handler makes at the same time", () => {
  it.effect("run at the same time, and each one's result goes to its caller", () =>
    Effect.gen(function* () {
      let active = 0
      let most = 0
      const live = program(
        ({ next }) =>
          Effect.all(
            ["a", "b", "c", "a"].map((text) => Echo.call({ text })),
            { concurrency: "unbounded" }
          ).pipe(Effect.map((texts) => next.end(texts))),
        Echo.toLayer(({ text }) =>
          Effect.gen(function* () {
            most = Math.max(most, ++active)
            yield* Effect.sleep(text === "a" ? "3 seconds" : "1 second")
            active -= 1
            return text.toUpperCase()
          })
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* runs.await(run), ["A", "B", "C", "A"])
      assert.strictEqual(most, 4)
    })
  )

  it.effect("one that is interrupted is recorded as interrupted", () =>
    Effect.gen(function* () {
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            const first = yield* Echo.call({ text: "slow" }).pipe(Effect.timeout("1 second"), Effect.exit)
            const second = yield* Effect.raceFirst(
              Echo.call({ text: "slower" }),
              Echo.call({ text: "quick" })
            )
            return next.end([first._tag, second])
          }).pipe(Effect.orDie),
        Echo.toLayer(({ text }) => (text === "quick" ? Effect.succeed(text) : Effect.never))
      )
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* runs.await(run), ["Failure", "quick"])
      const failed = yield* eventsOf(run, "callFailed")
      assert.deepStrictEqual(
        failed.map(({ error }) => error.kind),
        ["interrupted", "interrupted"]
      )
    })
  )

  it.effect(
    "a visit with thousands of calls stays right",
    () =>
      Effect.gen(function* () {
        const count = 2_000
        const live = program(
          ({ next }) =>
            Effect.gen(function* () {
              let last = ""
              for (let i = 0; i < count; i++) last = yield* Echo.call({ text: `${i}` })
              return next.end([last])
            }),
          Echo.toLayer(({ text }) => Effect.succeed(text))
        )
        const { boot, kinds } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(oneNode, {})
        assert.deepStrictEqual(yield* runs.await(run), [`${count - 1}`])
        assert.strictEqual((yield* kinds(run)).filter((kind) => kind === "callCompleted").length, count)
        yield* idle
      }),
    300_000
  )
})
