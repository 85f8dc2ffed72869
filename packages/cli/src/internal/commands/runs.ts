import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { RunStatus } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type { ListQuery } from "@waymark/core/Store"
import * as Arguments from "../arguments.ts"
import { BadInput } from "../failures.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import * as RunText from "../runText.ts"
import * as Text from "../text.ts"

/** A point in time: as ISO 8601 or, from now backwards, as 30m, 2h, 7d. */
const timeOf = (what: string, text: string, now: number): Effect.Effect<number, BadInput> => {
  const [, amount, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
  const units: { readonly [unit: string]: number } = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }
  const time = amount === undefined ? Date.parse(text) : now - Number(amount) * units[unit!]!
  return Number.isFinite(time)
    ? Effect.succeed(time)
    : Effect.fail(new BadInput({ what, detail: `${JSON.stringify(text)} is neither a date nor 30m, 2h, 7d` }))
}

/** What is worth telling of a run besides its status. */
const detailOf = (info: RunInfo): string => {
  if (info.error !== undefined && info.status === "failed") {
    return Text.inline(
      [info.error.tag, info.error.message].filter((part) => part !== undefined).join(": "),
      60
    )
  }
  const [wait] = info.waits
  if (info.status === "waiting" && wait !== undefined)
    return Text.inline(`for ${wait.type} ${wait.name ?? ""}`.trimEnd(), 60)
  if (info.status === "paused") return info.pause ?? ""
  const { progress } = info
  if (info.status === "running" && progress !== undefined) return `${progress.done}/${progress.total}`
  return ""
}

const row = (info: RunInfo, now: number, paint: Text.Paint): ReadonlyArray<string> => [
  Text.inline(info.run, 60),
  RunText.statusOf(info, paint),
  Text.inline(info.flow, 40),
  Text.inline(info.node ?? "", 30),
  Text.count(info.steps, "step"),
  Text.ago(info.updatedAt, now),
  detailOf(info)
]

export const runs = Command.make(
  "runs",
  {
    status: Flag.Literals("status", RunStatus.literals).pipe(
      Flag.withDescription("Only runs of this status; may be given several times"),
      Flag.atLeast(0)
    ),
    flow: Flag.String("flow").pipe(Flag.withDescription("Only runs of this flow"), Flag.optional),
    session: Flag.String("session").pipe(Flag.withDescription("Only those of this session"), Flag.optional),
    correlation: Flag.String("correlation").pipe(
      Flag.withDescription("Only those with this correlation id"),
      Flag.optional
    ),
    parent: Flag.String("parent").pipe(
      Flag.withDescription("Only those that this run started"),
      Flag.optional
    ),
    forkOf: Flag.String("fork-of").pipe(Flag.withDescription("Only forks of this run"), Flag.optional),
    tag: Flag.String("tag").pipe(Flag.withDescription("Only those with this tag"), Flag.optional),
    bookmark: Flag.String("bookmark").pipe(
      Flag.withDescription("Only those with a bookmark of this name or tag"),
      Flag.optional
    ),
    wait: Flag.String("wait").pipe(
      Flag.withDescription("Only those that wait for something of this name"),
      Flag.optional
    ),
    since: Flag.String("since").pipe(
      Flag.withDescription("Only those started since: a date, or 30m, 2h, 7d ago"),
      Flag.optional
    ),
    order: Flag.Literals("order", ["newest", "oldest", "due"]).pipe(
      Flag.withDescription("Which come first"),
      Flag.withDefault("newest")
    ),
    limit: Arguments.limit(50),
    cursor: Flag.String("cursor").pipe(
      Flag.withDescription("Where to go on, as the last page said"),
      Flag.optional
    )
  },
  Effect.fn("runs")(function* (flags) {
    const output = yield* Output
    const now = yield* RunText.now
    const { status, order, limit, wait, since } = flags
    const query: { -readonly [K in keyof ListQuery]: ListQuery[K] } = { order, limit }
    if (status.length > 0) query.status = status
    for (const name of [
      "flow",
      "session",
      "correlation",
      "parent",
      "forkOf",
      "tag",
      "bookmark",
      "cursor"
    ] as const) {
      const value = Option.getOrUndefined(flags[name])
      if (value !== undefined) query[name] = value
    }
    if (Option.isSome(wait)) query.wait = { name: wait.value }
    if (Option.isSome(since)) query.createdAfter = yield* timeOf("--since", since.value, now)
    const page = yield* Runs.Runs.use((client) => client.list(query))
    yield* output.document(page, () => {
      if (page.runs.length === 0) return "no runs"
      return Text.columns(page.runs.map((info) => row(info, now, output.paint)))
    })
    if (page.cursor !== undefined) yield* output.note(`there are more: --cursor ${Text.clean(page.cursor)}`)
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription("List runs."),
  Command.withExamples([
    { command: "waymark runs --status failed --since 2h", description: "What failed in the last two hours" },
    { command: "waymark runs --wait approval", description: "What waits for an approval" },
    {
      command: "waymark runs --store ./copy.sqlite --json",
      description: "A store that was sent to you, for programs"
    }
  ])
)
