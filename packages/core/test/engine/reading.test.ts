import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Kind } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as RunState from "@waymark/core/RunState"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

/** Steps with calls, a retry, and a route. */
const eventful = () => {
  const flow = Flow.make("eventful", {
    input: Schema.Struct({}),
    state: { n: State.counter(), when: State.list(Schema.Date) },
    output: Schema.Int,
    error: Busy,
    start: "count",
    nodes: {
      count: Node.make({ to: ["count", "flaky"] }),
      flaky: Node.make({ to: ["last"], error: Busy, retry: Schedule.recurs(1), onError: { Busy: "last" } }),
      last: Node.make({ to: ["end"] })
    }
  })
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        count: ({ next, state }) =>
          Effect.as(
            Effect.orDie(Echo.call({ text: "x" })),
            next.to(state.n === 2 ? "flaky" : "count", { n: 1, when: [new Date(state.n)] })
          ),
        flaky: () => Effect.fail(new Busy({ n: 1 })),
        last: ({ next, state }) => Effect.as(Effect.sleep("1 minute"), next.end(state.n))
      })
    ),
    Layer.provide(Echo.toLayer(({ text }) => Effect.succeed(text)))
  )
  return { flow, live }
}

describe("the history of a run", () => {
  const ran = Effect.gen(function* () {
    const { flow, live } = eventful()
    const computer = machine()
    const { runs } = yield* computer.boot(live)
    const run = yield* runs.start(flow, {}, { id: "r" })
    yield* idle
    yield* TestClock.adjust("1 minute")
    yield* runs.await(run)
    return { ...computer, flow, live, run, runs }
  })

  it.effect("lists its checkpoints, newest first, with what happened where", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* ran
      const checkpoints = yield* runs.history(run)
      assert.deepStrictEqual(
        checkpoints.map(({ attempt, kind, node, status, visit }) => [kind, node, visit, attempt, status]),
        [
          ["completed", undefined, undefined, undefined, undefined],
          ["visited", "last", 5, 1, "completed"],
          ["visitFailed", "flaky", 4, 2, "failed"],
          ["attemptFailed", "flaky", 4, 1, "failed"],
          ["visited", "count", 3, 1, "completed"],
          ["visited", "count", 2, 1, "completed"],
          ["visited", "count", 1, 1, "completed"],
          ["created", undefined, undefined, undefined, undefined]
        ]
      )
      assert.strictEqual(checkpoints[0]!.time, 60_000)
      assert.strictEqual(checkpoints[0]!.run, "r")
    })
  )

  it.effect("or oldest first, so many at most, and only those before and after a position", () =>
    Effect.gen(function* () {
      const { run, runs } = yield* ran
      const all = (yield* runs.history(run, { order: "oldest" })).map(({ seq }) => seq)
      assert.deepStrictEqual(
        all,
        [...all].sort((a, b) => a - b)
      )
      const seqs = (options: Parameters<typeof runs.history>[1]) =>
        Effect.map(runs.history(run, options), (list) => list.map(({ seq }) => seq))
      assert.deepStrictEqual(yield* seqs({ limit: 3 }), all.slice(-3).reverse())
      assert.deepStrictEqual(yield* seqs({ limit: 3, order: "oldest" }), all.slice(0, 3))
      assert.deepStrictEqual(yield* seqs({ limit: 0 }), [])
      const middle = all[4]!
      assert.deepStrictEqual(yield* seqs({ before: middle }), all.slice(0, 4).reverse())
      assert.deepStrictEqual(yield* seqs({ after: middle, order: "oldest" }), all.slice(5))
      assert.deepStrictEqual(
        yield* seqs({ after: all[1]!, before: all[5]!, order: "oldest" }),
        all.slice(2, 5)
      )
      assert.deepStrictEqual(yield* seqs({ after: 10_000 }), [])
      assert.deepStrictEqual(yield* seqs({ before: 0 }), [])
      // Page by page, both ways.
      for (const order of ["newest", "oldest"] as const) {
        const paged: Array<number> = []
        while (true) {
          const last = paged[paged.length - 1]
          const from = last === undefined ? {} : order === "newest" ? { before: last } : { after: last }
          const page = yield* seqs({ limit: 2, order, ...from })
          if (page.length === 0) break
          paged.push(...page)
        }
        assert.deepStrictEqual(paged, order === "oldest" ? all : [...all].reverse())
      }
    })
  )

  it.effect("gives the state after each event, and typed", () =>
    Effect.gen(function* () {
      const { flow, journal, run, runs } = yield* ran
      const events = yield* journal(run)
      let folded: RunState.RunState | undefined
      for (const event of events) {
        const step = RunState.apply(folded, event, 0)
        assert.strictEqual(step._tag, "Success")
        if (step._tag !== "Success") return
        folded = step.success
        const at = yield* runs.stateAt(run, event.seq)
        assert.strictEqual(at.seq, event.seq)
        assert.strictEqual(at.status, folded.status)
        assert.deepStrictEqual(RunState.stateOf(at), RunState.stateOf(folded))
      }
      const visited = events.filter(({ kind }) => kind === "visited").map(({ seq }) => seq)
      const ref = Runs.ref(flow, run.id)
      assert.deepStrictEqual(
        { ...(yield* runs.state(ref, visited[1])) },
        { n: 2, when: [new Date(0), new Date(1)] }
      )
      assert.deepStrictEqual({ ...(yield* runs.state(ref, 0)) }, { n: 0, when: [] })
      assert.strictEqual((yield* runs.state(ref)).n, 3)
      for (const seq of [events.length, -1, 1.5, Number.NaN, 1e9]) {
        assert.strictEqual((yield* Effect.flip(runs.stateAt(run, seq)))._tag, "InvalidCheckpoint", `${seq}`)
        assert.strictEqual((yield* Effect.flip(runs.state(ref, seq)))._tag, "InvalidCheckpoint", `${seq}`)
      }
    })
  )

  it.effect("streams its events: those that are there, then those that come, and ends with the run", () =>
    Effect.gen(function* () {
      const { flow, live } = eventful()
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {}, { id: "r", durability: "strict" })
      yield* idle
      const early: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(runs.events(run), ({ seq }) => Effect.sync(() => void early.push(seq)))
      )
      const tail = yield* Effect.forkChild(Stream.runCollect(runs.events(run, { from: 10 })))
      const beyond = yield* Effect.forEach([50, 1000], (from) =>
        Effect.forkChild(Stream.runCollect(runs.events(run, { from })))
      )
      const client = yield* computer.client
      const elsewhere = yield* Effect.forkChild(Stream.runCollect(client.events("r")))
      yield* idle
      const before = early.length
      assert.isAbove(before, 5)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      const all = yield* computer.journal(run)
      assert.isBelow(before, all.length)
      assert.deepStrictEqual(
        early,
        all.map(({ seq }) => seq)
      )
      assert.deepStrictEqual(yield* Fiber.join(tail), all.slice(10))
      assert.deepStrictEqual(yield* Fiber.join(elsewhere), all)
      // Who waits for events that never come waits no longer than the run takes.
      yield* idle
      for (const waiting of beyond) assert.deepStrictEqual(waiting.pollUnsafe(), Exit.succeed([]))
      assert.deepStrictEqual(yield* Stream.runCollect(runs.events(run)), all)
      assert.deepStrictEqual(yield* Stream.runCollect(runs.events(run, { from: 1000 })), [])
      assert.strictEqual((yield* Effect.flip(Stream.runCollect(runs.events("nope"))))._tag, "RunNotFound")
    })
  )
})

describe("which events of a run to read", () => {
  const wrong: ReadonlyArray<readonly [Runs.EventsOptions<Kind>, string]> = [
    [{ from: -1 }, "`from` is -1; it must be a position in the journal: a whole number from 0"],
    [{ from: 0.5 }, "`from` is 0.5; it must be a position in the journal: a whole number from 0"],
    [{ from: Number.NaN }, "`from` is NaN; it must be a position in the journal: a whole number from 0"],
    [{ from: Number.POSITIVE_INFINITY }, "`from` is Infinity; it must be a position in the journal"],
    [{ from: Number.NaN, order: "newest" }, "`from` is NaN; it must be a position in the journal"],
    [{ to: 1.5 }, "`to` is 1.5; it must be a whole number"],
    [{ to: Number.NaN, order: "newest" }, "`to` is NaN; it must be a whole number"]
  ]
  it.effect.each(wrong)("is refused if it cannot be: %o", ([options, message]) =>
    Effect.gen(function* () {
      const { flow, live } = eventful()
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {}, { id: "r" })
      const asked = yield* Effect.forkChild(Effect.flip(Stream.runCollect(runs.events(run, options))))
      yield* idle
      yield* Fiber.interrupt(asked)
      const error = yield* Fiber.join(asked)
      assert.deepInclude(error, { _tag: "StoreError", operation: "events" })
      assert.include(error.message, message)
    })
  )

  it.effect("may be none, or all that there will be", () =>
    Effect.gen(function* () {
      const { flow, live } = eventful()
      const { runs } = yield* machine().boot(live)
      const run = yield* runs.start(flow, {}, { id: "r", durability: "strict" })
      assert.deepStrictEqual(yield* Stream.runCollect(runs.events(run, { to: -1 })), [])
      assert.deepStrictEqual(yield* Stream.runCollect(runs.events(run, { from: 5, to: 4 })), [])
      const all = yield* Effect.forkChild(
        Stream.runCollect(runs.events(run, { to: Number.POSITIVE_INFINITY }))
      )
      yield* idle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(all)).at(-1)!.kind, "completed")
    })
  )
})

describe("listing runs", () => {
  it.effect("by status, flow, session, correlation, tag, fork and time, page by page", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { flow, live } = eventful()
      yield* computer.boot(live)
      const hanging = program(({ next, state }) =>
        state.got.length > 9 ? Effect.succeed(next.end([])) : Effect.die(new Error("bug"))
      )
      const { runs } = yield* computer.boot(hanging)
      const ids = (query: Parameters<typeof runs.list>[0]) =>
        Effect.map(runs.list(query), (page) => page.runs.map(({ run }) => run))
      for (const id of ["a", "b", "c"]) {
        yield* runs.start(
          flow,
          {},
          {
            id,
            session: id === "a" ? "s1" : "s2",
            tags: id === "c" ? ["red", "blue"] : ["red"],
            correlation: `c-${id}`,
            actor: "ada",
            attributes: { customer: id }
          }
        )
        yield* TestClock.adjust("1 second")
      }
      const failed = yield* runs.start(oneNode, {}, { id: "d" })
      yield* Effect.flip(runs.await(failed))
      yield* runs.fork(Runs.ref(flow, "a"), 0, { id: "e", session: "s1" })
      yield* idle
      assert.deepStrictEqual(yield* ids({ status: ["failed"] }), ["d"])
      assert.deepStrictEqual(yield* ids({ flow: "one-node" }), ["d"])
      assert.deepStrictEqual(yield* ids({ session: "s1", order: "oldest" }), ["a", "e"])
      assert.deepStrictEqual(yield* ids({ session: "s2", order: "newest" }), ["c", "b"])
      assert.deepStrictEqual(yield* ids({ tag: "blue" }), ["c"])
      assert.deepStrictEqual(yield* ids({ correlation: "c-b" }), ["b"])
      assert.deepStrictEqual(yield* ids({ forkOf: "a" }), ["e"])
      assert.deepStrictEqual(yield* ids({ createdAfter: 1000, createdBefore: 2000 }), ["b"])
      const info = yield* runs.get("c")
      assert.deepInclude(info, { session: "s2", tags: ["red", "blue"], correlation: "c-c", actor: "ada" })
      assert.deepStrictEqual(info.attributes, { customer: "c" })
      const paged: Array<string> = []
      let cursor: string | undefined
      do {
        const page = yield* runs.list({
          order: "oldest",
          limit: 2,
          ...(cursor === undefined ? {} : { cursor })
        })
        paged.push(...page.runs.map(({ run }) => run))
        cursor = page.cursor
      } while (cursor !== undefined)
      assert.deepStrictEqual(paged, ["a", "b", "c", "d", "e"])
      assert.strictEqual((yield* Effect.flip(runs.list({ cursor: "what?" })))._tag, "StoreError")
    })
  )

  it.effect("and the row of a failed run says what it failed with", () =>
    Effect.gen(function* () {
      const { runs } = yield* machine().boot(program(() => Effect.fail(new Busy({ n: 1 }))))
      const run = yield* runs.start(oneNode, {})
      yield* Effect.flip(runs.await(run))
      const info = yield* runs.get(run)
      assert.strictEqual(info.status, "failed")
      assert.deepInclude(info.error, { kind: "error", tag: "Busy" })
      assert.strictEqual(info.node, "work")
      assert.isDefined(info.endedAt)
    })
  )
})

describe("deleting a run", () => {
  it.effect("that has ended, and only then, and not while it has forks", () =>
    Effect.gen(function* () {
      const world = { hang: true }
      const computer = machine()
      const { runs } = yield* computer.boot(
        program(
          ({ next }) =>
            Effect.suspend(() =>
              world.hang ? Effect.as(Echo.call({ text: "x" }), next.end([])) : Effect.succeed(next.end(["x"]))
            ),
          Echo.toLayer(() => Effect.never)
        )
      )
      const run = yield* runs.start(oneNode, {}, { id: "a" })
      yield* idle
      assert.strictEqual((yield* Effect.flip(runs.delete(run)))._tag, "RunInUse")
      yield* runs.cancel(run, "x")
      world.hang = false
      const fork = yield* runs.fork(run, 0, { id: "b" })
      yield* runs.await(fork)
      const error = yield* Effect.flip(runs.delete(run))
      assert.strictEqual(error._tag, "RunInUse")
      assert.include(error.message, '"b"')
      yield* idle
      yield* runs.delete(fork)
      yield* runs.delete(run)
      assert.strictEqual((yield* Effect.flip(runs.get(run)))._tag, "RunNotFound")
      assert.deepStrictEqual((yield* runs.list()).runs, [])
      assert.deepStrictEqual(yield* runs.execute(oneNode, {}, { id: "a" }), ["x"])
    })
  )
})
