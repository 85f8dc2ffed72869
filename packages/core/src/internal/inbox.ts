/** How far the commands of one source are dealt with: all up to `upTo`, and some positions beyond it, in order. */
export interface Handled {
  readonly upTo: number
  readonly beyond: ReadonlyArray<number>
}

/** From where to read the inboxes: what comes before is dealt with. */
export const cursorOf = (inbox: { readonly [source: string]: Handled }): { [source: string]: number } =>
  Object.fromEntries(Object.keys(inbox).map((source) => [source, inbox[source]!.upTo]))

const nothing: Handled = { upTo: 0, beyond: [] }

/** Whether the command at a position is dealt with. Positions begin at 1: there is nothing to do for those before. */
export const isHandled = ({ beyond, upTo }: Handled = nothing, position: number): boolean =>
  position <= upTo || beyond.includes(position)

export const handle = (handled: Handled = nothing, position: number): Handled => {
  if (isHandled(handled, position)) return handled
  let { upTo } = handled
  const beyond = [...handled.beyond, position].sort((a, b) => a - b)
  while (beyond[0] === upTo + 1) {
    upTo += 1
    beyond.shift()
  }
  return { upTo, beyond }
}
