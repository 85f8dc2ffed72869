/**
 * Options that hold what only the compiler would have refused.
 */
import { isSchedule } from "effect/Schedule"
import type { Problem } from "./problem.ts"
import { quoted } from "./quoted.ts"

type Problems = ReadonlyArray<Problem>
interface At {
  readonly node?: string
}

/** An option that is one of a few words. */
export const checkWord = (option: string, value: unknown, words: ReadonlyArray<string>, at?: At): Problems =>
  words.includes(value as string)
    ? []
    : [
        {
          _tag: "InvalidOption",
          ...at,
          option,
          detail: `is ${JSON.stringify(value) ?? String(value)}; it must be one of ${quoted(words)}`
        }
      ]

/** An option that is a schedule, if it is given. */
export const checkSchedule = (option: string, value: unknown, at?: At): Problems =>
  value === undefined || isSchedule(value)
    ? []
    : [
        {
          _tag: "InvalidOption",
          ...at,
          option,
          detail: "is not a schedule, such as Schedule.recurs(3) makes"
        }
      ]

export const durabilities: ReadonlyArray<string> = ["pipelined", "strict", "ephemeral"]
/** What happens where a run cannot go on as it is. */
export const stops = ["pause", "fail"]
