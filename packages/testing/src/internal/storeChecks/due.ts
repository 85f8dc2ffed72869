import * as Effect from "effect/Effect"
import type { Body } from "@waymark/core/Event"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Journal from "../../JournalBuilder.ts"
import type { Step } from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import type { Writer } from "./observation.ts"
import { begin, listAll, restart } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, refused, same } from "./trial.ts"

const ids = (rows: ReadonlyArray<RunInfo>) => rows.map((info) => info.run)

const dueOf = (i: number): number => 5_000 + ((i * 7) % 10) * 100

/** Runs of which every third waits for nothing, or for no time, and several for the same. */
const populate = Effect.fnUntraced(function* (store: Instance) {
  const runs: Array<Writer> = []
  for (let i = 0; i < 45; i++) {
    const run = yield* begin(store, `run-${(i * 11) % 45}`, {
      time: 1_000 + i,
      steps: [Journal.created({ flow: `flow-${i % 2}` })]
    })
    if (i % 3 !== 0) yield* run.append(Journal.waitOpened("timer", dueOf(i)))
    else if (i % 2 === 0) yield* run.append(Journal.waitOpened("approval"))
    yield* run.sync
    runs.push(run)
  }
  return runs
})

const rowsOf = (runs: ReadonlyArray<Writer>): ReadonlyArray<RunInfo> =>
  runs.map(({ journal }) => journal.info)

const earliestFirst = (rows: ReadonlyArray<RunInfo>): ReadonlyArray<RunInfo> =>
  rows.filter(({ due }) => due !== undefined).sort((a, b) => a.due! - b.due! || (a.run < b.run ? -1 : 1))

const visit = { node: "check", visit: 1, attempt: 1 } as const

const opened = (branch: string, wait: string, due?: number): Body => ({
  kind: "waitOpened",
  branch,
  ...visit,
  wait,
  on: due === undefined ? { type: "event", name: wait, key: branch } : { type: "until" },
  ...(due === undefined ? undefined : { due })
})

const join = (branch: string): Body => ({
  kind: "visited",
  branch,
  ...visit,
  started: 1,
  next: { to: "merge", joins: true }
})

const event = (branch: string, wait: string) => ({ wait, branch, type: "event", name: wait, key: branch })

/** What happens in a run with branches, and what its row says of it then. */
const chapters: ReadonlyArray<
  readonly [
    steps: readonly [Step, ...ReadonlyArray<Step>],
    row: Pick<RunInfo, "status" | "open" | "waiting" | "waits" | "node" | "due">
  ]
> = [
  [[Journal.created()], { status: "pending", open: 1, waiting: 0, waits: [], node: "work" }],
  [
    [
      {
        kind: "visited",
        node: "work",
        visit: 1,
        attempt: 1,
        started: 1,
        next: { branches: ["1", "2", "3", "4"].map((item) => ({ node: "check", item })), join: "merge" }
      },
      opened("1.0", "go")
    ],
    { status: "running", open: 4, waiting: 1, waits: [event("1.0", "go")], node: "merge" }
  ],
  [
    [opened("1.1", "go"), opened("1.1", "timer", 9_000), join("1.2"), opened("1.3", "timer-2", 7_000)],
    {
      status: "waiting",
      open: 3,
      waiting: 3,
      waits: [
        event("1.0", "go"),
        event("1.1", "go"),
        { wait: "timer", branch: "1.1", type: "until", due: 9_000 },
        { wait: "timer-2", branch: "1.3", type: "until", due: 7_000 }
      ],
      node: "merge",
      due: 7_000
    }
  ],
  [
    [{ kind: "waitEnded", branch: "1.3", wait: "timer-2", outcome: { timedOut: true } }],
    {
      status: "running",
      open: 3,
      waiting: 2,
      waits: [
        event("1.0", "go"),
        event("1.1", "go"),
        { wait: "timer", branch: "1.1", type: "until", due: 9_000 }
      ],
      node: "merge",
      due: 9_000
    }
  ],
  [
    [
      {
        kind: "branchFailed",
        branch: "1.3",
        ...visit,
        error: { kind: "error", tag: "Bad", error: { _tag: "Bad" }, message: "bad" }
      },
      { kind: "joined", fanOut: "1", dropped: 2 }
    ],
    { status: "running", open: 1, waiting: 0, waits: [], node: "merge" }
  ]
]

const told = ({ due, node, open, status, waiting, waits }: RunInfo) => ({
  status,
  open,
  waiting,
  waits,
  ...(node === undefined ? undefined : { node }),
  ...(due === undefined ? undefined : { due })
})

export const dueChecks: ReadonlyArray<Check> = [
  check(
    "list",
    "by due come the runs that have one, the earliest first and then by id, in pages of any size",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const rows = earliestFirst(rowsOf(yield* populate(store)))
      for (const [query, matching] of [
        [{}, rows],
        [{ flow: "flow-1" }, rows.filter(({ flow }) => flow === "flow-1")],
        [{ dueBefore: 5_400 }, rows.filter(({ due }) => due! < 5_400)],
        [{ status: ["paused" as const] }, []]
      ] as const) {
        for (const limit of [1, 2, 7, 1_000]) {
          yield* same(
            `list ${JSON.stringify(query)} by due, in pages of ${limit}`,
            yield* listAll(store, { ...query, order: "due", limit }),
            matching
          )
        }
      }
      const error = yield* refused(
        "listing from it",
        "StoreError",
        store.list({ order: "due", cursor: "no cursor!" })
      )
      yield* same("the reason of a cursor that is none", error.reason._tag, "Invalid")
    })
  ),
  check(
    "list",
    "by due, a run stands where its earliest open wait is now, or not at all, after a power cut, too",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const runs = yield* populate(store)
      for (const [i, run] of runs.entries()) {
        if (i % 3 === 0) continue
        if (i % 3 === 1) yield* run.append(Journal.waitEnded("timer", null))
        else yield* run.append(Journal.waitOpened("sooner", 100 + dueOf(i + 1)))
        if (i % 4 === 0) yield* run.append(Journal.failed("Boom", "it broke"))
        yield* run.sync
      }
      const expected = ids(earliestFirst(rowsOf(runs)))
      yield* same("by due", ids(yield* listAll(store, { order: "due", limit: 4 })), expected)
      const again = yield* restart(trial)
      yield* same(
        "by due, after a power cut",
        ids(yield* listAll(again, { order: "due", limit: 4 })),
        expected
      )
    })
  ),
  check(
    "list",
    "by due, whatever is written between pages, no run whose due stays is skipped or repeated",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const runs = yield* populate(store)
      const byId = new Map(runs.map((run) => [run.journal.run, run]))
      const throughout = new Set(ids(earliestFirst(rowsOf(runs))))
      const listed: Array<string> = []
      let cursor: string | undefined
      let round = 0
      do {
        const page = yield* store.list({
          order: "due",
          limit: 3,
          ...(cursor === undefined ? undefined : { cursor })
        })
        listed.push(...ids(page.runs))
        cursor = page.cursor
        // What was listed last ends its wait, as a worker would see to, and others begin before, at and after the page.
        const last = page.runs[page.runs.length - 1]
        if (last !== undefined) {
          for (const [index, due] of [1, last.due!, 90_000].entries()) {
            const run = yield* begin(store, `new-${round}-${index}`, { time: 9_000 })
            yield* run.append(Journal.waitOpened("timer", due))
            yield* run.sync
          }
          for (const id of [last.run, `run-${(round * 13) % 45}`]) {
            const run = byId.get(id)
            if (run?.journal.info.due === undefined) continue
            yield* run.append(Journal.waitEnded("timer", null))
            yield* run.sync
            if (!listed.includes(id)) throughout.delete(id)
          }
        }
        round += 1
      } while (cursor !== undefined && round < 200)
      const old = listed.filter((id) => id.startsWith("run-"))
      yield* same("a run was listed twice", old.length, new Set(old).size)
      yield* holds(
        `skipped were ${[...throughout].filter((id) => !listed.includes(id)).join(", ")}`,
        [...throughout].every((id) => listed.includes(id))
      )
    })
  ),
  check(
    "list",
    "a row tells how much of a run is open, how much of that waits and for what, after a power cut, too",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      let store = yield* trial.open
      const [[first], ...rest] = chapters as unknown as typeof chapters & readonly [(typeof chapters)[number]]
      const run = yield* begin(store, "run", { steps: first })
      yield* same("the row at first", told((yield* store.get("run")).info), chapters[0]![1])
      for (const [index, [steps, row]] of rest.entries()) {
        yield* run.append(...steps)
        yield* run.sync
        const what = `the row after batch ${index + 1}`
        yield* same(what, told((yield* store.get("run")).info), row)
        yield* same(`${what}, in the list`, (yield* listAll(store, {})).map(told), [row])
      }
      store = yield* restart(trial)
      yield* same(
        "the row after a power cut",
        told((yield* store.get("run")).info),
        chapters[chapters.length - 1]![1]
      )
    })
  )
]
