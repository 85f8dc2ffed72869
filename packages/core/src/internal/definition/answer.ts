/**
 * Whether what a handler returned is something that its node allows.
 */
import * as Exit from "effect/Exit"
import type * as Next from "../../Next.ts"
import type * as Node from "../../Node.ts"
import { makeCodec } from "./codec.ts"
import { isCount } from "./count.ts"
import { quoted } from "./quoted.ts"

const nameOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "an array"
      : value === undefined
        ? "nothing"
        : `a value of type ${typeof value}`

export interface Definition {
  readonly id: string
  readonly state: { readonly [channel: string]: unknown }
  readonly nodes: { readonly [node: string]: Pick<Node.Any, "to" | "item" | "fanOut"> }
}

type Reason = Next.InvalidNext["reason"]

const checkTarget = (
  flow: Definition,
  node: string,
  next: Next.NextTo | Next.NextEnd
): Reason | undefined => {
  const targets = flow.nodes[node]?.to ?? []
  const target: unknown = next._tag === "To" ? next.to : "end"
  if (typeof target === "string" && targets.includes(target) && (next._tag === "End" || target !== "end"))
    return undefined
  return {
    _tag: "UnknownTarget",
    target: typeof target === "string" ? target : nameOf(target),
    targets
  }
}

const checkBranches = (
  flow: Definition,
  node: string,
  { branches, concurrency }: Next.NextFanOut
): Reason | undefined => {
  const invalid = (detail: string): Reason => ({ _tag: "InvalidFanOut", detail })
  const fanOut = flow.nodes[node]?.fanOut
  if (fanOut === undefined) return invalid("the node has no fanOut: declare one, or use next.to")
  if (concurrency !== undefined && !isCount(concurrency, 1))
    return invalid(`the concurrency is ${String(concurrency)}: give a whole number from 1`)
  const { policy, to } = fanOut
  if (typeof policy === "object" && branches.length < policy.quorum) {
    return invalid(
      `there are ${branches.length} and ${policy.quorum} of them must complete: begin more, or lower the quorum`
    )
  }
  for (let index = 0; index < branches.length; index++) {
    const { item, node: target }: Partial<Next.Branch> = branches[index] ?? {}
    const schema = target === undefined ? undefined : flow.nodes[target]?.item
    const detail =
      target === undefined || !to.includes(target)
        ? `the nodes of its fanOut are ${quoted(to)}`
        : schema === undefined
          ? item !== undefined && "that node takes no item: declare one, or give the name alone to next.all"
          : item === undefined &&
            Exit.isFailure(makeCodec(schema).encode(item)) &&
            "that node takes an item: use next.branch or next.each"
    if (detail !== false) return { _tag: "InvalidBranch", index, target: String(target), detail }
  }
  return undefined
}

const checkUpdate = (flow: Definition, update: unknown): Reason | undefined => {
  if (update === undefined) return undefined
  if (typeof update !== "object" || update === null || Array.isArray(update))
    return { _tag: "InvalidUpdate", got: nameOf(update) }
  const channel = Object.keys(update).find((key) => !Object.hasOwn(flow.state, key))
  if (channel === undefined) return undefined
  return { _tag: "UnknownChannel", channel, channels: Object.keys(flow.state) }
}

const isNext = (value: unknown): value is Next.Next => {
  const next = value as Next.Next | null | undefined
  if (typeof next !== "object" || next === null) return false
  return next._tag === "To" || next._tag === "End" || (next._tag === "FanOut" && Array.isArray(next.branches))
}

export const wrongWith = (flow: Definition, node: string, value: unknown): Reason | undefined => {
  if (!isNext(value)) return { _tag: "NotANext", got: nameOf(value) }
  const wrong = value._tag === "FanOut" ? checkBranches(flow, node, value) : checkTarget(flow, node, value)
  return wrong ?? checkUpdate(flow, value.update)
}
