/** A fork that begins in the middle of a visit, and whose process dies: positions of its own journal are not those of its origin's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type * as Flow from "@waymark/core/Flow"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import { handlersOf, oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const Ask = Tool.make("ask", {
  input: { what: Schema.String, takes: Schema.Finite },
  output: Schema.String
})

const ask = (what: string, takes = 0) => Ask.call({ what, takes })

type Work = Effect.Effect<ReadonlyArray<string>, never, Tool.Handler<"ask"> | Visit>

/** Some visits that do nothing, and one that works: it begins far from the beginning of its run. */
const handling =
  (work: Work): Flow.Handler<typeof oneNode, "work", Tool.Handler<"ask"> | Visit> =>
  ({ next, state }) =>
    state.got.length < 50
      ? Effect.succeed(next.to("work", { got: ["round"] }))
      : Effect.map(work, (got) => next.end(got))

/** A computer and its processes, one after the other, each with a handler of its own. */
const world = () => {
  const asked: Array<string> = []
  const hang = new Set<string>()
  const tool = Ask.toLayer(({ takes, what }) =>
    Effect.gen(function* () {
      asked.push(what)
      yield* hang.has(what) ? Effect.never : Effect.sleep(takes * 1000)
      return what
    })
  )
  const computer = machine()
  return {
    ...computer,
    asked,
    hang,
    boot: (work: Work) => computer.boot(program(handling(work), tool)),
    replay: (runs: Runs.Runs["Service"], id: string, work: Work) =>
      Runs.replay(Runs.ref(oneNode, id)).pipe(
        Effect.provideService(Runs.Runs, runs),
        Effect.provide(handlersOf(handling(work), tool))
      )
  }
}

const seconds = Effect.fnUntraced(function* (count: number) {
  for (let second = 0; second < count; second++) {
    yield* TestClock.adjust("1 second")
    yield* idle
  }
})

const all = (names: ReadonlyArray<string>): Work => Effect.forEach(names, (name) => ask(name))

/** Many calls, the last of which does not come back; forked from there, goes on as `work` for one call and dies in the next. */
const forked = (work: (names: ReadonlyArray<string>) => Work, own: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const names = Array.from({ length: 20 }, (_, i) => `a${i}`)
    const { asked, boot, crash, hang, ...computer } = world()
    hang.add("never")
    const { runs, stop } = yield* boot(all([...names, "never"]))
    const run = yield* runs.start(oneNode, {})
    yield* idle
    const { seq } = yield* runs.get(run)
    yield* stop
    hang.add(own[own.length - 1]!)
    asked.length = 0
    const second = yield* boot(work([...names, ...own]))
    const fork = yield* second.runs.fork(run, seq)
    yield* idle
    assert.deepStrictEqual(asked.splice(0), own)
    yield* crash
    hang.clear()
    return { ...computer, asked, boot, fork, names }
  })

describe("a fork whose process dies", () => {
  it.effect("is found out when it does not ask for what it had asked for since", () =>
    Effect.gen(function* () {
      const { asked, boot, eventsOf, fork, names } = yield* forked(all, ["own", "last"])
      const { runs } = yield* boot(all([...names, "other"]))
      yield* untilStatus(runs, fork, "paused")
      const [paused] = yield* eventsOf(fork, "paused")
      const [own] = yield* eventsOf(fork, "callStarted")
      assert.deepInclude(paused!.reason, {
        kind: "diverged",
        expected: { tool: "ask", call: own!.call, seq: own!.seq }
      })
      assert.notInclude(asked, "other")
    })
  )

  it.effect("goes on with a handler that no longer asks for what its origin had asked for", () =>
    Effect.gen(function* () {
      const changed = (names: ReadonlyArray<string>) => all(names.slice(10))
      const { asked, boot, fork, names } = yield* forked(changed, ["own", "last"])
      const { runs } = yield* boot(changed([...names, "own", "last", "more"]))
      assert.deepStrictEqual(yield* runs.await(fork), [...names.slice(10), "own", "last", "more"])
      assert.deepStrictEqual(asked.slice(-2), ["last", "more"])
    })
  )

  it.effect("has what came first come first, be it the origin's or its own", () =>
    Effect.gen(function* () {
      const { asked, boot, crash, eventsOf, hang, replay } = world()
      const work = Effect.gen(function* () {
        const looked: Array<string> = []
        // Looks every second.
        const looking = Effect.gen(function* () {
          for (let i = 0; ; i++) {
            yield* Effect.sleep("1 second")
            looked.push(yield* ask(`look ${i}`))
          }
        })
        const first = yield* Effect.race(ask("long", 9), looking)
        return [first, ...looked, yield* ask("last")]
      })
      hang.add("last")
      const first = yield* boot(work)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* seconds(5)
      const { seq } = yield* first.runs.get(run)
      yield* first.stop
      asked.length = 0
      const second = yield* boot(work)
      const fork = yield* second.runs.fork(run, seq)
      yield* idle
      yield* seconds(10)
      yield* crash
      hang.clear()
      const third = yield* boot(work)
      yield* idle
      // What it slept between its calls stands in the journal.
      yield* untilStatus(third.runs, fork, "completed")
      // Some of these looks are its origin's.
      const own = yield* eventsOf(fork, "callCompleted")
      assert.sameMembers(
        own.slice(0, -2).map(({ output }) => output),
        Array.from({ length: 9 }, (_, i) => `look ${i + 4}`)
      )
      const looks = Array.from({ length: 13 }, (_, i) => `look ${i}`)
      assert.deepStrictEqual(yield* third.runs.await(fork), ["long", ...looks, "last"])
      assert.deepStrictEqual((yield* replay(third.runs, fork.id, work)).divergences, [])
    })
  )
})
