/**
 * A timeline in lines.
 */
import type { WaitTarget } from "@waymark/core/Event"
import { describe } from "@waymark/core/RunError"
import type { CallEntry, Timeline, VisitEntry, WaitEntry } from "@waymark/core/Timeline"
import * as Drawing from "./drawing.ts"
import type { Moment } from "./moments.ts"
import * as Text from "./text.ts"

/** A visit, or something that happened to the run as a whole. */
export type Item = VisitEntry | Moment

const isVisit = (item: Item): item is VisitEntry => "visit" in item

/** Both in the order in which they began. */
export const itemsOf = ({ visits }: Timeline, moments: ReadonlyArray<Moment>): ReadonlyArray<Item> => {
  const place = (item: Item): number => (isVisit(item) ? item.opened.seq + 0.5 : item.seq)
  return [...visits, ...moments].sort((a, b) => place(a) - place(b))
}

const nameOf = (on: WaitTarget): string =>
  "name" in on ? on.name : "id" in on ? on.id : "run" in on ? on.run : ""

/** How long it was open, and how much of that it waited. */
const tookOf = ({ ended, opened, started, status, waits }: VisitEntry): string => {
  if (ended === undefined) return status
  const waited = waits.reduce(
    (most, wait) => Math.max(most, (wait.ended ?? ended).time - wait.opened.time),
    0
  )
  const began = waits.length === 0 ? (started ?? opened.time) : opened.time
  const took = Text.span(ended.time - began - waited)
  return waited > 0 ? `${took} + ${Text.span(waited)} waiting` : took
}

const visitLine = (visit: VisitEntry, began: number, paint: Text.Paint): ReadonlyArray<string> => {
  const { attempt, branch, ended, node, opened, status, to } = visit
  const name = `${Text.inline(node, 40)}${visit.visit > 1 ? ` #${visit.visit}` : ""}`
  const where = branch === "" ? "" : paint("gray", ` [${Text.inline(branch, 30)}]`)
  const led = to === undefined ? "" : ` → ${to.map((one) => Text.inline(one, 30)).join(", ")}`
  return [
    paint("gray", String((ended ?? opened).seq)),
    paint("gray", `+${Text.span(opened.time - began)}`),
    paint(Drawing.colours[status], Drawing.signs[status]),
    `${paint("bold", name)}${where}${led}`,
    `${tookOf(visit)}${attempt > 1 ? `, attempt ${attempt}` : ""}`
  ]
}

const callLine = ({ ended, started, status, tool, tries, undo }: CallEntry, paint: Text.Paint): string => {
  const signs = { started: paint("cyan", "●"), completed: paint("green", "✔"), failed: paint("red", "✖") }
  const took = ended === undefined ? "no result yet" : Text.span(ended.time - started.time)
  const tried = tries > 1 ? `, ${tries} tries` : ""
  const undone = undo === undefined ? "" : `, undoing it: ${undo.status}`
  return `${signs[status]} ${Text.inline(tool, 60)} ${paint("gray", `${took}${tried}${undone}`)}`
}

const outcomes = {
  value: "ended",
  failure: "failed",
  timedOut: "timed out",
  lost: "another one was first",
  stopped: "stopped with the run"
} as const

/** How a wait ended. Whoever waits for a time is not too late when it has come. */
const outcomeText = ({ type }: WaitTarget, outcome: WaitEntry["outcome"] = "value"): string =>
  type === "until" && outcome === "timedOut" ? "woke" : outcomes[outcome]

const detailsOf = (visit: VisitEntry, paint: Text.Paint): ReadonlyArray<string> => [
  ...visit.failures.map(({ attempt, error }) =>
    paint("yellow", `↻ attempt ${attempt}: ${Text.inline(describe(error), 200)}`)
  ),
  ...visit.calls.flatMap((call) => [
    callLine(call, paint),
    ...(call.error === undefined ? [] : [`  ${paint("red", Text.inline(describe(call.error), 200))}`])
  ]),
  ...visit.waits.map(({ ended, on, opened, outcome }) => {
    const took =
      ended === undefined ? "waiting" : `${Text.span(ended.time - opened.time)}, ${outcomeText(on, outcome)}`
    return `${paint("yellow", "◔")} ${on.type} ${Text.inline(nameOf(on), 60)} ${paint("gray", took)}`
  }),
  ...(visit.error === undefined ? [] : [paint("red", Text.inline(describe(visit.error), 300))])
]

/** The lines of a timeline; times count from when the run was started. */
export const lines = (
  items: ReadonlyArray<Item>,
  began: number,
  paint: Text.Paint
): ReadonlyArray<string> => {
  const rows = items.map((item) =>
    isVisit(item)
      ? visitLine(item, began, paint)
      : [
          paint("gray", String(item.seq)),
          paint("gray", `+${Text.span(item.time - began)}`),
          paint("gray", "·"),
          paint("italic", Text.clean(item.text))
        ]
  )
  return Text.columns(rows).flatMap((line, i) => {
    const item = items[i]!
    const details = isVisit(item) ? detailsOf(item, paint) : []
    return [`  ${line}`, ...details.map((text) => `        ${text}`)]
  })
}
