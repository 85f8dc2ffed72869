/**
 * What waits for a person, over all stores: questions of runs, and runs that stand still until somebody decides.
 */
import * as Effect from "effect/Effect"
import type { RunInfo } from "@waymark/core/RunInfo"
import { iconOf, needsPerson, pauseText } from "./Status.ts"
import type { Stores } from "./Stores.ts"
import { ago, line } from "./Text.ts"
import type { Item, Model } from "./Tree.ts"
import { Shown } from "./Tree.ts"

export type WaitingNode =
  | {
      readonly kind: "question"
      readonly store: string
      readonly run: string
      readonly wait: string
      readonly name: string
      readonly prompt: string
    }
  | { readonly kind: "paused"; readonly store: string; readonly run: string }
  | { readonly kind: "more"; readonly left: number }

export interface Waiting extends Model<WaitingNode> {
  /** How many runs wait for a person. */
  readonly count: () => number
  readonly more: () => void
}

/** Prompts stand in the states of runs. A value that is no text is sealed by a codec. */
const promptText = (prompt: unknown): string =>
  typeof prompt === "string" ? prompt : "(the question is encrypted)"

export const make = (
  stores: Pick<Stores["Service"], "sources" | "source" | "open">,
  now: () => number
): Waiting => {
  const shown = new Shown()
  const waiting = function* (): Iterable<{ readonly store: string; readonly info: RunInfo }> {
    for (const { catalog, place } of stores.sources()) {
      for (const info of catalog.newest(Number.POSITIVE_INFINITY, { statuses: ["waiting", "paused"] }, false))
        if (needsPerson(info)) yield { store: place.path, info }
    }
  }

  const nodesOf = (store: string, info: RunInfo): Effect.Effect<ReadonlyArray<WaitingNode>> => {
    if (info.status === "paused") return Effect.succeed([{ kind: "paused", store, run: info.run }])
    const asks = info.waits.filter(({ type }) => type === "user")
    const named = (prompts: ReadonlyMap<string, string>) =>
      asks.map(({ name = "", wait }): WaitingNode => ({
        kind: "question",
        store,
        run: info.run,
        wait,
        name,
        prompt: prompts.get(wait) ?? ""
      }))
    const read = Effect.gen(function* () {
      const { runs } = yield* stores.open(store)
      const { waits } = yield* runs.stateAt(info.run)
      const prompts = new Map<string, string>()
      for (const [wait, { on }] of waits) if (on.type === "user") prompts.set(wait, promptText(on.prompt))
      return named(prompts)
    })
    // The names of the questions are worth showing, whatever is wrong with the rest of the run.
    return Effect.catch(read, () => Effect.succeed(named(new Map())))
  }

  const list = Effect.gen(function* () {
    const all = [...waiting()]
    const limit = shown.of("")
    const nodes = yield* Effect.forEach(all.slice(0, limit), ({ info, store }) => nodesOf(store, info), {
      concurrency: 8
    })
    const flat: Array<WaitingNode> = nodes.flat()
    if (all.length > limit) flat.push({ kind: "more", left: all.length - limit })
    return flat
  })

  const item = (node: WaitingNode): Item => {
    if (node.kind === "more") {
      return {
        id: "more",
        label: "Load more…",
        description: `${node.left} left`,
        expand: "never",
        context: "more",
        command: { id: "waymark.moreWaiting", title: "Load more" }
      }
    }
    const info = stores.source(node.store)?.catalog.get(node.run)
    const since = info === undefined ? "" : ` · ${ago(info.updatedAt, now())}`
    const command = { id: "waymark.selectRun", title: "Select run" }
    if (node.kind === "paused") {
      return {
        id: `paused\0${node.store}\0${node.run}`,
        label: line(node.run),
        description: `${pauseText(info?.pause ?? "")}${since}`,
        tooltip: `${line(node.run)}\n${pauseText(info?.pause ?? "")}`,
        icon: info === undefined ? { id: "debug-pause" } : iconOf(info),
        expand: "never",
        context: "run paused open",
        command
      }
    }
    return {
      id: `question\0${node.store}\0${node.run}\0${node.wait}`,
      label: line(node.prompt === "" ? node.name : node.prompt, 120),
      description: `${line(node.name, 60)} · ${line(node.run, 80)}${since}`,
      tooltip: `${line(node.run)} asks “${line(node.name)}”\n${line(node.prompt, 1000)}`,
      icon: { id: "comment-unresolved", color: "charts.yellow" },
      expand: "never",
      context: "question",
      command
    }
  }

  return {
    children: (node) => (node === undefined ? list : Effect.succeed([])),
    item,
    parent: () => undefined,
    count: () => {
      let count = 0
      for (const _ of waiting()) count++
      return count
    },
    more: () => shown.more("")
  }
}
