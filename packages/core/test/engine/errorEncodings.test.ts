/** An error that the schema of a node and that of its flow encode in two ways. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Worker from "@waymark/core/Worker"
import { machine } from "./process.ts"

/** The day is a text for the node, and a number for the flow. */
const Late = Schema.TaggedStruct("Late", { since: Schema.Date })
const LateInMillis = Schema.TaggedStruct("Late", { since: Schema.DateFromMillis })
class Odd extends Schema.TaggedError<Odd>()("Odd", { n: Schema.Int }) {}

const late = Late.make({ since: new Date(86_400_000) })

const flow = Flow.make("late", {
  input: Schema.Void,
  error: LateInMillis,
  start: "work",
  nodes: { work: Node.make({ to: ["end"], error: Late }) }
})
const handlers = flow.toLayer({ work: () => Effect.fail(late) })

describe("an error that is encoded in one way by a node and in another by its flow", () => {
  it.effect("reaches whoever executes the run, and whoever awaits it later, as what it was", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)))
      assert.deepStrictEqual(yield* Effect.flip(runs.execute(flow, undefined, { id: "late" })), late)
      assert.deepStrictEqual(yield* Effect.flip(runs.await({ id: "late", flow })), late)
    })
  )

  it.effect("reaches a run that waits for that run as what it was", () =>
    Effect.gen(function* () {
      const parent = Flow.make("parent", {
        input: Schema.Void,
        output: Schema.Date,
        start: "ask",
        nodes: { ask: Node.make({ to: ["end"] }) }
      })
      const asking = parent.toLayer({
        ask: ({ next }) =>
          Effect.match(flow.call(undefined), {
            onFailure: ({ since }) => next.end(since),
            onSuccess: () => next.end(new Date(0))
          })
      })
      const { runs } = yield* machine().boot(
        Worker.layer({ flows: [flow, parent] }).pipe(Layer.provide([handlers, asking]))
      )
      assert.deepStrictEqual(yield* runs.execute(parent, undefined), late.since)
    })
  )

  it.effect("is told a policy that restarts runs as what it was", () =>
    Effect.gen(function* () {
      const told: Array<unknown> = []
      const restarting = Flow.make("restarting", {
        input: Schema.Void,
        error: LateInMillis,
        restart: { max: 5, fatal: (error) => told.push(error) === 2 },
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Late }) }
      })
      const failing = restarting.toLayer({ work: () => Effect.fail(late) })
      const { runs } = yield* machine().boot(
        Worker.layer({ flows: [restarting] }).pipe(Layer.provide(failing))
      )
      assert.deepStrictEqual(yield* Effect.flip(runs.execute(restarting, undefined)), late)
      assert.deepStrictEqual(told, [late, late])
    })
  )

  it.effect("of a branch, is what it was for the run that fails, and for the node that joins branches", () =>
    Effect.gen(function* () {
      const fanning = (policy: "failFast" | "collect") =>
        Flow.make("fanning", {
          input: Schema.Void,
          output: Schema.Array(Schema.String),
          // What becomes of any other error is less than what it was.
          error: Schema.Union([LateInMillis, Schema.Defect()]),
          start: "fan",
          nodes: {
            fan: Node.make({ to: [], fanOut: { to: ["work"], join: "over", policy } }),
            work: Node.make({ item: Schema.Int, to: ["over"], error: Schema.Union([Late, Odd]) }),
            over: Node.make({ to: ["end"] })
          }
        })
      const execute = Effect.fnUntraced(function* (policy: "failFast" | "collect") {
        const seen: Array<unknown> = []
        const branching = fanning(policy)
        const live = branching.toLayer({
          fan: ({ next }) => Effect.succeed(next.each([1, 2], "work")),
          work: ({ item }) => Effect.fail(item === 1 ? late : new Odd({ n: item })),
          over: ({ branches, next }) =>
            Effect.sync(() => {
              for (const branch of branches) if (branch.status === "failed") seen.push(branch.error)
              return next.end([])
            })
        })
        const { runs } = yield* machine().boot(Worker.layer({ flows: [branching] }).pipe(Layer.provide(live)))
        return { exit: yield* Effect.exit(runs.execute(branching, undefined)), seen }
      })
      const fast = yield* execute("failFast")
      assert.deepStrictEqual(yield* Effect.flip(fast.exit), late)
      const { seen } = yield* execute("collect")
      assert.deepStrictEqual(seen, [late, new Odd({ n: 2 })])
    })
  )
})
