/**
 * A timeline in lines.
 */
import * as Text from "./text.ts"
import type { Item, Step, StepStatus } from "./timeline.ts"
import { waitedMillis } from "./timeline.ts"

const signs: { readonly [Status in StepStatus]: string } = {
  running: "●",
  waiting: "◔",
  completed: "✔",
  failed: "✖",
  retried: "↻",
  tolerated: "≈",
  skipped: "»"
}

const colours: { readonly [Status in StepStatus]: Parameters<Text.Paint>[0] } = {
  running: "cyan",
  waiting: "yellow",
  completed: "green",
  failed: "red",
  retried: "yellow",
  tolerated: "yellow",
  skipped: "gray"
}

const stepLine = (step: Step, began: number, paint: Text.Paint): ReadonlyArray<string> => {
  const { attempt, branch, ended, node, started, status, to, visit } = step
  const begin = started ?? step.calls[0]?.started ?? step.waits[0]?.opened
  const name = `${Text.inline(node, 40)}${visit > 1 ? ` #${visit}` : ""}${attempt > 1 ? ` (attempt ${attempt})` : ""}`
  const where = branch === "" ? "" : paint("gray", ` [${Text.inline(branch, 30)}]`)
  const waited = waitedMillis(step)
  const took =
    begin === undefined || ended === undefined
      ? status
      : `${Text.span(ended - begin - waited)}${waited > 0 ? ` + ${Text.span(waited)} waiting` : ""}`
  const led = to === undefined ? "" : ` → ${to.map((one) => Text.inline(one, 30)).join(", ")}`
  return [
    paint("gray", String(step.seq)),
    paint("gray", begin === undefined ? "" : `+${Text.span(begin - began)}`),
    paint(colours[status], signs[status]),
    `${paint("bold", name)}${where}${led}`,
    took
  ]
}

/** The lines of a timeline; times count from when the run was started. */
export const lines = (items: ReadonlyArray<Item>, began: number, paint: Text.Paint): ReadonlyArray<string> => {
  const rows: Array<ReadonlyArray<string>> = []
  const under: Array<{ readonly after: number; readonly text: string }> = []
  for (const item of items) {
    if (item.type === "mark") {
      const time = paint("gray", `+${Text.span(item.time - began)}`)
      rows.push([paint("gray", String(item.seq)), time, paint("gray", "·"), paint("italic", Text.clean(item.text))])
      continue
    }
    rows.push(stepLine(item, began, paint))
    const add = (text: string) => under.push({ after: rows.length - 1, text: `      ${text}` })
    for (const call of item.calls) {
      const sign = call.status === "failed" ? paint("red", "✖") : call.status === "running" ? paint("cyan", "●") : paint("green", "✔")
      const took = call.ended === undefined ? "no result yet" : Text.span(call.ended - call.started)
      const tries = call.retries > 0 ? `, ${Text.count(call.retries, "retry", "retries")}` : ""
      add(`${sign} ${Text.inline(call.tool, 60)} ${paint("gray", `${took}${tries}`)}`)
      if (call.error !== undefined) add(`  ${paint("red", Text.inline(call.error, 200))}`)
    }
    for (const wait of item.waits) {
      const name = "name" in wait.on ? wait.on.name : "id" in wait.on ? wait.on.id : "run" in wait.on ? wait.on.run : ""
      const took = wait.ended === undefined ? "waiting" : Text.span(wait.ended - wait.opened)
      add(`${paint("yellow", "◔")} ${wait.on.type} ${Text.inline(name, 60)} ${paint("gray", took)}`)
    }
    if (item.error !== undefined) add(paint("red", Text.inline(item.error, 300)))
  }
  const shown = Text.columns(rows)
  const result: Array<string> = []
  let next = 0
  shown.forEach((line, i) => {
    result.push(`  ${line}`)
    while (under[next]?.after === i) result.push(`  ${under[next++]!.text}`)
  })
  return result
}
