import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import * as TestRuntime from "../src/TestRuntime.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", { seconds: Schema.Int }) {}

const Look = Tool.make("look", {
  input: { day: Schema.Int },
  output: Schema.Struct({ at: Schema.Date, words: Schema.Array(Schema.String) }),
  error: Busy,
  retry: Schedule.recurs(2)
})
const Tell = Tool.make("tell", { input: { text: Schema.String } })

const Diary = Flow.make("diary", {
  input: Schema.Array(Schema.Int),
  output: Schema.Int,
  error: Busy,
  start: "look",
  nodes: { look: Node.make({ to: ["end"], error: Busy }) }
})
const handlers = Diary.toLayer({
  look: Effect.fnUntraced(function* ({ input, next }) {
    let count = 0
    for (const day of input) {
      const { words } = yield* Look.call({ day })
      count += words.length
      yield* Tell.call({ text: words.join(" ") })
    }
    return next.end(count)
  })
})

const page = (...words: ReadonlyArray<string>) => FakeTools.succeed({ at: new Date(0), words })
const busy = FakeTools.fail(new Busy({ seconds: 3 }))
const tell = FakeTools.always(Tell, FakeTools.ok)

const runtime = (tools: FakeTools.FakeTools<"look" | "tell">) =>
  TestRuntime.layer({ flows: [Diary], handlers: Layer.provide(handlers, tools.layer) })

/** Executes the flow with these fakes, and gives what happened. */
const execute = (tools: FakeTools.FakeTools<"look" | "tell">, ...days: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Diary, days, { id: "r" })
    const took = yield* TestRuntime.advanceToEnd(run)
    const events = yield* Stream.runCollect(runs.events(run))
    const result = yield* Effect.result(runs.await(run))
    return { took, events, result: result._tag === "Success" ? result.success : result.failure.message }
  }).pipe(Effect.provide(runtime(tools)))

const results = (tools: FakeTools.FakeTools<"look" | "tell">) => tools.calls(Look).map(({ result }) => result)

describe("plans of fakes", () => {
  it.effect("let the first tries fail, every so many, or some by chance", () =>
    Effect.gen(function* () {
      const first = FakeTools.make(
        FakeTools.failing(Look, FakeTools.always(Look, page("a")), { first: 2, with: busy }),
        tell
      )
      assert.strictEqual((yield* execute(first, 1, 2)).result, 2)
      assert.deepStrictEqual(results(first), ["failed", "failed", "succeeded", "succeeded"])
      const every = FakeTools.make(
        FakeTools.failing(Look, FakeTools.always(Look, page("a")), { every: 2, with: busy }),
        tell
      )
      yield* execute(every, 1, 2, 3)
      assert.deepStrictEqual(results(every), ["succeeded", "failed", "succeeded", "failed", "succeeded"])
      const chance = (seed: string) =>
        Effect.gen(function* () {
          const plan = { chance: 0.4, seed, with: busy }
          const tools = FakeTools.make(FakeTools.failing(Look, FakeTools.always(Look, page("a")), plan), tell)
          yield* execute(tools, 1, 2, 3, 4, 5, 6, 7, 8)
          return results(tools).join(" ")
        })
      const one = yield* chance("one")
      assert.strictEqual(yield* chance("one"), one)
      assert.include(one, "failed")
      assert.include(one, "succeeded")
      assert.notStrictEqual(yield* chance("two"), one)
    })
  )

  it.effect("let replies take their time, by the try", () =>
    Effect.gen(function* () {
      const tools = FakeTools.make(
        FakeTools.delayed(FakeTools.always(Look, page("a")), ({ input }) =>
          Duration.minutes((input as { readonly day: number }).day)
        ),
        FakeTools.delayed(tell, "1 hour")
      )
      assert.deepStrictEqual((yield* execute(tools, 1, 2)).took, Duration.minutes(123))
    })
  )

  it.effect("keep telling of unexpected calls", () =>
    Effect.gen(function* () {
      const tools = FakeTools.make(FakeTools.delayed(FakeTools.refuse(Look), "1 hour"), tell)
      const { result, took } = yield* execute(tools, 1)
      assert.include(String(result), "no call of it is expected")
      assert.deepStrictEqual(took, Duration.zero)
    })
  )

  it.effect("give replies in a circle", () =>
    Effect.gen(function* () {
      const tools = FakeTools.make(FakeTools.cycle(Look, page("a"), page("b", "c")), tell)
      assert.strictEqual((yield* execute(tools, 1, 2, 3)).result, 4)
      tools.expectInputs(Tell, [{ text: "a" }, { text: "b c" }, { text: "a" }])
    })
  )
})

describe("fakes that expect calls", () => {
  const expecting = () =>
    FakeTools.make(
      FakeTools.expecting(
        Look,
        { input: { day: 1 }, reply: page("a") },
        { input: { day: 2 }, reply: page() }
      ),
      tell
    )

  it.effect("reply to those", () =>
    Effect.gen(function* () {
      const tools = expecting()
      assert.strictEqual((yield* execute(tools, 1, 2)).result, 1)
      tools.expectDone()
    })
  )

  it.effect("find another input, one more, and one less", () =>
    Effect.gen(function* () {
      const other = yield* execute(expecting(), 1, 3)
      assert.include(String(other.result), "try 2 was expected to be another: day: 2 was expected, it is 3")
      const more = yield* execute(expecting(), 1, 2, 3)
      assert.include(String(more.result), "2 tries were expected, and were made")
      const tools = expecting()
      yield* execute(tools, 1)
      assert.throws(() => tools.expectDone(), /not all replies were given: 1 of tool look are left/)
    })
  )
})

describe("expectations of calls", () => {
  const called = Effect.gen(function* () {
    const tools = FakeTools.make(FakeTools.always(Look, page("a")), tell)
    yield* execute(tools, 1, 2)
    return tools
  })

  it.effect("hold, or say what is not so, with all calls", () =>
    Effect.gen(function* () {
      const tools = yield* called
      tools.expectCalled(Look)
      tools.expectCalled(Look, { times: 2 })
      tools.expectCalled(Look, { with: { day: 2 }, times: 1 })
      tools.expectOrder(Look, Tell, Look)
      tools.expectOnce()
      const none = FakeTools.make(FakeTools.refuse(Look))
      none.expectNotCalled(Look)
      const refused = (expectation: () => void): string => {
        try {
          expectation()
        } catch (error) {
          assert.strictEqual((error as FakeTools.ExpectationFailed)._tag, "ExpectationFailed")
          return (error as Error).message
        }
        return "it holds"
      }
      assert.strictEqual(
        refused(() => none.expectCalled(Look)),
        "tool look was expected to be called at least once, and was so never\nno tool was called"
      )
      assert.include(
        refused(() => tools.expectCalled(Look, { times: 3 })),
        "tool look was expected to be called 3 times, and was so 2 times\n#1 look"
      )
      assert.include(
        refused(() => tools.expectCalled(Look, { with: { day: 3 } })),
        'tool look was expected to be called with {"day":3} at least once, and was so never'
      )
      assert.include(
        refused(() => tools.expectNotCalled(Tell)),
        "tool tell was expected not to be called, and was called 2 times"
      )
      assert.include(
        refused(() => tools.expectOrder(Tell, Tell, Look)),
        "tool look was expected to be called after tell"
      )
    })
  )

  it.effect("do not count what is repeated because a crash lost its result", () =>
    Effect.gen(function* () {
      let repeated = 0
      yield* CrashExplorer.explore(Diary, {
        world: () => FakeTools.make(FakeTools.always(Look, page("a")), tell),
        handlers: (tools) => Layer.provide(handlers, tools.layer),
        input: [1],
        nested: "none",
        check: {
          "each call succeeds once": ({ world }) => {
            repeated += world.calls().filter((call) => call.repeated).length
            world.expectOnce()
          }
        }
      })
      assert.isAbove(repeated, 0)
    })
  )

  it.effect("find a call that succeeded twice", () =>
    Effect.gen(function* () {
      const tools = FakeTools.make(FakeTools.always(Look, page("a")), tell)
      // Two disks: the second run knows nothing of the first.
      yield* execute(tools, 1)
      yield* execute(tools, 1)
      assert.throws(() => tools.expectOnce(Look), /a call of tool look succeeded twice, as #1 and as #3/)
    })
  )
})

describe("recorded fakes", () => {
  const recording = Effect.gen(function* () {
    const tools = FakeTools.make(
      FakeTools.script(Look, busy, FakeTools.after("1 minute", page("a")), page("b", "c")),
      tell
    )
    const { events, result, took } = yield* execute(tools, 1, 2)
    assert.strictEqual(result, 3)
    return { events, took }
  })

  it.effect("reply as in the journal of a run: what, how often, and after how long", () =>
    Effect.gen(function* () {
      const { events, took } = yield* recording
      const tools = FakeTools.make(FakeTools.recorded(Look, events), FakeTools.recorded(Tell, events))
      const again = yield* execute(tools, 1, 2)
      assert.strictEqual(again.result, 3)
      assert.deepStrictEqual(again.took, took)
      assert.deepStrictEqual(results(tools), ["failed", "succeeded", "succeeded"])
      tools.expectDone()
    })
  )

  it.effect("find a call that was not recorded, and one that is not made any more", () =>
    Effect.gen(function* () {
      const { events } = yield* recording
      const fakes = () => FakeTools.make(FakeTools.recorded(Look, events), FakeTools.recorded(Tell, events))
      const other = yield* execute(fakes(), 1, 3)
      assert.include(
        String(other.result),
        "no try with this input is left in the recording; the closest differs: day: 2 was expected, it is 3"
      )
      const tools = fakes()
      yield* execute(tools, 1)
      assert.throws(() => tools.expectDone(), /1 of tool look, 1 of tool tell are left/)
      const more = yield* execute(fakes(), 1, 2, 2)
      assert.include(String(more.result), "3 tries were recorded, and were all made")
    })
  )

  it.effect("reply as somebody wrote down, in the form in which values are stored", () =>
    Effect.gen(function* () {
      const at = DateTime.formatIso(DateTime.makeUnsafe(0))
      const tools = FakeTools.make(
        FakeTools.recorded(Look, [
          { input: { day: 1 }, error: { _tag: "Busy", seconds: 1 }, after: "1 second" },
          { input: { day: 1 }, output: { at, words: ["x"] } }
        ]),
        FakeTools.recorded(Tell, [{ input: { text: "x" }, output: null }])
      )
      const { result, took } = yield* execute(tools, 1)
      assert.strictEqual(result, 1)
      assert.deepStrictEqual(took, Duration.seconds(1))
    })
  )

  it.effect("say when a recording does not fit its tool any more, and play defects and silence", () =>
    Effect.gen(function* () {
      const play = (one: FakeTools.RecordedTry) =>
        Effect.map(
          execute(FakeTools.make(FakeTools.recorded(Look, [one, one, one]), tell), 1),
          ({ result }) => String(result)
        )
      assert.include(
        yield* play({ input: { day: 1 }, output: { words: [] } }),
        "the recorded output of tool look does not fit its schema"
      )
      assert.include(
        yield* play({ input: { day: 1 }, defect: { name: "RangeError", message: "too far" } }),
        "RangeError: too far"
      )
      const silent = FakeTools.make(FakeTools.recorded(Look, [{ input: { day: 1 }, hangs: true }]), tell)
      const failure = yield* Effect.flip(execute(silent, 1))
      assert.include(failure.message, "no timer is left to wait for")
    })
  )
})

describe("generated fakes", () => {
  it.effect("reply with values that fit the tool's schema, the same for the same seed", () =>
    Effect.gen(function* () {
      const outputs = (seed: string) =>
        Effect.gen(function* () {
          const tools = FakeTools.make(FakeTools.generated(Look, { seed }), tell)
          const { events } = yield* execute(tools, 1, 2, 3, 4)
          return events.flatMap((event) =>
            event.kind === "callCompleted" && event.tool === "look" ? [event.output] : []
          )
        })
      const one = yield* outputs("one")
      assert.strictEqual(one.length, 4)
      assert.strictEqual(new Set(one.map((output) => JSON.stringify(output))).size, 4)
      assert.deepStrictEqual(yield* outputs("one"), one)
      assert.notDeepEqual(yield* outputs("two"), one)
    })
  )

  it.effect("fail with errors that fit, if they are to", () =>
    Effect.gen(function* () {
      const tools = FakeTools.make(FakeTools.generated(Look, { failures: 1 }), tell)
      const { events, result } = yield* execute(tools, 1)
      assert.deepStrictEqual(results(tools), ["failed", "failed", "failed"])
      const failed = events.find((event) => event.kind === "failed")
      assert.deepInclude(failed?.error, { kind: "error", tag: "Busy" })
      assert.isString(result)
    })
  )

  it.effect("are shrunk to the smallest list of replies that breaks a property", () =>
    Effect.gen(function* () {
      const result = yield* Arbitrary.checkEffect(
        FakeTools.arbitraryReplies(Look),
        (replies) =>
          Effect.gen(function* () {
            const tools = FakeTools.make(FakeTools.cycle(Look, ...replies), tell)
            const { result } = yield* execute(tools, 1, 2)
            // Which is wrong as soon as there is a word.
            return result === 0
          }),
        { seed: 1, runs: 50 }
      )
      assert.strictEqual(result._tag, "Falsified")
      if (result._tag !== "Falsified") return
      const words = result.shrunkInput.flatMap((reply) =>
        reply._tag === "Succeed" ? [...reply.output.words] : []
      )
      assert.deepStrictEqual(words, [""])
      assert.strictEqual(result.shrunkInput.length, 1)
    })
  )
})
