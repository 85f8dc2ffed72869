import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Runs from "@waymark/core/Runs"
import { idle, machine, until, untilStatus } from "./process.ts"

import {
  flowOf,
  handlers1,
  handlers2,
  interrupted,
  long,
  makeWorld,
  V1,
  V2,
  V3,
  worker2,
  worker3
} from "./orders.ts"

describe("a run of an earlier version", () => {
  it.effect("goes on with the flow's migration: state, open visit and calls come along", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      world.hang = false
      const { runs } = yield* computer.boot(worker2(world))
      const run = Runs.ref(V2, "r")
      assert.deepStrictEqual(yield* runs.await(run), ["a by 17"])
      // What had completed is not called again; what is in doubt is, under the same key.
      const [one, two, again] = world.calls
      assert.strictEqual(world.calls.length, 3)
      assert.deepStrictEqual([one![0], two![0], again![0]], ["one", "two", "two"])
      assert.strictEqual(again![1], two![1])
      assert.deepStrictEqual([two![2], again![2]], [false, true])
      const started = yield* computer.eventsOf(run, "callStarted")
      assert.deepStrictEqual(
        started.map(({ key, node }) => [node, key]),
        [
          ["gather", one![1]],
          ["gather", two![1]]
        ]
      )
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "callRepeated")).map(({ node, visit }) => [node, visit]),
        [["collect", 2]]
      )
      // The handler that is executed again meets the same chance.
      assert.strictEqual(world.chance.length, 4)
      assert.deepStrictEqual(world.chance.slice(2), world.chance.slice(0, 2))

      const [migrated] = yield* computer.eventsOf(run, "migrated")
      const { epoch: _e, prev: _p, run: _r, seq, time: _t, ...body } = migrated!
      assert.deepStrictEqual(body, {
        kind: "migrated",
        from: { version: 1, fingerprint: V1.fingerprint },
        version: 2,
        fingerprint: V2.fingerprint,
        // What did not become different is not written again.
        ops: {
          notes: { set: [{ text: "a", by: "17" }] },
          attempts: { set: 3 },
          done: { set: [] }
        },
        nodes: { gather: "collect" }
      })
      const kinds = yield* computer.kinds(run)
      assert.deepStrictEqual(kinds.slice(seq - 1, seq + 1), ["claimed", "migrated"])
      const snapshot = kinds.indexOf("snapshot")
      assert.isTrue(
        kinds.slice(seq + 1, snapshot).every((kind) => kind === "snapshotPart"),
        String(kinds)
      )
      assert.deepStrictEqual(yield* runs.state(run), {
        notes: [{ text: "a", by: "17" }],
        tries: 2,
        label: "x",
        scores: { p: 1 },
        best: 9,
        chance: [0.5],
        long,
        attempts: 3,
        done: [1]
      })
      // A later version can say what differs from this one, although no run was started by it.
      assert.isTrue(computer.disk.state.artifacts.has(V2.fingerprint))
      const info = yield* runs.get(run)
      assert.deepInclude(info, { version: 2, node: "report", status: "completed" })
      assert.strictEqual((yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)).to, info.seq)
    })
  )

  it.effect("goes through all versions in between at once, and its input with it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      world.hang = false
      const { runs } = yield* computer.boot(worker3(world))
      const run = Runs.ref(V3, "r")
      assert.deepStrictEqual(yield* runs.await(run), ["17", "a"])
      const migrated = yield* computer.eventsOf(run, "migrated")
      assert.strictEqual(migrated.length, 1)
      assert.deepInclude(migrated[0]!, { version: 3, input: { number: 17 }, nodes: { gather: "fetch" } })
      assert.deepStrictEqual(migrated[0]!.ops["tries"], { unset: true })
      assert.deepStrictEqual(migrated[0]!.ops["label"], { unset: true })
      assert.strictEqual(world.calls.length, 3)
      assert.strictEqual(world.calls[2]![1], world.calls[1]![1])
      assert.deepStrictEqual(world.chance.slice(2), world.chance.slice(0, 2))
      assert.notProperty(yield* runs.state(run), "tries")
    })
  )

  it.effect("keeps its keys and its chance through several migrations, one after the other", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      yield* computer.boot(worker2(world))
      yield* until(Effect.sync(() => world.calls.length === 3))
      yield* idle
      yield* computer.crash
      world.hang = false
      const { runs } = yield* computer.boot(worker3(world))
      assert.deepStrictEqual(yield* runs.await(Runs.ref(V3, "r")), ["17", "a"])
      assert.strictEqual((yield* computer.eventsOf("r", "migrated")).length, 2)
      const keys = new Set(world.calls.filter(([text]) => text === "two").map(([, key]) => key))
      assert.strictEqual(keys.size, 1)
      assert.deepStrictEqual(world.chance.slice(4), world.chance.slice(0, 2))
    })
  )

  it.effect("is migrated when it is resumed, retried, or forked, and not before", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world, "stop")
      const client = yield* computer.client
      // Nobody executes it; the command waits for who does.
      yield* client.pause("r")
      const second = yield* computer.boot(worker2(world))
      yield* untilStatus(client, "r", "paused")
      yield* idle
      assert.deepStrictEqual(yield* computer.eventsOf("r", "migrated"), [])
      assert.strictEqual((yield* client.get("r")).version, 1)
      world.hang = false
      const seq = (yield* client.get("r")).seq
      const fork = yield* second.runs.fork(Runs.ref(V1, "r"), seq, { id: "fork" })
      assert.strictEqual(fork.id, "fork")
      assert.deepStrictEqual(yield* second.runs.await(Runs.ref(V2, "fork")), ["a by 17"])
      yield* second.runs.resume("r")
      assert.deepStrictEqual(yield* second.runs.await(Runs.ref(V2, "r")), ["a by 17"])
      assert.strictEqual((yield* computer.eventsOf("r", "migrated")).length, 1)
      assert.strictEqual((yield* computer.eventsOf("fork", "migrated")).length, 1)
    })
  )

  it.effect("is executed again by replay from where the flow's version begins", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      world.hang = false
      const { runs } = yield* computer.boot(worker2(world))
      yield* runs.await(Runs.ref(V2, "r"))
      const called = world.calls.length
      assert.deepStrictEqual(
        yield* Effect.provideService(Runs.replay(Runs.ref(V2, "r")), Runs.Runs, runs).pipe(
          Effect.provide(handlers2(world))
        ),
        {
          run: "r",
          visits: 2,
          skipped: 1,
          divergences: []
        }
      )
      assert.deepStrictEqual(
        yield* Effect.provideService(Runs.replay(Runs.ref(V1, "r")), Runs.Runs, runs).pipe(
          Effect.provide(handlers1(world))
        ),
        {
          run: "r",
          visits: 1,
          skipped: 2,
          divergences: []
        }
      )
      assert.strictEqual(world.calls.length, called)
    })
  )

  it.effect("that is to be cancelled is not migrated before", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      const client = yield* computer.client
      yield* computer.send("r", "c", { type: "cancel", reason: "old" })
      yield* computer.boot(worker2(world))
      yield* untilStatus(client, "r", "cancelled")
      assert.deepStrictEqual(yield* computer.eventsOf("r", "migrated"), [])
    })
  )

  it.effect("is cancelled while its migration is under way, and then not migrated", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      const client = yield* computer.client
      // Without a migration the store is asked what the flow was like, and takes its time.
      const bare = flowOf(2, {})
      let asked = false
      const second = yield* computer.boot(bare.live, {
        wrap: (store) => ({
          ...store,
          getArtifact: (hash) =>
            Effect.suspend(() => {
              asked = true
              return Effect.andThen(Effect.sleep("1 minute"), store.getArtifact(hash))
            })
        })
      })
      yield* until(Effect.sync(() => asked))
      yield* second.runs.cancel("r", "enough").pipe(Effect.forkChild)
      yield* idle
      yield* TestClock.adjust("2 minutes")
      yield* untilStatus(client, "r", "cancelled")
      const kinds = yield* computer.kinds("r")
      assert.deepStrictEqual(kinds.slice(-2), ["cancelRequested", "cancelled"])
    })
  )
})

describe("edits", () => {
  it.effect("of a run are of the version that it is at", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      const run = yield* interrupted(computer, world, "stop")
      const client = yield* computer.client
      const { seq } = yield* client.get(run)
      const error = yield* Effect.flip(client.fork(Runs.ref(V2, "r"), seq, { edits: { attempts: 1 } }))
      assert.strictEqual(error._tag, "InvalidValue")
      assert.include(error.message, "version 1")
      const fork = yield* client.fork(run, seq, { edits: { tries: 41 } })
      const again = yield* Effect.flip(client.retry(Runs.ref(V2, fork.id), { edits: { attempts: 1 } }))
      assert.include(again.message, "version 1")
      world.hang = false
      const { runs } = yield* computer.boot(worker2(world))
      yield* runs.await(Runs.ref(V2, fork.id))
      assert.strictEqual((yield* runs.state(Runs.ref(V2, fork.id))).attempts, 42)
    })
  )
})
