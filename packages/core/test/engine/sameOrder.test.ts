/** A handler that does several things at once, and is executed again after a crash: they come out in the same order. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

/** It takes so many seconds, or for ever, and may not let itself be interrupted. */
interface How {
  readonly takes?: number
  readonly stubborn?: boolean
  /** It is answered when two are there. */
  readonly together?: boolean
}

const Ask = Tool.make("ask", {
  input: {
    what: Schema.String,
    takes: Schema.optionalKey(Schema.Finite),
    stubborn: Schema.optionalKey(Schema.Boolean),
    together: Schema.optionalKey(Schema.Boolean)
  },
  output: Schema.String
})
const Last = Tool.make("last", { input: Schema.String, output: Schema.String })

const ask = (what: string, how: How = {}) => Ask.call({ what, ...how })

type Asking<A> = Effect.Effect<A, Busy, Tool.Handler<"ask"> | Visit>

const trying = Flow.make("trying", {
  input: {},
  output: Schema.Array(Schema.String),
  error: Busy,
  start: "work",
  nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.recurs(2) }) }
})

const seconds = Effect.fnUntraced(function* (count: number) {
  for (let second = 0; second < count; second++) {
    yield* TestClock.adjust("1 second")
    yield* idle
  }
})

/** Gives some operations of Effect a fiber to do. */
const operations = (count: number) =>
  Effect.gen(function* () {
    for (let i = 0; i < count; i++) yield* Effect.sync(() => i)
  })

/**
 * Executes what comes to a text, calls a tool with it, and another one after that; kills the process after so many seconds,
 * and says what came of it in the next one, which is also what comes of a replay, and what was asked in each.
 */
const killed = (work: Asking<string>, after: number) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const world = { hangs: true, process: 1 }
    const together: Array<() => void> = []
    const both = Effect.callback<void>((resume) => {
      if (together.push(() => resume(Effect.void)) === 2)
        queueMicrotask(() => together.splice(0).forEach((answer) => answer()))
    })
    const handlers = trying.toLayer({
      work: ({ next }) =>
        Effect.gen(function* () {
          const text = yield* Last.call(yield* work)
          return next.end([text, yield* Last.call("after it")])
        })
    })
    const tools = Layer.merge(
      Ask.toLayer((asking) => {
        const { stubborn, takes, what } = asking
        const doing = Effect.gen(function* () {
          asked.push(`${what} ${world.process}`)
          if (asking.together === true) yield* both
          else yield* takes === undefined ? Effect.never : Effect.sleep(Duration.seconds(takes))
          return what
        })
        return stubborn === true ? Effect.uninterruptible(doing) : doing
      }),
      Last.toLayer((text) => (world.hangs ? Effect.never : Effect.succeed(text)))
    )
    const live = Worker.layer({ flows: [trying] }).pipe(Layer.provide(handlers), Layer.provide(tools))
    const computer = machine()
    const first = yield* computer.boot(live)
    const run = yield* first.runs.start(trying, {})
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
    const { divergences } = yield* Runs.replay(run).pipe(
      Effect.provideService(Runs.Runs, runs),
      Effect.provide(Layer.provide(handlers, tools))
    )
    assert.deepStrictEqual(divergences, [])
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

  it.effect("what a result has led to without a call comes before what came later", () =>
    Effect.gen(function* () {
      const came: Array<string> = []
      const noted = (what: string) => Effect.sync(() => void came.push(what))
      const slow = Effect.gen(function* () {
        yield* ask("slow", { takes: 1 })
        for (let i = 0; i < 3; i++) yield* Fiber.join(yield* Effect.forkChild(Effect.yieldNow))
        yield* noted("slow")
      })
      const begun = Effect.andThen(Effect.yieldNow, noted("begun"))
      const late = Effect.andThen(ask("late", { takes: 2 }), noted("late"))
      for (const work of [
        [begun, slow, late],
        [late, slow, begun]
      ]) {
        came.length = 0
        const { asked, output } = yield* killed(
          Effect.map(Effect.all(work, { concurrency: "unbounded" }), () => came.splice(0).join(" ")),
          5
        )
        assert.strictEqual(output, "begun slow late")
        assert.sameMembers(asked, ["slow 1", "late 1"])
      }
    })
  )

  it.effect("however many operations it takes", () =>
    Effect.gen(function* () {
      // Both are answered in the same turn of the event loop; Effect lets others go on after 2,048 operations.
      for (let count = 1_950; count < 2_050; count += 5) {
        const first = Effect.race(
          Effect.tap(ask("first", { together: true }), () => operations(count)),
          ask("other", { together: true })
        )
        const { output } = yield* killed(first, 5)
        assert.strictEqual(output, "first", `${count} operations`)
      }
    })
  )

  it.effect("what was over at once comes before what others had not begun by then", () =>
    Effect.gen(function* () {
      // Nothing is waited for before a call.
      const hasty = Flow.make("hasty", {
        input: {},
        output: Schema.Array(Schema.String),
        start: "work",
        durability: "ephemeral",
        nodes: { work: Node.make({ to: ["end"] }) }
      })
      const handlers = hasty.toLayer({
        work: Effect.fnUntraced(function* ({ next }) {
          const came: Array<string> = []
          const other = Effect.map(idle, () => void came.push("other"))
          const fiber = yield* Effect.forkChild(other)
          came.push(yield* Last.call("now"))
          yield* Fiber.join(fiber)
          return next.end(came)
        })
      })
      const tool = Last.toLayer(Effect.succeed)
      const live = Worker.layer({ flows: [hasty] }).pipe(Layer.provide(handlers), Layer.provide(tool))
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(hasty, {})
      assert.deepStrictEqual(yield* runs.await(run), ["now", "other"])
      const { divergences } = yield* Runs.replay(run).pipe(
        Effect.provideService(Runs.Runs, runs),
        Effect.provide(Layer.provide(handlers, tool))
      )
      assert.deepStrictEqual(divergences, [])
    })
  )

  it.effect("what others begin when a wait is over at once is begun before, as the first time", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(ask("other"))
        yield* Wait.sleep(0)
        yield* Fiber.interrupt(fiber)
        return "interrupted"
      })
      const { asked, output } = yield* killed(work, 1)
      assert.strictEqual(output, "interrupted")
      assert.deepStrictEqual(asked, ["other 1"])
    })
  )

  it.effect("what an attempt did not come to again is not what it waited for", () =>
    Effect.gen(function* () {
      let executions = 0
      const work = Effect.gen(function* () {
        const { attempt } = yield* Visit
        if (attempt > 1) return "another attempt"
        const failing = Effect.andThen(
          Effect.andThen(ask("first", { takes: 3 }), ask("second", { takes: 3 })),
          new Busy({ n: 1 })
        )
        const isSlow = ++executions === 2
        const late = Effect.andThen(isSlow ? Effect.never : Effect.sleep("4 seconds"), ask("late"))
        return yield* Effect.raceFirst(failing, late)
      })
      const { asked, output } = yield* killed(work, 5)
      assert.strictEqual(output, "another attempt")
      assert.deepStrictEqual(asked, ["first 1", "second 1", "late 1", "second 2"])
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
          ["created", "callStarted", "callStarted", "callCompleted", "slept", "callStarted"],
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

  it.effect("what was asked for while the visit waited is asked again before the wait is over", () =>
    Effect.gen(function* () {
      // Nothing tells one look from another but that it comes before.
      const round = (n: number) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.forever(ask("look", { takes: 1 })))
          yield* Wait.sleep("4500 millis")
          yield* Fiber.interrupt(fiber)
          return yield* ask(`after ${n}`, { takes: 1 })
        })
      const { asked, output } = yield* killed(
        Effect.map(Effect.forEach([1, 2, 3], round), (all) => all.join(", ")),
        25
      )
      assert.strictEqual(output, "after 1, after 2, after 3")
      const looks = Array.from({ length: 5 }, () => "look 1")
      assert.deepStrictEqual(
        asked,
        [1, 2, 3].flatMap((n) => [...looks, `after ${n} 1`])
      )
    })
  )

  it.effect("what was given up when a wait was over is not taken for what was asked for after it", () =>
    Effect.gen(function* () {
      const same = ask("same", { takes: 10 })
      const work = Effect.gen(function* () {
        const late = Effect.andThen(Effect.sleep("1 second"), ask("quick", { takes: 1 }))
        yield* Effect.all([ask("slow", { takes: 5 }), late], { concurrency: 2 })
        const fiber = yield* Effect.forkChild(same)
        yield* Wait.sleep("3 seconds")
        yield* Fiber.interrupt(fiber)
        return yield* same
      })
      const { asked, output } = yield* killed(work, 30)
      assert.strictEqual(output, "same")
      assert.deepStrictEqual(asked, ["slow 1", "quick 1", "same 1", "same 1"])
    })
  )

  it.effect("in the order of the journal also where another fiber waits for the end of a wait", () =>
    Effect.gen(function* () {
      // What comes after the wait on the visit's own fiber is held up by a sleep; the other one makes calls meanwhile.
      const work = Effect.gen(function* () {
        const came: Array<string> = []
        const calling = Effect.forEach(["a", "b", "c", "d"], (what) =>
          Effect.map(ask(what, { takes: 1 }), () => came.push(what))
        )
        const fiber = yield* Effect.forkChild(calling)
        yield* Effect.sleep("500 millis")
        yield* Wait.sleep("2 seconds")
        const seen = came.join("")
        yield* Fiber.join(fiber)
        return seen
      })
      const { output } = yield* killed(work, 10)
      assert.strictEqual(output, "ab")
    })
  )

  it.effect("in an attempt that is not the first, too: of what that attempt made and what it kept", () =>
    Effect.gen(function* () {
      const came: Array<string> = []
      const noted = (what: string, takes: number) =>
        Effect.tap(ask(what, { takes }), () => Effect.sync(() => void came.push(what)))
      const work = Effect.gen(function* () {
        came.length = 0
        const { attempt } = yield* Visit
        // The first attempt gives up a call, which the second one makes again.
        if (attempt === 1) {
          const fiber = yield* Effect.forkChild(ask("slow", { takes: 3 }))
          yield* Effect.sleep("1 second")
          yield* Fiber.interrupt(fiber)
          return yield* new Busy({ n: 1 })
        }
        const fiber = yield* Effect.forkChild(Effect.forEach(["a", "b", "c"], (what) => noted(what, 2)))
        const slow = yield* Effect.forkChild(noted("slow", 3))
        yield* Wait.sleep("5 seconds")
        yield* Fiber.interrupt(fiber)
        yield* Fiber.join(slow)
        return came.join(" ")
      })
      const { asked, output } = yield* killed(work, 15)
      assert.strictEqual(output, "a slow b")
      assert.deepStrictEqual(asked, ["slow 1", "a 1", "slow 1", "b 1", "c 1"])
    })
  )

  it.effect("what an attempt before had made need not be asked for", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        const { attempt } = yield* Visit
        if (attempt > 1) return yield* ask("b", { takes: 1 })
        yield* ask("a", { takes: 1 })
        return yield* new Busy({ n: 1 })
      })
      const { asked, output } = yield* killed(work, 5)
      assert.strictEqual(output, "b")
      assert.deepStrictEqual(asked, ["a 1", "b 1"])
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
      const live = order.slice(0, 2_000)
      assert.deepStrictEqual(order, [...live, ...live, ...live])
    })
  )
})

/** What chance gives, and the time that a fiber is told. */
const moment = Effect.gen(function* () {
  return `${yield* Random.nextIntBetween(0, 1_000)} at ${yield* Clock.currentTimeMillis}`
})

const together = (...fibers: ReadonlyArray<Asking<string>>): Asking<string> =>
  Effect.map(Effect.all(fibers, { concurrency: "unbounded" }), (texts) => texts.join(", "))

/** How long the next process needed, in milliseconds. */
const neededAgain = (journal: ReadonlyArray<Event>): number => {
  const claimed = journal.find(({ kind }) => kind === "claimed")!
  return journal[journal.length - 1]!.time - claimed.time
}

describe("what several fibers slept, after a crash", () => {
  it.effect("was over before what came after it: chance and time are the same", () =>
    Effect.gen(function* () {
      const sleeper = Effect.andThen(Effect.sleep("2500 millis"), moment)
      const caller = Effect.andThen(Effect.andThen(ask("y", { takes: 1 }), ask("z", { takes: 2 })), moment)
      const { asked, output } = yield* killed(together(caller, sleeper), 5)
      assert.match(output!, /^\d+ at 3000, \d+ at 2500$/)
      assert.deepStrictEqual(asked, ["y 1", "z 1"])
    })
  )

  it.effect("was over before a call in doubt is made again", () =>
    Effect.gen(function* () {
      const sleeper = Effect.andThen(
        Effect.sleep("1 second"),
        Effect.flatMap(moment, (text) => ask(text, { takes: 9 }))
      )
      const caller = Effect.andThen(ask("doubt", { takes: 4 }), moment)
      const { asked } = yield* killed(together(caller, sleeper), 3)
      assert.deepStrictEqual(
        asked.map((text) => text.replace(/^\d+ at/, "moment")),
        ["doubt 1", "moment 1000 1", "moment 1000 2", "doubt 2"]
      )
      assert.strictEqual(asked[1]!.slice(0, -2), asked[2]!.slice(0, -2))
    })
  )

  it.effect("is a time limit that is over for the same calls", () =>
    Effect.gen(function* () {
      const limited = (what: string, takes: number) =>
        Effect.timeoutOrElse(ask(what, { takes }), {
          duration: "2 seconds",
          orElse: () => Effect.flatMap(moment, (text) => ask(`${what} late, ${text}`, { takes: 1 }))
        })
      const fibers = [limited("a", 1), limited("b", 9), limited("c", 3), ask("d", { takes: 4 })]
      const { before, journal, output } = yield* killed(together(...fibers), 6)
      assert.match(output!, /^a, b late, \d+ at 2000, c late, \d+ at 2000, d$/)
      // That of the first one was not over.
      assert.lengthOf(
        before.filter(({ kind }) => kind === "slept"),
        2
      )
      assert.lengthOf(
        journal.filter(({ kind }) => kind === "slept"),
        2
      )
    })
  )

  it.effect("is not slept again", () =>
    Effect.gen(function* () {
      const sleeper = Effect.andThen(Effect.sleep("40 seconds"), moment)
      const { journal } = yield* killed(together(sleeper, sleeper, ask("x", { takes: 1 })), 45)
      assert.isBelow(neededAgain(journal), 5_000)
    })
  )

  it.effect("nor what a fiber slept alone, if something that is recorded came after it", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        const before = yield* moment
        yield* Effect.sleep("40 seconds")
        return `${before}, ${yield* moment}, ${yield* ask("x", { takes: 1 })}`
      })
      const { journal, output } = yield* killed(work, 45)
      assert.match(output!, /^\d+ at 0, \d+ at 40000, x$/)
      assert.notInclude(
        journal.map(({ kind }) => kind),
        "slept"
      )
      assert.isBelow(neededAgain(journal), 5_000)
    })
  )

  it.effect("what was not over begins anew", () =>
    Effect.gen(function* () {
      const sleeper = Effect.andThen(Effect.sleep("20 seconds"), moment)
      const { journal, output } = yield* killed(together(sleeper, ask("x", { takes: 1 })), 5)
      assert.match(output!, /^\d+ at \d+, x$/)
      assert.isAtLeast(neededAgain(journal), 20_000)
      const slept = journal.flatMap((event) => (event.kind === "slept" ? [event.sleep] : []))
      assert.deepStrictEqual(slept, ["0/20000/0"])
    })
  )

  it.effect("another attempt sleeps again", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        const { attempt } = yield* Visit
        const came = yield* together(Effect.as(Effect.sleep("2 seconds"), "slept"), ask("x", { takes: 1 }))
        return attempt === 1 ? yield* new Busy({ n: 1 }) : came
      })
      const { journal, output } = yield* killed(work, 6)
      assert.strictEqual(output, "slept, x")
      const slept = journal.flatMap((event) => (event.kind === "slept" ? [event.attempt] : []))
      assert.deepStrictEqual(slept, [1, 2])
    })
  )

  it.effect(
    "what was asleep when a run was cancelled leaves nothing, nor does what its finalizers sleep",
    () =>
      Effect.gen(function* () {
        const computer = machine()
        const sleeper = Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.sleep("1 second"))
        const handlers = trying.toLayer({
          work: ({ next }) => Effect.as(Effect.all([sleeper, sleeper], { concurrency: 2 }), next.end([]))
        })
        const { runs } = yield* computer.boot(Worker.layer({ flows: [trying] }).pipe(Layer.provide(handlers)))
        const run = yield* runs.start(trying, {})
        yield* idle
        yield* Effect.forkChild(runs.cancel(run, "no more"))
        yield* seconds(2)
        yield* untilStatus(runs, run, "cancelled")
        assert.deepStrictEqual(yield* computer.kinds(run), ["created", "cancelRequested", "cancelled"])
      })
  )
})
