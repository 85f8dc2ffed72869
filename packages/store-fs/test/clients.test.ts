import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { vi } from "vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { open } from "./scenario.ts"

const Draft = Flow.make("draft", {
  input: Schema.Void,
  state: { tries: State.counter(), title: State.optional(Schema.String) },
  output: Schema.String,
  start: "count",
  nodes: { count: Node.make({ to: ["check"] }), check: Node.make({ to: ["end"] }) }
})

/** A process with a worker, and two that only have clients. */
const three = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const machine = makeMachine()
  const process = Effect.map(
    open(NodeFileSystem.layer, machine, { directory, pollInterval: 10, segmentSize: 1e6 }),
    ({ store }) => Layer.succeed(Store, store)
  )
  let attempts = 0
  const handlers = Draft.toLayer({
    count: ({ next }) => Effect.succeed(next.to("check", { tries: 1 })),
    check: Effect.fnUntraced(function* ({ next, state }) {
      attempts += 1
      if (state.title === undefined) return yield* Effect.die(new Error(`no title at attempt ${attempts}`))
      return next.end(state.title)
    })
  })
  const worker = Worker.layer({ flows: [Draft] }).pipe(Layer.provide(handlers))
  const runsOf = (layer: Layer.Layer<Runs.Runs, unknown, Store>) =>
    Effect.gen(function* () {
      const store = yield* process
      return Context.get(yield* Layer.build(Layer.fresh(layer).pipe(Layer.provide(store))), Runs.Runs)
    })
  return {
    here: yield* runsOf(worker),
    there: yield* runsOf(Runs.layer),
    elsewhere: yield* runsOf(Runs.layer)
  }
})

const using = (runs: Runs.Runs["Service"]) => Effect.provideService(Runs.Runs, runs)

vi.setConfig({ testTimeout: 300_000 })

describe("clients in other processes", () => {
  it.live("follow a run, retry it, and are never told of the failure before", () =>
    Effect.gen(function* () {
      const { elsewhere, here, there } = yield* three
      const following = yield* Effect.forkChild(
        Effect.retry(Runs.awaitUntil("r", ({ status }) => status === "failed").pipe(using(elsewhere)), {
          while: ({ _tag }) => _tag === "RunNotFound",
          schedule: Schedule.spaced("10 millis")
        })
      )
      const run = yield* here.start(Draft, undefined, { id: "r" })
      yield* Effect.flip(there.await(run))
      yield* Fiber.join(following)
      for (let attempt = 2; attempt < 8; attempt++) {
        yield* (attempt % 2 === 0 ? there : here).retry(run)
        for (const runs of [there, elsewhere, here]) {
          const error = yield* Effect.flip(runs.await(run))
          assert.include(error.message, `attempt ${attempt}`)
        }
      }
      const waiting = yield* Effect.forkChild(
        Runs.awaitUntil(run, ({ status }) => status === "completed", { timeout: "30 seconds" }).pipe(
          using(elsewhere),
          Effect.retry({ while: ({ _tag }) => _tag === "RunEnded", schedule: Schedule.spaced("10 millis") })
        )
      )
      yield* there.retry(run, { actor: "ada", edits: { title: "Snow" } })
      assert.strictEqual(yield* there.await(run), "Snow")
      yield* Fiber.join(waiting)
      const restarts = yield* elsewhere.history(run, { kind: "restarted" })
      assert.strictEqual(restarts.length, 7)
      assert.deepInclude(yield* Runs.blame(run, "title").pipe(using(elsewhere)), {
        actor: "ada",
        seq: restarts[0]!.seq
      })
      yield* Effect.provideService(Runs.verify(run), Runs.Runs, elsewhere)
    }).pipe(Effect.scoped)
  )

  it.live("leave notes at once in a run that nobody has, each of them once", () =>
    Effect.gen(function* () {
      const { elsewhere, here, there } = yield* three
      const run = yield* here.start(Draft, undefined, { id: "r" })
      yield* Effect.flip(there.await(run))
      const leave = (by: Runs.Runs["Service"], id: string) =>
        Runs.bookmark(run, 0, { name: id, commandId: id, until: "applied" }).pipe(using(by))
      yield* Effect.all(
        ["a", "b", "c"].flatMap((id) => [here, there, elsewhere].map((by) => leave(by, id))),
        { concurrency: "unbounded" }
      )
      const left = yield* there.history(run, { kind: "bookmarked" })
      assert.deepStrictEqual(left.map(({ command }) => command ?? "").sort(), ["a", "b", "c"])
      for (const runs of [here, there, elsewhere]) {
        const found = yield* runs.list({ bookmark: "b" })
        assert.deepStrictEqual(
          found.runs.map(({ run: id }) => id),
          ["r"]
        )
      }
      yield* Effect.provideService(Runs.verify(run), Runs.Runs, elsewhere)
    }).pipe(Effect.scoped)
  )
})
