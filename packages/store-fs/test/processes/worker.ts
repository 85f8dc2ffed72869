/**
 * A process that works on one run in a directory: twenty-five calls of a tool that writes down when it begins and ends. The
 * first process does not get beyond the eleventh before there is another, however long it takes until it is stopped.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Flow, Node, Runs, State, Tool, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer, Schema } from "effect"
import { appendFileSync, readFileSync } from "node:fs"

const [directory = "", run = "", witness = ""] = process.argv.slice(2)

const Tick = Tool.make("tick", { input: { n: Schema.Int }, output: Schema.Int })

export const Ticks = Flow.make("ticks", {
  input: Schema.Struct({ count: Schema.Int }),
  state: { sum: State.counter(), ticks: State.counter() },
  output: Schema.Int,
  start: "tick",
  nodes: { tick: Node.make({ to: ["tick", "end"] }) }
})

const handlers = Ticks.toLayer({
  tick: Effect.fn("tick")(function* ({ input, next, state }) {
    const n = yield* Tick.call({ n: state.ticks })
    return state.ticks + 1 < input.count ? next.to("tick", { ticks: 1, sum: n }) : next.end(state.sum + n)
  })
})

const note = (what: string) => Effect.sync(() => appendFileSync(witness, `${process.pid} ${what}\n`))

const isAlone = (): boolean =>
  readFileSync(witness, "utf8")
    .split("\n")
    .every((line) => line === "" || line.startsWith(`${process.pid} `))

const tick = Tick.toLayer(({ n }) =>
  note(`begin ${n}`).pipe(
    Effect.andThen(
      Effect.repeat(Effect.sleep("20 millis"), { while: () => Effect.sync(() => n === 10 && isAlone()) })
    ),
    Effect.andThen(note(`end ${n}`)),
    Effect.as(n)
  )
)

const program = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const sum = yield* runs.execute(Ticks, { count: 25 }, { id: run })
  yield* note(`sum ${sum}`)
})

program.pipe(
  Effect.provide(
    Worker.layer({ flows: [Ticks] }).pipe(
      Layer.provide(handlers),
      Layer.provide(tick),
      Layer.provide(FsStore.layer({ directory, leaseTtl: "2 seconds", pollInterval: "50 millis" }))
    )
  ),
  NodeRuntime.runMain
)
