import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as JsonPatch from "effect/JsonPatch"
import * as Runs from "@waymark/core/Runs"
import * as RunState from "@waymark/core/RunState"
import { build, numbers } from "../journal/world.ts"
import { clientOf, created, forked, written } from "./reading.ts"

const using = (runs: Runs.Runs["Service"]) => Effect.provideService(Runs.Runs, runs)

const journal = written("r", [
  created({ title: "draft", steps: [1] }),
  {
    kind: "visited",
    node: "work",
    visit: 1,
    attempt: 1,
    started: 0,
    ops: { steps: { append: [2] }, "a/b": { merge: { "x~": 1 } }, title: { set: "final" } },
    next: { to: "work" }
  }
])

describe("the difference between two states", () => {
  it.effect("is a JSON Patch, of a run with itself earlier and of a run with its fork", () =>
    Effect.gen(function* () {
      const fork = forked(journal, 0, "f", { node: "work", edits: { title: { unset: true } } })
      const { runs } = yield* clientOf([journal, fork])
      const diff = (a: Runs.Position, b: Runs.Position) => Runs.diff(a, b).pipe(using(runs))
      assert.deepStrictEqual(yield* diff({ run: "r", seq: 0 }, { run: "r" }), [
        { op: "add", path: "/a~1b", value: { "x~": 1 } },
        { op: "add", path: "/steps/1", value: 2 },
        { op: "replace", path: "/title", value: "final" }
      ])
      assert.deepStrictEqual(yield* diff({ run: "r", seq: 0 }, { run: "f" }), [
        { op: "remove", path: "/title" }
      ])
      assert.deepStrictEqual(yield* diff({ run: "r" }, { run: "r", seq: 1 }), [])
    })
  )

  it.effect("fails where there is no such run or position", () =>
    Effect.gen(function* () {
      const { runs } = yield* clientOf([journal])
      const failure = (a: Runs.Position, b: Runs.Position) =>
        Effect.map(Effect.flip(Runs.diff(a, b).pipe(using(runs))), ({ _tag }) => _tag)
      assert.strictEqual(yield* failure({ run: "r" }, { run: "r", seq: 2 }), "InvalidCheckpoint")
      assert.strictEqual(yield* failure({ run: "r", seq: -1 }, { run: "r" }), "InvalidCheckpoint")
      assert.strictEqual(yield* failure({ run: "r" }, { run: "other" }), "RunNotFound")
    })
  )

  it.effect.prop(
    "makes the one of the other when it is applied",
    { numbers: numbers(120) },
    Effect.fnUntraced(function* ({ numbers }) {
      const { journals } = build(numbers)
      const { runs } = yield* clientOf(journals)
      for (const a of journals) {
        for (const b of journals) {
          for (const [at, to] of [
            [0, b.entries.length - 1],
            [a.entries.length - 1, b.entries.length >> 1]
          ] as const) {
            const patch = yield* Runs.diff({ run: a.run, seq: at }, { run: b.run, seq: to }).pipe(using(runs))
            const patched = JsonPatch.apply(patch, RunState.stateOf(a.states[at]!))
            assert.deepStrictEqual(patched, RunState.stateOf(b.states[to]!))
          }
        }
      }
    }),
    { arbitrary: { runs: 25, seed: 1 }, timeout: 300_000 }
  )
})
