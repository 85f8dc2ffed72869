/**
 * Entries that were read before those that come before them: they wait until these are known.
 */
import type { Parked as Place, Run } from "./model.ts"

export interface Parked {
  readonly add: (run: Run, seq: number, place: Place) => void
  /** Takes in what follows the last entry of a run now. */
  readonly drain: (run: Run) => void
  /** The same for all runs; whether any entry still waits. */
  readonly drainAll: () => boolean
  /** Takes in everything as it is: nothing can follow that would bring what is missing. */
  readonly settle: () => void
  readonly forget: (run: Run) => void
}

export const make = (take: (run: Run, place: Place) => void): Parked => {
  const runs = new Set<Run>()

  const takeOut = (run: Run, seq: number, place: Place): void => {
    run.parked!.delete(seq)
    if (run.parked!.size === 0) {
      run.parked = undefined
      runs.delete(run)
    }
    take(run, place)
  }

  const drain = (run: Run): void => {
    while (run.parked !== undefined) {
      const next = run.parked.get(run.last + 1)
      if (next === undefined) return
      takeOut(run, run.last + 1, next)
    }
  }

  return {
    add: (run, seq, place) => {
      run.parked ??= new Map()
      run.parked.set(seq, place)
      runs.add(run)
    },
    drain,
    drainAll: () => {
      for (const run of runs) drain(run)
      return runs.size > 0
    },
    settle: () => {
      for (const run of runs) {
        const all = [...run.parked!].sort(([a], [b]) => a - b)
        for (const [seq, place] of all) takeOut(run, seq, place)
      }
    },
    forget: (run) => {
      runs.delete(run)
    }
  }
}
