import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { StoreError } from "@waymark/core/Store"
import * as Wait from "@waymark/core/Wait"
import { Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus, type Machine, type StoreService } from "./process.ts"

const quiet = Logger.layer([])

/** A disk that takes nothing as long as it is full, and notes at which seconds it was asked to let a run be taken. */
const fillable = ({ disk }: Machine) => {
  const world = { full: false, asked: [] as Array<number> }
  const refused = new StoreError({ operation: "write", reason: { _tag: "NoSpace" } })
  const wrap = (store: StoreService): StoreService => ({
    ...store,
    append: (lease, expected, batch) =>
      Effect.suspend(() => {
        if (!world.full) return store.append(lease, expected, batch)
        // As the port says: the lease is void then.
        disk.lapse(store.owner)
        return Effect.fail(refused)
      }),
    acquire: (run, holder) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        world.asked.push(now / 1000)
        return world.full ? Effect.fail(refused) : store.acquire(run, holder)
      })
  })
  /** Its runs make one call; when the first one is made, the disk is full. */
  let calls = 0
  const live = program(
    ({ next }) => Effect.map(Effect.orDie(Echo.call({ text: "x" })), (got) => next.end([got])),
    Echo.toLayer(({ text }) =>
      Effect.sync(() => {
        if (++calls === 1) world.full = true
        return text
      })
    )
  ).pipe(Layer.provide(quiet))
  return { live, world, wrap }
}

/** Lets seconds pass, one by one. */
const seconds = (count: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: count }), () => Effect.andThen(TestClock.adjust("1 second"), idle), {
    discard: true
  })

describe("a run whose journal could not be written, while the store still fails", () => {
  it.effect("is asked for less and less often, goes on soon after there is room, and that is no crash", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { live, world, wrap } = fillable(computer)
      const { runs } = yield* computer.boot(live, { wrap })
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.isTrue(world.full)
      yield* seconds(5)
      world.full = false
      yield* seconds(3)
      assert.deepStrictEqual(world.asked, [1, 3, 7])
      assert.deepStrictEqual(yield* runs.await(run), ["x"])
      const claims = yield* computer.eventsOf(run, "claimed")
      assert.deepStrictEqual(
        claims.map(({ cause }) => cause),
        ["handover"]
      )
    })
  )

  it.effect("is asked for once a minute at last", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { live, world, wrap } = fillable(computer)
      const { runs } = yield* computer.boot(live, { wrap })
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* seconds(190)
      assert.deepStrictEqual(world.asked, [1, 3, 7, 15, 31, 63, 123, 183])
      world.full = false
      yield* seconds(60)
      assert.deepStrictEqual(yield* runs.await(run), ["x"])
    })
  )

  it.effect("goes on if its wait is over", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { world, wrap } = fillable(computer)
      let visits = 0
      const live = program(({ next }) =>
        Effect.map(Wait.sleep("1 minute"), () => {
          if (++visits === 1) world.full = true
          return next.end(["x"])
        })
      ).pipe(Layer.provide(quiet))
      const { runs } = yield* computer.boot(live, { wrap })
      const run = yield* runs.start(oneNode, {})
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      yield* seconds(65)
      assert.deepStrictEqual([world.full, (yield* runs.get(run)).status], [true, "waiting"])
      world.full = false
      yield* seconds(3)
      assert.strictEqual((yield* runs.get(run)).status, "completed")
      assert.deepStrictEqual(world.asked, [60, 61, 63, 67])
    })
  )

  it.effect("is not asked for any more when the worker has stopped", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { live, world, wrap } = fillable(computer)
      const { runs, stop } = yield* computer.boot(live, { wrap })
      yield* runs.start(oneNode, {})
      yield* idle
      yield* seconds(2)
      yield* stop
      yield* seconds(100)
      assert.deepStrictEqual(world.asked, [1])
    })
  )

  it.effect("is left to another worker that has it, also when that has ended and deleted it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { live, world, wrap } = fillable(computer)
      const first = yield* computer.boot(live, { wrap, owner: "first" })
      yield* first.runs.start(oneNode, {}, { id: "run" })
      yield* idle
      yield* seconds(2)
      const second = yield* computer.boot(live, { owner: "second" })
      assert.deepStrictEqual(yield* second.runs.await({ flow: oneNode, id: "run" }), ["x"])
      yield* second.runs.delete("run")
      world.full = false
      const before = world.asked.length
      yield* seconds(100)
      assert.strictEqual(world.asked.length, before)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(first.runs.get("run"))))
    })
  )
})
