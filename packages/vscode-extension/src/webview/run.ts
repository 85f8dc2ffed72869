/** The page of a run: its graph, its state at a checkpoint, its timeline. It shows what it is told, and tells what is done. */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { ToPage } from "../panel/Messages.ts"
import type { FromPage } from "../panel/Messages.ts"
import { button, html } from "./dom.ts"
import { makeGraph } from "./graph.ts"
import { makeTimeline } from "./timeline.ts"

const api = acquireVsCodeApi()
const decode = Schema.decodeUnknownExit(ToPage)
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is the editor, not a window
const tell = (message: FromPage): void => api.postMessage(message)

const title = html("h1", {}, "…")
const status = html("span", { class: "status", role: "status" })
const where = html("span", { class: "where", "aria-live": "polite" })
const slider = html("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Position in the run" })
const problem = html("p", { class: "problem", role: "alert", hidden: true })
const error = html("pre", { class: "error", hidden: true })
const state = html("dl", { class: "state" })
const stateHead = html("h2", {}, "State")

const graph = makeGraph({
  visit: (node, by) => tell({ _tag: "visit", node, by }),
  source: (node) => tell({ _tag: "open", what: "source", node })
})
const timeline = makeTimeline({
  ask: (from, count) => tell({ _tag: "rows", from, count }),
  goto: (seq) => tell({ _tag: "goto", seq })
})

const steps = html(
  "div",
  { class: "steps", role: "toolbar", "aria-label": "Through time" },
  button("|◀", "First checkpoint (Home)", () => tell({ _tag: "step", by: "first" })),
  button("◀", "Previous checkpoint (Left)", () => tell({ _tag: "step", by: "previous" })),
  button("▶", "Next checkpoint (Right)", () => tell({ _tag: "step", by: "next" })),
  button("▶|", "Last checkpoint (End)", () => tell({ _tag: "step", by: "last" })),
  slider,
  where
)
const links = html(
  "div",
  { class: "links" },
  button("Source", "Show the handler of this node", () => tell({ _tag: "open", what: "source" })),
  button("State", "Open the whole state", () => tell({ _tag: "open", what: "state" })),
  button("Changes", "Compare with the checkpoint before", () => tell({ _tag: "open", what: "compare" })),
  button("Event", "Open the event", () => tell({ _tag: "open", what: "event" })),
  button("History", "Step through the history from here", () => tell({ _tag: "open", what: "debug" })),
  button("Replay", "Debug a replay from here: no tool is called", () =>
    tell({ _tag: "open", what: "replay" })
  ),
  button("Fork", "Debug a fork from here: its tools are called", () => tell({ _tag: "open", what: "fork" }))
)
document.body.append(
  html("header", {}, html("div", { class: "title" }, title, status), steps),
  problem,
  html(
    "main",
    {},
    html("section", { class: "drawing", "aria-label": "Graph" }, graph.element),
    html("aside", { "aria-label": "Checkpoint" }, links, error, stateHead, state)
  ),
  timeline.element
)

// A slider that is dragged asks often: the last wish counts.
let wished: number | undefined
slider.addEventListener("input", () => {
  if (wished === undefined) {
    requestAnimationFrame(() => {
      if (wished !== undefined) tell({ _tag: "goto", seq: wished })
      wished = undefined
    })
  }
  wished = Number(slider.value)
})
const keys: { readonly [key: string]: "first" | "previous" | "next" | "last" } = {
  Home: "first",
  ArrowLeft: "previous",
  ArrowRight: "next",
  End: "last"
}
document.addEventListener("keydown", (event) => {
  const by = keys[event.key]
  if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return
  event.preventDefault()
  tell({ _tag: "step", by })
})

const show = (message: ToPage): void => {
  switch (message._tag) {
    case "run":
      api.setState({ store: message.store, run: message.run })
      title.textContent = `${message.run} · ${message.flow}`
      graph.draw(message.graph)
      break
    case "focus":
      graph.focus(message.node)
      break
    case "size":
      status.textContent = `${message.status}${message.about === message.status ? "" : `: ${message.about}`}${message.reading ? " · reading…" : ""}`
      status.className = `status ${message.status}`
      slider.max = String(message.seq)
      timeline.resize(message.rows)
      break
    case "at":
      slider.value = String(message.seq)
      slider.setAttribute("aria-valuetext", `${message.seq}: ${message.title}`)
      where.textContent = `${message.seq}  ${message.title} · ${new Date(message.time).toLocaleTimeString()}`
      graph.mark(message)
      timeline.select(message.row)
      error.hidden = message.error === undefined
      error.textContent = message.error ?? ""
      state.replaceChildren(
        ...message.state.flatMap(({ changed, name, text }) => [
          html("dt", { class: changed ? "changed" : "" }, changed ? `${name} (changed here)` : name),
          html("dd", {}, text)
        ])
      )
      stateHead.textContent = message.state.length === 0 ? "State: nothing yet" : "State"
      break
    case "rows":
      timeline.take(message.from, message.rows)
      break
    case "problem":
      problem.hidden = false
      problem.textContent = message.text
      break
  }
}

window.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  const decoded = decode(data)
  if (Exit.isSuccess(decoded)) show(decoded.value)
  else
    show({
      _tag: "problem",
      text: "The page was told something that it does not understand: reload the window."
    })
})
tell({ _tag: "ready" })
