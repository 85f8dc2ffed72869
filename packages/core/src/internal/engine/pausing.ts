/**
 * What a worker's log says of a run that has paused by itself: whoever awaits it sees nothing of that.
 */
import * as Effect from "effect/Effect"
import type { PauseReason } from "../../Event.ts"

/** What stops the run, and what lets it go on. Values are not quoted, since they may be secrets. */
const detailOf = (reason: PauseReason): string | undefined => {
  switch (reason.kind) {
    case "diverged":
      return (
        `visit ${reason.visit} of node ${reason.node} was executed again and asked for ${reason.got.call}, where ` +
        `${reason.expected.call} is recorded (seq ${reason.expected.seq}): its code has changed, or depends on what is not ` +
        `recorded, such as Math.random(), Date.now() or a variable; correct that, and resume the run`
      )
    case "inDoubt":
      return (
        `whether call ${reason.call} of the at-most-once tool ${reason.tool} took effect is not known: ` +
        `say what became of it (Runs.settle), and resume the run`
      )
    case "incompatible":
      return reason.message
    default:
      // Somebody asked for these, or a limit that the flow's author set.
      return undefined
  }
}

/** Reports that a run has paused, if that is for a reason that nobody chose. */
export const report = (run: string, reason: PauseReason): Effect.Effect<void> => {
  const detail = detailOf(reason)
  return detail === undefined
    ? Effect.void
    : Effect.logWarning(`a run is paused: ${reason.kind}`, { run, detail })
}
