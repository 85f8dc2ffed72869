/** Lists and searches: what SQLite does for them, and that they find what they should. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { matches } from "@waymark/core/Store"
import type { ListQuery } from "@waymark/core/Store"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Journal from "@waymark/testing/JournalBuilder"
import * as Apply from "../src/internal/apply.ts"
import * as Database from "../src/internal/database.ts"
import { load } from "../src/internal/engine.ts"
import * as List from "../src/internal/list.ts"
import { step } from "../src/internal/operation.ts"
import { tables, views } from "../src/internal/schema.ts"

const count = 3000
const start = 1e12
const owning = { owner: "me", free: [] }

/** Runs of many kinds, of which three each were created at one time. */
const fill = Effect.gen(function* () {
  const engine = yield* Effect.promise(() => load(undefined))
  const database = Database.open(engine, undefined, 1e9)
  database.script(tables)
  database.script(views)
  const applier = Apply.make(database)
  const infos: Array<RunInfo> = []
  for (let from = 0; from < count; from += 100) {
    const steps = []
    for (let i = from; i < from + 100; i++) {
      const journal = yield* Journal.make(`run-${i % 7}-${i}`, { time: start + Math.floor(i / 3) * 10 })
      journal.batch(
        Journal.created({
          flow: `flow-${i % 10}`,
          input: { text: `word${i} common` },
          tags: i % 100 === 0 ? ["rare", "often"] : ["often"],
          attributes: i % 100 === 1 ? { rare: "1" } : { often: "1" },
          ...(i % 50 === 3
            ? { session: "s", correlation: "c", parent: { run: "p", node: "n", visit: 1 } }
            : {})
        }),
        i % 3 === 0
          ? Journal.completed()
          : i % 3 === 1
            ? Journal.failed("Boom", `message ${i}`)
            : Journal.waitOpened("approval", i % 2 === 0 ? undefined : start + i)
      )
      infos.push(journal.info)
      steps.push(
        step(
          { $: "created", run: journal.run, head: journal.head.hash, entries: journal.entries.length },
          journal.entries
        )
      )
    }
    applier.apply(steps)
  }
  return { database, infos }
})
const filled = Effect.runPromise(fill)

/** What SQLite does, and for what it sorts. */
const explained = (database: Database.Database) => {
  const plans: Array<string> = []
  const explaining: Database.Database = {
    ...database,
    rows: function* (sql, values) {
      for (const row of database.rows(`EXPLAIN QUERY PLAN ${sql}`, values)) plans.push(String(row[3]))
      yield* database.rows(sql, values)
    }
  }
  return { explaining, plans }
}

const allOf = (database: Database.Database, query: ListQuery): ReadonlyArray<string> => {
  const found: Array<string> = []
  let cursor: string | undefined
  do {
    const page = List.list(
      database,
      { ...query, ...(cursor === undefined ? undefined : { cursor }) },
      owning
    )!
    found.push(...page.runs.map(({ run }) => run))
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const expectedOf = (infos: ReadonlyArray<RunInfo>, query: ListQuery): ReadonlyArray<string> => {
  const found = infos.filter(
    (info) => matches(query, info) && (query.order !== "due" || info.due !== undefined)
  )
  const at = ({ createdAt, due }: RunInfo): number => (query.order === "due" ? due! : createdAt)
  found.sort((a, b) => at(a) - at(b) || compare(a.run, b.run))
  if (query.order === undefined || query.order === "newest") found.reverse()
  return found.map(({ run }) => run)
}

const time = { createdAfter: start + 200, createdBefore: start + 2000 }

/** `sorts` is for those whose matches are sorted: there are few of them at any time. */
const queries: ReadonlyArray<readonly [query: ListQuery, sorts?: true]> = [
  [{}],
  [{ order: "oldest" }],
  [{ status: ["completed"] }],
  [{ status: ["completed", "failed", "completed"] }],
  [{ status: ["waiting", "running"], order: "oldest" }],
  [{ status: [] }],
  [{ flow: "flow-3" }],
  [{ flow: "flow-3", status: ["failed"] }],
  [{ flow: "flow-3", tag: "often" }],
  [{ session: "s" }],
  [{ correlation: "c" }],
  [{ parent: "p" }],
  [{ forkOf: "p" }],
  [{ tag: "rare" }],
  [{ tag: "often" }],
  [{ tag: "often", ...time }],
  [{ attributes: { rare: "1" } }],
  [{ attributes: { often: "1" }, tag: "rare", status: ["completed", "waiting"] }],
  [{ bookmark: "b" }],
  [time],
  [{ ...time, status: ["completed"], order: "oldest" }],
  [{ order: "due" }],
  [{ order: "due", dueBefore: start + 500, tag: "often" }],
  [{ dueBefore: start + 500 }, true],
  [{ sending: true }],
  [{ commanded: true, status: ["completed", "waiting"] }],
  [{ unowned: true, status: ["waiting"] }],
  [{ wait: { name: "approval" } }],
  [{ wait: { name: "nothing" }, status: ["waiting"] }]
]

describe("a list", () => {
  for (const [query, sorts] of queries) {
    it(`finds ${JSON.stringify(query)} by an index, and in its order`, async () => {
      const { database, infos } = await filled
      const { explaining, plans } = explained(database)
      const expected = query.sending === true || query.commanded === true ? [] : expectedOf(infos, query)
      assert.deepStrictEqual(allOf(explaining, { ...query, limit: 700 }), expected)
      assert.deepStrictEqual(allOf(database, { ...query, limit: 7 }).length, expected.length)
      for (const plan of plans) {
        assert.notMatch(plan, /^SCAN (run|mark|run_text)$/, "all rows are looked at")
        // A merge of lists sorts no more than a page of each.
        if (sorts !== true && (query.status?.length ?? 1) === 1) assert.notMatch(plan, /TEMP B-TREE/)
      }
    })
  }
})

describe("a search", () => {
  it("finds words in the order in which runs came, the last first, without sorting", async () => {
    const { database, infos } = await filled
    const { explaining, plans } = explained(database)
    const found = (text: string) => List.search(explaining, text, 50).map(({ run }) => run)
    assert.deepStrictEqual(
      found("common"),
      infos
        .slice(-50)
        .reverse()
        .map(({ run }) => run)
    )
    assert.deepStrictEqual(found("word2999"), [infos[2999]!.run])
    assert.deepStrictEqual(found("boom message 2998"), [infos[2998]!.run])
    assert.deepStrictEqual(found("boom word2999"), [])
    assert.notInclude(plans.join(), "TEMP B-TREE")
  })
})
