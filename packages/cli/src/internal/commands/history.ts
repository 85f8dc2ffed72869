import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { HistoryOptions } from "@waymark/core/Checkpoint"
import { Event } from "@waymark/core/Event"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "../arguments.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { runNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

const kinds = Event.members.map((member) => member.fields.kind.literal)

export const history = Command.make(
  "history",
  {
    run: Arguments.run,
    node: Flag.String("node").pipe(Flag.withDescription("Only visits of this node"), Flag.optional),
    branch: Arguments.branch,
    kind: Flag.Literals("kind", kinds).pipe(
      Flag.withDescription("Only events of this kind, whichever it is; may be given several times"),
      Flag.atLeast(0)
    ),
    order: Flag.Literals("order", ["newest", "oldest"]).pipe(
      Flag.withDescription("Which come first"),
      Flag.withDefault("newest")
    ),
    before: Flag.Int("before").pipe(Flag.withDescription("Only those before this position"), Flag.optional),
    after: Flag.Int("after").pipe(Flag.withDescription("Only those after this position"), Flag.optional),
    limit: Arguments.limit(50)
  },
  Effect.fn("history")(function* ({ kind, limit, order, run, ...filters }) {
    const output = yield* Output
    const { run: id } = yield* runNamed(run)
    const options: HistoryOptions = {
      limit,
      order,
      kind: kind.length === 0 ? undefined : kind,
      node: Option.getOrUndefined(filters.node),
      branch: Option.getOrUndefined(filters.branch),
      before: Option.getOrUndefined(filters.before),
      after: Option.getOrUndefined(filters.after)
    }
    const checkpoints = yield* Runs.Runs.use((client) => client.history(id, options))
    yield* output.document({ run: id, checkpoints }, () => {
      if (checkpoints.length === 0) return "no checkpoints"
      const { paint } = output
      return Text.columns(
        checkpoints.map((checkpoint) => {
          const { actor, attempt, kind: what, node, seq, status, time, visit } = checkpoint
          const place =
            node === undefined ? "" : `${Text.inline(node, 40)}${visit === undefined ? "" : ` #${visit}`}`
          const tried = attempt === undefined || attempt === 1 ? "" : `attempt ${attempt}`
          return [
            paint("bold", String(seq)),
            paint("gray", Text.moment(time)),
            what,
            place,
            Text.inline(checkpoint.branch ?? "", 30),
            status ?? "",
            tried,
            actor === undefined ? "" : `by ${Text.inline(actor, 40)}`
          ]
        })
      )
    })
    const last = checkpoints[checkpoints.length - 1]
    if (last !== undefined && checkpoints.length === limit) {
      yield* output.note(`there may be more: --${order === "newest" ? "before" : "after"} ${last.seq}`)
    }
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription(
    "List the checkpoints of a run: the positions at which it can be looked at and forked."
  ),
  Command.withExamples([
    { command: "waymark history ticket-42 --node decide", description: "The visits of one node" },
    {
      command: "waymark history ticket-42 --kind callFailed --kind attemptFailed",
      description: "What went wrong on the way"
    }
  ])
)
