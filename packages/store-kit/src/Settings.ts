/**
 * What is said of a store when it is built: read, and refused if nothing can work by it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "./Failures.ts"

/** Reads options by their names, and notes which of them cannot be. */
export interface Reader {
  /** Milliseconds: no fewer than `least`, and no more than a timer can wait; `NaN` for what is refused. */
  readonly duration: (name: string, value: Duration.Input, least: number) => number
  /** A whole number from 1. */
  readonly count: (name: string, value: number) => number
  /** A text that is not empty; an empty one for what is refused. */
  readonly text: (name: string, value: string) => string
  /** Notes that an option is not as it must be, unless it is. */
  readonly ensure: (isSo: boolean, name: string, value: unknown, must: string) => void
}

/** What Node and browsers can wait for, in milliseconds: nearly 25 days. */
const longest = 2 ** 31 - 1

const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value))

/** What is read from options; `Invalid` with all that is wrong with them otherwise. */
export const read = <A>(body: (reader: Reader) => A): Effect.Effect<A, StoreError> =>
  Effect.suspend((): Effect.Effect<A, StoreError> => {
    const problems: Array<string> = []
    const ensure: Reader["ensure"] = (isSo, name, value, must) => {
      if (!isSo) problems.push(`\`${name}\` is ${shown(value)}; it must be ${must}`)
    }
    const read = body({
      ensure,
      duration: (name, value, least) => {
        const duration = Duration.fromInput(value)
        // As a duration NaN is none at all.
        const millis =
          Option.isSome(duration) && !Number.isNaN(value) ? Duration.toMillis(duration.value) : Number.NaN
        const isSo = millis >= least && millis <= longest
        const given = typeof value === "object" ? Option.getOrElse(duration, () => value) : value
        ensure(isSo, name, given, `a duration of at least ${least} ms, and less than 25 days`)
        return isSo ? millis : Number.NaN
      },
      count: (name, value) => {
        ensure(Number.isSafeInteger(value) && value >= 1, name, value, "a whole number from 1")
        return value
      },
      text: (name, value) => {
        const isSo = typeof value === "string" && value !== ""
        ensure(isSo, name, value, "a text that is not empty")
        return isSo ? value : ""
      }
    })
    return problems.length === 0
      ? Effect.succeed(read)
      : failure({ _tag: "Invalid", detail: problems.join("\n") })
  })
