/**
 * The trees of the side bar: runs, checkpoints, what waits for a person; and their commands.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { RunStatus } from "@waymark/core/RunInfo"
import { Editor } from "../Editor.ts"
import type { Choice } from "../Editor.ts"
import * as Checkpoints from "../reading/Checkpoints.ts"
import type { CheckpointNode } from "../reading/Checkpoints.ts"
import * as RunTree from "../reading/RunTree.ts"
import type { Grouping, RunNode } from "../reading/RunTree.ts"
import { statuses, statusIcon, statusText } from "../reading/Status.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import * as Waiting from "../reading/Waiting.ts"
import { Cursor } from "./Cursor.ts"
import type { Position } from "./Cursor.ts"
import { runOf } from "./Arguments.ts"
import { runChoices } from "./RunChoices.ts"

/** Trees are drawn at most so often, in milliseconds. */
const drawEvery = 250

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()

  const runTree = RunTree.make(stores, now)
  const checkpoints = Checkpoints.make(stores)
  const waiting = Waiting.make(stores, now)
  const runView = yield* editor.tree<RunNode>("waymark.runs", runTree)
  const checkpointView = yield* editor.tree<CheckpointNode>("waymark.checkpoints", checkpoints)
  const waitingView = yield* editor.tree("waymark.waiting", waiting)

  const drawRuns = Effect.suspend(() =>
    Effect.andThen(runView.setMessage(runTree.summary()), runView.refresh)
  )
  const drawWaiting = Effect.suspend(() => {
    const count = waiting.count()
    return Effect.andThen(
      waitingView.setBadge(count, count === 1 ? "1 run waits for you" : `${count} runs wait for you`),
      waitingView.refresh
    )
  })

  // -----------------------------------------------------------------------------------------------------------------
  // following

  /** A run that somebody went to before it was known here: as one is that was just made. */
  let awaited: Position | undefined
  /** Shows a run in the tree. If it stands under another, the tree is drawn first: that may have had nothing under it until now. */
  const reveal = (to: Position) =>
    Effect.gen(function* () {
      const node = runTree.nodeOf(to.store, to.run)
      awaited = node === undefined ? to : undefined
      if (node === undefined) return
      // Not more often than that: a click on a row that is drawn again at that moment is lost.
      if (runTree.parent(node)?.kind === "run") yield* drawRuns
      yield* runView.reveal(node)
    })

  yield* stores.changes.pipe(
    Stream.groupedWithin(4096, drawEvery),
    Stream.runForEach((changes) => {
      const { selected } = checkpoints
      const isSelected = changes.some(
        ({ runs, store }) => store === selected?.store && (runs?.has(selected.run) ?? true)
      )
      const revealed = Effect.suspend(() => (awaited === undefined ? Effect.void : reveal(awaited)))
      return Effect.all(
        [drawRuns, drawWaiting, isSelected ? checkpointView.refresh : Effect.void, revealed],
        {
          discard: true
        }
      )
    }),
    Effect.forkScoped
  )
  yield* cursor.moves.pipe(
    Stream.runForEach(({ by, to }) =>
      Effect.gen(function* () {
        const before = checkpoints.selected
        if (to?.run !== before?.run || to?.store !== before?.store) {
          checkpoints.select(to)
          yield* editor.setContext("waymark.hasSelection", to !== undefined)
          yield* checkpointView.setDescription(to === undefined ? undefined : line(to.run, 60))
          yield* checkpointView.refresh
        }
        if (to === undefined || by === "runs") return
        if (by !== "checkpoints") yield* reveal(to)
      })
    ),
    Effect.forkScoped
  )

  // -----------------------------------------------------------------------------------------------------------------
  // commands

  const select = (store: string, run: string, by: string) => cursor.move({ store, run }, by)

  yield* editor.command("waymark.selectRun", (node) => {
    const ref = runOf(node)
    return ref === undefined ? Effect.void : select(ref.store, ref.run, "runs")
  })
  yield* editor.command("waymark.moreRuns", (node) => {
    const more = node as Partial<Extract<RunNode, { kind: "more" }>> | undefined
    if (more?.list !== undefined) runTree.more(more.list)
    return drawRuns
  })
  yield* editor.command("waymark.moreCheckpoints", () => {
    checkpoints.more()
    return checkpointView.refresh
  })
  yield* editor.command("waymark.moreWaiting", () => {
    waiting.more()
    return waitingView.refresh
  })

  const setFiltering = Effect.suspend(() =>
    editor.setContext("waymark.filtering", runTree.summary() !== undefined)
  )
  yield* editor.command("waymark.filterRuns", () =>
    Effect.gen(function* () {
      const text = yield* editor.input({
        title: "Filter runs",
        prompt: "Words to look for in ids, flows, errors, tags, attributes and waits; empty for all",
        value: runTree.filter.text ?? ""
      })
      if (text === undefined) return
      const { text: _, ...others } = runTree.filter
      runTree.setFilter(text.trim() === "" ? others : { ...others, text: text.trim() })
      yield* setFiltering
      yield* drawRuns
    })
  )
  yield* editor.command("waymark.filterByStatus", () =>
    Effect.gen(function* () {
      const chosen = yield* editor.pickMany<RunStatus>(
        "Show runs that are",
        statuses.map((status) => ({
          label: status,
          description: statusText(status),
          icon: statusIcon(status),
          picked: runTree.filter.statuses?.includes(status) ?? false,
          value: status
        }))
      )
      if (chosen === undefined) return
      const { statuses: _, ...others } = runTree.filter
      runTree.setFilter(chosen.length === 0 ? others : { ...others, statuses: chosen })
      yield* setFiltering
      yield* drawRuns
    })
  )
  yield* editor.command("waymark.clearFilter", () => {
    runTree.setFilter({})
    return Effect.andThen(setFiltering, drawRuns)
  })
  yield* editor.command("waymark.groupRuns", () =>
    Effect.gen(function* () {
      const choices: ReadonlyArray<Choice<Grouping>> = [
        { label: "Newest first", description: "children and forks under their runs", value: "none" },
        { label: "By flow", value: "flow" },
        { label: "By status", value: "status" }
      ]
      const chosen = yield* editor.pick("Group runs", choices)
      if (chosen === undefined) return
      runTree.setGrouping(chosen)
      yield* drawRuns
    })
  )
  yield* editor.command("waymark.findRun", (flow) =>
    Effect.gen(function* () {
      const choices = runChoices(stores, typeof flow === "string" ? { flow } : {})
      const chosen = yield* editor.pick("Find a run", choices, "Type a part of its id, flow, status or error")
      if (chosen === undefined) return
      yield* select(chosen.store, chosen.run, "search")
      yield* editor.execute("waymark.runs.focus")
    })
  )
  yield* Effect.all([drawRuns, drawWaiting], { discard: true })
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor> = Layer.effectDiscard(make)
