import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Broken, Busy, Echo, Errors } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

const flow = Flow.make("replayed", {
  input: Schema.Struct({}),
  state: { got: State.list(Schema.String), chance: State.list(Schema.Finite) },
  output: Schema.Array(Schema.String),
  error: Errors,
  start: "calls",
  nodes: {
    calls: Node.make({ to: ["retried"] }),
    retried: Node.make({
      to: ["interrupted"],
      error: Busy,
      retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ duration: "10 minutes" }))
    }),
    interrupted: Node.make({ to: ["slow", "routed"] }),
    slow: Node.make({ to: ["routed"], timeout: "1 minute", onError: { NodeTimeout: "routed" } }),
    routed: Node.make({ to: ["last"], error: Broken, onError: { Broken: "last" } }),
    last: Node.make({ to: ["end"], error: Errors })
  }
})

interface Change {
  readonly call?: string
  readonly update?: string
  readonly target?: "slow" | "routed"
  readonly output?: string
  readonly fails?: boolean
}

/** Handlers that do a bit of everything; a change makes them do one thing differently. */
const handlers = (change: Change) => {
  const executed: Array<string> = []
  const layer = flow.toLayer({
    calls: ({ next }) =>
      Effect.gen(function* () {
        const one = yield* Effect.orDie(Echo.call({ text: "one" }))
        const [two, three] = yield* Effect.orDie(
          Effect.all([Echo.call({ text: change.call ?? "two" }), Echo.call({ text: "three" })], {
            concurrency: 2
          })
        )
        const chance = [yield* Random.next, yield* Clock.currentTimeMillis]
        return next.to("retried", { got: [one, two, three], chance })
      }),
    retried: ({ next }) =>
      Effect.gen(function* () {
        const attempt = yield* Echo.call({ text: "attempt" })
        return next.to("interrupted", { got: [attempt] })
      }).pipe(Effect.catchTag("Broken", Effect.die)),
    interrupted: ({ next }) =>
      Effect.gen(function* () {
        const slow = yield* Effect.orDie(Echo.call({ text: "never" })).pipe(
          Effect.timeoutOrElse({ duration: "1 minute", orElse: () => Effect.succeed("timed out") })
        )
        // In time, and by a wide margin.
        const quick = yield* Effect.andThen(Effect.sleep("1 second"), Effect.succeed("quick")).pipe(
          Effect.timeoutOrElse({ duration: "1 hour", orElse: () => Effect.succeed("too slow") })
        )
        const first = yield* Effect.raceFirst(
          Effect.as(Effect.sleep("1 hour"), "late"),
          Effect.as(Effect.andThen(Effect.sleep("1 second"), Effect.sleep("2 seconds")), "early")
        )
        return next.to(change.target ?? "slow", { got: [slow, quick, first] })
      }),
    slow: () => Effect.never,
    routed: () =>
      change.fails === false ? Effect.die("no longer fails so") : Effect.fail(new Broken({ why: "routed" })),
    last: ({ next, state }) =>
      Effect.succeed(next.end([...state.got, change.output ?? "end"], { got: [change.update ?? "last"] }))
  })
  let attempts = 0
  const echo = Echo.toLayer(({ text }) =>
    Effect.suspend(() => {
      executed.push(text)
      if (text === "never") return Effect.never
      if (text === "attempt" && ++attempts < 3) return Effect.fail(new Busy({ n: attempts }))
      return Effect.succeed(text)
    })
  )
  return { executed, layer: layer.pipe(Layer.provide(echo)) }
}

const ran = Effect.gen(function* () {
  const computer = machine()
  const { executed, layer } = handlers({})
  const { runs } = yield* computer.boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(layer)))
  const run = yield* runs.start(flow, {})
  for (let i = 0; i < 10; i++) {
    yield* idle
    yield* TestClock.adjust("1 minute")
  }
  assert.deepStrictEqual(yield* runs.await(run), [
    "one",
    "two",
    "three",
    "attempt",
    "timed out",
    "quick",
    "early",
    "end"
  ])
  executed.length = 0
  // Long after: what was decided by time then is not decided anew.
  yield* TestClock.adjust("1 hour")
  return { ...computer, executed, run, runs }
})

describe("replaying a run", () => {
  it.effect(
    "executes its handlers against the recorded results, finds no difference, calls nothing, writes nothing",
    () =>
      Effect.gen(function* () {
        const { executed, journal, run, runs } = yield* ran
        const before = yield* journal(run)
        const again = handlers({})
        const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
          Effect.provide(again.layer)
        )
        assert.deepStrictEqual(report, { run: run.id, visits: 7, divergences: [] })
        assert.deepStrictEqual([...executed, ...again.executed], [])
        assert.deepStrictEqual(yield* journal(run), before)
      })
  )

  it.effect("takes no time, in a process without a worker, and works for a run that has not ended", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { layer } = handlers({})
      const { runs } = yield* computer.boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(layer)))
      const run = yield* runs.start(flow, {}, { durability: "strict" })
      yield* idle
      yield* computer.crash
      const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, yield* computer.client).pipe(
        Effect.provide(handlers({}).layer)
      )
      assert.deepStrictEqual(report, { run: run.id, visits: 2, divergences: [] })
    })
  )

  it.effect("stops at a call that was not recorded", () =>
    Effect.gen(function* () {
      const { eventsOf, run, runs } = yield* ran
      const changed = handlers({ call: "another" })
      const { divergences, visits } = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
        Effect.provide(changed.layer)
      )
      assert.strictEqual(visits, 1)
      const two = (yield* eventsOf(run, "callStarted")).find(
        ({ input }) => JSON.stringify(input) === '{"text":"two"}'
      )
      assert.strictEqual(divergences.length, 1)
      assert.deepInclude(divergences[0], { node: "calls", visit: 1, attempt: 1, seq: two!.seq })
      assert.deepStrictEqual(divergences[0]!.expected, {
        tool: "echo",
        call: two!.call,
        input: { text: "two" }
      })
      assert.deepInclude(divergences[0]!.got as object, { tool: "echo", input: { text: "another" } })
      assert.deepStrictEqual(changed.executed, [])
    })
  )

  it.effect("stops at another update, another target, another output, another failure", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* ran
      const replay = (change: Change) =>
        Effect.map(
          Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
            Effect.provide(handlers(change).layer)
          ),
          ({ divergences }) => {
            assert.strictEqual(divergences.length, 1)
            return divergences[0]!
          }
        )
      const update = yield* replay({ update: "changed" })
      assert.deepInclude(update, { node: "last", visit: 6 })
      assert.deepInclude(update.expected as object, { ops: { got: { append: ["last"] } } })
      assert.deepInclude(update.got as object, { ops: { got: { append: ["changed"] } } })
      const target = yield* replay({ target: "routed" })
      assert.deepInclude(target, { node: "interrupted" })
      assert.deepInclude(target.expected as object, { next: { to: "slow" } })
      assert.deepInclude(target.got as object, { next: { to: "routed" } })
      const output = yield* replay({ output: "changed" })
      assert.deepInclude(output, { node: "last" })
      assert.include(JSON.stringify(output.got), "changed")
      const failure = yield* replay({ fails: false })
      assert.deepInclude(failure, { node: "routed" })
      assert.include(JSON.stringify(failure.expected), "Broken")
    })
  )

  it.effect("of a failed run compares the failure", () =>
    Effect.gen(function* () {
      const Fail = Tool.make("fail", { input: Schema.Struct({}), error: Broken })
      const failing = Flow.make("failing", {
        input: Schema.Struct({}),
        error: Broken,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Broken }) }
      })
      const layer = (why: string) =>
        failing
          .toLayer({
            work: ({ next }) =>
              Fail.call({}).pipe(
                Effect.mapError((error) => new Broken({ why: `${error.why} ${why}` })),
                Effect.as(next.end())
              )
          })
          .pipe(Layer.provide(Fail.toLayer(() => Effect.fail(new Broken({ why: "so" })))))
      const computer = machine()
      const { runs } = yield* computer.boot(
        Worker.layer({ flows: [failing] }).pipe(Layer.provide(layer("it is")))
      )
      const run = yield* runs.start(failing, {})
      yield* Effect.flip(runs.await(run))
      assert.deepStrictEqual(
        yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(Effect.provide(layer("it is"))),
        {
          run: run.id,
          visits: 1,
          divergences: []
        }
      )
      const { divergences } = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
        Effect.provide(layer("it was"))
      )
      assert.include(JSON.stringify(divergences[0]!.got), "so it was")
    })
  )

  it.effect("decides about retries as it was decided then, however late it is now", () =>
    Effect.gen(function* () {
      const patient = Flow.make("patient", {
        input: Schema.Struct({}),
        error: Busy,
        start: "work",
        nodes: {
          work: Node.make({
            to: ["end"],
            error: Busy,
            retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ duration: "10 minutes" }))
          })
        }
      })
      let tries = 0
      const layer = patient
        .toLayer({
          work: ({ next }) =>
            Effect.as(Effect.catchTag(Echo.call({ text: "x" }), "Broken", Effect.die), next.end())
        })
        .pipe(
          Layer.provide(
            Echo.toLayer(() =>
              Effect.suspend(() => (++tries < 4 ? Effect.fail(new Busy({ n: tries })) : Effect.succeed("x")))
            )
          )
        )
      const computer = machine()
      const { runs } = yield* computer.boot(Worker.layer({ flows: [patient] }).pipe(Layer.provide(layer)))
      const run = yield* runs.start(patient, {})
      yield* idle
      const [failed] = yield* computer.eventsOf(run, "attemptFailed")
      const fork = yield* runs.fork(run, failed!.seq)
      yield* idle
      yield* TestClock.adjust("5 minutes")
      yield* runs.await(run)
      yield* runs.await(fork)
      assert.isAtLeast((yield* computer.eventsOf(fork, "attemptFailed")).length, 1)
      yield* TestClock.adjust("1 hour")
      for (const { id } of [run, fork]) {
        const report = yield* Effect.provideService(Runs.replay({ id, flow: patient }), Runs.Runs, runs).pipe(
          Effect.provide(layer)
        )
        assert.deepStrictEqual(report.divergences, [])
      }
    })
  )

  it.effect("of a fork replays what the fork executed", () =>
    Effect.gen(function* () {
      const { eventsOf, run, runs } = yield* ran
      const visited = yield* eventsOf(run, "visited")
      const fork = yield* runs.fork(run, visited[1]!.seq)
      for (let i = 0; i < 4; i++) {
        yield* idle
        yield* TestClock.adjust("1 minute")
      }
      yield* runs.await(fork)
      const report = yield* Effect.provideService(Runs.replay(fork), Runs.Runs, runs).pipe(
        Effect.provide(handlers({}).layer)
      )
      assert.deepStrictEqual(report, { run: fork.id, visits: 3, divergences: [] })
    })
  )

  it.effect("from a checkpoint takes the visits that had ended as they are recorded", () =>
    Effect.gen(function* () {
      const { executed, journal, run, runs } = yield* ran
      const events = yield* journal(run)
      const ended = events.filter(
        (event) =>
          event.kind === "visited" ||
          event.kind === "attemptFailed" ||
          // A timeout is not waited for again.
          (event.kind === "visitFailed" && event.error.kind !== "timeout")
      )
      for (const { seq } of events) {
        const changed = handlers({})
        const left = ended.filter((event) => event.seq > seq).length
        const report = yield* Effect.provideService(Runs.replay(run, { from: seq }), Runs.Runs, runs).pipe(
          Effect.provide(changed.layer)
        )
        assert.deepStrictEqual(report, { run: run.id, visits: left, divergences: [] })
        assert.deepStrictEqual([...executed, ...changed.executed], [])
      }
      // What is different in a visit before it is not seen, what is different after it is.
      const [first] = ended
      const replay = (from: number, change: Change) =>
        Effect.provideService(Runs.replay(run, { from }), Runs.Runs, runs).pipe(
          Effect.provide(handlers(change).layer)
        )
      assert.strictEqual((yield* replay(first!.seq - 1, { call: "another" })).divergences.length, 1)
      assert.deepStrictEqual((yield* replay(first!.seq, { call: "another" })).divergences, [])
      assert.deepInclude((yield* replay(first!.seq, { update: "changed" })).divergences[0], { node: "last" })
    })
  )

  it.effect("from a checkpoint that is not there is refused", () =>
    Effect.gen(function* () {
      const { journal, run, runs } = yield* ran
      const { length } = yield* journal(run)
      for (const from of [length, -1, 0.5]) {
        const error = yield* Effect.flip(
          Effect.provideService(Runs.replay(run, { from }), Runs.Runs, runs).pipe(
            Effect.provide(handlers({}).layer)
          )
        )
        assert.deepInclude(error, { _tag: "InvalidCheckpoint", run: run.id })
      }
    })
  )
})

describe("a replay of a long run", () => {
  it.effect("finds the end of it although it is on another page than the visit that ended it", () =>
    Effect.gen(function* () {
      const counting = Flow.make("counting", {
        input: Schema.Int,
        state: { count: State.counter() },
        output: Schema.Int,
        start: "count",
        nodes: { count: Node.make({ to: ["count", "end"] }) }
      })
      const handlers = counting.toLayer({
        count: ({ input, next, state }) =>
          Effect.succeed(
            state.count + 1 === input ? next.end(input, { count: 1 }) : next.to("count", { count: 1 })
          )
      })
      const computer = machine()
      const { runs } = yield* computer.boot(Worker.layer({ flows: [counting] }).pipe(Layer.provide(handlers)))
      // A page of a journal has 1,000 entries: around its end, one of these runs ends on the next.
      let across = 0
      for (let visits = 980; visits < 1000; visits++) {
        const run = yield* runs.start(counting, visits, { id: String(visits) })
        assert.strictEqual(yield* runs.await(run), visits)
        const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
          Effect.provide(handlers)
        )
        assert.deepStrictEqual(report, { run: String(visits), visits, divergences: [] })
        if ((yield* runs.get(run)).ended === 1000) across += 1
      }
      assert.strictEqual(across, 1)
    })
  )
})
