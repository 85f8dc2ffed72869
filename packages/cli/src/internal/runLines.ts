/**
 * What a worker says of the runs that it takes up and lets go of: a line for each.
 */
import * as Effect from "effect/Effect"
import { isTerminal } from "@waymark/core/RunInfo"
import * as RunState from "@waymark/core/RunState"
import * as Following from "./following.ts"
import type { Output } from "./output.ts"
import * as RunText from "./runText.ts"
import * as Text from "./text.ts"

/** Why it ended so, or what it waits for. */
const whyOf = (run: RunState.RunState): string => {
  const { ending, pause } = run
  if (ending?.status === "failed") return `: ${Text.inline(RunText.failureOf(ending.error), 200)}`
  if (ending?.status === "cancelled") return `: ${Text.inline(ending.reason, 200)}`
  if (pause !== undefined) return `: ${pause.kind}`
  const [wait, ...more] = RunText.waitsOf(run)
  if (run.status !== "waiting" || wait === undefined) return ""
  const name = wait.type === "until" ? "a time" : `${wait.type} ${Text.inline(wait.name ?? "", 60)}`
  return ` for ${name}${more.length === 0 ? "" : ` and ${more.length} more`}`
}

/** For people a line with the time, for programs a document with the same. */
export const tell =
  ({ line, paint }: Output["Service"]) =>
  (run: RunState.RunState, what: "takenUp" | "atRest"): Effect.Effect<void> =>
    Effect.flatMap(RunText.now, (time) => {
      const { flow, run: id, status, steps } = run
      const node = RunState.nodeOf(run)
      const document = {
        time,
        what,
        flow,
        steps,
        ...(node === undefined ? undefined : { node }),
        ...Following.outcomeOf(run, what === "takenUp" ? [] : RunText.waitsOf(run))
      }
      return line(document, () => {
        const at = paint("gray", Text.moment(time))
        const name = `${Text.inline(id, 80)} (${Text.inline(flow, 40)})`
        const where = node === undefined || isTerminal(status) ? "" : ` at ${Text.inline(node, 40)}`
        if (what === "takenUp") return `${at} ${paint("cyan", "▸ taken up")} ${name}${where}`
        // A worker that ends hands over what it is executing.
        const goesOn = status === "pending" || status === "running" || status === "cancelling"
        const how = goesOn ? paint("gray", "‹ let go") : RunText.statusOf(run, paint)
        return `${at} ${how} ${name}${where}${whyOf(run)}, ${Text.count(steps, "step")}`
      })
    })
