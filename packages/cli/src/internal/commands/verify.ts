import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Runs from "@waymark/core/Runs"
import { BadInput } from "../failures.ts"
import * as JsonPath from "../jsonPath.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { runNamed } from "../runNamed.ts"
import * as Text from "../text.ts"

type Finding =
  | {
      readonly run: string
      readonly ok: true
      readonly from: number
      readonly to: number
      readonly anchor: string
      readonly head: string
    }
  | {
      readonly run: string
      readonly ok: false
      readonly error: string
      readonly seq?: number
      readonly message: string
    }

const check = (
  run: string,
  options: { readonly from?: number; readonly expect?: { readonly seq: number; readonly hash: string } }
) =>
  Runs.verify(run, options).pipe(
    Effect.map((verified): Finding => ({ ...verified, ok: true })),
    Effect.catchTag("ChainBroken", ({ message, seq }) =>
      Effect.succeed<Finding>({ run, ok: false, error: "ChainBroken", seq, message })
    ),
    Effect.catchIf(
      (error) => error._tag === "StoreError" && error.reason._tag === "Corrupt",
      ({ message }) => Effect.succeed<Finding>({ run, ok: false, error: "Corrupt", message })
    )
  )

/** The ids of all runs, page by page. */
const allRuns = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const ids: Array<string> = []
  let cursor: string | undefined
  do {
    const page = yield* runs.list({
      limit: 1000,
      order: "oldest",
      ...(cursor === undefined ? undefined : { cursor })
    })
    ids.push(...page.runs.map(({ run }) => run))
    cursor = page.cursor
  } while (cursor !== undefined)
  return ids
})

export const verify = Command.make(
  "verify",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription("The run's id, or the beginning of it; without it, all runs of the store"),
      Argument.optional
    ),
    from: Flag.Int("from").pipe(Flag.withDescription("From this position on"), Flag.optional),
    expect: Flag.String("expect").pipe(
      Flag.withDescription("What is known of it from elsewhere: shows whether its end was cut off"),
      Flag.withMetavar("seq:hash"),
      Flag.optional
    )
  },
  Effect.fn("verify")(function* ({ expect, from, run }) {
    const output = yield* Output
    const [, seq, hash] = /^(\d+):([0-9a-f]{64})$/.exec(Option.getOrElse(expect, () => "")) ?? []
    if (Option.isSome(expect) && (seq === undefined || hash === undefined)) {
      return yield* new BadInput({ what: "--expect", detail: "it is a position and a SHA-256, as in 17:ab…" })
    }
    const options = {
      ...(Option.isSome(from) ? { from: from.value } : undefined),
      ...(seq === undefined || hash === undefined ? undefined : { expect: { seq: Number(seq), hash } })
    }
    if (Option.isNone(run) && Object.keys(options).length > 0) {
      return yield* new BadInput({ what: "--from and --expect", detail: "they are of one run; name it" })
    }
    const ids = Option.isSome(run) ? [(yield* runNamed(run.value)).run] : yield* allRuns
    let broken = 0
    for (const id of ids) {
      const finding = yield* check(id, options)
      if (!finding.ok) broken++
      yield* output.line(finding, () => {
        const name = Text.inline(id, 80)
        return finding.ok
          ? `${output.paint("green", "✔")} ${name}: seq ${finding.from} to ${finding.to}, head ${finding.head}`
          : `${output.paint("red", "✖")} ${name}: ${Text.clean(finding.message)}`
      })
    }
    if (Option.isNone(run))
      yield* output.note(`${Text.count(ids.length, "run")} verified, ${broken} not as written`)
    if (broken > 0) return yield* JsonPath.different
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription(
    "Check the chain of hashes of a run, or of all. With --json, one finding on each line."
  ),
  Command.withExamples([
    { command: "waymark verify", description: "All runs" },
    {
      command:
        "waymark verify ticket-42 --expect 17:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      description: "Also that nothing was cut off"
    }
  ])
)
