/**
 * The entries that this instance wrote last, so that whoever follows a run need not read them from the disk.
 */
import type { Entry } from "@waymark/core/Journal"
import type { Run } from "./model.ts"

export interface Recent {
  /** Keeps the entry that follows those that are kept of the run. */
  readonly remember: (run: Run, entry: Entry) => void
  readonly forget: (run: Run) => void
}

/** How many characters of lines are kept. */
const limit = 4 * 1024 * 1024

export const make = (): Recent => {
  // The runs of the entries that are kept, oldest first, from `head` on.
  let runs: Array<Run> = []
  let head = 0
  let size = 0

  /** Taking the first element out of a long array moves all others: they are moved now and then instead. */
  const dropOldest = (run: Run): void => {
    const dropped = run.recent[run.recentStart]
    if (dropped === undefined) return
    size -= dropped.line.length
    run.recentStart += 1
    if (run.recentStart * 2 < run.recent.length) return
    run.recent = run.recent.slice(run.recentStart)
    run.recentStart = 0
  }

  const remember = (run: Run, entry: Entry): void => {
    run.recent.push(entry)
    runs.push(run)
    size += entry.line.length
    while (size > limit && head < runs.length - 1) {
      dropOldest(runs[head++]!)
    }
    if (head > 16_384) {
      runs = runs.slice(head)
      head = 0
    }
  }

  const forget = (run: Run): void => {
    for (let i = run.recentStart; i < run.recent.length; i++) size -= run.recent[i]!.line.length
    run.recent = []
    run.recentStart = 0
  }

  return { remember, forget }
}
