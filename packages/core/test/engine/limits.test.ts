import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

/** Goes round between two nodes; each visit of `work` takes a second. */
const rounds = (options: {
  readonly maxVisits?: number
  readonly maxSteps?: number
  readonly warnAt?: number
  readonly onExceeded?: "pause" | "fail"
  /** The same two of the node that has a limit of visits. */
  readonly node?: { readonly warnAt?: number; readonly onExceeded?: "pause" | "fail" }
}) => {
  const { maxSteps = 1_000, maxVisits, node, onExceeded = "fail", warnAt } = options
  const flow = Flow.make("rounds", {
    input: Schema.Struct({ rounds: Schema.Int }),
    state: { n: State.counter() },
    output: Schema.Int,
    start: "work",
    maxSteps,
    onExceeded,
    ...(warnAt === undefined ? undefined : { warnAt }),
    nodes: {
      work: Node.make({ to: ["check"], ...node, ...(maxVisits === undefined ? undefined : { maxVisits }) }),
      check: Node.make({ to: ["work", "end"] })
    }
  })
  const visits = { work: 0 }
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        work: ({ next }) =>
          Effect.gen(function* () {
            visits.work += 1
            yield* Effect.sleep("1 second")
            return next.to("check", { n: 1 })
          }),
        check: ({ input, next, state }) =>
          Effect.succeed(state.n === input.rounds ? next.end(state.n) : next.to("work"))
      })
    )
  )
  return { flow, live, visits }
}

const failureOf = (error: { readonly _tag: string }) => ("failure" in error ? error.failure : error)

describe("the limit of visits of a node", () => {
  it.effect(
    "lets exactly that many visits of it complete, and fails the run before its handler runs once more",
    () =>
      Effect.gen(function* () {
        const { flow, live, visits } = rounds({ maxVisits: 3 })
        const { boot, eventsOf } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(flow, { rounds: 9 })
        yield* TestClock.adjust("1 minute")
        const error = yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(failureOf(error), { kind: "visitLimit", node: "work", limit: 3 })
        assert.match(error.message, /node work was visited 3 times, as often as it may be/)
        assert.strictEqual(visits.work, 3)
        const of = (yield* eventsOf(run, "visited")).map(({ node }) => node)
        assert.deepStrictEqual(of, ["work", "check", "work", "check", "work", "check"])
        assert.deepInclude((yield* eventsOf(run, "failed"))[0], { node: "work", visit: 7, attempt: 1 })
      })
  )

  it.effect("does not count against a run that needs exactly as many", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxVisits: 3 })
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, { rounds: 3 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 3)
    })
  )

  it.effect("goes on counting after a crash, and an execution that is repeated is no other visit", () =>
    Effect.gen(function* () {
      const { flow, live, visits } = rounds({ maxVisits: 3 })
      const { boot, crash, eventsOf } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, { rounds: 9 }, { durability: "strict" })
      yield* TestClock.adjust("1500 millis")
      yield* crash
      const { runs } = yield* boot(live)
      yield* TestClock.adjust("1 minute")
      yield* Effect.flip(runs.await(run))
      assert.strictEqual(visits.work, 4)
      assert.strictEqual((yield* eventsOf(run, "visited")).length, 6)
    })
  )

  it.effect("pauses the run if the node says so, until it is raised and the run is resumed", () =>
    Effect.gen(function* () {
      const { flow, live, visits } = rounds({ maxVisits: 2, node: { onExceeded: "pause" } })
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, { rounds: 4 })
      yield* TestClock.adjust("1 minute")
      yield* untilStatus(runs, run, "paused")
      const reason = { kind: "visitLimit", node: "work", limit: 2 }
      assert.deepStrictEqual((yield* runs.stateAt(run)).pause, reason as any)
      assert.strictEqual(visits.work, 2)
      // Without another limit it comes no further.
      yield* runs.resume(run)
      yield* idle
      yield* untilStatus(runs, run, "paused")
      assert.strictEqual(visits.work, 2)
      yield* runs.setLimits(run, { maxVisits: { work: 4 } })
      yield* idle
      yield* runs.resume(run)
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 4)
      assert.strictEqual((yield* eventsOf(run, "paused")).length, 2)
    })
  )

  it.effect("is warned of once for each limit, also if the run crashes in between", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxVisits: 4, node: { warnAt: 0.5, onExceeded: "pause" } })
      const { boot, crash, eventsOf } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, { rounds: 7 }, { durability: "strict" })
      yield* TestClock.adjust("2500 millis")
      yield* crash
      const { runs } = yield* boot(live)
      yield* TestClock.adjust("1 minute")
      yield* untilStatus(runs, run, "paused")
      const warnings = () =>
        Effect.map(eventsOf(run, "limitWarned"), (events) =>
          events.map(({ limit, node, steps }) => [node, steps, limit])
        )
      assert.deepStrictEqual(yield* warnings(), [["work", 2, 4]])
      yield* runs.setLimits(run, { maxVisits: { work: 8 } })
      yield* idle
      yield* runs.resume(run)
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 7)
      assert.deepStrictEqual(yield* warnings(), [
        ["work", 2, 4],
        ["work", 5, 8]
      ])
    })
  )

  it.effect("can be raised in a retry, and the run goes on with the visit that it had no right to", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxVisits: 2 })
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, { rounds: 4 })
      yield* TestClock.adjust("1 minute")
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run, { limits: { maxVisits: { work: 3 } } })
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(failureOf(yield* Effect.flip(runs.await(run))), {
        kind: "visitLimit",
        node: "work",
        limit: 3
      })
      yield* runs.retry(run, { limits: { maxVisits: { work: 4 } } })
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 4)
      assert.strictEqual((yield* eventsOf(run, "restarted")).length, 2)
    })
  )

  it.effect("can be given to a run that has none, and counts from then on", () =>
    Effect.gen(function* () {
      const { flow, live, visits } = rounds({})
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, { rounds: 99 })
      yield* TestClock.adjust("9500 millis")
      assert.strictEqual(visits.work, 10)
      yield* runs.setLimits(run, { maxVisits: { work: 2 } })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(failureOf(yield* Effect.flip(runs.await(run))), {
        kind: "visitLimit",
        node: "work",
        limit: 2
      })
      assert.strictEqual(visits.work, 12)
    })
  )

  it.effect("is known to a replay, which takes the failure for none of a handler", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxVisits: 1 })
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, { rounds: 2 })
      yield* TestClock.adjust("1 minute")
      yield* Effect.flip(runs.await(run))
      const handlers = flow.toLayer({
        work: ({ next }) => Effect.succeed(next.to("check", { n: 1 })),
        check: ({ next }) => Effect.succeed(next.to("work"))
      })
      const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
        Effect.provide(handlers)
      )
      assert.deepStrictEqual(report, { run: run.id, visits: 2, divergences: [] })
    })
  )
})

describe("the limit of steps", () => {
  it.effect("pauses the run if the flow says so, until it is raised and the run is resumed", () =>
    Effect.gen(function* () {
      const { flow, live, visits } = rounds({ maxSteps: 4, onExceeded: "pause" })
      const { boot } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, { rounds: 3 })
      yield* TestClock.adjust("1 minute")
      yield* untilStatus(runs, run, "paused")
      assert.deepStrictEqual((yield* runs.stateAt(run)).pause, { kind: "stepLimit", limit: 4 })
      assert.strictEqual(visits.work, 2)
      yield* runs.setLimits(run, { maxSteps: 6 })
      yield* idle
      yield* runs.resume(run)
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 3)
    })
  )

  it.effect("pauses a run with branches, and each of them goes on where it was", () =>
    Effect.gen(function* () {
      const flow = Flow.make("wide", {
        input: Schema.Int,
        state: { done: State.list(Schema.Int) },
        output: Schema.Array(Schema.Int),
        start: "split",
        maxSteps: 4,
        onExceeded: "pause",
        nodes: {
          split: Node.make({ to: [], fanOut: { to: ["part"], join: "merge" } }),
          part: Node.make({ item: Schema.Int, to: ["merge"], maxVisits: 5, onExceeded: "pause" }),
          merge: Node.make({ to: ["end"] })
        }
      })
      const begun: Array<number> = []
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            split: ({ input, next }) =>
              Effect.succeed(
                next.each(
                  Array.from({ length: input }, (_, i) => i),
                  "part"
                )
              ),
            part: ({ item, next }) =>
              Effect.sync(() => {
                begun.push(item)
                return next.to("merge", { done: [item] })
              }),
            merge: ({ next, state }) => Effect.succeed(next.end(state.done))
          })
        )
      )
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, 6)
      yield* untilStatus(runs, run, "paused")
      assert.deepStrictEqual((yield* runs.stateAt(run)).pause, { kind: "stepLimit", limit: 4 })
      assert.lengthOf(begun, 3)
      yield* runs.setLimits(run, { maxSteps: 100 })
      yield* idle
      yield* runs.resume(run)
      yield* idle
      yield* untilStatus(runs, run, "paused")
      assert.deepStrictEqual((yield* runs.stateAt(run)).pause, {
        kind: "visitLimit",
        node: "part",
        limit: 5
      })
      yield* runs.setLimits(run, { maxVisits: { part: 6 } })
      yield* idle
      yield* runs.resume(run)
      assert.deepStrictEqual(yield* runs.await(run), [0, 1, 2, 3, 4, 5])
      assert.deepStrictEqual(begun, [0, 1, 2, 3, 4, 5])
    })
  )

  it.effect("is warned of once, when the share of it that the flow names is used up", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxSteps: 10, warnAt: 0.75 })
      const { boot, crash, eventsOf, kinds } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(flow, { rounds: 5 }, { durability: "strict" })
      yield* TestClock.adjust("4500 millis")
      yield* crash
      const { runs } = yield* boot(live)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 5)
      assert.deepStrictEqual(
        (yield* eventsOf(run, "limitWarned")).map(({ limit, steps }) => [steps, limit]),
        [[8, 10]]
      )
      const all = (yield* kinds(run)).filter((kind) => kind === "visited" || kind === "limitWarned")
      assert.strictEqual(all.indexOf("limitWarned"), 8)
    })
  )

  it.effect("can be raised while the run is executed, and is warned of again", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxSteps: 4, warnAt: 0.5 })
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, { rounds: 5 })
      yield* TestClock.adjust("1500 millis")
      yield* runs.setLimits(run, { maxSteps: 10 }, { actor: "ada", commandId: "once" })
      yield* runs.setLimits(run, { maxSteps: 10 }, { actor: "ada", commandId: "once" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 5)
      const changes = yield* eventsOf(run, "limitsChanged")
      assert.strictEqual(changes.length, 1)
      assert.deepInclude(changes[0], { actor: "ada", maxSteps: 10 })
      assert.strictEqual(changes[0]!.command!.id, "once")
      assert.deepStrictEqual(
        (yield* eventsOf(run, "limitWarned")).map(({ limit, steps }) => [steps, limit]),
        [
          [2, 4],
          [5, 10]
        ]
      )
    })
  )

  it.effect("can be lowered below what was done: the run fails at its next checkpoint", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({})
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, { rounds: 50 })
      yield* TestClock.adjust("5500 millis")
      yield* runs.setLimits(run, { maxSteps: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(failureOf(yield* Effect.flip(runs.await(run))), { kind: "stepLimit", limit: 1 })
    })
  )

  it.effect("can be raised in a retry", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({ maxSteps: 3 })
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, { rounds: 3 })
      yield* TestClock.adjust("1 minute")
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run, { limits: { maxSteps: 6 } })
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* runs.await(run), 3)
    })
  )
})

describe("a change of limits", () => {
  it.effect("is refused with what is wrong with it, or with the run", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({})
      const { boot, send, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, { rounds: 1 })
      for (const [limits, detail] of [
        [{ maxSteps: 0 }, /maxSteps is 0; it must be a whole number from 1/],
        [{ maxSteps: 1.5 }, /maxSteps is 1.5/],
        [{ maxVisits: { work: -1 } }, /maxVisits.work is -1/],
        [{ maxVisits: { toString: 1 } }, /maxVisits.toString is not among what the flow has/],
        [{ budgets: { tokens: 1 } }, /budgets.tokens is not among what the flow has/]
      ] as const) {
        const error = yield* Effect.flip(runs.setLimits(run, limits))
        assert.strictEqual(error._tag, "InvalidValue")
        assert.match(error.message, detail)
        assert.match((yield* Effect.flip(runs.retry(run, { limits }))).message, detail)
      }
      // Without the flow nobody can tell what it has.
      yield* runs.setLimits(run.id, { budgets: { later: 1 } })
      assert.match(
        (yield* Effect.flip(runs.setLimits(run.id, { budgets: { later: NaN } }))).message,
        /budgets.later is NaN/
      )
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      const refused = yield* Effect.flip(runs.setLimits(run, { maxSteps: 5 }))
      assert.strictEqual(refused._tag, "CommandRefused")
      assert.match(refused.message, /is completed; cannot set limits/)
      // One that was under way when the run ended changes nothing.
      yield* send(run, "late", { type: "limits", limits: { maxSteps: 5 } })
      yield* TestClock.adjust("1 minute")
      const ignored = yield* eventsOf(run, "commandIgnored")
      assert.match(ignored[0]!.note, /had completed already/)
    })
  )

  it.effect("reaches a paused run, which stays paused", () =>
    Effect.gen(function* () {
      const { flow, live } = rounds({})
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, { rounds: 2 })
      yield* runs.pause(run)
      yield* TestClock.adjust("1 second")
      yield* untilStatus(runs, run, "paused")
      yield* runs.setLimits(run, { maxSteps: 99 })
      yield* idle
      assert.strictEqual((yield* eventsOf(run, "limitsChanged")).length, 1)
      assert.strictEqual((yield* runs.get(run)).status, "paused")
      assert.strictEqual((yield* runs.stateAt(run)).maxSteps, 99)
    })
  )
})

describe("the limits of a flow", () => {
  it("are checked when it is defined, and are in its manifest", () => {
    const define = (warnAt: number, maxVisits: number) =>
      Flow.make("f", {
        input: Schema.Struct({}),
        warnAt,
        budgets: [
          Run.budget("tokens", { limit: 5, warnAt: 0.5 }),
          Run.budget("money", { limit: 0, onExceeded: "fail" })
        ],
        start: "a",
        nodes: { a: Node.make({ to: ["end"], maxVisits }) }
      })
    assert.throws(
      () => define(1.5, 0),
      /`warnAt` is 1.5; it must be a share of `maxSteps`.*\n- node "a": `maxVisits` is 0; it must be a whole number/
    )
    const manifest = Flow.manifest(define(0.5, 3))
    assert.strictEqual(manifest.warnAt, 0.5)
    assert.strictEqual(manifest.nodes[0]!.maxVisits, 3)
    assert.deepStrictEqual(manifest.budgets, [
      { name: "tokens", limit: 5, warnAt: 0.5, onExceeded: "pause" },
      { name: "money", limit: 0, onExceeded: "fail" }
    ])
    // They may change under a run.
    assert.strictEqual(define(0.5, 3).fingerprint, define(0.6, 4).fingerprint)
  })
})
