/** The engine, with its power cut at every point: visits and runs that take too long. */
import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const minute = 60_000
const hour = 60 * minute
const Book = Tool.make("book", { input: { what: Schema.String }, output: Schema.String, compensate: true })
const Slow = Tool.make("slow", { input: { hangs: Schema.Boolean }, output: Schema.String })
const Fail = Tool.make("fail", { input: {}, error: Busy })

const makeTools = () =>
  FakeTools.make(
    FakeTools.answer(Book, ({ what }) => FakeTools.after("1 second", FakeTools.succeed(`${what} is booked`))),
    FakeTools.answer(Slow, ({ hangs }) =>
      hangs ? FakeTools.hang : FakeTools.after("30 seconds", FakeTools.succeed("done"))
    ),
    FakeTools.always(Fail, FakeTools.fail(new Busy()))
  )

/** What a run does until it has taken too long. */
const doings = [
  "calls a tool that does not answer",
  "waits",
  "sleeps until its next attempt",
  "is paused"
] as const

const isTimeout = (event: Event, what: "node" | "run"): boolean =>
  "error" in event && event.error?.kind === "timeout" && event.error.what === what

for (const { durability, name, ...how } of variants) {
  /** What a slow disk adds. */
  const slack = how.latency === undefined ? 0 : 40
  const Limited = Flow.make("limited", {
    input: Schema.Literals(doings),
    error: Busy,
    start: "book",
    timeout: "1 hour",
    durability,
    nodes: {
      book: Node.make({ to: ["work"] }),
      work: Node.make({ to: ["end"], error: Busy, retry: Schedule.spaced("2 hours") })
    }
  })
  const limited = Limited.toLayer({
    book: Effect.fnUntraced(function* ({ next }) {
      yield* Book.call({ what: "room" })
      return next.to("work")
    }),
    work: Effect.fnUntraced(function* ({ input, next }) {
      if (input === "calls a tool that does not answer") yield* Slow.call({ hangs: true })
      else if (input === "sleeps until its next attempt") yield* Fail.call({})
      else yield* Wait.event("never", { schema: Schema.Int })
      return next.end()
    })
  })

  const Patient = Flow.make("patient", {
    input: Schema.Void,
    output: Schema.String,
    start: "work",
    durability,
    nodes: {
      work: Node.make({
        to: ["end"],
        timeout: "1 minute",
        retry: Schedule.spaced("10 minutes").pipe(Schedule.upTo({ times: 1 }))
      })
    }
  })
  const patient = Patient.toLayer({
    work: Effect.fnUntraced(function* ({ next }) {
      yield* Slow.call({ hangs: false })
      // What it waits does not count.
      const n = yield* Wait.event("go", { schema: Schema.Int })
      const answer = yield* Slow.call({ hangs: n === 1 }, { key: "second" })
      return next.end(answer)
    })
  })

  describe(`a crash at any point (${name})`, () => {
    for (const doing of doings) {
      // What it lost it does not undo.
      if (durability === "ephemeral") continue
      it.effect(
        `of a run that ${doing} leaves it the time that it has, and then it undoes what it did and fails`,
        () =>
          CrashExplorer.explore(Limited, {
            ...how,
            nested: how.nested === 6 ? 3 : how.nested,

            world: makeTools,
            handlers: (tools) => Layer.provide(limited, tools.layer),
            scenario: () =>
              Effect.gen(function* () {
                const runs = yield* Runs.Runs
                const run = yield* runs.start(Limited, doing, { id: "r" })
                if (doing === "is paused") {
                  yield* Effect.sleep("10 minutes")
                  yield* Effect.ignore(runs.pause(run, { commandId: "pause" }))
                  yield* Effect.sleep("2 hours")
                  yield* Effect.ignore(runs.resume(run, { commandId: "resume" }))
                }
                const error = yield* Effect.flip(runs.await(run))
                return error._tag
              }),
            check: ({ executions, journal, result }) =>
              Effect.map(result, (tag) => {
                assert.strictEqual(tag, "RunFailed")
                const events = journal("r")
                const over = events.filter(
                  (event) => event.kind === "compensating" && isTimeout(event, "run")
                )
                assert.strictEqual(over.length, 1)
                const [{ time }] = over as unknown as readonly [Event]
                // A paused run does not fail for that; nor does time begin anew with a crash.
                const resumed = events.find(({ kind }) => kind === "resumed")?.time
                assert.closeTo(time, resumed ?? hour, slack)
                if (doing === "is paused") assert.isAbove(time, 2 * hour)
                const undone = executions.filter(({ undoes }) => undoes !== undefined)
                assert.isTrue(undone.some((one) => one.result === "succeeded"))
                assert.strictEqual(events.filter(({ kind }) => kind === "compensationCompleted").length, 1)
              })
          }),
        300_000
      )
    }

    it.effect(
      "of a visit that takes too long gives each execution its time, without what it waits",
      () =>
        CrashExplorer.explore(Patient, {
          ...how,

          world: () => {
            const tries = { count: 0 }
            return FakeTools.make(
              FakeTools.answer(Slow, ({ hangs }) => {
                if (!hangs) return FakeTools.after("30 seconds", FakeTools.succeed("done"))
                tries.count += 1
                return FakeTools.hang
              })
            )
          },
          handlers: (tools) => Layer.provide(patient, tools.layer),
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Patient, undefined, { id: "r" })
              yield* Effect.sleep("30 minutes")
              yield* Effect.ignore(runs.signal(run, "go", 1, { commandId: "go" }))
              const error = yield* Effect.flip(runs.await(run))
              return error._tag === "RunFailed" ? error.failure : error._tag
            }),
          check: ({ journal, result }) =>
            Effect.map(result, (failure) => {
              assert.deepStrictEqual(failure, { kind: "timeout", what: "node", name: "work", millis: minute })
              const events = journal("r")
              const over = events.filter((event) => isTimeout(event, "node"))
              assert.deepStrictEqual(
                over.map(({ kind }) => kind),
                ["attemptFailed", "failed"]
              )
              for (const { seq, time } of over) {
                const begun = events
                  .slice(0, seq)
                  .findLast(({ kind }) => kind === "callStarted" || kind === "callRepeated")!
                assert.closeTo(time - begun.time, minute, slack)
              }
            })
        }),
      300_000
    )
  })
}
