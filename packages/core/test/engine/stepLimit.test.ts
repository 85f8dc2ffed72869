import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { idle, machine } from "./process.ts"

/** Goes round `rounds` times and ends; `hang` is the visit that hangs until `open`. */
const counting = (maxSteps: number) => {
  const flow = Flow.make("counting", {
    input: Schema.Struct({ rounds: Schema.Int }),
    state: { n: State.counter() },
    output: Schema.Int,
    start: "round",
    maxSteps,
    nodes: { round: Node.make({ to: ["round", "end"] }) }
  })
  const control = { hang: -1, visits: 0 }
  const handlers = flow.toLayer({
    round: ({ input, next, state }) =>
      Effect.suspend(() => {
        control.visits += 1
        if (control.visits === control.hang) return Effect.never
        return Effect.succeed(
          state.n + 1 === input.rounds ? next.end(input.rounds) : next.to("round", { n: 1 })
        )
      })
  })
  return { flow, control, program: Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)) }
}

describe("the step limit", () => {
  it.effect(
    "lets exactly that many visits complete, and fails the one after them before its handler runs",
    () =>
      Effect.gen(function* () {
        const { control, flow, program } = counting(5)
        const { boot, kinds } = machine()
        const { runs } = yield* boot(program)
        const run = yield* runs.start(flow, { rounds: 100 })
        const error = yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(error._tag === "RunFailed" ? error.failure : error, {
          kind: "stepLimit",
          limit: 5
        })
        assert.strictEqual(control.visits, 5)
        assert.strictEqual((yield* kinds(run)).filter((kind) => kind === "visited").length, 5)
        assert.strictEqual((yield* runs.get(run)).steps, 5)
      })
  )

  it.effect("does not count against a run that ends with its last step", () =>
    Effect.gen(function* () {
      const { flow, program } = counting(5)
      const { runs } = yield* machine().boot(program)
      assert.strictEqual(yield* runs.execute(flow, { rounds: 5 }), 5)
      assert.strictEqual((yield* Effect.flip(runs.execute(flow, { rounds: 6 })))._tag, "RunFailed")
    })
  )

  it.effect("can be set when a run is started", () =>
    Effect.gen(function* () {
      const { flow, program } = counting(5)
      const { runs } = yield* machine().boot(program)
      assert.strictEqual(yield* runs.execute(flow, { rounds: 6 }, { maxSteps: 6 }), 6)
      assert.strictEqual(
        (yield* Effect.flip(runs.execute(flow, { rounds: 3 }, { maxSteps: 2 })))._tag,
        "RunFailed"
      )
    })
  )

  it.effect("goes on counting after a crash", () =>
    Effect.gen(function* () {
      const { control, flow, program } = counting(5)
      control.hang = 4
      const { boot, crash, kinds } = machine()
      const first = yield* boot(program)
      const run = yield* first.runs.start(flow, { rounds: 100 }, { durability: "strict" })
      yield* idle
      assert.strictEqual(control.visits, 4)
      yield* crash
      const second = yield* boot(program)
      const error = yield* Effect.flip(second.runs.await(run))
      assert.strictEqual(error._tag, "RunFailed")
      assert.strictEqual((yield* kinds(run)).filter((kind) => kind === "visited").length, 5)
    })
  )

  it.effect("is met again by a retry of the run", () =>
    Effect.gen(function* () {
      const { control, flow, program } = counting(5)
      const { runs } = yield* machine().boot(program)
      const run = yield* runs.start(flow, { rounds: 100 })
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run)
      yield* idle
      const error = yield* Effect.flip(runs.await(run))
      assert.strictEqual(error._tag === "RunFailed" ? error.failure.kind : error, "stepLimit")
      assert.strictEqual(control.visits, 5)
    })
  )
})
