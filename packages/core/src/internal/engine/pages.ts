/**
 * How much is read at once, and how much somebody may ask for.
 */
import * as Effect from "effect/Effect"
import { StoreError } from "../../Store.ts"
import { isCount } from "../definition/count.ts"

/**
 * A page of a journal. Entries can be long: whatever they hold, a page fits in memory. It has one entry at least, and a
 * short one says nothing of what follows.
 */
export const page = { limit: 1000, bytes: 2_000_000 } as const

/** Fails if nobody can be given so many of something. */
export const checkLimit = (operation: string, limit: number | undefined): Effect.Effect<void, StoreError> => {
  if (limit === undefined || limit === Number.POSITIVE_INFINITY || isCount(limit, 0)) return Effect.void
  const detail = `\`limit\` is ${limit}; it must be a whole number from 0`
  return Effect.fail(new StoreError({ operation, reason: { _tag: "Invalid", detail } }))
}
