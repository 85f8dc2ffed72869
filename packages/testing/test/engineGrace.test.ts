/** The engine, with its power cut at every point: cancelled runs whose handlers take their time to stop. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

const Note = Tool.make("note", { input: { text: Schema.String }, output: Schema.String })
const Book = Tool.make("book", { input: { what: Schema.String }, output: Schema.String, compensate: true })

for (const { durability, name, ...how } of variants) {
  /** What a slow disk adds. */
  const slack = how.latency === undefined ? 0 : 40
  const Slow = Flow.make("slow", {
    input: Schema.Literals(["stops", "never"]),
    start: "work",
    durability,
    nodes: { work: Node.make({ to: ["end"] }) }
  })
  const handlers = Slow.toLayer({
    work: ({ input, next }) =>
      Effect.gen(function* () {
        yield* Book.call({ what: "room" })
        if (input === "stops") {
          // It tidies up, and that takes a while.
          return yield* Effect.onInterrupt(Effect.never, () =>
            Effect.andThen(Effect.sleep("4 seconds"), Effect.orDie(Note.call({ text: "tidied up" })))
          )
        }
        // Nothing stops it, and an hour later it goes on.
        yield* Effect.uninterruptible(
          Effect.andThen(Effect.sleep("1 hour"), Effect.ignoreCause(Note.call({ text: "an hour later" })))
        )
        return next.end()
      })
  })

  describe(`a crash at any point (${name})`, () => {
    for (const [input, after] of [
      ["stops", 5_000],
      ["never", 10_000]
    ] as const) {
      it.effect(
        input === "stops"
          ? "of a run that is cancelled lets its handler end, and then undoes what it did"
          : "of a run that is cancelled leaves its handler behind, which does nothing any more",
        () =>
          CrashExplorer.explore(Slow, {
            ...how,

            world: () =>
              FakeTools.make(
                FakeTools.answer(Book, ({ what }) =>
                  FakeTools.after("1 second", FakeTools.succeed(`${what} is booked`))
                ),
                FakeTools.answer(Note, ({ text }) => FakeTools.after("1 second", FakeTools.succeed(text)))
              ),
            handlers: (tools) => Layer.provide(handlers, tools.layer),
            worker: { grace: "10 seconds" },
            scenario: () =>
              Effect.gen(function* () {
                const runs = yield* Runs.Runs
                const run = yield* runs.start(Slow, input, { id: "r" })
                yield* Effect.sleep("5 seconds")
                const status = yield* runs.cancel(run, "no need", { commandId: "cancel" })
                yield* Effect.sleep("2 hours")
                return status
              }),
            check: ({ cuts, executions, journal, result }) =>
              Effect.map(result, (status) => {
                assert.strictEqual(status, "cancelled")
                const events = journal("r")
                const timeOf = (kind: string) => events.find((event) => event.kind === kind)?.time
                const asked = timeOf("cancelRequested")!
                // Whoever finds the run cancelling executes nothing of it any more.
                const undoing = timeOf("compensating") ?? asked
                assert.isAtMost(undoing - asked, after + slack)
                const inputs = executions.map((one) => JSON.stringify(one.input))
                assert.notInclude(inputs, JSON.stringify({ text: "an hour later" }))
                assert.closeTo(timeOf("annotated") ?? asked + after, asked + after, slack)
                if (cuts.length > 0) return
                assert.closeTo(undoing - asked, after, slack)
                assert.strictEqual(timeOf("annotated") !== undefined, input === "never")
                assert.strictEqual(inputs.includes(JSON.stringify({ text: "tidied up" })), input === "stops")
              })
          }),
        300_000
      )
    }
  })
}
