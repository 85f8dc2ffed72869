import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { checkCompatibility } from "@waymark/core/Compatibility"
import * as State from "@waymark/core/State"
import { Store, StoreError } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, until, untilStatus } from "./process.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }) {}

const Pick = Tool.make("pick", { input: Schema.String, output: Schema.Int })

const Line = Flow.make("line", {
  input: Schema.Struct({ item: Schema.String, at: Schema.optionalKey(Schema.Date) }),
  output: Schema.Struct({ item: Schema.String, price: Schema.Int, at: Schema.Date }),
  error: OutOfStock,
  start: "pick",
  nodes: { pick: Node.make({ to: ["end"], error: OutOfStock }) }
})

const Order = Flow.make("order", {
  input: Schema.Struct({ items: Schema.Array(Schema.String) }),
  state: { prices: State.list(Schema.Int) },
  output: Schema.Array(Schema.Int),
  error: OutOfStock,
  start: "work",
  nodes: { work: Node.make({ to: ["work", "end"], error: OutOfStock }) }
})

type LineHandler = Flow.Handler<typeof Line, "pick", Tool.Handler<"pick"> | Visit>
type OrderHandler = Flow.Handler<typeof Order, "work", Visit>

/** Executes the lines of orders, and what that came to. */
const picking = (prices: { readonly [item: string]: number } = {}) => {
  const picked: Array<string> = []
  const handler: LineHandler = ({ input: { item }, next }) =>
    Effect.gen(function* () {
      const price = yield* Pick.call(item)
      if (price < 0) return yield* new OutOfStock({ item })
      return next.end({ item, price, at: new Date(0) })
    })
  const tool = Pick.toLayer((item) =>
    Effect.sync(() => {
      picked.push(item)
      return prices[item] ?? item.length
    })
  )
  return { picked, handler, tool }
}

const lines = ({ handler, tool }: ReturnType<typeof picking>) =>
  Line.toLayer({ pick: handler }).pipe(Layer.provide(tool))

const both = (
  work: OrderHandler,
  shop: ReturnType<typeof picking>,
  options: { readonly keepWaiting?: "1 hour" | 0; readonly concurrency?: number } = {}
) =>
  Worker.layer({ flows: [Order, Line], ...options }).pipe(
    Layer.provide(Order.toLayer({ work })),
    Layer.provide(lines(shop))
  )

const each: OrderHandler = ({ input, next }) =>
  Effect.gen(function* () {
    const prices: Array<number> = []
    for (const item of input.items) prices.push((yield* Line.call({ item })).price)
    return next.end(prices)
  })

const childrenOf = (runs: Runs.Runs["Service"], run: { readonly id: string }) =>
  Effect.map(runs.list({ parent: run.id, order: "oldest" }), (page) => page.runs)

for (const [mode, keepWaiting] of [
  ["runs leave memory while they wait", 0],
  ["fibers are kept while they wait", "1 hour"]
] as const) {
  describe(`a run that calls others (${mode})`, () => {
    it.effect("gets their typed outputs, and each is executed once", () =>
      Effect.gen(function* () {
        const shop = picking()
        const { boot, kinds, journal } = machine()
        const { runs, worker } = yield* boot(
          both(
            ({ input, next }) =>
              Effect.gen(function* () {
                const prices: Array<number> = []
                for (const item of input.items) {
                  const line = yield* Line.call(
                    { item },
                    { tags: ["line"], attributes: { item }, ...(item === "b" ? { key: "bee" } : undefined) }
                  )
                  assert.instanceOf(line.at, Date)
                  prices.push(line.price)
                }
                return next.end(prices)
              }),
            shop,
            // There is one place: whoever waits must not keep it from the one that is waited for.
            { keepWaiting, concurrency: 1 }
          )
        )
        const run = yield* runs.start(
          Order,
          { items: ["a", "b", "cc"] },
          { session: "s", actor: "ada", correlation: "c" }
        )
        assert.deepStrictEqual(yield* runs.await(run), [1, 1, 2])
        assert.deepStrictEqual(shop.picked, ["a", "b", "cc"])
        yield* idle
        assert.deepStrictEqual(yield* worker.running, [])
        const children = yield* childrenOf(runs, run)
        assert.strictEqual(children.length, 3)
        for (const child of children) {
          assert.match(child.run, /^line-[0-9a-f]{32}$/)
          assert.deepStrictEqual(
            [child.session, child.actor, child.correlation, child.tags, child.outbox, child.status],
            ["s", "ada", "c", ["line"], undefined, "completed"]
          )
          const [first] = yield* journal(child.run)
          assert.strictEqual(first!.kind === "created" && first.parent?.depth, 1)
          assert.deepStrictEqual((yield* kinds(child.run)).slice(-4), [
            "visited",
            "sent",
            "completed",
            "delivered"
          ])
        }
        assert.deepStrictEqual(
          new Set(children.map(({ attributes }) => attributes!["item"])),
          new Set(["a", "b", "cc"])
        )
        assert.strictEqual((yield* runs.get(run)).outbox, undefined)
      })
    )

    it.effect("fails with the typed errors of the other flow, which it may handle", () =>
      Effect.gen(function* () {
        const shop = picking({ none: -1 })
        const { boot } = machine()
        const { runs } = yield* boot(
          both(
            ({ input, next }) =>
              Line.call({ item: input.items[0]! }).pipe(
                Effect.map(({ price }) => next.end([price])),
                Effect.catchTag("OutOfStock", (error) =>
                  input.items.length > 1 ? Effect.succeed(next.end([-7])) : Effect.fail(error)
                )
              ),
            shop,
            { keepWaiting }
          )
        )
        assert.deepStrictEqual(yield* runs.execute(Order, { items: ["none", "other"] }), [-7])
        const error = yield* Effect.flip(runs.execute(Order, { items: ["none"] }))
        assert.deepStrictEqual(error, new OutOfStock({ item: "none" }))
      })
    )

    it.effect("dies if it failed otherwise or was cancelled, and the run says of which run", () =>
      Effect.gen(function* () {
        const shop = picking()
        const live = both(
          each,
          {
            ...shop,
            handler: ({ input: { item }, next }) =>
              item === "broken"
                ? Effect.die(new Error("no shelf"))
                : Effect.as(Wait.sleep("1 day"), next.end({ item, price: 1, at: new Date(0) }))
          },
          { keepWaiting }
        )
        const { boot } = machine()
        const { runs } = yield* boot(live)
        const broken = yield* runs.start(Order, { items: ["broken"] })
        const failed = yield* Effect.flip(runs.await(broken))
        const [child] = yield* childrenOf(runs, broken)
        assert.include(failed.message, `run "${child!.run}" failed`)
        assert.include(failed.message, "no shelf")
        assert.strictEqual(failed._tag === "RunFailed" && failed.failure.kind, "defect")

        const waiting = yield* runs.start(Order, { items: ["slow"] })
        yield* untilStatus(runs, waiting, "waiting")
        yield* idle
        const [slow] = yield* childrenOf(runs, waiting)
        assert.deepStrictEqual(
          (yield* runs.get(waiting)).waits.map(({ name, type }) => [type, name]),
          [["run", slow!.run]]
        )
        assert.strictEqual(yield* runs.cancel(slow!.run, "sold"), "cancelled")
        const cancelled = yield* Effect.flip(runs.await(waiting))
        assert.deepStrictEqual(cancelled._tag === "RunFailed" && cancelled.failure, {
          kind: "cancelled",
          run: slow!.run,
          reason: "sold"
        })
      })
    )

    it.effect("calls in branches, and none waits for another", () =>
      Effect.gen(function* () {
        const shop = picking()
        const Fan = Flow.make("fan", {
          input: Schema.Array(Schema.String),
          state: { prices: State.list(Schema.Int) },
          output: Schema.Array(Schema.Int),
          start: "split",
          nodes: {
            split: Node.make({ to: [], fanOut: { to: ["one"], join: "sum" } }),
            one: Node.make({ item: Schema.String, to: ["sum"] }),
            sum: Node.make({ to: ["end"] })
          }
        })
        const live = Worker.layer({ flows: [Fan, Line], keepWaiting }).pipe(
          Layer.provide(
            Fan.toLayer({
              split: ({ input, next }) => Effect.succeed(next.each(input, "one")),
              one: ({ item, next }) =>
                Line.call({ item }).pipe(
                  Effect.orDie,
                  Effect.map(({ price }) => next.to("sum", { prices: [price] }))
                ),
              sum: ({ next, state }) => Effect.succeed(next.end([...state.prices]))
            })
          ),
          Layer.provide(lines(shop))
        )
        const { runs } = yield* machine().boot(live)
        assert.deepStrictEqual(yield* runs.execute(Fan, ["a", "bb", "ccc", "a"]), [1, 2, 3, 1])
        assert.deepStrictEqual(shop.picked.toSorted(), ["a", "a", "bb", "ccc"])
      })
    )
  })
}

describe("runs of two workers", () => {
  it.effect("each of which has one of the flows", () =>
    Effect.gen(function* () {
      const shop = picking({ none: -1 })
      const { boot, crash } = machine()
      const clerk = Worker.layer({ flows: [Order] }).pipe(Layer.provide(Order.toLayer({ work: each })))
      const store = Worker.layer({ flows: [Line] }).pipe(Layer.provide(lines(shop)))
      const one = yield* boot(clerk, { owner: "clerk" })
      const run = yield* one.runs.start(Order, { items: ["a", "bb"] })
      yield* untilStatus(one.runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(yield* one.worker.running, [])
      const [child] = yield* childrenOf(one.runs, run)
      assert.strictEqual(child!.status, "pending")
      const two = yield* boot(store, { owner: "store" })
      assert.deepStrictEqual(yield* two.runs.await(run), [1, 2])
      // Whoever has nothing of the parent's flow tells it all the same, and it is found by whoever has.
      const next = yield* two.runs.start(Order, { items: ["none"] })
      assert.deepStrictEqual(yield* Effect.flip(two.runs.await(next)), new OutOfStock({ item: "none" }))
      yield* crash
      const again = yield* boot(store)
      const last = yield* again.runs.start(Order, { items: ["ccc"] })
      yield* idle
      const late = yield* boot(clerk)
      assert.deepStrictEqual(yield* late.runs.await(last), [3])
    })
  )
})

describe("cancelling", () => {
  it.effect(
    "ends those that are waited for first, whatever they do, and not those that were only started",
    () =>
      Effect.gen(function* () {
        const shop = picking()
        const finalized: Array<string> = []
        const { boot, journal } = machine()
        const { runs } = yield* boot(
          both(
            ({ next }) =>
              Effect.gen(function* () {
                const other = yield* Line.start({ item: "alone" })
                yield* Line.call({ item: "asked" })
                return next.end([other.id.length])
              }).pipe(Effect.orDie),
            {
              ...shop,
              handler: ({ input: { item }, next }) =>
                item === "alone"
                  ? Effect.as(Wait.sleep("1 hour"), next.end({ item, price: 1, at: new Date(0) }))
                  : Effect.ensuring(
                      Effect.never,
                      Effect.sync(() => finalized.push(item))
                    )
            }
          )
        )
        const run = yield* runs.start(Order, { items: [] })
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        const children = yield* childrenOf(runs, run)
        assert.deepStrictEqual(children.map(({ status }) => status).toSorted(), ["pending", "waiting"])
        assert.strictEqual(yield* runs.cancel(run, "no need"), "cancelled")
        assert.deepStrictEqual(finalized, ["asked"])
        const asked = children.find(({ status }) => status === "pending")!
        const after = yield* runs.get(asked.run)
        assert.strictEqual(after.status, "cancelled")
        const ends = yield* journal(run)
        // The child had ended before the parent did.
        const over = ends.findIndex(({ kind }) => kind === "waitEnded")
        assert.isTrue(over > 0 && over < ends.findIndex(({ kind }) => kind === "cancelled"))
        yield* TestClock.adjust("1 hour")
        const alone = children.find(({ status }) => status === "waiting")!
        yield* untilStatus(runs, alone.run, "completed")
      })
  )

  it.effect("goes all the way down, and on after a crash", () =>
    Effect.gen(function* () {
      const Deep = Flow.make("deep", {
        input: Schema.Int,
        output: Schema.Int,
        start: "go",
        nodes: { go: Node.make({ to: ["end"] }) }
      })
      const live = Worker.layer({ flows: [Deep] }).pipe(
        Layer.provide(
          Deep.toLayer({
            go: ({ input, next }) =>
              input === 0
                ? Effect.as(Wait.event("never", { schema: Schema.String }), next.end(0))
                : Effect.map(Deep.call(input - 1), (below) => next.end(below + 1))
          })
        )
      )
      const { boot, client, crash } = machine()
      const first = yield* boot(live)
      const run = yield* first.runs.start(Deep, 4, { id: "top" })
      const all = Effect.map(first.runs.list({}), ({ runs: rows }) => rows)
      yield* until(
        Effect.map(all, (rows) => rows.length === 5 && rows.every(({ status }) => status === "waiting"))
      )
      yield* crash
      const asking = yield* client
      const cancelling = yield* Effect.forkChild(asking.cancel(run, "enough"))
      yield* idle
      const second = yield* boot(live)
      assert.strictEqual(yield* Fiber.join(cancelling), "cancelled")
      const { runs: rows } = yield* second.runs.list({})
      assert.deepStrictEqual(new Set(rows.map(({ status }) => status)), new Set(["cancelled"]))
    })
  )

  it.effect("of a run whose child was not made yet makes none that is executed", () =>
    Effect.gen(function* () {
      const shop = picking()
      let isBroken = true
      const { boot } = machine()
      const { runs } = yield* boot(both(each, shop), {
        wrap: (store) => ({
          ...store,
          create: (batch, options) =>
            isBroken && batch.entries[0].event.run.startsWith("line-")
              ? Effect.fail(new StoreError({ operation: "create", reason: { _tag: "Io", code: "EIO" } }))
              : store.create(batch, options)
        })
      })
      const run = yield* runs.start(Order, { items: ["a"] })
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.strictEqual((yield* runs.get(run)).outbox, 1)
      isBroken = false
      assert.strictEqual(yield* runs.cancel(run, "no"), "cancelled")
      const [child] = yield* childrenOf(runs, run)
      assert.strictEqual(child!.status, "cancelled")
      assert.deepStrictEqual(shop.picked, [])
    })
  )
})

describe("branches that are given up", () => {
  const Shop = Flow.make("shop", {
    input: Schema.Literals(["quorum", "nested"]),
    output: Schema.Array(Schema.String),
    start: "split",
    nodes: {
      split: Node.make({ to: [], fanOut: { to: ["line", "inner"], join: "over", policy: { quorum: 1 } } }),
      inner: Node.make({ item: Schema.String, to: [], fanOut: { to: ["deep"], join: "innerOver" } }),
      innerOver: Node.make({ to: ["over"] }),
      deep: Node.make({ item: Schema.String, to: ["innerOver"] }),
      line: Node.make({ item: Schema.String, to: ["over"] }),
      over: Node.make({ to: ["end"] })
    }
  })

  for (const keepWaiting of [0, "1 hour"] as const) {
    it.effect(`cancel the runs that they wait for (fibers are kept for ${keepWaiting})`, () =>
      Effect.gen(function* () {
        const shop = picking()
        const slow: LineHandler = (context) =>
          Effect.andThen(
            context.input.item.startsWith("slow") ? Wait.sleep("1 day") : Effect.void,
            shop.handler(context)
          )
        const { boot } = machine()
        const { runs } = yield* boot(
          Worker.layer({ flows: [Shop, Line], keepWaiting }).pipe(
            Layer.provide(
              Shop.toLayer({
                split: ({ next }) =>
                  Effect.succeed(
                    next.all([
                      next.branch("line", "slow a"),
                      next.branch("inner", "b"),
                      next.branch("line", "c")
                    ])
                  ),
                inner: ({ next }) => Effect.succeed(next.each(["slow d", "slow e"], "deep")),
                innerOver: ({ next }) => Effect.succeed(next.to("over")),
                deep: ({ item, next }) => Effect.as(Effect.orDie(Line.call({ item })), next.to("innerOver")),
                line: ({ item, next }) =>
                  Effect.gen(function* () {
                    // The others have to be waiting by then.
                    if (item === "c") yield* Wait.sleep("1 minute")
                    yield* Effect.orDie(Line.call({ item }))
                    return next.to("over")
                  }),
                over: ({ next }) => Effect.succeed(next.end([]))
              })
            ),
            Layer.provide(lines({ ...shop, handler: slow }))
          )
        )
        const run = yield* runs.start(Shop, "quorum")
        yield* untilStatus(runs, run, "waiting")
        yield* idle
        assert.lengthOf(yield* childrenOf(runs, run), 3)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* runs.await(run), [])
        yield* idle
        const children = yield* childrenOf(runs, run)
        yield* until(
          Effect.map(childrenOf(runs, run), (all) => all.every(({ status }) => RunInfo.isTerminal(status)))
        )
        assert.deepStrictEqual(
          (yield* childrenOf(runs, run)).map(({ status }) => status).sort(),
          ["cancelled", "cancelled", "cancelled", "completed"],
          children.map(({ status }) => status).join()
        )
        const [cancelled] = (yield* childrenOf(runs, run)).filter(({ status }) => status === "cancelled")
        const error = yield* Effect.flip(runs.await(Runs.ref(Line, cancelled!.run)))
        assert.include(error.message, "which waits for it, was given up")
        assert.isUndefined((yield* runs.get(run)).outbox)
      })
    )
  }
})

describe("a child that failed", () => {
  it.effect("is tried again when the node of its parent is", () =>
    Effect.gen(function* () {
      const shop = picking()
      let isThere = false
      const Patient = Flow.make("patient", {
        input: Schema.String,
        output: Schema.Int,
        error: OutOfStock,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: OutOfStock, retry: Schedule.spaced("1 hour") }) }
      })
      const live = Worker.layer({ flows: [Patient, Line] }).pipe(
        Layer.provide(
          Patient.toLayer({
            work: ({ input, next }) =>
              Effect.gen(function* () {
                const first = yield* Line.call({ item: "always" })
                const second = yield* Line.call({ item: input })
                return next.end(first.price + second.price)
              })
          })
        ),
        Layer.provide(
          lines({
            ...shop,
            handler: ({ input: { item }, next }) =>
              Effect.gen(function* () {
                yield* Pick.call(item)
                if (item !== "always" && !isThere) return yield* new OutOfStock({ item })
                return next.end({ item, price: 5, at: new Date(0) })
              })
          })
        )
      )
      const { boot, kinds } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(Patient, "rare")
      yield* until(Effect.map(kinds(run), (all) => all.includes("attemptFailed")))
      yield* idle
      yield* TestClock.adjust("1 hour")
      yield* until(
        Effect.map(kinds(run), (all) => all.filter((kind) => kind === "attemptFailed").length === 2)
      )
      isThere = true
      yield* idle
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* runs.await(run), 10)
      const children = yield* childrenOf(runs, run)
      assert.strictEqual(children.length, 2)
      const restarts = yield* Effect.forEach(children, (child) =>
        Effect.map(kinds(child.run), (all) => all.filter((kind) => kind === "restarted").length)
      )
      assert.deepStrictEqual(
        restarts.toSorted((a, b) => a - b),
        [0, 2]
      )
      // What had been done is not done again, neither in the child nor in the one that had completed.
      assert.deepStrictEqual(shop.picked, ["always", "rare"])
    })
  )

  it.effect("may be retried by a person; then the parent, retried, goes on with its output", () =>
    Effect.gen(function* () {
      const prices: { [item: string]: number } = { none: -1 }
      const shop = picking(prices)
      let tries = 0
      const { boot, crash } = machine()
      const live = both(each, {
        ...shop,
        handler: ({ input: { item }, next }) =>
          Effect.suspend(() =>
            item === "none" && tries++ === 0
              ? Effect.fail(new OutOfStock({ item }))
              : Effect.succeed(next.end({ item, price: 9, at: new Date(0) }))
          )
      })
      const first = yield* boot(live)
      const run = yield* first.runs.start(Order, { items: ["a", "none"] })
      yield* Effect.flip(first.runs.await(run))
      const failed = (yield* childrenOf(first.runs, run)).find(({ status }) => status === "failed")!
      yield* crash
      const { runs } = yield* boot(live)
      yield* runs.retry(failed.run)
      yield* untilStatus(runs, failed.run, "completed")
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "failed")
      yield* runs.retry(run)
      assert.deepStrictEqual(yield* runs.await(run), [9, 9])
      assert.strictEqual(tries, 2)
    })
  )
})

describe("a run that is only started", () => {
  it.effect("is on its own, and is started once per visit, by its input or a key", () =>
    Effect.gen(function* () {
      const shop = picking()
      const started: Array<ReadonlyArray<string>> = []
      const { boot, eventsOf, journal } = machine()
      const { runs } = yield* boot(
        both(
          ({ next }) =>
            Effect.gen(function* () {
              const all = yield* Effect.all(
                [Line.start({ item: "a" }), Line.start({ item: "b" }), Line.start({ item: "a" })],
                { concurrency: "unbounded" }
              )
              const keyed = yield* Line.start({ item: "a" }, { key: "k" })
              started.push([...all, keyed].map(({ id }) => id))
              yield* Wait.sleep("1 minute")
              const kept = yield* Effect.map(Effect.succeed(all[1]), ({ flow }) => flow.id)
              return next.end([kept.length])
            }),
          shop
        )
      )
      const run = yield* runs.start(Order, { items: [] })
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.deepStrictEqual(shop.picked, ["a", "b", "a", "a"])
      yield* TestClock.adjust("1 minute")
      yield* runs.await(run)
      assert.strictEqual(new Set(started[0]).size, 4)
      assert.deepStrictEqual(started[1], started[0])
      assert.strictEqual((yield* eventsOf(run, "sent")).length, 4)
      const [created] = yield* journal(started[0]![0]!)
      assert.isTrue(created!.kind === "created" && created.parent!.run === run.id)
      assert.strictEqual((yield* eventsOf(started[0]![0]!, "sent")).length, 0)
      const got = yield* runs.await(Runs.ref(Line, started[0]![1]!))
      assert.strictEqual(got.item, "b")
    })
  )
})

describe("recursion", () => {
  const Deep = Flow.make("deep", {
    input: Schema.Int,
    output: Schema.Int,
    start: "go",
    nodes: { go: Node.make({ to: ["end"] }) }
  })
  const live = Worker.layer({ flows: [Deep], concurrency: 3 }).pipe(
    Layer.provide(
      Deep.toLayer({
        go: ({ input, next }) =>
          input === 0
            ? Effect.succeed(next.end(0))
            : Effect.map(Deep.call(input - 1), (below) => next.end(below + 1))
      })
    )
  )

  it.effect("works, up to 100 runs above a run", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(live)
      assert.strictEqual(yield* runs.execute(Deep, 100), 100)
      const endless = yield* Effect.flip(runs.execute(Deep, 101))
      assert.include(endless.message, "has 100 runs above it")
    })
  )
})

describe("a call", () => {
  it.effect("that is not on the visit's own fiber is refused, and so is what outlives its visit", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(
        both(
          ({ input, next }) =>
            Effect.gen(function* () {
              if (input.items[0] === "late") {
                yield* Effect.addFinalizer(() => Effect.ignore(Line.start({ item: "x" })))
                return next.end([])
              }
              yield* Effect.all([Line.call({ item: "a" }), Effect.void], { concurrency: 2 })
              return next.end([1])
            }) as any,
          picking()
        )
      )
      const misplaced = yield* Effect.flip(runs.execute(Order, { items: [] }))
      assert.include(misplaced.message, "not on the visit's own fiber")
      assert.include(misplaced.message, "flow line")
    })
  )

  it.effect("whose input is another in the next attempt needs a key", () =>
    Effect.gen(function* () {
      const shop = picking({ one: -1 })
      let attempts = 0
      const Fickle = Flow.make("fickle", {
        input: Schema.String,
        output: Schema.Int,
        error: OutOfStock,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: OutOfStock, retry: Schedule.recurs(1) }) }
      })
      const live = Worker.layer({ flows: [Fickle, Line] }).pipe(
        Layer.provide(
          Fickle.toLayer({
            work: ({ input, next }) =>
              Effect.suspend(() => {
                attempts += 1
                const item = shop.picked.length === 0 ? "one" : "two"
                return Line.call({ item }, input === "keyed" ? { key: item } : undefined)
              }).pipe(Effect.map(({ price }) => next.end(price)))
          })
        ),
        Layer.provide(lines(shop))
      )
      const { runs } = yield* machine().boot(live)
      const refused = yield* Effect.exit(runs.execute(Fickle, "plain"))
      assert.isTrue(Exit.isFailure(refused))
      assert.include(JSON.stringify(refused), "another input")
      shop.picked.length = 0
      assert.isAtLeast(attempts, 2)
    })
  )

  it.effect("is served to replays, forks and checks, and a fork makes children of its own", () =>
    Effect.gen(function* () {
      const shop = picking()
      const order = Order.toLayer({
        work: ({ next }) =>
          Effect.gen(function* () {
            const other = yield* Line.start({ item: "aside" })
            const first = yield* Line.call({ item: "a" })
            yield* Wait.event("go", { schema: Schema.String })
            const second = yield* Line.call({ item: "bb" })
            return next.end([first.price, second.price, other.id.length])
          })
      })
      const live = Worker.layer({ flows: [Order, Line] }).pipe(
        Layer.provide(order),
        Layer.provide(lines(shop))
      )
      const { boot, eventsOf } = machine()
      const { runs, store } = yield* boot(live)
      const run = yield* runs.start(Order, { items: [] }, { id: "r" })
      yield* until(Effect.map(runs.get(run), ({ waits }) => waits.some(({ type }) => type === "event")))
      yield* idle
      const verdicts = yield* Stream.runCollect(checkCompatibility(Order)).pipe(
        Effect.provide(order),
        Effect.provideService(Store, store)
      )
      assert.deepStrictEqual(
        [...verdicts].map(({ _tag }) => _tag),
        ["Continues"]
      )
      yield* runs.signal(run, "go", "now")
      assert.deepStrictEqual(yield* runs.await(run), [1, 2, 37])
      const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
        Effect.provide(order)
      )
      assert.deepStrictEqual(report, { run: "r", visits: 1, divergences: [] })
      // What a child tells its parent stands before its own end.
      const { runs: children } = yield* runs.list({ parent: "r" })
      for (const { run: child } of children) {
        const replayed = yield* Effect.provideService(
          Runs.replay(Runs.ref(Line, child)),
          Runs.Runs,
          runs
        ).pipe(Effect.provide(lines(shop)))
        assert.deepStrictEqual(replayed, { run: child, visits: 1, divergences: [] })
      }
      const waits = yield* eventsOf(run, "waitEnded")
      const fork = yield* runs.fork(run, waits[0]!.seq, { id: "f" })
      yield* until(Effect.map(runs.get(fork), (info) => info.waits.some(({ type }) => type === "event")))
      yield* runs.signal(fork, "go", "now")
      assert.deepStrictEqual(yield* runs.await(fork), [1, 2, 37])
      // What was over before the fork is served; what is started is started by the fork.
      assert.deepStrictEqual(shop.picked, ["aside", "a", "bb", "aside", "bb"])
    })
  )
})

describe("a message that does not get through", () => {
  it.effect("is reported, and delivered later", () =>
    Effect.gen(function* () {
      const shop = picking()
      let failures = 0
      const { boot } = machine()
      const { runs } = yield* boot(both(each, shop), {
        wrap: (store) => ({
          ...store,
          create: (batch, options) =>
            failures === 0 && batch.entries[0].event.run.startsWith("line-")
              ? Effect.suspend(() => {
                  failures += 1
                  return Effect.fail(
                    new StoreError({ operation: "create", reason: { _tag: "Io", code: "EIO" } })
                  )
                })
              : store.create(batch, options),
          send: (command) =>
            failures === 1 && command.request.type === "ended"
              ? Effect.suspend(() => {
                  failures += 1
                  return Effect.fail(
                    new StoreError({ operation: "send", reason: { _tag: "Io", code: "EIO" } })
                  )
                })
              : store.send(command)
        })
      })
      const run = yield* runs.start(Order, { items: ["a"] })
      yield* untilStatus(runs, run, "waiting")
      yield* idle
      assert.strictEqual(failures, 1)
      assert.deepStrictEqual(yield* childrenOf(runs, run), [])
      yield* TestClock.adjust("15 seconds")
      yield* until(Effect.sync(() => failures === 2))
      yield* idle
      const [child] = yield* childrenOf(runs, run)
      assert.strictEqual(child!.status, "completed")
      assert.strictEqual(child!.outbox, 1)
      // It has yet to tell.
      assert.strictEqual((yield* Effect.flip(runs.delete(child!.run)))._tag, "RunInUse")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* runs.await(run), [1])
      yield* idle
      yield* runs.delete(child!.run)
    })
  )
})
