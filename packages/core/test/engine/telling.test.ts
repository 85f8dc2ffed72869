import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const flow = Flow.make("told", {
  input: Schema.Literals(["end", "wait", "stay"]),
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

const handlers = flow.toLayer({
  work: ({ input, next }) => {
    if (input === "stay") return Effect.never
    const waited = input === "wait" ? Wait.event("go", { schema: Schema.Null }) : Effect.void
    return Effect.as(waited, next.end())
  }
})

it.effect("a worker tells of the runs that it takes up and lets go of, with what became of them", () =>
  Effect.gen(function* () {
    const told: Array<string> = []
    const { boot, client } = machine()
    const others = yield* client
    yield* others.start(flow, "end", { id: "left" })
    const program = Worker.layer({
      flows: [flow],
      onRun: ({ run, status }, what) => Effect.sync(() => told.push(`${run} ${what} ${status}`))
    }).pipe(Layer.provide(handlers))
    const { runs, stop } = yield* boot(program)
    yield* untilStatus(others, "left", "completed")
    yield* runs.start(flow, "wait", { id: "waits" })
    yield* untilStatus(others, "waits", "waiting")
    yield* idle
    yield* runs.signal("waits", "go", null)
    yield* untilStatus(others, "waits", "completed")
    yield* runs.start(flow, "stay", { id: "stays" })
    yield* idle
    yield* stop
    assert.deepStrictEqual(told, [
      "left takenUp pending",
      "left atRest completed",
      "waits takenUp pending",
      "waits atRest waiting",
      "waits takenUp waiting",
      "waits atRest completed",
      "stays takenUp pending",
      "stays atRest pending"
    ])
  })
)

it.effect("what a worker tells cannot break its runs", () =>
  Effect.gen(function* () {
    const logged: Array<unknown> = []
    const program = Worker.layer({
      flows: [flow],
      onRun: ({ run }) => {
        if (run === "throws") throw new Error("no")
        return run === "dies" ? Effect.die("no") : Effect.never
      }
    }).pipe(Layer.provide(handlers))
    const { runs } = yield* machine()
      .boot(program)
      .pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))])))
    for (const id of ["throws", "dies", "hangs"]) {
      yield* runs.start(flow, "end", { id })
      yield* untilStatus(runs, id, "completed")
    }
    assert.strictEqual(JSON.stringify(logged).split("`onRun` failed").length, 5)
  })
)
