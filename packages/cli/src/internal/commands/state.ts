import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Runs from "@waymark/core/Runs"
import * as RunState from "@waymark/core/RunState"
import * as Arguments from "../arguments.ts"
import { UnknownName } from "../failures.ts"
import * as JsonPath from "../jsonPath.ts"
import { like } from "../names.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { positionNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

const pathFlag = Flag.String("path").pipe(
  Flag.withDescription("Only this part: a channel, then keys and indices, as in notes.0.text"),
  Flag.optional
)

export const state = Command.make(
  "state",
  { position: Arguments.position("run"), path: pathFlag },
  Effect.fn("state")(function* ({ path, position }) {
    const output = yield* Output
    const { info, seq } = yield* positionNamed(position)
    const at = yield* Runs.Runs.use((client) => client.stateAt(info.run, seq))
    const whole = RunState.stateOf(at)
    const shown = Option.isNone(path) ? whole : JsonPath.get(whole, JsonPath.parse(path.value))
    if (shown === undefined) {
      const name = Option.getOrElse(path, () => "")
      return yield* new UnknownName({ what: "part of the state", name, like: [], known: Object.keys(whole) })
    }
    yield* output.document({ run: info.run, seq: at.seq, status: at.status, state: shown }, () =>
      Text.block(shown)
    )
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription("Print the state of a run, as it is or as it was."),
  Command.withExamples([
    { command: "waymark state ticket-42", description: "As it is" },
    {
      command: "waymark state ticket-42@17 --path notes.0",
      description: "A part of it, as it was after event 17"
    }
  ])
)

export const diff = Command.make(
  "diff",
  {
    before: Arguments.position("before"),
    after: Arguments.position("after").pipe(
      Argument.withDescription("The other one; without it, the same run as it is now"),
      Argument.optional
    ),
    exitCode: Flag.Boolean("exit-code").pipe(
      Flag.withDescription("End with exit code 9 if there is a difference"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("diff")(function* ({ after, before, exitCode }) {
    const output = yield* Output
    const a = yield* positionNamed(before)
    const b = Option.isSome(after) ? yield* positionNamed(after.value) : { info: a.info, seq: undefined }
    const patch = yield* Runs.diff({ run: a.info.run, seq: a.seq }, { run: b.info.run, seq: b.seq })
    const document = {
      before: { run: a.info.run, ...(a.seq === undefined ? undefined : { seq: a.seq }) },
      after: { run: b.info.run, ...(b.seq === undefined ? undefined : { seq: b.seq }) },
      patch
    }
    yield* output.document(document, () => {
      if (patch.length === 0) return "no difference"
      const { paint } = output
      return patch.map((op) => {
        const value = "value" in op ? ` ${Text.inline(op.value, 400)}` : ""
        if (op.op === "add") return paint("green", `+ ${Text.clean(op.path)}${value}`)
        if (op.op === "remove") return paint("red", `- ${Text.clean(op.path)}`)
        return paint("yellow", `~ ${Text.clean(op.path)}${value}`)
      })
    })
    if (exitCode && patch.length > 0) return yield* JsonPath.different
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription("Compare two states, of one run or of two, as a JSON Patch."),
  Command.withExamples([
    { command: "waymark diff ticket-42@3 ticket-42@9", description: "What happened in between" },
    { command: "waymark diff ticket-42 ticket-42-fork", description: "A run and its fork" }
  ])
)

export const blame = Command.make(
  "blame",
  {
    position: Arguments.position("run"),
    path: Argument.String("path").pipe(
      Argument.withDescription("A channel, then keys and indices, as in notes.0; without it, all channels"),
      Argument.optional
    )
  },
  Effect.fn("blame")(function* ({ path, position }) {
    const output = yield* Output
    const { info, seq } = yield* positionNamed(position)
    const { channels } = yield* Runs.Runs.use((client) => client.stateAt(info.run, seq))
    const names = Object.keys(channels).sort()
    const paths = Option.isSome(path) ? [JsonPath.parse(path.value)] : names.map((name) => [name] as const)
    for (const [channel] of paths) {
      if (!names.includes(channel)) {
        return yield* new UnknownName({
          what: "channel",
          name: channel,
          like: like(channel, names),
          known: names
        })
      }
    }
    const found = yield* Effect.forEach(paths, (one) =>
      Effect.map(Runs.blame(info.run, one, { seq }), (checkpoint) => ({
        path: one,
        checkpoint: checkpoint ?? null
      }))
    )
    yield* output.document({ run: info.run, blame: found }, () =>
      Text.columns(
        found.map(({ checkpoint, path: one }) => {
          const name = output.paint("bold", Text.inline(one.join("."), 60))
          if (checkpoint === null) return [name, "nothing wrote it"]
          const { actor, kind, node, run, time, visit } = checkpoint
          const by = actor === undefined ? "" : ` by ${Text.inline(actor, 40)}`
          const where = node === undefined ? "" : ` of ${Text.inline(node, 40)} #${visit ?? 1}`
          const other = run === info.run ? "" : ` in ${Text.inline(run, 40)}`
          return [
            name,
            `seq ${checkpoint.seq}${other}`,
            `${kind}${where}${by}`,
            output.paint("gray", Text.moment(time))
          ]
        })
      )
    )
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription("Say which event last wrote a part of the state, and who asked for it."),
  Command.withExamples([
    { command: "waymark blame ticket-42", description: "All channels" },
    {
      command: "waymark blame ticket-42@30 notes.2",
      description: "One item of a list, as it was after event 30"
    }
  ])
)
