/**
 * Graphs in the languages of other tools.
 */
import type { Graph } from "./graph.ts"

/** Text that can stand in quotes in either language. */
const label = (text: string): string =>
  text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', "'")
    .replaceAll(/[\r\n]+/g, " ")

const mermaidLabel = (text: string): string =>
  text
    .replaceAll("&", "#amp;")
    .replaceAll('"', "#quot;")
    .replaceAll("<", "#lt;")
    .replaceAll(">", "#gt;")
    .replaceAll(/[\r\n]+/g, " ")

/** What is told of an edge besides where it leads. */
const kindsOf = (kinds: ReadonlyArray<string>): string =>
  kinds.filter((kind) => kind !== "next" && kind !== "end").join(", ")

/** A Mermaid flowchart. */
export const mermaid = ({ edges, nodes, start }: Graph): string => {
  const ids = new Map(nodes.map(({ name }, i) => [name, `n${i}`]))
  const id = (name: string): string => ids.get(name) ?? "finish"
  const lines = ["flowchart TD", "  begin((start))"]
  for (const { name } of nodes) lines.push(`  ${id(name)}["${mermaidLabel(name)}"]`)
  if (edges.some(({ to }) => to === "end")) lines.push("  finish((end))")
  if (ids.has(start)) lines.push(`  begin --> ${id(start)}`)
  for (const { from, kinds, taken, to } of edges) {
    const told = kindsOf(kinds)
    const line = taken > 0 ? "==>" : "-->"
    lines.push(`  ${id(from)} ${line}${told === "" ? "" : `|"${mermaidLabel(told)}"|`} ${id(to)}`)
  }
  const byStatus = new Map<string, Array<string>>()
  for (const { name, status } of nodes) {
    if (status !== "pending") byStatus.set(status, [...(byStatus.get(status) ?? []), id(name)])
  }
  const fills: { readonly [status: string]: string } = {
    completed: "#c8e6c9",
    failed: "#ffcdd2",
    running: "#b3e5fc",
    waiting: "#fff9c4",
    tolerated: "#ffe0b2",
    skipped: "#eeeeee",
    cancelled: "#e1bee7"
  }
  for (const [status, of] of byStatus) {
    lines.push(`  classDef ${status} fill:${fills[status]},color:#000`, `  class ${of.join(",")} ${status}`)
  }
  return lines.join("\n")
}

/** A Graphviz digraph. */
export const dot = ({ edges, flow, nodes, start }: Graph): string => {
  const fills: { readonly [status: string]: string } = {
    completed: "palegreen",
    failed: "lightpink",
    running: "lightblue",
    waiting: "khaki",
    tolerated: "moccasin",
    skipped: "gray90",
    cancelled: "thistle"
  }
  const lines = [`digraph "${label(flow)}" {`, '  node [shape=box, style="rounded,filled", fillcolor=white]']
  for (const { name, status } of nodes) {
    const fill = fills[status] === undefined ? "" : `, fillcolor=${fills[status]}`
    const bold = name === start ? ", penwidth=2" : ""
    lines.push(`  "${label(name)}" [label="${label(name)}"${fill}${bold}]`)
  }
  if (edges.some(({ to }) => to === "end")) lines.push('  "end" [shape=doublecircle, label="end"]')
  for (const { from, kinds, taken, to } of edges) {
    const told = kindsOf(kinds)
    const attributes = [
      ...(told === "" ? [] : [`label="${label(told)}"`]),
      ...(taken > 0 ? ["penwidth=2"] : []),
      ...(told.startsWith("route") || told.startsWith("skip") || told.startsWith("tolerate")
        ? ["style=dashed"]
        : [])
    ]
    lines.push(
      `  "${label(from)}" -> "${label(to)}"${attributes.length === 0 ? "" : ` [${attributes.join(", ")}]`}`
    )
  }
  return [...lines, "}"].join("\n")
}
