/** A handler that does several things at once, and is executed again after a crash: they come out in the same order. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import { oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

/** It takes so many seconds, or for ever, and may not let itself be interrupted. */
interface How {
  readonly takes?: number
  readonly stubborn?: boolean
}

const Ask = Tool.make("ask", {
  input: {
    what: Schema.String,
    takes: Schema.optionalKey(Schema.Finite),
    stubborn: Schema.optionalKey(Schema.Boolean)
  },
  output: Schema.String
})
const Last = Tool.make("last", { input: Schema.String, output: Schema.String })

const ask = (what: string, how: How = {}) => Ask.call({ what, ...how })

type Asking<A> = Effect.Effect<A, never, Tool.Handler<"ask"> | Visit>

const seconds = Effect.fnUntraced(function* (count: number) {
  for (let second = 0; second < count; second++) {
    yield* TestClock.adjust("1 second")
    yield* idle
  }
})

/**
 * Executes what comes to a text, calls a tool with it, and another one after that; kills the process after so many seconds,
 * and says what came of it in the next one, and what was asked in each.
 */
const killed = (work: Asking<string>, after: number) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const world = { hangs: true, process: 1 }
    const live = program(
      ({ next }) =>
        Effect.gen(function* () {
          const text = yield* Last.call(yield* work)
          return next.end([text, yield* Last.call("after it")])
        }),
      Ask.toLayer(({ stubborn, takes, what }) => {
        const doing = Effect.gen(function* () {
          asked.push(`${what} ${world.process}`)
          yield* takes === undefined ? Effect.never : Effect.sleep(Duration.seconds(takes))
          return what
        })
        return stubborn === true ? Effect.uninterruptible(doing) : doing
      }),
      Last.toLayer((text) => (world.hangs ? Effect.never : Effect.succeed(text)))
    )
    const computer = machine()
    const first = yield* computer.boot(live)
    const run = yield* first.runs.start(oneNode, {})
    yield* idle
    yield* seconds(after)
    const before = yield* computer.journal(run)
    yield* computer.crash
    world.hangs = false
    world.process = 2
    const { runs } = yield* computer.boot(live)
    yield* idle
    for (let second = 0; second < 100 && (yield* runs.get(run)).status === "running"; second++)
      yield* seconds(1)
    yield* untilStatus(runs, run, "completed")
    const [output] = yield* runs.await(run)
    return { output, asked, before, journal: yield* computer.journal(run) }
  })

describe("calls that were made at once, after a crash", () => {
  it.effect("the one that came first comes first, whichever is asked for first", () =>
    Effect.gen(function* () {
      const came: Array<string> = []
      const noted = (what: string, takes: number) =>
        Effect.tap(ask(what, { takes }), () => Effect.sync(() => void came.push(what)))
      const both = Effect.all([noted("slow", 2), noted("quick", 1)], { concurrency: "unbounded" })
      const first = Effect.map(both, () => came.splice(0).join(" before "))
      const { asked, output } = yield* killed(first, 5)
      assert.strictEqual(output, "quick before slow")
      assert.deepStrictEqual(asked, ["slow 1", "quick 1"])
    })
  )

  it.effect("the loser of a race that nobody knows the end of is given up again, and not made again", () =>
    Effect.gen(function* () {
      for (const order of ["winner first", "winner last"]) {
        const winner = ask("winner", { takes: 1 })
        const loser = ask("loser", { stubborn: true })
        const race = order === "winner first" ? Effect.race(winner, loser) : Effect.race(loser, winner)
        // What another fiber asks makes durable that the first one has won.
        const other = Effect.andThen(Effect.sleep("2 seconds"), ask("other", { takes: 10 }))
        const both = Effect.all([race, other], { concurrency: "unbounded" })
        const { asked, before, journal, output } = yield* killed(
          Effect.map(both, ([won]) => won),
          5
        )
        assert.deepStrictEqual(
          before.map(({ kind }) => kind),
          ["created", "callStarted", "callStarted", "callCompleted", "callStarted"],
          order
        )
        assert.strictEqual(output, "winner", order)
        assert.sameMembers(asked, ["winner 1", "loser 1", "other 1", "other 2"], order)
        const failed = journal.flatMap((event) => (event.kind === "callFailed" ? [event.error] : []))
        assert.deepStrictEqual(failed, [{ kind: "interrupted" }], order)
      }
    })
  )

  it.effect("what others asked in the meantime is asked again before a result ends them", () =>
    Effect.gen(function* () {
      // Looks every ten seconds, until the long call is done.
      const looking = Effect.forever(Effect.andThen(Effect.sleep("10 seconds"), ask("look", { takes: 1 })))
      const { asked, output } = yield* killed(Effect.race(ask("long", { takes: 35 }), looking), 40)
      assert.strictEqual(output, "long")
      assert.deepStrictEqual(asked, ["long 1", "look 1", "look 1", "look 1"])
    })
  )

  it.effect("what was done when something was interrupted is done again", () =>
    Effect.gen(function* () {
      const cleaned = Effect.onInterrupt(ask("interrupted"), () => ask("cleanup", { takes: 1 }))
      for (const order of ["winner first", "winner last"]) {
        const winner = ask("winner", { takes: 1 })
        const race = order === "winner first" ? Effect.race(winner, cleaned) : Effect.race(cleaned, winner)
        const { asked, output } = yield* killed(race, 5)
        assert.strictEqual(output, "winner", order)
        assert.sameMembers(asked, ["winner 1", "interrupted 1", "cleanup 1"], order)
      }
    })
  )

  it.effect("thousands are served in their order", () =>
    Effect.gen(function* () {
      const order: Array<number> = []
      const all = Effect.forEach(
        Array.from({ length: 2_000 }, (_, i) => i),
        (i) => Effect.tap(ask(`${i}`, { takes: 1 + (i % 3) }), () => Effect.sync(() => void order.push(i))),
        { concurrency: 64 }
      )
      const { asked, output } = yield* killed(Effect.as(all, "done"), 100)
      assert.strictEqual(output, "done")
      assert.strictEqual(asked.length, 2_000)
      assert.deepStrictEqual(order.slice(2_000), order.slice(0, 2_000))
    })
  )
})
