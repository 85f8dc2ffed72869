/** The engine, with its power cut at every point: what clients write themselves. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class NoPaper extends Schema.TaggedError<NoPaper>()("NoPaper", {}) {}

const printing = (delivery: "atLeastOnce" | "atMostOnce") =>
  Tool.make("print", {
    input: { page: Schema.Int },
    output: Schema.Int,
    error: NoPaper,
    delivery,
    inDoubt: "fail"
  })

const jobs = (durability: "pipelined" | "strict" | "ephemeral", Print: ReturnType<typeof printing>) => {
  const Job = Flow.make("job", {
    input: Schema.Int,
    state: { printed: State.list(Schema.Int) },
    output: Schema.Array(Schema.Int),
    error: NoPaper,
    start: "print",
    durability,
    nodes: { print: Node.make({ to: ["print", "end"], error: NoPaper }) }
  })
  const handlers = Job.toLayer({
    print: Effect.fnUntraced(function* ({ input, next, state }) {
      const page = state.printed.length
      const printed = yield* Print.call({ page })
      return page + 1 === input
        ? next.end([...state.printed, printed])
        : next.to("print", { printed: [printed] })
    })
  })
  /** Takes ten seconds a page, and needs paper for the second one. */
  const printer = () => {
    const paper = { isThere: true }
    const tools = FakeTools.make(
      FakeTools.answer(Print, ({ page }) =>
        Effect.suspend(() =>
          page === 0 || paper.isThere
            ? Effect.as(Effect.sleep("10 seconds"), page)
            : Effect.fail(new NoPaper())
        )
      )
    )
    return { paper, tools }
  }
  return {
    Job,
    explored: {
      world: printer,
      handlers: ({ tools }: ReturnType<typeof printer>) => Layer.provide(handlers, tools.layer)
    }
  } as const
}

for (const { durability, name, ...how } of variants) {
  const { Job, explored } = jobs(durability, printing("atMostOnce"))
  const base = { ...how, ...explored }

  /** The result of a run whose call may be in doubt: it is looked up in the printer's tray then. */
  const settled = (run: Runs.Run<typeof Job>): Effect.Effect<ReadonlyArray<number>, unknown, Runs.Runs> =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const result = yield* Effect.result(runs.await(run))
      if (result._tag === "Success") return result.success
      const error = result.failure
      if (error._tag !== "RunFailed" || error.failure.kind !== "inDoubt") return yield* error
      const { call } = error.failure
      const { printed } = yield* runs.state(run)
      yield* runs.retry(run, { actor: "ada", settle: { [call]: { output: printed.length } } })
      return yield* settled(run)
    })

  const again = jobs(durability, printing("atLeastOnce"))

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "loses no note and no bookmark, and leaves none of them twice: by the worker, and after the end",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Job, 2, { id: "r" })
              yield* Effect.sleep("5 seconds")
              yield* Runs.annotate(run, "on the way", { commandId: "1", data: { page: 0 } })
              const printed = yield* settled(run)
              yield* Runs.bookmark(run, 0, { name: "start", tags: ["t"], commandId: "2" })
              yield* Runs.annotate(run, "done", { commandId: "3", until: "applied" })
              const { bookmarks } = yield* runs.get(run)
              return { printed, bookmarks }
            }),
          check: ({ journal, result }) =>
            Effect.map(result, ({ bookmarks }) => {
              assert.deepStrictEqual(bookmarks, [{ at: 0, name: "start", tags: ["t"] }])
              const ids = journal("r").flatMap((event) =>
                event.kind === "annotated" || event.kind === "bookmarked" ? [event.command!.id] : []
              )
              assert.deepStrictEqual([...ids].sort(), ["1", "2", "3"])
            })
        }),
      300_000
    )

    it.effect(
      "of a client that retries a failed run leaves it retried, once, and nobody is told of the old failure",
      () =>
        CrashExplorer.explore(again.Job, {
          ...how,
          ...again.explored,
          scenario: ({ once, world: { paper } }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              yield* once(
                "paper",
                Effect.sync(() => (paper.isThere = false))
              )
              const run = yield* runs.start(again.Job, 2, { id: "r" })
              // Until somebody brings paper, it comes to nothing.
              yield* once("failed", Effect.flip(runs.await(run)))
              paper.isThere = true
              yield* runs.retry(run, { commandId: "retry" })
              return yield* runs.await(run)
            }),
          check: ({ journal, result }) =>
            Effect.map(result, (printed) => {
              assert.deepStrictEqual(printed, [0, 1])
              const retries = journal("r").filter(
                (event) => event.kind === "restarted" && event.command?.id === "retry"
              )
              assert.strictEqual(retries.length, 1)
            })
        }),
      300_000
    )

    it.effect(
      "that leaves an at-most-once call in doubt leaves it so, however often the run is retried, until it is settled",
      () =>
        CrashExplorer.explore(Job, {
          ...base,
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Job, 2, { id: "r" })
              // Whoever just tries again gets nowhere.
              for (let i = 0; i < 2; i++) {
                const { status } = yield* Runs.awaitUntil(run, ({ status }) => RunInfo.isTerminal(status))
                if (status === "failed") yield* runs.retry(run)
              }
              return yield* settled(run)
            }),
          check: ({ executions, result }) =>
            Effect.map(result, (printed) => {
              assert.deepStrictEqual(printed, [0, 1])
              const pages = executions.map(({ input }) => (input as { page: number }).page)
              assert.strictEqual(new Set(pages).size, pages.length)
            })
        }),
      300_000
    )
  })
}
