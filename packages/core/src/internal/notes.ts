/**
 * What events do that tell something of a visit, and that concern limits.
 *
 * They work on a copy of the state that nobody has seen, as those in `visits.ts`.
 */
import * as HashMap from "effect/HashMap"
import type { Of } from "../Event.ts"
import type { Budget, OpenVisit, RunState } from "../RunState.ts"
import { illegal } from "./illegal.ts"
import { get } from "./record.ts"
import type { Mutable } from "./record.ts"
import { branchOf, openVisit, setVisit, visitIn } from "./visits.ts"

/** Something is told once in a visit; 1 if it exceeded a budget. */
export const told = (
  next: Mutable<RunState>,
  event: Of<"emitted"> | Of<"logged"> | Of<"tagged"> | Of<"spent">,
  exceeded: 0 | 1
): void => {
  mark(next, branchOf(event), openVisit(next, event), event.mark, exceeded)
}

const mark = (
  next: Mutable<RunState>,
  branch: string,
  visit: OpenVisit,
  as: string,
  exceeded: 0 | 1
): void => {
  const marks = visit.marks ?? HashMap.empty<string, 0 | 1>()
  if (HashMap.has(marks, as)) illegal(`the visit told ${as} already`)
  setVisit(next, branch, { ...visit, marks: HashMap.set(marks, as, exceeded) })
}

export const sent = (next: Mutable<RunState>, event: Of<"sent">): void => {
  const { body, message, to } = event
  if (HashMap.has(next.outbox, message)) illegal(`message ${message} was sent already`)
  next.outbox = HashMap.set(next.outbox, message, { to, body })
  if (event.mark === undefined) return
  const branch = branchOf(event)
  const visit = visitIn(next, branch)
  if (visit === undefined) return illegal(`branch ${JSON.stringify(branch)} has no open visit`)
  mark(next, branch, visit, event.mark, 0)
}

export const progressed = (next: Mutable<RunState>, event: Of<"progressed">): void => {
  const visit = openVisit(next, event)
  const { done, nth, note, total } = event
  const before = visit.progress?.nth ?? 0
  if (nth <= before) illegal(`report ${nth} of its visit does not follow report ${before}`)
  const progress: Mutable<NonNullable<OpenVisit["progress"]>> = { nth, done, total }
  if (note !== undefined) progress.note = note
  setVisit(next, branchOf(event), { ...visit, progress })
}

export const spent = (next: Mutable<RunState>, event: Of<"spent">): void => {
  const { amount, budget, limit, total } = event
  const before: Budget = get(next.budgets ?? {}, budget) ?? { spent: 0, limit }
  if (total !== before.spent + amount) {
    illegal(`${before.spent} of budget ${JSON.stringify(budget)} and ${amount} are not ${total}`)
  }
  if (limit !== before.limit) illegal(`the limit of budget ${JSON.stringify(budget)} is ${before.limit}`)
  next.budgets = { ...next.budgets, [budget]: { ...before, spent: total } }
  told(next, event, total > limit ? 1 : 0)
}

export const budgetWarned = (next: Mutable<RunState>, event: Of<"budgetWarned">): void => {
  openVisit(next, event)
  const budget =
    get(next.budgets ?? {}, event.budget) ?? illegal(`nothing of budget ${event.budget} was spent`)
  next.budgets = { ...next.budgets, [event.budget]: { ...budget, warned: true } }
}

export const limitWarned = (next: Mutable<RunState>, { node }: Of<"limitWarned">): void => {
  if (node === undefined) next.warned = true
  else next.warnedNodes = [...(next.warnedNodes ?? []), node]
}

/** Sets the limits of budgets; what was spent stays so, and the warning is due again. */
export const changeBudgets = (
  next: Mutable<RunState>,
  limits: { readonly [budget: string]: number }
): void => {
  for (const budget of Object.keys(limits)) {
    const { spent: before } = get(next.budgets ?? {}, budget) ?? { spent: 0 }
    next.budgets = { ...next.budgets, [budget]: { spent: before, limit: limits[budget]! } }
  }
}

export const limitsChanged = (
  next: Mutable<RunState>,
  { budgets, maxSteps, maxVisits }: Of<"limitsChanged">
): void => {
  if (maxSteps !== undefined) {
    next.maxSteps = maxSteps
    delete next.warned
  }
  if (maxVisits !== undefined) {
    next.maxVisits = { ...next.maxVisits, ...maxVisits }
    const warned = next.warnedNodes?.filter((node) => !Object.hasOwn(maxVisits, node)) ?? []
    if (warned.length > 0) next.warnedNodes = warned
    else delete next.warnedNodes
  }
  if (budgets !== undefined) changeBudgets(next, budgets)
}
