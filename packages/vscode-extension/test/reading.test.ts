import { assert, describe, it } from "@effect/vitest"
import { MemoryStore, Runs, Shape } from "@waymark/core"
import { Store } from "@waymark/core/Store"
import { Effect, Layer, Schedule } from "effect"
import * as Checkpoints from "../src/reading/Checkpoints.ts"
import * as Documents from "../src/reading/Documents.ts"
import * as Graph from "../src/reading/Graph.ts"
import { readAll } from "../src/reading/Journals.ts"
import type { Place } from "../src/reading/Place.ts"
import * as Stores from "../src/reading/Stores.ts"
import * as Waiting from "../src/reading/Waiting.ts"
import { input, layerOn, Order, order, place, waiting } from "./orders.ts"

/** Until what another fiber does has arrived here. */
const eventually = <A>(read: Effect.Effect<A>, isThere: (value: A) => boolean) =>
  Effect.repeat(read, ($) =>
    $(Schedule.spaced(5)).pipe(Schedule.while(({ input: value }) => !isThere(value)))
  )

const run = <A, E>(body: Effect.Effect<A, E, Stores.Stores | Runs.Runs>) =>
  Effect.provide(body, layerOn(MemoryStore.makeDisk()))

describe("stores", () => {
  it.live("follow what runs do", () =>
    run(
      Effect.gen(function* () {
        const stores = yield* Stores.Stores
        yield* stores.use([place])
        const status = Effect.sync(() => stores.source("/s")?.catalog.get("o")?.status)
        yield* order("o", "good", false)
        yield* eventually(status, (now) => now === "waiting")
        const runs = yield* Runs.Runs
        yield* runs.cancel("o", "no need")
        yield* eventually(status, (now) => now === "cancelled")
        yield* runs.delete("o")
        yield* eventually(status, (now) => now === undefined)
      })
    )
  )

  it.live("read the others if one cannot be opened, and that one when it can be", () => {
    const broken: Place = { kind: "directory", path: "/broken", label: "broken" }
    let works = false
    const layers = Stores.StoreLayers.of({
      layerOf: ({ path }) =>
        path !== "/broken" || works
          ? MemoryStore.layer()
          : Layer.effect(Store, Effect.die(new Error("it is on fire")))
    })
    return Effect.gen(function* () {
      const stores = yield* Stores.Stores
      yield* stores.use([place, broken])
      assert.isDefined(yield* stores.open("/s"))
      const error = yield* Effect.flip(stores.open("/broken"))
      assert.strictEqual(error.message, "the store /broken cannot be read: it is on fire")
      works = true
      yield* stores.retry
      assert.isDefined(yield* stores.open("/broken"))
      yield* stores.use([place])
      assert.strictEqual((yield* Effect.flip(stores.open("/broken")))._tag, "StoreUnavailable")
    }).pipe(Effect.provide(Stores.layer.pipe(Layer.provide(Layer.succeed(Stores.StoreLayers, layers)))))
  })
})

describe("what is shown of a run", () => {
  it.live("has its checkpoints, newest first", () =>
    run(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const stores = yield* Stores.Stores
        yield* stores.use([place])
        const checkpoints = Checkpoints.make(stores)
        assert.deepStrictEqual(yield* checkpoints.children(undefined), [])
        checkpoints.select({ store: "/s", run: "o" })
        const items = (yield* checkpoints.children(undefined)).map(checkpoints.item)
        assert.match(items[0]!.label, /^\d+ {2}pay$/)
        assert.match(items[0]!.description!, /^the run failed · /)
        assert.include(items[0]!.context, "failed")
        assert.notInclude(items[0]!.context, "forkable")
        assert.match(items.at(-1)!.label, /the run was started/)
        checkpoints.select({ store: "/s", run: "missing" })
        const [note] = (yield* checkpoints.children(undefined)).map(checkpoints.item)
        assert.include(note!.label, 'no run "missing"')
      })
    )
  )

  it.live("has documents of its state, values and failure", () =>
    run(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const stores = yield* Stores.Stores
        yield* stores.use([place])
        const text = (what: Documents.Subject["what"], seq?: number) =>
          Documents.provide(stores)(
            Documents.refOf({ store: "/s", run: "o", what, ...(seq === undefined ? {} : { seq }) }).query
          )
        assert.deepStrictEqual(JSON.parse(yield* text("state")), { card: "bad", prices: [200], total: 200 })
        assert.deepStrictEqual(JSON.parse(yield* text("state", 0)), { total: 0 })
        assert.deepStrictEqual(JSON.parse(yield* text("input")), input("bad"))
        const error = yield* text("error")
        assert.match(error, /^Run o\n\nThe run failed\nnode pay, position \d+, /)
        assert.include(error, "PaymentDeclined: card bad was declined: expired")
        // The call that failed is what led to it, and is told as the cause.
        assert.match(error, /Before that[^]*A tool call failed for good\nnode pay[^]*tool pay/)
        assert.include(yield* text("state", 999), "This cannot be shown: ")
        assert.include(yield* Documents.provide(stores)("{}"), "This cannot be shown: ")
      })
    )
  )

  it.live("cuts what is too large, and says so", () =>
    Effect.sync(() => {
      const text = Documents.jsonText("x".repeat(Documents.mostText + 10))
      assert.isBelow(text.length, Documents.mostText + 200)
      assert.match(text, /cut here: \d+ characters in all/)
    })
  )

  it.live("lists what waits for a person", () =>
    run(
      Effect.gen(function* () {
        yield* order("o", "good", false)
        yield* order("done", "good", true)
        const stores = yield* Stores.Stores
        yield* stores.use([place])
        yield* eventually(
          Effect.sync(() => stores.source("/s")!.loaded),
          (loaded) => loaded
        )
        const list = Waiting.make(stores, () => 0)
        assert.strictEqual(list.count(), 1)
        const [item] = (yield* list.children(undefined)).map(list.item)
        assert.strictEqual(item!.label, "Approve an order of 200 cents?")
        assert.strictEqual(item!.context, "question")
      })
    )
  )

  it.live("is drawn on the graph of its flow, at any position", () =>
    run(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        yield* waiting("o").pipe(Effect.ignore)
        const stores = yield* Stores.Stores
        yield* stores.use([place])
        const open = yield* stores.open("/s")
        const { fingerprint } = yield* open.runs.stateAt("o")
        assert.strictEqual(fingerprint, Order.fingerprint)
        const shape = yield* Effect.provideService(Shape.read(fingerprint), Store, open.store)
        const drawing = Graph.drawingOf(shape!)
        assert.sameMembers(
          [...drawing.nodes],
          ["receive", "price", "sum", "approve", "pay", "ship", "reject", "end"]
        )
        assert.deepInclude(drawing.edges, { from: "receive", to: "price", kind: "branch", label: "each" })
        assert.deepInclude(drawing.edges, { from: "approve", to: "reject", kind: "next" })

        const state = Graph.emptyState()
        const statuses: Array<string> = []
        yield* readAll(open, "o", {}, (event) => {
          Graph.take(state, event)
          if (event.kind === "waitOpened") statuses.push(state.nodes.get("approve")!.status)
          if (event.kind === "waitEnded") statuses.push(state.nodes.get("approve")!.status)
          return true
        })
        assert.deepStrictEqual(statuses, ["waiting", "running"])
        const of = (node: string) => state.nodes.get(node)?.status ?? "unvisited"
        assert.deepStrictEqual(["receive", "price", "sum", "approve", "pay", "ship", "reject"].map(of), [
          "completed",
          "completed",
          "completed",
          "completed",
          "failed",
          "unvisited",
          "unvisited"
        ])
        assert.strictEqual(state.edges.get("approve\0pay"), 1)
        assert.isUndefined(state.edges.get("approve\0reject"))
      })
    )
  )
})
