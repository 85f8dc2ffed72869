/**
 * What may happen to a run that undoes its calls.
 */
import type { Body, Failure, Undone } from "../../src/Event.ts"
import { callsInDoubt, isDue, lastOf } from "../../src/internal/compensation.ts"
import type { RunState } from "../../src/RunState.ts"
import { textOf } from "./choice.ts"
import type { Choice } from "./choice.ts"

const doubts = (state: RunState): ReadonlyArray<Undone> =>
  callsInDoubt(state).map(({ call, place }) => ({ ...place, started: call.seq, inDoubt: true }))

/** The end of a run as failed or cancelled; if it has something to undo, it undoes that first. */
export const endOf = (state: RunState, body: Extract<Body, { kind: "failed" | "cancelled" }>): Body => {
  if (!isDue(state)) return body
  return body.kind === "failed"
    ? { ...body, kind: "compensating" }
    : { kind: "compensating", reason: body.reason }
}

/** The bodies that may come next, with their weights. */
export const compensationSteps = (
  choice: Choice,
  state: RunState,
  failureOf: (choice: Choice) => Failure,
  now: number
): ReadonlyArray<readonly [number, Body]> => {
  const { chance, int } = choice
  const { current, error, undone } = state.compensating!
  const last = lastOf(state)
  if (last === undefined) {
    const all = [...undone, ...(chance(0.5) ? doubts(state) : [])]
    const place = chance(0.5) ? { node: "gather", visit: int(1, 9), attempt: 1 } : undefined
    return [
      [
        8,
        error === undefined
          ? { kind: "cancelled", reason: textOf(choice), undone: all }
          : { kind: "failed", error, ...place, undone: all }
      ]
    ]
  }
  const names = {
    ...(chance(0.3) ? { branch: "1.0" } : undefined),
    node: textOf(choice),
    visit: int(1, 9),
    call: textOf(choice),
    tool: last.tool,
    of: last.started
  }
  const steps: Array<readonly [number, Body]> = [
    [6, { kind: "compensationStarted", ...names, key: textOf(choice) }],
    [1, { kind: "compensationFailed", ...names, error: failureOf(choice) }]
  ]
  if (current !== undefined && current.due === undefined) {
    steps.push(
      [8, { kind: "compensationCompleted", ...names }],
      [2, { kind: "compensationRetried", ...names, error: failureOf(choice), due: now + int(0, 99) }]
    )
  }
  return steps
}
