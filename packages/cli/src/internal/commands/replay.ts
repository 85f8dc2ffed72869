import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Stream from "effect/Stream"
import * as Compatibility from "@waymark/core/Compatibility"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "../arguments.ts"
import * as JsonPath from "../jsonPath.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { positionNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

export const replay = Command.make(
  "replay",
  {
    position: Arguments.position("run").pipe(
      Argument.withDescription("A run, or `run@seq`: what had ended by then is taken as it is recorded")
    )
  },
  Effect.fn("replay")(function* ({ position }) {
    const output = yield* Output
    const loaded = yield* Place.configured
    yield* Effect.gen(function* () {
      const { info, seq } = yield* positionNamed(position)
      const entry = yield* Place.flowNamed(loaded, info.flow)
      const report = yield* Runs.replay(Runs.ref(entry.flow, info.run), { from: seq }).pipe(
        Effect.provide(Place.handlersOf(loaded.file, entry))
      )
      const { divergence } = report
      yield* output.document(report, () => {
        const visits = `${Text.count(report.visits, "visit")} replayed`
        const skipped =
          report.skipped === undefined ? "" : `, ${report.skipped} skipped: a migration came since`
        if (divergence === undefined) return `${output.paint("green", "✔")} ${visits}${skipped}: as recorded`
        const { attempt, expected, got, node, seq, visit } = divergence
        const place = `seq ${seq}, visit ${visit} of ${Text.inline(node, 40)}${attempt > 1 ? `, attempt ${attempt}` : ""}`
        return [
          `${output.paint("red", "✖")} ${visits}${skipped}; not as recorded at ${place}`,
          output.paint("bold", "recorded:"),
          Text.block(expected),
          output.paint("bold", "now:"),
          Text.block(got)
        ]
      })
      if (divergence !== undefined) return yield* JsonPath.different
    }).pipe(Effect.provide(Place.reading))
  })
).pipe(
  Command.withShortDescription("Execute the handlers of a run again, against what is recorded."),
  Command.withDescription(
    "Execute the handlers of a run again, against what is recorded: no tool is called, nothing is written. Ends with 9 at the first difference."
  ),
  Command.withExamples([
    { command: "waymark replay ticket-42", description: "Does the code still do what it did?" },
    { command: "waymark replay ticket-42@17", description: "Only from checkpoint 17 on" }
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
