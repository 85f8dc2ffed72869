/**
 * What handlers return, for those that the compiler did not see.
 */
import * as Effect from "effect/Effect"

const kindOf = (value: unknown): string =>
  value instanceof Promise ? "a promise" : value === undefined ? "nothing" : "a plain value"

/** What a handler returned, as an effect; a defect that says who returned what, if it is none. */
export const effectOf = (returned: unknown, who: () => string): Effect.Effect<any, unknown> => {
  // What a handler needs besides is provided where it is executed.
  if (Effect.isEffect(returned)) return returned as Effect.Effect<any, unknown>
  const remedy =
    "make it of a generator with Effect.fn, or put what it returns in Effect.succeed, Effect.sync or Effect.promise"
  return Effect.die(new Error(`${who()} returned ${kindOf(returned)} and not an effect: ${remedy}`))
}
