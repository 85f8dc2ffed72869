import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import { Echo } from "./oneNode.ts"
import { idle, machine } from "./process.ts"
import type { Machine } from "./process.ts"

import { asWritten, check, only, standing, V1, V2, workerOf } from "./checked.ts"
import type { Body } from "./checked.ts"

/** What a worker does with the run afterwards. */
const happens = Effect.fnUntraced(function* (computer: Machine, flow: Flow.Any, work: Body, run: string) {
  const process = yield* computer.boot(workerOf(flow, { hang: "", calls: [] }, work))
  for (let i = 0; i < 5; i++) {
    yield* idle
    yield* TestClock.adjust("1 minute")
  }
  const { pause, status, version } = yield* process.runs.get(run)
  yield* process.stop
  return status === "paused" ? `paused as ${pause}` : `${status} at version ${version}`
})

const changes: Record<string, Body> = {
  "as it was": asWritten,
  "with another call first": (next, given) =>
    Effect.andThen(Echo.call({ text: "before" }), asWritten(next, given)),
  "with another call last": (next, given) =>
    Effect.flatMap(asWritten(next, given), (result) => Effect.as(Echo.call({ text: "after" }), result)),
  "without the first call": (next, { state: { got } }) =>
    Effect.as(
      Effect.all([Echo.call({ text: `b${got.length}` }), Echo.call({ text: `c${got.length}` })], {
        concurrency: 2
      }),
      next.end(["short"])
    ),
  "one call after the other": (next, { state: { got } }) =>
    Effect.gen(function* () {
      for (const letter of ["a", "b", "c"]) yield* Echo.call({ text: `${letter}${got.length}` })
      return next.end(["in order"])
    }),
  "without any call": (next) => Effect.succeed(next.end(["none"]))
}
describe("checkCompatibility", () => {
  for (const [name, work] of Object.entries(changes)) {
    for (const flow of [V1, V2] as ReadonlyArray<Flow.Any>) {
      it.effect(`is right about handlers ${name} at version ${flow.version}, wherever the run stands`, () =>
        Effect.gen(function* () {
          for (const hang of ["a1", "b1", "c1", "a2", "c2"]) {
            const computer = machine()
            yield* standing(computer, "r", hang)
            const verdict = only(yield* check(computer, flow, { work }))
            const outcome = yield* happens(computer, flow, work, "r")
            const expected =
              verdict._tag === "Diverges" ? "paused as diverged" : `completed at version ${flow.version}`
            assert.strictEqual(outcome, expected, `${hang}: ${verdict._tag} ${verdict.why}`)
            assert.strictEqual(
              verdict._tag,
              outcome === "paused as diverged" ? "Diverges" : flow === V1 ? "Continues" : "Migrates"
            )
          }
        })
      )
    }
  }
})
