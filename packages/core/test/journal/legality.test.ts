import { assert, describe, it } from "@effect/vitest"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Body, Ops } from "../../src/Event.ts"
import * as Snapshot from "../../src/internal/snapshot.ts"
import * as Journal from "../../src/Journal.ts"
import * as RunState from "../../src/RunState.ts"
import { append, begin, stateOf } from "./world.ts"
import type { Grown } from "./world.ts"

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
const error = { kind: "interrupted" } as const
const place = { node: "a", visit: 1, attempt: 1 }
const visited = (next: Extract<Body, { kind: "visited" }>["next"], ops?: Ops): Body => ({
  kind: "visited",
  ...place,
  started: 1,
  next,
  ...(ops === undefined ? undefined : { ops })
})
const attemptFailed: Body = { kind: "attemptFailed", ...place, started: 1, error, due: 9 }
const failed: Body = { kind: "failed", error }
const paused: Body = { kind: "paused", reason: { kind: "requested" } }
const cancelRequested: Body = { kind: "cancelRequested", reason: "r" }
const end = visited({ end: true })
const completed: Body = { kind: "completed", output: null }
const fanOut = visited({ branches: [{ node: "b" }, { node: "b" }], join: "j" })
const quorum = visited({ branches: [{ node: "b" }, { node: "b" }], join: "j", policy: { quorum: 1 } })
const inBranch = { branch: "1.0", node: "b", visit: 1, attempt: 1 }
const waitOpened: Body = { kind: "waitOpened", ...place, wait: "w", on: { type: "until" } }
const waitEnded: Body = { kind: "waitEnded", wait: "w", outcome: { value: 7 } }
const callStarted: Body = { kind: "callStarted", ...place, call: "c", tool: "t", key: "k", input: null }
const callCompleted: Body = { kind: "callCompleted", ...place, call: "c", tool: "t", output: 5 }
const emitted: Body = { kind: "emitted", ...place, mark: "m", name: "draft", value: 1 }
const slept: Body = { kind: "slept", ...place, sleep: "1/2/0" }
const progressed: Body = { kind: "progressed", ...place, nth: 2, done: 1, total: 2 }
const spent: Body = { kind: "spent", ...place, mark: "s", budget: "tokens", amount: 3, total: 3, limit: 4 }
const limited: Body = { kind: "limitsChanged", maxVisits: { b: 1 }, budgets: { tokens: 4 } }
const sent: Body = { kind: "sent", to: "other", message: "m", body: null }
const migrated: Extract<Body, { kind: "migrated" }> = {
  kind: "migrated",
  from: { version: 1, fingerprint: "x" },
  version: 2,
  fingerprint: "y",
  ops: {}
}
const command = (position: number): Body => ({
  kind: "commandIgnored",
  note: "",
  command: { id: "c", source: "s", position }
})

const grown = (...bodies: ReadonlyArray<Body>): Grown => {
  const journal = begin("r")
  append(journal, 1, [created, ...bodies])
  return journal
}

/** A take-over of a journal as it stands, with something wrong in it. */
const claim =
  (wrong: Partial<Extract<Body, { kind: "claimed" }>["previous"]> = {}) =>
  (journal: Grown): Body => {
    const { epoch, seq } = stateOf(journal)
    const previous = { epoch, seq, hash: journal.hashes.at(-1)!, ...wrong }
    return { kind: "claimed", owner: "o", cause: "crash", previous }
  }

/** A snapshot of a journal as it stands, with something wrong in its head. */
const snapshot =
  (wrong: { readonly [field: string]: unknown }, fields: { readonly [field: string]: unknown } = {}) =>
  (journal: Grown): Body => {
    const state = stateOf(journal)
    const body = Snapshot.headBody(Snapshot.plan(state), state, state.seq)
    const head = { ...(body.head as object), ...wrong }
    return { ...body, head, ...fields } as Body
  }

type Case = readonly [string, ReadonlyArray<Body>, Body | ((journal: Grown) => Body), RegExp]

const refused: ReadonlyArray<Case> = [
  ["a second beginning", [], created, /begins with it/],
  [
    "a visit of another node",
    [],
    { kind: "visited", ...place, node: "z", started: 1, next: { to: "a" } },
    /visit 1 of node z/
  ],
  [
    "another attempt than the open one",
    [attemptFailed],
    visited({ to: "a" }),
    /attempt 1; open is.*attempt 2/
  ],
  [
    "a branch that is not open",
    [],
    { kind: "visited", ...inBranch, started: 1, next: { to: "b" } },
    /"1\.0" has no open visit/
  ],
  ["a visit while the run is paused", [paused], visited({ to: "a" }), /paused/],
  ["a failed attempt while the run is paused", [paused], attemptFailed, /paused/],
  ["a call that begins while the run is paused", [paused], callStarted, /paused/],
  ["a sleep that is over while the run is paused", [paused], slept, /paused/],
  ["a sleep that is over already", [slept], slept, /sleep 1\/2\/0 has ended already/],
  ["a sleep of another attempt", [attemptFailed], slept, /attempt 1; open is.*attempt 2/],
  ["an output while the run is paused", [paused], emitted, /paused/],
  ["an output after the end", [end, completed], emitted, /completed already/],
  ["an output that this visit gave", [emitted], emitted, /told m already/],
  [
    "a log line with the mark of an output",
    [emitted],
    { kind: "logged", ...place, mark: "m", text: "" },
    /told m already/
  ],
  ["an output of another visit", [visited({ to: "a" })], emitted, /open is visit 2/],
  ["a report of progress that comes after a later one", [progressed], progressed, /report 2/],
  ["a report of progress that is not counted", [], { ...progressed, nth: 0 }, /report 0/],
  ["a sum of what was spent that is wrong", [spent], { ...spent, mark: "t" }, /3 .* and 3 are not 3/],
  ["a sum that is held against another limit", [limited], { ...spent, limit: 5 }, /"tokens" is 4/],
  [
    "a warning about a budget of which nothing was spent",
    [],
    { kind: "budgetWarned", ...place, budget: "__proto__", total: 1, limit: 1 },
    /__proto__ was spent/
  ],
  ["a change of the limits after the end", [failed], limited, /failed already/],
  ["an end while the run is paused", [end, paused], completed, /paused/],
  ["a pause of a paused run", [paused], paused, /paused/],
  [
    "a pause of a run that is being cancelled: it would be forgotten",
    [cancelRequested],
    paused,
    /being cancelled/
  ],
  [
    "a second request to cancel: the first one's reason counts",
    [cancelRequested],
    cancelRequested,
    /already/
  ],
  [
    "an end by cancellation that nobody asked for",
    [],
    { kind: "cancelled", reason: "r" },
    /cancelRequested comes first/
  ],
  ["an end while a visit is open", [], completed, /open visits/],
  ["an end before the branches are joined", [visited({ branches: [], join: "j" })], completed, /not joined/],
  ["anything new after the end", [end, completed], sent, /completed already/],
  ["a snapshot after the end", [end, completed], snapshot({}), /completed already/],
  ["a second end", [failed], failed, /failed already/],
  ["a restart of a run that did not fail", [], { kind: "restarted" }, /pending, not failed/],
  ["a restart with nothing left to execute", [end, failed], { kind: "restarted" }, /nothing is left/],
  ["a resumption of a run that is not paused", [], { kind: "resumed" }, /not paused/],
  [
    "a join of branches that are open",
    [fanOut],
    { kind: "joined", fanOut: "1" },
    /2 branches of fan-out 1 are open/
  ],
  ["a join of no fan-out", [], { kind: "joined", fanOut: "__proto__" }, /not open/],
  [
    "a join in another branch",
    [visited({ branches: [], join: "j" })],
    { kind: "joined", branch: "1.0", fanOut: "1" },
    /not open/
  ],
  ["a join that is not the fan-out's", [fanOut], { kind: "joined", fanOut: "2" }, /2 is not open/],
  [
    "a branch that goes to the join and says that it goes on",
    [fanOut],
    { kind: "visited", ...inBranch, started: 1, next: { to: "j" } },
    /j is the join/
  ],
  [
    "a branch that says it is through and goes on",
    [fanOut],
    { kind: "visited", ...inBranch, started: 1, next: { to: "b", joins: true } },
    /b is not the join/
  ],
  [
    "a join that ends other visits than it says",
    [quorum, { kind: "visited", ...inBranch, started: 1, next: { to: "j", joins: true } }],
    { kind: "joined", fanOut: "1" },
    /1 visits of its branches are open/
  ],
  [
    "a join of fewer branches than are needed",
    [quorum, { kind: "branchFailed", ...inBranch, error }],
    { kind: "joined", fanOut: "1", dropped: 1 },
    /1 branches of fan-out 1 are open/
  ],
  [
    "the failure of a branch that did not fan out there",
    [fanOut],
    { kind: "branchFailed", branch: "1.0", node: "b", visit: 1, error },
    /did not fan out/
  ],
  ["the failure of the main line as a branch", [], { kind: "branchFailed", ...place, error }, /no branch/],
  [
    "an update that only a join can make",
    [],
    visited({ to: "a" }, { count: { combine: 1 } }),
    /combined where branches are joined/
  ],
  [
    "the consumption of a signal that is not kept",
    [waitOpened],
    { kind: "waitEnded", wait: "w", signal: 0, outcome: { value: 1 } },
    /signal 0 is not kept/
  ],
  [
    "an end inside a branch",
    [fanOut],
    { kind: "visited", ...inBranch, started: 1, next: { end: true } },
    /cannot end the run/
  ],
  ["a visit that ends while it waits", [waitOpened], visited({ to: "a" }), /wait w is open/],
  ["an attempt that ends while it waits", [waitOpened], attemptFailed, /wait w is open/],
  ["a wait that is open", [waitOpened], waitOpened, /open already/],
  ["a wait that this visit has waited for", [waitOpened, waitEnded], waitOpened, /ended already/],
  ["the end of a wait that is not open", [], waitEnded, /not open/],
  [
    "the end of a wait in another branch",
    [waitOpened],
    { ...waitEnded, branch: "1.0" },
    /belongs to branch ""/
  ],
  ["a call that was started", [callStarted], callStarted, /started already/],
  ["a result of a call that was not started", [], callCompleted, /not started/],
  ["a second result of a call", [callStarted, callCompleted], callCompleted, /completed already/],
  ["a result from another tool", [callStarted], { ...callCompleted, tool: "u" }, /one of t, not of u/],
  ["a message that was sent", [sent], sent, /sent already/],
  ["the arrival of a message that was not sent", [], { kind: "delivered", message: "m" }, /not sent/],
  ["a command that was dealt with", [command(1), command(3)], command(3), /dealt with/],
  ["a command before the first", [], command(0), /dealt with/],
  ["items for what is no list", [], visited({ to: "a" }, { text: { append: [1] } }), /holds no list/],
  [
    "entries for what is no record",
    [],
    visited({ to: "a" }, { text: { merge: { a: 1 } } }),
    /holds no record/
  ],
  ["a sum with what is no number", [], visited({ to: "a" }, { text: { add: 1 } }), /holds no number/],
  [
    "a sum that JSON cannot hold",
    [visited({ to: "a" }, { count: { set: 1.7e308 } })],
    {
      kind: "visited",
      node: "a",
      visit: 2,
      attempt: 1,
      started: 1,
      next: { to: "a" },
      ops: { count: { add: 1.7e308 } }
    },
    /exceed all numbers/
  ],
  ["a take-over of another epoch", [], claim({ epoch: 4 }), /takes over epoch 4/],
  ["a take-over at another position", [], claim({ seq: 4 }), /at seq 4/],
  ["a take-over of another journal", [], claim({ hash: Journal.genesis }), /takes over/],
  [
    "a migration from another version",
    [],
    { ...migrated, from: { version: 2, fingerprint: "x" }, version: 3 },
    /at version 1/
  ],
  [
    "a migration of a fan-out that is not open",
    [],
    { ...migrated, updates: { "1": {} } },
    /fan-out 1 is not open/
  ],
  [
    "a migration of what a branch has not changed",
    [fanOut],
    { ...migrated, updates: { "1": { "1.0": [{}] } } },
    /branch 1\.0 .* has made 0 updates/
  ],
  ["a snapshot whose head is none", [], snapshot({ steps: "one" }), /not that of a snapshot/],
  ["a snapshot of another status", [], snapshot({ status: "paused" }), /disagrees.*status/],
  ["a snapshot without an open visit", [], snapshot({ open: {} }), /disagrees.*open/],
  ["a snapshot that lost a channel", [], snapshot({ channels: {} }), /disagrees.*"count"/],
  [
    "a snapshot that lost what was cancelled",
    [cancelRequested],
    snapshot({ cancel: undefined }),
    /disagrees.*cancel/
  ],
  [
    "a snapshot that holds an older list",
    [visited({ to: "a" }, { list: { append: [1, 2] } })],
    snapshot({
      channels: {
        count: { type: "Plain", value: 1 },
        text: { type: "Plain", value: "t" },
        list: { type: "List", length: 1, parts: [] }
      }
    }),
    /disagrees.*"list"/
  ],
  [
    "a snapshot that holds an older value",
    [],
    snapshot({ channels: { count: { type: "Plain", value: 2 }, text: { type: "Plain", value: "t" } } }),
    /disagrees.*"count"/
  ],
  [
    "a snapshot that does not name the one before it",
    [],
    snapshot({}, { previous: 0 }),
    /snapshot before it/
  ],
  ["a snapshot of what has not happened", [], snapshot({}, { at: 9 }), /had not happened/]
]

/** Why an event is refused; what came before it must have been let through. */
const refusal = (journal: Grown, body: Body): RunState.IllegalEvent => {
  try {
    append(journal, 1, [body])
  } catch (error) {
    assert.strictEqual((error as RunState.IllegalEvent)._tag, "IllegalEvent")
    return error as RunState.IllegalEvent
  }
  return assert.fail("it was let through")
}

describe("an event is refused", () => {
  it.each(refused)("that is %s", (_, before, body, detail) => {
    const journal = grown(...before)
    const made = typeof body === "function" ? body(journal) : body
    const { kind, message, run, seq } = refusal(journal, made)
    assert.match(message, detail)
    assert.deepStrictEqual([run, seq, kind], ["r", before.length + 1, made.kind])
  })

  it("that belongs to another run, another position, another epoch, or a time before that of the last one", () => {
    const journal = grown(callStarted)
    const state = stateOf(journal)
    const note = { kind: "annotated", note: "n" } as const
    const header = { run: "r", seq: 2, epoch: 0, time: 1, prev: journal.hashes[1]! }
    for (const [wrong, detail] of [
      [{ run: "s" }, /belongs to run s/],
      [{ seq: 3 }, /seq 2 was expected/],
      [{ seq: 1 }, /seq 2 was expected/],
      [{ epoch: 1 }, /epoch 1, while the run is in epoch 0/],
      [{ time: 0.5 }, /time 0.5 is before 1/]
    ] as const) {
      const result = RunState.apply(state, { ...header, ...note, ...wrong }, 1)
      assert.match(result._tag === "Failure" ? result.failure.message : "", detail)
    }
    assert.strictEqual(RunState.apply(state, { ...header, ...note }, 1)._tag, "Success")
  })

  it("that begins a fork of something else, or of a run that is through", () => {
    const origin = grown(callStarted)
    const from = { run: "r", seq: 1 }
    const forked = { kind: "forked", from, flow: "f", version: 1 } as const
    const fork = (run: string, of: Grown, body: Body) => () => {
      append(begin(run, { state: stateOf(of), hash: of.hashes.at(-1)! }), 1, [body])
    }
    assert.throws(fork("g", origin, { ...forked, from: { run: "r", seq: 0 } }), /not seq 1 of run r/)
    assert.throws(fork("g", origin, { ...forked, flow: "other" }), /flow is other, which is f/)
    assert.throws(fork("g", origin, { ...forked, steps: 3 }), /number of steps is 3, which is 0/)
    assert.throws(fork("g", origin, { ...forked, node: "z" }), /node is z, which is a/)
    assert.throws(fork("r", origin, forked), /id of its own/)
    const through = grown(end, completed)
    assert.throws(fork("g", through, { ...forked, from: { run: "r", seq: 2 } }), /nothing is left/)
    fork("g", origin, { ...forked, steps: 0, node: "a", durability: "strict" })()
  })

  it("of any kind that comes first", () => {
    const result = RunState.apply(
      undefined,
      { ...completed, run: "r", seq: 0, epoch: 0, time: 0, prev: "" },
      1
    )
    assert.match(
      result._tag === "Failure" ? result.failure.message : "",
      /begins with a created or a forked event/
    )
  })
})

describe("an event is let through", () => {
  it("when a message arrives after the run that sent it has ended", () => {
    const journal = grown(sent, end, completed)
    append(journal, 1, [{ kind: "delivered", message: "m" }])
    assert.strictEqual(stateOf(journal).status, "completed")
    assert.strictEqual(HashMap.size(stateOf(journal).outbox), 0)
  })

  it("when a call in doubt of a paused run is settled, or a wait of it ends", () => {
    const journal = grown(callStarted, waitOpened, paused, callCompleted, waitEnded)
    assert.strictEqual(stateOf(journal).status, "paused")
  })
})

describe("a run", () => {
  it("that failed while it was paused or being cancelled goes on as neither", () => {
    for (const before of [paused, cancelRequested]) {
      const state = stateOf(grown(before, failed, { kind: "restarted" }))
      assert.strictEqual(state.status, "pending")
      assert.isUndefined(state.pause)
      assert.isUndefined(state.cancel)
      assert.isUndefined(state.ending)
    }
  })

  it("serves a visit that is executed again what its waits came to", () => {
    const journal = grown(waitOpened, waitEnded)
    const { ended, waiting } = stateOf(journal).open[""]!
    assert.deepStrictEqual(ended, { w: { seq: 2, time: 1, outcome: { value: 7 } } })
    assert.deepStrictEqual(waiting, [])
    // A value is kept for the next attempt, as the output of a call is; that the time was over is not.
    append(journal, 1, [
      { kind: "waitOpened", ...place, wait: "late", on: { type: "event", name: "e" } },
      { kind: "waitEnded", wait: "late", outcome: { timedOut: true } },
      attemptFailed
    ])
    assert.deepStrictEqual(Object.keys(stateOf(journal).open[""]!.ended), ["w"])
    append(journal, 1, [{ kind: "visited", ...place, attempt: 2, started: 1, next: { to: "a" } }])
    assert.deepStrictEqual(stateOf(journal).open[""]!.ended, {})
  })

  it("keeps calls that succeeded or are in doubt for the next attempt, and asks again for those that failed", () => {
    const journal = grown(callStarted, callCompleted)
    append(journal, 1, [
      { ...callStarted, call: "d" },
      { ...callStarted, call: "e" },
      {
        kind: "callFailed",
        ...place,
        call: "e",
        tool: "t",
        error: { kind: "error", tag: "No", error: null, message: "" }
      },
      { ...callStarted, call: "f" },
      { kind: "callFailed", ...place, call: "f", tool: "t", error: { kind: "interrupted" } },
      attemptFailed
    ])
    const { calls } = stateOf(journal).open[""]!
    assert.deepStrictEqual([...HashMap.keys(calls)].sort(), ["c", "d", "f"])
    assert.strictEqual(Option.getOrThrow(HashMap.get(calls, "f")).status, "started")
    assert.strictEqual(Option.getOrThrow(HashMap.get(calls, "c")).output, 5)
  })

  it("knows what an attempt slept, in a fork too, and not what the attempt before it did", () => {
    const journal = grown(slept)
    const fork = begin("g", { state: stateOf(journal), hash: journal.hashes.at(-1)! })
    append(fork, 1, [{ kind: "forked", from: { run: "r", seq: 1 }, flow: "f", version: 1 }])
    const sleptIn = (of: typeof journal) => [...(stateOf(of).open[""]!.slept ?? [])]
    const { time } = journal.entries[1]!.event
    assert.deepStrictEqual(sleptIn(journal), [["1/2/0", { seq: 1, time }]])
    assert.deepStrictEqual(sleptIn(fork), [["1/2/0", { seq: -1, time }]])
    append(journal, 1, [attemptFailed])
    assert.deepStrictEqual(sleptIn(journal), [])
  })

  it("knows what an attempt told in the next one and in a fork, and forgets it with the visit", () => {
    const journal = grown(emitted, spent, progressed, attemptFailed)
    const fork = begin("g", { state: stateOf(journal), hash: journal.hashes.at(-1)! })
    append(fork, 1, [{ kind: "forked", from: { run: "r", seq: 4 }, flow: "f", version: 1 }])
    for (const of of [journal, fork]) {
      const { marks, progress } = stateOf(of).open[""]!
      assert.deepStrictEqual([...HashMap.keys(marks!)].sort(), ["m", "s"])
      assert.deepStrictEqual(progress, { nth: 2, done: 1, total: 2 })
      assert.deepStrictEqual(stateOf(of).budgets, { tokens: { spent: 3, limit: 4 } })
      append(of, 1, [{ kind: "visited", ...place, attempt: 2, started: 1, next: { to: "a" } }])
      assert.isUndefined(stateOf(of).open[""]!.marks)
      assert.isUndefined(stateOf(of).open[""]!.progress)
      assert.deepStrictEqual(stateOf(of).budgets, { tokens: { spent: 3, limit: 4 } })
    }
  })

  it("marks what exceeded a budget, and warns again when the limit was changed", () => {
    const journal = grown(
      spent,
      { kind: "budgetWarned", ...place, budget: "tokens", total: 3, limit: 4 },
      { ...spent, mark: "to the limit", amount: 1, total: 4 },
      { ...spent, mark: "t", amount: 1, total: 5 }
    )
    const state = stateOf(journal)
    assert.deepStrictEqual(state.budgets, { tokens: { spent: 5, limit: 4, warned: true } })
    assert.deepStrictEqual(Object.fromEntries(state.open[""]!.marks!), { s: 0, "to the limit": 0, t: 1 })
    append(journal, 1, [{ kind: "limitsChanged", budgets: { tokens: 9 } }])
    assert.deepStrictEqual(stateOf(journal).budgets, { tokens: { spent: 5, limit: 9 } })
    assert.strictEqual(stateOf(journal).status, "running")
    assert.strictEqual(stateOf(grown(limited)).status, "pending")
  })

  it("counts the visits of nodes that have a limit, those of branches in their order", () => {
    const journal = grown(limited, fanOut)
    assert.deepStrictEqual(stateOf(journal).visits, { b: 2 })
    assert.deepStrictEqual(
      ["1.0", "1.1"].map((branch) => RunState.visitOf(stateOf(journal), branch)!.nth),
      [1, 2]
    )
    append(journal, 1, [{ kind: "visited", ...inBranch, started: 1, next: { to: "b" } }])
    assert.strictEqual(RunState.visitOf(stateOf(journal), "1.0")!.nth, 3)
    assert.isUndefined(stateOf(grown(visited({ to: "a" }))).visits)
  })

  it("finds the open visit of a branch as that of the main line", () => {
    const state = stateOf(grown(fanOut))
    assert.isUndefined(RunState.visitOf(state, ""))
    assert.strictEqual(RunState.visitOf(state, "1.1")!.node, "b")
    assert.strictEqual(RunState.nodeOf(state), "j")
    assert.deepStrictEqual([...RunState.openVisits(state)].map(([branch]) => branch).sort(), ["1.0", "1.1"])
  })

  it("that was forked is served what had finished, and nothing of what its origin still has to do", () => {
    const origin = grown(
      callStarted,
      callCompleted,
      { ...callStarted, call: "d" },
      { ...callStarted, call: "e" },
      { kind: "callFailed", ...place, call: "e", tool: "t", error },
      waitOpened,
      waitEnded,
      { ...waitOpened, wait: "v" },
      sent,
      command(1),
      cancelRequested
    )
    const fork = begin("g", { state: stateOf(origin), hash: origin.hashes.at(-1)! })
    append(fork, 1, [
      { kind: "forked", from: { run: "r", seq: 11 }, flow: "f", version: 1, edits: { count: { set: 9 } } }
    ])
    const state = stateOf(fork)
    const visit = state.open[""]!
    assert.deepStrictEqual([...HashMap.keys(visit.calls)], ["c"])
    assert.deepStrictEqual(Object.keys(visit.ended), ["w"])
    assert.deepStrictEqual(visit.waiting, [])
    assert.isTrue(HashMap.isEmpty(state.waits))
    assert.isTrue(HashMap.isEmpty(state.outbox))
    assert.deepStrictEqual(state.inbox, {})
    assert.isUndefined(state.cancel)
    assert.strictEqual(state.status, "pending")
    assert.deepStrictEqual(RunState.stateOf(state), { count: 9, text: "t" })
    assert.deepStrictEqual(RunState.stateOf(stateOf(origin)), { count: 1, text: "t" })
  })
})
