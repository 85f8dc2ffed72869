/** Everything that would come out otherwise after a change of code, and not only the first of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import { Busy, handlersOf, oneNode } from "./oneNode.ts"
import { idle, machine } from "./process.ts"

const Ask = Tool.make("ask", { input: Schema.String, output: Schema.String })

/** Three visits on the main line, one for each of two branches, and one that ends the run. */
const flow = Flow.make("changing", {
  input: Schema.Struct({}),
  state: { notes: State.list(Schema.String), seen: State.counter() },
  output: Schema.Array(Schema.String),
  start: "ask",
  nodes: {
    ask: Node.make({ to: ["note"] }),
    note: Node.make({ to: ["split"] }),
    split: Node.make({ to: [], fanOut: { to: ["branch"], join: "merge" } }),
    branch: Node.make({ item: Schema.Int, to: ["merge"] }),
    merge: Node.make({ to: ["end"] })
  }
})

interface Change {
  readonly question?: string
  readonly note?: string
  readonly seen?: (item: number) => number
  readonly output?: ReadonlyArray<string>
}

const handlers = ({ note = "noted", output, question = "what?", seen = () => 1 }: Change = {}) => {
  const asked: Array<string> = []
  const layer = flow.toLayer({
    ask: ({ next }) => Effect.map(Ask.call(question), (answer) => next.to("note", { notes: [answer] })),
    note: ({ next }) => Effect.succeed(next.to("split", { notes: [note] })),
    split: ({ next }) => Effect.succeed(next.each([1, 2], "branch")),
    branch: ({ item, next }) => Effect.succeed(next.to("merge", { seen: seen(item) })),
    merge: ({ next, state }) => Effect.succeed(next.end(output ?? [...state.notes, String(state.seen)]))
  })
  const tools = Ask.toLayer((text) => Effect.sync(() => `${text} ${asked.push(text)}`))
  return { asked, layer: Layer.provide(layer, tools) }
}

const ran = Effect.gen(function* () {
  const computer = machine()
  const { runs } = yield* computer.boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers().layer)))
  const run = yield* runs.start(flow, {})
  assert.deepStrictEqual(yield* runs.await(run), ["what? 1", "noted", "2"])
  const replay = (change: Change, options?: Parameters<typeof Runs.replay>[1]) => {
    const { asked, layer } = handlers(change)
    return Runs.replay(run, options).pipe(
      Effect.provideService(Runs.Runs, runs),
      Effect.provide(layer),
      Effect.tap(() => Effect.sync(() => assert.deepStrictEqual(asked, [], "a replay calls no tool")))
    )
  }
  return { ...computer, replay, run, runs }
})

const all = { most: Number.POSITIVE_INFINITY }

const places = ({ divergences }: Runs.ReplayReport) =>
  divergences.map(({ branch, node }) => (branch === undefined ? node : `${node} in ${branch}`))

describe("the divergences of a replay", () => {
  it.effect("are all that come out otherwise: what follows one is compared from what is recorded", () =>
    Effect.gen(function* () {
      const { eventsOf, replay, run } = yield* ran
      const report = yield* replay({ question: "why?", output: ["changed"] }, all)
      assert.strictEqual(report.visits, 6)
      const visited = yield* eventsOf(run, "visited")
      const [first, second] = report.divergences
      assert.strictEqual(report.divergences.length, 2)
      // A call that is not recorded is one divergence, and the visit is not gone on with.
      const [asked] = yield* eventsOf(run, "callStarted")
      assert.deepInclude(first, { seq: asked!.seq, node: "ask", visit: 1, attempt: 1 })
      assert.deepStrictEqual(first!.expected, { tool: "ask", call: asked!.call, input: "what?" })
      assert.deepInclude(first!.got, { tool: "ask", input: "why?" })
      // The last visit has the notes that the journal has.
      assert.deepInclude(second, { seq: visited.at(-1)!.seq, node: "merge" })
      assert.deepStrictEqual(second!.expected, { kind: "completed", output: ["what? 1", "noted", "2"] })
      assert.deepStrictEqual(second!.got, { kind: "completed", output: ["changed"] })
    })
  )

  it.effect("end with the first one unless more are asked for, and with as many as are asked for", () =>
    Effect.gen(function* () {
      const { replay } = yield* ran
      const change: Change = { question: "why?", note: "changed", output: [] }
      const first = yield* replay(change)
      assert.deepStrictEqual([places(first), first.visits], [["ask"], 1])
      const two = yield* replay(change, { most: 2 })
      assert.deepStrictEqual([places(two), two.visits], [["ask", "note"], 2])
      // There are fewer: the run was replayed to its end.
      const three = yield* replay(change, { most: 4 })
      assert.deepStrictEqual([places(three), three.visits], [["ask", "note", "merge"], 6])
    })
  )

  it.effect("name the branch that they are in, and what else of the run is as recorded is none", () =>
    Effect.gen(function* () {
      const { eventsOf, replay, run } = yield* ran
      const visited = yield* eventsOf(run, "visited")
      const branches = visited.flatMap(({ branch }) => (branch === undefined ? [] : [branch]))
      assert.strictEqual(branches.length, 2)
      const both = yield* replay({ seen: (item) => item + 1 }, all)
      assert.sameMembers(
        places(both),
        branches.map((branch) => `branch in ${branch}`)
      )
      assert.strictEqual(both.visits, 6)
      const one = yield* replay({ seen: (item) => (item === 2 ? 7 : 1), note: "changed" }, all)
      assert.deepStrictEqual(places(one), ["note", `branch in ${branches[1]}`])
      assert.deepInclude(one.divergences[1]!.got, { ops: { seen: { add: 7 } } })
      assert.deepStrictEqual((yield* replay({}, all)).divergences, [])
    })
  )

  it.effect("begin after the checkpoint that is asked for", () =>
    Effect.gen(function* () {
      const { eventsOf, replay, run } = yield* ran
      const [asked] = yield* eventsOf(run, "visited")
      const report = yield* replay({ question: "why?", note: "changed" }, { ...all, from: asked!.seq })
      assert.deepStrictEqual([places(report), report.visits], [["note"], 5])
    })
  )

  it.effect("are not looked for if it is no number how many", () =>
    Effect.gen(function* () {
      const { replay } = yield* ran
      for (const most of [0, -1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(replay({}, { most }))
        assert.strictEqual(error._tag, "InvalidValue")
        assert.include(error.message, `it is ${most}; it must be a whole number from 1`)
      }
    })
  )
})

describe("the divergences of a visit that was tried again", () => {
  it.effect("are told for each attempt", () =>
    Effect.gen(function* () {
      const Try = Tool.make("try", { input: Schema.Int, output: Schema.String, error: Busy })
      const retried = Flow.make("retried", {
        input: Schema.Struct({}),
        output: Schema.String,
        error: Busy,
        start: "work",
        nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.recurs(2) }) }
      })
      const handlers = (input: number, gaveUp?: string) => {
        let tries = 0
        const layer = retried.toLayer({
          work: ({ next }) => {
            const called = Try.call(input)
            const answer = gaveUp === undefined ? called : Effect.catch(called, () => Effect.succeed(gaveUp))
            return Effect.map(answer, (text) => next.end(text))
          }
        })
        const tools = Try.toLayer(() =>
          Effect.suspend(() => (++tries === 1 ? Effect.fail(new Busy({ n: tries })) : Effect.succeed("done")))
        )
        return Layer.provide(layer, tools)
      }
      const { runs } = yield* machine().boot(
        Worker.layer({ flows: [retried] }).pipe(Layer.provide(handlers(1)))
      )
      const run = yield* runs.start(retried, {})
      assert.strictEqual(yield* runs.await(run), "done")
      const replay = (changed: ReturnType<typeof handlers>) =>
        Runs.replay(run, all).pipe(Effect.provideService(Runs.Runs, runs), Effect.provide(changed))
      const caught = yield* replay(handlers(1, "gave up"))
      assert.deepStrictEqual(
        caught.divergences.map(({ attempt, visit }) => [visit, attempt]),
        [[1, 1]]
      )
      assert.deepInclude(caught.divergences[0]!.expected, { kind: "attemptFailed" })
      assert.deepInclude(caught.divergences[0]!.got, { kind: "visited" })
      const another = yield* replay(handlers(2))
      assert.deepStrictEqual(
        another.divergences.map(({ attempt, got }) => [attempt, (got as { input: unknown }).input]),
        [
          [1, 2],
          [2, 2]
        ]
      )
      assert.strictEqual(another.visits, 2)
    })
  )
})

describe("a divergence at something that is not recorded", () => {
  type Work = Effect.Effect<unknown, never, Tool.Handler<"ask"> | Visit>
  const child = Flow.make("child", {
    input: { text: Schema.String },
    start: "rest",
    nodes: { rest: Node.make({ to: ["end"] }) }
  })
  const slow = Ask.toLayer((text) => Effect.delay(Effect.succeed(text), text === "slow" ? "1 second" : 0))
  const working = (work: Work) => handlersOf(({ next }) => Effect.as(work, next.end([])), slow)

  /** Executes it once, and replays it as something else; what is not as recorded, and the journal. */
  const changed = (before: Work, after: Work, signals: ReadonlyArray<string> = []) =>
    Effect.gen(function* () {
      const { boot, journal } = machine()
      const handlers = Layer.merge(
        working(before),
        child.toLayer({ rest: ({ next }) => Effect.succeed(next.end()) })
      )
      const { runs } = yield* boot(Worker.layer({ flows: [oneNode, child] }).pipe(Layer.provide(handlers)))
      const run = yield* runs.start(oneNode, {})
      for (const name of signals) {
        yield* idle
        yield* TestClock.adjust("1 second")
        yield* idle
        yield* runs.signal(run, name, "go")
      }
      yield* runs.await(run)
      const replay = (work: Work) =>
        Runs.replay(run, all).pipe(Effect.provideService(Runs.Runs, runs), Effect.provide(working(work)))
      assert.deepStrictEqual((yield* replay(before)).divergences, [])
      const { divergences } = yield* replay(after)
      assert.strictEqual(divergences.length, 1)
      const events = yield* journal(run)
      return { ...divergences[0]!, at: events[divergences[0]!.seq]! }
    })

  const both = (...work: ReadonlyArray<Work>) => Effect.all(work, { concurrency: "unbounded" })
  const go = (name: string) => Wait.event(name, { schema: Schema.String })

  it.effect("names the first call that is, and is not asked for", () =>
    Effect.gen(function* () {
      const three = Effect.all([Ask.call("a"), Ask.call("b"), Ask.call("c")])
      const { at, expected, got } = yield* changed(
        three,
        Effect.all([Ask.call("a"), Ask.call("c"), Ask.call("d")])
      )
      assert.deepInclude(at, { kind: "callStarted", tool: "ask", input: "b" })
      assert.deepInclude(expected, { tool: "ask", input: "b" })
      assert.deepInclude(got, { tool: "ask", input: "d" })
    })
  )

  it.effect("names how the attempt ended if all that is recorded is asked for, first or later", () =>
    Effect.gen(function* () {
      const two = both(Ask.call("a"), Ask.call("b"))
      const slow = Effect.andThen(Effect.sleep("1 second"), Ask.call("b"))
      for (const more of [
        both(Ask.call("a"), Ask.call("b"), Ask.call("c")),
        both(Ask.call("c"), Ask.call("a"), Ask.call("b")),
        both(Ask.call("c"), Ask.call("a"), slow)
      ]) {
        const { at, expected, got } = yield* changed(two, more)
        assert.deepInclude(at, { kind: "visited" })
        assert.deepInclude(expected, { kind: "visited", next: { end: true } })
        assert.deepInclude(got, { tool: "ask", input: "c" })
      }
    })
  )

  it.effect("is one, too, if a call is no longer made, or another wait, and all comes to the same", () =>
    Effect.gen(function* () {
      const two = Effect.andThen(Ask.call("a"), Ask.call("b"))
      const { at, expected, got } = yield* changed(two, Ask.call("a"))
      assert.deepInclude(at, { kind: "callStarted", input: "b" })
      assert.deepInclude(expected, { tool: "ask", input: "b" })
      assert.deepStrictEqual(got, { kind: "visited", next: { end: true }, ops: {} })
      const waited = yield* changed(Effect.andThen(Ask.call("a"), go("first")), Ask.call("a"), ["first"])
      assert.deepInclude(waited.at, { kind: "waitOpened" })
      assert.deepInclude(waited.expected, { tool: "wait", input: { type: "event", name: "first" } })
    })
  )

  it.effect("is told also if what is recorded comes out before it", () =>
    Effect.gen(function* () {
      const { expected, got } = yield* changed(Ask.call("a"), Effect.race(Ask.call("b"), Ask.call("a")))
      assert.deepInclude(expected, { kind: "visited" })
      assert.deepInclude(got, { tool: "ask", input: "b" })
    })
  )

  it.effect("and what is recorded may be a wait", () =>
    Effect.gen(function* () {
      const { at, expected, got } = yield* changed(
        Effect.andThen(go("first"), go("second")),
        Effect.andThen(go("first"), go("third")),
        ["first", "second"]
      )
      assert.deepInclude(at, { kind: "waitOpened", on: { type: "event", name: "second" } })
      assert.deepInclude(expected, { tool: "wait", input: { type: "event", name: "second" } })
      assert.deepInclude(got, { tool: "wait", input: { type: "event", name: "third" } })
      // Between its beginning and its end another fiber makes calls.
      const others = Effect.forEach(["slow", "x"], (text) => Ask.call(text))
      const beside = (work: Work): Work =>
        Effect.flatMap(Effect.forkChild(others, { startImmediately: true }), (fiber) =>
          Effect.andThen(work, Fiber.join(fiber))
        )
      const call = yield* changed(beside(go("first")), beside(Ask.call("b")), ["first"])
      assert.deepInclude(call.expected, { tool: "wait", input: { type: "event", name: "first" } })
      assert.deepInclude(call.at, { kind: "waitOpened" })
    })
  )

  it.effect("and what is asked for a run", () =>
    Effect.gen(function* () {
      const started = child.start({ text: "a" })
      const { expected, got } = yield* changed(
        Effect.andThen(started, Ask.call("a")),
        child.start({ text: "b" })
      )
      assert.deepInclude(expected, { tool: "ask", input: "a" })
      assert.deepInclude(got, { tool: "start", input: { text: "b" } })
    })
  )

  it.effect("says so of a fiber that never sleeps and never ends, too", () =>
    Effect.gen(function* () {
      const busy = Effect.forever(Effect.yieldNow)
      const looking = Effect.forever(Effect.sleep("1 minute"))
      const { expected } = yield* changed(Ask.call("a"), both(Ask.call("b"), busy, looking))
      assert.deepInclude(expected, { tool: "ask", input: "a" })
    })
  )
})

describe("a run that the flow as it is now cannot have", () => {
  const nodes = {
    ask: Node.make({ to: ["note"] }),
    note: Node.make({ to: ["end"] })
  }
  const recorded = Flow.make("edited", {
    input: { text: Schema.String },
    state: { notes: State.list(Schema.String) },
    start: "ask",
    nodes
  })
  const replayedBy = <F extends Flow.Any>(edited: F, changed: Layer.Layer<Flow.Handlers<F["id"]>>) =>
    Effect.gen(function* () {
      const layer = recorded.toLayer({
        ask: ({ input, next }) => Effect.succeed(next.to("note", { notes: [input.text] })),
        note: ({ next }) => Effect.succeed(next.end())
      })
      const { runs } = yield* machine().boot(Worker.layer({ flows: [recorded] }).pipe(Layer.provide(layer)))
      const run = yield* runs.start(recorded, { text: "one" })
      yield* runs.await(run)
      const { divergences, visits } = yield* Runs.replay(Runs.ref(edited, run.id), all).pipe(
        Effect.provideService(Runs.Runs, runs),
        Effect.provide(changed)
      )
      return { visits, found: divergences.map(({ got, node }) => [node, got]) }
    })

  it.effect("diverges where a channel no longer reads what is recorded, and what comes before is told", () =>
    Effect.gen(function* () {
      const edited = Flow.make("edited", {
        input: { text: Schema.String },
        state: { notes: State.list(Schema.Int) },
        start: "ask",
        nodes
      })
      const { found, visits } = yield* replayedBy(
        edited,
        edited.toLayer({
          ask: ({ next }) => Effect.succeed(next.to("note", { notes: [1] })),
          note: ({ next }) => Effect.succeed(next.end())
        })
      )
      assert.strictEqual(visits, 2)
      const [[, other], [node, unread]] = found as [[string, object], [string, object]]
      assert.deepInclude(other, { ops: { notes: { append: [1] } } })
      assert.strictEqual(node, "note")
      assert.deepStrictEqual(unread, {
        kind: "incompatible",
        message: 'channel "notes", item 0: Expected number'
      })
    })
  )

  it.effect("diverges at each visit of a node that is gone", () =>
    Effect.gen(function* () {
      const edited = Flow.make("edited", {
        input: { text: Schema.String },
        state: { notes: State.list(Schema.String) },
        start: "ask",
        nodes: { ask: Node.make({ to: ["remark"] }), remark: Node.make({ to: ["end"] }) }
      })
      const { found, visits } = yield* replayedBy(
        edited,
        edited.toLayer({
          ask: ({ input, next }) => Effect.succeed(next.to("remark", { notes: [input.text] })),
          remark: ({ next }) => Effect.succeed(next.end())
        })
      )
      assert.strictEqual(visits, 2)
      assert.deepStrictEqual(found[1], [
        "note",
        { kind: "incompatible", message: 'flow "edited" has no node "note"' }
      ])
    })
  )
})
