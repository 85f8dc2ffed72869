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
import { branchOf, openVisit, setVisit } from "./visits.ts"

/** Something is told once in a visit; 1 if it exceeded a budget. */
export const told = (
  next: Mutable<RunState>,
  event: Of<"emitted"> | Of<"logged"> | Of<"tagged"> | Of<"spent">,
  exceeded: 0 | 1
): void => {
  const visit = openVisit(next, event)
  const marks = visit.marks ?? HashMap.empty<string, 0 | 1>()
  if (HashMap.has(marks, event.mark)) illegal(`the visit told ${event.mark} already`)
  setVisit(next, branchOf(event), { ...visit, marks: HashMap.set(marks, event.mark, exceeded) })
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
  if (maxVisits !== undefined) next.maxVisits = { ...next.maxVisits, ...maxVisits }
  if (budgets !== undefined) changeBudgets(next, budgets)
}
