import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Observer from "@waymark/core/Observer"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Store from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { Deferred, Effect, Layer, Schedule, Schema } from "effect"

const Count = Flow.make("count", {
  input: Schema.Struct({ to: Schema.Int }),
  state: { at: State.counter() },
  output: Schema.Int,
  start: "step",
  nodes: { step: Node.make({ to: ["step", "end"] }) }
})

const handlers = Count.toLayer({
  step: ({ input, next, state }) =>
    Effect.succeed(state.at + 1 < input.to ? next.to("step", { at: 1 }) : next.end(state.at + 1))
})

/** A process on a disk: a worker, and an observer if there is one. */
const process = <E = never, R = never>(
  disk: MemoryStore.Disk,
  observer?: Layer.Layer<never, E, Store.Store | R>
) => {
  const worker = Worker.layer({ flows: [Count] }).pipe(Layer.provide(handlers))
  const both = observer === undefined ? worker : Layer.merge(worker, observer)
  return Layer.provideMerge(both, MemoryStore.layer({ disk }))
}

const execute = (id: string, to: number) => Runs.Runs.use((runs) => runs.execute(Count, { to }, { id }))

describe("Observer", () => {
  it.live("sees every durable event of every run in order", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const done = yield* Deferred.make<void>()
      const observer = Observer.layer({
        handle: (event) =>
          Effect.suspend(() => {
            seen.push(`${event.run}:${event.seq}`)
            return seen.length === 8 ? Deferred.succeed(done, undefined) : Effect.void
          })
      })
      yield* Effect.gen(function* () {
        yield* execute("a", 2)
        yield* execute("b", 2)
        yield* Deferred.await(done)
      }).pipe(Effect.provide(process(MemoryStore.makeDisk(), observer)))
      assert.deepStrictEqual(seen, ["a:0", "a:1", "a:2", "a:3", "b:0", "b:1", "b:2", "b:3"])
    })
  )

  it.live("a named observer goes on where it stopped, and gets what happened meanwhile", () =>
    Effect.gen(function* () {
      const disk = MemoryStore.makeDisk()
      const seen: Array<string> = []
      const until = (count: number, done: Deferred.Deferred<void>) =>
        Observer.layer({
          name: "export",
          from: "oldest",
          handle: (event) =>
            Effect.suspend(() => {
              seen.push(`${event.run}:${event.kind}`)
              return seen.length === count ? Deferred.succeed(done, undefined) : Effect.void
            })
        })
      yield* execute("a", 1).pipe(Effect.provide(process(disk)))
      const first = yield* Deferred.make<void>()
      yield* Deferred.await(first).pipe(
        Effect.andThen(settled(disk)),
        Effect.provide(process(disk, until(3, first)))
      )
      yield* execute("b", 1).pipe(Effect.provide(process(disk)))
      const second = yield* Deferred.make<void>()
      yield* Deferred.await(second).pipe(Effect.provide(process(disk, until(6, second))))
      assert.deepStrictEqual(seen, [
        "a:created",
        "a:visited",
        "a:completed",
        "b:created",
        "b:visited",
        "b:completed"
      ])
    })
  )

  it.live("an event that cannot be handled is tried again, and no run notices", () =>
    Effect.gen(function* () {
      let attempts = 0
      const done = yield* Deferred.make<void>()
      const observer = Observer.layer({
        retry: Schedule.recurs(5),
        handle: (event) =>
          Effect.suspend(() => {
            if (event.kind === "completed") return Deferred.succeed(done, undefined)
            if (event.kind !== "created") return Effect.void
            attempts += 1
            return attempts < 3 ? Effect.die(new Error("not yet")) : Effect.void
          })
      })
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* execute("a", 1), 1)
        yield* Deferred.await(done)
      }).pipe(Effect.provide(process(MemoryStore.makeDisk(), observer)))
      assert.strictEqual(attempts, 3)
    })
  )

  it.live("an event that is never handled is passed over when its retries are used up", () =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      const observer = Observer.layer({
        retry: Schedule.recurs(1),
        handle: (event) =>
          event.kind === "completed"
            ? Deferred.succeed(done, undefined)
            : Effect.fail(`${event.kind} is too much`)
      })
      yield* Effect.andThen(execute("a", 2), Deferred.await(done)).pipe(
        Effect.provide(process(MemoryStore.makeDisk(), observer))
      )
    })
  )
})

/** Waits until the observer has kept its place. */
const settled = (disk: MemoryStore.Disk): Effect.Effect<void> =>
  Effect.gen(function* () {
    const store = yield* Store.Store
    while ((yield* store.getMeta("observer/export")) === undefined) yield* Effect.sleep("1 millis")
  }).pipe(Effect.orDie, Effect.provide(MemoryStore.layer({ disk })))
