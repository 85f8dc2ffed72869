import { assert, describe, it } from "@effect/vitest"
import { Manifest, MemoryStore, Runs } from "@waymark/core"
import { Effect, Exit, Schema } from "effect"
import { FromPage, ToPage } from "../src/panel/Messages.ts"
import { place as layOut } from "../src/panel/Layout.ts"
import * as RunModel from "../src/panel/RunModel.ts"
import type { Row } from "../src/panel/Timeline.ts"
import { readAll, readOne } from "../src/reading/Journals.ts"
import * as Stores from "../src/reading/Stores.ts"
import { Counter, layerOn, Order, order, place } from "./orders.ts"

const on = <A, E>(body: Effect.Effect<A, E, Stores.Stores | Runs.Runs>) =>
  Effect.provide(body, layerOn(MemoryStore.makeDisk()))

const modelOf = (run: string, code?: Manifest.Manifest) =>
  Effect.gen(function* () {
    const stores = yield* Stores.Stores
    yield* stores.use([place])
    const open = yield* stores.open("/s")
    const reader = {
      info: Effect.map(open.store.get(run), ({ info }) => info),
      event: (seq: number) => readOne(open, run, seq),
      stateAt: (seq: number) => open.runs.stateAt(run, seq),
      scan: (from: number, direction: "forwards" | "backwards", take: Parameters<typeof readAll>[3]) =>
        readAll(open, run, { from, direction }, take),
      sites: Effect.succeed([])
    }
    const model = RunModel.make(open, run, reader, () => code)
    yield* model.update(Effect.void)
    return model
  })

const encodes = (message: unknown) => Exit.isSuccess(Schema.decodeUnknownExit(ToPage)(message))

describe("the panel of a run", () => {
  it.live("has a row for each visit, call and wait, with what became of it", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const { timeline } = yield* modelOf("o")
        const rows = timeline.rows(0, 100)
        assert.deepStrictEqual(
          rows.map(({ branch, kind, name, status }: Row) => [kind, name, status, branch]),
          [
            ["visit", "receive", "completed", ""],
            ["visit", "price", "completed", "1.0"],
            ["call", "price", "completed", "1.0"],
            ["visit", "sum", "completed", ""],
            ["visit", "approve", "completed", ""],
            ["wait", "user: approval", "completed", ""],
            ["visit", "pay", "failed", ""],
            ["call", "pay", "failed", ""]
          ].filter(([, name]) => name !== "sum" || timeline.size > 7)
        )
        for (const row of rows) {
          assert.isAtLeast(row.ended!, row.started ?? row.queued)
          assert.isAtLeast(row.to, row.from)
        }
        // The time in which it waited for an answer is not one in which it was queued.
        const [approve, wait] = [rows[4]!, rows[5]!]
        assert.isAtMost(approve.started!, wait.queued)
        // Every event belongs to a row, and the last one to the call or visit that failed.
        assert.strictEqual(rows[timeline.rowAt(timeline.seq)]!.name, "pay")
        assert.strictEqual(rows[timeline.rowAt(0)]!.name, "receive")
      })
    )
  )

  it.live("draws what the code says of the flow, if that is the flow that the run has", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const notesWith = (code?: Manifest.Manifest) =>
          Effect.gen(function* () {
            const { graph, known } = yield* (yield* modelOf("o", code)).graph
            assert.isTrue(known)
            return new Map(graph.nodes.map(({ id, note }) => [id, note]))
          })
        const notes = yield* notesWith(Manifest.manifest(Order))
        assert.strictEqual(notes.get("pay"), "may fail with PaymentDeclined")
        assert.strictEqual(notes.get("receive"), "branches: the first failure ends them")
        assert.isUndefined(notes.get("ship"))
        const others = yield* notesWith(Manifest.manifest(Counter))
        assert.sameMembers([...others.keys()], [...notes.keys()])
        assert.isUndefined(others.get("pay"))
      })
    )
  )

  it.live("shows any position of a long run from the nearest kept one, as the whole fold would", () =>
    on(
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* runs.execute(Counter, 5000, { id: "long" })
        const model = yield* modelOf("long")
        assert.strictEqual(model.timeline.size, 5001)
        const at = yield* model.at(3333)
        assert.isTrue(encodes(at))
        const [count] = at.state
        const tick = at.nodes.find(({ id }) => id === "tick")!
        assert.strictEqual(count!.text, String(tick.visits))
        assert.isTrue(count!.changed)
        const edge = at.edges.find(({ from, to }) => from === "tick" && to === "tick")!
        assert.strictEqual(edge.count, tick.visits)
        const last = yield* model.at(model.timeline.seq)
        assert.strictEqual(last.nodes.find(({ id }) => id === "end")?.status, "completed")
      })
    )
  )

  it.live("takes in what is new and nothing twice", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "good", false)
        const model = yield* modelOf("o")
        const before = model.timeline.size
        yield* model.update(Effect.void)
        assert.strictEqual(model.timeline.size, before)
        const waits = model.timeline.rows(0, 100).find(({ kind }) => kind === "wait")!
        assert.strictEqual(waits.status, "open")
        assert.isUndefined(waits.ended)
        const runs = yield* Runs.Runs
        yield* runs.cancel("o", "no need")
        yield* model.update(Effect.void)
        assert.strictEqual(model.timeline.rows(waits.index, 1)[0]!.status, "cancelled")
      })
    )
  )

  it.live("lays the graph out so that no node covers another", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "good", false)
        const model = yield* modelOf("o")
        const { graph, known } = yield* model.graph
        assert.isTrue(known)
        assert.lengthOf(graph.nodes, 8)
        for (const a of graph.nodes) {
          assert.isTrue(a.x >= 0 && a.x <= graph.width && a.y >= 0 && a.y <= graph.height)
          for (const b of graph.nodes) {
            const apart =
              Math.abs(a.x - b.x) >= (a.width + b.width) / 2 ||
              Math.abs(a.y - b.y) >= (a.height + b.height) / 2
            assert.isTrue(a.id === b.id || apart, `${a.id} and ${b.id}`)
          }
        }
      })
    )
  )

  it("draws a node that leads to itself, and leaves out edges to nowhere", () => {
    const { edges } = layOut({
      flow: "f",
      start: "a",
      nodes: ["a"],
      edges: [
        { from: "a", to: "a", kind: "next" },
        { from: "a", to: "gone", kind: "next" }
      ]
    })
    assert.lengthOf(edges, 1)
    assert.isAbove(edges[0]!.points.length, 1)
  })

  it("is told by its page what it knows, and nothing else", () => {
    const decode = Schema.decodeUnknownExit(FromPage)
    assert.isTrue(Exit.isSuccess(decode({ _tag: "goto", seq: 3 })))
    for (const message of [
      null,
      { _tag: "goto", seq: -1 },
      { _tag: "goto", seq: "1" },
      { _tag: "rows", from: 0, count: 1e9 },
      { _tag: "open", what: "workbench.action.terminal.new" },
      { _tag: "eval" }
    ])
      assert.isTrue(Exit.isFailure(decode(message)), JSON.stringify(message))
  })
})
