import { assert, describe, it } from "@effect/vitest"
import type { Body } from "../../src/Event.ts"
import * as RunInfo from "../../src/RunInfo.ts"
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
  maxRecoveries: 1,
  timeout: 500
}
const error = { kind: "interrupted" } as const
const attemptFailed = (attempt: number, restart: boolean): Body => ({
  kind: "attemptFailed",
  node: "a",
  visit: 1,
  attempt,
  started: 1,
  error,
  due: 9,
  ...(restart ? { restart: true } : undefined)
})
const failed: Body = { kind: "failed", error }

const grown = (...bodies: ReadonlyArray<Body>): Grown => {
  const journal = begin("r")
  append(journal, 1000, [created, ...bodies])
  return journal
}
const infoOf = ({ entries }: Grown): RunInfo.RunInfo =>
  entries.reduce<RunInfo.RunInfo | undefined>((info, { event }) => RunInfo.apply(info, event), undefined)!

describe("automatic restarts", () => {
  it("are remembered with their failures; the visit's own failures are counted anew after each", () => {
    const journal = grown(attemptFailed(1, false), attemptFailed(2, true), attemptFailed(3, false))
    const { autoRestarts, open } = stateOf(journal)
    assert.deepStrictEqual(autoRestarts, [{ time: 1000, error }])
    assert.strictEqual(open[""]!.attempt, 4)
    assert.deepStrictEqual(open[""]!.failures, [{ time: 1000, error }])
    append(journal, 1000, [attemptFailed(4, true)])
    assert.lengthOf(stateOf(journal).autoRestarts!, 2)
    assert.deepStrictEqual(stateOf(journal).open[""]!.failures, [])
    append(journal, 1000, [failed, { kind: "restarted" }])
    assert.isUndefined(stateOf(journal).autoRestarts)
  })
})

describe("the limit of a run's time", () => {
  it("counts from when it was created, retried, or forked; in the index it is due then", () => {
    const journal = grown()
    assert.deepInclude(stateOf(journal), { timeout: 500, deadline: 1500 })
    assert.deepInclude(infoOf(journal), { timeout: 500, deadline: 1500, due: 1500 })
    append(journal, 1400, [failed])
    assert.isUndefined(infoOf(journal).due)
    append(journal, 2000, [{ kind: "restarted" }])
    assert.strictEqual(stateOf(journal).deadline, 2500)
    assert.deepInclude(infoOf(journal), { deadline: 2500, due: 2500 })
    const fork = begin("g", { state: stateOf(journal), hash: journal.hashes.at(-1)! })
    append(fork, 3000, [{ kind: "forked", from: { run: "r", seq: 2 }, flow: "f", version: 1, timeout: 500 }])
    assert.strictEqual(stateOf(fork).deadline, 3500)
    assert.strictEqual(infoOf(fork).due, 3500)
  })

  it("comes with that of waits, whichever is first, and not for a run that is paused or about to end", () => {
    const place = { node: "a", visit: 1, attempt: 1 }
    const wait = (name: string, due: number): Body => ({
      kind: "waitOpened",
      ...place,
      wait: name,
      on: { type: "until" },
      due
    })
    const ended: Body = { kind: "waitEnded", wait: "soon", outcome: { timedOut: true } }
    assert.strictEqual(infoOf(grown(wait("soon", 1200))).due, 1200)
    assert.strictEqual(infoOf(grown(wait("soon", 1200), ended)).due, 1500)
    assert.strictEqual(infoOf(grown(wait("late", 1700))).due, 1500)
    const paused: Body = { kind: "paused", reason: { kind: "requested" } }
    assert.strictEqual(infoOf(grown(wait("late", 1700), paused)).due, 1700)
    assert.strictEqual(infoOf(grown(wait("late", 1700), paused, { kind: "resumed" })).due, 1500)
    assert.isUndefined(infoOf(grown({ kind: "cancelRequested", reason: "r" })).due)
    assert.isUndefined(infoOf(grown({ kind: "compensating", error })).due)
  })

  it("is repeated by a fork as it is", () => {
    const journal = grown()
    const fork = begin("g", { state: stateOf(journal), hash: journal.hashes.at(-1)! })
    const forked: Body = { kind: "forked", from: { run: "r", seq: 0 }, flow: "f", version: 1, timeout: 5 }
    assert.throws(() => append(fork, 1, [forked]), /timeout is 5, which is 500/)
  })
})
