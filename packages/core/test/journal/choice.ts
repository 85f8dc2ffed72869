/**
 * Random choices that a number decides, and values to choose from, hostile ones among them.
 */
import type { Json } from "effect/Schema"

export interface Choice {
  /** A number from 0 up to, but not including, 1. */
  readonly fraction: () => number
  /** A whole number from `low` to `high`, both included. */
  readonly int: (low: number, high: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A
}

/** Always the same choices for the same seed (mulberry32). */
export const choiceOf = (seed: number): Choice => {
  let state = seed | 0
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const int = (low: number, high: number) => low + Math.floor(fraction() * (high - low + 1))
  return {
    fraction,
    int,
    chance: (probability) => fraction() < probability,
    pick: (items) => items[int(0, items.length - 1)]!
  }
}

export const hostile: ReadonlyArray<string> = [
  "__proto__",
  "constructor",
  "toString",
  "",
  "\ud800",
  "\udc00a",
  "ключ 🗝",
  '\u0000\n\u2028"\\',
  "\ufeff",
  "7",
  "a.b/c"
]

const numbers = [0, 1, -1, 1.5, 5e-324, 1.7976931348623157e308, -1e300, 2 ** 53 + 2, 0.1]

export const textOf = ({ chance, int, pick }: Choice): string =>
  chance(0.3) ? pick(hostile) : chance(0.1) ? pick(hostile).padEnd(int(400, 900), "long ") : `t${int(0, 999)}`

/** An object whose keys are properties of its own, whatever they are called. */
export const objectOf = <A>(entries: ReadonlyArray<readonly [string, A]>): { [key: string]: A } =>
  Object.fromEntries(entries)

/** A JSON value, as `JSON.parse` gives it. */
export const valueOf = (choice: Choice, depth = 3): Json => {
  const { int, pick } = choice
  switch (int(0, depth > 0 ? 6 : 4)) {
    case 0:
      return null
    case 1:
      return pick([true, false])
    case 2:
      return pick(numbers)
    case 3:
    case 4:
      return textOf(choice)
    case 5:
      return Array.from({ length: int(0, 3) }, () => valueOf(choice, depth - 1))
    default:
      return objectOf(
        Array.from(
          { length: int(0, 3) },
          () => [textOf(choice).slice(0, 12), valueOf(choice, depth - 1)] as const
        )
      )
  }
}
