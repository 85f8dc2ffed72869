import { assert, describe, it } from "@effect/vitest"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Body, Event, Ops } from "../../src/Event.ts"
import type * as Cell from "../../src/internal/cell.ts"
import * as Snapshot from "../../src/internal/snapshot.ts"
import { readerOf, restored, snapshotsOf } from "./reading.ts"
import { viewOf } from "./view.ts"
import { append, begin, stateOf } from "./world.ts"
import type { Grown } from "./world.ts"

const created = (state: { readonly [channel: string]: any } = {}, input: any = null): Body => ({
  kind: "created",
  flow: "f",
  version: 1,
  fingerprint: "x",
  start: "work",
  input,
  state,
  durability: "pipelined",
  maxSteps: 1_000_000,
  maxRecoveries: 1
})

const visit = (journal: Grown, ops: Ops): void => {
  const { attempt, node, visit: count } = stateOf(journal).open[""]!
  append(journal, 1, [{ kind: "visited", node, visit: count, attempt, started: 1, ops, next: { to: node } }])
}

/** Takes a snapshot as a worker does, when one is due. */
const snapshot = (journal: Grown): boolean => {
  const state = stateOf(journal)
  if (!Snapshot.isDue(state)) return false
  const plan = Snapshot.plan(state)
  for (const piece of plan.pieces) {
    piece.placed(journal.run, journal.entries.length)
    append(journal, 1, [Snapshot.pieceBody(piece, state.seq)])
  }
  append(journal, 1, [Snapshot.headBody(plan, stateOf(journal), state.seq)])
  return true
}

/** How many bytes of a journal are of these kinds. */
const bytesOf = ({ entries }: Grown, isOf: (event: Event) => boolean): number =>
  entries.reduce((sum, { event, line }) => (isOf(event) ? sum + line.length : sum), 0)

const isSnapshot = ({ kind }: Event): boolean => kind === "snapshot" || kind === "snapshotPart"

/** The bytes of snapshots for each byte of other events, and how often one was taken. */
const grow = (journal: Grown, steps: number, ops: (i: number) => Ops) => {
  let taken = 0
  for (let i = 0; i < steps; i++) {
    visit(journal, ops(i))
    if (snapshot(journal)) taken += 1
  }
  // None is lost on the way: the last one still holds everything.
  const last = snapshotsOf(journal.entries).at(-1)!
  const again = Result.getOrThrow(restored(last, readerOf({ journals: [journal], read: () => last })))
  assert.strictEqual(viewOf(again), viewOf(journal.states[last.seq]!))
  const written = bytesOf(journal, isSnapshot)
  return { taken, written, ratio: written / bytesOf(journal, (event) => !isSnapshot(event)) }
}

const start = (state?: { readonly [channel: string]: any }, input?: any): Grown => {
  const journal = begin("run")
  append(journal, 0, [created(state, input)])
  return journal
}

const kilobyte = "k".repeat(1_000)

describe("the cost of a visit", { concurrent: false }, () => {
  it("is what it appends to a list: 10,000 versions of the list are one array", () => {
    const journal = start()
    let pushed = 0
    visit(journal, { notes: { append: [] } })
    const { items } = stateOf(journal).channels["notes"] as Cell.List<any>
    // Every item that is copied would be pushed or spliced into an array: this one sees each push.
    items.push = function (...more: ReadonlyArray<any>): number {
      pushed += more.length
      return Array.prototype.push.apply(this, more as Array<any>)
    }
    for (let i = 0; i < 10_000; i++) visit(journal, { notes: { append: [i] } })
    assert.strictEqual(pushed, 10_000)
    for (const { channels } of journal.states.slice(1))
      assert.strictEqual((channels["notes"] as Cell.List<any>).items, items)
    assert.strictEqual((journal.states[5_001]!.channels["notes"] as Cell.List<any>).length, 5_000)
  })

  it("is one copy of a list for the second continuation of a state, and none for those after it", () => {
    const journal = start()
    visit(journal, { notes: { append: [1, 2, 3] } })
    const other: Grown = {
      ...journal,
      entries: [...journal.entries],
      states: [...journal.states],
      hashes: [...journal.hashes]
    }
    const itemsOf = (of: Grown) => (stateOf(of).channels["notes"] as Cell.List<any>).items
    const shared = itemsOf(journal)
    visit(journal, { notes: { append: ["left"] } })
    visit(other, { notes: { append: ["right"] } })
    const own = itemsOf(other)
    assert.strictEqual(itemsOf(journal), shared)
    assert.notStrictEqual(own, shared)
    visit(other, { notes: { append: ["right"] } })
    assert.strictEqual(itemsOf(other), own)
  })

  it("is what it changes in a record: entries that it does not touch stay the same objects", () => {
    const journal = start()
    const entries = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key ${i}`, { at: i }]))
    visit(journal, { table: { merge: entries } })
    const before = stateOf(journal).channels["table"] as Cell.Record<any>
    visit(journal, { table: { merge: { "key 7": { at: -1 } } } })
    const after = stateOf(journal).channels["table"] as Cell.Record<any>
    assert.deepStrictEqual(HashMap.getUnsafe(before.map, "key 7"), { at: 7 })
    for (let i = 0; i < 5_000; i++) {
      const [old, now] = [before, after].map(({ map }) => HashMap.getUnsafe(map, `key ${i}`))
      if (i !== 7) assert.strictEqual(now, old)
    }
  })

  it("leaves the cells of other channels alone", () => {
    const journal = start({ big: kilobyte.repeat(1_000) })
    const { big } = stateOf(journal).channels
    for (let i = 0; i < 100; i++) visit(journal, { small: { set: i } })
    assert.strictEqual(stateOf(journal).channels["big"], big)
  })

  it("writes its update and not the state: lines do not grow with what is there", () => {
    const journal = start({ big: kilobyte.repeat(1_000) })
    for (let i = 0; i < 1_000; i++) visit(journal, { notes: { append: [kilobyte] } })
    const lines = journal.entries.slice(1).map(({ line }) => line.length)
    assert.isBelow(Math.max(...lines) - Math.min(...lines), 20)
    assert.isBelow(Math.max(...lines), 1_400)
  })
})

describe("the bytes of snapshots", { concurrent: false }, () => {
  it("of a list that grows are a small share more than the list", () => {
    const { ratio, taken } = grow(start(), 3_000, (i) => ({ notes: { append: [`${i}${kilobyte}`] } }))
    assert.isAbove(taken, 5)
    assert.isBelow(ratio, 1.2)
  })

  it("of a list that grows by little are bounded, though its pieces are merged", () => {
    const { ratio, taken } = grow(start(), 6_000, (i) => ({
      notes: { append: [i] },
      other: { set: kilobyte }
    }))
    assert.isAbove(taken, 50)
    assert.isBelow(ratio, 0.5)
  })

  it("of a record that grows are at most one and a half times what the journal grew by", () => {
    const { ratio, taken } = grow(start(), 3_000, (i) => ({ table: { merge: { [`key ${i}`]: kilobyte } } }))
    assert.isAbove(taken, 3)
    assert.isBelow(ratio, 1.5)
  })

  it("of a record of which one entry changes over and over are at most what the journal grew by", () => {
    const journal = start({
      table: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key ${i}`, kilobyte]))
    })
    const { ratio, taken } = grow(journal, 3_000, () => ({ table: { merge: { "key 7": kilobyte } } }))
    assert.isAbove(taken, 1)
    assert.isBelow(ratio, 1)
  })

  it("of values that nobody touches are none: they are named by where they stand", () => {
    const big = kilobyte.repeat(1_000)
    const journal = start({ big }, big)
    visit(journal, { list: { append: [big] }, table: { merge: { big } } })
    while (!snapshot(journal)) visit(journal, { count: { add: 1 } })
    const first = bytesOf(journal, isSnapshot)
    // The list and the record were written once.
    assert.isBelow(first, 2.1 * big.length)
    const { taken, written } = grow(journal, 20_000, () => ({ count: { add: 1 } }))
    assert.isAbove(taken, 1)
    assert.isBelow(written - first, 3_000 * taken)
    assert.strictEqual(journal.entries.filter(({ event }) => event.kind === "snapshotPart").length, 2)
  })

  it("of a large value that every visit sets are none: each stands in its event", () => {
    const { ratio, taken } = grow(start(), 300, (i) => ({ page: { set: `${i}${kilobyte.repeat(50)}` } }))
    assert.isAbove(taken, 50)
    assert.isBelow(ratio, 0.05)
  })

  it("of an open visit with a large call count as written, so that the next one is not due at once", () => {
    const journal = start()
    const place = { node: "work", visit: 1, call: "c", tool: "t" }
    append(journal, 1, [
      { kind: "callStarted", ...place, attempt: 1, key: "k", input: null },
      { kind: "callCompleted", ...place, attempt: 1, output: kilobyte.repeat(1_000) }
    ])
    let taken = 0
    for (let attempt = 1; attempt <= 2_000; attempt++) {
      const error = { kind: "encoding" as const, what: kilobyte.slice(900), message: "" }
      append(journal, 1, [
        { kind: "attemptFailed", node: "work", visit: 1, attempt, started: 1, error, due: 1 }
      ])
      if (snapshot(journal)) taken += 1
    }
    assert.isAbove(taken, 0)
    assert.isAtMost(bytesOf(journal, isSnapshot) / bytesOf(journal, (event) => !isSnapshot(event)), 2)
  })

  it("of branches that have just begun are none, and few when most of them have ended", () => {
    const journal = start()
    const branches = 5_000
    const node = "branch"
    append(journal, 1, [
      {
        kind: "visited",
        node: "work",
        visit: 1,
        attempt: 1,
        started: 1,
        next: { branches: Array.from({ length: branches }, () => ({ node })), join: "join" }
      }
    ])
    const begun = journal.entries.at(-1)!.line.length
    assert.isAbove(begun, 64 * 1024)
    assert.isFalse(snapshot(journal))
    let taken = 0
    for (let i = 0; i < branches; i++) {
      const branch = `1.${i}`
      const { visit } = Option.getOrThrow(HashMap.get(stateOf(journal).branches, branch))
      const ended = {
        node,
        visit,
        attempt: 1,
        branch,
        started: 1,
        next: { to: "join", joins: true as const }
      }
      append(journal, 1, [{ kind: "visited", ...ended }])
      if (snapshot(journal)) taken += 1
    }
    assert.isAbove(taken, 0)
    assert.isBelow(bytesOf(journal, isSnapshot) / bytesOf(journal, (event) => !isSnapshot(event)), 0.6)
  })

  it("come in pieces of bounded size", () => {
    const journal = start()
    for (let i = 0; i < 500; i++) {
      visit(journal, {
        notes: { append: [kilobyte, kilobyte] },
        table: { merge: { [`key ${i}`]: kilobyte } }
      })
    }
    assert.isTrue(snapshot(journal))
    const parts = journal.entries.filter(({ event }) => event.kind === "snapshotPart")
    assert.isAbove(parts.length, 15)
    for (const { line } of parts) assert.isBelow(line.length, 70_000)
  })
})
