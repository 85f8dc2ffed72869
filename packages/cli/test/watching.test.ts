import type { RunInfo } from "@waymark/core/RunInfo"
import { assert, it } from "vitest"
import { fit, lineOf } from "../src/internal/watching.ts"

const info: RunInfo = {
  run: "r",
  flow: "f",
  version: 1,
  status: "running",
  durability: "pipelined",
  seq: 3,
  epoch: 0,
  steps: 1,
  createdAt: 0,
  updatedAt: 0,
  tags: [],
  open: 1,
  waiting: 0,
  waits: [],
  node: "work"
}

it("a line tells the node, the attempt, the steps, what was told and what is waited for", () => {
  assert.strictEqual(lineOf(info, 1, 0), "at work, 1 step")
  assert.strictEqual(
    lineOf(
      { ...info, steps: 5, open: 3, progress: { node: "work", done: 2, total: 9, note: "\u001b[2J" } },
      3,
      0
    ),
    "at work, attempt 3, 5 steps, 3 open, 2/9 \\u001b[2J"
  )
  const waits = [
    { wait: "1", type: "event", name: "paid" },
    { wait: "2", type: "until" }
  ]
  assert.strictEqual(lineOf({ ...info, waits }, 1, 0), "at work, 1 step, for event paid and 1 more")
  const due = { ...info, waits: [{ wait: "2", type: "until", due: 61_500 }], due: 61_500 }
  assert.strictEqual(lineOf(due, 1, 0), "at work, 1 step, for a time, due in 1m 2s")
  assert.strictEqual(lineOf(due, 1), "at work, 1 step, for a time")
})

it("a line is cut by the columns that it takes, not by its characters", () => {
  assert.strictEqual(fit("abcdef", 6), "abcdef")
  assert.strictEqual(fit("abcdef", 4), "abc…")
  assert.strictEqual(fit("ファイル", 6), "ファ…")
})
