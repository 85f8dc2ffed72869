import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Stream from "effect/Stream"
import * as Compatibility from "@waymark/core/Compatibility"
import { isTerminal } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "../arguments.ts"
import * as JsonPath from "../jsonPath.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { positionNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

const divergenceLines = (
  { attempt, branch, expected, got, node, seq, visit }: Runs.Divergence,
  paint: Text.Paint
): ReadonlyArray<string> => {
  const tries = attempt > 1 ? `, attempt ${attempt}` : ""
  const where = branch === undefined ? "" : `, branch ${Text.inline(branch, 40)}`
  return [
    "",
    paint("bold", `seq ${seq}, visit ${visit} of ${Text.inline(node, 40)}${tries}${where}`),
    paint("gray", "recorded:"),
    Text.block(expected),
    paint("gray", "now:"),
    Text.block(got)
  ]
}

export const replay = Command.make(
  "replay",
  {
    position: Arguments.position("run").pipe(
      Argument.withDescription("A run, or `run@seq`: what had ended by then is taken as it is recorded")
    ),
    limit: Arguments.limit(20, "At most so many differences: it ends when it has found them")
  },
  Effect.fn("replay")(function* ({ limit, position }) {
    const output = yield* Output
    const loaded = yield* Place.configured
    yield* Effect.gen(function* () {
      const { info, seq } = yield* positionNamed(position)
      const entry = yield* Place.flowNamed(loaded, info.flow)
      const report = yield* Runs.replay(Runs.ref(entry.flow, info.run), { from: seq, most: limit }).pipe(
        Effect.provide(Place.handlersOf(loaded.file, entry))
      )
      const { divergences } = report
      yield* output.document(report, () => {
        const { paint } = output
        const visits = `${Text.count(report.visits, "visit")} replayed`
        const skipped =
          report.skipped === undefined ? "" : `, ${report.skipped} skipped: a migration came since`
        if (divergences.length === 0) {
          const said = `${paint("green", "✔")} ${visits}${skipped}: as recorded`
          const open = isTerminal(info.status) ? 0 : info.open
          if (open === 0) return said
          const what = open === 1 ? "1 visit has not ended and was" : `${open} visits have not ended and were`
          return [said, paint("gray", `${what} not compared: waymark check looks at what is open`)]
        }
        const more =
          divergences.length < limit
            ? ""
            : `. It ended there; there may be more, for which it looks with --limit ${2 * limit}`
        return [
          `${paint("red", "✖")} ${visits}${skipped}; ${divergences.length} not as recorded${more}`,
          ...divergences.flatMap((divergence) => divergenceLines(divergence, paint))
        ]
      })
      if (divergences.length > 0) return yield* JsonPath.different
    }).pipe(Effect.provide(Place.reading))
  })
).pipe(
  Command.withShortDescription("Execute the handlers of a run again, against what is recorded."),
  Command.withDescription(
    "Execute the handlers of a run again, against what is recorded: no tool is called, nothing is written. Each visit begins with what is recorded before it, so all differences are told. Ends with 9 if there is one."
  ),
  Command.withExamples([
    { command: "waymark replay ticket-42", description: "Does the code still do what it did?" },
    { command: "waymark replay ticket-42@17", description: "Only from checkpoint 17 on" },
    { command: "waymark replay ticket-42 -n 1", description: "As far as the first difference" }
  ])
)

export const check = Command.make(
  "check",
  {
    flow: Argument.String("flow").pipe(
      Argument.withDescription("The flow's id; without it, all of the configuration"),
      Argument.optional
    ),
    timeout: Flag.String("timeout").pipe(
      Flag.withDescription("How long a handler may take"),
      Flag.withDefault("10 seconds")
    ),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Tell also of runs that continue"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("check")(function* ({ all, flow, timeout }) {
    const output = yield* Output
    const loaded = yield* Place.configured
    const limit = yield* Arguments.duration("--timeout", timeout)
    const entries = flow._tag === "Some" ? [yield* Place.flowNamed(loaded, flow.value)] : loaded.config.flows
    const counts = { Continues: 0, Migrates: 0, Diverges: 0, Breaks: 0 }
    const { paint } = output
    const signs = {
      Continues: paint("green", "✔ continues"),
      Migrates: paint("green", "✔ migrates "),
      Diverges: paint("red", "✖ diverges "),
      Breaks: paint("red", "✖ breaks   ")
    }
    yield* Effect.forEach(entries, (entry) =>
      Compatibility.checkCompatibility(entry.flow, { timeout: limit }).pipe(
        Stream.runForEach((verdict) => {
          counts[verdict._tag]++
          if (!all && verdict._tag === "Continues" && !output.json) return Effect.void
          return output.line(
            { flow: entry.flow.id, ...verdict },
            () => `${signs[verdict._tag]} ${Text.inline(verdict.run, 60)}: ${Text.clean(verdict.why, true)}`
          )
        }),
        Effect.provide(Place.handlersOf(loaded.file, entry))
      )
    ).pipe(Effect.provide(Place.reading))
    const { Breaks, Continues, Diverges, Migrates } = counts
    yield* output.note(`continue: ${Continues}, migrate: ${Migrates}, diverge: ${Diverges}, break: ${Breaks}`)
    if (Diverges + Breaks > 0) return yield* JsonPath.different
  })
).pipe(
  Command.withShortDescription("Say what becomes of unfinished runs with the flows as they are now."),
  Command.withDescription(
    "Say what becomes of the unfinished runs with the flows as they are now. Ends with 9 if some would not go on. With --json, one verdict on each line."
  ),
  Command.withExamples([{ command: "waymark check", description: "Before a deployment" }])
)
