import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as RunState from "@waymark/core/RunState"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Worker from "@waymark/core/Worker"
import { Echo } from "./oneNode.ts"
import { idle, machine, type StoreService, until } from "./process.ts"

const flow = Flow.make("growing", {
  input: Schema.Struct({ steps: Schema.Int, size: Schema.Int }),
  state: {
    large: State.optional(Schema.String),
    items: State.list(Schema.Struct({ i: Schema.Int, text: Schema.String })),
    byName: State.record(Schema.Int),
    n: State.counter()
  },
  output: Schema.Struct({ items: Schema.Int, names: Schema.Int, n: Schema.Int, large: Schema.Int }),
  start: "grow",
  nodes: { grow: Node.make({ to: ["grow", "last"] }), last: Node.make({ to: ["end"] }) }
})

const mark = "untouched-and-large"

const world = () => {
  const control = { hang: true }
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        grow: ({ input, next, state }) =>
          Effect.succeed(
            next.to(state.n + 1 < input.steps ? "grow" : "last", {
              n: 1,
              items: [{ i: state.n, text: "x".repeat(1000) }],
              byName: { [`name ${state.n % 20}`]: state.n },
              ...(state.n === 0 ? { large: mark + "y".repeat(input.size) } : {})
            })
          ),
        last: ({ next, state }) =>
          Effect.as(
            Effect.orDie(Echo.call({ text: "last" })),
            next.end({
              items: state.items.length,
              names: Object.keys(state.byName).length,
              n: state.n,
              large: state.large?.length ?? 0
            })
          )
      })
    ),
    Layer.provide(Echo.toLayer(({ text }) => (control.hang ? Effect.never : Effect.succeed(text))))
  )
  return { control, live }
}

const steps = 300
const size = 1_000_000

describe("a journal that has grown", () => {
  it.effect(
    "has snapshots, and a value that nobody touched stands in it once",
    () =>
      Effect.gen(function* () {
        const { live } = world()
        const computer = machine()
        const { runs, store } = yield* computer.boot(live)
        const run = yield* runs.start(flow, { steps, size })
        yield* until(Effect.map(runs.get(run), ({ steps: done }) => done === steps))
        const lines: Array<string> = []
        for (
          let page = yield* store.read(run.id);
          page.length > 0;
          page = yield* store.read(run.id, { from: lines.length })
        ) {
          lines.push(...page.map(({ line }) => line))
        }
        assert.strictEqual(lines.filter((line) => line.includes(mark)).length, 1)
        const snapshots = lines.filter((line) => line.includes('"kind":"snapshot"')).length
        assert.isAbove(snapshots, 1)
        const written = lines.reduce((sum, line) => sum + line.length, 0) - size
        assert.isBelow(written, 5 * steps * 1000)
        assert.isDefined((yield* runs.get(run)).snapshot)
        yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
      }),
    300_000
  )

  it.effect(
    "is recovered from its last snapshot, with the outcome it would have had, and without reading all of it",
    () =>
      Effect.gen(function* () {
        const { control, live } = world()
        const computer = machine()
        const first = yield* computer.boot(live)
        const run = yield* first.runs.start(flow, { steps, size })
        yield* until(Effect.map(first.runs.get(run), ({ steps: done }) => done === steps))
        const undisturbed = yield* first.runs.stateAt(run)
        yield* computer.crash
        control.hang = false
        let read = 0
        const counting = (store: StoreService): StoreService => ({
          ...store,
          read: (id, options) =>
            Effect.tap(store.read(id, options), (entries) => Effect.sync(() => (read += entries.length)))
        })
        const second = yield* computer.boot(live, { wrap: counting })
        yield* until(Effect.map(second.runs.get(run), ({ status }) => status === "completed"))
        assert.isBelow(read, steps / 2)
        const output = yield* second.runs.await(run)
        assert.deepStrictEqual(output, { items: steps, names: 20, n: steps, large: mark.length + size })
        const recovered = yield* second.runs.stateAt(run, undisturbed.seq)
        assert.deepStrictEqual(RunState.stateOf(recovered), RunState.stateOf(undisturbed))
      }),
    300_000
  )

  it.effect(
    "gives the same state at every position, whether it is folded from a snapshot or from the beginning",
    () =>
      Effect.gen(function* () {
        const { control, live } = world()
        control.hang = false
        const computer = machine()
        const { runs } = yield* computer.boot(live)
        const run = yield* runs.start(flow, { steps: 200, size: 10 })
        yield* runs.await(run)
        const events = yield* computer.journal(run)
        let folded: RunState.RunState | undefined
        for (const event of events) {
          const result = RunState.apply(folded, event, JSON.stringify(event).length)
          if (result._tag !== "Success") return assert.fail(`seq ${event.seq}`)
          folded = result.success
          if (event.seq % 17 > 1 && !event.kind.startsWith("snapshot")) continue
          const at = yield* runs.stateAt(run, event.seq)
          assert.deepStrictEqual(RunState.stateOf(at), RunState.stateOf(folded))
          assert.deepStrictEqual(
            [at.seq, at.status, at.steps, at.time],
            [folded.seq, folded.status, folded.steps, folded.time]
          )
          assert.deepStrictEqual(at.open, folded.open)
        }
      }),
    300_000
  )

  it.effect(
    "may end in the middle of a snapshot",
    () =>
      Effect.gen(function* () {
        const { control, live } = world()
        control.hang = false
        const computer = machine()
        let cut = false
        const cutting = (store: StoreService): StoreService => ({
          ...store,
          append: (lease, expected, batch) =>
            batch.entries.some(({ event }) => event.kind === "snapshot") && !cut
              ? Effect.gen(function* () {
                  // The pieces are durable, the head is not.
                  yield* store.sync(lease)
                  cut = true
                  yield* computer.crash
                  return yield* Effect.never
                })
              : store.append(lease, expected, batch)
        })
        const first = yield* computer.boot(live, { wrap: cutting })
        const run = yield* first.runs.start(flow, { steps: 150, size: 10 })
        yield* until(Effect.sync(() => cut))
        const kinds = yield* computer.kinds(run)
        assert.strictEqual(kinds[kinds.length - 1], "snapshotPart")
        const second = yield* computer.boot(live)
        yield* idle
        const output = yield* second.runs.await(run)
        assert.deepStrictEqual(output, { items: 150, names: 20, n: 150, large: mark.length + 10 })
        assert.include(yield* computer.kinds(run), "snapshot")
        yield* Effect.provideService(Runs.verify(run), Runs.Runs, second.runs)
      }),
    300_000
  )

  it.effect(
    "can be forked before, at and after a snapshot",
    () =>
      Effect.gen(function* () {
        const { control, live } = world()
        control.hang = false
        const computer = machine()
        const { runs } = yield* computer.boot(live)
        const run = yield* runs.start(flow, { steps: 150, size: 10 })
        const output = yield* runs.await(run)
        const [, snapshot] = yield* computer.eventsOf(run, "snapshot")
        const seqs = [snapshot!.at, snapshot!.at + 1, snapshot!.seq, snapshot!.seq + 1]
        const forks = yield* Effect.forEach(seqs, (seq) => runs.fork(run, seq, { edits: { large: "short" } }))
        for (const fork of forks) assert.deepStrictEqual(yield* runs.await(fork), { ...output, large: 5 })
        yield* computer.crash
        const later = yield* computer.client
        for (const fork of forks) {
          yield* Effect.provideService(Runs.verify(fork), Runs.Runs, later)
          const state = yield* later.state(fork)
          assert.deepStrictEqual(
            state.items.map(({ i }) => i),
            Array.from({ length: 150 }, (_, i) => i)
          )
        }
      }),
    300_000
  )
})
