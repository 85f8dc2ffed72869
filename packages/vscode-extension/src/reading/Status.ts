/**
 * What statuses look like and what they mean. Never by colour alone: each has an icon and a word of its own.
 */
import type { RunInfo, RunStatus } from "@waymark/core/RunInfo"

/** A codicon and the theme colour it is drawn in. */
export interface Icon {
  readonly id: string
  readonly color?: string
}

interface Look {
  readonly icon: Icon
  readonly text: string
}

const looks: { readonly [status in RunStatus]: Look } = {
  pending: { icon: { id: "circle-large-outline", color: "testing.iconQueued" }, text: "waits for a worker" },
  running: { icon: { id: "sync", color: "charts.blue" }, text: "is executed by a worker" },
  waiting: { icon: { id: "watch", color: "charts.yellow" }, text: "waits for something outside" },
  paused: { icon: { id: "debug-pause", color: "charts.orange" }, text: "stands still until it is resumed" },
  cancelling: { icon: { id: "stop-circle", color: "charts.orange" }, text: "is being cancelled" },
  completed: { icon: { id: "pass", color: "testing.iconPassed" }, text: "ended with its output" },
  failed: { icon: { id: "error", color: "errorForeground" }, text: "ended with an error" },
  cancelled: { icon: { id: "circle-slash", color: "testing.iconSkipped" }, text: "was cancelled" }
}

/** All statuses, those that may need somebody first. */
export const statuses: ReadonlyArray<RunStatus> = [
  "failed",
  "waiting",
  "paused",
  "running",
  "pending",
  "cancelling",
  "completed",
  "cancelled"
]

/** The icon of a run's status. A run that waits for a person asks; one that undoes its calls is on its way out. */
export const iconOf = (info: Pick<RunInfo, "status" | "waits" | "compensating">): Icon => {
  if (info.compensating === true) return { id: "discard", color: "charts.orange" }
  if (info.status === "waiting" && info.waits.some(({ type }) => type === "user"))
    return { id: "comment-unresolved", color: "charts.yellow" }
  return looks[info.status].icon
}

export const statusIcon = (status: RunStatus): Icon => looks[status].icon
export const statusText = (status: RunStatus): string => looks[status].text

/** Why a run that is paused is: for people. */
const pauseTexts: { readonly [kind: string]: string } = {
  requested: "somebody paused it",
  diverged: "its code asks for other calls than it recorded",
  inDoubt: "nobody knows whether a call took effect",
  incompatible: "its flow became another one",
  budget: "it spent more than it may",
  stepLimit: "it took as many steps as it may",
  visitLimit: "it visited a node as often as it may"
}

/** Pauses that somebody has to look at before the run can go on. */
const puzzling: ReadonlySet<string> = new Set([
  "diverged",
  "inDoubt",
  "incompatible",
  "budget",
  "stepLimit",
  "visitLimit"
])

export const pauseText = (kind: string): string => pauseTexts[kind] ?? kind
export const needsPerson = (info: RunInfo): boolean =>
  (info.status === "waiting" && info.waits.some(({ type }) => type === "user")) ||
  (info.status === "paused" && info.pause !== undefined && puzzling.has(info.pause))

const waitTexts: { readonly [type: string]: string } = {
  event: "signal",
  until: "time",
  user: "answer",
  job: "job",
  run: "run"
}

/** What a run waits for, in a few words. */
export const waitsText = (info: RunInfo): string => {
  const [first, ...more] = info.waits
  if (first === undefined) return ""
  const name = first.name === undefined ? "" : ` ${first.name}`
  return `${waitTexts[first.type] ?? first.type}${name}${more.length === 0 ? "" : ` and ${more.length} more`}`
}

/** What is to be said of a run beside its id: why it failed, what it waits for, why it stands still, where it is. */
export const aboutRun = (info: RunInfo): string => {
  if (info.error !== undefined) return info.error.tag ?? info.error.kind
  if (info.status === "waiting") return `waits for ${waitsText(info)}`
  if (info.status === "paused" && info.pause !== undefined) return pauseText(info.pause)
  if (info.progress !== undefined && info.status === "running")
    return `${info.node ?? info.progress.node} ${info.progress.done}/${info.progress.total}`
  return info.status === "running" && info.node !== undefined ? `at ${info.node}` : info.status
}
