/** Values that are nested so deeply that whoever handles them runs out of stack. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import type { InvalidValue } from "@waymark/core/RunError"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { machine, untilStatus } from "./process.ts"

const nested = (levels: number): Schema.Json => {
  let value: Schema.Json = []
  for (let level = 1; level < levels; level++) value = [value]
  return value
}

interface Tree {
  readonly below: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({ below: Schema.Array(Schema.suspend(() => Tree)) })
const treeOf = (levels: number): Tree => {
  let tree: Tree = { below: [] }
  for (let level = 1; level < levels; level++) tree = { below: [tree] }
  return tree
}

const Deep = Tool.make("deep", { input: { levels: Schema.Int }, output: Schema.Json })
const Take = Tool.make("take", { input: { value: Schema.Json }, output: Schema.Json })
const Grow = Tool.make("grow", { input: { levels: Schema.Int }, output: Tree })

const flow = Flow.make("deep", {
  input: Schema.Json,
  state: { kept: State.optional(Schema.Json) },
  output: Schema.Json,
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

const boot = <R>(work: Flow.Handler<typeof flow, "work", R>) => {
  const tools = Layer.mergeAll(
    Deep.toLayer(({ levels }) => Effect.succeed(nested(levels))),
    Take.toLayer(({ value }) => Effect.succeed(value)),
    Grow.toLayer(({ levels }) => Effect.succeed(treeOf(levels)))
  )
  const handlers = (flow.toLayer({ work }) as unknown as Layer.Layer<Flow.Handlers<"deep">>).pipe(
    Layer.provide(tools)
  )
  return Effect.map(
    machine().boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers))),
    ({ runs }) => runs
  )
}

/** What the effect broke with. */
const broken = <R>(effect: Effect.Effect<unknown, unknown, R>): Effect.Effect<any, unknown, R> =>
  Effect.map(Effect.flip(Effect.sandbox(effect)), (cause) => Cause.squash(cause))

const tooDeep = /is nested too deeply/

describe("a value that is nested too deeply", () => {
  it.effect("breaks the call that gives or takes it, which says so, and nothing else", () =>
    Effect.gen(function* () {
      const runs = yield* boot(({ next }) =>
        Effect.map(
          Effect.orDie(
            Effect.all([
              broken(Deep.call({ levels: 6_000 })),
              broken(Deep.call({ levels: 100_000 })),
              broken(Grow.call({ levels: 6_000 })),
              broken(Take.call({ value: nested(6_000) }))
            ])
          ),
          (defects) => next.end(defects.map(({ _tag, message }) => [_tag, message]))
        )
      )
      const told = (yield* runs.execute(flow, null)) as ReadonlyArray<readonly [string, string]>
      assert.deepStrictEqual(
        told.map(([tag]) => tag),
        told.map(() => "Unencodable")
      )
      for (const [, message] of told) assert.match(message, tooDeep)
      assert.include(told[0]![1], "the output of tool deep")
      assert.include(told[3]![1], "the input of tool take")
    })
  )

  it.effect("fails the run whose node gives it, as update and as output", () =>
    Effect.gen(function* () {
      const runs = yield* boot(({ input, next }) =>
        Effect.succeed(input === "update" ? next.end(null, { kept: nested(6_000) }) : next.end(nested(6_000)))
      )
      for (const input of ["update", "output"]) {
        const { failure } = yield* broken(runs.execute(flow, input))
        assert.strictEqual(failure.kind, "encoding")
        assert.match(failure.message, tooDeep)
      }
    })
  )

  it.effect("is refused as an input, as an edit, and as what a run is told", () =>
    Effect.gen(function* () {
      const runs = yield* boot(({ next }) =>
        Effect.map(Wait.event("told", { schema: Schema.Json }), (told) => next.end(told))
      )
      const value = nested(6_000)
      const started = yield* Effect.flip(runs.start(flow, value, { id: "never" }))
      assert.strictEqual(started._tag, "InvalidValue")
      assert.match(started.message, tooDeep)
      const run = yield* runs.start(flow, null)
      yield* untilStatus(runs, run, "waiting")
      for (const telling of [
        runs.signal(run.id, "told", value),
        runs.answer(run, "told", value),
        Effect.asVoid(runs.fork(run, 0, { edits: { kept: value } }))
      ]) {
        const refused = yield* Effect.flip(telling as Effect.Effect<void, InvalidValue>)
        assert.strictEqual(refused._tag, "InvalidValue")
        assert.match(refused.message, tooDeep)
      }
      yield* runs.signal(run, "told", "enough")
      assert.strictEqual(yield* runs.await(run), "enough")
    })
  )

  it.effect("is not one of 500 levels", () =>
    Effect.gen(function* () {
      const runs = yield* boot(({ input, next }) =>
        Effect.map(Take.call({ value: input }), (value) => next.end(value, { kept: value }))
      )
      // What a tool takes is an object around it.
      assert.deepStrictEqual(yield* runs.execute(flow, nested(499)), nested(499))
    })
  )
})
