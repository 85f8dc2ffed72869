/** The engine, with its power cut at every point of runs that start others. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }) {}

const Pick = Tool.make("pick", { input: { item: Schema.String }, output: Schema.Int, error: OutOfStock })

const flows = (durability: "pipelined" | "strict" | "ephemeral") => {
  const Line = Flow.make("line", {
    input: Schema.Struct({ item: Schema.String }),
    output: Schema.Int,
    error: OutOfStock,
    start: "pick",
    durability,
    nodes: { pick: Node.make({ to: ["end"], error: OutOfStock }) }
  })
  const Order = Flow.make("order", {
    input: Schema.Array(Schema.String),
    state: { prices: State.list(Schema.Int) },
    output: Schema.Array(Schema.Int),
    error: OutOfStock,
    start: "work",
    durability,
    nodes: {
      work: Node.make({
        to: ["work", "end"],
        error: OutOfStock,
        retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 2 }))
      })
    }
  })
  const slow = { item: "slow" }
  const priceOf = (item: string) => {
    if (item === "raced") {
      return Wait.race({ price: Line.call(slow), late: Wait.sleep("1 minute") }).pipe(
        Effect.map(({ value }) => value ?? 0)
      )
    }
    if (item === "limited") {
      return Effect.catchTag(Line.call(slow, { timeout: "1 minute" }), "WaitTimeout", () => Effect.succeed(0))
    }
    return Line.call({ item })
  }
  const handlers = Layer.merge(
    Line.toLayer({
      pick: ({ input: { item }, next }) =>
        Effect.gen(function* () {
          const price = yield* Pick.call({ item })
          if (item === "slow") yield* Wait.event("never", { schema: Schema.String })
          return next.end(price)
        })
    }),
    Order.toLayer({
      work: ({ input, next, state }) =>
        Effect.gen(function* () {
          const item = input[state.prices.length]!
          if (item === "aside") yield* Line.start({ item: "gift" })
          const price = yield* priceOf(item)
          const prices = [...state.prices, price]
          return prices.length === input.length ? next.end(prices) : next.to("work", { prices: [price] })
        })
    })
  )
  return { flows: [Order, Line] as const, Order, Line, handlers }
}

const shop = () => {
  const stock = { isThere: true }
  const tools = FakeTools.make(
    FakeTools.answer(Pick, ({ item }) =>
      item === "rare" && !stock.isThere
        ? FakeTools.fail(new OutOfStock({ item }))
        : FakeTools.after("1 second", FakeTools.succeed(item.length))
    )
  )
  return { stock, tools }
}

/** What children were: their ids by input are known by nobody, so by their journals. */
const childrenIn = ({ journal, runs }: CrashExplorer.Outcome<any, any, any>) =>
  Object.values(runs)
    .filter(({ flow }) => flow === "line")
    .map(({ run, status }) => ({ run, status, events: journal(run) }))

for (const { durability, name, ...how } of variants) {
  const shopping = flows(durability)
  const { Order } = shopping
  const base = {
    ...how,
    nested: name === "pipelined" ? 2 : "none",
    world: shop,
    handlers: ({ tools }: ReturnType<typeof shop>) => Layer.provide(shopping.handlers, tools.layer)
  } as const

  /** What an order comes to, and time for what it leaves behind. */
  const ordered = (items: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const prices = yield* runs.execute(Order, items, { id: "r" })
      yield* Effect.sleep("1 hour")
      return prices
    })

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a run that calls others, or of one of these: no wake-up is lost, none counts twice",
      () =>
        CrashExplorer.explore(shopping.flows, {
          ...base,
          scenario: () => ordered(["a", "aside"]),
          check: (outcome) =>
            Effect.map(outcome.result, (prices) => {
              assert.deepStrictEqual(prices, [1, 5])
              const children = childrenIn(outcome)
              assert.strictEqual(children.length, 3)
              for (const { events, status } of children) {
                assert.strictEqual(status, "completed")
                assert.strictEqual(events.filter(({ kind }) => kind === "callCompleted").length, 1)
              }
              const parent = outcome.journal("r")
              assert.strictEqual(parent.filter(({ kind }) => kind === "waitEnded").length, 2)
              // Everything that was sent is known to have arrived.
              for (const events of [parent, ...children.map((child) => child.events)]) {
                assert.strictEqual(
                  events.filter(({ kind }) => kind === "sent").length,
                  events.filter(({ kind }) => kind === "delivered").length
                )
              }
            })
        }),
      240_000
    )

    it.effect(
      "of a run that is cancelled while it waits for another leaves both cancelled",
      () =>
        CrashExplorer.explore(shopping.flows, {
          ...base,
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Order, ["slow"], { id: "r" })
              yield* Effect.sleep("5 seconds")
              const status = yield* runs.cancel(run, "no need", { commandId: "cancel" })
              yield* Effect.sleep("1 hour")
              return status
            }),
          check: (outcome) =>
            Effect.map(outcome.result, (status) => {
              assert.strictEqual(status, "cancelled")
              const [child, ...others] = childrenIn(outcome)
              assert.deepStrictEqual(others, [])
              assert.strictEqual(child!.status, "cancelled")
            })
        }),
      240_000
    )

    it.effect(
      "of a run that gives up those that it waits for leaves them cancelled",
      () =>
        CrashExplorer.explore(shopping.flows, {
          ...base,
          scenario: () => ordered(["raced", "limited"]),
          check: (outcome) =>
            Effect.map(outcome.result, (prices) => {
              assert.deepStrictEqual(prices, [0, 0])
              const children = childrenIn(outcome)
              assert.lengthOf(children, 2)
              for (const { events, status } of children) {
                assert.strictEqual(status, "cancelled")
                assert.lengthOf(
                  events.filter(({ kind }) => kind === "cancelRequested"),
                  1
                )
              }
              const parent = outcome.journal("r")
              assert.lengthOf(
                parent.filter(({ kind }) => kind === "waitEnded"),
                3
              )
              assert.lengthOf(
                parent.filter(({ kind }) => kind === "sent"),
                parent.filter(({ kind }) => kind === "delivered").length
              )
            })
        }),
      240_000
    )

    it.effect(
      "of a run whose child fails tries it again, and once it succeeds goes on with its output",
      () =>
        CrashExplorer.explore(shopping.flows, {
          ...base,
          world: () => {
            const world = shop()
            world.stock.isThere = false
            return world
          },
          scenario: ({ world: { stock } }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Order, ["a", "rare"], { id: "r" })
              const first = yield* Effect.exit(runs.await(run))
              stock.isThere = true
              if (first._tag === "Failure") yield* Effect.ignore(runs.retry(run, { commandId: "again" }))
              return yield* runs.await(run)
            }),
          check: (outcome) =>
            Effect.map(outcome.result, (prices) => {
              assert.deepStrictEqual(prices, [1, 4])
              assert.strictEqual(childrenIn(outcome).length, 2)
              for (const { events, status } of childrenIn(outcome)) {
                assert.strictEqual(status, "completed")
                assert.strictEqual(events.filter(({ kind }) => kind === "callCompleted").length, 1)
              }
            })
        }),
      240_000
    )
  })
}
