import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Durability, Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { StoreError } from "@waymark/core/Store"
import { Invocation } from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, type StoreService } from "./process.ts"

const flow = Flow.make("durable", {
  input: Schema.Struct({}),
  output: Schema.String,
  start: "a",
  nodes: {
    a: Node.make({ to: ["b"] }),
    b: Node.make({ to: ["call"] }),
    call: Node.make({ to: ["after"] }),
    after: Node.make({ to: ["end"] })
  }
})

/** Notes what happens, in order. */
const observed = () => {
  const log: Array<string> = []
  const note = (what: string) => Effect.sync(() => void log.push(what))
  const handlers = flow.toLayer({
    a: ({ next }) => Effect.as(note("a"), next.to("b")),
    b: ({ next }) => Effect.as(note("b"), next.to("call")),
    call: ({ next }) => Effect.as(Effect.orDie(Echo.call({ text: "x" })), next.to("after")),
    after: ({ next }) => Effect.as(note("after"), next.end("done"))
  })
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(handlers),
    Layer.provide(Echo.toLayer(({ text }) => Effect.as(note("tool"), text)))
  )
  return { live, log, note }
}

/** Holds back what the engine waits for when it waits for the disk. */
const held = () => {
  const latch = Latch.makeUnsafe(false)
  let waiting = 0
  const wrap = (store: StoreService): StoreService => ({
    ...store,
    sync: (lease) =>
      Effect.suspend(() => {
        waiting += 1
        return Effect.andThen(latch.await, store.sync(lease))
      })
  })
  return {
    wrap,
    waiting: () => waiting,
    /** Lets through what waits now, and nothing after it. */
    release: Effect.andThen(latch.release, idle)
  }
}

const start = (durability: Durability) =>
  Effect.gen(function* () {
    const { live, log, note } = observed()
    const { release, waiting, wrap } = held()
    const computer = machine()
    const { runs } = yield* computer.boot(live, { wrap })
    const run = yield* runs.start(flow, {}, { durability })
    const seen: Array<Event> = []
    yield* Effect.forkChild(
      Stream.runForEach(runs.events(run), (event) => Effect.sync(() => void seen.push(event)))
    )
    const answer = yield* Effect.forkChild(Effect.tap(runs.await(run), () => note("answered")))
    yield* idle
    return { ...computer, answer, log, release, run, runs, seen, waiting }
  })

describe("a pipelined run", () => {
  it.effect(
    "runs ahead of the disk until it would show something, and shows nothing before the disk has it",
    () =>
      Effect.gen(function* () {
        const { answer, log, release, seen } = yield* start("pipelined")
        assert.deepStrictEqual(log, ["a", "b"])
        assert.deepStrictEqual(
          seen.map(({ kind }) => kind),
          ["created"]
        )
        yield* release
        assert.deepStrictEqual(log, ["a", "b", "tool", "after"])
        assert.deepStrictEqual(
          seen.map(({ kind }) => kind),
          ["created", "visited", "visited", "callStarted"]
        )
        yield* release
        assert.deepStrictEqual(log, ["a", "b", "tool", "after", "answered"])
        assert.strictEqual(yield* Fiber.join(answer), "done")
        assert.strictEqual(seen.length, 8)
      })
  )

  it.effect("may lose pure steps in a crash, and nothing that anybody saw", () =>
    Effect.gen(function* () {
      const { boot, crash, kinds, log, run } = yield* start("pipelined")
      yield* crash
      assert.deepStrictEqual(yield* kinds(run), ["created"])
      const { live, log: later } = observed()
      const second = yield* boot(live)
      assert.strictEqual(yield* second.runs.await({ ...run, flow }), "done")
      assert.deepStrictEqual(log, ["a", "b"])
      assert.deepStrictEqual(later, ["a", "b", "tool", "after"])
    })
  )
})

describe("a strict run", () => {
  it.effect("starts a node only when the checkpoint before it is durable", () =>
    Effect.gen(function* () {
      const { kinds, log, release, run } = yield* start("strict")
      assert.deepStrictEqual(log, ["a"])
      yield* release
      assert.deepStrictEqual(log, ["a", "b"])
      assert.deepStrictEqual(yield* kinds(run), ["created", "visited"])
      yield* release
      assert.deepStrictEqual(log, ["a", "b"])
      yield* release
      assert.deepStrictEqual(log, ["a", "b", "tool"])
      yield* release
      assert.deepStrictEqual(log, ["a", "b", "tool", "after"])
      yield* release
      yield* release
      assert.deepStrictEqual(log, ["a", "b", "tool", "after", "answered"])
    })
  )
})

describe("an ephemeral run", () => {
  it.effect("waits for the disk at its end only", () =>
    Effect.gen(function* () {
      const { log, release, seen, waiting } = yield* start("ephemeral")
      assert.deepStrictEqual(log, ["a", "b", "tool", "after"])
      assert.deepStrictEqual(
        seen.map(({ kind }) => kind),
        ["created"]
      )
      assert.strictEqual(waiting(), 1)
      yield* release
      assert.deepStrictEqual(log, ["a", "b", "tool", "after", "answered"])
    })
  )
})

describe("an ephemeral run whose process died", () => {
  it.effect("may make calls again that had completed, with the same keys, and comes to its end", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const world = { hang: true }
      const live = program(
        ({ next }) =>
          Effect.map(
            Effect.forEach(["a", "b"], (text) => Echo.call({ text })),
            (got) => next.end(got)
          ),
        Echo.toLayer(({ text }) =>
          Effect.gen(function* () {
            keys.push((yield* Invocation).key)
            return world.hang && text === "b" ? yield* Effect.never : text
          })
        )
      )
      const computer = machine()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {}, { durability: "ephemeral" })
      yield* idle
      assert.strictEqual(keys.length, 2)
      yield* computer.crash
      assert.deepStrictEqual(yield* computer.kinds(run), ["created"])
      world.hang = false
      const second = yield* computer.boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["a", "b"])
      assert.deepStrictEqual(keys.slice(2), keys.slice(0, 2))
    })
  )
})

describe("a take-over after a crash", () => {
  it.effect("is durable before a handler runs", () =>
    Effect.gen(function* () {
      const { boot, crash, kinds, run } = yield* start("pipelined")
      yield* crash
      const { live, log } = observed()
      const { release, wrap } = held()
      yield* boot(live, { wrap })
      yield* idle
      assert.deepStrictEqual(log, [])
      yield* release
      assert.deepStrictEqual(log, ["a", "b"])
      assert.deepStrictEqual(yield* kinds(run), ["created", "claimed"])
    })
  )
})

describe("when the store cannot write", () => {
  const failure = (operation: string) => new StoreError({ operation, reason: { _tag: "Io", code: "EIO" } })

  it.effect(
    "a failed sync is never followed by a success: the run goes back to what is durable and goes on from there",
    () =>
      Effect.gen(function* () {
        const { live, log, note } = observed()
        const computer = machine()
        let syncs = 0
        let appendsAfter = 0
        let failed = false
        const wrap = (store: StoreService): StoreService => ({
          ...store,
          append: (lease, expected, batch) => {
            if (failed && lease.epoch === 0) appendsAfter += 1
            return store.append(lease, expected, batch)
          },
          sync: (lease) =>
            Effect.suspend(() => {
              syncs += 1
              if (syncs !== 1) return store.sync(lease)
              // As the port says: what was not durable is void, and the lease with it.
              failed = true
              computer.disk.lapse(store.owner)
              return Effect.fail(failure("sync"))
            })
        })
        const { runs } = yield* computer.boot(live, { wrap })
        const run = yield* runs.start(flow, {})
        const answer = yield* Effect.forkChild(Effect.tap(runs.await(run), () => note("answered")))
        yield* idle
        assert.deepStrictEqual(log.slice(0, 2), ["a", "b"])
        assert.notInclude(log.slice(0, 3), "tool")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(answer), "done")
        assert.deepStrictEqual(log, ["a", "b", "a", "b", "tool", "after", "answered"])
        assert.strictEqual(appendsAfter, 0)
        assert.deepStrictEqual(yield* computer.kinds(run), [
          "created",
          "claimed",
          "visited",
          "visited",
          "callStarted",
          "callCompleted",
          "visited",
          "visited",
          "completed"
        ])
        assert.strictEqual((yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)).to, 8)
      })
  )

  /** Fails the n-th append of a run's first owner. */
  const failingAppend = (n: number) => {
    let appends = 0
    return (store: StoreService): StoreService => ({
      ...store,
      append: (lease, expected, batch) =>
        Effect.suspend(() =>
          ++appends === n ? Effect.fail(failure("append")) : store.append(lease, expected, batch)
        )
    })
  }

  for (let n = 1; n <= 6; n++) {
    it.effect(
      `a run whose append ${n} fails is taken up again and completes, with no call executed twice for nothing`,
      () =>
        Effect.gen(function* () {
          const { live, log } = observed()
          const { boot, journal } = machine()
          const { runs } = yield* boot(live, { wrap: failingAppend(n) })
          const run = yield* runs.start(flow, {})
          yield* idle
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* runs.await(run), "done")
          const calls = log.filter((what) => what === "tool").length
          // The one whose result could not be written is in doubt; all others are not made before they are durable.
          assert.strictEqual(calls, n === 4 ? 2 : 1)
          yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
          assert.strictEqual((yield* journal(run)).filter(({ kind }) => kind === "completed").length, 1)
        })
    )
  }

  it.effect(
    "it is no crash, however often and whatever the store knows of it; less and less often is it tried",
    () =>
      Effect.gen(function* () {
        const { live, log } = observed()
        const computer = machine()
        let full = true
        // There is room for all but the result of the call; that the run is let go of is not known, either.
        const wrap = (store: StoreService): StoreService => ({
          ...store,
          append: (lease, expected, batch) =>
            Effect.suspend(() => {
              if (!full || !batch.entries.some(({ event }) => event.kind === "callCompleted"))
                return store.append(lease, expected, batch)
              computer.disk.lapse(store.owner)
              return Effect.fail(new StoreError({ operation: "append", reason: { _tag: "NoSpace" } }))
            })
        })
        const { runs } = yield* computer.boot(live, { wrap })
        const answer = yield* Effect.forkChild(runs.execute(flow, {}, { id: "run" }))
        const tries: Array<number> = []
        for (let second = 0; second < 100; second++) {
          yield* idle
          tries.push(log.filter((what) => what === "tool").length)
          yield* TestClock.adjust("1 second")
        }
        const after = [1, 2, 4, 8, 16, 32].map((_, n, all) => all.slice(0, n).reduce((a, b) => a + b, 0))
        assert.deepStrictEqual(
          after.map((second) => tries[second]),
          [1, 2, 3, 4, 5, 6]
        )
        assert.strictEqual(tries.at(-1), 7)
        full = false
        for (let second = 0; second < 60; second++) {
          yield* TestClock.adjust("1 second")
          yield* idle
        }
        assert.strictEqual(yield* Fiber.join(answer), "done")
        const claims = yield* computer.eventsOf("run", "claimed")
        assert.deepStrictEqual([...new Set(claims.map(({ cause }) => cause))], ["handover"])
      })
  )

  it.effect("a handler that cannot be interrupted does not keep the run from going on", () =>
    Effect.gen(function* () {
      let visits = 0
      const live = program(
        ({ next }) =>
          Effect.uninterruptible(
            Effect.gen(function* () {
              visits += 1
              const got = yield* Effect.forEach(["a", "b"], (text) => Echo.call({ text }), { concurrency: 2 })
              return next.end(got)
            })
          ),
        Echo.toLayer(({ text }) => Effect.succeed(text))
      )
      for (let n = 1; n <= 4; n++) {
        visits = 0
        const { runs } = yield* machine().boot(live, { wrap: failingAppend(n) })
        const run = yield* runs.start(oneNode, {})
        yield* idle
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* runs.await(run), ["a", "b"])
        assert.strictEqual(visits, 2)
      }
    })
  )

  it.effect("other runs are not affected", () =>
    Effect.gen(function* () {
      let attempts = 0
      const live = program(({ next, state }) =>
        Effect.succeed(state.got.length === 3 ? next.end(state.got) : next.to("work", { got: ["x"] }))
      )
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        append: (lease, expected, batch) =>
          Effect.suspend(() =>
            lease.run === "bad" && ++attempts > 0
              ? Effect.fail(failure("append"))
              : store.append(lease, expected, batch)
          )
      })
      const { runs } = yield* machine().boot(live, { wrap })
      const bad = yield* runs.start(oneNode, {}, { id: "bad" })
      const good = yield* runs.start(oneNode, {}, { id: "good" })
      assert.deepStrictEqual(yield* runs.await(good), ["x", "x", "x"])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* runs.get(bad)).status, "pending")
      assert.isAtLeast(attempts, 3, "it is tried again")
      assert.isAtMost(attempts, 12, "but not all the time")
    })
  )

  it.effect("a start that could not be written fails, and leaves nothing behind", () =>
    Effect.gen(function* () {
      let fail = true
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        create: (batch, options) => (fail ? Effect.fail(failure("create")) : store.create(batch, options))
      })
      const live = program(({ next }) => Effect.succeed(next.end(["x"])))
      const { runs, worker } = yield* machine().boot(live, { wrap })
      const exit = yield* Effect.exit(runs.start(oneNode, {}, { id: "r" }))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(yield* worker.running, [])
      fail = false
      assert.deepStrictEqual(yield* runs.execute(oneNode, {}, { id: "r" }), ["x"])
    })
  )
})
