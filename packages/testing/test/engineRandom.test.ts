/** The engine, with its power cut at every point of flows that a seed makes up. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import type { Pick } from "./picking.ts"
import { picking } from "./picking.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", { n: Schema.Int }) {}

const Plain = Tool.make("plain", { input: { n: Schema.Int }, output: Schema.Int, error: Busy })
const Retried = Tool.make("retried", {
  input: { n: Schema.Int },
  output: Schema.Int,
  error: Busy,
  retry: Schedule.spaced("5 seconds").pipe(Schedule.upTo({ times: 4 })),
  timeout: "2 hours"
})
const Silent = Tool.make("silent", { input: { n: Schema.Int }, output: Schema.Int })

const world = () =>
  FakeTools.make(
    FakeTools.answer(Plain, ({ n }) => {
      if (n % 7 === 6) return FakeTools.after("1 second", FakeTools.fail(new Busy({ n })))
      return n % 3 === 0
        ? FakeTools.succeed(n)
        : FakeTools.after(`${(n % 5) + 1} seconds`, FakeTools.succeed(n + 1))
    }),
    FakeTools.answer(Retried, ({ n }, { attempt }) =>
      attempt <= n % 3
        ? FakeTools.after("1 second", FakeTools.fail(new Busy({ n })))
        : FakeTools.after(`${n % 4} seconds`, FakeTools.succeed(n * 2))
    ),
    FakeTools.always(Silent, FakeTools.hang)
  )

type Action = Effect.Effect<
  number,
  Busy,
  Tool.Handler<"plain"> | Tool.Handler<"retried"> | Tool.Handler<"silent"> | Visit
>

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)

/** Something that a handler may do: calls, one after the other and at once, in other fibers, given up, in finalizers. */
const action = (pick: Pick, depth = 0): Action => {
  const several = (): ReadonlyArray<Action> =>
    Array.from({ length: 2 + pick(3) }, () => action(pick, depth + 1))
  const kind = pick(depth > 1 ? 3 : 9)
  const n = pick(50)
  const call: Action = pick(2) === 0 ? Plain.call({ n }) : Retried.call({ n })
  const caught = Effect.catchTag(call, "Busy", () => Effect.succeed(-1))
  switch (kind) {
    case 0:
      return call
    case 1:
      return caught
    case 2:
      return Effect.flatMap(Random.nextIntBetween(0, 16), (chance) =>
        Effect.map(Plain.call({ n: chance * 3 }), (m) => m)
      )
    case 3:
      return Effect.map(
        Effect.all(
          several().map((each) => Effect.catchTag(each, "Busy", () => Effect.succeed(-2))),
          { concurrency: "unbounded" }
        ),
        sum
      )
    case 4:
      // One that fails interrupts the others.
      return Effect.map(Effect.all(several(), { concurrency: 2 }), sum)
    case 5:
      return Silent.call({ n }).pipe(
        Effect.timeoutOrElse({ duration: "1 minute", orElse: () => Effect.succeed(-4) })
      )
    case 6: {
      const other = action(pick, depth + 1)
      return Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.exit(other))
        const mine = yield* caught
        const theirs = yield* Fiber.join(fiber)
        return mine + (Exit.isSuccess(theirs) ? theirs.value : -5)
      })
    }
    case 7:
      return Effect.andThen(Effect.sleep(`${1 + pick(5)} seconds`), call)
    default:
      return Effect.onExit(action(pick, depth + 1), () => Effect.ignore(Plain.call({ n: 3 })))
  }
}

/** Waits, while another fiber makes calls, which then come to their end or are given up. */
const besideCalls = (pick: Pick): Action =>
  Effect.gen(function* () {
    const calls = Array.from({ length: 1 + pick(3) }, (): Action => {
      const call: Action = pick(2) === 0 ? Plain.call({ n: pick(50) }) : Retried.call({ n: pick(50) })
      return Effect.catchTag(call, "Busy", () => Effect.succeed(-6))
    })
    const concurrency = 1 + pick(2)
    const fiber = yield* Effect.forkChild(Effect.map(Effect.all(calls, { concurrency }), sum))
    yield* Wait.sleep(`${1 + pick(8)} seconds`)
    if (pick(2) === 0) return yield* Fiber.join(fiber)
    yield* Fiber.interrupt(fiber)
    return -7
  })

/** Takes calls that come out one after the other; what is done with them, and calls nothing, is done in that order. */
const inOrder = (pick: Pick): Action =>
  Effect.gen(function* () {
    const came: Array<number> = []
    // They take between one second and five.
    const left = [1, 2, 4, 5, 8]
    const branches = Array.from({ length: 2 + pick(3) }, () => {
      const [n] = left.splice(pick(left.length), 1)
      const forks = pick(4)
      return Effect.gen(function* () {
        yield* Plain.call({ n: n! })
        for (let fork = 0; fork < forks; fork++) yield* Fiber.join(yield* Effect.forkChild(Effect.yieldNow))
        came.push(n!)
      })
    })
    yield* Effect.all(branches, { concurrency: "unbounded" })
    return yield* Silent.call({ n: Number(came.join("")) }).pipe(
      Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.succeed(came[0]!) })
    )
  })

/** Sleeps in several fibers, beside calls that are limited in time; what chance gives them depends on who comes first. */
const asleep = (pick: Pick): Action => {
  const step = (): Action => {
    const n = pick(50)
    const seconds = 1 + pick(5)
    const call = Effect.catchTag(Plain.call({ n }), "Busy", () => Effect.succeed(-8))
    switch (pick(3)) {
      case 0:
        return Effect.as(Effect.sleep(seconds * 1_000 + (pick(3) === 0 ? 0 : 250 + pick(500))), 0)
      case 1:
        return call
      default:
        return Effect.timeoutOrElse(call, {
          duration: seconds * 1_000 - 500,
          orElse: () => Effect.succeed(-9)
        })
    }
  }
  const branches = Array.from({ length: 2 + pick(3) }, () => {
    const steps = Array.from({ length: 1 + pick(4) }, () =>
      Effect.flatMap(step(), (value) =>
        Effect.flatMap(Random.nextIntBetween(0, 100), (chance) =>
          Effect.map(Clock.currentTimeMillis, (now) => value + chance + (now % 1_000))
        )
      )
    )
    return Effect.flatMap(Effect.all(steps), (values) =>
      Effect.catchTag(Plain.call({ n: sum(values) % 1_000 }), "Busy", () => Effect.succeed(-10))
    )
  })
  return Effect.map(Effect.all(branches, { concurrency: "unbounded" }), sum)
}

const names = ["first", "second", "third"] as const
type Kind = "calls" | "waits" | "order" | "sleeps"

const made = (seed: number, kind: Kind) => {
  const pick = picking(seed)
  const durability = (["pipelined", "strict", "ephemeral"] as const)[pick(3)]!
  const retry = pick(2) === 0 ? undefined : Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 2 }))
  const node = () =>
    Node.make({
      to: ["first", "second", "third", "end"],
      error: Busy,
      timeout: "3 hours",
      onError: { Busy: Node.skip("third"), NodeTimeout: "second" },
      ...(retry === undefined ? undefined : { retry })
    })
  const flow = Flow.make(`made-${seed}`, {
    input: Schema.Void,
    state: { log: State.list(Schema.Int) },
    output: Schema.Int,
    start: "first",
    durability,
    maxSteps: 6,
    nodes: { first: node(), second: node(), third: node() }
  })
  const handler = (own: number): Flow.Handler<typeof flow, "first", Effect.Services<Action>> =>
    Effect.fnUntraced(function* ({ next, state }) {
      const here = picking(seed * 1000 + own * 100 + state.log.length)
      const log: Array<number> = []
      for (let count = 1 + here(3); count > 0; count--) {
        log.push(yield* action(here))
        if (kind === "waits") log.push(yield* besideCalls(here))
        if (kind === "order") log.push(yield* inOrder(here))
        if (kind === "sleeps") log.push(yield* asleep(here))
      }
      const way = here(5)
      return way === 4 && state.log.length > 2 ? next.end(sum(log)) : next.to(names[way % 3]!, { log })
    })
  const handlers = flow.toLayer({ first: handler(1), second: handler(2), third: handler(3) })
  const what = (["leave", "cancel", "pause"] as const)[pick(3)]!
  return {
    durability,
    flow,
    handlers,
    latency: pick(2) === 0 ? undefined : ("1 millis" as const),
    what,
    wait: 1 + pick(40)
  }
}

/** What comes of it depends on how long things take. */
const isTimed = (kind: Kind): boolean => kind === "order" || kind === "sleeps"

/**
 * In that of seed 51 a call fails whose failure ends others, before these are asked for again; in that of seed 718 others go
 * on while a call is being interrupted.
 */
const seeds = [1, 2, 3, 5, 7, 8, 9, 10, 51].map((seed) => ({ seed, kind: "calls" as Kind }))
const waiting = [1, 19, 20, 29, 30, 36, 718].map((seed) => ({ seed, kind: "waits" as Kind }))
const ordered = [1, 2].map((seed) => ({ seed, kind: "order" as Kind }))
const sleeping = [1, 2, 3].map((seed) => ({ seed, kind: "sleeps" as Kind }))

describe("a crash at any point of a flow that is made up", () => {
  for (const { seed, kind } of [...seeds, ...waiting, ...ordered, ...sleeping]) {
    const { durability, flow, handlers, latency, wait, what } = made(seed, kind)
    it.effect(
      `comes to the same (seed ${seed}: ${durability}, ${what}, ${kind})`,
      () =>
        CrashExplorer.explore(flow, {
          world,
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          nested: "none",
          latency,
          // How far a run came before it was cancelled is chance; that it was over by then, too; and what takes longer since
          // it is done again comes later.
          compare: (run) => (what === "cancel" || isTimed(kind) ? run.run : run),
          check: {
            "it is replayed as it is recorded": ({ result }) => {
              if (Exit.isSuccess(result)) assert.deepInclude(result.value as object, { divergences: [] })
            }
          },
          scenario: ({ once }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(flow, undefined, { id: "r" })
              if (what === "cancel") {
                yield* Effect.sleep(`${wait} seconds`)
                yield* runs.cancel(run, "enough", { commandId: "cancel" })
                return { result: "ended", divergences: [] }
              }
              if (what === "pause") {
                yield* Effect.sleep(`${wait} seconds`)
                yield* once("pause", Effect.ignore(runs.pause(run, { commandId: "pause" })))
                while (true) {
                  const { status } = yield* runs.get(run)
                  if (status === "paused") yield* Effect.ignore(runs.resume(run, { commandId: "resume" }))
                  if (status === "completed" || status === "failed") break
                  yield* Effect.sleep("10 seconds")
                }
              }
              const result = yield* Effect.result(runs.await(run))
              // Whatever crashed, executing it again asks for what is recorded, and comes to that.
              const { divergences } = yield* Runs.replay(run, { most: 3 }).pipe(
                Effect.provide(handlers as Layer.Layer<Flow.Handlers<typeof flow.id>>)
              )
              return { result: isTimed(kind) ? "ended" : result, divergences }
            })
        }),
      300_000
    )
  }
})
