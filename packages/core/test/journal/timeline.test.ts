import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Runs from "../../src/Runs.ts"
import { openVisits } from "../../src/RunState.ts"
import type { RunState } from "../../src/RunState.ts"
import * as Timeline from "../../src/Timeline.ts"
import { clientOf, more, written } from "../client/reading.ts"
import { build, numbers } from "./world.ts"

const options = { arbitrary: { runs: 60, seed: 1 }, timeout: 300_000 }

/** What is open by the state: visits, and their waits. */
const openOf = (state: RunState) =>
  [...openVisits(state)]
    .map(([branch, { attempt, node, visit, waiting }]) => [branch, node, visit, attempt, [...waiting].sort()])
    .sort(byText)

const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

const isOver = (status: Timeline.Timeline["status"]) => ["completed", "failed", "cancelled"].includes(status)

/** The same by the timeline: what is not over. Once the run ends, or is about to, so are its visits. */
const openIn = ({ visits }: Timeline.Timeline, since: number) =>
  visits
    .filter(({ ended }) => ended === undefined || ended.seq >= since)
    .map(({ attempt, branch, node, visit, waits }) => [
      branch,
      node,
      visit,
      attempt,
      waits
        .filter(({ ended }) => ended === undefined)
        .map(({ wait }) => wait)
        .sort()
    ])
    .sort(byText)

const range = (length: number) => Array.from({ length }, (_, i) => i)

describe("a timeline", { concurrent: false }, () => {
  it.prop(
    "says after every event what the state says",
    { numbers: numbers(150) },
    ({ numbers }) => {
      for (const { entries, origin, states } of build(numbers).journals) {
        const { add, timeline } = Timeline.make(origin?.state)
        // Where the run last came to its end, or began to undo what it did: its visits are over from there on.
        let stopped = Infinity
        entries.forEach(({ event }, i) => {
          const state = states[i]!
          add(event)
          if (event.kind === "compensating" || event.kind === "failed" || event.kind === "cancelled")
            stopped = Math.min(stopped, i)
          if (event.kind === "restarted" && state.compensating === undefined) stopped = Infinity
          const where = `after ${event.kind} at ${i}`
          assert.strictEqual(timeline.status, state.status, where)
          assert.deepStrictEqual(openIn(timeline, stopped), openOf(state), where)
          for (const visit of timeline.visits) {
            if (visit.ended !== undefined) continue
            const calls = Option.fromUndefinedOr(
              [...openVisits(state)].find(([branch]) => branch === visit.branch)
            )
            for (const { call, status } of visit.calls) {
              const known = Option.flatMap(calls, ([, { calls }]) => HashMap.get(calls, call))
              // One that failed and may have taken effect is in doubt again for the next attempt.
              if (Option.isSome(known) && !(status === "failed" && known.value.status === "started")) {
                assert.strictEqual(status, known.value.status, where)
              }
            }
            assert.strictEqual(
              visit.waits.some(({ ended }) => ended === undefined),
              visit.status === "waiting"
            )
          }
          if (isOver(timeline.status))
            assert.isTrue(timeline.visits.every(({ ended }) => ended !== undefined))
        })
        const visited = entries.filter(
          ({ event }) => event.kind === "visited" || event.kind === "visitFailed"
        )
        assert.strictEqual(timeline.visits.filter(({ to }) => to !== undefined).length, visited.length)
      }
    },
    options
  )

  it.prop(
    "that begins in the middle is open where the whole one is",
    { numbers: numbers(80) },
    ({ numbers }) => {
      for (const { entries, states } of build(numbers).journals) {
        const middle = entries.length >>> 1
        const last = states[states.length - 1]!
        if (middle === 0 || isOver(last.status) || last.compensating !== undefined) continue
        const { add, timeline } = Timeline.make(states[middle - 1])
        for (const { event } of entries.slice(middle)) add(event)
        if (isOver(states[middle - 1]!.status)) continue
        assert.deepStrictEqual(openIn(timeline, Infinity), openOf(last))
        // What happened in the journal that this one was forked from is not to be found in this one.
        for (const { calls, opened, visit } of timeline.visits) {
          for (const { seq } of [opened, ...calls.map(({ started }) => started)])
            assert.include(range(entries.length), seq, `a position of visit ${visit}`)
        }
      }
    },
    options
  )

  it.effect("of a run has attempts, calls, waits, edges and nodes", () =>
    Effect.gen(function* () {
      const no = { kind: "error" as const, tag: "No", message: "no", error: "no" }
      const visit = { node: "work", visit: 1, attempt: 1 }
      const journal = written("r", [
        {
          kind: "created",
          flow: "f",
          version: 1,
          fingerprint: "x",
          start: "work",
          input: {},
          state: {},
          durability: "pipelined",
          maxSteps: 10,
          maxRecoveries: 3
        }
      ])
      more(journal, [
        { kind: "callStarted", ...visit, call: "c", tool: "t", key: "k", input: {} },
        {
          kind: "callRetried",
          ...visit,
          call: "c",
          tool: "t",
          error: no,
          due: 0
        },
        { kind: "callRepeated", ...visit, call: "c", tool: "t" },
        { kind: "callCompleted", ...visit, call: "c", tool: "t", output: 1 },
        { kind: "attemptFailed", ...visit, started: 1, error: no, due: 9_000 },
        { kind: "waitOpened", ...visit, attempt: 2, wait: "w", on: { type: "event", name: "go" } },
        { kind: "waitEnded", wait: "w", outcome: { value: 1 }, actor: "ada" },
        { kind: "visited", ...visit, attempt: 2, started: 5, next: { to: "rest" } },
        {
          kind: "visitFailed",
          node: "rest",
          visit: 2,
          attempt: 1,
          started: 6,
          error: no,
          outcome: { status: "skipped", to: "work" }
        }
      ])
      const { runs } = yield* clientOf([journal])
      const timeline = yield* Timeline.read("r").pipe(Effect.provideService(Runs.Runs, runs))
      assert.strictEqual(timeline.status, "running")
      const [first, second, third] = timeline.visits
      assert.strictEqual(timeline.visits.length, 3)
      assert.deepInclude(first, { node: "work", status: "completed", attempt: 2, started: 5, to: ["rest"] })
      assert.deepStrictEqual(
        first!.failures.map(({ attempt, due, started }) => [attempt, started, due]),
        [[1, 1, 9_000]]
      )
      assert.deepStrictEqual(
        first!.calls.map(({ call, status, tool, tries }) => [call, tool, status, tries]),
        [["c", "t", "completed", 2]]
      )
      assert.deepStrictEqual(
        first!.waits.map(({ actor, outcome, wait }) => [wait, outcome, actor]),
        [["w", "value", "ada"]]
      )
      assert.deepInclude(second, { node: "rest", status: "skipped", to: ["work"] })
      assert.deepInclude(third, { node: "work", visit: 3, status: "running", attempt: 1 })
      assert.deepStrictEqual(timeline.edges, [
        { from: "work", to: "rest", count: 1 },
        { from: "rest", to: "work", count: 1 }
      ])
      assert.deepStrictEqual(
        Timeline.nodes(timeline, ["work", "rest", "never"]).map(({ attempts, node, status, visits }) => [
          node,
          status,
          visits,
          attempts
        ]),
        [
          ["work", "running", 2, 3],
          ["rest", "skipped", 1, 1],
          ["never", "pending", 0, 0]
        ]
      )
      const part = yield* Timeline.read("r", { from: 9 }).pipe(Effect.provideService(Runs.Runs, runs))
      assert.deepStrictEqual(
        part.visits.map(({ node, status, visit }) => [node, visit, status]),
        [
          ["rest", 2, "skipped"],
          ["work", 3, "running"]
        ]
      )
    })
  )
})
