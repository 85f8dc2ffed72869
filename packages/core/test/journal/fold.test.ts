import { assert, describe, it } from "@effect/vitest"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Json } from "effect/Schema"
import * as Schema from "effect/Schema"
import { Event } from "../../src/Event.ts"
import * as Journal from "../../src/Journal.ts"
import * as RunState from "../../src/RunState.ts"
import { arbitraryEvent } from "./arbitraryEvent.ts"
import { choiceOf, hostile } from "./choice.ts"
import type { Choice } from "./choice.ts"
import { applied, folded, readerOf, reread, restored, snapshotsOf } from "./reading.ts"
import { nextOf } from "./steps.ts"
import { canonical, viewOf } from "./view.ts"
import { append, build, fixedNumbers, numbers, stateOf } from "./world.ts"
import type { Grown, World } from "./world.ts"

const worlds = { numbers: numbers(120) }
const options = { arbitrary: { runs: 30, seed: 1 }, timeout: 300_000 }

describe("the generator of journals", { concurrent: false }, () => {
  it("makes every kind of event, operation and status, branches in branches, and forks that share parts", () => {
    const kinds = new Set<string>()
    const ops = new Set<string>()
    const statuses = new Set<string>()
    const depths = new Set<number>()
    let shared = 0
    for (let seed = 0; seed < 60; seed++) {
      for (const { entries, run, states } of build(fixedNumbers(seed, 200)).journals) {
        for (const { event } of entries) {
          kinds.add(event.kind)
          if (event.kind === "visited")
            for (const op of Object.values(event.ops ?? {})) ops.add(Object.keys(op)[0]!)
        }
        for (const { head } of snapshotsOf(entries)) {
          const runs = JSON.stringify(head).matchAll(/"run":("[^"]*"),"seq":\d+[,}]/g)
          for (const [, of] of runs) if (of !== JSON.stringify(run)) shared += 1
        }
        for (const state of states) {
          statuses.add(state.status)
          for (const [branch] of RunState.openVisits(state))
            depths.add(branch === "" ? 0 : branch.split("/").length)
        }
      }
    }
    assert.strictEqual(kinds.size, Event.members.length)
    assert.deepStrictEqual([...ops].sort(), ["add", "append", "combine", "merge", "set", "unset"])
    assert.strictEqual(statuses.size, 8)
    assert.includeMembers([...depths], [0, 1, 2])
    assert.isAbove(shared, 20)
  }, 300_000)
})

describe("the fold", { concurrent: false }, () => {
  it.prop(
    "gives the same from the stored lines as it gave to the writer",
    worlds,
    ({ numbers }) => {
      for (const journal of build(numbers).journals) {
        let state = journal.origin?.state
        reread(journal).forEach((entry, i) => {
          state = applied(state, entry)
          if (i % 8 === 0) assert.strictEqual(viewOf(state), viewOf(journal.states[i]!))
        })
        assert.strictEqual(viewOf(state!), viewOf(stateOf(journal)))
      }
    },
    options
  )

  it.prop(
    "holds in the channels what the operations say, whatever the channels are called",
    worlds,
    ({ numbers }) => {
      for (const { entries, origin, states } of build(numbers).journals) {
        const contents = new Map<string, Json>(
          Object.entries(origin === undefined ? {} : RunState.stateOf(origin.state))
        )
        entries.forEach(({ event }, i) => {
          said(contents, event)
          if (i % 4 === 0)
            assert.strictEqual(
              canonical(RunState.stateOf(states[i]!)),
              canonical(Object.fromEntries(contents))
            )
        })
      }
    },
    options
  )

  it.prop(
    "gives the same from any snapshot and what follows as from the beginning",
    worlds,
    ({ numbers }) => {
      const world = build(numbers)
      for (const journal of world.journals) {
        const entries = reread(journal)
        for (const snapshot of snapshotsOf(entries)) {
          let state = Result.getOrThrow(restored(snapshot, readerOf(world)))
          assert.strictEqual(viewOf(state), viewOf(journal.states[snapshot.seq]!))
          for (const entry of entries.slice(snapshot.seq + 1)) {
            state = applied(state, entry)
            if (entry.event.seq < snapshot.seq + 5) {
              assert.strictEqual(viewOf(state), viewOf(journal.states[entry.event.seq]!))
            }
          }
          assert.strictEqual(viewOf(state), viewOf(stateOf(journal)))
        }
      }
    },
    options
  )

  it.prop(
    "can go on from a restored snapshot: the next snapshots hold the run as well",
    { ...worlds, more: numbers(60) },
    ({ more, numbers }) => {
      const world = build(numbers)
      const read = readerOf(world)
      for (const journal of world.journals) {
        const snapshot = snapshotsOf(reread(journal)).at(-1)
        if (snapshot === undefined) continue
        const state = Result.getOrThrow(restored(snapshot, read))
        const { seq } = snapshot
        const continued: Grown = {
          ...journal,
          entries: journal.entries.slice(0, seq + 1),
          hashes: journal.hashes.slice(0, seq + 1),
          states: [...journal.states.slice(0, seq), state]
        }
        continueWith(continued, more)
        const readContinued = (run: string, at: number): Event =>
          run === journal.run
            ? Result.getOrThrow(Journal.parse(continued.entries[at]!.line)).event
            : read(run, at)
        for (const later of snapshotsOf(reread(continued))) {
          const again = Result.getOrThrow(restored(later, readContinued))
          assert.strictEqual(viewOf(again), viewOf(continued.states[later.seq]!))
        }
      }
    },
    options
  )

  it.prop(
    "never changes a state that it gave before",
    worlds,
    ({ numbers }) => {
      const seen: Array<readonly [RunState.RunState, string]> = []
      build(numbers, { onState: (_, state) => seen.push([state, viewOf(state)]) })
      for (const [state, view] of seen) assert.strictEqual(viewOf(state), view)
    },
    options
  )

  it.prop(
    "keeps two continuations of one state apart",
    { ...worlds, left: numbers(40), right: numbers(40) },
    ({ left, numbers, right }) => {
      const [journal] = build(numbers).journals as [Grown]
      const copy = (): Grown => ({
        ...journal,
        entries: [...journal.entries],
        hashes: [...journal.hashes],
        states: [...journal.states]
      })
      const [one, other] = [copy(), copy()]
      // Turn by turn, so that each finds the other's items behind its own.
      for (let i = 0; i < Math.max(left.length, right.length); i++) {
        continueWith(one, left.slice(i, i + 1))
        continueWith(other, right.slice(i, i + 1))
      }
      for (const each of [one, other]) {
        assert.strictEqual(viewOf(folded(reread(each), each.origin?.state)), viewOf(stateOf(each)))
      }
    },
    options
  )

  it.prop(
    "answers any event with a state or with IllegalEvent, which says where it stands",
    { ...worlds, seed: Schema.Int },
    ({ numbers, seed }) => {
      const world = build(numbers)
      const choice = choiceOf(seed)
      let illegal = 0
      for (let i = 0; i < 200; i++) {
        const journal = choice.pick(world.journals)
        const at = choice.int(-1, journal.states.length - 1)
        const state = at < 0 ? journal.origin?.state : journal.states[at]!
        const event = nearly(choice, world, journal, at)
        const before = state === undefined || i % 10 !== 0 ? undefined : viewOf(state)
        const result = RunState.apply(state, event, 100)
        if (Result.isFailure(result)) {
          illegal += 1
          assert.strictEqual(result.failure._tag, "IllegalEvent")
          const { kind, run, seq } = result.failure
          assert.deepStrictEqual({ run, seq, kind }, { run: event.run, seq: event.seq, kind: event.kind })
          assert.isAbove(result.failure.detail.length, 5)
        } else viewOf(result.success)
        if (before !== undefined) assert.strictEqual(viewOf(state!), before)
      }
      assert.isAbove(illegal, 20)
    },
    options
  )
})

/** What an event does to the content of the channels, in the plainest way there is. */
const said = (contents: Map<string, Json>, event: Event): void => {
  if (event.kind === "created")
    for (const [channel, value] of Object.entries(event.state)) contents.set(channel, value)
  const isMain = (event.kind === "visited" || event.kind === "joined") && (event.branch ?? "") === ""
  const ops =
    isMain || event.kind === "migrated"
      ? event.ops
      : event.kind === "restarted" || event.kind === "forked"
        ? event.edits
        : undefined
  for (const [channel, op] of Object.entries(ops ?? {})) {
    const before = contents.get(channel)
    if ("set" in op) contents.set(channel, op.set)
    else if ("append" in op) contents.set(channel, [...((before ?? []) as ReadonlyArray<Json>), ...op.append])
    else if ("merge" in op) {
      const entries = [
        ...Object.entries((before ?? {}) as { [key: string]: Json }),
        ...Object.entries(op.merge)
      ]
      contents.set(channel, Object.fromEntries(entries))
    } else if ("add" in op) contents.set(channel, ((before ?? 0) as number) + op.add)
    else contents.delete(channel)
  }
}

/** Lets a journal grow; time and pieces of snapshots are its own. */
const continueWith = (journal: Grown, numbers: ReadonlyArray<number>): void => {
  for (const number of numbers) {
    const state = stateOf(journal)
    const now = state.time + (number % 50)
    const step = nextOf(choiceOf(number), state, now, journal.hashes.at(-1)!)
    append(journal, now, step.bodies)
    for (const more of step.more ?? []) append(journal, now, more(stateOf(journal)))
  }
}

/** An event that fits a place in a journal, nearly: of any kind, with names that mean something there. */
const nearly = (choice: Choice, world: World, journal: Grown, at: number): Event => {
  const { chance, pick } = choice
  const state = journal.states[at]
  const strings = [
    ...hostile,
    "gather",
    "join",
    "search",
    "1.0",
    ...(state === undefined ? [] : HashMap.keys(state.branches)),
    ...(state === undefined ? [] : HashMap.keys(state.fanOuts)),
    ...(state === undefined ? [] : HashMap.keys(state.waits)),
    ...Object.keys(state?.channels ?? {})
  ]
  const other = pick(pick(world.journals).entries).event
  const event = chance(0.5) ? arbitraryEvent(choice, strings) : other
  if (chance(0.05)) return event
  const fitted = {
    ...event,
    run: journal.run,
    seq: at + 1,
    epoch: state?.epoch ?? 0,
    time: Math.max(event.time, state?.time ?? 0),
    prev: journal.hashes[at] ?? Journal.genesis
  }
  const visits = state === undefined ? [] : [...RunState.openVisits(state)]
  const open = visits.length === 0 ? undefined : pick(visits)[1]
  const placed =
    "attempt" in event && open !== undefined && chance(0.7)
      ? { ...fitted, node: open.node, visit: open.visit, attempt: open.attempt }
      : fitted
  return placed
}
