import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Manifest from "@waymark/core/Manifest"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { oneNode, program } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

class Bad extends Schema.TaggedError<Bad>()("Bad", {}) {}

const never = Schedule.spaced(Duration.infinity)

describe("what nobody could read again is not written", () => {
  for (const [what, time] of [
    ["a date that is none", new Date("garbage")],
    ["a time that is no number", Number.NaN],
    ["a time that never comes", Number.POSITIVE_INFINITY]
  ] as const) {
    it.effect(`a wait until ${what} is a defect of its handler`, () =>
      Effect.gen(function* () {
        const computer = machine()
        const { runs } = yield* computer.boot(
          program(({ next }) => Effect.as(Wait.until(time), next.end([])))
        )
        const run = yield* runs.start(oneNode, {})
        yield* idle
        const { error, status } = yield* runs.get(run)
        assert.strictEqual(status, "failed")
        assert.strictEqual(error?.tag, "RangeError")
        assert.include(error?.message ?? "", "the wait for time in node work is to be over at")
        assert.deepStrictEqual(yield* computer.kinds(run), ["created", "failed"])
      })
    )
  }

  it.effect("a tag that is no text is a defect of the handler that gives it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(
        program(({ next }) => Effect.as(Run.tag(5 as never), next.end([])))
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      const { error, status } = yield* runs.get(run)
      assert.strictEqual(status, "failed")
      assert.strictEqual(error?.tag, "IllegalEvent")
      assert.include(error?.message ?? "", "the tagged event at seq 1")
      assert.include(error?.message ?? "", `["tags"][0]`)
      yield* runs.stateAt(run)
    })
  )

  it.effect("tags that are no list are refused when a run is started with them", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(program(({ next }) => Effect.succeed(next.end([]))))
      const error = yield* Effect.flip(runs.start(oneNode, {}, { id: "r", tags: "urgent" as never }))
      assert.strictEqual(error._tag, "InvalidValue")
      const { status } = yield* Effect.andThen(runs.start(oneNode, {}, { id: "r" }), runs.get("r"))
      assert.include(["pending", "running", "completed"], status)
    })
  )

  it.effect("nor is a command that nobody could carry out put in an inbox", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(program(({ next }) => Effect.succeed(next.end([]))))
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const mark = (tags: ReadonlyArray<string>) =>
        Runs.bookmark(run, 0, { name: "start", tags, until: "applied" }).pipe(
          Effect.provideService(Runs.Runs, runs)
        )
      const exit = yield* Effect.exit(mark("urgent" as never))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      yield* mark(["urgent"])
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "bookmarked")).map(({ tags }) => tags),
        [["urgent"]]
      )
    })
  )
})

describe("a schedule whose next delay is infinite", () => {
  it.effect("has ended: for nodes, tools and restarts", () =>
    Effect.gen(function* () {
      let tries = 0
      const Fails = Tool.make("fails", { error: Bad, input: {}, retry: never })
      const flow = Flow.make("never-again", {
        input: Schema.Struct({}),
        error: Bad,
        restart: { max: 3, schedule: never },
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Bad, retry: never }) }
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(flow.toLayer({ work: ({ next }) => Effect.as(Fails.call({}), next.end()) })),
        Layer.provide(
          Fails.toLayer(() =>
            Effect.suspend(() => {
              tries += 1
              return Effect.fail(new Bad())
            })
          )
        )
      )
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {})
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "failed")
      assert.strictEqual(tries, 1)
      assert.deepStrictEqual(yield* computer.kinds(run), ["created", "callStarted", "callFailed", "failed"])
      assert.strictEqual(Manifest.manifest(flow).nodes[0]!.retry, "never")
    })
  )

  it("a timeout that is infinite is none in a manifest", () => {
    const flow = Flow.make("patient", {
      input: Schema.Struct({}),
      timeout: Duration.infinity,
      start: "work",
      nodes: { work: Node.make({ to: ["end"], timeout: Duration.infinity }) }
    })
    const manifest = Manifest.manifest(flow)
    assert.isFalse("timeout" in manifest)
    assert.isFalse("timeout" in manifest.nodes[0]!)
  })
})
