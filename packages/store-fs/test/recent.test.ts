import { assert, describe, it } from "@effect/vitest"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { makeRun } from "../src/internal/model.ts"
import type { Run } from "../src/internal/model.ts"
import * as Recent from "../src/internal/recent.ts"
import { created, extend, noted } from "./scenario.ts"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** Writes a run of three entries. */
const write = (recent: Recent.Recent, id: string): Run => {
  const run = makeRun(id)
  const { batch } = extend({ run: id, epoch: 0, entries: [] }, [created, noted("one"), noted("two")])
  for (const entry of batch.entries) recent.remember(run, entry)
  return run
}

const seqsOf = (run: Run): ReadonlyArray<number> =>
  run.recent.slice(run.recentStart).map(({ event }) => event.seq)

describe("what was written last", () => {
  it("is not kept of a run that is not there any more, nor the run, and stays of the others", async () => {
    const recent = Recent.make()
    const stays = write(recent, "stays")
    const gone = Array.from({ length: 100 }, (_, i) => {
      const run = write(recent, `gone-${i}`)
      recent.forget(run)
      return new WeakRef(run)
    })
    // What a weak reference was made of stays until the end of the turn.
    await new Promise(setImmediate)
    collectGarbage()
    // One that went last may lie among those that stay.
    assert.isAtMost(gone.filter((run) => run.deref() !== undefined).length, 1)
    assert.deepStrictEqual(seqsOf(stays), [0, 1, 2])
  })

  it("is dropped in the order in which it was written, whatever was forgotten between", () => {
    const recent = Recent.make()
    const [first, second, third] = [write(recent, "first"), write(recent, "second"), write(recent, "third")]
    recent.forget(second)
    const big = makeRun("big")
    const { batch } = extend({ run: "big", epoch: 0, entries: [] }, [
      created,
      noted("x".repeat(4 * 1024 * 1024))
    ])
    for (const entry of batch.entries) recent.remember(big, entry)
    assert.deepStrictEqual(seqsOf(first), [])
    assert.deepStrictEqual(seqsOf(second), [])
    assert.deepStrictEqual(seqsOf(third), [])
    assert.deepStrictEqual(seqsOf(big), [1])
  })
})
