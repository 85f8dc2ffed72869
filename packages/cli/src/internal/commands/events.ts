import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Event } from "@waymark/core/Event"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "../arguments.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { runNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

const kinds = Event.members.map((member) => member.fields.kind.literal)

/** What of an event is not told by its position and kind. */
const rest = (event: Event): string => {
  const { epoch: _epoch, kind: _kind, prev: _prev, run: _run, seq: _seq, time: _time, ...others } = event
  return Text.inline(others, 200)
}

export const events = Command.make(
  "events",
  {
    run: Arguments.run,
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with those that come, until the run has ended"),
      Flag.withDefault(false)
    ),
    from: Flag.Int("from").pipe(Flag.withDescription("From this position on"), Flag.withDefault(0)),
    to: Flag.Int("to").pipe(Flag.withDescription("Up to this position"), Flag.optional),
    kind: Flag.Literals("kind", kinds).pipe(
      Flag.withDescription("Only events of this kind; may be given several times"),
      Flag.atLeast(0)
    )
  },
  Effect.fn("events")(function* ({ follow, from, kind, run, to }) {
    const output = yield* Output
    const info = yield* runNamed(run)
    const end = Option.getOrElse(to, () => (follow ? Number.MAX_SAFE_INTEGER : info.seq))
    const { paint } = output
    const client = yield* Runs.Runs
    yield* client
      .events(info.run, { from, to: end, kinds: kind.length === 0 ? undefined : kind })
      .pipe(
        Stream.runForEach((event) =>
          output.line(
            event,
            () =>
              `${paint("bold", String(event.seq).padStart(5))}  ${paint("gray", Text.moment(event.time))}  ${event.kind.padEnd(14)} ${rest(event)}`
          )
        )
      )
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription("Print the events of a run. With --json, one on each line."),
  Command.withExamples([
    { command: "waymark events ticket-42 --follow", description: "What happens, as it happens" },
    { command: "waymark events ticket-42 --json | jq .kind", description: "For programs" }
  ])
)
