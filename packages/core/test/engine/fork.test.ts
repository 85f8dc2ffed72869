import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type * as Tool from "@waymark/core/Tool"
import { Invocation } from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Echo, oneNode } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

const flow = Flow.make("forked", {
  input: Schema.Struct({ who: Schema.String }),
  state: {
    limit: State.value(Schema.Int, 2),
    got: State.list(Schema.String),
    note: State.optional(Schema.Date)
  },
  output: Schema.Array(Schema.String),
  start: "work",
  nodes: { work: Node.make({ to: ["work", "end"] }) }
})

/** Each visit calls the tool twice; `limit` visits. */
const world = () => {
  const seen: Array<{ readonly text: string } & Tool.Invocation["Service"]> = []
  const hang = new Set<string>()
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        work: ({ input, next, state }) =>
          Effect.gen(function* () {
            const round = state.got.length / 2 + 1
            const got = yield* Effect.forEach(["a", "b"], (name) =>
              Effect.orDie(Echo.call({ text: `${name}${round}` }))
            )
            return round >= state.limit
              ? next.end([input.who, ...state.got, ...got])
              : next.to("work", { got })
          })
      })
    ),
    Layer.provide(
      Echo.toLayer(({ text }) =>
        Effect.gen(function* () {
          seen.push({ text, ...(yield* Invocation) })
          return hang.has(text) ? yield* Effect.never : text
        })
      )
    )
  )
  return { hang, live, seen, texts: () => seen.map(({ text }) => text) }
}

const ran = Effect.gen(function* () {
  const all = world()
  const computer = machine()
  const { runs } = yield* computer.boot(all.live)
  const run = yield* runs.start(flow, { who: "ada" }, { id: "origin", session: "s" })
  assert.deepStrictEqual(yield* runs.await(run), ["ada", "a1", "b1", "a2", "b2"])
  all.seen.length = 0
  return { ...all, ...computer, run, runs }
})

describe("a fork", () => {
  it.effect("goes on from its checkpoint under a new id, and leaves its origin alone", () =>
    Effect.gen(function* () {
      const { eventsOf, journal, kinds, run, runs, seen, texts } = yield* ran
      const before = yield* journal(run)
      const [visited] = yield* eventsOf(run, "visited")
      const fork = yield* runs.fork(run, visited!.seq, { actor: "bob", tags: ["try"], session: "other" })
      assert.notStrictEqual(fork.id, run.id)
      assert.deepStrictEqual(yield* runs.await(fork), ["ada", "a1", "b1", "a2", "b2"])
      assert.deepStrictEqual(texts(), ["a2", "b2"])
      assert.deepStrictEqual(
        seen.map(({ run: id }) => id),
        [fork.id, fork.id]
      )
      assert.deepStrictEqual(yield* journal(run), before)
      assert.deepStrictEqual((yield* kinds(fork)).slice(0, 2), ["forked", "callStarted"])
      const info = yield* runs.get(fork)
      assert.deepStrictEqual(info.forkOf, { run: "origin", seq: visited!.seq })
      assert.deepInclude(info, { session: "other", actor: "bob", tags: ["try"], flow: "forked" })
    })
  )

  it.effect("is served the calls that had finished by then; those after it have keys of their own", () =>
    Effect.gen(function* () {
      const all = world()
      const computer = machine()
      all.hang.add("b2")
      const { runs } = yield* computer.boot(all.live)
      const run = yield* runs.start(flow, { who: "ada" })
      yield* idle
      const [, , a2] = yield* computer.eventsOf(run, "callStarted")
      const completed = (yield* computer.eventsOf(run, "callCompleted")).find(({ call }) => call === a2!.call)
      const [, , , b2] = all.seen
      all.hang.clear()
      all.seen.length = 0
      const fork = yield* runs.fork(run, completed!.seq)
      assert.deepStrictEqual(yield* runs.await(fork), ["ada", "a1", "b1", "a2", "b2"])
      assert.deepStrictEqual(all.texts(), ["b2"])
      assert.notStrictEqual(all.seen[0]!.key, b2!.key)
      assert.isFalse(all.seen[0]!.repeated)
    })
  )

  it.effect("from a checkpoint with a call under way makes that call anew", () =>
    Effect.gen(function* () {
      const all = world()
      const computer = machine()
      all.hang.add("b2")
      const { runs, store } = yield* computer.boot(all.live)
      const run = yield* runs.start(flow, { who: "ada" })
      yield* idle
      const { info } = yield* store.get(run.id)
      all.hang.clear()
      const fork = yield* runs.fork(run, info.seq)
      assert.deepStrictEqual(yield* runs.await(fork), ["ada", "a1", "b1", "a2", "b2"])
      assert.deepStrictEqual(all.texts(), ["a1", "b1", "a2", "b2", "b2"])
    })
  )

  it.effect("takes edits, which are checked against the flow's schemas", () =>
    Effect.gen(function* () {
      const { run, runs, texts } = yield* ran
      const fork = yield* runs.fork(run, 0, { edits: { limit: 1, got: [], note: new Date(3) } })
      assert.deepStrictEqual(yield* runs.await(fork), ["ada", "a1", "b1"])
      assert.deepStrictEqual(texts(), ["a1", "b1"])
      assert.deepStrictEqual((yield* runs.state(fork)).note, new Date(3))
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ limit: "x" }, "limit"],
        [{ got: [1] }, "got"],
        [{ nope: 1 }, "nope"],
        [{ __proto__: undefined, constructor: 1 }, "constructor"]
      ]
      const { length } = (yield* runs.list()).runs
      for (const [edits, name] of wrong) {
        const error = yield* Effect.flip(runs.fork(run, 0, { edits }))
        assert.strictEqual(error._tag, "InvalidValue")
        assert.include(error.message, name)
      }
      assert.strictEqual((yield* runs.list()).runs.length, length)
    })
  )

  it.effect(
    "can be forked again, recovered and verified, and its own state is read through its origins",
    () =>
      Effect.gen(function* () {
        const { boot, client, crash, eventsOf, hang, live, run, runs } = yield* ran
        const [visited] = yield* eventsOf(run, "visited")
        const second = yield* runs.fork(run, visited!.seq, { id: "second", edits: { limit: 4 } })
        assert.strictEqual((yield* runs.await(second)).length, 9)
        const [, third] = yield* eventsOf("second", "visited")
        hang.add("b3")
        const fork = yield* runs.fork(second, third!.seq - 3, { id: "third", edits: { note: new Date(1) } })
        yield* idle
        yield* crash
        hang.clear()
        const { runs: later } = yield* boot(live)
        assert.deepStrictEqual(yield* later.await(fork), [
          "ada",
          "a1",
          "b1",
          "a2",
          "b2",
          "a3",
          "b3",
          "a4",
          "b4"
        ])
        for (const id of ["origin", "second", "third"])
          yield* Effect.provideService(Runs.verify(id), Runs.Runs, later)
        const state = yield* later.state(fork)
        assert.deepStrictEqual(
          { ...state },
          { limit: 4, note: new Date(1), got: ["a1", "b1", "a2", "b2", "a3", "b3"] }
        )
        assert.deepStrictEqual((yield* later.get(fork)).forkOf?.run, "second")
        const reader = yield* client
        assert.deepStrictEqual((yield* reader.state(fork, 0)).got, ["a1", "b1", "a2", "b2"])
      })
  )

  it.effect("of a failed or a cancelled run goes on from before the end", () =>
    Effect.gen(function* () {
      const all = world()
      const computer = machine()
      const { runs } = yield* computer.boot(all.live)
      all.hang.add("a2")
      const run = yield* runs.start(flow, { who: "ada" })
      yield* idle
      yield* runs.cancel(run, "stop")
      all.hang.clear()
      const { seq } = yield* runs.get(run)
      const fork = yield* runs.fork(run, seq)
      assert.deepStrictEqual(yield* runs.await(fork), ["ada", "a1", "b1", "a2", "b2"])
      assert.strictEqual((yield* runs.get(run)).status, "cancelled")
    })
  )

  it.effect("of a paused run runs", () =>
    Effect.gen(function* () {
      const all = world()
      const computer = machine()
      const first = yield* computer.boot(all.live)
      all.hang.add("a1")
      const run = yield* first.runs.start(flow, { who: "ada" })
      yield* idle
      yield* first.stop
      const client = yield* computer.client
      yield* client.pause(run)
      const { runs } = yield* computer.boot(all.live)
      yield* untilStatus(runs, run, "paused")
      all.hang.clear()
      const fork = yield* runs.fork(run, (yield* runs.get(run)).seq)
      assert.strictEqual((yield* runs.await(fork)).length, 5)
    })
  )

  it.effect(
    "is refused where nothing is left to execute, where there is no checkpoint, and for another flow",
    () =>
      Effect.gen(function* () {
        const { run, runs } = yield* ran
        const { seq } = yield* runs.get(run)
        for (const at of [seq, seq + 1, -1, 0.5, Number.NaN]) {
          const error = yield* Effect.flip(runs.fork(run, at))
          assert.strictEqual(error._tag, "InvalidCheckpoint", `${at}`)
        }
        for (const id of ["origin", "taken"]) {
          const error = yield* Effect.flip(
            Effect.andThen(runs.fork(run, 0, { id }), runs.fork(run, 0, { id }))
          )
          assert.strictEqual(error._tag, "RunConflict")
        }
        assert.strictEqual((yield* Effect.flip(runs.fork(run, 0, { id: "" })))._tag, "InvalidValue")
        const foreign = yield* Effect.flip(runs.fork(Runs.ref(oneNode, "origin"), 0))
        assert.strictEqual(foreign._tag, "InvalidValue")
        assert.include(foreign.message, '"forked"')
        assert.strictEqual((yield* Effect.flip(runs.fork(Runs.ref(flow, "nope"), 0)))._tag, "RunNotFound")
        assert.strictEqual((yield* runs.list()).runs.length, 2)
      })
  )
})
