import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Codec } from "@waymark/core/Codec"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
class Other extends Schema.TaggedError<Other>()("Other", {}) {}

const flow = Flow.make("asking", {
  input: Schema.Struct({}),
  state: { got: State.list(Schema.String) },
  output: Schema.String,
  start: "ask",
  nodes: { ask: Node.make({ to: ["end"] }) }
})

/** The flow with a tool whose schemas may be others, and whose second call hangs if it is told so. */
const worker = (output: Schema.Codec<any, any>, error: Schema.Codec<any, any>, world: { hang: boolean }) => {
  const Ask = Tool.make("ask", { input: { n: Schema.Int }, output, error })
  return Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        ask: ({ next }) =>
          Effect.gen(function* () {
            const first = yield* Effect.result(Ask.call({ n: 1 }))
            yield* Effect.ignore(Ask.call({ n: 2 }))
            return next.end(JSON.stringify(first))
          })
      })
    ),
    Layer.provide(
      Ask.toLayer(({ n }) =>
        n === 2 && world.hang
          ? Effect.never
          : error === Refused
            ? Effect.fail(new Refused({ why: "private" }))
            : Effect.succeed("private")
      )
    )
  )
}

const reversing: Codec = {
  name: "reversing",
  encrypts: true,
  encode: (value) => Effect.succeed(Array.from(JSON.stringify(value)).reverse().join("")),
  decode: (value) =>
    Effect.sync(
      () =>
        JSON.parse(
          Array.from(value as string)
            .reverse()
            .join("")
        ) as Schema.Json
    )
}

describe("a recorded call that does not fit the tool's schemas any more", () => {
  for (const [name, before, after, says] of [
    ["because its output is another", [Schema.String, Schema.Never], [Schema.Int, Schema.Never], "Expected"],
    ["because its error is another", [Schema.String, Refused], [Schema.String, Other], "the error Refused"]
  ] as const) {
    it.effect(`${name}, pauses the run as incompatible and does not fail it`, () =>
      Effect.gen(function* () {
        const computer = machine()
        const world = { hang: true }
        const first = yield* computer.boot(worker(before[0], before[1], world))
        const run = yield* first.runs.start(flow, {}, { id: "r" })
        yield* idle
        yield* computer.crash
        const second = yield* computer.boot(worker(after[0], after[1], world))
        yield* untilStatus(second.runs, run, "paused")
        const [paused] = yield* computer.eventsOf(run, "paused")
        assert.strictEqual(paused!.reason.kind, "incompatible")
        const { message } = paused!.reason as { readonly message: string }
        for (const text of ["visit 1 of node ask", "a call of tool ask, recorded at seq 1", says])
          assert.include(message, text)
        yield* second.stop
        world.hang = false
        const third = yield* computer.boot(worker(before[0], before[1], world))
        yield* third.runs.resume(run)
        assert.include(yield* third.runs.await(run), "private")
      })
    )
  }

  it.effect("is told without what was recorded if that is encrypted", () =>
    Effect.gen(function* () {
      const computer = machine()
      const sealed = (live: Parameters<typeof computer.boot>[0]) =>
        live.pipe(Layer.provide(Layer.succeed(Codec, reversing)))
      const first = yield* computer.boot(sealed(worker(Schema.String, Schema.Never, { hang: true })))
      const run = yield* first.runs.start(flow, {}, { id: "r" })
      yield* idle
      yield* computer.crash
      const second = yield* computer.boot(sealed(worker(Schema.Int, Schema.Never, { hang: true })))
      yield* untilStatus(second.runs, run, "paused")
      const [paused] = yield* computer.eventsOf(run, "paused")
      assert.include((paused!.reason as { readonly message: string }).message, "recorded at seq 1")
      assert.notInclude(JSON.stringify(yield* computer.journal(run)), "private")
    })
  )

  it.effect("is a divergence in a replay", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = { hang: false }
      const first = yield* computer.boot(worker(Schema.String, Schema.Never, world))
      const run = yield* first.runs.start(flow, {}, { id: "r" })
      yield* first.runs.await(run)
      const changed = Tool.make("ask", { input: { n: Schema.Int }, output: Schema.Int })
      const report = yield* Effect.provideService(
        Runs.replay(Runs.ref(flow, "r")),
        Runs.Runs,
        first.runs
      ).pipe(
        Effect.provide(
          flow
            .toLayer({
              ask: ({ next }) => Effect.map(changed.call({ n: 1 }), (n) => next.end(String(n)))
            })
            .pipe(Layer.provide(changed.toLayer(() => Effect.succeed(1))))
        )
      )
      assert.deepInclude(report.divergences[0]?.got, { kind: "incompatible" })
    })
  )
})
