import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { InvalidValue } from "@waymark/core/RunError"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "../arguments.ts"
import * as Following from "../following.ts"
import * as Given from "../given.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import * as Text from "../text.ts"
import * as Values from "../values.ts"

export const run = Command.make(
  "run",
  {
    flow: Argument.String("flow").pipe(Argument.withDescription("The flow's id")),
    input: Flag.String("input").pipe(
      Flag.withAlias("i"),
      Flag.withDescription("JSON; @file reads it from a file, - from standard input"),
      Flag.withMetavar("json"),
      Flag.optional
    ),
    id: Flag.String("id").pipe(
      Flag.withDescription("The run's id: the same one with the same input joins the run that is there"),
      Flag.optional
    ),
    ...Arguments.belonging,
    correlation: Flag.String("correlation").pipe(Flag.withDescription("Its correlation id"), Flag.optional),
    detach: Flag.Boolean("detach").pipe(
      Flag.withDescription("Only start it: a worker executes it, now or later"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("run")(function* ({ correlation, detach, flow: name, input, ...rest }) {
    const loaded = yield* Place.configured
    const { flow } = yield* Place.flowNamed(loaded, name)
    const json = Option.isNone(input) ? null : yield* Given.value("--input", input.value)
    const value = yield* Values.input(flow, json).pipe(
      Effect.mapError((error) =>
        Option.isNone(input) && error._tag === "InvalidValue"
          ? new InvalidValue({ what: error.what, detail: `${error.detail}; give it with --input` })
          : error
      )
    )
    const start = Runs.Runs.use((runs) =>
      runs.start(flow, value, {
        ...Arguments.belongingOf(rest),
        correlation: Option.getOrUndefined(correlation)
      })
    )
    const output = yield* Output
    if (detach) {
      const started = yield* Effect.provide(start, Place.writing)
      return yield* output.document(
        { run: started.id, status: "pending" },
        () => `started ${Text.inline(started.id)}`
      )
    }
    yield* Effect.gen(function* () {
      const started = yield* start
      yield* output.note(output.paint("gray", `run ${Text.inline(started.id)}`))
      yield* Following.conclude(started.id)
    }).pipe(Effect.provide(Place.working("asked")))
  })
).pipe(
  Command.withShortDescription("Start a run and execute it here."),
  Command.withDescription(
    "Start a run and execute it here, until it ends or waits for somebody. The runs that it starts are executed here, too."
  ),
  Command.withExamples([
    { command: `waymark run triage --input '{"ticket":"T-42"}'`, description: "With its input in place" },
    {
      command: "waymark run triage --input @ticket.json --id ticket-42",
      description: "From a file; a second time it joins that run"
    },
    { command: "waymark run triage --input - --detach < ticket.json", description: "For a worker elsewhere" }
  ])
)
