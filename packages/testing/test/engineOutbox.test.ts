/** The engine, with its power cut at every point: messages to other runs that cannot be delivered for a while. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { StoreError } from "@waymark/core/Store"
import type { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

const Work = Tool.make("work", { input: { of: Schema.String }, output: Schema.String })

/** Until then nothing reaches another run. */
const repaired = 40_000
/** As often as that a message is tried again. */
const again = 15_000

/** A disk on which, for a while, no run of a part can be begun, or nobody be told of the end of one. */
const failing =
  (what: "create" | "send") =>
  (store: Store["Service"]): Store["Service"] => {
    const orFail = <A, E>(isAffected: boolean, operation: typeof what, effect: Effect.Effect<A, E>) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<A, E | StoreError> =>
        isAffected && operation === what && now < repaired
          ? Effect.fail(new StoreError({ operation, reason: { _tag: "Io", code: "EIO" } }))
          : effect
      )
    return {
      ...store,
      create: (batch, options) =>
        orFail(batch.entries[0].event.run.startsWith("part-"), "create", store.create(batch, options)),
      send: (command) => orFail(command.request.type === "ended", "send", store.send(command))
    }
  }

for (const { durability, name, ...how } of variants) {
  /** What a slow disk adds. */
  const slack = how.latency === undefined ? 0 : 40
  const Part = Flow.make("part", {
    input: Schema.String,
    output: Schema.String,
    start: "work",
    durability,
    nodes: { work: Node.make({ to: ["end"] }) }
  })
  const Whole = Flow.make("whole", {
    input: Schema.Literals(["call", "start"]),
    output: Schema.String,
    start: "work",
    durability,
    nodes: { work: Node.make({ to: ["end"] }) }
  })
  const handlers = Layer.merge(
    Part.toLayer({
      work: ({ input, next }) => Effect.map(Work.call({ of: input }), (done) => next.end(done))
    }),
    Whole.toLayer({
      work: Effect.fnUntraced(function* ({ input, next }) {
        if (input === "call") return next.end(yield* Part.call("a part"))
        yield* Part.start("a part")
        return next.end(yield* Work.call({ of: "the whole" }))
      })
    })
  )
  const explore = (
    input: "call" | "start",
    options: {
      readonly sweep?: "15 seconds"
      readonly fails: "create" | "send"
      readonly seconds: Record<string, number>
    },
    expected: {
      readonly output: string
      readonly check: (outcome: CrashExplorer.Outcome<any, any, any>) => void
    }
  ) =>
    CrashExplorer.explore([Whole, Part], {
      ...how,
      nested: how.nested === 6 ? 2 : "none",

      store: failing(options.fails),
      ...(options.sweep === undefined ? undefined : { worker: { sweep: options.sweep } }),
      world: () =>
        FakeTools.make(
          FakeTools.answer(Work, ({ of }) =>
            FakeTools.after(`${options.seconds[of] ?? 1} seconds`, FakeTools.succeed(`${of} is done`))
          )
        ),
      handlers: (tools) => Layer.provide(handlers, tools.layer),
      scenario: () =>
        Effect.gen(function* () {
          const runs = yield* Runs.Runs
          const output = yield* runs.execute(Whole, input, { id: "r" })
          yield* Effect.sleep("10 minutes")
          return output
        }),
      check: (outcome) =>
        Effect.map(outcome.result, (output) => {
          assert.strictEqual(output, expected.output)
          const [part, ...others] = Object.values(outcome.runs).filter(({ flow }) => flow === "part")
          assert.deepStrictEqual([part?.status, others], ["completed", []])
          for (const { run } of Object.values(outcome.runs)) {
            const events = outcome.journal(run)
            const sent = events.filter(({ kind }) => kind === "sent").length
            assert.strictEqual(events.filter(({ kind }) => kind === "delivered").length, sent)
          }
          expected.check(outcome)
        })
    })

  const bornAt = ({ journal, runs }: CrashExplorer.Outcome<any, any, any>): number =>
    journal(Object.values(runs).find(({ flow }) => flow === "part")!.run)[0]!.time

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a run that cannot start another one for a while: it is started once, as soon as that is tried again",
      () =>
        explore(
          "start",
          { fails: "create", seconds: { "the whole": 300 } },
          {
            output: "the whole is done",
            check: (outcome) => {
              const born = bornAt(outcome)
              assert.isAtLeast(born, repaired)
              // While the visit that started it goes on.
              assert.isAtMost(born, repaired + again + slack)
              if (outcome.cuts.length === 0) assert.closeTo(born, 3 * again, slack)
            }
          }
        ),
      300_000
    )

    it.effect(
      "of a run that rests, and has a message that could not be delivered: it comes when the worker looks again",
      () =>
        explore(
          "call",
          { fails: "create", sweep: "15 seconds", seconds: {} },
          {
            output: "a part is done",
            check: (outcome) => {
              const born = bornAt(outcome)
              assert.isAtLeast(born, repaired)
              assert.isAtMost(born, repaired + again + slack)
            }
          }
        ),
      300_000
    )

    it.effect(
      "of a run that cannot tell for a while that it has ended: who waits for it is told once",
      () =>
        explore(
          "call",
          { fails: "send", sweep: "15 seconds", seconds: {} },
          {
            output: "a part is done",
            check: (outcome) => {
              assert.closeTo(bornAt(outcome), 0, slack)
              const ended = outcome.journal("r").filter(({ kind }) => kind === "waitEnded")
              assert.strictEqual(ended.length, 1)
              assert.isAtLeast(ended[0]!.time, repaired)
              assert.isAtMost(ended[0]!.time, repaired + again + slack)
            }
          }
        ),
      300_000
    )
  })
}
