/**
 * The limits of runs: what they begin with, and whether one is reached.
 */
import type { Body, Failure } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { OpenVisit, RunState } from "../../RunState.ts"

/** What of its flow's limits a new run has in its journal, beside the number of steps. */
export const initial = (
  flow: Flow.Any,
  budgets: { readonly [budget: string]: number } = {}
): Pick<Extract<Body, { kind: "created" }>, "budgets" | "maxVisits"> => {
  const entries = Object.entries(flow.nodes).flatMap(([node, { maxVisits }]) =>
    maxVisits === undefined ? [] : [[node, maxVisits] as const]
  )
  return {
    ...(entries.length === 0 ? undefined : { maxVisits: Object.fromEntries(entries) }),
    ...(flow.budgets.length === 0
      ? undefined
      : {
          budgets: {
            ...Object.fromEntries(flow.budgets.map(({ limit, name }) => [name, limit])),
            ...budgets
          }
        })
  }
}

const isEmpty = (limits: object): boolean => {
  for (const _ in limits) return false
  return true
}

/** What is wrong with limits that somebody gives a run of a flow, if anything is. */
export const problemOf = (
  {
    budgets = {},
    maxSteps,
    maxVisits = {}
  }: {
    readonly budgets?: { readonly [budget: string]: number } | undefined
    readonly maxSteps?: number | undefined
    readonly maxVisits?: { readonly [node: string]: number } | undefined
  },
  flow: Flow.Any | undefined
): string | undefined => {
  if (maxSteps === undefined && isEmpty(maxVisits) && isEmpty(budgets)) return undefined
  const given: ReadonlyArray<readonly [what: string, value: number, least: number, isKnown: boolean]> = [
    ...(maxSteps === undefined ? [] : [["maxSteps", maxSteps, 1, true] as const]),
    ...Object.entries(maxVisits).map(
      ([node, value]) =>
        [`maxVisits.${node}`, value, 1, flow === undefined || Object.hasOwn(flow.nodes, node)] as const
    ),
    ...Object.entries(budgets).map(
      ([name, value]) =>
        [`budgets.${name}`, value, 0, flow?.budgets.some((of) => of.name === name) !== false] as const
    )
  ]
  for (const [what, value, least, isKnown] of given) {
    if (!isKnown) return `${what} is not among what the flow has`
    if (!(value >= least && (least === 0 ? Number.isFinite(value) : Number.isSafeInteger(value)))) {
      return `${what} is ${value}; it must be a ${least === 0 ? "" : "whole "}number from ${least}`
    }
  }
  return undefined
}

type Exceeded = Extract<Failure, { readonly kind: "stepLimit" | "visitLimit" }>

/** The limit that a visit would exceed. */
export const exceededBy = (
  { maxSteps, maxVisits, steps }: RunState,
  { node, nth }: OpenVisit
): Exceeded | undefined => {
  if (steps >= maxSteps) return { kind: "stepLimit", limit: maxSteps }
  const limit = nth === undefined ? undefined : maxVisits?.[node]
  return limit !== undefined && nth! > limit ? { kind: "visitLimit", node, limit } : undefined
}

/** Whether the run pauses, and does not fail, when it would exceed a limit. */
export const pausesAt = (flow: Flow.Any, exceeded: Exceeded): boolean =>
  (exceeded.kind === "stepLimit" ? flow : flow.nodes[exceeded.node])?.onExceeded === "pause"

/** A warning that is due: that much of a limit is used up, and it was not given yet. */
export const warningOf = (
  flow: Flow.Any,
  { maxSteps, maxVisits, steps, visits, warned, warnedNodes }: RunState
): Body | undefined => {
  if (warned === undefined && flow.warnAt !== undefined && steps >= flow.warnAt * maxSteps) {
    return { kind: "limitWarned", steps, limit: maxSteps }
  }
  // Of most runs no visits are counted.
  for (const node in visits) {
    const limit = maxVisits?.[node]
    const warnAt = flow.nodes[node]?.warnAt
    if (limit === undefined || warnAt === undefined || visits[node]! < warnAt * limit) continue
    if (warnedNodes?.includes(node) !== true)
      return { kind: "limitWarned", node, steps: visits[node]!, limit }
  }
  return undefined
}
