/**
 * Writes snapshots: piece by piece, so that none holds up the worker for long.
 */
import * as Effect from "effect/Effect"
import * as Snapshot from "../snapshot.ts"
import { isTerminal } from "../status.ts"
import type { WriteError, Writer } from "./writer.ts"

export const takeSnapshot = /* @__PURE__ */ Effect.fnUntraced(function* (writer: Writer) {
  const { run } = writer.lease
  const plan = Snapshot.plan(writer.state)
  const at = writer.state.seq
  for (const piece of plan.pieces) {
    piece.placed(run, yield* writer.append(Snapshot.pieceBody(piece, at)))
    yield* Effect.yieldNow
  }
  yield* writer.appendTo((state) => [Snapshot.headBody(plan, state, at)])
})

/** Takes a snapshot if the journal has grown by enough since the last one, and the run goes on. */
export const snapshotIfDue = (writer: Writer): Effect.Effect<void, WriteError> =>
  Snapshot.isDue(writer.state) && !isTerminal(writer.state.status) ? takeSnapshot(writer) : Effect.void
