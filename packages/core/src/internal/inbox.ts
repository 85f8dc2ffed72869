/** How far the commands of one source are dealt with: all up to `upTo`, and some positions beyond it. */
export interface Handled {
  readonly upTo: number
  readonly beyond: ReadonlyArray<number>
}

const nothing: Handled = { upTo: 0, beyond: [] }

export const isHandled = (handled: Handled | undefined, position: number): boolean =>
  handled !== undefined && (position <= handled.upTo || handled.beyond.includes(position))

export const handle = (handled: Handled = nothing, position: number): Handled => {
  let upTo = handled.upTo
  const beyond = [...handled.beyond, position].sort((a, b) => a - b)
  while (beyond[0] === upTo + 1) {
    upTo += 1
    beyond.shift()
  }
  return { upTo, beyond }
}
