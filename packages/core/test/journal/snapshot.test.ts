import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Event, Of, Ops } from "../../src/Event.ts"
import type * as Cell from "../../src/internal/cell.ts"
import * as Snapshot from "../../src/internal/snapshot.ts"
import { SnapshotHead } from "../../src/internal/snapshotHead.ts"
import type { ChannelHead } from "../../src/internal/snapshotHead.ts"
import { arbitraryEvent, arbitraryOf } from "./arbitraryEvent.ts"
import { choiceOf, hostile } from "./choice.ts"
import * as RunState from "../../src/RunState.ts"
import { parsed, readerOf, reread, restored, snapshotsOf } from "./reading.ts"
import { created } from "./steps.ts"
import { viewOf } from "./view.ts"
import { append, begin, build, fixedNumbers, numbers, stateOf } from "./world.ts"

const options = { arbitrary: { runs: 30, seed: 1 }, timeout: 300_000 }

const partsOf = ({ head }: Of<"snapshot">): ReadonlyArray<{ readonly run: string; readonly seq: number }> => {
  const { channels, input } = head as unknown as SnapshotHead
  return [...Object.values(channels), input].flatMap((held: ChannelHead): ReadonlyArray<Cell.Origin> =>
    "parts" in held ? held.parts : "part" in held ? [held.part] : []
  )
}

const snapshots = Array.from({ length: 12 }, (_, seed) => build(fixedNumbers(seed, 200))).flatMap((world) =>
  world.journals.flatMap((journal) =>
    snapshotsOf(reread(journal)).map((snapshot) => ({ journal, snapshot, world }))
  )
)

describe("a snapshot", { concurrent: false }, () => {
  it("that names an event which does not hold its part says which", () => {
    let lost = 0
    for (const { snapshot, world } of snapshots) {
      for (const part of partsOf(snapshot)) {
        const read = readerOf(world)
        const instead = (run: string, seq: number): Event =>
          run === part.run && seq === part.seq
            ? { ...read(run, seq), kind: "annotated", note: "instead" }
            : read(run, seq)
        const result = restored(snapshot, instead)
        assert.isTrue(Result.isFailure(result))
        if (Result.isFailure(result))
          assert.match(result.failure, new RegExp(`^${part.seq}: a snapshot says that it holds`))
        lost += 1
      }
    }
    assert.isAbove(lost, 100)
  })

  it("that lacks a part of a list says so, though what is left could be read", () => {
    let tried = 0
    for (const { snapshot, world } of snapshots) {
      const head = snapshot.head as unknown as SnapshotHead
      for (const [channel, held] of Object.entries(head.channels)) {
        if (held.type !== "List" || held.parts.length === 0) continue
        for (const parts of [held.parts.slice(1), held.parts.slice(0, -1)]) {
          const channels = { ...head.channels, [channel]: { ...held, parts } }
          const result = restored({ ...snapshot, head: { ...head, channels } as never }, readerOf(world))
          assert.match(Result.isFailure(result) ? result.failure : "", /items? .*(is missing|are there)/)
          tried += 1
        }
      }
    }
    assert.isAbove(tried, 20)
  })

  it("of another run is refused", () => {
    const { snapshot, world } = snapshots[0]!
    assert.isTrue(Result.isFailure(restored({ ...snapshot, run: "another" }, readerOf(world))))
  })

  it.prop(
    "with any head, and with any events in the place of its parts, is a state or an error and never a defect",
    { numbers: numbers(40), seed: Schema.Int },
    ({ numbers, seed }) => {
      const choice = choiceOf(seed)
      const { journals } = build(numbers)
      const names = [...hostile, ...journals.map(({ run }) => run)]
      const header = journals[0]!.entries[0]!.event
      for (let i = 0; i < 30; i++) {
        const head = arbitraryOf(SnapshotHead.ast, choice, names) as SnapshotHead
        const wrong = choice.chance(0.2) ? (choice.pick([null, 1, [], {}]) as never) : head
        const event = {
          ...header,
          kind: "snapshot",
          at: 0,
          bytes: 1,
          head: { ...wrong, run: header.run }
        } as unknown as Of<"snapshot">
        const result = restored(event, () => arbitraryEvent(choice, Object.keys(head.channels)))
        if (Result.isSuccess(result)) viewOf(result.success)
      }
    },
    options
  )

  it("after a list or a record was replaced by another holds the other, and nothing of the first", () => {
    const journal = begin("r")
    append(journal, 1, [{ ...created(choiceOf(1)), state: {} }])
    const step = (...changes: ReadonlyArray<Ops>): void => {
      for (const ops of changes) {
        const { attempt, node, visit } = stateOf(journal).open[""]!
        append(journal, 1, [{ kind: "visited", node, visit, attempt, started: 1, ops, next: { to: node } }])
      }
      const state = stateOf(journal)
      const plan = Snapshot.plan(state)
      for (const piece of plan.pieces) {
        piece.placed("r", journal.entries.length)
        append(journal, 1, [Snapshot.pieceBody(piece, state.seq)])
      }
      append(journal, 1, [Snapshot.headBody(plan, stateOf(journal), state.seq)])
      const read = (_run: string, seq: number): Event => parsed(journal.entries[seq]!.line).event
      const again = Result.getOrThrow(restored(snapshotsOf(reread(journal)).at(-1)!, read))
      assert.strictEqual(viewOf(again), viewOf(stateOf(journal)))
    }
    step({ list: { append: [1, 2] }, table: { merge: { a: 1 } } })
    step(
      { list: { unset: true }, table: { unset: true } },
      { list: { append: [7, 8, 9] }, table: { merge: { b: 2 } } }
    )
    step(
      { list: { set: [5, 6, 7, 8] }, table: { set: { c: 3 } } },
      { list: { append: [9] }, table: { merge: { d: 4 } } }
    )
    step({ list: { append: [] }, table: { merge: {} } })
    assert.deepStrictEqual(RunState.stateOf(stateOf(journal))["list"], [5, 6, 7, 8, 9])
    assert.deepStrictEqual(RunState.stateOf(stateOf(journal))["table"], { c: 3, d: 4 })
  })
})
