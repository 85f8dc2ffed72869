/** The engine, with its power cut at every point of runs that go on in branches. */
import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { sameJournal, variants, waitsFor, when } from "./engineWaiting.ts"

class Bad extends Schema.TaggedError<Bad>()("Bad", { n: Schema.Int }) {}

const Work = Tool.make("work", { input: Schema.Int, output: Schema.Int, error: Bad })

/** Negative numbers fail; the others take so many seconds. */
const world = () =>
  FakeTools.make(
    FakeTools.answer(Work, (n) =>
      FakeTools.after(
        `${Math.abs(n) % 10} seconds`,
        n < 0 ? FakeTools.fail(new Bad({ n })) : FakeTools.succeed(n)
      )
    )
  )

interface Shape {
  readonly durability: "pipelined" | "strict" | "ephemeral"
  readonly policy: Node.FanOutPolicy
}

/** One branch per number. An item is what the branch does: it works, waits, goes round, fans out itself. */
const Item = Schema.Struct({
  n: Schema.Int,
  wait: Schema.optionalKey(Schema.Literals(["signal", "sleep", "timeout", "never"])),
  again: Schema.optionalKey(Schema.Int),
  inner: Schema.optionalKey(Schema.Array(Schema.Int))
})
type Item = typeof Item.Type

const flowOf = ({ durability, policy }: Shape) =>
  Flow.make("branching", {
    input: Schema.Array(Item),
    state: { list: State.list(Schema.Int), sum: State.counter() },
    output: Schema.Struct({
      list: Schema.Array(Schema.Int),
      sum: Schema.Int,
      how: Schema.Array(Schema.String)
    }),
    error: Bad,
    start: "split",
    durability,
    nodes: {
      split: Node.make({ to: [], fanOut: { to: ["one"], join: "merge", policy: policy as "failFast" } }),
      one: Node.make({
        item: Item,
        to: ["again", "merge"],
        error: Bad,
        fanOut: { to: ["leaf"], join: "weigh", policy: { quorum: 2 } },
        retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 1 }))
      }),
      again: Node.make({ to: ["again", "merge"], error: Bad }),
      leaf: Node.make({ item: Schema.Int, to: ["weigh"], error: Bad }),
      weigh: Node.make({ to: ["merge"] }),
      merge: Node.make({ to: ["end"] })
    }
  })

type Branching = ReturnType<typeof flowOf>

const handlersOf = (flow: Branching) => {
  const one: Flow.Handler<Branching, "one", Tool.Handler<"work"> | Visit> = ({ item, next }) =>
    Effect.gen(function* () {
      const { again, inner, n, wait } = item
      if (inner !== undefined) return next.each(inner, "leaf", { update: { list: [n] } })
      if (wait === "signal") yield* Wait.event("go", { schema: Schema.Null, key: String(n) })
      if (wait === "never") yield* Wait.event("never", { schema: Schema.Null })
      if (wait === "sleep") yield* Wait.sleep("1 minute")
      if (wait === "timeout") {
        yield* Effect.ignore(Wait.event("never", { schema: Schema.Null, timeout: "30 seconds" }))
      }
      const got = yield* Work.call(n)
      return again === undefined
        ? next.to("merge", { list: [got], sum: got })
        : next.to("again", { list: [got], sum: again })
    })
  return flow.toLayer({
    split: ({ input, next }) => Effect.succeed(next.each(input, "one")),
    one,
    again: ({ next, state }) =>
      Effect.gen(function* () {
        yield* Wait.sleep("10 seconds")
        const got = yield* Work.call(state.list.length)
        return state.sum <= 1 ? next.to("merge", { list: [got] }) : next.to("again", { list: [got], sum: -1 })
      }),
    leaf: ({ item, next }) => Effect.map(Work.call(item), (got) => next.to("weigh", { list: [got] })),
    weigh: ({ branches, next }) =>
      Effect.succeed(
        next.to("merge", { sum: branches.filter(({ status }) => status === "completed").length })
      ),
    merge: ({ branches, next, state }) =>
      Effect.succeed(
        next.end({ list: state.list, sum: state.sum, how: branches.map(({ status }) => status) })
      )
  })
}

interface Story {
  readonly policy: Node.FanOutPolicy
  readonly input: ReadonlyArray<Item>
  readonly client?: Effect.Effect<unknown, unknown, Runs.Runs | Store>
  /** What comes of it; the tag of an error. */
  readonly comesTo:
    | { readonly list: ReadonlyArray<number>; readonly sum: number; readonly how: ReadonlyArray<string> }
    | string
  /** Whether it is chance which branch is the first. */
  readonly isRace?: true
}

const go = (n: number) =>
  when("r", `go${n}`, waitsFor(String(n)), (runs) =>
    runs.signal("r", "go", null, { key: String(n), commandId: `go${n}` })
  )

const ok = "completed"

const stories: { readonly [name: string]: Story } = {
  "that are executed at once": {
    policy: "failFast",
    input: [{ n: 3 }, { n: 1, again: 2 }],
    comesTo: { list: [3, 1, 1, 2], sum: 4, how: [ok, ok] }
  },
  "that wait": {
    policy: "failFast",
    input: [
      { n: 1, wait: "signal" },
      { n: 2, wait: "sleep" },
      { n: 4, wait: "signal" }
    ],
    client: Effect.andThen(go(4), go(1)),
    comesTo: { list: [1, 2, 4], sum: 7, how: [ok, ok, ok] }
  },
  "of which one fails, and the run with it": {
    policy: "failFast",
    input: [{ n: -2 }, { n: 1 }, { n: 3, wait: "never" }],
    comesTo: "Bad"
  },
  "of which two fail, and the others are collected": {
    policy: "collect",
    input: [{ n: -2 }, { n: 1, wait: "sleep" }, { n: -3, wait: "timeout" }, { n: 4 }],
    comesTo: { list: [1, 4], sum: 5, how: ["failed", ok, "failed", ok] }
  },
  "of which a quorum is enough": {
    policy: { quorum: 2 },
    input: [{ n: 9, wait: "never" }, { n: 3 }, { n: 3 }, { n: 9, wait: "never" }],
    comesTo: { list: [3, 3], sum: 6, how: ["cancelled", ok, ok, "cancelled"] }
  },
  "of which more than a quorum end at once": {
    policy: { quorum: 1 },
    input: [{ n: 3 }, { n: 3 }, { n: 3, again: 1 }, { n: 3 }, { n: 3 }],
    // Which of them was the first is chance.
    isRace: true,
    comesTo: { list: [3], sum: 3, how: ["cancelled", "cancelled", "cancelled", "cancelled", ok] }
  },
  "that go on in branches themselves": {
    policy: "collect",
    input: [
      { n: 7, inner: [2, 1] },
      { n: 8, inner: [-1, 1, 2] },
      { n: 9, inner: [-1, -2, 4] },
      { n: 1, wait: "signal" }
    ],
    client: go(1),
    comesTo: { list: [7, 2, 1, 8, 1, 2, 1], sum: 5, how: [ok, ok, "failed", ok] }
  }
}

/** Who completed is joined in the order of the branches. */
const expectOrder = (journal: ReadonlyArray<Event>): void => {
  const joins = journal.filter((event) => event.kind === "joined")
  assert.strictEqual(
    new Set(joins.map(({ fanOut }) => fanOut)).size,
    joins.length,
    "a fan-out is joined twice"
  )
}

for (const [name, story] of Object.entries(stories)) {
  describe(`branches ${name}`, () => {
    for (const { durability, keeps: modes, name: circumstances, ...conditions } of variants) {
      const journals = sameJournal()
      for (const { how, worker } of modes) {
        it.effect(
          `come to the same after a crash at any point (${circumstances}, fibers are ${how})`,
          () => {
            const flow = flowOf({ durability, policy: story.policy })
            const check = journals()
            return CrashExplorer.explore(flow, {
              ...conditions,
              ...(story.isRace === true ? { compare: ({ status }) => status } : undefined),
              worker,
              world,
              handlers: (tools) => Layer.provide(handlersOf(flow), tools.layer),
              scenario: () =>
                Effect.gen(function* () {
                  const runs = yield* Runs.Runs
                  const run = yield* runs.start(flow, story.input, { id: "r" })
                  if (story.client !== undefined) yield* story.client
                  return yield* Effect.match(runs.await(run), {
                    onSuccess: (output): Story["comesTo"] =>
                      story.isRace === true ? { ...output, how: [...output.how].sort() } : output,
                    onFailure: ({ _tag }): Story["comesTo"] => _tag
                  })
                }),
              check: (outcome) =>
                Effect.map(outcome.result, (comesTo) => {
                  assert.deepStrictEqual(comesTo, story.comesTo)
                  expectOrder(outcome.journal("r"))
                  if (conditions.latency === undefined && story.isRace !== true) check(outcome)
                })
            })
          },
          240_000
        )
      }
    }
  })
}

describe("a run in branches", () => {
  const input: ReadonlyArray<Item> = [{ n: 3 }, { n: 1, wait: "signal" }, { n: 2, wait: "sleep" }]
  for (const { durability, keeps: modes, name: circumstances, ...conditions } of variants) {
    if (conditions.latency !== undefined) continue
    for (const { how, worker } of modes) {
      const flow = flowOf({ durability, policy: "failFast" })
      const base = {
        ...conditions,
        nested: "none",
        worker,
        world,
        handlers: (tools: ReturnType<typeof world>) => Layer.provide(handlersOf(flow), tools.layer)
      } as const

      it.effect(
        `that is paused and resumed comes to the same after a crash at any point (${circumstances}, fibers are ${how})`,
        () =>
          CrashExplorer.explore(flow, {
            ...base,
            scenario: ({ once }) =>
              Effect.gen(function* () {
                const runs = yield* Runs.Runs
                const run = yield* runs.start(flow, input, { id: "r" })
                yield* Effect.sleep("2 seconds")
                yield* once("pause", Effect.ignore(runs.pause(run, { commandId: "pause" })))
                // It ends a wait of a run that is paused, too.
                yield* go(1)
                yield* when(
                  "r",
                  "resume",
                  ({ pause }) => pause !== undefined,
                  (handle) => handle.resume(run, { commandId: "resume" })
                )
                return yield* runs.await(run)
              }),
            check: ({ result }) =>
              Effect.map(result, (output) =>
                assert.deepStrictEqual(output, { list: [3, 1, 2], sum: 6, how: [ok, ok, ok] })
              )
          }),
        240_000
      )

      it.effect(
        `that is cancelled stays so after a crash at any point (${circumstances}, fibers are ${how})`,
        () =>
          CrashExplorer.explore(flow, {
            ...base,
            scenario: () =>
              Effect.gen(function* () {
                const runs = yield* Runs.Runs
                const run = yield* runs.start(flow, input, { id: "r" })
                yield* Effect.sleep("2 seconds")
                const ending = yield* runs.cancel(run, "no need", { commandId: "cancel" })
                // Nothing of it goes on, whatever it waited for.
                yield* Effect.sleep("1 hour")
                return ending
              }),
            check: ({ journal, result, runs }) =>
              Effect.map(result, (ending) => {
                assert.strictEqual(ending, "cancelled")
                assert.deepStrictEqual(runs["r"]!.waits, [])
                const events = journal("r").filter(
                  ({ kind }) => kind !== "claimed" && kind !== "commandIgnored"
                )
                assert.strictEqual(events[events.length - 1]!.kind, "cancelled")
              })
          }),
        240_000
      )
    }
  }
})
