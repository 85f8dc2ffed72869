/** Engines, stores and flows with a fault each: every check of `CrashExplorer` finds the one that it is for. */
import { assert, describe, it } from "@effect/vitest"
import type { Body, Event, Kind } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Journal from "@waymark/core/Journal"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"

const Charge = Tool.make("charge", { input: { step: Schema.Int }, output: Schema.Int })
const Print = Tool.make("print", { input: { step: Schema.Int }, delivery: "atMostOnce", inDoubt: "fail" })

const Job = Flow.make("job", {
  input: Schema.Literals(["charge", "print", "wait"]),
  state: { done: State.counter() },
  output: Schema.Int,
  start: "work",
  nodes: { work: Node.make({ to: ["work", "end"] }) }
})
const handlers = Job.toLayer({
  work: Effect.fnUntraced(function* ({ input, next, state }) {
    if (input === "charge") {
      // Before the second call, the first one and its result are durable.
      yield* Charge.call({ step: state.done })
      yield* Charge.call({ step: state.done + 100 })
    }
    if (input === "print") yield* Print.call({ step: state.done })
    if (input === "wait") {
      if (state.done === 1) yield* Wait.event("go", { schema: Schema.Int })
      yield* Charge.call({ step: state.done })
    }
    return state.done === 2 ? next.end(3, { done: 1 }) : next.to("work", { done: 1 })
  })
})

const world = () =>
  FakeTools.make(
    FakeTools.answer(Charge, ({ step }) => FakeTools.succeed(step)),
    FakeTools.always(Print, FakeTools.ok)
  )

type Mutant = (store: Store["Service"]) => Store["Service"]

/** A process that takes what it reads of this kind for a note, once it has been recovered: it forgets that it happened. */
const forgets =
  (kind: Kind): Mutant =>
  (store) => {
    if (store.owner === "process-1") return store
    const forget = (entry: Journal.Entry): Journal.Entry => {
      if (entry.event.kind !== kind) return entry
      const { epoch, prev, run, seq, time } = entry.event
      const body: Body = { kind: "annotated", note: `there was a ${kind}` }
      return { ...Journal.entry({ run, seq, epoch, time, prev }, body), line: entry.line }
    }
    return {
      ...store,
      read: (run, options) => Effect.map(store.read(run, options), (entries) => entries.map(forget))
    }
  }

/** A store that writes something else than it was told, from this event on. */
const alters =
  (isMeant: (event: Event) => boolean): Mutant =>
  (store) => ({
    ...store,
    append: (lease, expected, batch) => {
      const entries = batch.entries.map((entry) =>
        isMeant(entry.event) ? { ...entry, line: `${entry.line} ` } : entry
      )
      return store.append(lease, expected, { ...batch, entries: entries as unknown as typeof batch.entries })
    }
  })

const lying: Mutant = (store) => ({ ...store, sync: () => Effect.void })

const explored = (
  input: "charge" | "print" | "wait",
  options: {
    readonly store?: Mutant
    readonly scenario?: Effect.Effect<unknown, unknown, Runs.Runs>
    readonly handlers?: typeof handlers
    readonly only?: string
  } = {}
) =>
  CrashExplorer.explore(Job, {
    world,
    handlers: (tools) => Layer.provide(options.handlers ?? handlers, tools.layer),
    scenario: () =>
      options.scenario ?? Effect.flatMap(Runs.Runs, (runs) => runs.execute(Job, input, { id: "job" })),
    store: options.store,
    only: options.only,
    nested: "none",
    stallAfter: "100 millis",
    // What comes of a call in doubt depends on when the power was cut.
    compare: input === "print" ? () => "anything" : undefined
  })

/** What is found in the first place. */
const found = (...args: Parameters<typeof explored>) =>
  Effect.map(Effect.flip(explored(...args)), (failure) => failure.message)

const cancels = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Job, "wait", { id: "job" })
  yield* Runs.awaitUntil(run, ({ steps }) => steps >= 1)
  return yield* runs.cancel(run, "no need", { commandId: "cancel" })
})

describe("what is right is found to be right", () => {
  it.effect("calls, at-most-once calls, and a cancel", () =>
    Effect.gen(function* () {
      yield* explored("charge")
      yield* explored("wait", { scenario: cancels })
    })
  )
})

describe("a mutant is found", () => {
  it.effect("that forgets that a call has completed", () =>
    Effect.gen(function* () {
      const message = yield* found("charge", { store: forgets("callCompleted") })
      assert.match(message, /tool charge .* was carried out again, after its success at seq \d+ was durable/)
    })
  )

  it.effect("that forgets that an at-most-once call was begun", () =>
    Effect.gen(function* () {
      const scenario = Effect.flatMap(Runs.Runs, (runs) =>
        Effect.exit(runs.execute(Job, "print", { id: "job" }))
      ).pipe(Effect.as("anything"))
      yield* explored("print", { scenario })
      // The power is cut when the tool has been called and its result is not durable.
      const mutant = { scenario, store: forgets("callStarted"), only: "5-before" }
      const message = yield* found("print", mutant)
      assert.match(
        message,
        /tool print .* is an at-most-once call; it was carried out again although nobody knows/
      )
    })
  )

  it.effect("that says that it has synced, and has not", () =>
    Effect.gen(function* () {
      assert.include(yield* found("charge", { store: lying }), "no durable journal knows the run")
    })
  )

  it.effect("that writes something else than it was told", () =>
    Effect.gen(function* () {
      const message = yield* found("charge", { store: alters(({ kind }) => kind === "callCompleted") })
      assert.match(
        message,
        /without any power cut, the scenario does not do what it should\n- .*(chain|hash|prev)/i
      )
    })
  )

  it.effect("that does something for the second time when it is executed again", () =>
    Effect.gen(function* () {
      let executed = 0
      const careless = Job.toLayer({
        work: Effect.fnUntraced(function* ({ next }) {
          executed += 1
          yield* Charge.call({ step: executed })
          return next.end(executed)
        })
      })
      const message = yield* found("charge", { handlers: careless })
      assert.match(message, /executed twice|came to something else|the result of the scenario is another one/)
    })
  )
})
