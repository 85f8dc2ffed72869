import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { Echo } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const state = { seen: State.list(Schema.Int) }

const versioned = (version: number) => {
  const flow = Flow.make("rolling", {
    version,
    input: Schema.Struct({}),
    state,
    output: Schema.Array(Schema.Int),
    start: "work",
    nodes: { work: Node.make({ to: ["work", "end"] }) },
    migrations: Array.from({ length: version - 1 }, (_, i) =>
      Migration.make({ from: { version: i + 1, state }, to: { version: i + 2, state }, state: (old) => old })
    )
  })
  const world = { hang: true, executed: 0 }
  const live = Worker.layer({ flows: [flow], sweep: "1 minute" }).pipe(
    Layer.provide(
      flow.toLayer({
        work: ({ next, state: { seen } }) =>
          Effect.gen(function* () {
            world.executed += 1
            yield* Effect.orDie(Echo.call({ text: `${seen.length}` }))
            return seen.length < 1 ? next.to("work", { seen: [version] }) : next.end([...seen, version])
          })
      })
    ),
    Layer.provide(
      Echo.toLayer(({ text }) => (world.hang && text === "1" ? Effect.never : Effect.succeed(text)))
    )
  )
  return { flow, live, world }
}

describe("a worker that has an earlier version than a run", () => {
  it.effect("leaves it alone: it neither claims nor pauses it, however often it looks", () =>
    Effect.gen(function* () {
      const computer = machine()
      const one = versioned(1)
      const two = versioned(2)
      const newer = yield* computer.boot(two.live)
      const run = yield* newer.runs.start(two.flow, {}, { id: "r" })
      yield* idle
      yield* newer.stop
      const before = yield* computer.journal(run)
      const claims: Array<string> = []
      const older = yield* computer.boot(one.live, {
        wrap: (store) => ({
          ...store,
          acquire: (id, holder) => {
            claims.push(id)
            return store.acquire(id, holder)
          }
        })
      })
      yield* older.runs.pause(run)
      yield* idle
      yield* TestClock.adjust("1 hour")
      yield* idle
      assert.deepStrictEqual(claims, [])
      assert.deepStrictEqual(yield* computer.journal(run), before)
      assert.strictEqual((yield* older.runs.get(run)).status, "running")
      assert.strictEqual(one.world.executed, 0)

      // The command has waited for the worker that has the version.
      two.world.hang = false
      const again = yield* computer.boot(two.live)
      yield* untilStatus(again.runs, run, "paused")
      yield* older.runs.resume(run)
      assert.deepStrictEqual(yield* again.runs.await(run), [2, 2])
      assert.strictEqual(one.world.executed, 0)
    })
  )

  it.effect("does not touch what a worker beside it has migrated, and takes what is of its own version", () =>
    Effect.gen(function* () {
      const computer = machine()
      const one = versioned(1)
      const older = yield* computer.boot(one.live)
      const run = yield* older.runs.start(one.flow, {}, { id: "r" })
      yield* idle
      yield* older.stop
      const two = versioned(2)
      const newer = yield* computer.boot(two.live)
      const old = yield* computer.boot(one.live)
      yield* idle
      assert.strictEqual((yield* old.runs.get(run)).version, 2)
      yield* newer.stop
      yield* idle
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* old.worker.running, [])
      one.world.hang = false
      assert.deepStrictEqual(yield* old.runs.execute(one.flow, {}, { id: "own" }), [1, 1])
      two.world.hang = false
      const last = yield* computer.boot(two.live)
      assert.deepStrictEqual(yield* last.runs.await(Runs.ref(two.flow, "r")), [1, 2])
      assert.strictEqual((yield* computer.eventsOf("r", "migrated")).length, 1)
    })
  )

  it.effect("lets go of a run that was migrated between looking at it and claiming it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const one = versioned(1)
      const two = versioned(2)
      const first = yield* computer.boot(two.live)
      yield* first.runs.start(two.flow, {}, { id: "r" })
      yield* idle
      yield* first.stop
      const before = yield* computer.journal("r")
      let released = 0
      const older = yield* computer.boot(one.live, {
        wrap: (store) => ({
          ...store,
          // What it sees is old.
          get: (id) =>
            Effect.map(store.get(id), (stored) => ({ ...stored, info: { ...stored.info, version: 1 } })),
          list: (query) =>
            Effect.map(store.list(query), (page) => ({
              ...page,
              runs: page.runs.map((info) => ({ ...info, version: 1 }))
            })),
          release: (lease) => {
            released += 1
            return store.release(lease)
          }
        })
      })
      yield* idle
      yield* older.stop
      assert.isAtLeast(released, 1)
      assert.deepStrictEqual(yield* computer.journal("r"), before)
      assert.strictEqual(one.world.executed, 0)
      two.world.hang = false
      const last = yield* computer.boot(two.live)
      assert.deepStrictEqual(yield* last.runs.await(Runs.ref(two.flow, "r")), [2, 2])
    })
  )

  it.effect("starts no run of the later version itself: another worker executes it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const one = versioned(1)
      const two = versioned(2)
      two.world.hang = false
      const older = yield* computer.boot(one.live)
      const run = yield* older.runs.start(two.flow, {})
      yield* idle
      assert.strictEqual((yield* older.runs.get(run)).status, "pending")
      assert.deepStrictEqual(yield* older.worker.running, [])
      yield* computer.boot(two.live)
      assert.deepStrictEqual(yield* older.runs.await(run), [2, 2])
      assert.strictEqual(one.world.executed, 0)
    })
  )
})
