/**
 * Whether what a handler returned is something that its node allows.
 */
import * as Exit from "effect/Exit"
import type * as Next from "../../Next.ts"
import type * as Node from "../../Node.ts"
import { makeCodec } from "./codec.ts"

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

const checkBranches = (flow: Definition, node: string, next: Next.NextFanOut): Reason | undefined => {
  const fanOut = flow.nodes[node]?.fanOut
  if (fanOut === undefined) return { _tag: "NoFanOut" }
  const { concurrency } = next
  if (concurrency !== undefined && !(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
    return {
      _tag: "InvalidConcurrency",
      got: typeof concurrency === "number" ? String(concurrency) : nameOf(concurrency)
    }
  }
  const branches: ReadonlyArray<Partial<Next.Branch> | null | undefined> = next.branches
  for (let index = 0; index < branches.length; index++) {
    const { item, node: target } = branches[index] ?? {}
    if (target === undefined || !fanOut.to.includes(target)) {
      return {
        _tag: "UnknownBranch",
        index,
        target: typeof target === "string" ? target : nameOf(target),
        targets: fanOut.to
      }
    }
    const schema = flow.nodes[target]?.item
    if (schema === undefined) {
      if (item !== undefined) return { _tag: "UnexpectedItem", index, target }
    } else if (item === undefined && Exit.isFailure(makeCodec(schema).encode(item))) {
      return { _tag: "MissingItem", index, target }
    }
  }
  const { policy } = fanOut
  if (typeof policy === "object" && branches.length < policy.quorum) {
    return { _tag: "TooFewBranches", branches: branches.length, quorum: policy.quorum }
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
