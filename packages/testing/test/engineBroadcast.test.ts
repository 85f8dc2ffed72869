/** The engine, with its power cut at every point: a signal to many runs at once. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import { variants } from "./engineVariants.ts"
import { keeps } from "./engineWaiting.ts"

const names = ["a", "b", "c"] as const

for (const { durability, name, ...how } of variants) {
  const Listening = Flow.make("listening", {
    input: Schema.String,
    output: Schema.String,
    signals: { go: Schema.String },
    start: "listen",
    durability,
    nodes: { listen: Node.make({ to: ["end"] }) }
  })
  const handlers = Listening.toLayer({
    listen: ({ input, next }) =>
      Effect.gen(function* () {
        const heard = yield* Wait.event("go", { schema: Schema.String })
        yield* Run.attributes({ heard })
        return next.end(`${input} heard ${heard}`)
      })
  })

  describe(`a crash at any point (${name})`, () => {
    // Where the disk makes the difference, one way of waiting is enough.
    for (const { how: kept, worker } of durability === "pipelined" && how.latency === undefined
      ? keeps
      : keeps.slice(0, 1)) {
      it.effect(
        `loses no run of those that a broadcast is for, and none hears it twice; nor does any other (fibers are ${kept})`,
        () =>
          CrashExplorer.explore(Listening, {
            ...how,
            worker,

            world: () => undefined,
            handlers: () => handlers,
            scenario: () =>
              Effect.gen(function* () {
                const runs = yield* Runs.Runs
                const started = yield* Effect.forEach(names, (id) =>
                  runs.start(Listening, id, { id, session: id === "c" ? "other" : "ours" })
                )
                // Whoever sends it again under its id sends the same one.
                yield* runs.broadcast({ session: "ours" }, "go", "it", { commandId: "broadcast" })
                yield* runs.signal("c", "go", "another", { commandId: "alone" })
                const heard = yield* Effect.forEach(started, (run) => runs.await(run))
                const { runs: found } = yield* runs.list({ attributes: { heard: "it" }, order: "oldest" })
                return { heard, found: found.map(({ run }) => run).sort() }
              }),
            check: ({ journal, result }) =>
              Effect.map(result, ({ found, heard }) => {
                assert.deepStrictEqual(heard, ["a heard it", "b heard it", "c heard another"])
                assert.deepStrictEqual(found, ["a", "b"])
                for (const id of names) {
                  const events = journal(id)
                  assert.lengthOf(
                    events.filter(({ kind }) => kind === "signalled"),
                    events.some((event) => event.kind === "waitEnded" && event.signal !== undefined) ? 1 : 0
                  )
                  assert.lengthOf(
                    events.filter(({ kind }) => kind === "waitEnded"),
                    1
                  )
                }
              })
          }),
        300_000
      )
    }
  })
}
