/**
 * What a migration does to the state of a run.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Of } from "../Event.ts"
import type { OpenVisit, RunState } from "../RunState.ts"
import * as Cell from "./cell.ts"
import { applyOps } from "./channels.ts"
import { illegal } from "./illegal.ts"
import { get } from "./record.ts"
import type { Mutable } from "./record.ts"
import { branchOfFanOut } from "./branch.ts"
import { fanOutBy } from "./visits.ts"

/** The visit goes on at its node's new name; what was derived from the old one stays as it was. */
const renamed = (visit: OpenVisit, node: string | undefined): OpenVisit =>
  node === undefined ? visit : { ...visit, node, openedAs: visit.openedAs ?? visit.node }

export const migrate = (next: Mutable<RunState>, event: Of<"migrated">): void => {
  const { fingerprint, from, input, nodes = {}, ops, signals, updates = {}, version } = event
  if (from.version !== next.version || from.fingerprint !== next.fingerprint) {
    illegal(`it migrates version ${from.version}, while the run is at version ${next.version}`)
  }
  const origin = { run: event.run, seq: event.seq }
  next.version = version
  next.fingerprint = fingerprint
  next.channels = applyOps(next.channels, ops, origin)
  if (input !== undefined) next.input = Cell.plain(input, origin)
  if (signals !== undefined) next.keeps = signals
  if (Object.keys(nodes).length > 0) {
    const main = next.open[""]
    if (main !== undefined) next.open = { "": renamed(main, get(nodes, main.node)) }
    next.branches = HashMap.map(next.branches, (visit) => renamed(visit, get(nodes, visit.node)))
    const nameOf = (node: string): string => get(nodes, node) ?? node
    next.fanOuts = HashMap.map(next.fanOuts, ({ join, node, starts, ...fanOut }) => ({
      ...fanOut,
      node: nameOf(node),
      join: nameOf(join),
      starts: starts.map((start) => ({ ...start, node: nameOf(start.node) }))
    }))
  }
  for (const id of Object.keys(updates)) {
    const parent = branchOfFanOut(id)
    const fanOut = fanOutBy(next, parent)
    if (fanOut?.id !== id) return illegal(`fan-out ${id} is not open`)
    let made = fanOut.updates
    for (const branch of Object.keys(updates[id]!)) {
      const before = Option.getOrUndefined(HashMap.get(made, branch))
      const after = updates[id]![branch]!
      if (before?.length !== after.length)
        illegal(`branch ${branch} of fan-out ${id} has made ${before?.length ?? 0} updates`)
      const list = after.map((ops, i) => ({ node: before!.items[i]!.node, ops }))
      made = HashMap.set(made, branch, Cell.list(list))
    }
    next.fanOuts = HashMap.set(next.fanOuts, parent, { ...fanOut, updates: made })
  }
}
