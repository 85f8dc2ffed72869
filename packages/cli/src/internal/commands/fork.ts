import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Runs from "@waymark/core/Runs"
import * as Acting from "../acting.ts"
import * as Arguments from "../arguments.ts"
import { BadInput } from "../failures.ts"
import * as Following from "../following.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { positionNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

export const fork = Command.make(
  "fork",
  {
    position: Arguments.position("run"),
    at: Flag.Int("at").pipe(
      Flag.withDescription("The checkpoint to fork from, if it is not given as run@seq"),
      Flag.optional
    ),
    edit: Acting.edit,
    id: Flag.String("id").pipe(Flag.withDescription("The id of the new run"), Flag.optional),
    ...Arguments.belonging,
    work: Acting.work
  },
  Effect.fn("fork")(function* ({ at, edit, position, work, ...rest }) {
    const output = yield* Output
    yield* Effect.gen(function* () {
      const { info, seq = Option.getOrUndefined(at) } = yield* positionNamed(position)
      if (seq === undefined) {
        const detail = `give it with --at, or as run@seq; \`waymark history ${info.run}\` lists them`
        return yield* new BadInput({ what: "the checkpoint", detail })
      }
      const { edits, flow } = yield* Acting.editsOf(info, edit)
      const runs = yield* Runs.Runs
      const forked = yield* runs.fork(Runs.ref(flow, info.run), seq, {
        ...Arguments.belongingOf(rest),
        edits: edit.length === 0 ? undefined : edits
      })
      const { from } = forked
      yield* output.note(
        output.paint(
          "gray",
          `run ${Text.inline(forked.id)}, forked from ${Text.inline(from.run)}@${from.seq}`
        )
      )
      if (work) return yield* Following.conclude(forked.id)
      yield* output.document(
        { run: forked.id, from, status: "pending" },
        () => `forked: ${Text.inline(forked.id)}`
      )
    }).pipe(Effect.provide(work ? Place.working("asked") : Place.writing))
  })
).pipe(
  Command.withShortDescription("Start a new run from a checkpoint of another."),
  Command.withDescription(
    "Start a new run from a checkpoint of another, with another state if you like. Calls that had finished by then are not made again."
  ),
  Command.withExamples([
    {
      command: `waymark fork ticket-42@9 --edit verdict='"ship"' --work`,
      description: "And executes it here"
    },
    { command: "waymark fork ticket-42 --at 9 --id ticket-42-again", description: "For a worker" }
  ])
)
