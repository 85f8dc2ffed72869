/**
 * What replays of this window found: which visits came out otherwise than they are recorded, as a document that lists them,
 * and what stands above each one there.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Divergence, ReplayReport } from "@waymark/cli/WorkerProtocol"
import type { CodeLens } from "../Editor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { mostText } from "../reading/Documents.ts"
import { count, line } from "../reading/Text.ts"

/** So many divergences of a run are looked for. */
export const most = 100

const keyOf = ({ run, store }: RunRef): string => JSON.stringify([store, run])

/** What the last replay of each run found. */
export class Replays extends Context.Service<
  Replays,
  {
    readonly get: (of: RunRef) => ReplayReport | undefined
    readonly set: (of: RunRef, report: ReplayReport) => Effect.Effect<void>
    /** Runs that were replayed again. */
    readonly changes: Stream.Stream<RunRef>
  }
>()("waymark-vscode/Replays") {
  static readonly layer = Layer.effect(
    Replays,
    Effect.gen(function* () {
      const found = new Map<string, ReplayReport>()
      const changed = yield* PubSub.unbounded<RunRef>()
      return Replays.of({
        get: (of) => found.get(keyOf(of)),
        set: (of, report) =>
          Effect.suspend(() => {
            found.set(keyOf(of), report)
            return Effect.asVoid(PubSub.publish(changed, of))
          }),
        changes: Stream.fromPubSub(changed)
      })
    })
  )
}

/** What a replay did, in words. */
export const doneText = ({ run, skipped, visits }: ReplayReport): string => {
  const left = skipped === undefined ? "" : `, ${skipped} skipped (a migration came since)`
  return `${line(run, 60)}: ${count(visits, "visit")} replayed${left}`
}

/** Which attempt a divergence is of. */
export const placeText = ({ attempt, branch, node, seq, visit }: Divergence): string => {
  const where = branch === undefined ? "" : `, branch ${line(branch, 40)}`
  const tries = attempt > 1 ? `, attempt ${attempt}` : ""
  return `visit ${visit} of ${line(node, 60)}${where}${tries}, position ${seq}`
}

/** The document that lists divergences: JSON with a comment above each one, and the lines of these, from 1. */
export const listOf = (
  report: ReplayReport
): { readonly text: string; readonly lines: ReadonlyArray<number> } => {
  const { divergences } = report
  const more = divergences.length < most ? "" : ` The replay ended with the last of these: there may be more.`
  const parts = [`// ${doneText(report)}, ${divergences.length} not as recorded.${more}`, "["]
  const lines: Array<number> = []
  let at = 3
  let size = 0
  for (const [i, divergence] of divergences.entries()) {
    const comma = i === divergences.length - 1 ? "" : ","
    const { expected, got } = divergence
    const json = JSON.stringify({ recorded: expected, now: got }, null, 2).replaceAll("\n", "\n  ")
    const fits = size + json.length <= mostText
    const shown = fits ? json : `{ /* ${json.length} characters: see the comparison */ }`
    if (fits) size += json.length
    const part = `  // ${placeText(divergence)}\n  ${shown}${comma}`
    lines.push(at)
    at += part.split("\n").length
    parts.push(part)
  }
  return { text: `${parts.join("\n")}\n]\n`, lines }
}

/** What stands above each divergence in the document that lists them. */
export const lensesOf = (
  of: RunRef,
  flow: string | undefined,
  report: ReplayReport
): ReadonlyArray<CodeLens> => {
  const { lines } = listOf(report)
  return report.divergences.flatMap(({ node, seq }, i) => {
    const at = { ...of, seq }
    const lens = (title: string, command: string, argument: object): CodeLens => ({
      line: lines[i]!,
      title,
      command: `waymark.${command}`,
      arguments: [argument]
    })
    return [
      lens("Compare", "compareReplayed", at),
      lens("Go to checkpoint", "showCheckpoint", at),
      ...(flow === undefined ? [] : [lens("Go to handler", "goToHandler", { flow, node })])
    ]
  })
}
