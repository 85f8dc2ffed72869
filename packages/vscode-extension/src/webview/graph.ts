/** The graph of a flow: drawn once, then only marked, so that a run that moves does not move the nodes. */
import type { Graph, NodeState, ToPage } from "../panel/Messages.ts"
import { signOf, svg } from "./dom.ts"

type At = Extract<ToPage, { readonly _tag: "at" }>

export interface GraphActions {
  /** Goes to another visit of a node. */
  readonly visit: (node: string, by: "previous" | "next") => void
  /** Opens the handler of a node. */
  readonly source: (node: string) => void
}

export interface GraphView {
  readonly element: SVGSVGElement
  readonly draw: (graph: Graph) => void
  readonly mark: (at: At) => void
  /** Puts the focus on a node, if the flow has it. */
  readonly focus: (node: string) => void
}

interface Drawn {
  readonly group: SVGGElement
  readonly sign: SVGTextElement
  readonly count: SVGTextElement
  readonly name: string
}

const pathOf = (points: Graph["edges"][number]["points"]): string =>
  points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)},${y.toFixed(1)}`).join(" ")

const countText = ({ failures, open, visits }: NodeState): string => {
  const parts: Array<string> = []
  if (visits > 0) parts.push(`${visits}×`)
  if (open > 1) parts.push(`${open} open`)
  if (failures > 0) parts.push(`${failures} failed`)
  return parts.join(" · ")
}

/** It is enlarged and made smaller to fill its place, by no more than this: texts are to be read, then one scrolls. */
const largest = 1.4
const smallest = 0.75

export const makeGraph = (actions: GraphActions): GraphView => {
  const element = svg("svg", { class: "graph", role: "group", "aria-label": "The graph of the flow" })
  const nodes = new Map<string, Drawn>()
  const edges = new Map<string, SVGGElement>()
  let current: string | undefined

  const draw: GraphView["draw"] = ({ edges: lines, height, nodes: boxes, width }) => {
    nodes.clear()
    edges.clear()
    current = undefined
    const arrow = svg(
      "marker",
      {
        id: "arrow",
        viewBox: "0 0 8 8",
        refX: 7,
        refY: 4,
        markerUnits: "userSpaceOnUse",
        markerWidth: 9,
        markerHeight: 9,
        orient: "auto-start-reverse"
      },
      svg("path", { d: "M0,0 L8,4 L0,8 z", class: "arrow" })
    )
    const drawing: Array<SVGElement> = [svg("defs", {}, arrow)]
    for (const { from, kind, label, points, to } of lines) {
      const middle = points[Math.floor(points.length / 2)] ?? { x: 0, y: 0 }
      const group = svg(
        "g",
        { class: `edge ${kind}` },
        svg("path", { d: pathOf(points), "marker-end": "url(#arrow)" }),
        ...(label === undefined ? [] : [svg("text", { x: middle.x, y: middle.y, class: "label" }, label)])
      )
      edges.set(`${from}\0${to}`, group)
      drawing.push(group)
    }
    for (const { height: h, id, label, note, role, width: w, x, y } of boxes) {
      const sign = svg("text", { x: x - w / 2 + 14, y: y + 5, class: "sign" })
      const count = svg("text", { x, y: y + 16, class: "count" })
      const group = svg(
        "g",
        { class: `node ${role} unvisited`, tabindex: 0, role: "button" },
        svg("title", {}, note === undefined ? id : `${id}\n${note}`),
        svg("rect", { x: x - w / 2, y: y - h / 2, width: w, height: h, rx: role === "end" ? h / 2 : 6 }),
        sign,
        svg("text", { x, y: y + (role === "end" ? 5 : -1), class: "name" }, label),
        count
      )
      group.addEventListener("click", (event) => actions.visit(id, event.shiftKey ? "previous" : "next"))
      group.addEventListener("dblclick", () => actions.source(id))
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ")
          actions.visit(id, event.shiftKey ? "previous" : "next")
        else if (event.key === "o") actions.source(id)
        else return
        event.preventDefault()
        event.stopPropagation()
      })
      nodes.set(id, { group, sign, count, name: id })
      drawing.push(group)
    }
    element.replaceChildren(...drawing)
    element.setAttribute("viewBox", `0 0 ${Math.max(1, width)} ${Math.max(1, height)}`)
    element.style.maxWidth = `${width * largest}px`
    element.style.maxHeight = `${height * largest}px`
    element.style.minWidth = `${width * smallest}px`
    element.style.minHeight = `${height * smallest}px`
  }

  const mark: GraphView["mark"] = (at) => {
    const states = new Map(at.nodes.map((state) => [state.id, state]))
    for (const [id, { count, group, name, sign }] of nodes) {
      const state = states.get(id) ?? { id, status: "unvisited", visits: 0, failures: 0, open: 0 }
      const role = group.classList.contains("start")
        ? "start"
        : group.classList.contains("end")
          ? "end"
          : "node"
      group.setAttribute("class", `node ${role} ${state.status}${id === at.node ? " current" : ""}`)
      sign.textContent = signOf(state.status)
      count.textContent = role === "end" ? "" : countText(state)
      group.setAttribute("aria-label", `node ${name}, ${state.status}, ${countText(state)}`)
      if (id === at.node) group.setAttribute("aria-current", "step")
      else group.removeAttribute("aria-current")
    }
    if (at.node !== current) {
      current = at.node
      // What it goes to is to be seen, with what is around it.
      const group = at.node === undefined ? undefined : nodes.get(at.node)?.group
      group?.scrollIntoView({ block: "nearest", inline: "nearest" })
    }
    const taken = new Map(at.edges.map(({ count, from, to }) => [`${from}\0${to}`, count]))
    for (const [key, group] of edges) group.classList.toggle("taken", taken.has(key))
  }

  const focus: GraphView["focus"] = (node) => {
    const group = nodes.get(node)?.group
    group?.scrollIntoView({ block: "nearest", inline: "nearest" })
    // It was asked for in a source file, maybe with the mouse: it is to be seen all the same.
    const shown: FocusOptions & { focusVisible?: boolean } = { focusVisible: true, preventScroll: true }
    group?.focus(shown)
  }

  return { element, draw, mark, focus }
}
