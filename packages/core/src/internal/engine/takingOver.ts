/**
 * How a worker takes a run over from another owner.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { isTerminal } from "../status.ts"
import * as Joins from "./joins.ts"
import type { Writer } from "./writer.ts"

/** How the run came to this execution, if it was taken over from another owner. */
export interface Claim {
  readonly cause: "handover" | "crash"
  readonly previous: { readonly epoch: number; readonly seq: number; readonly hash: string }
}

/** Opens the epoch. After a crash that is durable before any code of the flow's author runs. */
export const takeOver = /* @__PURE__ */ Effect.fnUntraced(function* (
  writer: Writer,
  { cause, previous }: Claim,
  traced: boolean
) {
  const { owner } = writer.lease
  const span = traced ? yield* Effect.serviceOption(Tracer.ParentSpan) : Option.none()
  yield* writer.append(
    Option.isNone(span)
      ? { kind: "claimed", owner, cause, previous }
      : {
          kind: "claimed",
          owner,
          cause,
          previous,
          trace: { traceId: span.value.traceId, spanId: span.value.spanId }
        }
  )
  const { compensating, maxRecoveries, recoveries, status } = writer.state
  // A run that is about to end has limits of its own for what it still does.
  const isEnding = status === "cancelling" || compensating !== undefined
  if (recoveries > maxRecoveries && !isTerminal(status) && !isEnding) {
    yield* writer.append(Joins.failRun(writer.state, { kind: "recoveries", limit: maxRecoveries }))
  }
  if (cause === "crash") yield* writer.sync
})
