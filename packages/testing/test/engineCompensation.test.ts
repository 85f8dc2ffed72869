/** The engine, with its power cut at every point: what becomes of what a run did, if it fails or is cancelled. */
import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import { variants } from "./engineVariants.ts"

class Full extends Schema.TaggedError<Full>()("Full", {}) {}

/** What completed is undone, with retries. */
const Pay = Tool.make("pay", {
  input: { what: Schema.String },
  output: Schema.String,
  error: Full,
  compensate: { retry: Schedule.spaced("1 hour").pipe(Schedule.upTo({ times: 2 })) }
})
/** Also what may have taken effect. */
const Book = Tool.make("book", {
  input: { what: Schema.String },
  output: Schema.String,
  error: Full,
  compensate: { inDoubt: true }
})
/** It cannot be undone. */
const Mail = Tool.make("mail", { input: { to: Schema.String }, output: Schema.String })

const trips = (durability: "pipelined" | "strict" | "ephemeral") => {
  const Trip = Flow.make("trip", {
    input: Schema.Struct({}),
    state: { booked: State.list(Schema.String) },
    output: Schema.Array(Schema.String),
    error: Full,
    start: "flight",
    durability,
    nodes: {
      flight: Node.make({
        to: ["hotel"],
        error: Full,
        retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 1 }))
      }),
      hotel: Node.make({ to: ["end"], error: Full })
    }
  })
  const handlers = Trip.toLayer({
    flight: Effect.fnUntraced(function* ({ next }) {
      yield* Pay.call({ what: "flight" })
      const seat = yield* Book.call({ what: "seat" })
      yield* Mail.call({ to: "airline" })
      return next.to("hotel", { booked: [seat] })
    }),
    hotel: Effect.fnUntraced(function* ({ next, state }) {
      yield* Pay.call({ what: "hotel" })
      // There is no room.
      const room = yield* Book.call({ what: "room" })
      return next.end([...state.booked, room])
    })
  })
  return { Trip, handlers }
}

/** Tools that take ten seconds; `isBroken` says which undoing fails. There is no room, or it takes hours. */
const makeWorld = () => {
  const world = { isBroken: (what: string): boolean => what === "hotel", isFull: true }
  const slow = <A, E>(reply: FakeTools.Reply<A, E>) => FakeTools.after("10 seconds", reply)
  const done = (what: string): FakeTools.Reply<string, Full> => {
    if (what !== "room") return slow(FakeTools.succeed(`${what} is done`))
    return world.isFull
      ? slow(FakeTools.fail(new Full()))
      : FakeTools.after("9 hours", FakeTools.succeed(what))
  }
  const undone = (what: string) => slow(world.isBroken(what) ? FakeTools.fail(new Full()) : FakeTools.ok)
  const tools = FakeTools.make(
    FakeTools.undo(
      Pay,
      FakeTools.answer(Pay, ({ what }) => done(what)),
      ({ input }) => undone(input.what)
    ),
    FakeTools.undo(
      Book,
      FakeTools.answer(Book, ({ what }) => done(what)),
      ({ input }) => undone(input.what)
    ),
    FakeTools.always(Mail, slow(FakeTools.succeed("sent")))
  )
  return { world, tools }
}

type Made = ReturnType<typeof makeWorld>

const until = (run: string, condition: (info: RunInfo) => boolean) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    while (true) {
      const info = yield* runs.get(run)
      if (condition(info)) return info
      yield* Effect.sleep("10 minutes")
    }
  })

/** What took effect in the world was undone there, or the run's end names it. */
const accounted = (tools: Made["tools"], events: ReadonlyArray<Event>): void => {
  // Whoever takes up a run that has ended may say so.
  const last = events.findLast(({ kind }) => kind !== "claimed" && kind !== "commandIgnored")!
  assert.isTrue(last.kind === "failed" || last.kind === "cancelled", `the run ended with ${last.kind}`)
  const named = "undone" in last ? (last.undone ?? []) : []
  const keys = new Map<string, string>()
  for (const event of events) if (event.kind === "callStarted") keys.set(event.call, event.key)
  const left = new Set(named.map(({ call }) => keys.get(call)!))
  const undone = new Set(
    tools.undos().flatMap(({ result, undoes }) => (result === "succeeded" ? [undoes] : []))
  )
  // Undoing a call has one key, however often it is tried.
  const own = new Set(tools.undos().map(({ key, undoes }) => `${undoes} ${key}`))
  assert.strictEqual(own.size, new Set(tools.undos().map(({ undoes }) => undoes)).size)
  for (const { key, result, tool } of tools.calls()) {
    if (tool === "mail" || result === "failed") continue
    // What nobody knows of may have taken effect.
    assert.isTrue(undone.has(key) || left.has(key), `${tool} ${key} is neither undone nor named`)
  }
}

/** Calls are undone in reverse order of completion, and after that nothing is called. */
const inOrder = (events: ReadonlyArray<Event>): void => {
  const from = events.findIndex(({ kind }) => kind === "compensating")
  if (from === -1) return
  const completed: Array<number> = []
  const starts = new Map<string, number>()
  for (const event of events.slice(0, from)) {
    if (event.kind === "callStarted" && event.undoable !== undefined) starts.set(event.call, event.seq)
    if (event.kind === "callCompleted" && starts.has(event.call)) completed.push(starts.get(event.call)!)
  }
  const ended = events
    .slice(from)
    .filter(({ kind }) => kind === "compensationCompleted" || kind === "compensationFailed")
    .map((event) => ("of" in event ? event.of : -1))
    .filter((of) => completed.includes(of))
  assert.deepStrictEqual(ended.slice(0, completed.length), [...completed].reverse())
  assert.isFalse(events.slice(from).some(({ kind }) => kind.startsWith("call")))
}

const ended = ({ endedAt }: RunInfo): boolean => endedAt !== undefined

for (const { durability, name, ...how } of variants) {
  const { Trip, handlers } = trips(durability)
  const base = {
    ...how,
    world: makeWorld,
    handlers: ({ tools }: Made) => Layer.provide(handlers, tools.layer)
  } as const

  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a run that fails and undoes what it did, one thing in vain, comes to the same",
      () =>
        CrashExplorer.explore(Trip, {
          ...base,
          scenario: () =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Trip, {}, { id: "r" })
              const error = yield* Effect.flip(runs.await(run))
              const { undone } = yield* runs.get(run)
              return { error: error._tag, undone }
            }),
          check: ({ journal, result, world: { tools } }) =>
            Effect.map(result, (answer) => {
              assert.deepStrictEqual(answer, { error: "Full", undone: 1 })
              const events = journal("r")
              accounted(tools, events)
              inOrder(events)
              const failures = events.filter(({ kind }) => kind === "compensationFailed")
              assert.strictEqual(failures.length, 1)
              // Two tries after the first, by the policy, whatever happened in between.
              assert.strictEqual(events.filter(({ kind }) => kind === "compensationRetried").length, 2)
            })
        }),
      300_000
    )

    for (const seconds of [5, 15, 35]) {
      it.effect(
        `of a run that is cancelled after ${seconds} seconds leaves nothing that is neither undone nor named`,
        () =>
          CrashExplorer.explore(Trip, {
            ...base,
            nested: how.nested === 6 ? 3 : how.nested,
            world: () => {
              const made = makeWorld()
              made.world.isFull = false
              made.world.isBroken = (what) => what === "flight"
              return made
            },
            scenario: () =>
              Effect.gen(function* () {
                const runs = yield* Runs.Runs
                const run = yield* runs.start(Trip, {}, { id: "r" })
                yield* Effect.sleep(`${seconds} seconds`)
                return yield* runs.cancel(run, "no need", { commandId: "cancel" })
              }),
            check: ({ journal, result, world: { tools } }) =>
              Effect.map(result, (answer) => {
                assert.strictEqual(answer, "cancelled")
                accounted(tools, journal("r"))
                inOrder(journal("r"))
              })
          }),
        300_000
      )
    }

    it.effect(
      "of a run that is retried to undo what it could not comes to the same",
      () =>
        CrashExplorer.explore(Trip, {
          ...base,
          nested: how.nested === 6 ? 3 : how.nested,
          scenario: ({ world: { world } }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const run = yield* runs.start(Trip, {}, { id: "r" })
              yield* until("r", ended)
              world.isBroken = () => false
              yield* Effect.ignore(runs.retry(run, { commandId: "retry" }))
              yield* until("r", (info) => ended(info) && info.undone === 0)
              return (yield* Effect.flip(runs.retry(run)))._tag
            }),
          check: ({ journal, result, world: { tools } }) =>
            Effect.map(result, (answer) => {
              assert.strictEqual(answer, "CommandRefused")
              accounted(tools, journal("r"))
              const undone = tools.undos().filter((tried) => tried.result === "succeeded")
              assert.deepStrictEqual(
                [...new Set(undone.map(({ input }) => (input as { what: string }).what))].sort(),
                ["flight", "hotel", "seat"]
              )
            })
        }),
      300_000
    )
  })
}
