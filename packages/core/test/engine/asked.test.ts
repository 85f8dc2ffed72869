import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import type * as Runs from "@waymark/core/Runs"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, until, untilStatus } from "./process.ts"

const input = Schema.Struct({})

const Inner = Flow.make("inner", { input, start: "ask", nodes: { ask: Node.make({ to: ["end"] }) } })
const Middle = Flow.make("middle", { input, start: "call", nodes: { call: Node.make({ to: ["end"] }) } })
const Outer = Flow.make("outer", { input, start: "call", nodes: { call: Node.make({ to: ["end"] }) } })
const Later = Flow.make("later", { input, start: "sleep", nodes: { sleep: Node.make({ to: ["end"] }) } })
const flows = [Inner, Middle, Outer, Later] as const

const handlers = Layer.mergeAll(
  Inner.toLayer({ ask: ({ next }) => Effect.as(Wait.event("go", { schema: Schema.Null }), next.end()) }),
  Middle.toLayer({ call: ({ next }) => Effect.as(Inner.call({}), next.end()) }),
  Outer.toLayer({ call: ({ next }) => Effect.as(Middle.call({}), next.end()) }),
  Later.toLayer({ sleep: ({ next }) => Effect.as(Wait.sleep("1 hour"), next.end()) })
)

const worker = (takesUp: "all" | "asked") => Worker.layer({ flows, takesUp }).pipe(Layer.provide(handlers))

const statuses = (runs: Runs.Runs["Service"]) =>
  Effect.map(runs.list(), (page): { readonly [run: string]: string } =>
    Object.fromEntries(page.runs.map(({ run, status }) => [run, status]))
  )

describe("a worker that takes up only what it is asked for", () => {
  it.effect("leaves other runs alone, also those that are commanded and those that are due", () =>
    Effect.gen(function* () {
      const { boot, client } = machine()
      const others = yield* client
      yield* others.start(Inner, {}, { id: "wanted" })
      yield* others.start(Inner, {}, { id: "other" })
      yield* others.start(Later, {}, { id: "wanted-later" })
      yield* others.start(Later, {}, { id: "other-later" })
      const first = yield* boot(worker("all"))
      for (const run of ["wanted", "other", "wanted-later", "other-later"])
        yield* untilStatus(others, run, "waiting")
      yield* first.stop
      yield* others.start(Inner, {}, { id: "pending" })

      const { runs, worker: asked } = yield* boot(worker("asked"))
      yield* others.signal("wanted", "go", null)
      yield* others.signal("other", "go", null)
      yield* TestClock.adjust("2 hours")
      yield* idle
      const before = {
        wanted: "waiting",
        other: "waiting",
        "wanted-later": "waiting",
        "other-later": "waiting",
        pending: "pending"
      }
      assert.deepStrictEqual(yield* statuses(runs), before)

      yield* asked.takeUp("wanted")
      yield* asked.takeUp("wanted-later")
      yield* untilStatus(runs, "wanted", "completed")
      yield* untilStatus(runs, "wanted-later", "completed")
      yield* TestClock.adjust("2 hours")
      yield* idle
      const after = { ...before, wanted: "completed", "wanted-later": "completed" }
      assert.deepStrictEqual(yield* statuses(runs), after)

      yield* boot(worker("all"))
      for (const run of ["other", "other-later"]) yield* untilStatus(runs, run, "completed")
      yield* untilStatus(runs, "pending", "waiting")
    })
  )

  it.effect("takes up what it was asked for when there is something to do for it", () =>
    Effect.gen(function* () {
      const { boot, client } = machine()
      const others = yield* client
      yield* others.start(Inner, {}, { id: "run" })
      const first = yield* boot(worker("all"))
      yield* untilStatus(others, "run", "waiting")
      yield* first.stop
      const { worker: asked } = yield* boot(worker("asked"))
      yield* asked.takeUp("run")
      yield* idle
      assert.deepStrictEqual(yield* asked.running, [])
      yield* others.signal("run", "go", null)
      yield* untilStatus(others, "run", "completed")
    })
  )

  it.effect("executes the runs that its client starts, joins and forks", () =>
    Effect.gen(function* () {
      const { boot, client, eventsOf } = machine()
      const others = yield* client
      yield* others.start(Inner, {}, { id: "joined" })
      yield* others.start(Inner, {}, { id: "other" })
      const { runs } = yield* boot(worker("asked"))
      yield* runs.start(Inner, {}, { id: "started" })
      yield* runs.start(Inner, {}, { id: "joined" })
      for (const run of ["started", "joined"]) yield* untilStatus(runs, run, "waiting")
      const [opened] = yield* eventsOf("started", "waitOpened")
      const fork = yield* runs.fork({ flow: Inner, id: "started" }, opened!.seq - 1, { id: "forked" })
      yield* untilStatus(runs, fork, "waiting")
      for (const run of ["started", "joined", "forked"]) yield* others.signal(run, "go", null)
      for (const run of ["started", "joined", "forked"]) yield* untilStatus(runs, run, "completed")
      assert.strictEqual((yield* runs.get("other")).status, "pending")
    })
  )

  it.effect("executes what such a run started, and what that started, whoever made them", () =>
    Effect.gen(function* () {
      const { boot, client, crash } = machine()
      const others = yield* client
      for (const id of ["wanted", "other"]) yield* others.start(Outer, {}, { id })
      yield* boot(worker("all"))
      for (const id of ["wanted", "other"]) yield* untilStatus(others, id, "waiting")
      const inner = others.list({ flow: "inner", status: ["waiting"] })
      yield* until(Effect.map(inner, ({ runs }) => runs.length === 2))
      const { runs: all } = yield* inner
      yield* idle
      yield* crash

      const now = yield* client
      const { runs, worker: asked } = yield* boot(worker("asked"))
      yield* asked.takeUp("wanted")
      for (const { run } of all) yield* now.signal(run, "go", null)
      yield* untilStatus(runs, "wanted", "completed")
      yield* TestClock.adjust("1 minute")
      yield* idle
      assert.strictEqual((yield* runs.get("other")).status, "waiting")
      const ended = (yield* runs.list({ flow: "inner" })).runs.filter(({ status }) => status === "completed")
      assert.strictEqual(ended.length, 1)

      // It was there before it was asked for.
      yield* asked.takeUp("other")
      yield* untilStatus(runs, "other", "completed")
    })
  )
})
