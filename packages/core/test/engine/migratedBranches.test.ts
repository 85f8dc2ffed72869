import { assert, describe, it } from "@effect/vitest"
import * as Combiner from "effect/Combiner"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Body, Ops } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import type { RunState } from "@waymark/core/RunState"
import { assess } from "../../src/internal/engine/versions.ts"
import type { Journals } from "../../src/internal/engine/reader.ts"
import { append, begin, stateOf } from "../journal/world.ts"

const Note = Schema.Struct({ text: Schema.String })

const S1 = {
  notes: State.list(Schema.String),
  scores: State.record(Schema.Int),
  total: State.counter(),
  best: State.reduce(Schema.Finite, Combiner.make<number>(Math.max), 0),
  phase: State.value(Schema.String, "new"),
  label: State.optional(Schema.String)
}
const S2 = { ...S1, notes: State.list(Note), sum: State.counter() }

const nodes = {
  split: Node.make({ to: ["merge"], fanOut: { to: ["work"], join: "merge" } }),
  work: Node.make({ to: ["work", "merge"] }),
  merge: Node.make({ to: ["end"] })
}

const flowOf = (migrations: ReadonlyArray<Migration.Any>, names: Flow.Nodes = nodes): Flow.Any =>
  (Flow.make as any)("wide", {
    version: 2,
    input: Schema.Void,
    state: S2,
    start: "split",
    nodes: names,
    migrations
  })

const state1 = (old: State.State<typeof S1>): State.State<typeof S2> => ({
  ...old,
  notes: old.notes.map((text) => ({ text })),
  sum: old.total
})

const step = (branch: string, visit: number, ops: Ops): Body => ({
  kind: "visited",
  branch,
  node: "work",
  visit,
  attempt: 1,
  started: 1,
  ops,
  next: { to: "work" }
})

/** A run of version 1 in a fan-out of `branches`, with what these did. */
const run = (branches: number, ...bodies: ReadonlyArray<Body>): RunState => {
  const journal = begin("r")
  append(journal, 1, [
    {
      kind: "created",
      flow: "wide",
      version: 1,
      fingerprint: "one",
      start: "split",
      input: null,
      state: { total: 0, best: 0, phase: "new" },
      durability: "pipelined",
      maxSteps: 9,
      maxRecoveries: 9
    },
    {
      kind: "visited",
      node: "split",
      visit: 1,
      attempt: 1,
      started: 1,
      next: { branches: Array.from({ length: branches }, () => ({ node: "work" })), join: "merge" }
    },
    ...bodies
  ])
  return stateOf(journal)
}

const migrated = (flow: Flow.Any, state: RunState) =>
  Effect.map(assess({} as Journals, flow, state), (assessment) => Result.getOrThrow(assessment!))

const refused = (flow: Flow.Any, state: RunState) =>
  Effect.map(assess({} as Journals, flow, state), (assessment) =>
    Result.getOrThrow(Result.flip(assessment!)).map(({ kind, message }) => `${kind}: ${message}`)
  )

describe("a run whose branches are open", () => {
  it.effect("has what each of them changed brought to the new version, kind by kind", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const flow = flowOf(
        [
          Migration.make({
            from: { version: 1, state: S1 },
            to: { version: 2, state: S2 },
            state: state1,
            update: (old) => {
              seen.push(old)
              const { notes, total, ...rest } = old
              return {
                ...rest,
                ...(notes === undefined ? undefined : { notes: notes.map((text) => ({ text })) }),
                ...(total === undefined ? undefined : { total: total * 2, sum: total })
              }
            },
            nodes: { work: "toil", merge: "gather" }
          })
        ],
        {
          split: Node.make({ to: ["gather"], fanOut: { to: ["toil"], join: "gather" } }),
          toil: Node.make({ to: ["toil", "gather"] }),
          gather: Node.make({ to: ["end"] })
        }
      )
      const state = run(
        3,
        step("1.0", 1, { notes: { append: ["a", "b"] }, scores: { merge: { x: 1, ["__proto__"]: 2 } } }),
        step("1.0", 2, { total: { add: 2 }, best: { combine: 7 } }),
        step("1.2", 1, { phase: { set: "late" }, label: { unset: true } })
      )
      const body = yield* migrated(flow, state)
      assert.sameDeepMembers(seen, [
        { notes: ["a", "b"], scores: { x: 1, ["__proto__"]: 2 } },
        { total: 2, best: 7 },
        { phase: "late", label: undefined }
      ])
      assert.deepStrictEqual(body, {
        kind: "migrated",
        from: { version: 1, fingerprint: "one" },
        version: 2,
        fingerprint: flow.fingerprint,
        ops: { notes: { set: [] }, sum: { set: 0 } },
        nodes: { work: "toil", merge: "gather" },
        // That of branch 1.2 is the same as before.
        updates: {
          "1": {
            "1.0": [
              {
                scores: { merge: { x: 1, ["__proto__"]: 2 } },
                notes: { append: [{ text: "a" }, { text: "b" }] }
              },
              { best: { combine: 7 }, total: { add: 4 }, sum: { add: 2 } }
            ]
          }
        }
      })
    })
  )

  const plain = { from: { version: 1, state: S1 }, to: { version: 2, state: S2 }, state: state1 } as const

  it.effect("needs no update if they changed nothing", () =>
    Effect.gen(function* () {
      const body = yield* migrated(flowOf([Migration.make(plain)]), run(2))
      assert.notProperty(body, "updates")
      assert.notProperty(body, "nodes")
    })
  )

  it.effect(
    "is not migrated if they changed something and the migration does not say what becomes of it",
    () =>
      Effect.gen(function* () {
        const flow = flowOf([Migration.make(plain)])
        assert.deepStrictEqual(yield* refused(flow, run(2, step("1.1", 1, { total: { add: 1 } }))), [
          "migration: the migration from version 1 to 2, branch 1.1: branches of fan-out 1 have changed the state, and it gives no `update`"
        ])
      })
  )

  it.effect("is not migrated if the node at which they join is gone", () =>
    Effect.gen(function* () {
      const flow = flowOf([Migration.make(plain)], {
        split: Node.make({ to: ["work"] }),
        work: Node.make({ to: ["end"] })
      })
      assert.deepStrictEqual(yield* refused(flow, run(2)), [
        `stranded: the run is in node "merge", of which nothing is left in version 2`
      ])
    })
  )

  it.effect(
    "is not migrated if what they changed was not what the migration says, or would not be what it says",
    () =>
      Effect.gen(function* () {
        const flow = (update: (old: any) => any) => flowOf([Migration.make({ ...plain, update })])
        const of = (ops: Ops) => run(1, step("1.0", 1, ops))
        for (const [ops, update, says] of [
          [
            { other: { set: 1 } },
            (old: any) => old,
            `the update of channel "other": there is no such channel`
          ],
          [{ notes: { set: 1 } }, (old: any) => old, `it is not one of a channel of kind list`],
          [{ notes: { append: [1] } }, (old: any) => old, `the update of channel "notes": Expected string`],
          [{ notes: { append: ["a"] } }, (old: any) => old, `the new update of channel "notes": Expected`],
          [
            { total: { add: 1 } },
            () => ({ typo: 1 }),
            `the new update of channel "typo": there is no such channel`
          ],
          [{ total: { add: 1 } }, () => ({ notes: { a: 1 } }), `it is not one of a channel of kind list`],
          [{ total: { add: 1 } }, () => ({ scores: [1] }), `it is not one of a channel of kind record`],
          [
            { total: { add: 1 } },
            () => {
              throw new Error("oh")
            },
            "it broke: Error: oh"
          ]
        ] as ReadonlyArray<readonly [Ops, (old: any) => any, string]>) {
          const [message, ...more] = yield* refused(flow(update), of(ops))
          assert.include(message, says)
          assert.include(message, "the migration from version 1 to 2, branch 1.0")
          assert.deepStrictEqual(more, [])
        }
      })
  )

  it.effect("by the thousand, lets others have their turn", () =>
    Effect.gen(function* () {
      const branches = 2_000
      const state = run(
        branches,
        ...Array.from({ length: branches }, (_, i) => step(`1.${i}`, 1, { notes: { append: [`${i}`] } }))
      )
      let turns = 0
      const other = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => (turns += 1))
          )
        )
      )
      const flow = flowOf([
        Migration.make({
          ...plain,
          update: ({ notes, ...rest }) => ({ ...rest, notes: notes!.map((text) => ({ text })) })
        })
      ])
      const body = yield* migrated(flow, state)
      other.interruptUnsafe()
      assert.strictEqual(Object.keys(body.updates!["1"]!).length, branches)
      assert.deepStrictEqual(body.updates!["1"]!["1.1999"], [{ notes: { append: [{ text: "1999" }] } }])
      assert.isAtLeast(turns, 10)
    })
  )
})
