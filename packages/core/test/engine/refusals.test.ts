import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const Choice = Schema.Struct({ size: Schema.String, colour: Schema.String })

/** Waits for whatever its input names. */
const flow = Flow.make("asking", {
  input: Schema.Literals(["event", "user", "twice", "job"]),
  output: Schema.Json,
  signals: { early: Schema.Int },
  start: "ask",
  nodes: {
    ask: Node.make({ to: ["end"], fanOut: { to: ["question"], join: "over" } }),
    question: Node.make({ item: Schema.String, to: ["over"] }),
    over: Node.make({ to: ["end"] })
  }
})

const question = (name: string) =>
  Wait.user(name, {
    prompt: "Which?",
    schema: Choice,
    choices: [
      { size: "small", colour: "red" },
      { size: "large", colour: "blue" }
    ]
  })

const live = Worker.layer({ flows: [flow] }).pipe(
  Layer.provide(
    flow.toLayer({
      ask: ({ input, next }) =>
        Effect.gen(function* () {
          if (input === "twice") return next.each(["a", "b"], "question")
          if (input === "user") return next.end(yield* question("which"))
          if (input === "job") return next.end(yield* Effect.orDie(Wait.job("job 1", Schema.Int)))
          return next.end(yield* Wait.event("go", { schema: Schema.Int, key: "right" }))
        }),
      question: ({ next }) => Effect.as(question("which"), next.to("over")),
      over: ({ next }) => Effect.succeed(next.end(null))
    })
  )
)

const waiting = (what: (typeof flow)["input"]["Type"]) =>
  Effect.gen(function* () {
    const computer = machine()
    const { runs, stop } = yield* computer.boot(live)
    const run = yield* runs.start(flow, what)
    yield* untilStatus(runs, run, "waiting")
    return { ...computer, runs, run, stop }
  })

const reasonOf = (sent: Effect.Effect<unknown, { readonly _tag: string }>) =>
  Effect.map(Effect.flip(sent), (error) => ("reason" in error ? error.reason : error._tag))

describe("what ends no wait is refused, and the error says why for programs", () => {
  it.effect("a signal", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* waiting("event")
      assert.strictEqual(yield* reasonOf(runs.signal(run, "other", 1)), "nothingWaits")
      assert.strictEqual(yield* reasonOf(runs.signal(run, "go", 1, { key: "wrong" })), "wrongKey")
      assert.strictEqual(yield* reasonOf(runs.signal(run, "go", 1)), "wrongKey")
      assert.strictEqual(yield* reasonOf(runs.signal(run, "go", "one", { key: "right" })), "doesNotFit")
      yield* runs.cancel(run, "enough")
      assert.strictEqual(yield* reasonOf(runs.signal(run, "go", 1, { key: "right" })), "ended")
    })
  )

  it.effect("an answer", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* waiting("user")
      assert.strictEqual(yield* reasonOf(runs.answer(run, "other", 1)), "nothingWaits")
      assert.strictEqual(yield* reasonOf(runs.answer(run, "which", { size: "small" })), "doesNotFit")
      const none = { size: "small", colour: "blue" }
      assert.strictEqual(yield* reasonOf(runs.answer(run, "which", none)), "notAChoice")
      // What an object says does not depend on the order of its fields.
      yield* runs.answer(run, "which", { colour: "blue", size: "large" })
      assert.deepStrictEqual(yield* runs.await(run), { size: "large", colour: "blue" })
      assert.strictEqual(yield* reasonOf(runs.answer(run, "which", none)), "ended")
    })
  )

  it.effect("an answer that several wait for", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* waiting("twice")
      const answer = { size: "large", colour: "blue" }
      assert.strictEqual(yield* reasonOf(runs.answer(run, "which", answer)), "ambiguous")
      for (const { wait } of (yield* runs.get(run)).waits) yield* runs.answer(run, wait, answer)
      assert.isNull(yield* runs.await(run))
    })
  )

  it.effect("a job", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* waiting("job")
      assert.strictEqual(yield* reasonOf(runs.finishJob(run, "job 2", { value: 1 })), "nothingWaits")
      assert.strictEqual(yield* reasonOf(runs.finishJob(run, "job 1", { value: "x" })), "doesNotFit")
      yield* runs.finishJob(run, "job 1", { value: 1 })
      assert.strictEqual(yield* runs.await(run), 1)
    })
  )
})

describe("a broadcast", () => {
  it.effect("that names nobody is refused: it would go to every run", () =>
    Effect.gen(function* () {
      const { runs } = yield* waiting("event")
      const error = yield* Effect.flip(runs.broadcast({}, "go", 1))
      assert.strictEqual(error._tag, "InvalidValue")
      assert.include(error.message, "would go to every run")
    })
  )
})

describe("a command that is sent again under its id", () => {
  const again = (
    what: (typeof flow)["input"]["Type"],
    send: (runs: Runs.Runs["Service"], run: Runs.Run<typeof flow>) => Effect.Effect<unknown, unknown>
  ) =>
    Effect.gen(function* () {
      const { eventsOf, run, runs } = yield* waiting(what)
      yield* send(runs, run)
      yield* runs.await(run)
      // Its sender did not hear that it arrived. It did, and has had its effect.
      yield* send(runs, run)
      assert.lengthOf(yield* eventsOf(run, "waitEnded"), 1)
      assert.lengthOf(yield* eventsOf(run, "commandIgnored"), 0)
    })

  it.effect("succeeds without any effect: a signal", () =>
    again("event", (runs, run) => runs.signal(run, "go", 1, { key: "right", commandId: "c" }))
  )

  it.effect("succeeds without any effect: an answer", () =>
    again("user", (runs, run) =>
      runs.answer(run, "which", { size: "large", colour: "blue" }, { commandId: "c" })
    )
  )

  it.effect("succeeds without any effect: a job", () =>
    again("job", (runs, run) => runs.finishJob(run, "job 1", { value: 1 }, { commandId: "c" }))
  )

  it.effect("succeeds without any effect: a pause and a resume", () =>
    Effect.gen(function* () {
      const { eventsOf, run, runs } = yield* waiting("event")
      yield* runs.pause(run, { commandId: "p", until: "applied" })
      yield* runs.resume(run, { commandId: "r", until: "applied" })
      yield* runs.resume(run, { commandId: "r" })
      yield* runs.cancel(run, "enough")
      yield* runs.pause(run, { commandId: "p" })
      yield* runs.resume(run, { commandId: "r", until: "applied" })
      assert.lengthOf(yield* eventsOf(run, "paused"), 1)
      assert.lengthOf(yield* eventsOf(run, "resumed"), 1)
    })
  )

  it.effect("is refused again if it was refused", () =>
    Effect.gen(function* () {
      const { run, runs, send } = yield* waiting("event")
      yield* send(run, "late", { type: "answer", wait: "which", value: 1 })
      yield* idle
      const sent = runs.answer(run, "which", 1, { commandId: "late" })
      assert.strictEqual(yield* reasonOf(sent), "nothingWaits")
    })
  )
})

describe("another command under an id that the run was sent a command by before", () => {
  type Send = (runs: Runs.Runs["Service"], run: Runs.Run<typeof flow>) => Effect.Effect<unknown, any>
  const commandId = "c"
  const applied = { commandId, until: "applied" } as const
  const others: { readonly [name: string]: Send } = {
    "a resume": (runs, run) => runs.resume(run, { commandId }),
    "a resume until it is applied": (runs, run) => runs.resume(run, applied),
    "a cancel": (runs, run) => runs.cancel(run, "enough", { commandId }),
    "a cancel until it is accepted": (runs, run) =>
      runs.cancel(run, "enough", { commandId, until: "accepted" }),
    "other limits": (runs, run) => runs.setLimits(run, { maxSteps: 7 }, { commandId }),
    "a signal": (runs, run) => runs.signal(run, "go", 1, { key: "right", commandId }),
    "a note": (runs, run) =>
      Runs.annotate(run, "look", { commandId }).pipe(Effect.provideService(Runs.Runs, runs))
  }
  for (const [name, send] of Object.entries(others)) {
    it.effect(`is refused and changes nothing: ${name}`, () =>
      Effect.gen(function* () {
        const { kinds, run, runs, stop, client } = yield* waiting("event")
        yield* runs.pause(run, applied)
        const before = yield* kinds(run)
        assert.strictEqual(yield* reasonOf(send(runs, run)), "idTaken")
        yield* idle
        assert.deepStrictEqual(yield* kinds(run), before)
        // The same, if nobody has the run.
        yield* stop
        assert.strictEqual(yield* reasonOf(send(yield* client, run)), "idTaken")
      })
    )
  }

  it.effect("is refused while the first one is not carried out", () =>
    Effect.gen(function* () {
      const { client, run, runs, stop } = yield* waiting("event")
      yield* runs.pause(run, { until: "applied" })
      yield* stop
      const other = yield* client
      const first = { commandId, until: "accepted" } as const
      yield* other.cancel(run, "first", first)
      assert.deepInclude(yield* Effect.flip(other.resume(run, { commandId })), {
        _tag: "CommandRefused",
        reason: "idTaken",
        command: "resume"
      })
      yield* other.cancel(run, "first", first)
    })
  )
})

describe("a command that is sent until it is applied", () => {
  it.effect("is in the journal when it answers, and a refusal is told", () =>
    Effect.gen(function* () {
      const { eventsOf, run, runs } = yield* waiting("event")
      yield* runs.pause(run, { until: "applied" })
      assert.strictEqual((yield* runs.get(run)).status, "paused")
      assert.lengthOf(yield* eventsOf(run, "paused"), 1)
      yield* runs.setLimits(run, { maxSteps: 7 }, { until: "applied" })
      assert.strictEqual((yield* runs.stateAt(run)).maxSteps, 7)
      assert.strictEqual(yield* reasonOf(runs.settle(run, "no/such/call", "again")), "notInDoubt")
      yield* runs.resume(run, { until: "applied" })
      assert.strictEqual((yield* runs.get(run)).status, "waiting")
    })
  )
})
