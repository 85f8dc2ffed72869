import * as Effect from "effect/Effect"
import type { Body } from "@waymark/core/Event"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { ListQuery } from "@waymark/core/Store"
import { matches } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { Step } from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import type { Writer } from "./observation.ts"
import { begin, listAll } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, refused, same } from "./trial.ts"

const ids = (rows: ReadonlyArray<RunInfo>) => rows.map((info) => info.run)

const sent: Body = { kind: "sent", to: "other", message: "m", body: null }
const delivered: Body = { kind: "delivered", message: "m" }

const cancelling: Body = { kind: "cancelRequested", reason: "enough" }

const keyed = {
  kind: "waitOpened",
  node: "work",
  attempt: 1,
  wait: "1",
  on: { type: "event", name: "approval", key: "k" }
} as const

/** How a run goes on after its first event, to reach each of the statuses. */
const stories: ReadonlyArray<ReadonlyArray<Step>> = [
  [],
  [Journal.visited(), Journal.bookmarked(0, "start", ["look", "é 😀"])],
  [Journal.waitOpened("approval")],
  [({ visits }) => ({ ...keyed, visit: visits + 1 })],
  [Journal.waitOpened("timer", 5_000)],
  [Journal.waitOpened("timer", 9_000)],
  [Journal.visited(), Journal.paused],
  [cancelling],
  [Journal.visited(), Journal.completed(), Journal.bookmarked(1, "look"), Journal.bookmarked(2, "end")],
  [Journal.failed("Boom", "it broke")],
  [cancelling, Journal.cancelled("enough")],
  [sent],
  [Journal.visited(), sent, Journal.completed()],
  [Journal.visited(), sent, Journal.completed(), delivered]
]

/** Runs that differ in everything a query may ask for, many of them created in one millisecond. */
const populate = Effect.fnUntraced(function* (store: Instance) {
  const rows: Array<RunInfo> = []
  for (let i = 0; i < 40; i++) {
    const run = yield* begin(store, `run-${(i * 7) % 40}`, {
      time: 1_000 + Math.floor(i / 4) * 10,
      steps: [
        Journal.created({
          flow: `flow-${i % 3}`,
          ...(i % 4 === 0 ? { session: `session-${i % 8}` } : undefined),
          ...(i % 5 === 0 ? { correlation: `correlation-${i % 10}` } : undefined),
          ...(i % 6 === 0 ? { parent: { run: `parent-${i % 12}`, node: "n", visit: 1 } } : undefined),
          ...(i % 2 === 0 ? { tags: [`tag-${i % 4}`, "even"] } : undefined),
          ...(i % 3 === 0
            ? { attributes: { customer: `c-${i % 9}`, ...(i % 2 === 0 ? { région: "eu" } : undefined) } }
            : undefined)
        })
      ]
    })
    const [first, ...rest] = stories[i % stories.length]!
    if (first !== undefined) yield* run.append(first, ...rest)
    yield* run.sync
    if (i % 3 === 0) yield* store.release(run.lease)
    rows.push(run.journal.info)
    if (i % 9 === 0) {
      const fork = run.journal.fork(`fork-${i}`, 0, {
        time: 1_035,
        fields: { session: "session-4", tags: ["even"] }
      })
      yield* store.create(fork.batch)
      rows.push(fork.journal.info)
    }
  }
  return rows
})

const oldestFirst = (a: RunInfo, b: RunInfo): number => a.createdAt - b.createdAt || (a.run < b.run ? -1 : 1)

const queries: ReadonlyArray<ListQuery> = [
  {},
  { status: ["pending"] },
  { status: ["running", "waiting"] },
  { status: ["completed", "failed", "cancelled"] },
  { status: ["paused"] },
  { status: ["cancelling"] },
  { status: [] },
  { flow: "flow-1" },
  { flow: "flow" },
  { session: "session-4" },
  { correlation: "correlation-5" },
  { parent: "parent-6" },
  { parent: "run-0" },
  { forkOf: "run-0" },
  { forkOf: "fork-0" },
  { tag: "tag-2" },
  { tag: "even" },
  { tag: "tag" },
  { attributes: { customer: "c-3" } },
  { attributes: { customer: "c-3", région: "eu" } },
  { attributes: { customer: "c-3", région: "us" } },
  { attributes: { nothing: "c-3" } },
  { attributes: {} },
  { sending: true },
  { sending: true, status: ["completed"] },
  { sending: false },
  { bookmark: "start" },
  { bookmark: "look" },
  { bookmark: "é 😀" },
  { bookmark: "loo" },
  { bookmark: "look", status: ["completed"], attributes: { customer: "c-3" } },
  { wait: {} },
  { wait: { type: "event" } },
  { wait: { type: "user" } },
  { wait: { name: "approval" } },
  { wait: { type: "event", name: "other" } },
  { wait: { key: "k" } },
  { createdAfter: 1_030 },
  { createdBefore: 1_030 },
  { createdAfter: 1_020, createdBefore: 1_050 },
  { createdAfter: 1_050, createdBefore: 1_020 },
  { dueBefore: 5_000 },
  { dueBefore: 5_001 },
  { dueBefore: 100_000 },
  { flow: "flow-0", tag: "even", status: ["pending", "running", "waiting", "completed"] },
  { flow: "flow-2", session: "session-4", createdAfter: 1_010 }
]

export const listChecks: ReadonlyArray<Check> = [
  check(
    "list",
    "each condition, and all of them together, select what they say",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* same("an empty store", yield* store.list({}), { runs: [] })
      const rows = (yield* populate(store)).sort(oldestFirst)
      for (const query of queries) {
        const expected = rows.filter((info) => matches(query, info))
        yield* same(
          `list ${JSON.stringify(query)}, oldest first`,
          yield* listAll(store, { ...query, order: "oldest", limit: 1000 }),
          expected
        )
      }
    })
  ),
  check(
    "list",
    "newest first unless asked otherwise, by time of creation and then by id",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const rows = (yield* populate(store)).sort(oldestFirst)
      yield* same("oldest first", ids(yield* listAll(store, { order: "oldest", limit: 1000 })), ids(rows))
      yield* same(
        "newest first",
        ids(yield* listAll(store, { order: "newest", limit: 1000 })),
        ids(rows.toReversed())
      )
      yield* same("with no order", ids(yield* listAll(store, { limit: 1000 })), ids(rows.toReversed()))
    })
  ),
  check(
    "list",
    "pages of any size, one after another, are the whole list",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const rows = (yield* populate(store)).sort(oldestFirst)
      for (const query of [
        {},
        { tag: "even" },
        { status: ["waiting" as const, "running" as const] },
        { flow: "none" }
      ]) {
        const expected = ids(rows.filter((info) => matches(query, info)))
        for (const limit of [1, 2, 3, 7, expected.length, expected.length + 1]) {
          if (limit === 0) continue
          const what = `list ${JSON.stringify(query)} in pages of ${limit}`
          yield* same(
            `${what}, oldest first`,
            ids(yield* listAll(store, { ...query, limit, order: "oldest" })),
            expected
          )
          yield* same(
            `${what}, newest first`,
            ids(yield* listAll(store, { ...query, limit })),
            expected.toReversed()
          )
        }
        yield* same("in pages of no size given", ids(yield* listAll(store, query)), expected.toReversed())
      }
    })
  ),
  check(
    "list",
    "whatever is written between pages, no run that matches throughout is skipped or repeated",
    [],
    (trial) =>
      Effect.forEach(
        ["newest", "oldest"] as const,
        (order) =>
          trial.afresh(
            Effect.fnUntraced(function* (fresh) {
              const store = yield* fresh.open
              const runs = new Map<string, Writer>()
              for (let i = 0; i < 30; i++) {
                const id = `run-${(i * 11) % 30}`
                runs.set(id, yield* begin(store, id, { time: 1_000 + Math.floor(i / 5) }))
              }
              const throughout = new Set(runs.keys())
              const listed: Array<string> = []
              let cursor: string | undefined
              let round = 0
              do {
                const page = yield* store.list({
                  status: ["pending", "running"],
                  order,
                  limit: 4,
                  ...(cursor === undefined ? {} : { cursor })
                })
                listed.push(...ids(page.runs))
                cursor = page.cursor
                // New runs before, at and after the page; others change, end, or go, among them the last one listed.
                const last = page.runs[page.runs.length - 1]
                if (last !== undefined) {
                  for (const [index, time] of [0, last.createdAt, 9_000].entries()) {
                    yield* begin(store, `new-${round}-${index}`, { time })
                  }
                  for (const id of [last.run, `run-${(round * 13) % 30}`]) {
                    const run = runs.get(id)
                    if (run === undefined) continue
                    yield* run.append(Journal.visited(), Journal.completed())
                    yield* run.sync
                    if (!listed.includes(id)) throughout.delete(id)
                    runs.delete(id)
                    yield* store.delete(id)
                  }
                  for (const run of runs.values()) yield* run.append(Journal.visited())
                  for (const run of runs.values()) yield* run.sync
                }
                round += 1
              } while (cursor !== undefined && round < 1_000)
              const old = listed.filter((id) => id.startsWith("run-"))
              yield* same(`${order} first: a run was listed twice`, old.length, new Set(old).size)
              yield* holds(
                `${order} first: skipped were ${[...throughout].filter((id) => !listed.includes(id)).join(", ")}`,
                [...throughout].every((id) => listed.includes(id))
              )
            })
          ),
        { discard: true }
      )
  ),
  check(
    "list",
    "unowned are the runs that nobody alive owns",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const held = yield* begin(store, "held")
      const released = yield* begin(store, "released")
      yield* store.release(released.lease)
      const free = yield* Journal.make("free")
      yield* store.create(free.batch(Journal.created()))
      const unowned = Effect.map(listAll(store, { unowned: true, order: "oldest" }), ids)
      yield* same("unowned", yield* unowned, ["free", "released"])
      yield* same(
        "with another condition",
        ids((yield* store.list({ unowned: true, flow: "none" })).runs),
        []
      )
      yield* store.release(held.lease)
      yield* store.acquire("free", "worker")
      yield* same("unowned after a release and an acquisition", yield* unowned, ["held", "released"])
      yield* same("one to a page", ids(yield* listAll(store, { unowned: true, order: "oldest", limit: 1 })), [
        "held",
        "released"
      ])
    })
  ),
  check(
    "list",
    "a cursor that is none is refused as invalid",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      const error = yield* refused("listing from it", "StoreError", store.list({ cursor: "no cursor!" }))
      yield* same("the reason", error.reason._tag, "Invalid")
    })
  ),
  check(
    "list",
    "a page of none has none",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      yield* same("its rows", (yield* store.list({ limit: 0 })).runs, [])
    })
  )
]
