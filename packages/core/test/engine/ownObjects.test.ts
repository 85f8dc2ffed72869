/** What a program hands over stays its own: it may go on changing it, and the run has it as it was. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { machine, untilStatus } from "./process.ts"

interface Notes {
  list: Array<number>
}

/** An object that its owner changes after it was handed over. */
const owned = () => {
  const notes: Notes = { list: [1] }
  return {
    notes: notes as unknown as Schema.Json,
    change: Effect.sync(() => void notes.list.push(2)),
    list: notes.list
  }
}

const before = { list: [1] }

const Fetch = Tool.make("fetch", { input: { of: Schema.Json }, output: Schema.Json })

/** A flow of one node, which may look at its results again after an hour. */
const keeping = Flow.make("keeping", {
  input: Schema.Json,
  output: Schema.Json,
  signals: { told: Schema.Json },
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

describe("what a program hands over", () => {
  it.effect("as the output of a tool is recorded as it was, whatever the tool makes of it later", () =>
    Effect.gen(function* () {
      const cache = owned()
      const handlers = keeping.toLayer({
        work: Effect.fnUntraced(function* ({ next }) {
          const first = yield* Fetch.call({ of: "it" })
          const second = yield* Fetch.call({ of: "it" })
          yield* Wait.sleep("1 hour")
          return next.end([first, second])
        })
      })
      const tools = Fetch.toLayer(() => Effect.as(cache.change, cache.notes))
      const { runs } = yield* machine().boot(
        Worker.layer({ flows: [keeping] }).pipe(Layer.provide(handlers), Layer.provide(tools))
      )
      const run = yield* runs.start(keeping, null)
      yield* untilStatus(runs, run, "waiting")
      yield* cache.change
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* runs.await(run), [{ list: [1, 2] }, { list: [1, 2, 2] }])
      assert.deepStrictEqual(cache.list, [1, 2, 2, 2])
    })
  )

  it.effect("as the input of a call is recorded as it was, whatever the tool makes of it", () =>
    Effect.gen(function* () {
      const given = owned()
      const { boot, eventsOf } = machine()
      const handlers = keeping.toLayer({
        work: ({ next }) => Effect.map(Fetch.call({ of: given.notes }), (output) => next.end(output))
      })
      const tools = Fetch.toLayer(({ of }) => Effect.as(given.change, of))
      const { runs } = yield* boot(
        Worker.layer({ flows: [keeping] }).pipe(Layer.provide(handlers), Layer.provide(tools))
      )
      const run = yield* runs.start(keeping, null)
      assert.deepStrictEqual(yield* runs.await(run), { list: [1, 2] })
      const [started] = yield* eventsOf(run, "callStarted")
      assert.deepStrictEqual(started!.input, { of: before })
    })
  )

  it.effect("as the input of a run, of one that a run starts, and in a signal is what it was", () =>
    Effect.gen(function* () {
      const [input, childs, payload, untyped] = [owned(), owned(), owned(), owned()]
      const parent = Flow.make("parent", {
        input: Schema.Json,
        output: Schema.Json,
        signals: { told: Schema.Json },
        start: "work",
        nodes: { work: Node.make({ to: ["end"] }) }
      })
      const handlers = keeping.toLayer({
        work: ({ input, next }) => Effect.as(Wait.sleep("1 hour"), next.end(input))
      })
      const starting = parent.toLayer({
        work: Effect.fnUntraced(function* ({ input, next }) {
          const child = yield* keeping.start(childs.notes, { key: "child" })
          yield* childs.change
          const told = yield* Wait.event("told", { schema: Schema.Json })
          const again = yield* Wait.event("told", { schema: Schema.Json })
          return next.end([input, child.id, told, again])
        })
      })
      const { runs } = yield* machine().boot(
        Worker.layer({ flows: [keeping, parent] }).pipe(Layer.provide([handlers, starting]))
      )
      const tags = ["one"]
      const run = yield* runs.start(parent, input.notes, { tags })
      yield* input.change
      tags.push("two")
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run, "told", payload.notes)
      yield* payload.change
      yield* runs.signal(run.id, "told", untyped.notes)
      yield* untyped.change
      const [got, child, told, again] = (yield* runs.await(run)) as ReadonlyArray<Schema.Json>
      assert.deepStrictEqual([got, told, again], [before, before, before])
      assert.deepStrictEqual((yield* runs.get(run)).tags, ["one"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* runs.await({ id: child as string, flow: keeping }), before)
    })
  )

  it.effect("in updates, as items, outputs, and initial values is what it was", () =>
    Effect.gen(function* () {
      const all = Array.from({ length: 9 }, owned)
      const [value, list, record, optional, reduced, item, output, end, initial] = all.map(
        ({ notes }) => notes
      ) as [any, any, any, any, any, any, any, any, any]
      // It has an object of its own for what it gives.
      const latest = { of: [] as Array<Schema.Json> }
      const Latest = Reducer.make<Schema.Json>((_, added) => {
        latest.of = [added]
        return latest
      }, null)
      const Told = Run.output("told", Schema.Json)
      const flow = Flow.make("filling", {
        input: Schema.Void,
        state: {
          value: State.value(Schema.Json, null),
          initial: State.value(Schema.Json, initial),
          list: State.list(Schema.Json),
          record: State.record(Schema.Json),
          optional: State.optional(Schema.Json),
          reduced: State.reduce(Schema.Json, Latest)
        },
        output: Schema.Json,
        start: "fill",
        nodes: {
          fill: Node.make({ to: ["fan"] }),
          fan: Node.make({ to: [], fanOut: { to: ["branch"], join: "look" } }),
          branch: Node.make({ item: Schema.Json, to: ["second"] }),
          second: Node.make({ to: ["look"] }),
          look: Node.make({ to: ["end"] })
        }
      })
      const change = Effect.forEach(all, (each) => each.change)
      const seen: Array<Schema.Json> = []
      const handlers = flow.toLayer({
        fill: ({ next }) =>
          Effect.as(
            Told.emit(output),
            next.to("fan", { value, list: [list], record: { a: record }, optional, reduced })
          ),
        fan: ({ next, state }) =>
          Effect.sync(() => {
            seen.push(state.value, state.list, state.record, state.optional!, state.reduced, state.initial)
            return next.each([item], "branch")
          }).pipe(Effect.tap(change)),
        branch: ({ item, next, state }) =>
          Effect.sync(() => {
            seen.push(item, state.value)
            return next.to("second", { reduced: "in a branch" })
          }),
        second: ({ next, state }) =>
          Effect.sync(() => {
            seen.push(state.reduced)
            latest.of.push("of the reducer alone")
            return next.to("look")
          }),
        look: ({ next, state }) =>
          Effect.sync(() => {
            seen.push(state.value, state.reduced)
            return next.end(end)
          })
      })
      const { runs } = yield* machine().boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers)))
      assert.deepStrictEqual(yield* runs.execute(flow, undefined, { id: "filling" }), { list: [1, 2] })
      assert.deepStrictEqual(seen, [
        before,
        [before],
        { a: before },
        before,
        { of: [before] },
        before,
        // It was changed before it was handed over.
        { list: [1, 2] },
        before,
        { of: ["in a branch"] },
        before,
        { of: ["in a branch"] }
      ])
      const { items } = yield* Effect.provideService(Runs.outputs("filling", Told), Runs.Runs, runs)
      assert.deepStrictEqual(items[0]!.value, before)
      // All of it can still be changed.
      yield* change
      latest.of.push("more")
      assert.deepStrictEqual(
        all.map((each) => each.list),
        all.map(() => [1, 2, 2])
      )
    })
  )
})
