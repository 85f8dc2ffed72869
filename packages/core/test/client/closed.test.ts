import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Observer from "@waymark/core/Observer"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { idle } from "../engine/process.ts"

const Hour = Flow.make("hour", {
  input: Schema.Struct({}),
  start: "a",
  nodes: { a: Node.make({ to: ["end"] }) }
})
const handlers = Hour.toLayer({ a: ({ next }) => Effect.as(Effect.sleep("1 hour"), next.end()) })

/** A run that is executed, and a client with a store of its own; each store is closed apart from what is built upon it. */
const opened = Effect.gen(function* () {
  const disk = MemoryStore.makeDisk()
  const open = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const store = yield* Scope.provide(MemoryStore.make({ disk }), scope)
    return { close: Scope.close(scope, Exit.void), layer: Layer.succeed(Store, store) }
  })
  const scope = yield* Effect.scope
  const build = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
    Effect.map(Effect.context<R>(), (context) =>
      Layer.buildWithScope(Layer.fresh(layer), scope).pipe(Effect.provideContext(context))
    ).pipe(Effect.flatten)
  const here = yield* open
  const worker = yield* build(
    Worker.layer({ flows: [Hour] }).pipe(Layer.provide(handlers), Layer.provide(here.layer))
  )
  const there = yield* open
  const client = Context.get(yield* build(Layer.provide(Runs.layer, there.layer)), Runs.Runs)
  const run = yield* Context.get(worker, Runs.Runs).start(Hour, {}, { id: "r", durability: "strict" })
  return { build, client, here, run, there }
})

describe("when a store is closed", () => {
  it.effect("whoever waits for a run hears of it, and so does whoever asks afterwards", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { client, run, there } = yield* opened
        const using = Effect.provideService(Runs.Runs, client)
        const asks: Record<string, Effect.Effect<unknown, { readonly _tag: string }>> = {
          await: client.await(run),
          "await with a timeout": client.await(run, { timeout: "2 hours" }),
          events: Stream.runDrain(client.events(run)),
          progress: Stream.runDrain(Runs.progress(run)).pipe(using),
          awaitUntil: Runs.awaitUntil(run, () => false).pipe(using),
          pause: client.pause(run, { until: "applied" })
        }
        const outcomes = (fibers: ReadonlyArray<Fiber.Fiber<unknown, { readonly _tag: string }>>) =>
          Effect.gen(function* () {
            yield* idle
            for (const [index, name] of Object.keys(asks).entries()) {
              const exit = fibers[index]!.pollUnsafe()
              assert(exit !== undefined, `${name} still waits`)
              const error = yield* Effect.flip(exit)
              assert.deepInclude(error, { _tag: "StoreError" }, name)
              assert.include((error as StoreError).reason, { _tag: "Closed" }, name)
            }
          })
        const waiting = yield* Effect.forEach(Object.values(asks), (ask) => Effect.forkScoped(ask))
        yield* idle
        for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
        yield* there.close
        yield* outcomes(waiting)
        yield* outcomes(yield* Effect.forEach(Object.values(asks), (ask) => Effect.forkScoped(ask)))
      })
    )
  )

  it.effect("workers and observers that have nothing to do stop looking, and do not complain", () => {
    const logged: Array<unknown> = []
    const logger = Logger.layer([Logger.make(({ message }) => void logged.push(message))])
    return Effect.scoped(
      Effect.gen(function* () {
        const { build, client, here, run } = yield* opened
        yield* build(Layer.provide(Observer.layer({ handle: () => Effect.void }), here.layer))
        yield* build(
          Layer.provide(Observer.layer({ name: "n", from: "oldest", handle: () => Effect.void }), here.layer)
        )
        yield* client.cancel(run, "enough")
        yield* idle
        yield* here.close
        yield* idle
        yield* TestClock.adjust("10 seconds")
      })
    ).pipe(Effect.provide(logger), Effect.andThen(Effect.sync(() => assert.deepStrictEqual(logged, []))))
  })
})
