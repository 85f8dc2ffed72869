/**
 * What runs are started and forked with, for those that the compiler did not see.
 */
import * as Effect from "effect/Effect"
import { InvalidValue } from "../../RunError.ts"
import type { StartOptions } from "../../Runs.ts"
import { durabilities } from "../definition/options.ts"
import { quoted } from "../definition/quoted.ts"

const texts = ["id", "idempotencyKey", "session", "actor", "correlation"] as const

const isText = (value: unknown): boolean => typeof value === "string"

const problemOf = (options: StartOptions): string | undefined => {
  const { attributes, durability, id, tags } = options
  for (const name of texts)
    if (options[name] !== undefined && !isText(options[name])) return `${name} is not a text`
  if (id === "") return "id is empty"
  if (tags !== undefined && !(Array.isArray(tags) && tags.every(isText))) return "tags is not a list of texts"
  if (
    attributes !== undefined &&
    (Object.prototype.toString.call(attributes) !== "[object Object]" ||
      !Object.values(attributes).every(isText))
  )
    return "attributes is not an object of texts"
  if (durability !== undefined && !durabilities.includes(durability))
    return `durability is ${JSON.stringify(durability)}; it must be one of ${quoted(durabilities)}`
  return options.id !== undefined && options.idempotencyKey !== undefined
    ? "id and idempotencyKey exclude each other"
    : undefined
}

export const checkOptions = (options: StartOptions): Effect.Effect<void, InvalidValue> => {
  const detail = problemOf(options)
  return detail === undefined ? Effect.void : Effect.fail(new InvalidValue({ what: "the options", detail }))
}
