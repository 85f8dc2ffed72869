import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Checkpoint, HistoryOptions } from "@waymark/core/Checkpoint"
import type { Body, Kind } from "@waymark/core/Event"
import * as Runs from "@waymark/core/Runs"
import { numbers, build } from "../journal/world.ts"
import { choiceOf } from "../journal/choice.ts"
import { clientOf, created, written } from "./reading.ts"

const visited = (node: string, visit: number, next: object, branch = ""): Body =>
  ({
    kind: "visited",
    ...(branch === "" ? undefined : { branch }),
    node,
    visit,
    attempt: 1,
    started: 0,
    next
  }) as Body

const attemptFailed = (node: string, visit: number): Body => ({
  kind: "attemptFailed",
  node,
  visit,
  attempt: 1,
  started: 0,
  error: { kind: "interrupted" },
  due: 0
})

/** Of event `n` the time is `n` milliseconds. */
const journal = written("r", [
  created(),
  visited("work", 1, { to: "check" }),
  { kind: "annotated", note: "looks fine", actor: "ada", command: { id: "n1", source: "s", position: 1 } },
  attemptFailed("check", 2),
  { ...visited("check", 2, { to: "work" }), attempt: 2 } as Body,
  visited("work", 3, { branches: [{ node: "item" }, { node: "item" }], join: "merge" }),
  visited("item", 1, { to: "merge", joins: true }, "3.1"),
  visited("item", 1, { to: "work" }, "3.0"),
  visited("work", 2, { to: "merge", joins: true }, "3.0"),
  { kind: "joined", fanOut: "3" },
  { kind: "bookmarked", at: 5, name: "before the branches" },
  visited("merge", 4, { end: true }),
  { kind: "completed", output: null }
])

const listed = (options: HistoryOptions, pages?: number) =>
  Effect.gen(function* () {
    const { runs } = yield* clientOf([journal], pages)
    return (yield* runs.history("r", options)).map(({ seq }) => seq)
  })

describe("the history of a run", () => {
  it.effect("can be asked for one node", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* listed({ node: "work" }), [8, 5, 1])
      assert.deepStrictEqual(yield* listed({ node: "check", order: "oldest" }), [3, 4])
      assert.deepStrictEqual(yield* listed({ node: "nowhere" }), [])
    })
  )

  it.effect("for some kinds of events, also ones that it leaves out unless asked", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* listed({ kind: "attemptFailed" }), [3])
      assert.deepStrictEqual(yield* listed({ kind: ["created", "completed"] }), [12, 0])
      assert.deepStrictEqual(yield* listed({ kind: [] }), [])
      assert.notIncludeMembers(yield* listed({}), [2, 10])
      const { runs } = yield* clientOf([journal])
      const notes = yield* runs.history("r", { kind: ["annotated", "bookmarked"], order: "oldest" })
      assert.deepStrictEqual(notes, [
        { run: "r", seq: 2, time: 2, kind: "annotated", actor: "ada", command: "n1" },
        { run: "r", seq: 10, time: 10, kind: "bookmarked" }
      ])
    })
  )

  it.effect("for one branch, and for what belongs to none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* listed({ branch: "3.0" }), [8, 7])
      assert.deepStrictEqual(yield* listed({ branch: "3.1" }), [6])
      assert.deepStrictEqual(yield* listed({ branch: "3.2" }), [])
      assert.deepStrictEqual(yield* listed({ branch: "" }), [12, 11, 9, 5, 4, 3, 1, 0])
    })
  )

  it.effect("for a time range: from one time on, and before another", () =>
    Effect.gen(function* () {
      for (const order of ["newest", "oldest"] as const) {
        const seqs = (options: HistoryOptions) =>
          Effect.map(listed({ ...options, order }), (found) => found.sort((a, b) => a - b))
        assert.deepStrictEqual(yield* seqs({ since: 9 }), [9, 11, 12])
        assert.deepStrictEqual(yield* seqs({ since: 9.5 }), [11, 12])
        assert.deepStrictEqual(yield* seqs({ until: 3 }), [0, 1])
        assert.deepStrictEqual(yield* seqs({ since: 3, until: 5 }), [3, 4])
        assert.deepStrictEqual(yield* seqs({ since: 5, until: 5 }), [])
        assert.deepStrictEqual(yield* seqs({ since: 100 }), [])
        assert.deepStrictEqual(yield* seqs({ until: 0 }), [])
        assert.deepStrictEqual(yield* seqs({ since: -5, until: 100 }), yield* seqs({}))
      }
    })
  )

  it.effect("counts only what matches against the limit, across pages of the store", () =>
    Effect.gen(function* () {
      for (const pages of [1, 2, 3, 1000]) {
        assert.deepStrictEqual(yield* listed({ node: "work", limit: 2 }, pages), [8, 5])
        assert.deepStrictEqual(yield* listed({ kind: "created", limit: 1 }, pages), [0])
        assert.deepStrictEqual(yield* listed({ branch: "3.0", limit: 1, order: "oldest" }, pages), [7])
      }
    })
  )

  it.effect("does not read what a time range excludes", () =>
    Effect.gen(function* () {
      const visits = Array.from({ length: 4000 }, (_, index) => visited("work", index + 1, { to: "work" }))
      const { reads, runs } = yield* clientOf([written("r", [created(), ...visits])], 1000)
      const found = yield* runs.history("r", { since: 10, until: 13 })
      assert.deepStrictEqual(
        found.map(({ time }) => time),
        [12, 11, 10]
      )
      assert.isBelow(reads.forwards + reads.backwards, 40)
    })
  )

  it.effect("does not read many times what it is asked for", () =>
    Effect.gen(function* () {
      const visits = Array.from({ length: 4000 }, (_, index) => visited("work", index + 1, { to: "work" }))
      const { reads, runs } = yield* clientOf([written("r", [created(), ...visits])], 1000)
      for (const limit of [1, 10, 200]) {
        reads.backwards = 0
        assert.strictEqual((yield* runs.history("r", { limit })).length, limit)
        assert.strictEqual(reads.backwards, limit)
      }
    })
  )

  it.effect("refuses a limit that is no number of checkpoints", () =>
    Effect.gen(function* () {
      const { runs } = yield* clientOf([journal])
      for (const limit of [1.5, -1, Number.NaN, "10" as unknown as number]) {
        for (const asked of [
          runs.history("r", { limit }),
          runs.list({ limit }),
          Runs.log("r", { limit }).pipe(Effect.provideService(Runs.Runs, runs)),
          Runs.outputs("r", undefined, { limit }).pipe(Effect.provideService(Runs.Runs, runs))
        ]) {
          const error = yield* Effect.flip<unknown, unknown, never>(asked)
          assert.match(String(error), /`limit` is .*; it must be a whole number from 0/)
        }
      }
      assert.strictEqual((yield* runs.history("r", { limit: Number.POSITIVE_INFINITY })).length, 11)
    })
  )

  it.effect.prop(
    "is, page by page and for any filters, what filtering all of it gives",
    { numbers: numbers(150) },
    Effect.fnUntraced(function* ({ numbers }) {
      const world = build(numbers)
      const { runs } = yield* clientOf(world.journals, 11)
      const { int, pick } = choiceOf(numbers[0] ?? 0)
      for (const { entries, run } of world.journals) {
        const everything = yield* runs.history(run, { limit: 1e9, order: "oldest" })
        const kinds = [...new Set(entries.map(({ event }) => event.kind))]
        const named = (key: "node" | "branch") => [
          ...new Set(everything.flatMap((checkpoint) => checkpoint[key] ?? []))
        ]
        for (let i = 0; i < 8; i++) {
          const times = [pick(entries).event.time, pick(entries).event.time].sort((a, b) => a - b)
          const kind: Kind | ReadonlyArray<Kind> | undefined = pick([
            undefined,
            pick(kinds),
            [pick(kinds), pick(kinds)]
          ])
          const filters: HistoryOptions = {
            kind,
            node: pick([undefined, ...named("node")]),
            branch: pick([undefined, "", ...named("branch")]),
            since: pick([undefined, times[0]]),
            until: pick([undefined, times[1]])
          }
          const all =
            kind === undefined ? everything : yield* runs.history(run, { kind, limit: 1e9, order: "oldest" })
          if (kind !== undefined) {
            const wanted = typeof kind === "string" ? [kind] : kind
            assert.deepStrictEqual(
              all.map(({ seq }) => seq),
              entries.filter(({ event }) => wanted.includes(event.kind)).map(({ event }) => event.seq)
            )
          }
          const expected = all.filter(
            ({ branch = "", node, time }) =>
              (filters.node === undefined || node === filters.node) &&
              (filters.branch === undefined || branch === filters.branch) &&
              (filters.since === undefined || time >= filters.since) &&
              (filters.until === undefined || time < filters.until)
          )
          for (const order of ["oldest", "newest"] as const) {
            const limit = int(1, 4)
            const paged: Array<Checkpoint> = []
            while (true) {
              const last = paged[paged.length - 1]?.seq
              const from = last === undefined ? {} : order === "newest" ? { before: last } : { after: last }
              const page = yield* runs.history(run, { ...filters, order, limit, ...from })
              assert.isAtMost(page.length, limit)
              if (page.length === 0) break
              paged.push(...page)
            }
            assert.deepStrictEqual(paged, order === "oldest" ? expected : expected.toReversed())
          }
        }
      }
    }),
    { arbitrary: { runs: 20, seed: 1 }, timeout: 300_000 }
  )
})
