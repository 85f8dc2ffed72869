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
  // The entries that are kept, oldest first, from `head` on: of which run, and their positions in its journal.
  let runs: Array<Run> = []
  let seqs: Array<number> = []
  let head = 0
  let size = 0
  /** How many of them were forgotten since. */
  let stale = 0

  const isKept = (at: number): boolean => {
    const run = runs[at]!
    const oldest = run.recent[run.recentStart]
    return oldest !== undefined && oldest.event.seq <= seqs[at]!
  }

  /** Taking the first element out of a long array moves all others: they are moved now and then instead. */
  const dropOldest = (): void => {
    const run = runs[head]!
    if (isKept(head)) {
      size -= run.recent[run.recentStart]!.line.length
      run.recentStart += 1
      if (run.recentStart * 2 >= run.recent.length) {
        run.recent = run.recent.slice(run.recentStart)
        run.recentStart = 0
      }
    } else {
      stale -= 1
    }
    head += 1
  }

  const remember = (run: Run, entry: Entry): void => {
    run.recent.push(entry)
    runs.push(run)
    seqs.push(entry.event.seq)
    size += entry.line.length
    while (size > limit && head < runs.length - 1) dropOldest()
    if (head > 16_384) {
      runs = runs.slice(head)
      seqs = seqs.slice(head)
      head = 0
    }
  }

  const forget = (run: Run): void => {
    for (let i = run.recentStart; i < run.recent.length; i++) size -= run.recent[i]!.line.length
    stale += run.recent.length - run.recentStart
    run.recent = []
    run.recentStart = 0
    // A run that is not there any more would stay in memory as long as others write little.
    if (stale * 2 <= runs.length - head) return
    const kept = runs.flatMap((_, at) => (at >= head && isKept(at) ? [at] : []))
    runs = kept.map((at) => runs[at]!)
    seqs = kept.map((at) => seqs[at]!)
    head = 0
    stale = 0
  }

  return { remember, forget }
}
