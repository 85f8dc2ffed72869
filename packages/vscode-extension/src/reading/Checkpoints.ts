/**
 * The checkpoints of the run that is selected, newest first.
 */
import * as Effect from "effect/Effect"
import type { Checkpoint } from "@waymark/core/Checkpoint"
import type { Icon } from "./Status.ts"
import type { Stores } from "./Stores.ts"
import { clock, duration, line } from "./Text.ts"
import type { Item, Model } from "./Tree.ts"
import { pageSize } from "./Tree.ts"

/** A run of a store. */
export interface RunRef {
  readonly store: string
  readonly run: string
}

export type CheckpointNode =
  | (RunRef & { readonly kind: "checkpoint"; readonly at: Checkpoint; readonly since: number | undefined })
  | (RunRef & { readonly kind: "more"; readonly before: number })
  | { readonly kind: "note"; readonly text: string }

const icons: { readonly [kind: string]: Icon } = {
  created: { id: "play", color: "charts.blue" },
  forked: { id: "repo-forked", color: "charts.purple" },
  visited: { id: "pass", color: "testing.iconPassed" },
  visitFailed: { id: "warning", color: "charts.orange" },
  attemptFailed: { id: "debug-restart", color: "charts.orange" },
  waitOpened: { id: "watch", color: "charts.yellow" },
  waitEnded: { id: "bell", color: "charts.yellow" },
  joined: { id: "git-merge", color: "charts.blue" },
  paused: { id: "debug-pause", color: "charts.orange" },
  resumed: { id: "debug-continue", color: "charts.blue" },
  cancelRequested: { id: "stop-circle", color: "charts.orange" },
  cancelled: { id: "circle-slash", color: "testing.iconSkipped" },
  completed: { id: "pass-filled", color: "testing.iconPassed" },
  failed: { id: "error", color: "errorForeground" },
  restarted: { id: "refresh", color: "charts.blue" },
  migrated: { id: "arrow-swap", color: "charts.purple" },
  compensating: { id: "discard", color: "charts.orange" },
  compensationCompleted: { id: "discard", color: "testing.iconPassed" },
  compensationFailed: { id: "discard", color: "errorForeground" }
}

const kindTexts: { readonly [kind: string]: string } = {
  created: "the run was started",
  forked: "forked from another run",
  visited: "completed",
  visitFailed: "failed, and the run went on",
  attemptFailed: "failed, and is tried again",
  waitOpened: "waits",
  waitEnded: "the wait is over",
  joined: "branches were joined",
  paused: "paused",
  resumed: "resumed",
  cancelRequested: "somebody asked to cancel the run",
  cancelled: "cancelled",
  completed: "the run completed",
  failed: "the run failed",
  restarted: "retried",
  migrated: "brought to another version of the flow",
  compensating: "undoes its calls",
  compensationCompleted: "undid a call",
  compensationFailed: "could not undo a call"
}

/** Whether a run stands at a checkpoint after an event of this kind: those that `Runs.history` lists. */
export const isCheckpoint = (kind: string): boolean => Object.hasOwn(kindTexts, kind)
export const kindIcon = (kind: string): Icon => icons[kind] ?? { id: "circle-small" }
export const kindText = (kind: string): string => kindTexts[kind] ?? kind

/** Where a checkpoint stands, in a few words: the node, the attempt if it is not the first, the branch if there is one. */
export const placeText = ({ attempt, branch, kind, node }: Checkpoint): string => {
  if (node === undefined) return kindText(kind)
  const tries = attempt === undefined || attempt === 1 ? "" : `, attempt ${attempt}`
  const within = branch === undefined || branch === "" ? "" : ` [${branch}]`
  return `${node}${tries}${within}`
}

/** Which visit of its branch it is, counted from 1. */
const stepText = ({ visit }: Checkpoint): string => (visit === undefined ? "" : `step ${visit} · `)

/** What can be gone on from. */
export const isForkable = (kind: string): boolean =>
  kind !== "failed" &&
  kind !== "completed" &&
  kind !== "cancelled" &&
  kind !== "cancelRequested" &&
  !kind.startsWith("compensat")

export interface Checkpoints extends Model<CheckpointNode> {
  readonly selected: RunRef | undefined
  readonly select: (run: RunRef | undefined) => void
  readonly more: () => void
}

export const make = (stores: Pick<Stores["Service"], "open" | "source">): Checkpoints => {
  let selected: RunRef | undefined
  let limit = pageSize

  const list = Effect.gen(function* (): Effect.fn.Return<ReadonlyArray<CheckpointNode>> {
    if (selected === undefined) return []
    const { run, store } = selected
    const read = Effect.gen(function* () {
      const { runs } = yield* stores.open(store)
      const found = yield* runs.history(run, { limit: limit + 1 })
      const nodes: Array<CheckpointNode> = found
        .slice(0, limit)
        .map((at, i) => ({ kind: "checkpoint", store, run, at, since: found[i + 1]?.time }))
      const last = found[limit - 1]
      if (found.length > limit && last !== undefined)
        nodes.push({ kind: "more", store, run, before: last.seq })
      return nodes
    })
    return yield* Effect.catch(read, (error) =>
      Effect.succeed<ReadonlyArray<CheckpointNode>>([{ kind: "note", text: error.message }])
    )
  })

  const item = (node: CheckpointNode): Item => {
    switch (node.kind) {
      case "note":
        return {
          id: "note",
          label: line(node.text),
          tooltip: line(node.text, 2000),
          icon: { id: "warning", color: "list.warningForeground" },
          expand: "never"
        }
      case "more":
        return {
          id: "more",
          label: "Load more…",
          description: `those before ${node.before}`,
          expand: "never",
          context: "more",
          command: { id: "waymark.moreCheckpoints", title: "Load more" }
        }
      case "checkpoint": {
        const { at, run, since, store } = node
        const bookmark = stores
          .source(store)
          ?.catalog.get(run)
          ?.bookmarks?.find((mark) => mark.at === at.seq)
        const took = since === undefined ? "" : ` · +${duration(at.time - since)}`
        const name = bookmark === undefined ? "" : `“${line(bookmark.name, 40)}” · `
        const about = at.node === undefined ? "" : `${kindText(at.kind)} · `
        return {
          id: `${store}\0${run}\0${at.seq}`,
          label: `${at.seq}  ${line(placeText(at), 120)}`,
          description: `${name}${about}${stepText(at)}${clock(at.time)}${took}`,
          tooltip: [
            placeText(at),
            kindText(at.kind),
            `position ${at.seq}`,
            at.actor === undefined ? "" : `by ${at.actor}`
          ]
            .filter((text) => text !== "")
            .map((text) => line(text))
            .join("\n"),
          icon: bookmark === undefined ? kindIcon(at.kind) : { id: "bookmark", color: "charts.purple" },
          expand: "never",
          context: `checkpoint${isForkable(at.kind) ? " forkable" : ""}${at.status === "failed" ? " failed" : ""}`,
          command: { id: "waymark.showCheckpoint", title: "Show checkpoint" }
        }
      }
    }
  }

  return {
    children: (node) => (node === undefined ? list : Effect.succeed([])),
    item,
    parent: () => undefined,
    get selected() {
      return selected
    },
    select: (run) => {
      if (run?.run !== selected?.run || run?.store !== selected?.store) limit = pageSize
      selected = run
    },
    more: () => {
      limit += pageSize
    }
  }
}
