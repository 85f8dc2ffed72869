import { assert, describe, it } from "@effect/vitest"
import type { Body, Undone } from "../../src/Event.ts"
import { undosOf } from "../../src/internal/compensation.ts"
import * as RunInfo from "../../src/RunInfo.ts"
import type * as RunState from "../../src/RunState.ts"
import { append, begin, stateOf } from "./world.ts"
import type { Grown } from "./world.ts"

const created: Body = {
  kind: "created",
  flow: "f",
  version: 1,
  fingerprint: "x",
  start: "a",
  input: null,
  state: {},
  durability: "pipelined",
  maxSteps: 10,
  maxRecoveries: 1
}
const error = { kind: "error", tag: "No", error: null, message: "" } as const
const place = (visit: number, attempt = 1) => ({ node: "a", visit, attempt })
const started = (call: string, undoable: "completed" | "inDoubt" | null = "completed", visit = 1): Body => ({
  kind: "callStarted",
  ...place(visit),
  call,
  tool: "pay",
  key: call,
  input: null,
  ...(undoable === null ? undefined : { undoable })
})
const completed = (call: string, visit = 1, attempt = 1): Body => ({
  kind: "callCompleted",
  ...place(visit, attempt),
  call,
  tool: "pay",
  output: call
})
const callFailed = (call: string, kind: "error" | "timeout"): Body => ({
  kind: "callFailed",
  ...place(1),
  call,
  tool: "pay",
  error: kind === "error" ? error : { kind, what: "tool", name: "pay", millis: 1 }
})
const visited: Body = { kind: "visited", ...place(1), started: 1, next: { to: "a" } }
const failing: Body = { kind: "compensating", error, node: "a", visit: 1, attempt: 1 }
const failed: Body = { kind: "failed", error }
const cancelRequested: Body = { kind: "cancelRequested", reason: "r" }
const cancelling: Body = { kind: "compensating", reason: "r" }
const undo = (call: string, of: number) => ({ node: "a", visit: 1, call, tool: "pay", of })
const begun = (call: string, of: number): Body => ({
  kind: "compensationStarted",
  ...undo(call, of),
  key: "k"
})
const undone = (call: string, of: number): Body => ({ kind: "compensationCompleted", ...undo(call, of) })
const lost = (call: string, of: number): Body => ({ kind: "compensationFailed", ...undo(call, of), error })
const retried = (call: string, of: number): Body => ({
  kind: "compensationRetried",
  ...undo(call, of),
  error,
  due: 9
})
const leftOf = (call: string, seqs: Pick<Undone, "started" | "completed">): Undone => ({
  node: "a",
  visit: 1,
  call,
  tool: "pay",
  ...seqs
})

/** Two calls that completed, at 1 to 2 and 3 to 4, and another one that cannot be undone. */
const two = [started("c"), completed("c"), started("d"), completed("d")]

const grown = (...bodies: ReadonlyArray<Body>): Grown => {
  const journal = begin("r")
  append(journal, 1, [created, ...bodies])
  return journal
}
const infoOf = ({ entries }: Grown): RunInfo.RunInfo =>
  entries.reduce<RunInfo.RunInfo | undefined>((info, { event }) => RunInfo.apply(info, event), undefined)!
const left = (journal: Grown): ReadonlyArray<number> =>
  undosOf(stateOf(journal)).map(({ started }) => started)

describe("what a run has to undo", () => {
  it("is what completed and can be undone, in the order in which it completed, whatever became of the visit", () => {
    const journal = grown(
      started("c"),
      started("plain", null),
      started("d"),
      completed("d"),
      completed("plain"),
      completed("c"),
      visited,
      started("e", "completed", 2)
    )
    assert.deepStrictEqual(undosOf(stateOf(journal)), [
      { tool: "pay", started: 3, completed: 4 },
      { tool: "pay", started: 1, completed: 6 }
    ])
  })

  it("is also what may have taken effect, of tools that say so, and once only", () => {
    const journal = grown(
      started("timed", "inDoubt"),
      callFailed("timed", "timeout"),
      started("refused", "inDoubt"),
      callFailed("refused", "error"),
      started("open", "inDoubt"),
      started("not", "completed"),
      { kind: "callRetried", ...place(1), call: "open", tool: "pay", error, due: 9 },
      { kind: "callRepeated", ...place(1), call: "open", tool: "pay" }
    )
    assert.deepStrictEqual(left(journal), [1])
    const failedThen = grown(...journal.entries.slice(1).map(({ event }): Body => event), failing)
    assert.deepStrictEqual(left(failedThen), [1, 5])
    // The next attempt finds out what became of the call.
    const again = grown(started("timed", "inDoubt"), callFailed("timed", "timeout"), {
      kind: "attemptFailed",
      ...place(1),
      started: 1,
      error,
      due: 1
    })
    append(again, 1, [completed("timed", 1, 2)])
    assert.deepStrictEqual(undosOf(stateOf(again)), [{ tool: "pay", started: 1, completed: 4 }])
  })

  it("is nothing that only waits for its next try: the one before it is known to have failed", () => {
    const waiting: Body = { kind: "callRetried", ...place(1), call: "c", tool: "pay", error, due: 9 }
    assert.deepStrictEqual(left(grown(started("c", "inDoubt"), waiting, cancelRequested, cancelling)), [])
    const timedOut = { kind: "timeout", what: "tool", name: "pay", millis: 1 } as const
    const unknown = grown(
      started("c", "inDoubt"),
      { ...waiting, error: timedOut },
      cancelRequested,
      cancelling
    )
    assert.deepStrictEqual(left(unknown), [1])
  })

  it("is nothing once it completed, and nothing for a fork: what its origin did is the origin's", () => {
    const journal = grown(...two)
    const fork = begin("g", { state: stateOf(journal), hash: journal.hashes.at(-1)! })
    append(fork, 1, [{ kind: "forked", from: { run: "r", seq: 4 }, flow: "f", version: 1 }, failed])
    assert.strictEqual(stateOf(fork).ending?.status, "failed")
    append(journal, 1, [
      { kind: "visited", ...place(1), started: 1, next: { end: true } },
      { kind: "completed", output: null }
    ])
    assert.isUndefined(stateOf(journal).undo)
  })
})

describe("a run that undoes its calls", () => {
  it("undoes the last one first, and ends then", () => {
    const journal = grown(...two, failing)
    assert.deepStrictEqual([stateOf(journal).status, infoOf(journal).compensating], ["running", true])
    append(journal, 1, [
      begun("d", 3),
      retried("d", 3),
      begun("d", 3),
      undone("d", 3),
      begun("c", 1),
      undone("c", 1)
    ])
    append(journal, 1, [{ ...failed, undone: [] }])
    assert.deepStrictEqual(stateOf(journal).ending, { status: "failed", error, undone: [] })
    const { compensating, error: shown, undone: count } = infoOf(journal)
    assert.deepStrictEqual([compensating, shown?.tag, count], [undefined, "No", 0])
  })

  it("stops waiting, is not paused any more, and counts its recoveries anew", () => {
    const claim = (journal: Grown): Body => {
      const { epoch, seq } = stateOf(journal)
      const previous = { epoch, seq, hash: journal.hashes.at(-1)! }
      return { kind: "claimed", owner: "o", cause: "crash", previous }
    }
    const journal = grown(
      ...two,
      { kind: "waitOpened", ...place(1), wait: "w", on: { type: "until" }, due: 9 },
      { kind: "paused", reason: { kind: "requested" } }
    )
    append(journal, 1, [claim(journal)])
    append(journal, 1, [failing])
    const state = stateOf(journal)
    assert.deepStrictEqual([state.status, state.pause, state.recoveries], ["running", undefined, 0])
    const info = infoOf(journal)
    assert.deepStrictEqual(
      [info.status, info.pause, info.waits, info.due],
      ["running", undefined, [], undefined]
    )
    append(journal, 1, [claim(journal)])
    assert.strictEqual(stateOf(journal).recoveries, 1)
    append(journal, 1, [begun("d", 3)])
    assert.strictEqual(stateOf(journal).recoveries, 1)
    append(journal, 1, [retried("d", 3)])
    assert.strictEqual(stateOf(journal).recoveries, 0)
    append(journal, 1, [claim(journal)])
    append(journal, 1, [lost("d", 3)])
    assert.strictEqual(stateOf(journal).recoveries, 0)
  })

  it("names what it could not undo, and goes on with that alone when it is retried", () => {
    for (const how of ["failed", "cancelled"] as const) {
      const end = (left: ReadonlyArray<Undone>): Body =>
        how === "failed" ? { ...failed, undone: left } : { kind: "cancelled", reason: "r", undone: left }
      const journal = grown(...two, ...(how === "failed" ? [failing] : [cancelRequested, cancelling]))
      const both = [leftOf("d", { started: 3, completed: 4 }), leftOf("c", { started: 1, completed: 2 })]
      append(journal, 1, [lost("d", 3), begun("c", 1), lost("c", 1), end(both)])
      assert.strictEqual(infoOf(journal).undone, 2)
      append(journal, 1, [{ kind: "restarted" }])
      const { compensating, restarts, status } = stateOf(journal)
      assert.strictEqual(status, how === "failed" ? "pending" : "cancelling")
      assert.deepStrictEqual(compensating, how === "failed" ? { error, undone: [] } : { undone: [] })
      assert.deepStrictEqual([left(journal), restarts], [[1, 3], 1])
      const again = infoOf(journal)
      assert.deepStrictEqual([again.status, again.compensating, again.undone], [status, true, undefined])
      assert.strictEqual(again.error?.tag, how === "failed" ? "No" : undefined)
      append(journal, 1, [begun("d", 3), undone("d", 3), begun("c", 1), undone("c", 1), end([])])
      assert.strictEqual(infoOf(journal).undone, 0)
    }
  })
})

/** Why an event is refused; what came before it must have been let through. */
const refusal = (before: ReadonlyArray<Body>, body: Body): string => {
  const journal = grown(...before)
  try {
    append(journal, 1, [body])
  } catch (thrown) {
    assert.strictEqual((thrown as RunState.IllegalEvent)._tag, "IllegalEvent")
    return (thrown as RunState.IllegalEvent).message
  }
  return assert.fail("it was let through")
}

const over = [...two, failing, lost("d", 3), lost("c", 1)]
const both = [leftOf("d", { started: 3, completed: 4 }), leftOf("c", { started: 1, completed: 2 })]
const inDoubt: Undone = { ...leftOf("e", { started: 5 }), inDoubt: true }

describe("an event is refused", () => {
  it.each<readonly [string, ReadonlyArray<Body>, Body, RegExp]>([
    ["an end as failed with calls to undo", two, failed, /calls to undo/],
    ["an end as failed with a call in doubt to undo", [started("c", "inDoubt")], failed, /calls to undo/],
    [
      "an end as cancelled with calls to undo",
      [...two, cancelRequested],
      { kind: "cancelled", reason: "r" },
      /to undo/
    ],
    [
      "an end before all is undone",
      [...two, failing, lost("d", 3)],
      { ...failed, undone: both },
      /calls to undo/
    ],
    [
      "an end that forgets what was not undone",
      over,
      { ...failed, undone: [inDoubt] },
      /names 0 calls.*are 2/
    ],
    ["an end that names what nobody tried to undo", [], { ...failed, undone: both }, /names 2 calls.*are 0/],
    [
      "an end as cancelled of a run that failed",
      [...over],
      { kind: "cancelled", reason: "r", undone: both },
      /running; cancelRequested/
    ],
    [
      "an end as failed of a run that is cancelled",
      [...two, cancelRequested, cancelling, lost("d", 3), lost("c", 1)],
      { ...failed, undone: both },
      /does not end as failed/
    ],
    ["a second beginning of it", [...two, failing], failing, /already/],
    ["one that neither failed nor was cancelled", two, { kind: "compensating" }, /a failure or a reason/],
    ["one that failed and was cancelled", two, { ...failing, reason: "r" }, /a failure or a reason/],
    [
      "one that failed while it is being cancelled",
      [...two, cancelRequested],
      failing,
      /cannot end as failed/
    ],
    ["one that nobody cancelled", two, cancelling, /cannot end as cancelled/],
    [
      "a request to cancel a run that undoes its calls",
      [...two, failing],
      cancelRequested,
      /undoing its calls/
    ],
    ["a visit", [...two, failing], visited, /undoing its calls/],
    ["a call", [...two, failing], started("e"), /undoing its calls/],
    ["a result of a call", [...two, started("e"), failing], completed("e"), /undoing its calls/],
    ["a pause", [...two, failing], { kind: "paused", reason: { kind: "requested" } }, /undoing its calls/],
    ["undoing in a run that does not", two, begun("d", 3), /nothing to undo/],
    ["undoing what is not next", [...two, failing], begun("c", 1), /next to be undone.*seq 3/],
    [
      "undoing by another tool",
      [...two, failing],
      { ...begun("d", 3), tool: "x" } as Body,
      /next to be undone/
    ],
    ["undoing when all is undone", over, begun("c", 1), /nothing to undo/],
    ["a result of undoing what nobody began to", [...two, failing], undone("d", 3), /nobody has begun/],
    [
      "a result of undoing what waits for its next try",
      [...two, failing, begun("d", 3), retried("d", 3)],
      undone("d", 3),
      /nobody has begun/
    ],
    [
      "a retry of a run that undid everything",
      [
        ...over.slice(0, 5),
        begun("d", 3),
        undone("d", 3),
        begun("c", 1),
        undone("c", 1),
        { ...failed, undone: [] }
      ],
      { kind: "restarted" },
      /has undone what it did/
    ],
    [
      "a retry for what is in doubt",
      [cancelRequested, { kind: "cancelled", reason: "r", undone: [inDoubt] }],
      { kind: "restarted" },
      /has undone what it did/
    ],
    [
      "a retry with edits of the state",
      [...over, { ...failed, undone: both }],
      { kind: "restarted", edits: {} },
      /no state to edit/
    ]
  ])("that is %s", (_, before, body, detail) => {
    assert.match(refusal(before, body), detail)
  })

  it("that begins a fork of a run that has begun to undo its calls", () => {
    for (const before of [
      [...two, failing],
      [...over, { ...failed, undone: both }]
    ]) {
      const journal = grown(...before)
      const { seq } = stateOf(journal)
      const fork = begin("g", { state: stateOf(journal), hash: journal.hashes.at(-1)! })
      const forked: Body = { kind: "forked", from: { run: "r", seq }, flow: "f", version: 1 }
      assert.throws(() => append(fork, 1, [forked]), /has undone its calls/)
    }
  })
})
