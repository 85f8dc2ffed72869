/**
 * Which branches of a run are to be executed next, and which are.
 */
import type * as Clock from "effect/Clock"
import * as HashMap from "effect/HashMap"
import type { FanOut, RunState } from "../../RunState.ts"
import { branchId, branchOfFanOut, fanOutOf } from "../branch.ts"
import { fanOutAround, fanOutBy, visitIn } from "../visits.ts"
import * as Due from "./due.ts"
import * as Joins from "./joins.ts"
import type { Line } from "./visiting.ts"

/** The branches of one fan-out: those that can be executed, in the order in which they could be. */
interface Group {
  readonly id: string
  readonly limit: number
  running: number
  queue: Array<string>
  head: number
}

export interface Branches {
  readonly running: ReadonlyMap<string, Line>
  /** Takes in all that is open. */
  readonly begin: (state: RunState) => void
  /** Takes in what became of a branch. */
  readonly update: (state: RunState, branch: string) => void
  /** Whether a branch may be executed. */
  readonly isReady: () => boolean
  /** The next branch that may be executed. */
  readonly next: () => string | undefined
  readonly started: (line: Line) => void
  readonly stopped: (line: Line) => void
  /** The next branch whose own branches are over. */
  readonly joinable: (state: RunState) => string | undefined
  /** The branches of a fan-out are joined. */
  readonly joined: (fanOut: string) => void
  /** So many milliseconds are left until the next attempt of a branch is due; infinitely many if none will be. */
  readonly sleeps: () => number
  /** Takes in the branches whose next attempt is due. */
  readonly wake: () => void
  /** The lines whose visits are not open any more. */
  readonly strays: (state: RunState) => ReadonlyArray<Line>
}

export const make = (clock: Clock.Clock): Branches => {
  const groups = new Map<string, Group>()
  /** Groups that may start another branch. */
  let able: Array<Group> = []
  const running = new Map<string, Line>()
  const sleeping = new Map<string, Due.Due>()
  const joinable = new Set<string>()
  const queued = new Set<string>()

  const groupOf = (fanOut: FanOut): Group => {
    let group = groups.get(fanOut.id)
    if (group === undefined) {
      group = { id: fanOut.id, limit: fanOut.concurrency ?? Infinity, running: 0, queue: [], head: 0 }
      groups.set(fanOut.id, group)
    }
    return group
  }

  const canStart = (group: Group): boolean => group.running < group.limit && group.head < group.queue.length

  const nextGroup = (): Group | undefined => {
    while (able.length > 0) {
      const group = able[able.length - 1]!
      if (canStart(group)) return group
      able.pop()
    }
    return undefined
  }

  const enqueue = (group: Group, branch: string): void => {
    if (queued.has(branch)) return
    queued.add(branch)
    const could = canStart(group)
    group.queue.push(branch)
    if (!could && canStart(group)) able.push(group)
  }

  const visit = (state: RunState, branch: string): void => {
    if (running.has(branch)) return
    const { due, waiting } = visitIn(state, branch)!
    if (waiting.length > 0) return
    const group = groupOf(fanOutAround(state, branch)!)
    if (due !== undefined && due > clock.currentTimeMillisUnsafe()) {
      if (sleeping.get(branch)?.at !== due) sleeping.set(branch, Due.make(clock, due))
    } else {
      sleeping.delete(branch)
      enqueue(group, branch)
    }
  }

  const addAll = (state: RunState, fanOut: FanOut): void => {
    for (let i = 0; i < fanOut.count; i++) {
      const branch = branchId(fanOut.id, i)
      if (visitIn(state, branch) !== undefined) visit(state, branch)
    }
  }

  const considerJoin = (fanOut: FanOut | undefined): void => {
    if (fanOut !== undefined && Joins.isReady(fanOut)) joinable.add(branchOfFanOut(fanOut.id))
  }

  return {
    running,
    begin: (state) => {
      groups.clear()
      able = []
      sleeping.clear()
      joinable.clear()
      queued.clear()
      for (const fanOut of HashMap.values(state.fanOuts)) {
        considerJoin(fanOut)
        addAll(state, fanOut)
      }
    },
    update: (state, branch) => {
      if (branch === "" && visitIn(state, "") !== undefined) return
      if (visitIn(state, branch) !== undefined) return visit(state, branch)
      sleeping.delete(branch)
      const own = fanOutBy(state, branch)
      if (own !== undefined) {
        considerJoin(own)
        if (own.ended.length === 0 && !groups.has(own.id)) addAll(state, own)
        return
      }
      considerJoin(fanOutAround(state, branch))
    },
    isReady: () => nextGroup() !== undefined,
    next: () => {
      const group = nextGroup()
      if (group === undefined) return undefined
      const branch = group.queue[group.head++]!
      queued.delete(branch)
      if (group.head > 1024 && group.head * 2 > group.queue.length) {
        group.queue = group.queue.slice(group.head)
        group.head = 0
      }
      return branch
    },
    started: (line) => {
      running.set(line.branch, line)
      groups.get(fanOutOf(line.branch)!)!.running += 1
    },
    stopped: (line) => {
      running.delete(line.branch)
      const group = groups.get(fanOutOf(line.branch)!)
      if (group === undefined) return
      const could = canStart(group)
      group.running -= 1
      if (!could && canStart(group)) able.push(group)
    },
    joinable: (state) => {
      for (const branch of joinable) {
        joinable.delete(branch)
        const fanOut = fanOutBy(state, branch)
        if (fanOut !== undefined && Joins.isReady(fanOut)) return branch
      }
      return undefined
    },
    joined: (fanOut) => void groups.delete(fanOut),
    sleeps: () => {
      let least = Number.POSITIVE_INFINITY
      for (const due of sleeping.values()) least = Math.min(least, due.left())
      return least
    },
    wake: () => {
      for (const [branch, due] of sleeping) {
        if (due.left() > 0) continue
        sleeping.delete(branch)
        enqueue(groups.get(fanOutOf(branch)!)!, branch)
      }
    },
    strays: (state) => {
      // Whoever was to be tried again is not there any more, either.
      for (const branch of sleeping.keys()) if (visitIn(state, branch) === undefined) sleeping.delete(branch)
      const strays: Array<Line> = []
      for (const line of running.values()) {
        if (!line.gone && visitIn(state, line.branch) === undefined) strays.push(line)
      }
      return strays
    }
  }
}
