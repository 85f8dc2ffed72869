/** A flow that uses everything at once, with the flows that it starts, and the world around it. */
import type { Body, Durability } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as FakeTools from "../src/FakeTools.ts"
import * as JournalBuilder from "../src/JournalBuilder.ts"

export class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
export class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { parcel: Schema.Int }) {}

// ---------------------------------------------------------------------------------------------------------------
// tools
// ---------------------------------------------------------------------------------------------------------------

const twice = Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 2 }))

/** It is undone, and both take retries. */
export const Reserve = Tool.make("reserve", {
  input: { what: Schema.String },
  output: Schema.String,
  error: Busy,
  retry: twice,
  compensate: { retry: twice }
})
/** It is undone, also if nobody knows whether it took effect. */
export const Book = Tool.make("book", {
  input: { parcel: Schema.Int },
  output: Schema.String,
  compensate: { inDoubt: true }
})
/** It takes long, and shows that it is alive. */
export const Render = Tool.make("render", {
  input: { page: Schema.Int },
  output: Schema.String,
  heartbeat: "30 seconds",
  retry: Schedule.recurs(2)
})
export const Assess = Tool.make("assess", { input: { attempt: Schema.Int }, error: Busy })
export const Print = Tool.make("print", { input: { hangs: Schema.Boolean } })
export const Note = Tool.make("note", { input: { text: Schema.String }, output: Schema.String })
/** Nobody makes it twice. */
export const Pay = Tool.make("pay", {
  input: { order: Schema.String },
  output: Schema.String,
  delivery: "atMostOnce"
})

export const Draft = Run.output("draft", Schema.Struct({ page: Schema.Int }))
export const Tokens = Run.budget("tokens", { limit: 7, warnAt: 0.5 })

// ---------------------------------------------------------------------------------------------------------------
// flows
// ---------------------------------------------------------------------------------------------------------------

/**
 * What differs from order to order.
 *
 * - `pages`: how many rounds one of the branches takes; each costs three tokens, of seven
 * - `failures`: how many attempts at the assessment fail: the first two visits get two attempts each
 * - `hangs`: whether the printer does
 */
export const Order = Schema.Struct({ pages: Schema.Int, failures: Schema.Int, hangs: Schema.Boolean })
export type Order = typeof Order.Type

const Line = Schema.Struct({ text: Schema.String })
const S1 = { log: State.list(Schema.String), pages: State.counter() }
const S2 = { log: State.list(Line), pages: State.counter() }
const signals = { extra: Schema.Int }
const V1 = { version: 1, state: S1, input: Order } as const

export const minute = 60_000

/** So many attempts at the assessment there are: two by the node, and again after a restart. */
export const attempts = 4

export const flowsOf = (durability: Durability) => {
  const OrderV1 = Flow.make("order", {
    ...V1,
    start: "begin",
    durability,
    signals,
    nodes: { begin: Node.make({ to: ["gather"] }), gather: Node.make({ to: ["end"], error: Busy }) },
    error: Busy,
    maxRecoveries: 100,
    timeout: "10 hours"
  })
  const OrderV2 = Flow.make("order", {
    version: 2,
    input: Order,
    state: S2,
    output: Schema.Array(Schema.String),
    error: Schema.Union([Busy, Refused]),
    budgets: [Tokens],
    signals,
    start: "begin",
    durability,
    timeout: "10 hours",
    maxRecoveries: 100,
    restart: { max: 1, schedule: Schedule.spaced("2 minutes") },
    nodes: {
      begin: Node.make({ to: ["collect"] }),
      collect: Node.make({ to: ["split"], error: Busy }),
      split: Node.make({ to: [], fanOut: { to: ["ask", "loop", "part"], join: "merge" } }),
      ask: Node.make({ to: ["merge"] }),
      loop: Node.make({ to: ["loop", "merge"] }),
      part: Node.make({ to: ["merge"] }),
      merge: Node.make({ to: ["assess"] }),
      assess: Node.make({
        to: ["decide"],
        error: Busy,
        retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 1 }))
      }),
      decide: Node.make({
        to: ["print"],
        error: Schema.Union([Refused, Wait.WaitTimeout]),
        onError: { Refused: "appeal", WaitTimeout: "appeal" }
      }),
      appeal: Node.make({ to: ["print"] }),
      print: Node.make({ to: ["pay"], timeout: "1 minute", onError: { NodeTimeout: "pay" } }),
      pay: Node.make({ to: ["end"] })
    },
    migrations: [
      Migration.make({
        from: V1,
        to: { version: 2, state: S2, input: Order },
        state: ({ log, pages }) => ({ log: log.map((text) => ({ text })), pages }),
        nodes: { gather: "collect" }
      })
    ]
  })
  const Part = Flow.make("part", {
    input: Schema.Struct({ parcel: Schema.Int }),
    output: Schema.String,
    error: SoldOut,
    start: "book",
    durability,
    maxRecoveries: 100,
    nodes: { book: Node.make({ to: ["send"] }), send: Node.make({ to: ["end"], error: SoldOut }) }
  })
  const Letter = Flow.make("letter", {
    input: Schema.Struct({ to: Schema.String }),
    start: "write",
    durability,
    maxRecoveries: 100,
    nodes: { write: Node.make({ to: ["end"] }) }
  })

  const line = (text: string) => ({ log: [{ text }] })
  const go = Wait.event("go", { schema: Schema.Int })
  /** The same in both versions, since a visit that is open goes on in the other one. */
  const collect = Effect.gen(function* () {
    const stock = yield* Reserve.call({ what: "stock" })
    const truck = yield* Reserve.call({ what: "truck" })
    yield* Letter.start({ to: "ada" })
    yield* Run.log("collected", { stock })
    return [stock, truck, `go ${yield* go}`]
  })

  const letters = Letter.toLayer({
    write: Effect.fnUntraced(function* ({ input: { to }, next }) {
      yield* Wait.sleep("3 minutes")
      yield* Note.call({ text: `letter to ${to}` })
      return next.end()
    })
  })
  const first = Layer.merge(
    OrderV1.toLayer({
      begin: ({ next }) => Effect.succeed(next.to("gather", { log: ["begun"] })),
      gather: ({ next }) => Effect.as(collect, next.end())
    }),
    letters
  )
  const handlers = Layer.mergeAll(
    OrderV2.toLayer({
      begin: ({ next }) => Effect.succeed(next.to("collect", line("begun"))),
      collect: ({ next }) =>
        Effect.map(collect, (texts) => next.to("split", { log: texts.map((text) => ({ text })) })),
      split: ({ next }) => Effect.succeed(next.all(["ask", "loop", "part"])),
      ask: Effect.fnUntraced(function* ({ next }) {
        const paid = Wait.event("paid", { schema: Schema.Int, key: "k" })
        const won = yield* Wait.race({ paid, late: Wait.sleep("10 minutes") })
        return next.to("merge", line(won.winner === "late" ? "unpaid" : `paid ${won.value}`))
      }),
      loop: Effect.fnUntraced(function* ({ input, next, state }) {
        const page = state.pages + 1
        yield* Run.progress(page, input.pages)
        const text = yield* Render.call({ page })
        yield* Draft.emit({ page })
        yield* Tokens.spend(3)
        return page >= input.pages
          ? next.to("merge", { pages: 1, ...line(text) })
          : next.to("loop", { pages: 1, ...line(text) })
      }),
      part: Effect.fnUntraced(function* ({ next }) {
        const got = yield* Part.call({ parcel: 1 }, { tags: ["part"] }).pipe(
          Effect.catchTag("SoldOut", ({ parcel }) => Effect.succeed(`sold out ${parcel}`))
        )
        return next.to("merge", line(got))
      }),
      merge: Effect.fnUntraced(function* ({ next }) {
        yield* Run.tag("merged")
        const first = yield* Wait.event("extra", { schema: Schema.Int })
        const noted = yield* Note.call({ text: `extra ${first}` })
        const second = yield* Wait.event("extra", { schema: Schema.Int })
        return next.to("assess", { log: [{ text: noted }, { text: `extra ${second}` }] })
      }),
      assess: Effect.fnUntraced(function* ({ next }) {
        const { attempt } = yield* Visit
        const truck = yield* Reserve.call({ what: "crane" })
        yield* Assess.call({ attempt })
        return next.to("decide", line(truck))
      }),
      decide: Effect.fnUntraced(function* ({ next }) {
        const verdict = yield* Wait.user("verdict", {
          prompt: "?",
          schema: Schema.String,
          choices: ["ship", "hold"],
          timeout: "30 minutes"
        })
        if (verdict === "hold") return yield* new Refused()
        return next.to("print", line(verdict))
      }),
      appeal: ({ next }) => Effect.map(Note.call({ text: "appeal" }), (text) => next.to("print", line(text))),
      print: ({ input: { hangs }, next }) =>
        Effect.as(Print.call({ hangs }), next.to("pay", line("printed"))),
      pay: Effect.fnUntraced(function* ({ next, state }) {
        const receipt = yield* Pay.call({ order: "o" })
        yield* Wait.sleep("5 minutes")
        return next.end([...state.log.map(({ text }) => text), receipt])
      })
    }),
    Part.toLayer({
      book: Effect.fnUntraced(function* ({ input, next }) {
        yield* Book.call(input)
        return next.to("send")
      }),
      send: Effect.fnUntraced(function* ({ next }) {
        const parcel = yield* Wait.event("parcel", { schema: Schema.Int })
        if (parcel % 5 === 0) return yield* new SoldOut({ parcel })
        return next.end(yield* Note.call({ text: `parcel ${parcel}` }))
      })
    }),
    letters
  )
  return {
    Order: OrderV2,
    earlier: { flows: [OrderV1, Letter] as const, Order: OrderV1, handlers: first },
    flows: [OrderV2, Part, Letter] as const,
    handlers
  }
}

// ---------------------------------------------------------------------------------------------------------------
// the world
// ---------------------------------------------------------------------------------------------------------------

/** Tools that take some time. What they answer depends on nothing but what they are asked, and which try it is. */
export const makeTools = (failures: number) => {
  const soon = <A, E>(reply: FakeTools.Reply<A, E>) => FakeTools.after("5 seconds", reply)
  const render = (page: number) =>
    Effect.gen(function* () {
      for (let i = 0; i < 2; i++) {
        yield* Effect.sleep("20 seconds")
        yield* Tool.heartbeat
      }
      return `page ${page}`
    }) as Effect.Effect<string>
  return FakeTools.make(
    FakeTools.undo(
      Reserve,
      // The truck is there at the second try.
      FakeTools.answer(Reserve, ({ what }, { attempt }) =>
        soon(
          what === "truck" && attempt === 1
            ? FakeTools.fail(new Busy())
            : FakeTools.succeed(`${what} is reserved`)
        )
      ),
      ({ attempt, input: { what } }) =>
        soon(what === "truck" && attempt === 1 ? FakeTools.fail(new Busy()) : FakeTools.ok)
    ),
    FakeTools.undo(
      Book,
      FakeTools.answer(Book, ({ parcel }) => soon(FakeTools.succeed(`parcel ${parcel} is booked`))),
      () => soon(FakeTools.ok)
    ),
    // Of the second page the first try shows no sign of life.
    FakeTools.answer(Render, ({ page }, { attempt }) =>
      page === 2 && attempt === 1 ? FakeTools.hang : render(page)
    ),
    FakeTools.answer(Assess, ({ attempt }) =>
      soon(attempt <= failures ? FakeTools.fail(new Busy()) : FakeTools.ok)
    ),
    FakeTools.answer(Print, ({ hangs }) => (hangs ? FakeTools.hang : soon(FakeTools.ok))),
    FakeTools.answer(Note, ({ text }) => soon(FakeTools.succeed(text))),
    FakeTools.answer(Pay, ({ order }) => soon(FakeTools.succeed(`${order} is paid`)))
  )
}

export const receipt = "o is paid"

/** A run of the first version that is in its second visit, with one call that succeeded and one in doubt. */
export const earlierRun = Effect.fnUntraced(function* (run: string, input: Order, durability: Durability) {
  const { hash } = yield* Hasher
  const place = { node: "gather", visit: 2, attempt: 1 }
  const call = (what: string) => {
    const digest = hash(JSON.stringify({ what })).slice(0, 32)
    const id = `reserve/${digest}/0`
    return {
      ...place,
      call: id,
      tool: "reserve",
      key: hash(JSON.stringify([run, "", "gather", 2, id])).slice(0, 32)
    }
  }
  const started = (what: string): Body => ({
    kind: "callStarted",
    ...call(what),
    input: { what },
    undoable: "completed"
  })
  const { key: _, ...stock } = call("stock")
  const journal = yield* JournalBuilder.make(run, { time: 0 })
  return journal.batch(
    JournalBuilder.created({
      flow: "order",
      fingerprint: "one",
      start: "begin",
      input,
      durability,
      signals: Object.keys(signals),
      timeout: 600 * minute
    }),
    {
      kind: "visited",
      node: "begin",
      visit: 1,
      attempt: 1,
      started: 0,
      ops: { log: { append: ["begun"] } },
      next: { to: "gather" }
    },
    started("stock"),
    { kind: "callCompleted", ...stock, output: "stock is reserved" },
    started("truck")
  )
})
