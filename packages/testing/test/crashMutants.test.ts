/** Engines, stores and flows with one fault each: the check of `CrashExplorer` that is for it finds it, and no other does. */
import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import * as Mutants from "./crashMutants.ts"

const Charge = Tool.make("charge", { input: { step: Schema.Int }, output: Schema.Int })
const Print = Tool.make("print", { input: { step: Schema.Int }, delivery: "atMostOnce", inDoubt: "fail" })

const Input = Schema.Literals(["charge", "print", "wait", "sleep", "think"])
const make = (durability: "pipelined" | "strict") =>
  Flow.make("job", {
    input: Input,
    state: { done: State.counter() },
    output: Schema.Int,
    durability,
    start: "work",
    nodes: { work: Node.make({ to: ["work", "end"] }) }
  })
const Job = make("pipelined")
const StrictJob = make("strict")

const handlers = Job.toLayer({
  work: Effect.fnUntraced(function* ({ input, next, state }) {
    if (input === "charge") {
      // Before the second call, the first one and its result are durable.
      yield* Charge.call({ step: state.done })
      yield* Run.log("charged")
      yield* Charge.call({ step: state.done + 100 })
    }
    if (input === "print") yield* Print.call({ step: state.done })
    if (input === "wait") {
      if (state.done === 1)
        yield* Wait.event("go", { schema: Schema.Null, timeout: "1 hour" }).pipe(Effect.ignore)
      yield* Charge.call({ step: state.done })
    }
    if (input === "sleep" && state.done === 1) {
      yield* Charge.call({ step: 1 })
      const cleanUp = Effect.orDie(Charge.call({ step: 100 }))
      yield* Effect.onInterrupt(Effect.sleep("1 hour"), () => cleanUp)
    }
    return state.done === 2 ? next.end(3, { done: 1 }) : next.to("work", { done: 1 })
  })
})

const world = () =>
  FakeTools.make(
    FakeTools.answer(Charge, ({ step }) => FakeTools.succeed(step)),
    FakeTools.always(Print, FakeTools.ok)
  )

interface Options {
  readonly flow?: typeof Job
  readonly store?: Mutants.Mutant
  readonly scenario?: Effect.Effect<unknown, unknown, Runs.Runs>
  readonly handlers?: typeof handlers
  readonly check?: CrashExplorer.Check<unknown, unknown, unknown>
  readonly compare?: () => unknown
  readonly nested?: number
  readonly worker?: { readonly keepWaiting: "1 day" }
  readonly only?: string
  readonly seed?: string
}

const explored = (input: typeof Input.Type, { flow = Job, ...options }: Options = {}) =>
  CrashExplorer.explore(flow, {
    nested: "none",
    stallAfter: "100 millis",
    ...options,
    world,
    handlers: (tools) => Layer.provide(options.handlers ?? handlers, tools.layer),
    scenario: () =>
      options.scenario ?? Effect.flatMap(Runs.Runs, (runs) => runs.execute(flow, input, { id: "job" }))
  })

/** An engine that has forgotten something writes what cannot follow from what it forgot: that is found as well. */
const cannotFollow = /^run "job": the \w+ event at seq \d+ cannot stand there/

/** It is found, and by no other check than the one whose words these are. */
const isFound = <R>(
  words: RegExp,
  exploring: Effect.Effect<unknown, CrashExplorer.CrashPointFailed, R>,
  besides?: RegExp
) =>
  Effect.map(Effect.flip(exploring), (failure) => {
    const others = failure.problems.filter((problem) => !words.test(problem))
    assert.isBelow(others.length, failure.problems.length, others.join("\n"))
    assert.deepStrictEqual(
      others.filter((problem) => besides?.test(problem) !== true),
      []
    )
    for (const problem of failure.problems) assert.include(failure.message, `- ${problem}`)
    return failure
  })
const finds = (words: RegExp, input: typeof Input.Type, options: Options, besides?: RegExp) =>
  isFound(words, explored(input, options), besides)

/** Whatever it is, it comes to something else in the end, too: that is not what is looked for. */
const anyOutcome = { compare: () => "anything" }

/** Cancels it as soon as it has come so far; its answer depends on when the power is cut. */
const cancels = (input: typeof Input.Type) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Job, input, { id: "job" })
    yield* Runs.awaitUntil(run, ({ steps }) => steps >= 1)
    yield* runs.cancel(run, "no need", { commandId: "cancel" })
  }).pipe(Effect.ignore)

const signals = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Job, "wait", { id: "job" })
  yield* Runs.awaitUntil(run, ({ status, steps }) => steps > 1 || status === "waiting")
  // After the end it is refused.
  yield* Effect.ignore(runs.signal(run, "go", null, { commandId: "go" }))
  return yield* runs.await(run)
})

const prints = Effect.flatMap(Runs.Runs, (runs) =>
  Effect.exit(runs.execute(Job, "print", { id: "job" }))
).pipe(Effect.as("anything"))

describe("what is right is found to be right", () => {
  it.effect("calls, at-most-once calls, signals, and a cancel", () =>
    Effect.gen(function* () {
      yield* explored("charge", { nested: 2 })
      yield* explored("charge", { flow: StrictJob })
      yield* explored("print", { scenario: prints, ...anyOutcome })
      yield* explored("wait", { scenario: signals })
      yield* explored("wait")
      yield* explored("wait", { scenario: cancels("wait"), nested: 2 })
      yield* explored("sleep", { scenario: cancels("sleep"), nested: 2 })
    })
  )
})

describe("a mutant is found by the check that is for it", () => {
  it.effect("same outcome: something is done that no tool does, and is done again", () =>
    Effect.gen(function* () {
      const failure = yield* isFound(
        /^(the result of the scenario is another one|run job came to something else): .* 1 was expected, it is 2$/,
        CrashExplorer.explore(Job, {
          world: () => ({ executed: 0 }),
          handlers: (bank) =>
            Job.toLayer({ work: ({ next }) => Effect.sync(() => next.end(++bank.executed)) }),
          input: "think"
        })
      )
      assert.match(failure.at, /^\d+-(before|after)$/)
    })
  )

  it.effect("no completed call is repeated: it is forgotten that a call has completed", () =>
    finds(
      /^tool charge .* was carried out again, after its success at seq \d+ was durable$/,
      "charge",
      {
        store: Mutants.forgets("callCompleted"),
        ...anyOutcome
      },
      cannotFollow
    )
  )

  it.effect("at most once: it is forgotten that a call was begun", () =>
    finds(
      /^tool print .* is an at-most-once call; it was carried out again although nobody knows what the time before came to$/,
      "print",
      // The power is cut when the tool has been called and its result is not durable.
      { scenario: prints, store: Mutants.forgets("callStarted"), only: "5-before", ...anyOutcome },
      cannotFollow
    )
  )

  it.effect("cancelled stays cancelled: it is forgotten that the run is being cancelled", () =>
    finds(
      /(began|was carried out) in a run that was being cancelled when the power was cut$/,
      "sleep",
      {
        scenario: cancels("sleep"),
        store: Mutants.all(Mutants.losesAnswered, Mutants.forgets("cancelRequested")),
        ...anyOutcome
      },
      cannotFollow
    )
  )

  it.effect("cancelled stays cancelled: it is forgotten that the run was cancelled", () =>
    finds(
      /(began|was carried out) in a run that is cancelled$/,
      "sleep",
      {
        scenario: cancels("sleep"),
        store: Mutants.all(
          Mutants.losesAnswered,
          Mutants.forgets("cancelRequested"),
          Mutants.forgets("cancelled"),
          Mutants.revives
        ),
        ...anyOutcome
      },
      cannotFollow
    )
  )

  it.effect("cancelled stays cancelled: the command is lost that somebody was told has come in", () =>
    finds(/(began|was carried out) in a run that was to be cancelled when the power was cut$/, "wait", {
      scenario: cancels("wait"),
      store: Mutants.losesCommands,
      ...anyOutcome
    })
  )

  it.effect("the chain verifies: before any cut", () =>
    Effect.gen(function* () {
      const store = Mutants.alters(({ kind, seq }) => kind === "callCompleted" && seq < 3)
      const failure = yield* finds(
        /^the journal of run "job" is not what was written, at seq \d+: it names/,
        "charge",
        { store }
      )
      assert.strictEqual(failure.at, "none")
    })
  )

  it.effect("the chain verifies: what is written after a cut", () =>
    Effect.gen(function* () {
      const store = Mutants.afterCrash(Mutants.alters(({ kind }) => kind === "callCompleted"))
      const failure = yield* finds(
        /^the journal of run "job" is not what was written, at seq \d+: it names/,
        "charge",
        { store }
      )
      assert.match(failure.at, /^\d+-(before|after)$/)
    })
  )

  const spoil = (isMeant: (event: Event) => boolean) =>
    Mutants.rots((entries) =>
      entries.map((entry) => (isMeant(entry.event) ? { ...entry, line: `${entry.line} ` } : entry))
    )

  it.effect("the chain verifies: what is on the disk when the power was cut", () =>
    Effect.gen(function* () {
      // Undisturbed, the run is over before anybody looks.
      let isOver = false
      const store: Mutants.Mutant = (inner) => {
        isOver = false
        return spoil(({ seq }) => seq === 1 && !isOver)({
          ...inner,
          get: (run) =>
            Effect.tap(inner.get(run), ({ info }) =>
              Effect.sync(() => (isOver = info.status === "completed"))
            )
        })
      }
      const words =
        /^the journal of run "?job"? (is not what was written, at seq 2: it names|holds something else)/
      const failure = yield* finds(words, "charge", { store })
      assert.match(failure.at, /^\d+-(before|after)$/)
    })
  )

  it.effect("the chain verifies: what is on the disk at the end", () =>
    Effect.gen(function* () {
      const words = /^the journal of run "job" is not what was written, at seq 2: it names/
      const failure = yield* finds(words, "charge", { store: spoil(({ seq }) => seq === 1) })
      assert.strictEqual(failure.at, "none")
      // The last line is named by no other, and what a cut-off tail was nobody knows who has only the chain.
      yield* finds(
        /^the journal of run job holds something else than was written, from seq \d+ on$/,
        "charge",
        {
          store: spoil(({ kind }) => kind === "completed")
        }
      )
      yield* finds(
        /^the journal of run job holds something else than was written, from seq \d+ on$/,
        "charge",
        {
          store: Mutants.rots((entries) => entries.filter(({ event }) => event.kind !== "completed"))
        }
      )
      yield* finds(/^the store says that the journal of run job ends at seq 0; it ends at \d+$/, "charge", {
        store: Mutants.misleads
      })
    })
  )

  it.effect("every journal folds: an event is written that cannot follow", () =>
    finds(cannotFollow, "charge", {
      store: Mutants.rewrites((event) => (event.kind === "logged" ? { kind: "resumed" } : event))
    })
  )

  it.effect("what led to it is durable: a sync is acknowledged and did not happen", () =>
    finds(/^tool charge .* was carried out, but no durable journal knows the run$/, "charge", {
      store: Mutants.lies
    })
  )

  it.effect("what led to it is durable: that the call begins", () =>
    finds(
      /^tool charge .* was carried out before the event that says so was durable \(run is pipelined\)$/,
      "charge",
      {
        store: Mutants.skipsSyncOf((event) => event.kind === "callStarted" && event.visit === 2)
      }
    )
  )

  it.effect("what led to it is durable: of a recovery, too", () =>
    finds(/^node work .* began before it was durable that the run was recovered$/, "charge", {
      store: Mutants.skipsSyncOf(({ kind }) => kind === "claimed")
    })
  )

  it.effect("what led to it is durable: of each visit of a strict run", () =>
    finds(/^node work .* began before the visited event at seq \d+ was durable, in a strict run$/, "think", {
      flow: StrictJob,
      store: Mutants.skipsSyncOf(({ kind }) => kind === "visited")
    })
  )

  it.effect("no command counts twice: it is forgotten that a command was answered", () =>
    finds(
      /^run job: command go is answered at seq \d+ and again at seq \d+$/,
      "wait",
      {
        scenario: signals,
        store: Mutants.forgetsAnswers,
        ...anyOutcome
      },
      cannotFollow
    )
  )

  it.effect("no wait is over before its time: the worker remembers another one than was written", () =>
    finds(/^run job: the time of wait .* is over at \d+, and it ended at \d+, at seq \d+$/, "wait", {
      worker: { keepWaiting: "1 day" },
      store: Mutants.rewrites((event) =>
        event.kind === "waitOpened" ? { ...event, due: event.due! + 1 } : event
      )
    })
  )

  it.effect("the user's own checks, by name", () =>
    finds(/^the customer pays for three steps: it is not so$/, "charge", {
      check: { "the customer pays for three steps": () => false } as never
    })
  )
})

describe("a failure", () => {
  it.effect("is repeated by the seed and the crash point that it names", () =>
    Effect.gen(function* () {
      const exploring = (seed: string, only?: string) =>
        CrashExplorer.explore(Job, {
          world,
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          nested: "none",
          store: Mutants.forgets("callCompleted"),
          seed,
          only,
          // By chance the run calls tools, or it does not.
          scenario: ({ once }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const calls = yield* once("chance", Random.nextBoolean)
              return yield* runs.execute(Job, calls ? "charge" : "think", { id: "job" })
            })
        })
      const seeds = Array.from({ length: 8 }, (_, seed) => `seed ${seed}`)
      const [unlucky, lucky] = yield* Effect.partition(seeds, (seed) => exploring(seed)).pipe(
        Effect.map(([well, failed]) => [failed, well] as const)
      )
      assert.isAbove(lucky.length, 0)
      const [failure] = unlucky
      assert.include(failure!.message, `only: "${failure!.at}", seed: "${failure!.seed}" })`)
      const again = yield* Effect.flip(exploring(failure!.seed, failure!.at))
      assert.strictEqual(again.message, failure!.message)
    })
  )

  it.effect("is a story that a person can read", ({ expect }) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(
        explored("print", {
          scenario: prints,
          store: Mutants.forgets("callStarted"),
          only: "5-before",
          ...anyOutcome
        })
      )
      expect(failure.message).toMatchInlineSnapshot(`
        "after a power cut at 5-before the scenario does not come to the same
        - run "job": the callStarted event at seq 3 cannot stand there: call print/4b56b1702e711f4cfe292af8d45bfbf2/0 was started already
        - tool print with {"step":0} at node work (visit 1) of run "job", key c1e714d4 is an at-most-once call; it was carried out again although nobody knows what the time before came to

        run job of flow job: running
            0         +0  epoch 0  created                        job "print"
            1         +0  epoch 0  callStarted      work/1        print {"step":0} key c1e714d4
          ──── the power was cut before operation 5 of process 1: append of run job (callCompleted)
            2         +0  epoch 1  claimed                        by process-2 after a crash
            3         +0  epoch 1  callStarted      work/1        print {"step":0} key c1e714d4
            4         +0  epoch 1  callCompleted    work/1        print null
            5         +0  epoch 1  visited          work/1        → work {"done":{"add":1}}
            6         +0  epoch 1  callStarted      work/2        print {"step":1} key 08ca3c04
            7         +0  epoch 1  callCompleted    work/2        print null
            8         +0  epoch 1  visited          work/2        → work {"done":{"add":1}}
            9         +0  epoch 1  callStarted      work/3        print {"step":2} key 3ce92f41
           10         +0  epoch 1  callCompleted    work/3        print null
           11         +0  epoch 1  visited          work/3        → end {"done":{"add":1}}
           12         +0  epoch 1  completed                      3
        tool calls carried out
          process 1  print {"step":0}  job work/1  key c1e714d4  try 1  succeeded
          process 2  print {"step":0}  job work/1  key c1e714d4  try 1  succeeded
          process 2  print {"step":1}  job work/2  key 08ca3c04  try 1  succeeded
          process 2  print {"step":2}  job work/3  key 3ce92f41  try 1  succeeded

        to repeat it: CrashExplorer.explore(flow, { …, only: "5-before" })"
      `)
    })
  )
})
