/**
 * What commands that change a run have in common: who asks for it, until when they wait, and whether they execute the run.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "./arguments.ts"
import * as Following from "./following.ts"
import * as Given from "./given.ts"
import { Output } from "./output.ts"
import * as Place from "./place.ts"
import { runNamed } from "./runNamed.ts"
import * as Text from "./text.ts"
import * as Values from "./values.ts"

export const sendFlags = {
  actor: Arguments.actor,
  session: Flag.String("session").pipe(Flag.withDescription("For which session"), Flag.optional),
  correlation: Flag.String("correlation").pipe(Flag.withDescription("On which occasion"), Flag.optional),
  commandId: Flag.String("command-id").pipe(
    Flag.withDescription("The command's own id: sending it again under the same one changes nothing"),
    Flag.optional
  ),
  applied: Flag.Boolean("applied").pipe(
    Flag.withDescription(
      "Wait until the run's journal says what came of it, and not only until it cannot be lost"
    ),
    Flag.withDefault(false)
  )
}

export const work = Flag.Boolean("work").pipe(
  Flag.withAlias("w"),
  Flag.withDescription(
    "Execute the run here afterwards, until it ends or waits for somebody; needs a configuration"
  ),
  Flag.withDefault(false)
)

export const flags = { ...sendFlags, work }

export const edit = Flag.String("edit").pipe(
  Flag.withDescription("The whole new content of a channel: channel=json; nothing after the = empties it"),
  Flag.withMetavar("channel=json"),
  Flag.atLeast(0)
)

interface Sending {
  readonly run: string
  readonly actor: Option.Option<string>
  readonly session: Option.Option<string>
  readonly correlation: Option.Option<string>
  readonly commandId: Option.Option<string>
  readonly applied: boolean
  readonly work: boolean
}

/** The flow of a run, and edits as they are given for it. */
export const editsOf = Effect.fnUntraced(function* (info: RunInfo, texts: ReadonlyArray<string>) {
  const { flow } = yield* Place.flowNamed(yield* Place.configured, info.flow)
  return { flow, edits: yield* Values.edits(flow, yield* Given.named("--edit", texts)) }
})

/** Does something to a run, and says so; or executes the run, and says what came of it. */
export const act = <E, R>(
  { actor, applied, commandId, correlation, run, session, work: isWork }: Sending,
  done: string,
  what: (info: RunInfo, options: Runs.SendOptions) => Effect.Effect<unknown, E, R>,
  /** Whether it is done when somebody executes the run, or holds for what is executed from then on. */
  when: "executed" | "before" = "executed"
) =>
  Effect.gen(function* () {
    const output = yield* Output
    const runs = yield* Runs.Runs
    const info = yield* runNamed(run)
    if (isWork && when === "executed") yield* Following.takeUp(info.run)
    yield* what(info, {
      actor: Option.getOrUndefined(actor),
      session: Option.getOrUndefined(session),
      correlation: Option.getOrUndefined(correlation),
      commandId: Option.getOrUndefined(commandId),
      until: applied || isWork ? "applied" : "accepted"
    })
    if (isWork) return yield* Following.conclude(info.run)
    const { seq, status } = yield* runs.get(info.run)
    yield* output.document({ run: info.run, done, status }, () =>
      isTerminal(info.status) && info.seq === seq
        ? `has ended: ${Text.inline(info.run)} (${status})`
        : `${done}: ${Text.inline(info.run)} (${status})`
    )
  }).pipe(Effect.provide(isWork ? Place.working("asked") : Place.writing))
