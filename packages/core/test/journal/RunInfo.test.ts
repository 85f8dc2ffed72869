import { assert, describe, it } from "@effect/vitest"
import * as HashMap from "effect/HashMap"
import * as Schema from "effect/Schema"
import type { Body } from "../../src/Event.ts"
import { isTimed } from "../../src/internal/engine/deadlines.ts"
import * as Journal from "../../src/Journal.ts"
import * as RunInfo from "../../src/RunInfo.ts"
import { nodeOf } from "../../src/RunState.ts"
import type { RunState } from "../../src/RunState.ts"
import { objectOf } from "./choice.ts"
import { canonical } from "./view.ts"
import { append, begin, build, hash, numbers, stateOf } from "./world.ts"

const options = { arbitrary: { runs: 40, seed: 1 }, timeout: 300_000 }

/** What the row of a run says of its state. */
const rowOf = (state: RunState): unknown => ({
  run: state.run,
  flow: state.flow,
  version: state.version,
  status: state.status,
  durability: state.durability,
  seq: state.seq,
  epoch: state.epoch,
  steps: state.steps,
  updatedAt: state.time,
  snapshot: state.snapshot.seq,
  session: state.session,
  actor: state.actor,
  correlation: state.correlation,
  parent: state.parent?.run,
  forkOf: state.forkOf,
  pause: state.pause?.kind,
  compensating: state.compensating !== undefined,
  undone: state.ending !== undefined && "undone" in state.ending ? state.ending.undone.length : undefined,
  failed: state.ending?.status === "failed" ? state.ending.error.kind : state.compensating?.error?.kind,
  waits: [...HashMap.keys(state.waits)].sort(),
  timeout: state.timeout,
  deadline: state.deadline,
  due: HashMap.toValues(state.waits).reduce(
    (due, wait) => Math.min(due, wait.due ?? Infinity),
    isTimed(state) ? state.deadline! : Infinity
  ),
  inbox: state.inbox,
  budgets: limitsOf(state.budgets)
})

/** What a fork's row says of budgets begins with what the fork spends. */
const limitsOf = (budgets: RunState["budgets"]) =>
  budgets && objectOf(Object.entries(budgets).map(([name, { limit, spent }]) => [name, { limit, spent }]))

const saidBy = (info: RunInfo.RunInfo, state: RunState): unknown => ({
  run: info.run,
  flow: info.flow,
  version: info.version,
  status: info.status,
  durability: info.durability,
  seq: info.seq,
  epoch: info.epoch,
  steps: info.steps,
  updatedAt: info.updatedAt,
  snapshot: info.snapshot,
  session: info.session,
  actor: info.actor,
  correlation: info.correlation,
  parent: info.parent,
  // A fork of a fork says what it was forked from; only that.
  forkOf: info.forkOf,
  pause: info.pause,
  compensating: info.compensating === true,
  undone: info.undone,
  failed: info.error?.kind,
  waits: info.waits.map(({ wait }) => wait).sort(),
  timeout: info.timeout,
  deadline: info.deadline,
  due: info.due ?? Infinity,
  inbox: info.inbox ?? (Object.keys(state.inbox).length === 0 ? state.inbox : undefined),
  budgets: state.forkOf === undefined ? info.budgets : limitsOf(state.budgets)
})

const encode = Schema.encodeUnknownSync(RunInfo.RunInfo, { onExcessProperty: "error" })

describe("the row of a run", { concurrent: false }, () => {
  it.prop(
    "agrees with the state after every event",
    { numbers: numbers(150) },
    ({ numbers }) => {
      for (const { entries, states } of build(numbers).journals) {
        let info: RunInfo.RunInfo | undefined
        entries.forEach(({ event }, i) => {
          const state = states[i]!
          info = RunInfo.apply(info, event)
          assert.strictEqual(
            canonical(saidBy(info, state)),
            canonical(rowOf(state)),
            `after ${event.kind} at ${i}`
          )
          if (nodeOf(state) !== undefined) assert.strictEqual(info.node, nodeOf(state), event.kind)
          assert.strictEqual(RunInfo.isTerminal(info.status), info.ended !== undefined)
          if (info.ended !== undefined) {
            assert.include(["completed", "failed", "cancelled"], entries[info.ended]!.event.kind)
            assert.strictEqual(info.endedAt, entries[info.ended]!.event.time)
          }
        })
        // It goes through JSON: that is how stores keep it.
        const stored: unknown = JSON.parse(JSON.stringify(encode(info)))
        assert.strictEqual(canonical(Schema.decodeUnknownSync(RunInfo.RunInfo)(stored)), canonical(info))
      }
    },
    options
  )

  const grow = (...bodies: ReadonlyArray<Body>) => {
    const journal = begin("r")
    append(journal, 1, [
      {
        kind: "created",
        flow: "f",
        version: 1,
        fingerprint: "x",
        start: "a",
        input: null,
        state: {},
        durability: "strict",
        maxSteps: 10,
        maxRecoveries: 1
      }
    ])
    for (const body of bodies) append(journal, 2, [body])
    let info: RunInfo.RunInfo | undefined
    for (const { event } of journal.entries) info = RunInfo.apply(info, event)
    return { journal, info: info!, state: stateOf(journal) }
  }
  const failed: Body = { kind: "failed", error: { kind: "interrupted" }, node: "a", visit: 1, attempt: 1 }

  it("stays ended when somebody claims the run to leave a note", () => {
    const { info, journal } = grow(failed)
    const claimed: Body = {
      kind: "claimed",
      owner: "o",
      cause: "handover",
      previous: { epoch: 0, seq: 1, hash: journal.hashes[1]! }
    }
    append(journal, 3, [claimed, { kind: "annotated", note: "seen" }])
    const later = journal.entries.slice(2).reduce((row, { event }) => RunInfo.apply(row, event), info)
    assert.strictEqual(later.status, "failed")
    assert.strictEqual(stateOf(journal).status, "failed")
    assert.strictEqual(later.ended, 1)
  })

  it("knows commands by source and position, whatever the source is called", () => {
    const command = (source: string, position: number): Body => ({
      kind: "commandIgnored",
      note: "n",
      command: { id: `${source}${position}`, source, position }
    })
    const { info, state } = grow(
      command("__proto__", 2),
      command("", 1),
      command("__proto__", 1),
      command("__proto__", 4)
    )
    assert.strictEqual(canonical(info.inbox), canonical(state.inbox))
    assert.deepStrictEqual(
      [1, 2, 3, 4, 5].map((position) => RunInfo.isHandled(info, "__proto__", position)),
      [true, true, false, true, false]
    )
    assert.isFalse(RunInfo.isHandled(info, "constructor", 1))
    // Inboxes begin at 1.
    assert.isTrue(RunInfo.isHandled(info, "constructor", 0))
  })

  it("names the node that joins while branches are open, and the last one when the run ended", () => {
    const place = { node: "a", visit: 1, attempt: 1, started: 1 }
    const fanned = grow({ kind: "visited", ...place, next: { branches: [{ node: "b" }], join: "j" } })
    assert.strictEqual(fanned.info.node, "j")
    const skipped = grow(
      {
        kind: "visitFailed",
        ...place,
        error: { kind: "interrupted" },
        outcome: { status: "skipped", to: "end" }
      },
      { kind: "completed", output: null }
    )
    assert.strictEqual(skipped.info.node, "a")
  })

  it("of a fork that does not say how its origin stood begins at nothing", () => {
    const { journal, state } = grow()
    const fork = begin("g", { state, hash: journal.hashes[0]! })
    append(fork, 5, [{ kind: "forked", from: { run: "r", seq: 0 }, flow: "f", version: 1 }])
    const info = RunInfo.apply(undefined, fork.entries[0]!.event)
    assert.deepStrictEqual([info.steps, info.durability, info.node], [0, "pipelined", undefined])
    assert.strictEqual(fork.entries[0]!.event.prev, hash(journal.entries[0]!.line))
    assert.notStrictEqual(fork.entries[0]!.event.prev, Journal.genesis)
  })
})
