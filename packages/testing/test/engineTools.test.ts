/** The engine, with its power cut at every point: what becomes of tool calls. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", { times: Schema.Int }) {}
class Gone extends Schema.TaggedError<Gone>()("Gone", {}) {}

const execute = <F extends Flow.Any>(flow: F, input: Flow.Input<F>) =>
  Effect.flatMap(Runs.Runs, (runs) => runs.execute(flow, input, { id: "r" }))

/** Succeeds from the third try on, told apart by the number of the try, which must survive a crash. */
const flaky = (attempt: number) => (attempt < 3 ? FakeTools.fail(new Busy({ times: attempt })) : undefined)

for (const { durability, name, ...how } of variants) {
  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a loop that calls a tool leaves the outcome as it is",
      () => {
        const Square = Tool.make("square", { input: { n: Schema.Int }, output: Schema.Int })
        const Sum = Flow.make("sum", {
          input: Schema.Int,
          state: { sum: State.counter(), seen: State.list(Schema.Int), last: State.optional(Schema.Int) },
          output: Schema.Int,
          start: "add",
          durability,
          nodes: { add: Node.make({ to: ["check"] }), check: Node.make({ to: ["add", "end"] }) }
        })
        const handlers = Sum.toLayer({
          add: Effect.fnUntraced(function* ({ next, state }) {
            const n = state.seen.length
            const square = yield* Square.call({ n })
            return next.to("check", { sum: square, seen: [n], last: square })
          }),
          check: ({ input, next, state }) =>
            Effect.succeed(state.seen.length < input ? next.to("add") : next.end(state.sum))
        })
        return CrashExplorer.explore(Sum, {
          ...how,

          world: () => FakeTools.make(FakeTools.answer(Square, ({ n }) => FakeTools.succeed(n * n))),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => execute(Sum, 4),
          check: ({ result }) => Effect.map(result, (sum) => assert.strictEqual(sum, 14))
        })
      },
      300_000
    )

    it.effect(
      "of a tool's retries neither repeats nor skips one, and waits no longer than it has to",
      () => {
        const Fetch = Tool.make("fetch", {
          input: { page: Schema.Int },
          output: Schema.String,
          error: Schema.Union([Busy, Gone]),
          retry: Schedule.exponential("1 hour").pipe(Schedule.upTo({ times: 4 })),
          while: (error) => error._tag === "Busy"
        })
        const Pages = Flow.make("pages", {
          input: Schema.Int,
          state: { pages: State.record(Schema.String) },
          output: Schema.Finite,
          start: "fetch",
          durability,
          nodes: {
            fetch: Node.make({
              to: ["fetch", "end"],
              error: Schema.Union([Busy, Gone]),
              onError: { Busy: "lost", Gone: "lost" }
            }),
            lost: Node.make({ to: ["end"] })
          }
        })
        const handlers = Pages.toLayer({
          fetch: Effect.fnUntraced(function* ({ next, state }) {
            const page = Object.keys(state.pages).length
            return next.to("fetch", { pages: { [page]: yield* Fetch.call({ page }) } })
          }),
          lost: ({ next, state }) => Effect.succeed(next.end(Object.keys(state.pages).length))
        })
        return CrashExplorer.explore(Pages, {
          ...how,

          world: () => ({
            hours: 0,
            tools: FakeTools.make(
              FakeTools.answer(Fetch, ({ page }, { attempt }) =>
                page === 2
                  ? FakeTools.fail(new Gone())
                  : (flaky(attempt) ?? FakeTools.succeed(`page ${page}`))
              )
            )
          }),
          handlers: ({ tools }) => Layer.provide(handlers, tools.layer),
          scenario: ({ world }) =>
            Effect.gen(function* () {
              const pages = yield* execute(Pages, 2)
              world.hours = Math.floor((yield* Clock.currentTimeMillis) / 3_600_000)
              return pages
            }),
          check: ({ result, world: { hours } }) =>
            Effect.map(result, (pages) => {
              assert.strictEqual(pages, 2)
              // In an ephemeral run tries may be lost, and are made again.
              if (durability === "ephemeral") assert.isAtLeast(hours, 6)
              else assert.strictEqual(hours, 6)
            })
        })
      },
      300_000
    )

    it.effect(
      "of concurrent calls serves each its own result, and takes none for a divergence",
      () => {
        const Look = Tool.make("look", {
          input: { place: Schema.String },
          output: Schema.String,
          error: Busy,
          retry: Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 3 }))
        })
        const Survey = Flow.make("survey", {
          input: Schema.Array(Schema.String),
          output: Schema.Array(Schema.String),
          error: Busy,
          start: "look",
          durability,
          nodes: { look: Node.make({ to: ["end"], error: Busy }) }
        })
        const handlers = Survey.toLayer({
          look: Effect.fnUntraced(function* ({ input, next }) {
            const first = yield* Effect.forEach(input, (place) => Look.call({ place }), {
              concurrency: "unbounded"
            })
            // The same input again is another call.
            const again = yield* Effect.forEach(input.slice(0, 2), (place) => Look.call({ place }), {
              concurrency: 2
            })
            return next.end([...first, ...again])
          })
        })
        return CrashExplorer.explore(Survey, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(Look, ({ place }, { attempt }) =>
                FakeTools.after(
                  `${place.length * 3} seconds`,
                  (place === "sea" ? flaky(attempt) : undefined) ?? FakeTools.succeed(`seen: ${place}`)
                )
              )
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => execute(Survey, ["hills", "sea", "a wood", "x"]),
          check: ({ executions }) =>
            Effect.sync(() => assert.strictEqual(new Set(executions.map(({ key }) => key)).size, 6))
        })
      },
      300_000
    )

    it.effect(
      "of fibers that sleep between their calls waits for the one that slept before it says that it diverged",
      () => {
        const Work = Tool.make("work", {
          input: { millis: Schema.Int, part: Schema.String },
          output: Schema.String
        })
        const Site = Flow.make("site", {
          input: Schema.Void,
          output: Schema.Array(Schema.String),
          start: "work",
          durability,
          nodes: { work: Node.make({ to: ["end"] }) }
        })
        const work = (part: string, millis: number) => Work.call({ part, millis })
        const handlers = Site.toLayer({
          work: Effect.fnUntraced(function* ({ next }) {
            const parts = yield* Effect.all(
              [
                Effect.andThen(work("a", 10_000), work("b", 1000)),
                Effect.andThen(work("c", 10_001), work("d", 1000)),
                Effect.andThen(Effect.sleep("5 seconds"), work("e", 20_000))
              ],
              { concurrency: "unbounded" }
            )
            return next.end(parts)
          })
        })
        return CrashExplorer.explore(Site, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(Work, ({ millis, part }) => FakeTools.after(millis, FakeTools.succeed(part)))
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => execute(Site, undefined)
        })
      },
      300_000
    )

    it.effect(
      "around calls that are interrupted, raced and timed out comes to the same",
      () => {
        const Ask = Tool.make("ask", {
          input: { whom: Schema.String },
          output: Schema.String,
          timeout: "1 minute"
        })
        const Poll = Flow.make("poll", {
          input: Schema.Void,
          output: Schema.Array(Schema.String),
          start: "ask",
          durability,
          nodes: { ask: Node.make({ to: ["end"] }) }
        })
        const handlers = Poll.toLayer({
          ask: Effect.fnUntraced(function* ({ next }) {
            const slow = Ask.call({ whom: "slow" }).pipe(
              Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.succeed("too late") })
            )
            const winner = Effect.raceFirst(Ask.call({ whom: "quick" }), Ask.call({ whom: "slow" }))
            const silent = Ask.call({ whom: "silent" }).pipe(
              Effect.catchDefect(() => Effect.succeed("silence"))
            )
            return next.end([yield* slow, yield* winner, yield* silent, yield* Ask.call({ whom: "quick" })])
          })
        })
        return CrashExplorer.explore(Poll, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(Ask, ({ whom }) =>
                whom === "silent"
                  ? FakeTools.hang
                  : FakeTools.after(
                      whom === "quick" ? "1 second" : "20 seconds",
                      FakeTools.succeed(`says ${whom}`)
                    )
              )
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => execute(Poll, undefined),
          check: ({ result }) =>
            Effect.map(result, (answers) =>
              assert.deepStrictEqual(answers, ["too late", "says quick", "silence", "says quick"])
            )
        })
      },
      300_000
    )

    it.effect(
      "shows a handler the same chance and the same time when it is executed again",
      () => {
        const Draw = Tool.make("draw", { input: { card: Schema.Int, at: Schema.Finite }, output: Schema.Int })
        const Game = Flow.make("game", {
          input: Schema.Void,
          state: { drawn: State.list(Schema.Finite) },
          output: Schema.Array(Schema.Finite),
          start: "draw",
          durability,
          nodes: { draw: Node.make({ to: ["draw", "end"] }) }
        })
        const draw = Effect.gen(function* () {
          // Another number or another time would be another call, and that a divergence.
          return yield* Draw.call({
            card: yield* Random.nextIntBetween(0, 1_000_000),
            at: yield* Clock.currentTimeMillis
          })
        })
        const handlers = Game.toLayer({
          draw: Effect.fnUntraced(function* ({ next, state }) {
            const drawn = [...state.drawn, yield* draw, yield* draw, yield* draw]
            return drawn.length >= 6 ? next.end(drawn) : next.to("draw", { drawn })
          })
        })
        return CrashExplorer.explore(Game, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(Draw, ({ card }) => FakeTools.after("1 second", FakeTools.succeed(card + 1)))
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          downtime: "7 seconds",
          scenario: () => execute(Game, undefined),
          check: ({ executions }) =>
            Effect.sync(() => assert.strictEqual(new Set(executions.map(({ key }) => key)).size >= 6, true))
        })
      },
      300_000
    )
  })

  describe(`an at-most-once call (${name})`, () => {
    const Charge = Tool.make("charge", {
      input: { amount: Schema.Int },
      output: Schema.String,
      error: Busy,
      delivery: "atMostOnce",
      retry: Schedule.recurs(3)
    })
    const Shop = Flow.make("shop", {
      input: Schema.Int,
      state: { receipts: State.list(Schema.String) },
      output: Schema.Array(Schema.String),
      error: Busy,
      start: "pay",
      durability,
      nodes: { pay: Node.make({ to: ["pay", "end"], error: Busy }) }
    })
    const shop = Shop.toLayer({
      pay: Effect.fnUntraced(function* ({ input, next, state }) {
        const receipt = yield* Charge.call({ amount: state.receipts.length })
        return state.receipts.length + 1 === input
          ? next.end([...state.receipts, receipt])
          : next.to("pay", { receipts: [receipt] })
      })
    })

    it.effect(
      "that is in doubt waits for a person, who finds out and decides",
      () =>
        CrashExplorer.explore(Shop, {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(
                Charge,
                ({ amount }, { attempt }) => flaky(attempt) ?? FakeTools.succeed(`receipt ${amount}`)
              )
            ),
          handlers: (tools) => Layer.provide(shop, tools.layer),
          scenario: ({ world }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const store = yield* Store
              const run = yield* runs.start(Shop, 2, { id: "r" })
              while (true) {
                const { status } = yield* runs.get(run)
                if (status === "completed" || status === "failed") return yield* runs.await(run)
                if (status === "paused") {
                  const events = (yield* store.read("r")).map(({ event }) => event)
                  const doubt = events.findLast((event) => event.kind === "paused")
                  assert.isTrue(doubt?.kind === "paused" && doubt.reason.kind === "inDoubt")
                  const call =
                    doubt?.kind === "paused" && doubt.reason.kind === "inDoubt" ? doubt.reason.call : ""
                  const started = events.findLast(
                    (event) => event.kind === "callStarted" && event.call === call
                  )
                  const key = started?.kind === "callStarted" ? started.key : ""
                  const tries = world.calls(Charge).filter((made) => made.key === key)
                  const last = tries[tries.length - 1]
                  const as =
                    last?.result === "succeeded"
                      ? { output: `receipt ${last.input.amount}` }
                      : ("again" as const)
                  yield* Effect.ignore(runs.settle(run, call, as))
                  yield* Effect.ignore(runs.resume(run))
                }
                yield* Effect.sleep("1 second")
              }
            }),
          check: ({ executions }) =>
            Effect.sync(() => {
              const succeeded = executions.filter(({ result }) => result === "succeeded")
              assert.strictEqual(succeeded.length, new Set(succeeded.map(({ key }) => key)).size)
            })
        }),
      300_000
    )

    it.effect(
      "that is in doubt fails, if that is its policy, and is not carried out again",
      () => {
        const Send = Tool.make("send", {
          input: { to: Schema.String },
          delivery: "atMostOnce",
          inDoubt: "fail"
        })
        const Notify = Flow.make("notify", {
          input: Schema.Void,
          output: Schema.String,
          start: "send",
          durability,
          nodes: { send: Node.make({ to: ["end"], onDefect: "ask" }), ask: Node.make({ to: ["end"] }) }
        })
        const handlers = Notify.toLayer({
          send: Effect.fnUntraced(function* ({ next }) {
            yield* Send.call({ to: "a" })
            yield* Send.call({ to: "b" })
            return next.end("sent")
          }),
          ask: ({ next }) => Effect.succeed(next.end("ask somebody"))
        })
        return CrashExplorer.explore(Notify, {
          ...how,

          world: () => FakeTools.make(FakeTools.always(Send, FakeTools.ok)),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () => Effect.asVoid(execute(Notify, undefined)),
          compare: ({ status }) => status,
          check: ({ cuts, executions, runs }) =>
            Effect.sync(() => {
              const output = runs["r"]!.ending
              if (cuts.length === 0) assert.deepStrictEqual(output, { status: "completed", output: "sent" })
              assert.strictEqual(new Set(executions.map(({ key }) => key)).size, executions.length)
            })
        })
      },
      300_000
    )
  })
}
