import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Schema from "effect/Schema"
import * as Runs from "@waymark/core/Runs"
import * as Arguments from "../arguments.ts"
import * as Acting from "../acting.ts"
import { BadInput } from "../failures.ts"
import * as Given from "../given.ts"
import * as Questions from "../questions.ts"

const run = Arguments.run

export const answer = Command.make(
  "answer",
  {
    run,
    question: Argument.String("question").pipe(
      Argument.withDescription("The question's name; without it, the only one that is open"),
      Argument.optional
    ),
    value: Argument.String("value").pipe(
      Argument.withDescription("JSON, or a text; @file and - as in `run`. In a terminal it is asked for"),
      Argument.optional
    ),
    ...Acting.flags
  },
  Effect.fn("answer")(function* ({ question, value, ...rest }) {
    yield* Acting.act(rest, "answered", (info, options) =>
      Effect.gen(function* () {
        const asked = yield* Questions.choose(info, Option.getOrUndefined(question))
        const given = Option.isSome(value)
          ? yield* Given.value("the answer", value.value)
          : yield* Questions.ask(asked)
        const runs = yield* Runs.Runs
        yield* runs.answer(info.run, asked.wait, given, options)
      })
    )
  })
).pipe(
  Command.withDescription("Answer a question that a run asks."),
  Command.withExamples([
    { command: "waymark answer ticket-42 verdict ship", description: "The answer to the question `verdict`" },
    { command: "waymark answer ticket-42", description: "In a terminal: asks for the answer" },
    { command: "waymark answer ticket-42 verdict ship --work", description: "And executes the run here" }
  ])
)

export const signal = Command.make(
  "signal",
  {
    run,
    name: Argument.String("name").pipe(Argument.withDescription("The signal's name")),
    payload: Argument.String("payload").pipe(
      Argument.withDescription("JSON, or a text; @file and - as in `run`; null unless it is given"),
      Argument.optional
    ),
    key: Flag.String("key").pipe(Flag.withDescription("The key of the wait, if it has one"), Flag.optional),
    ...Acting.flags
  },
  Effect.fn("signal")(function* ({ key, name, payload, ...rest }) {
    const value = Option.isSome(payload) ? yield* Given.value("the payload", payload.value) : null
    yield* Acting.act(rest, "sent", (info, options) =>
      Runs.Runs.use((runs) =>
        runs.signal(info.run, name, value, { ...options, key: Option.getOrUndefined(key) })
      )
    )
  })
).pipe(
  Command.withDescription("Send a signal to a run."),
  Command.withExamples([
    { command: `waymark signal order-7 paid '{"cents":1200}'`, description: "With a payload" }
  ])
)

const settle = Flag.String("settle").pipe(
  Flag.withDescription(
    'What became of a call that is in doubt: again, failed or {"output":…}; of one of several: call=again, …'
  ),
  Flag.withMetavar("[call=]again|failed|output"),
  Flag.atLeast(0)
)

const isSettlement = Schema.is(
  Schema.Union([Schema.Literals(["again", "failed"]), Schema.Struct({ output: Schema.Json })])
)

/** What is said of calls that are in doubt, by their names: that of the only one need not be given. */
const settlements = Effect.fnUntraced(function* (run: string, texts: ReadonlyArray<string>) {
  const said: Array<readonly [call: string | undefined, as: unknown]> = []
  for (const text of texts) {
    // The name of a call does not begin so.
    if (text === "again" || text === "failed" || text.startsWith("{"))
      said.push([undefined, yield* Given.value("--settle", text)])
    else said.push(...Object.entries(yield* Given.named("--settle", [text])))
  }
  const settled: { [call: string]: Runs.Settlement } = {}
  for (const [named, as] of said) {
    const call = named ?? (yield* onlyInDoubt(run))
    if (!isSettlement(as))
      return yield* new BadInput({
        what: `--settle ${call}`,
        detail: 'it is `again`, `failed` or {"output":…}'
      })
    settled[call] = as
  }
  return settled
})

const onlyInDoubt = Effect.fnUntraced(function* (run: string) {
  const [first, ...others] = yield* Runs.callsInDoubt(run)
  if (first !== undefined && others.length === 0) return first.call
  const detail =
    first === undefined
      ? "no call of the run is in doubt"
      : `several calls are in doubt; say which, as in ${[first, ...others].map(({ call }) => `${call}=again`).join(", ")}`
  return yield* new BadInput({ what: "--settle", detail })
})

export const resume = Command.make(
  "resume",
  { run, settle, ...Acting.flags },
  Effect.fn("resume")(function* ({ settle, ...rest }) {
    yield* Acting.act(rest, "resumed", (info, options) =>
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* runs.resume(info.run, { ...options, settle: yield* settlements(info.run, settle) })
      })
    )
  })
).pipe(
  Command.withDescription("Let a paused run go on."),
  Command.withExamples([
    { command: "waymark resume ticket-42", description: "It goes on where a worker takes it up" },
    {
      command: "waymark resume payout-1 --settle again --work",
      description: "The call that is in doubt did not take effect: it is made again, here"
    },
    {
      command: `waymark resume payout-1 --settle '{"output":"receipt 17"}'`,
      description: "It did: this is what its tool would have given"
    }
  ])
)

export const pause = Command.make(
  "pause",
  {
    run,
    note: Flag.String("note").pipe(Flag.withDescription("Why: stands in the journal"), Flag.optional),
    ...Acting.sendFlags
  },
  Effect.fn("pause")(function* ({ note, ...rest }) {
    yield* Acting.act({ ...rest, work: false }, "to be paused", (info, options) =>
      Runs.Runs.use((runs) => runs.pause(info.run, { ...options, note: Option.getOrUndefined(note) }))
    )
  })
).pipe(Command.withDescription("Stop a run at its next checkpoint."))

export const cancel = Command.make(
  "cancel",
  {
    run,
    reason: Flag.String("reason").pipe(
      Flag.withDescription("Why: stands in the journal"),
      Flag.withDefault("cancelled on the command line")
    ),
    ...Acting.flags
  },
  Effect.fn("cancel")(function* ({ reason, ...rest }) {
    yield* Acting.act(
      rest,
      "to be cancelled",
      (info, { until: _, ...options }) =>
        Runs.Runs.use((runs) => runs.cancel(info.run, reason, { ...options, until: "accepted" })),
      "before"
    )
  })
).pipe(
  Command.withShortDescription("Cancel a run."),
  Command.withDescription(
    "Cancel a run: it undoes what can be undone, and ends. That takes a worker, here with --work."
  )
)

export const retry = Command.make(
  "retry",
  {
    run,
    edit: Acting.edit,
    settle,
    maxSteps: Flag.Int("max-steps").pipe(
      Flag.withDescription("How many steps it may take from now on"),
      Flag.optional
    ),
    ...Acting.flags
  },
  Effect.fn("retry")(function* ({ edit, maxSteps, settle, ...rest }) {
    yield* Acting.act(
      rest,
      "retried",
      (info, { until: _, ...options }) =>
        Effect.gen(function* () {
          const runs = yield* Runs.Runs
          const how = {
            ...options,
            ...(settle.length === 0 ? undefined : { settle: yield* settlements(info.run, settle) }),
            ...(Option.isSome(maxSteps) ? { limits: { maxSteps: maxSteps.value } } : undefined)
          }
          if (edit.length === 0) return yield* runs.retry(info.run, how)
          const { edits, flow } = yield* Acting.editsOf(info, edit)
          yield* runs.retry(Runs.ref(flow, info.run), { ...how, edits })
        }),
      "before"
    )
  })
).pipe(
  Command.withDescription("Let a failed run go on from the visit that failed."),
  Command.withExamples([
    { command: "waymark retry ticket-42 --work", description: "And executes it here" },
    { command: `waymark retry ticket-42 --edit notes='["by hand"]'`, description: "With another state" }
  ])
)
