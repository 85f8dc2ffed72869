/** The engine, with its power cut at every point of runs that wait. */
import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { sameJournal, variants, waitsFor, when } from "./engineWaiting.ts"

const Note = Tool.make("note", { input: Schema.String, output: Schema.String })
class Unlucky extends Schema.TaggedError<Unlucky>()("Unlucky", {}) {}
const Failures = Schema.Union([Wait.WaitTimeout, Wait.JobFailed, Unlucky])

const flowOf = (durability: "pipelined" | "strict" | "ephemeral") =>
  Flow.make("waiting", {
    input: Schema.Void,
    state: { got: State.list(Schema.String) },
    output: Schema.Array(Schema.String),
    error: Failures,
    signals: { early: Schema.String },
    start: "work",
    durability,
    nodes: {
      work: Node.make({
        to: ["work", "end"],
        error: Failures,
        retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 1 }))
      })
    }
  })

type Waiting = ReturnType<typeof flowOf>
type Work = Flow.Handler<Waiting, "work", Tool.Handler<"note"> | Visit>

interface Story {
  readonly work: Work
  /** What a client does while the run goes on. */
  readonly client: Effect.Effect<unknown, unknown, Runs.Runs | Store>
  readonly output: ReadonlyArray<string>
  readonly downtime?: "10 minutes"
}

const text = (name: string, timeout?: "1 minute") =>
  Wait.event(name, { schema: Schema.String, ...(timeout === undefined ? {} : { timeout }) })
const signal = (name: string, payload: string) => (runs: Runs.Runs["Service"]) =>
  runs.signal("r", name, payload, { commandId: payload, actor: "ada" })

const stories: { readonly [name: string]: Story } = {
  "for signals, one after the other and in a loop": {
    work: ({ next, state }) =>
      Effect.gen(function* () {
        yield* Note.call(`before ${state.got.length}`)
        const a = yield* Note.call(yield* text("go"))
        if (state.got.length === 1) return next.end([...state.got, a])
        const b = yield* text("go")
        return next.to("work", { got: [`${a}${b}`] })
      }),
    client: Effect.forEach(["a", "b", "c"], (payload, index) =>
      when("r", payload, waitsFor(`${index < 2 ? 1 : 2}/event/go/${index % 2}`), signal("go", payload))
    ),
    output: ["a!b", "c!"]
  },
  "for signals that come early, and twice": {
    work: ({ next }) =>
      Effect.gen(function* () {
        yield* Note.call("before")
        yield* Wait.sleep("1 minute")
        const first = yield* text("early")
        const second = yield* text("early")
        return next.end([first, yield* Note.call(second)])
      }),
    client: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const send = (payload: string) =>
        Effect.catchTag(signal("early", payload)(runs), "CommandRefused", () => Effect.void)
      yield* send("one")
      yield* send("two")
      yield* send("one")
    }),
    output: ["one", "two!"]
  },
  "for answers, of which one is wrong": {
    work: ({ next }) =>
      Effect.gen(function* () {
        const verdict = yield* Wait.user("verdict", {
          prompt: "?",
          schema: Schema.String,
          choices: ["ship", "hold"]
        })
        const why = yield* Wait.user("why", { prompt: "why?", schema: Schema.String })
        return next.end([yield* Note.call(verdict), why])
      }),
    client: Effect.gen(function* () {
      const store = yield* Store
      const isAsked = waitsFor("verdict")
      yield* when("r", "wrong", isAsked, () =>
        store.send({
          id: "wrong",
          run: "r",
          time: 0,
          request: { type: "answer", wait: "verdict", value: "maybe" }
        })
      )
      yield* when("r", "a1", isAsked, (runs) =>
        runs.answer("r", "verdict", "ship", { commandId: "a1", until: "applied" })
      )
      yield* when("r", "a2", waitsFor("why"), (runs) =>
        runs.answer("r", "why", "because", { commandId: "a2" })
      )
    }),
    output: ["ship!", "because"]
  },
  "for jobs, one of which fails": {
    work: ({ next }) =>
      Effect.gen(function* () {
        const first = yield* Wait.job("one", Schema.Int)
        const second = yield* Wait.job("two", Schema.Int, { timeout: "1 day" }).pipe(
          Effect.catchTag("JobFailed", ({ detail }) => Effect.succeed(detail))
        )
        return next.end([yield* Note.call(String(first)), String(second)])
      }),
    client: Effect.gen(function* () {
      yield* when("r", "j1", waitsFor("one"), (runs) =>
        runs.finishJob("r", "one", { value: 7 }, { commandId: "j1" })
      )
      yield* when("r", "j2", waitsFor("two"), (runs) =>
        runs.finishJob("r", "two", { failure: "no disk" }, { commandId: "j2" })
      )
    }),
    output: ["7!", "no disk"]
  },
  "for times, also such that are over": {
    work: ({ next }) =>
      Effect.gen(function* () {
        yield* Wait.sleep("5 minutes")
        const note = yield* Note.call("slept")
        yield* Wait.until(1)
        yield* Wait.until(6 * 60_000)
        return next.end([note])
      }),
    client: Effect.void,
    output: ["slept!"]
  },
  "for times that are over before anybody looks again": {
    work: ({ next }) =>
      Effect.gen(function* () {
        yield* Wait.sleep("5 minutes")
        const late = yield* Effect.catchTag(text("x", "1 minute"), "WaitTimeout", () => Note.call("late"))
        return next.end([late])
      }),
    client: Effect.void,
    output: ["late!"],
    downtime: "10 minutes"
  },
  "with timeouts, and fails at last": {
    work: ({ next }) =>
      Effect.gen(function* () {
        const first = yield* Effect.catchTag(text("x", "1 minute"), "WaitTimeout", ({ name }) =>
          Note.call(`no ${name}`)
        )
        const second = yield* text("y", "1 minute")
        const third = yield* Effect.catchTag(text("z", "1 minute"), "WaitTimeout", () =>
          Effect.succeed("late")
        )
        return next.end([first, second, third])
      }),
    client: when("r", "in time", waitsFor("y"), signal("y", "in time")),
    output: ["no x!", "in time", "late"]
  },
  "for the first of several": {
    work: ({ next, state }) =>
      Effect.gen(function* () {
        const won = yield* Wait.race({
          go: text("go"),
          ask: Wait.user("verdict", { prompt: "?", schema: Schema.String }),
          late: Wait.sleep("10 minutes")
        })
        const got = [won.winner === "late" ? yield* Note.call("late") : won.value]
        return state.got.length === 2 ? next.end([...state.got, ...got]) : next.to("work", { got })
      }),
    client: Effect.gen(function* () {
      yield* when("r", "signal", waitsFor("1/event/go/0"), signal("go", "signal"))
      yield* when("r", "a", waitsFor("2/event/go/0"), (runs) =>
        runs.answer("r", "2/user/verdict/0", "answer", { commandId: "a" })
      )
    }),
    output: ["signal", "answer", "late!"]
  },
  "in a visit that fails and gets another attempt": {
    work: ({ next }) =>
      Effect.gen(function* () {
        const { attempt } = yield* Visit
        const first = yield* text("go")
        yield* Wait.sleep("1 minute")
        const second = yield* Note.call(first)
        if (attempt === 1) return yield* new Unlucky()
        return next.end([second])
      }),
    client: when("r", "a", waitsFor("go"), signal("go", "a")),
    output: ["a!"]
  }
}

for (const [name, story] of Object.entries(stories)) {
  describe(`a run that waits ${name}`, () => {
    for (const { durability, keeps: modes, name: circumstances, ...conditions } of variants) {
      const journals = sameJournal()
      for (const { how, worker } of modes) {
        it.effect(
          `comes to the same after a crash at any point (${circumstances}, fibers are ${how})`,
          () => {
            const flow = flowOf(durability)
            const check = journals()
            return CrashExplorer.explore(flow, {
              ...conditions,
              worker,
              downtime: story.downtime,
              world: () =>
                FakeTools.make(
                  FakeTools.answer(Note, (input) =>
                    FakeTools.after("1 second", FakeTools.succeed(`${input}!`))
                  )
                ),
              handlers: (tools) => Layer.provide(flow.toLayer({ work: story.work }), tools.layer),
              scenario: () =>
                Effect.gen(function* () {
                  const runs = yield* Runs.Runs
                  const run = yield* runs.start(flow, undefined, { id: "r" })
                  yield* story.client
                  return yield* runs.await(run)
                }),
              check: (outcome) =>
                Effect.map(outcome.result, (output) => {
                  assert.deepStrictEqual(output, story.output)
                  if (conditions.latency === undefined) check(outcome)
                })
            })
          },
          240_000
        )
      }
    }
  })
}
