import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import type * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const input = Schema.Struct({})
const go = Wait.event("go", { schema: Schema.String })

const asking = (timeout?: "1 minute") =>
  Flow.make("asking", {
    input,
    output: Schema.String,
    start: "work",
    nodes: { work: Node.make({ to: ["end"], ...(timeout && { timeout }) }) }
  })
type Asking = ReturnType<typeof asking>

const working = (
  work: Flow.Handler<Asking, "work", Visit>,
  options: Omit<Worker.Options<[]>, "flows"> = {},
  flow = asking()
) => ({ flow, live: Worker.layer({ ...options, flows: [flow] }).pipe(Layer.provide(flow.toLayer({ work }))) })

for (const [mode, keepWaiting] of [
  ["runs leave memory while they wait", 0],
  ["fibers are kept while they wait", "1 hour"]
] as const) {
  describe(`a handler that catches what interrupts it does not see that it is suspended (${mode}):`, () => {
    const cases: ReadonlyArray<readonly [string, (after: () => void) => Effect.Effect<string, never, any>]> =
      [
        [
          "it looks at how the wait ended, in a loop",
          (after) =>
            Effect.gen(function* () {
              while (true) {
                const ended = yield* Effect.exit(go)
                if (Exit.isSuccess(ended)) return ended.value
                after()
              }
            })
        ],
        [
          "it has something else to answer",
          (after) => Effect.catchCause(go, () => Effect.sync(() => (after(), "else")))
        ]
      ]
    for (const [what, wait] of cases) {
      for (const timeout of [undefined, "1 minute"] as const) {
        it.effect(timeout === undefined ? what : `${what}, in a limited time`, () =>
          Effect.gen(function* () {
            let after = 0
            let executed = 0
            const { flow, live } = working(
              ({ next }) =>
                Effect.suspend(() => {
                  // Without an end of it, nothing else would be executed any more.
                  if (++executed > 1000 || after > 1000) return Effect.never
                  return Effect.map(
                    wait(() => (after += 1)),
                    (value) => next.end(value)
                  )
                }) as Effect.Effect<any>,
              { keepWaiting },
              asking(timeout)
            )
            const computer = machine()
            const { runs } = yield* computer.boot(live)
            const run = yield* runs.start(flow, {})
            yield* untilStatus(runs, run, "waiting")
            yield* idle
            assert.strictEqual(after, 0)
            yield* runs.signal(run, "go", "gone")
            assert.strictEqual(yield* runs.await(run), "gone")
            assert.strictEqual(after, 0)
            assert.deepStrictEqual(yield* computer.kinds(run), [
              "created",
              "waitOpened",
              ...(keepWaiting === 0 || timeout !== undefined ? (["claimed"] as const) : []),
              "waitEnded",
              "visited",
              "completed"
            ])
          })
        )
      }
    }
  })
}

describe("a handler that waits where it cannot be interrupted", () => {
  it.effect("is suspended, too", () =>
    Effect.gen(function* () {
      const { flow, live } = working(({ next }) =>
        Effect.uninterruptible(Effect.map(go, (value) => next.end(value)))
      )
      const { runs, worker } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(yield* worker.running, [])
      yield* runs.signal(run, "go", "gone")
      assert.strictEqual(yield* runs.await(run), "gone")
    })
  )

  it.effect("and asks again and again is left behind; its run goes on when the wait is over", () =>
    Effect.gen(function* () {
      let turns = 0
      const { flow, live } = working(
        ({ next }) =>
          Effect.gen(function* () {
            while (true) {
              if (++turns > 10_000) return yield* Effect.never
              const ended = yield* Effect.exit(go)
              if (Exit.isSuccess(ended)) return next.end(ended.value)
            }
          }).pipe(Effect.uninterruptible),
        { grace: "5 seconds" }
      )
      const { runs, worker } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {})
      yield* idle
      yield* TestClock.adjust("5 seconds")
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(yield* worker.running, [])
      assert.strictEqual((yield* worker.stuck).length, 1)
      assert.isBelow(turns, 1000)
      yield* runs.signal(run, "go", "gone")
      assert.strictEqual(yield* runs.await(run), "gone")
    })
  )
})

const Release = Tool.make("release", { input: { what: Schema.String } })

for (const [mode, keepWaiting] of [
  ["runs leave memory while they wait", 0],
  ["fibers are kept while they wait", "1 hour"]
] as const) {
  describe(`finalizers around a wait can call tools when their run ends, and then only (${mode}):`, () => {
    const release = (what: string) => Effect.orDie(Release.call({ what }))
    const styles: ReadonlyArray<readonly [string, (what: string) => Effect.Effect<string, never, any>]> = [
      ["onInterrupt", (what) => Effect.onInterrupt(go, () => release(what))],
      ["ensuring", (what) => Effect.ensuring(go, release(what))],
      [
        "acquireRelease",
        (what) =>
          Effect.scoped(
            Effect.andThen(
              Effect.acquireRelease(Effect.void, () => release(what)),
              go
            )
          )
      ]
    ]
    const flow = Flow.make("holding", {
      input: Schema.Boolean,
      output: Schema.String,
      start: "work",
      timeout: "1 day",
      nodes: {
        work: Node.make({ to: ["end"], fanOut: { to: ["branch"], join: "join" } }),
        branch: Node.make({ item: Schema.String, to: ["join"] }),
        join: Node.make({ to: ["end"] })
      }
    })
    const holding = (wait: (what: string) => Effect.Effect<string, never, any>) => {
      const released: Array<string> = []
      const handlers = flow.toLayer({
        work: ({ input: branches, next }: any) =>
          branches
            ? Effect.succeed(next.each(["a", "b"], "branch"))
            : Effect.map(wait("main"), (value) => next.end(value)),
        branch: ({ item, next }: any) => Effect.as(wait(item), next.to("join")),
        join: ({ next }: any) => Effect.succeed(next.end("joined"))
      } as any) as unknown as Layer.Layer<Flow.Handlers<"holding">>
      const live = Worker.layer({ flows: [flow], keepWaiting }).pipe(
        Layer.provide(handlers),
        Layer.provide(Release.toLayer(({ what }) => Effect.sync(() => void released.push(what))))
      )
      return { live, released }
    }

    for (const [style, wait] of styles) {
      for (const branches of [false, true]) {
        it.effect(`${style}, ${branches ? "in branches" : "on the main line"}`, () =>
          Effect.gen(function* () {
            const { live, released } = holding(wait)
            const computer = machine()
            const { runs } = yield* computer.boot(live)
            const all = branches ? ["a", "b"] : ["main"]
            const start = runs.start(flow, branches)
            const [cancelled, late, ended] = [yield* start, yield* start, yield* start]
            for (const run of [cancelled, late, ended]) yield* untilStatus(runs, run, "waiting")
            yield* idle
            const before = yield* computer.kinds(cancelled)
            assert.notInclude(before, "callStarted")
            assert.deepStrictEqual(released, [])
            const calls = all.flatMap(() => ["callStarted", "callCompleted"])
            const since = (run: Runs.Run<any>) =>
              Effect.map(computer.kinds(run), (kinds) =>
                kinds.slice(before.length).filter((kind) => kind !== "claimed")
              )

            yield* runs.cancel(cancelled, "no")
            assert.deepStrictEqual([...released].sort(), all)
            assert.deepStrictEqual(
              (yield* since(cancelled)).sort(),
              ["cancelRequested", "cancelled", ...calls].sort()
            )

            // What ends well.
            released.length = 0
            for (const _ of all) yield* runs.signal(ended, "go", "gone", { until: "applied" })
            assert.strictEqual(yield* runs.await(ended), branches ? "joined" : "gone")
            assert.deepStrictEqual([...released].sort(), style === "onInterrupt" ? [] : all)

            released.length = 0
            yield* TestClock.adjust("1 day")
            yield* untilStatus(runs, late, "failed")
            assert.deepStrictEqual([...released].sort(), all)
            assert.deepStrictEqual((yield* since(late)).sort(), [...calls, "failed"].sort())
          })
        )
      }
    }

    it.effect("not in a later process if theirs dies before they are through", () =>
      Effect.gen(function* () {
        const released: Array<string> = []
        const handlers = flow.toLayer({
          work: ({ next }: any) =>
            Effect.map(Effect.ensuring(go, Effect.andThen(release("first"), release("second"))), (value) =>
              next.end(value)
            ),
          branch: () => Effect.never,
          join: () => Effect.never
        } as any) as unknown as Layer.Layer<Flow.Handlers<"holding">>
        let isStuck = true
        const live = Worker.layer({ flows: [flow], keepWaiting }).pipe(
          Layer.provide(handlers),
          Layer.provide(
            Release.toLayer(({ what }) =>
              Effect.suspend(() => {
                if (what === "second" && isStuck) return Effect.never
                released.push(what)
                return Effect.void
              })
            )
          )
        )
        const computer = machine()
        const first = yield* computer.boot(live)
        const run = yield* first.runs.start(flow, false)
        yield* untilStatus(first.runs, run, "waiting")
        yield* idle
        yield* Effect.forkChild(first.runs.cancel(run, "no"))
        yield* idle
        assert.deepStrictEqual(released, ["first"])
        yield* computer.crash
        isStuck = false
        const second = yield* computer.boot(live)
        yield* untilStatus(second.runs, run, "cancelled")
        assert.deepStrictEqual(released, ["first"])
      })
    )
  })
}

describe("a handler that waits and is not kept, and whose run is cancelled,", () => {
  it.effect("is not executed for longer than the grace time if it does not come to its wait again", () =>
    Effect.gen(function* () {
      let executed = 0
      const log: Array<string> = []
      const { flow, live } = working(
        ({ next }) =>
          Effect.gen(function* () {
            if (++executed > 1) {
              return yield* Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("interrupted")))
            }
            return next.end(yield* go)
          }),
        { grace: "5 seconds" }
      )
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      yield* Effect.forkChild(runs.cancel(run, "no"))
      yield* idle
      assert.deepStrictEqual([executed, log], [2, []])
      yield* TestClock.adjust("5 seconds")
      yield* untilStatus(runs, run, "cancelled")
      assert.deepStrictEqual(log, ["interrupted"])
    })
  )

  it.effect("calls nothing that it had not called before its wait", () =>
    Effect.gen(function* () {
      let executed = 0
      const released: Array<string> = []
      const flow = asking()
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            work: ({ next }) =>
              Effect.gen(function* () {
                if (++executed > 1) yield* Effect.orDie(Release.call({ what: "unasked" }))
                return next.end(yield* go)
              })
          })
        ),
        Layer.provide(Release.toLayer(({ what }) => Effect.sync(() => void released.push(what))))
      )
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {})
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.strictEqual(yield* runs.cancel(run, "no"), "cancelled")
      assert.deepStrictEqual([executed, released], [2, []])
      assert.deepStrictEqual(yield* computer.kinds(run), [
        "created",
        "waitOpened",
        "claimed",
        "cancelRequested",
        "cancelled"
      ])
    })
  )
})
