/** The engine, with its power cut at every point: tools that have to show that they are alive. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

const Copy = Tool.make("copy", {
  input: { file: Schema.String },
  output: Schema.String,
  heartbeat: "3 seconds",
  retry: Schedule.recurs(2)
})
/** What became of it when it stalls is not known. */
const Send = Tool.make("send", {
  input: { file: Schema.String },
  output: Schema.String,
  heartbeat: "3 seconds",
  retry: Schedule.recurs(2),
  delivery: "atMostOnce",
  inDoubt: "fail"
})

/** So many signs of life, one each two seconds. */
const beats = (count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.andThen(Effect.sleep("2 seconds"), Tool.heartbeat),
    {
      discard: true
    }
  )

const hung = <A>(effect: Effect.Effect<A, never, Tool.Invocation>) => effect as Effect.Effect<A>

for (const { durability, name, ...how } of variants) {
  /** What a slow disk adds. */
  const slack = how.latency === undefined ? 0 : 20
  const Backup = Flow.make("backup", {
    input: Schema.Void,
    output: Schema.Array(Schema.String),
    start: "copy",
    durability,
    nodes: { copy: Node.make({ to: ["end"] }) }
  })
  const handlers = Backup.toLayer({
    copy: Effect.fnUntraced(function* ({ next }) {
      const copied = yield* Copy.call({ file: "a" })
      const sent = yield* Effect.catchDefect(Send.call({ file: "a" }), () => Effect.succeed("nobody knows"))
      return next.end([copied, sent])
    })
  })

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a run whose tools stall: each try has all the time that it shows signs of life, and no try is hung on to",
      () =>
        CrashExplorer.explore(Backup, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(Copy, (_, { attempt }) =>
                attempt === 1
                  ? hung(Effect.andThen(beats(5), Effect.never))
                  : hung(Effect.as(beats(10), "copied"))
              ),
              FakeTools.answer(Send, () => hung(Effect.andThen(beats(2), Effect.never)))
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => Effect.flatMap(Runs.Runs, (runs) => runs.execute(Backup, undefined, { id: "r" })),
          check: ({ executions, journal, result }) =>
            Effect.map(result, (output) => {
              assert.deepStrictEqual(output, ["copied", "nobody knows"])
              assert.isAtMost(executions.filter(({ tool }) => tool === "send").length, 1)
              let begun = 0
              const stalled: Array<number> = []
              for (const event of journal("r")) {
                if (event.kind === "callStarted" || event.kind === "callRepeated") begun = event.time
                const error = "error" in event ? event.error : undefined
                if (error?.kind === "timeout" && error.what === "heartbeat") stalled.push(event.time - begun)
              }
              // Three seconds after the last sign of life, counted from the try's own beginning.
              assert.closeTo(stalled[0]!, 13_000, slack)
              assert.isAtMost(stalled.length, 2)
              if (stalled.length > 1) assert.closeTo(stalled[1]!, 7_000, slack)
              assert.strictEqual(journal("r").filter(({ kind }) => kind === "callRetried").length, 1)
            })
        }),
      300_000
    )
  })
}
