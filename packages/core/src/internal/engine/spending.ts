/**
 * Spending of a run's budgets.
 */
import * as Effect from "effect/Effect"
import { BudgetExceeded } from "../../Failures.ts"
import type * as Run from "../../Run.ts"
import type { Body } from "../../Event.ts"
import { get } from "../record.ts"
import * as Telling from "./telling.ts"

/**
 * Adds to what the run has spent of a budget, once. If that is too much, and was not allowed since, the run pauses or
 * the visit fails.
 */
export const spend = (
  telling: Telling.Telling,
  { name }: Run.AnyBudget,
  amount: number,
  key: string | undefined
): Effect.Effect<void> => {
  const { flow, host, where } = telling
  const budget = flow.budgets.find((declared) => declared.name === name)
  if (budget === undefined) {
    return Effect.die(
      new Error(
        `flow ${JSON.stringify(flow.id)} has no budget ${JSON.stringify(name)}: name it in its \`budgets\``
      )
    )
  }
  if (!(amount >= 0 && amount <= Number.MAX_SAFE_INTEGER)) {
    return Effect.die(new RangeError(`${amount} cannot be spent of budget ${JSON.stringify(name)}`))
  }
  if (amount === 0) return Effect.void
  return Effect.flatMap(
    Telling.once(telling, "Run.spend", ["spent", name, key ?? amount], (mark, { budgets }) => {
      const { limit, spent, warned } = get(budgets ?? {}, name) ?? { ...budget, spent: 0, warned: undefined }
      const total = spent + amount
      const of = { ...where, budget: name, total, limit }
      const body: Body = { kind: "spent", ...of, mark, amount }
      return warned === undefined && budget.warnAt !== undefined && total >= budget.warnAt * limit
        ? [body, { kind: "budgetWarned", ...of }]
        : [body]
    }),
    (exceeded): Effect.Effect<void> => {
      const { limit, spent } = get(host.state().budgets ?? {}, name) ?? { limit: 0, spent: 0 }
      if (exceeded === 0 || spent <= limit) return Effect.void
      if (budget.onExceeded === "fail") return Effect.die(new BudgetExceeded({ budget: name, limit }))
      // A visit that is replayed went on then.
      if (host.refuse !== undefined) return Effect.void
      const { node, visit } = where
      return host.pause({ kind: "budget", node, visit, budget: name, spent, limit })
    }
  )
}
