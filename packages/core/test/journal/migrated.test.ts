import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import type { Body } from "../../src/Event.ts"
import * as Cell from "../../src/internal/cell.ts"
import * as Snapshot from "../../src/internal/snapshot.ts"
import * as RunInfo from "../../src/RunInfo.ts"
import * as RunState from "../../src/RunState.ts"
import { append, begin, stateOf } from "./world.ts"
import { viewOf } from "./view.ts"

const created: Body = {
  kind: "created",
  flow: "f",
  version: 1,
  fingerprint: "x",
  start: "a",
  input: null,
  state: { count: 1, text: "t" },
  durability: "strict",
  maxSteps: 10,
  maxRecoveries: 1
}
const migrated: Extract<Body, { kind: "migrated" }> = {
  kind: "migrated",
  from: { version: 1, fingerprint: "x" },
  version: 2,
  fingerprint: "y",
  ops: { count: { unset: true }, text: { set: ["t"] } }
}
const call = { node: "a", visit: 1, attempt: 1, call: "c", tool: "t" }
const fanOut: Body = {
  kind: "visited",
  node: "a",
  visit: 1,
  attempt: 1,
  started: 1,
  next: { branches: [{ node: "b", item: 1 }, { node: "b" }, { node: "c" }], join: "j" }
}
const changed = (branch: string, node: string, visit: number, items: ReadonlyArray<number>): Body => ({
  kind: "visited",
  branch,
  node,
  visit,
  attempt: 1,
  started: 1,
  ops: { list: { append: items } },
  next: { to: node }
})

const updatesOf = ({ updates }: RunState.FanOut) =>
  Object.fromEntries([...updates].map(([branch, made]) => [branch, Cell.toArray(made)]))

const grown = (...bodies: ReadonlyArray<Body>) => {
  const journal = begin("r")
  append(journal, 1, [created, ...bodies])
  return journal
}

describe("a migration", () => {
  it("brings the channels, the input and the open visit to the new version, and its calls stay", () => {
    const journal = grown(
      { kind: "callStarted", ...call, key: "k", input: null },
      { kind: "callCompleted", ...call, output: 5 },
      { ...migrated, input: { id: 1 }, nodes: { a: "first" } }
    )
    const state = stateOf(journal)
    assert.deepStrictEqual(RunState.stateOf(state), { text: ["t"] })
    assert.deepInclude(state, { version: 2, fingerprint: "y", status: "running" })
    assert.deepStrictEqual(state.input.value, { id: 1 })
    const visit = RunState.visitOf(state, "")!
    assert.deepInclude(visit, { node: "first", visit: 1, attempt: 1, openedAs: "a" })
    assert.strictEqual(HashMap.getUnsafe(visit.calls, "c").output, 5)
    const row = journal.entries.reduce(
      (info: RunInfo.RunInfo | undefined, { event }) => RunInfo.apply(info, event),
      undefined
    )
    assert.deepInclude(row, { version: 2, node: "first", status: "running" })

    // It goes on under the new name; and a second migration does not forget the first name.
    append(journal, 2, [
      {
        kind: "attemptFailed",
        node: "first",
        visit: 1,
        attempt: 1,
        started: 2,
        error: { kind: "interrupted" },
        due: 3
      },
      {
        kind: "migrated",
        from: { version: 2, fingerprint: "y" },
        version: 5,
        fingerprint: "z",
        ops: {},
        nodes: { first: "one" }
      }
    ])
    assert.deepInclude(RunState.visitOf(stateOf(journal), "")!, { node: "one", attempt: 2, openedAs: "a" })
    append(journal, 3, [
      { kind: "visited", node: "one", visit: 1, attempt: 2, started: 3, next: { to: "one" } }
    ])
    assert.notProperty(RunState.visitOf(stateOf(journal), "")!, "openedAs")
  })

  it("brings open branches, the node that joins them, and what they have changed, to the new version", () => {
    const journal = grown(
      fanOut,
      changed("1.0", "b", 1, [1]),
      changed("1.0", "b", 2, [2]),
      changed("1.2", "c", 1, [3])
    )
    const before = stateOf(journal)
    const nodes = { b: "branch", j: "join" }
    const updates = { "1": { "1.0": [{ list: { append: ["1"] } }, { list: { append: ["2"] } }] } }
    append(journal, 2, [{ ...migrated, nodes, updates }])
    const state = stateOf(journal)
    const fan = HashMap.getUnsafe(state.fanOuts, "")
    assert.strictEqual(fan.join, "join")
    assert.strictEqual(RunState.nodeOf(state), "join")
    assert.deepStrictEqual(updatesOf(fan), {
      "1.0": updates["1"]["1.0"].map((ops) => ({ node: "b", ops })),
      "1.2": [{ node: "c", ops: { list: { append: [3] } } }]
    })
    assert.deepStrictEqual(
      [...RunState.openVisits(state)]
        .map(([branch, { item, node, openedAs, visit }]) => [branch, node, openedAs, visit, item])
        .sort(([a], [b]) => (a! < b! ? -1 : 1)),
      [
        ["1.0", "branch", "b", 3, undefined],
        ["1.1", "branch", "b", 1, undefined],
        ["1.2", "c", undefined, 2, undefined]
      ]
    )
    // The state before is another.
    assert.strictEqual(HashMap.getUnsafe(before.fanOuts, "").join, "j")
    // Branches end by going to the join under its new name.
    append(journal, 3, [
      {
        kind: "visited",
        branch: "1.2",
        node: "c",
        visit: 2,
        attempt: 1,
        started: 3,
        next: { to: "join", joins: true }
      }
    ])
    const { ended } = HashMap.getUnsafe(stateOf(journal).fanOuts, "")
    assert.deepStrictEqual(ended.items.slice(0, ended.length), [{ index: 2, node: "c" }])
  })

  it("is held by the snapshot after it, the new input included", () =>
    Effect.gen(function* () {
      const input = "other".repeat(200)
      const journal = grown(
        fanOut,
        changed("1.0", "b", 1, [1]),
        { ...migrated, input, nodes: { b: "branch" }, ops: { text: { set: "long".repeat(300) } } },
        { kind: "annotated", note: "n" }
      )
      const plan = Snapshot.plan(stateOf(journal))
      const at = stateOf(journal).seq
      // Both are found where the migration stands.
      assert.strictEqual(plan.pieces.length, 0)
      append(journal, 2, [Snapshot.headBody(plan, stateOf(journal), at)])
      const { event } = journal.entries.at(-1)!
      assert.notInclude(JSON.stringify(event), "otherother")
      const restored = yield* Snapshot.restore(
        event as Extract<typeof event, { kind: "snapshot" }>,
        (_run, seq) => Effect.succeed(journal.entries[seq]!.event),
        (_run, seq, detail) => `${seq}: ${detail}`
      )
      assert.strictEqual(viewOf(restored), viewOf(stateOf(journal)))
      assert.strictEqual(restored.input.value, input)
    }).pipe(Effect.runPromise))
})
