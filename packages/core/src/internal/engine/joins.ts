/**
 * What becomes of branches: when they are joined, what their updates come to, and where their failures lead.
 */
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Json } from "effect/Schema"
import type { Body, Failure, Op, Ops } from "../../Event.ts"
import type * as Next from "../../Next.ts"
import type { EndedBranch, FanOut, OpenVisit, RunState } from "../../RunState.ts"
import type * as State from "../../State.ts"
import { branchId, branchOfFanOut } from "../branch.ts"
import * as Cell from "../cell.ts"
import { makeCodec } from "../definition/codec.ts"
import { frozen } from "../frozen.ts"
import { fanOutAround, fanOutBy, openIn, visitIn, visitsOf } from "../visits.ts"
import { encode } from "./encoded.ts"
import * as Failures from "./failure.ts"

type Channels = { readonly [channel: string]: State.Any }

/** Whether nothing has to be waited for any more. */
export const isReady = ({ completed, count, ended, policy }: FanOut): boolean =>
  typeof policy === "object" ? completed >= policy.quorum : ended.length === count

/** The branch whose own branches can be joined after these events, and not before. */
export const madeReady = (state: RunState, bodies: Bodies): string | undefined => {
  const last = bodies.findLast(
    (body) =>
      body.kind === "branchFailed" ||
      (body.kind === "visited" && "to" in body.next && body.next.joins === true) ||
      (body.kind === "visitFailed" && body.outcome.joins === true)
  ) as Extract<Body, { kind: "branchFailed" | "visited" | "visitFailed" }> | undefined
  const fanOut = last?.branch === undefined ? undefined : fanOutAround(state, last.branch)
  if (fanOut === undefined) return undefined
  const { completed, count, ended: over, id, policy } = fanOut
  const isNow =
    typeof policy === "object"
      ? last!.kind !== "branchFailed" && completed + 1 === policy.quorum
      : over.length + 1 === count
  return isNow ? branchOfFanOut(id) : undefined
}

/** The branches that completed, in branch order; of a quorum those that made it up. */
const completedOf = ({ ended, policy }: FanOut): ReadonlyArray<EndedBranch> => {
  const completed = Cell.toArray(ended).filter(({ error }) => error === undefined)
  const counted = typeof policy === "object" ? completed.slice(0, policy.quorum) : completed
  return counted.sort((a, b) => a.index - b.index)
}

/** What a channel comes to, while the updates of one branch after the other are taken in. */
type Merged =
  | { readonly _tag: "List"; readonly items: Array<Json> }
  | { readonly _tag: "Record"; readonly entries: { [key: string]: Json } }
  | { readonly _tag: "Sum"; readonly sum: number }
  | { readonly _tag: "Combined"; value: unknown }
  | { readonly _tag: "Plain"; op: Op; readonly branch: string; node: string }

/** What the flow's own code throws, its reducers for one, is a failure, too. */
const total = <A>(made: () => Result.Result<A, Failure>): Result.Result<A, Failure> => {
  try {
    return made()
  } catch (defect) {
    return Result.fail(Failures.store({ _tag: "Defect", defect }, []))
  }
}

/** The updates of the branches as one, or the channel that two of them wrote. */
const merge = (channels: Channels, fanOut: FanOut): Result.Result<Ops | undefined, Failure> => {
  const merged = new Map<string, Merged>()
  for (const { index } of completedOf(fanOut)) {
    const branch = branchId(fanOut.id, index)
    const updates = Option.getOrUndefined(HashMap.get(fanOut.updates, branch))
    for (let i = 0; i < (updates?.length ?? 0); i++) {
      const { node, ops } = updates!.items[i]!
      for (const channel of Object.keys(ops)) {
        const failure = take(merged, channels, channel, ops[channel]!, branch, node)
        if (failure !== undefined) return Result.fail(failure)
      }
    }
  }
  if (merged.size === 0) return Result.succeed(undefined)
  const ops: { [channel: string]: Op } = {}
  for (const [channel, what] of merged) {
    const op = opOf(channels, channel, what)
    if (Result.isFailure(op)) return Result.fail(op.failure)
    Cell.define(ops, channel, op.success)
  }
  return Result.succeed(ops)
}

const take = (
  merged: Map<string, Merged>,
  channels: Channels,
  channel: string,
  op: Op,
  branch: string,
  node: string
): Failure | undefined => {
  const before = merged.get(channel)
  if ("append" in op) {
    if (before?._tag === "List") for (const item of op.append) before.items.push(item)
    else merged.set(channel, { _tag: "List", items: [...op.append] })
  } else if ("merge" in op) {
    const entries = before?._tag === "Record" ? before.entries : {}
    for (const key of Object.keys(op.merge)) Cell.define(entries, key, op.merge[key]!)
    if (before?._tag !== "Record") merged.set(channel, { _tag: "Record", entries })
  } else if ("add" in op) {
    const sum = (before?._tag === "Sum" ? before.sum : 0) + op.add
    if (!Number.isFinite(sum)) {
      return Failures.encoding(`channel ${JSON.stringify(channel)}`, "the sum is too large for a number")
    }
    merged.set(channel, { _tag: "Sum", sum })
  } else if ("combine" in op) {
    const { reducer, schema } = channels[channel]!
    const exit = makeCodec(schema).decode(frozen(op.combine))
    if (Exit.isFailure(exit)) return Failures.mismatch(`channel ${JSON.stringify(channel)}`, exit)
    if (before?._tag === "Combined") before.value = reducer!.combine(before.value, exit.value)
    else merged.set(channel, { _tag: "Combined", value: exit.value })
  } else if (before?._tag === "Plain") {
    if (before.branch !== branch) {
      return { kind: "conflict", channel, branches: [before.branch, branch], nodes: [before.node, node] }
    }
    before.op = op
    before.node = node
  } else merged.set(channel, { _tag: "Plain", op, branch, node })
  return undefined
}

const opOf = (channels: Channels, channel: string, what: Merged): Result.Result<Op, Failure> => {
  switch (what._tag) {
    case "List":
      return Result.succeed({ append: what.items })
    case "Record":
      return Result.succeed({ merge: what.entries })
    case "Sum":
      return Result.succeed({ add: what.sum })
    case "Plain":
      return Result.succeed(what.op)
    case "Combined": {
      const exit = encode(channels[channel]!.schema, what.value)
      return Exit.isFailure(exit)
        ? Result.fail(Failures.mismatch(`channel ${JSON.stringify(channel)}`, exit))
        : Result.succeed({ combine: exit.value })
    }
  }
}

type Visit = Pick<OpenVisit, "attempt" | "node" | "visit">
type Bodies = readonly [Body, ...ReadonlyArray<Body>]

/**
 * What the failure of a visit for good means: the fan-out that it happened in goes on without the branch, or fails itself,
 * and so on outwards; at last the run fails, with `ofRun` if nothing else comes of it on the way.
 */
export const failed = (
  state: RunState,
  branch: string,
  { attempt, node, visit }: Visit,
  error: Failure,
  ofRun = error
): Bodies => {
  const place = { ...(branch === "" ? undefined : { branch }), node, visit, attempt }
  const outer = goingOn(state, branch, error)
  if (outer.branch === "") {
    return [{ kind: "failed", error: outer.error === error ? ofRun : outer.error, ...place }]
  }
  const own: Body = { kind: "branchFailed", ...place, error }
  // The visit that failed is closed by its own event; the others of the fan-out end with it.
  return outer.branch === branch ? [own] : [own, ended(state, outer.branch, outer.error, 1)]
}

/** The same for branches that cannot be joined: the failure is one of the branch that fanned out. */
export const cannotJoin = (state: RunState, branch: string, error: Failure): Bodies => {
  const { node, visit } = fanOutBy(state, branch)!
  const outer = goingOn(state, branch, error)
  if (outer.branch !== "") return [ended(state, outer.branch, outer.error, 0)]
  return [{ kind: "failed", error: outer.error, ...(branch === "" ? undefined : { branch }), node, visit }]
}

/** The branch whose failure is the end of the matter, `""` if that is the run, and what it fails with. */
const goingOn = (
  state: RunState,
  branch: string,
  error: Failure
): { readonly branch: string; readonly error: Failure } => {
  let at = branch
  let reason = error
  while (at !== "") {
    const { completed, count, ended: over, id, policy } = fanOutAround(state, at)!
    if (policy === "collect") break
    if (typeof policy === "object") {
      const lost = over.length - completed + 1
      if (count - lost >= policy.quorum) break
      reason = { kind: "quorum", needed: policy.quorum, completed, failed: lost }
    }
    at = branchOfFanOut(id)
  }
  return { branch: at, error: reason }
}

/** A branch that fanned out failed, with all that is open in it but `closed` visits. */
const ended = (state: RunState, branch: string, error: Failure, closed: number): Body => {
  const { node, visit } = fanOutBy(state, branch)!
  const dropped = openIn(state, branch).visits.length - closed
  const body = { kind: "branchFailed" as const, branch, node, visit, error }
  return dropped === 0 ? body : { ...body, dropped }
}

/** What is to be appended when the branches that a branch made are over. */
export const joining = (
  state: RunState,
  channels: Channels,
  branch: string,
  /** What the update of the branch, or of the whole run, comes to. */
  final: (ops: Ops) => Result.Result<Ops, Failure>
): Bodies => {
  const fanOut = fanOutBy(state, branch)!
  const merged = total(() =>
    Result.flatMap(merge(channels, fanOut), (ops) =>
      ops === undefined ? Result.succeed(undefined) : final(ops)
    )
  )
  if (Result.isFailure(merged)) return cannotJoin(state, branch, merged.failure)
  const ops = merged.success
  const dropped = openIn(state, branch).visits.length
  return [
    {
      kind: "joined",
      ...(branch === "" ? undefined : { branch }),
      fanOut: fanOut.id,
      ...(ops === undefined ? undefined : { ops }),
      ...(dropped === 0 ? undefined : { dropped })
    }
  ]
}

/** How each branch came out, in branch order. */
export const resultsOf = (
  { ended: over, quorum, starts }: NonNullable<OpenVisit["joined"]>,
  errorOf: (ended: EndedBranch) => unknown
): ReadonlyArray<Next.BranchResult> => {
  const results: Array<Next.BranchResult> = []
  for (const { count, node } of starts) {
    for (let i = 0; i < count; i++) results.push({ index: results.length, node, status: "cancelled" })
  }
  let completed = 0
  for (let i = 0; i < over.length; i++) {
    const branch = over.items[i]!
    const { index, node } = results[branch.index]!
    if (branch.error !== undefined) {
      results[index] = { index, node, status: "failed", error: errorOf(branch) }
    } else if (quorum === undefined || completed++ < quorum) {
      results[index] = { index, node, status: "completed" }
    }
  }
  return results
}

/** An update of the whole run at its join: what was to be combined is what it came to. */
export const finish = (
  channels: Channels,
  ops: Ops,
  after: { readonly view: { readonly [channel: string]: unknown } }
): Result.Result<Ops, Failure> => {
  const final: { [channel: string]: Op } = {}
  for (const channel of Object.keys(ops)) {
    const op = ops[channel]!
    if (!("combine" in op)) {
      Cell.define(final, channel, op)
      continue
    }
    const exit = encode(channels[channel]!.schema, after.view[channel])
    if (Exit.isFailure(exit))
      return Result.fail(Failures.mismatch(`channel ${JSON.stringify(channel)}`, exit))
    Cell.define(final, channel, { set: exit.value })
  }
  return Result.succeed(final)
}

/** An open visit: that of the main line if it has one. */
const firstOpen = (state: RunState): readonly [branch: string, visit: OpenVisit] | undefined => {
  for (const open of visitsOf(state)) return open
  return undefined
}

/** The run fails at the open visit of a branch; of any unless it is given, and if there is one. */
export const failRun = (state: RunState, error: Failure, at?: string): Body => {
  const open = at === undefined ? firstOpen(state) : ([at, visitIn(state, at)!] as const)
  if (open === undefined) return { kind: "failed", error }
  const [branch, { attempt, node, visit }] = open
  return { kind: "failed", error, ...(branch === "" ? undefined : { branch }), node, visit, attempt }
}
