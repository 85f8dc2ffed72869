/**
 * A graph drawn in characters: one node on a line. Lines on the left lead down, those on the right lead up again; heavy ones
 * were taken.
 */
import * as CliOutput from "effect/cli/CliOutput"
import type { NodeStatus } from "@waymark/core/Timeline"
import type { Graph, GraphEdge } from "./graph.ts"
import * as Text from "./text.ts"

export const signs: { readonly [Status in NodeStatus]: string } = {
  pending: "○",
  running: "●",
  waiting: "◔",
  completed: "✔",
  failed: "✖",
  tolerated: "≈",
  skipped: "»",
  cancelled: "⊘"
}

export const colours: { readonly [Status in NodeStatus]: Parameters<Text.Paint>[0] } = {
  pending: "gray",
  running: "cyan",
  waiting: "yellow",
  completed: "green",
  failed: "red",
  tolerated: "yellow",
  skipped: "gray",
  cancelled: "magenta"
}

/** Nodes so that what follows stands below, as far as there are no loops. */
const orderOf = ({ edges, nodes, start }: Graph): ReadonlyArray<string> => {
  const next = new Map<string, Array<string>>()
  for (const { from, to } of edges) {
    const ways = next.get(from)
    if (ways === undefined) next.set(from, [to])
    else ways.push(to)
  }
  const known = new Set(nodes.map(({ name }) => name))
  const seen = new Set<string>()
  const order: Array<string> = []
  // Depth first, without recursion: a flow may have very many nodes.
  for (const root of [start, ...known]) {
    if (seen.has(root) || !known.has(root)) continue
    const found: Array<string> = []
    const stack: Array<{ readonly name: string; readonly rest: Array<string> }> = []
    const enter = (name: string) => {
      seen.add(name)
      stack.push({ name, rest: [...(next.get(name) ?? [])] })
    }
    enter(root)
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!
      const to = top.rest.pop()
      if (to === undefined) {
        found.push(top.name)
        stack.pop()
      } else if (!seen.has(to) && to !== "end") enter(to)
    }
    order.push(...found.reverse())
  }
  return edges.some(({ to }) => to === "end") ? [...order, "end"] : order
}

const up = 1
const down = 2
const left = 4
const right = 8
const light = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"
const heavy = " ╹╻┃╸┛┓┫╺┗┏┣━┻┳╋"

interface Rail {
  readonly top: number
  readonly bottom: number
  readonly from: number
  readonly to: number
  readonly taken: boolean
  lane: number
}

/** Gives rails lanes in which they do not meet, the short ones next to the nodes. */
const lanesOf = (rails: Array<Rail>): number => {
  const lanes: Array<Array<Rail>> = []
  for (const rail of rails.sort((a, b) => a.bottom - a.top - (b.bottom - b.top) || a.top - b.top)) {
    let lane = 0
    while (lanes[lane]?.some((other) => other.top <= rail.bottom && rail.top <= other.bottom) === true) lane++
    rail.lane = lane
    ;(lanes[lane] ??= []).push(rail)
  }
  return lanes.length
}

/** The rails beside the rows, lane 0 next to the nodes; `side` is the direction from a rail to its nodes. */
const gutterOf = (
  rails: ReadonlyArray<Rail>,
  lanes: number,
  rows: number,
  side: "left" | "right",
  paint: Text.Paint
) => {
  const width = lanes * 2
  const bits = Array.from({ length: rows }, () => new Uint8Array(width))
  const taken = Array.from({ length: rows }, () => new Uint8Array(width))
  const heads = new Map<number, boolean>()
  const put = (row: number, column: number, what: number, isTaken: boolean) => {
    bits[row]![column]! |= what
    if (isTaken) taken[row]![column] = 1
  }
  for (const rail of rails) {
    const x = rail.lane * 2
    for (let row = rail.top; row <= rail.bottom; row++) {
      if (row > rail.top) put(row, x, up, rail.taken)
      if (row < rail.bottom) put(row, x, down, rail.taken)
    }
    for (const row of [rail.top, rail.bottom]) {
      put(row, x, left, rail.taken)
      for (let column = 0; column < x; column++) put(row, column, left | right, rail.taken)
    }
    heads.set(rail.to, heads.get(rail.to) === true || rail.taken)
  }
  return bits.map((row, y) => {
    // Columns count from the nodes outwards, where "left" is towards the nodes; the left gutter is that in a mirror.
    const cells = Array.from(row, (cell, x) => {
      const isTaken = taken[y]![x] === 1
      const mirrored = (cell & (up | down)) | (cell & left ? right : 0) | (cell & right ? left : 0)
      const shown = (isTaken ? heavy : light)[side === "left" ? mirrored : cell]!
      return shown === " " ? shown : paint(isTaken ? "cyan" : "gray", shown)
    })
    const head = heads.get(y)
    const tip = side === "left" ? "▶" : "◀"
    const touches = width > 0 && (row[0]! & left) !== 0
    const line = touches ? light[left | right]! : " "
    const arrow = head === undefined ? paint("gray", line) : paint(head ? "cyan" : "gray", tip)
    return side === "left" ? [...cells.reverse(), arrow].join("") : [arrow, ...cells].join("")
  })
}

/** The lines of a drawing. */
export const draw = (graph: Graph, paint: Text.Paint): ReadonlyArray<string> => {
  const order = orderOf(graph)
  const rowOf = new Map(order.map((name, row) => [name, row]))
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const downwards: Array<Rail> = []
  const upwards: Array<Rail> = []
  const loops = new Map<string, GraphEdge>()
  for (const edge of graph.edges) {
    const from = rowOf.get(edge.from)
    const to = rowOf.get(edge.to)
    if (from === undefined || to === undefined) continue
    if (from === to) loops.set(edge.from, edge)
    else {
      const rail = {
        top: Math.min(from, to),
        bottom: Math.max(from, to),
        from,
        to,
        taken: edge.taken > 0,
        lane: 0
      }
      ;(from < to ? downwards : upwards).push(rail)
    }
  }
  const labels = order.map((name) => {
    const node = nodes.get(name)
    if (node === undefined) return paint("gray", "◼ end")
    const { open, status, visits } = node
    const loop = loops.get(name)
    const parts = [`${paint(colours[status], signs[status])} ${paint("bold", Text.inline(name, 40))}`]
    parts.push(paint(colours[status], status))
    if (visits > 1) parts.push(`×${visits}`)
    if (open > 1) parts.push(`${open} open`)
    if (loop !== undefined) parts.push(paint(loop.taken > 0 ? "cyan" : "gray", "↻"))
    return parts.join(" ")
  })
  const leftGutter = gutterOf(downwards, lanesOf(downwards), order.length, "left", paint)
  const rightGutter = gutterOf(upwards, lanesOf(upwards), order.length, "right", paint)
  const width = Math.max(0, ...labels.map(CliOutput.displayWidth))
  return labels.map((label, row) => {
    const gap = " ".repeat(width - CliOutput.displayWidth(label))
    return `${leftGutter[row]!} ${label}${gap} ${upwards.length === 0 ? "" : rightGutter[row]!}`.trimEnd()
  })
}
