import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Arguments from "../arguments.ts"
import * as Drawing from "../drawing.ts"
import * as Look from "../look.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { runNamed } from "../runNamed.ts"
import * as RunText from "../runText.ts"
import * as Text from "../text.ts"
import * as TimelineText from "../timelineText.ts"

const headOf = (
  { info, state }: Look.Seen,
  owner: string | undefined,
  now: number,
  paint: Text.Paint
): ReadonlyArray<string> => {
  const rows: Array<readonly [string, string]> = [
    [
      "status",
      `${RunText.statusOf(info, paint)}${info.node === undefined ? "" : ` at ${Text.inline(info.node, 60)}`}`
    ],
    ["flow", `${Text.inline(info.flow, 80)}, version ${info.version}`],
    ["started", `${Text.moment(info.createdAt)} (${Text.ago(info.createdAt, now)})`]
  ]
  if (info.endedAt !== undefined) rows.push(["took", Text.span(info.endedAt - info.createdAt)])
  rows.push(
    ["steps", `${info.steps} of at most ${state.maxSteps}`],
    ["journal", `seq 0 to ${info.seq}, epoch ${info.epoch}`]
  )
  if (owner !== undefined) rows.push(["worker", Text.inline(owner, 80)])
  if (info.parent !== undefined) rows.push(["started by", Text.inline(info.parent, 80)])
  if (info.forkOf !== undefined)
    rows.push(["forked from", Text.inline(`${info.forkOf.run}@${info.forkOf.seq}`, 80)])
  if (info.session !== undefined) rows.push(["session", Text.inline(info.session, 80)])
  if (info.actor !== undefined) rows.push(["actor", Text.inline(info.actor, 80)])
  if (info.correlation !== undefined) rows.push(["correlation", Text.inline(info.correlation, 80)])
  if (info.tags.length > 0) rows.push(["tags", info.tags.map((tag) => Text.inline(tag, 40)).join(", ")])
  if (info.progress !== undefined) {
    const { done, node, note, total } = info.progress
    rows.push([
      "progress",
      `${done} of ${total} at ${Text.inline(node, 40)}${note === undefined ? "" : `: ${Text.inline(note, 80)}`}`
    ])
  }
  for (const [name, { limit, spent }] of Object.entries(info.budgets ?? {})) {
    rows.push([`budget`, `${Text.inline(name, 40)}: ${spent} of ${limit}`])
  }
  rows.push(["input", Text.inline(state.input.value, 200)])
  const { ending } = state
  if (ending?.status === "completed") rows.push(["output", Text.inline(ending.output, 400)])
  if (ending?.status === "failed") rows.push(["error", paint("red", RunText.failureOf(ending.error))])
  if (ending?.status === "cancelled") rows.push(["reason", Text.inline(ending.reason, 200)])
  return Text.columns(rows.map(([name, value]) => [paint("gray", name), value]))
}

export const show = Command.make(
  "show",
  {
    run: Arguments.run,
    limit: Arguments.limit(30, "At most so many lines of the timeline, the last ones"),
    events: Flag.Int("events").pipe(
      Flag.withDescription(
        "How many events to look at, the last ones: the timeline and the graph come from them"
      ),
      Flag.withDefault(5000)
    )
  },
  Effect.fn("show")(function* ({ events: most, limit, run }) {
    const output = yield* Output
    const now = yield* RunText.now
    const info = yield* runNamed(run)
    const { owner } = yield* Store.use((store) => store.get(info.run))
    const seen = yield* Look.look(info, most)
    const items = TimelineText.itemsOf(seen.timeline, seen.moments)
    const waits = RunText.waitsOf(seen.state)
    const inDoubt = yield* Runs.callsInDoubt(info.run)
    const rest = yield* RunText.restText(seen.state, waits, inDoubt, now)
    const document = {
      run: seen.info,
      ...(owner === undefined ? undefined : { owner }),
      input: seen.state.input.value,
      ...(seen.state.ending === undefined ? undefined : { ending: seen.state.ending }),
      ...(seen.state.pause === undefined ? undefined : { pause: seen.state.pause }),
      ...(inDoubt.length === 0 ? undefined : { inDoubt }),
      waits,
      timeline: {
        from: seen.from,
        visits: seen.timeline.visits.slice(-limit),
        moments: seen.moments.slice(-limit),
        edges: seen.timeline.edges
      },
      graph: seen.graph
    }
    yield* output.document(document, () => {
      const { paint } = output
      const title = (text: string) => ["", paint("bold", text)]
      const lines = [paint("bold", Text.inline(info.run, 100)), ...headOf(seen, owner, now, paint)]
      const isPaused = seen.state.pause !== undefined
      const resting = isPaused ? "is paused" : inDoubt.length > 0 ? "is in doubt" : "waits for"
      if (rest.length > 0) lines.push(...title(resting), ...rest.map((line) => `  ${line}`))
      const shown = items.slice(-limit)
      const before = items.length - shown.length
      const since = seen.from === 0 ? "" : `, from seq ${seen.from} on`
      const earlier = before === 0 ? "" : `, ${before} before these`
      lines.push(...title(`timeline (${Text.count(items.length, "entry", "entries")}${since}${earlier})`))
      lines.push(...TimelineText.lines(shown, info.createdAt, paint))
      const of = `${seen.graph.known === "journal" ? ", as far as the run went" : ""}${since}`
      lines.push(...title(`graph${of}`), ...Drawing.draw(seen.graph, paint))
      return lines
    })
  }, Effect.provide(Place.reading))
).pipe(
  Command.withDescription(
    "Show a run: its status, what it waits for, what it did, and where it stands in its flow."
  ),
  Command.withExamples([
    { command: "waymark show 01k3v", description: "The run whose id begins so" },
    { command: "waymark show ticket-42 -n 200", description: "With a longer timeline" }
  ])
)
