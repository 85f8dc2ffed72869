/**
 * Whether a run that has ended can be retried.
 */
import * as Effect from "effect/Effect"
import type { RunInfo } from "../../RunInfo.ts"
import { isTerminal } from "../status.ts"
import { eventAt } from "./reader.ts"
import type { Journals, ReadError } from "./reader.ts"

/** Why a run cannot be retried; `undefined` if it can. */
export const refusal = /* @__PURE__ */ Effect.fnUntraced(function* (
  journals: Journals,
  { ended, run, status, undone }: RunInfo,
  edited: boolean
): Effect.fn.Return<string | undefined, ReadError> {
  if (!isTerminal(status) || undone === undefined) {
    return status === "failed" ? undefined : "only a failed run can be retried"
  }
  const event = yield* eventAt({ ...journals, codec: undefined }, run, ended!)
  const left = "undone" in event ? (event.undone ?? []) : []
  if (left.every(({ inDoubt }) => inDoubt === true)) {
    const doubt = left.length === 0 ? "" : ", but for what nobody knows whether it took effect"
    return `it has undone what it did${doubt}: start another run, or fork it from before it failed`
  }
  return edited ? "it only goes on to undo what it could not: there is no state to edit" : undefined
})
