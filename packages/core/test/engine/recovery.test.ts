import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import { StoreError } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { Echo, handlersOf, oneNode, program } from "./oneNode.ts"
import { idle, machine, type StoreService, untilStatus } from "./process.ts"

const hanging = Echo.toLayer(() => Effect.never)

describe("a worker that starts", () => {
  it.effect("takes up what is unfinished and owned by nobody, and nothing else", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = { hang: true }
      const live = program(
        ({ next }) =>
          Effect.suspend(() =>
            world.hang
              ? Effect.as(Echo.call({ text: "x" }), next.end(["a"]))
              : Effect.succeed(next.end(["b"]))
          ),
        hanging
      )
      const client = yield* computer.client
      const pending = yield* client.start(oneNode, {}, { id: "pending" })
      const dead = yield* computer.boot(live)
      const crashed = yield* dead.runs.start(oneNode, {}, { id: "crashed" })
      yield* untilStatus(client, pending, "running")
      yield* computer.crash

      const later = yield* computer.client
      const alive = yield* computer.boot(live, { owner: "alive" })
      yield* alive.runs.start(oneNode, {}, { id: "owned" })
      yield* idle
      assert.deepStrictEqual([...(yield* alive.worker.running)].sort(), ["crashed", "owned", "pending"])

      world.hang = false
      const other = yield* computer.boot(live, { owner: "other" })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* other.worker.running, [])
      computer.disk.lapse("alive")
      yield* idle
      assert.deepStrictEqual(yield* later.await(crashed), ["b"])
      assert.deepStrictEqual(yield* later.await(pending), ["b"])
      const claims = yield* computer.eventsOf(crashed, "claimed")
      assert.deepStrictEqual(
        claims.map(({ cause, owner }) => [cause, owner]),
        [
          ["crash", "alive"],
          ["crash", "other"]
        ]
      )
      assert.deepStrictEqual(
        (yield* computer.eventsOf(pending, "claimed")).map(({ cause }) => cause),
        ["handover", "crash", "crash"]
      )
    })
  )

  it.effect("runs that a client starts while it is there are executed at once", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* computer.boot(program(({ next }) => Effect.succeed(next.end(["x"]))))
      const client = yield* computer.client
      assert.deepStrictEqual(yield* client.execute(oneNode, {}), ["x"])
    })
  )

  it.effect("finds by searching what it was not told of", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* computer.boot(
        program(({ next }) => Effect.succeed(next.end(["x"]))),
        {
          wrap: (store) => ({ ...store, changes: Stream.never })
        }
      )
      yield* idle
      const client = yield* computer.client
      const run = yield* client.start(oneNode, {})
      yield* idle
      assert.strictEqual((yield* client.get(run)).status, "pending")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* client.await(run), ["x"])
    })
  )

  it.effect("leaves runs of flows that it does not have alone", () =>
    Effect.gen(function* () {
      const computer = machine()
      const foreign = Flow.make("foreign", {
        input: Schema.Struct({}),
        start: "a",
        nodes: { a: Node.make({ to: ["end"] }) }
      })
      const client = yield* computer.client
      const run = yield* client.start(foreign, {})
      const { runs } = yield* computer.boot(program(({ next }) => Effect.succeed(next.end(["x"]))))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* computer.kinds(run), ["created"])
      assert.deepStrictEqual(yield* runs.execute(oneNode, {}), ["x"])
      const other = yield* runs.start(foreign, {}, { id: "started here" })
      yield* idle
      assert.strictEqual((yield* runs.get(other)).status, "pending")
      const handlers = foreign.toLayer({ a: ({ next }) => Effect.succeed(next.end()) })
      yield* computer.boot(Worker.layer({ flows: [foreign] }).pipe(Layer.provide(handlers)))
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "completed")
      assert.strictEqual((yield* runs.get(other)).status, "completed")
    })
  )
})

describe("a crash loop", () => {
  const looping = (maxRecoveries: number) => {
    const flow = Flow.make("looping", {
      input: Schema.Struct({}),
      state: { n: State.counter() },
      output: Schema.Int,
      start: "good",
      maxRecoveries,
      nodes: { good: Node.make({ to: ["bad"] }), bad: Node.make({ to: ["good", "end"] }) }
    })
    const world = { deadly: true, deadlyAt: 0, visits: 0 }
    const live = Worker.layer({ flows: [flow] }).pipe(
      Layer.provide(
        flow.toLayer({
          good: ({ next }) => Effect.succeed(next.to("bad", { n: 1 })),
          bad: ({ next, state }) =>
            Effect.gen(function* () {
              world.visits += 1
              if (world.deadly || world.visits === world.deadlyAt)
                yield* Effect.orDie(Echo.call({ text: "deadly" }))
              return state.n < 3 ? next.to("good") : next.end(state.n)
            })
        })
      ),
      Layer.provide(hanging)
    )
    return { flow, live, world }
  }

  it.effect("ends after maxRecoveries recoveries, and the handler does not run again", () =>
    Effect.gen(function* () {
      const { flow, live, world } = looping(3)
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {})
      for (let i = 0; i < 3; i++) {
        yield* idle
        assert.strictEqual(world.visits, i + 1)
        yield* computer.crash
        yield* computer.boot(live)
      }
      yield* idle
      assert.strictEqual(world.visits, 4)
      yield* computer.crash
      const last = yield* computer.boot(live)
      const error = yield* Effect.flip(last.runs.await(run))
      assert.deepStrictEqual(error._tag === "RunFailed" ? error.failure : error, {
        kind: "recoveries",
        limit: 3
      })
      assert.strictEqual(world.visits, 4)
      // A person may retry it: it counts from the beginning.
      world.deadly = false
      yield* last.runs.retry(run)
      yield* idle
      assert.strictEqual(yield* last.runs.await(run), 3)
    })
  )

  it.effect("is none if a visit completes in between", () =>
    Effect.gen(function* () {
      const { flow, live, world } = looping(1)
      const computer = machine()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(flow, {})
      yield* idle
      for (let crashes = 1; crashes <= 3; crashes++) {
        assert.strictEqual(world.visits, 2 * crashes - 1)
        yield* computer.crash
        // The visit completes this time, and the next one is deadly again.
        world.deadlyAt = 2 * crashes + 1
        world.deadly = false
        yield* computer.boot(live)
        yield* idle
      }
      const last = yield* computer.client
      assert.strictEqual(yield* last.await(run), 3)
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "claimed")).map(({ cause }) => cause),
        ["crash", "crash", "crash"]
      )
    })
  )

  it.effect("counts only what was taken over after a crash", () =>
    Effect.gen(function* () {
      const { flow, live, world } = looping(1)
      const computer = machine()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(flow, {})
      yield* idle
      yield* first.stop
      for (let i = 0; i < 4; i++) {
        const next = yield* computer.boot(live)
        yield* idle
        yield* next.stop
      }
      world.deadly = false
      const last = yield* computer.boot(live)
      assert.strictEqual(yield* last.runs.await(run), 3)
      const claims = yield* computer.eventsOf(run, "claimed")
      assert.deepStrictEqual(
        claims.map(({ cause }) => cause),
        Array.from({ length: 5 }, () => "handover" as const)
      )
      assert.strictEqual((yield* last.runs.stateAt(run)).recoveries, 0)
    })
  )
})

describe("a run whose journal cannot be read", () => {
  const corrupt = new StoreError({
    operation: "read",
    reason: { _tag: "Corrupt", run: "bad", seq: 0, detail: "bits" }
  })

  it.effect("does not keep the worker from the others, and is not touched", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = { hang: true }
      const live = program(
        ({ next }) =>
          Effect.suspend(() =>
            world.hang ? Effect.as(Echo.call({ text: "x" }), next.end([])) : Effect.succeed(next.end(["x"]))
          ),
        hanging
      )
      const first = yield* computer.boot(live)
      for (const id of ["a", "bad", "c"]) yield* first.runs.start(oneNode, {}, { id })
      yield* idle
      yield* computer.crash
      world.hang = false
      const broken = (store: StoreService): StoreService => ({
        ...store,
        read: (run, options) => (run === "bad" ? Effect.fail(corrupt) : store.read(run, options))
      })
      const before = yield* computer.kinds("bad")
      const second = yield* computer.boot(live, { wrap: broken })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* second.runs.get("a")).status, "completed")
      assert.strictEqual((yield* second.runs.get("c")).status, "completed")
      assert.deepStrictEqual(yield* computer.kinds("bad"), before)
      assert.strictEqual((yield* Effect.flip(second.runs.stateAt("bad")))._tag, "StoreError")
      yield* second.stop
      const third = yield* computer.boot(live)
      yield* idle
      assert.strictEqual((yield* third.runs.get("bad")).status, "completed")
    })
  )

  it.effect("is tried again if the reason may pass", () =>
    Effect.gen(function* () {
      const computer = machine()
      const client = yield* computer.client
      const run = yield* client.start(oneNode, {}, { id: "bad" })
      const world = { broken: true }
      const failing = (store: StoreService): StoreService => ({
        ...store,
        read: (id, options) =>
          world.broken
            ? Effect.fail(new StoreError({ operation: "read", reason: { _tag: "Io", code: "EIO" } }))
            : store.read(id, options)
      })
      yield* computer.boot(
        program(({ next }) => Effect.succeed(next.end(["x"]))),
        { wrap: failing }
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* client.get(run)).status, "pending")
      world.broken = false
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* client.await(run), ["x"])
    })
  )

  it.effect("is let go of if only its inbox cannot be read", () =>
    Effect.gen(function* () {
      const computer = machine()
      const client = yield* computer.client
      const run = yield* client.start(oneNode, {}, { id: "bad" })
      const world = { broken: true }
      const failing = (store: StoreService): StoreService => ({
        ...store,
        inbox: (id, cursor) =>
          world.broken
            ? Effect.fail(new StoreError({ operation: "inbox", reason: { _tag: "Io", code: "EIO" } }))
            : store.inbox(id, cursor)
      })
      yield* computer.boot(
        program(({ next }) => Effect.succeed(next.end(["x"]))),
        { wrap: failing }
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* client.get(run)).status, "pending")
      world.broken = false
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* client.await(run), ["x"])
    })
  )
})

describe("a worker", () => {
  it.effect("is refused if it has two flows of one id", () =>
    Effect.gen(function* () {
      const handlers = handlersOf(({ next }) => Effect.succeed(next.end([])))
      const live = Worker.layer({ flows: [oneNode, oneNode] }).pipe(Layer.provide(handlers))
      const error = yield* Effect.flip(machine().boot(live))
      assert.strictEqual(error._tag, "WorkerError")
      assert.include(error.message, '"one-node"')
    })
  )
})
