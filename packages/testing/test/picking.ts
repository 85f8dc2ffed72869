/** Scripts and flows that a seed makes up. */

/** A number from 0 on, below the one that is given. */
export type Pick = (below: number) => number

/** Numbers that follow from a seed, told apart by how often it was asked. */
export const picking = (seed: number): Pick => {
  let state = Math.imul(seed + 1, 2654435761) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return (below) => next() % below
}
