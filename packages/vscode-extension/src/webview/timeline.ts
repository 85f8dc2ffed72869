/** The timeline: of 100,000 rows, the few that are seen are there. Rows are asked for when they come into sight. */
import type { Row } from "../panel/Messages.ts"
import { html, signOf } from "./dom.ts"

export interface TimelineActions {
  readonly ask: (from: number, count: number) => void
  readonly goto: (seq: number) => void
}

export interface TimelineView {
  readonly element: HTMLElement
  readonly resize: (rows: number) => void
  readonly take: (from: number, rows: ReadonlyArray<Row>) => void
  readonly select: (row: number) => void
}

const rowHeight = 24
/** Browsers draw nothing beyond some 16 million pixels: longer lists are scrolled in larger steps. */
const highest = 12_000_000
const chunk = 200
const mostChunks = 40

const duration = (millis: number): string =>
  millis < 1000
    ? `${Math.round(millis)} ms`
    : millis < 60_000
      ? `${(millis / 1000).toFixed(1)} s`
      : millis < 3_600_000
        ? `${Math.round(millis / 60_000)} min`
        : `${(millis / 3_600_000).toFixed(1)} h`

interface Line {
  readonly element: HTMLElement
  readonly sign: HTMLElement
  readonly name: HTMLElement
  readonly time: HTMLElement
  readonly queue: HTMLElement
  readonly work: HTMLElement
}

const makeLine = (): Line => {
  const sign = html("span", { class: "sign" })
  const name = html("span", { class: "name" })
  const time = html("span", { class: "time" })
  const queue = html("span", { class: "queue" })
  const work = html("span", { class: "work" })
  const bar = html("span", { class: "bar", "aria-hidden": "true" }, queue, work)
  const element = html("div", { class: "row", role: "option" }, sign, name, time, bar)
  return { element, sign, name, time, queue, work }
}

export const makeTimeline = (actions: TimelineActions): TimelineView => {
  const space = html("div", { class: "space" })
  const element = html(
    "div",
    { class: "timeline", role: "listbox", tabindex: 0, "aria-label": "Timeline" },
    space
  )
  const lines: Array<Line> = []
  const chunks = new Map<number, ReadonlyArray<Row>>()
  const asked = new Set<number>()
  let count = 0
  let selected = 0

  /** What is left below the last row, so that the first one that is seen is whole also at the end. */
  const slack = () => {
    const over = (count * rowHeight - element.clientHeight) % rowHeight
    return over <= 0 ? 0 : rowHeight - over
  }
  const height = () => Math.min(count * rowHeight + slack(), highest)
  const seen = () => Math.ceil(element.clientHeight / rowHeight) + 1
  /** The first row that is seen. */
  const first = (): number => {
    const range = height() - element.clientHeight
    if (count * rowHeight <= highest || range <= 0) return Math.floor(element.scrollTop / rowHeight)
    return Math.floor((element.scrollTop / range) * Math.max(0, count - seen() + 1))
  }
  const rowAt = (index: number): Row | undefined => chunks.get(Math.floor(index / chunk))?.[index % chunk]

  const request = (from: number, to: number): void => {
    for (let at = Math.floor(from / chunk); at <= Math.floor(to / chunk); at++) {
      if (chunks.has(at) || asked.has(at) || at * chunk >= count) continue
      asked.add(at)
      actions.ask(at * chunk, chunk)
    }
  }

  const fill = (line: Line, row: Row, from: number, span: number): void => {
    const end = row.ended ?? from + span
    const begun = row.started ?? row.queued
    const queued = Math.max(0, begun - row.queued)
    const worked = Math.max(0, end - begun)
    line.element.className = `row ${row.kind} ${row.status}${row.index === selected ? " selected" : ""}`
    line.sign.textContent = signOf(row.status)
    const attempt = row.attempt > 1 ? `, attempt ${row.attempt}` : ""
    const branch = row.branch === "" ? "" : ` [${row.branch}]`
    // A tool may be called like the node that calls it.
    const name = row.kind === "call" ? `tool: ${row.name}` : row.name
    line.name.textContent = `${name}${attempt}${branch}`
    const waited = queued >= 1 ? `${duration(queued)} queued, ` : ""
    line.time.textContent = row.status === "open" ? "open" : `${waited}${duration(worked)}`
    const at = (time: number) => Math.max(0, Math.min(100, ((time - from) / span) * 100))
    line.queue.style.left = `${at(row.queued)}%`
    line.queue.style.width = `${Math.max(0, at(begun) - at(row.queued))}%`
    line.work.style.left = `${at(begun)}%`
    line.work.style.width = `${Math.max(0.4, at(end) - at(begun))}%`
    const depth = row.kind === "visit" || row.kind === "run" ? 0 : 1
    line.name.style.paddingLeft = `${depth * 14 + Math.min(4, row.branch.split("/").length - (row.branch === "" ? 1 : 0)) * 10}px`
    line.element.setAttribute(
      "aria-label",
      `${row.kind} ${row.name}${attempt}${branch}, ${row.status}, ${line.time.textContent}`
    )
  }

  const draw = (): void => {
    const from = Math.max(0, Math.min(first(), count - 1))
    const to = Math.min(count, from + seen())
    request(from, Math.max(from, to - 1))
    while (lines.length < to - from) {
      const line = makeLine()
      const index = lines.length
      line.element.addEventListener("click", () => {
        const row = rowAt(Number(lines[index]!.element.dataset["row"]))
        if (row !== undefined) actions.goto(row.to)
      })
      lines.push(line)
      space.append(line.element)
    }
    const rows = Array.from({ length: to - from }, (_, i) => rowAt(from + i)).filter(
      (row) => row !== undefined
    )
    const begins = Math.min(...rows.map(({ queued }) => queued))
    const ends = Math.max(...rows.map(({ ended, queued, started }) => ended ?? started ?? queued))
    const span = Math.max(1, ends - begins)
    const top = count * rowHeight <= highest ? from * rowHeight : element.scrollTop
    for (const [i, line] of lines.entries()) {
      const index = from + i
      const row = index < to ? rowAt(index) : undefined
      line.element.hidden = index >= to
      line.element.style.transform = `translateY(${top + i * rowHeight}px)`
      line.element.dataset["row"] = String(index)
      line.element.id = `row-${index}`
      line.element.setAttribute("aria-posinset", String(index + 1))
      line.element.setAttribute("aria-setsize", String(count))
      line.element.setAttribute("aria-selected", String(index === selected))
      if (row === undefined) {
        line.element.className = "row unknown"
        for (const part of [line.sign, line.name, line.time]) part.textContent = index < to ? "…" : ""
      } else fill(line, row, begins, span)
    }
    element.setAttribute("aria-activedescendant", `row-${selected}`)
  }

  let drawing = false
  const drawSoon = (): void => {
    if (drawing) return
    drawing = true
    requestAnimationFrame(() => {
      drawing = false
      draw()
    })
  }
  element.addEventListener("scroll", drawSoon)
  const stretch = (): void => {
    space.style.height = `${height()}px`
    drawSoon()
  }
  new ResizeObserver(stretch).observe(element)

  const reveal = (row: number): void => {
    if (row >= first() + 1 && row < first() + seen() - 2) return
    const range = Math.max(0, height() - element.clientHeight)
    element.scrollTop =
      count * rowHeight <= highest
        ? Math.max(0, row - Math.floor(seen() / 2)) * rowHeight
        : (row / Math.max(1, count - seen() + 1)) * range
  }

  element.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: seen() - 2, PageUp: 2 - seen() }[event.key]
    if (by === undefined) return
    event.preventDefault()
    event.stopPropagation()
    const index = Math.max(0, Math.min(count - 1, selected + by))
    const row = rowAt(index)
    if (row === undefined) return reveal(index)
    actions.goto(row.to)
  })

  return {
    element,
    resize: (rows) => {
      // What was there when its chunk was taken has grown since.
      for (const at of chunks.keys()) if ((at + 1) * chunk > count || rows === count) chunks.delete(at)
      asked.clear()
      count = rows
      stretch()
    },
    take: (from, rows) => {
      const at = from / chunk
      asked.delete(at)
      chunks.delete(at)
      chunks.set(at, rows)
      for (const old of chunks.keys()) if (chunks.size > mostChunks) chunks.delete(old)
      drawSoon()
    },
    select: (row) => {
      selected = row
      reveal(row)
      drawSoon()
    }
  }
}
