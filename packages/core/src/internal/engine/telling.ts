/**
 * What a visit writes into its run's journal besides its calls: once, however often the visit is executed.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type * as Flow from "../../Flow.ts"
import type { OpenVisit, RunState } from "../../RunState.ts"
import { visitIn } from "../visits.ts"
import type * as Calls from "./calls.ts"
import { canonical } from "./canonical.ts"
import type { Bodies } from "./writer.ts"

/** The visit, as events name it. */
export type Where = Pick<Extract<Bodies[0], { kind: "emitted" }>, "branch" | "node" | "visit" | "attempt">

export interface Telling {
  readonly host: Calls.Host
  readonly flow: Flow.Any
  readonly where: Where
  /** The time that passes, while that of the visit stands still. */
  readonly live: Clock.Clock
  /** How often something was told already that looks the same. */
  readonly occurrences: Map<string, number>
  /** The visit is over: what is left of it may tell nothing any more. */
  closed: boolean
  /** What is to be written when the visit is over. */
  flush: ((exit: Exit.Exit<unknown, unknown>) => Effect.Effect<unknown>) | undefined
  /** How far the visit is, if it reports that. */
  meter: unknown
}

export const make = (
  host: Calls.Host,
  flow: Flow.Any,
  branch: string,
  { attempt, node, visit }: OpenVisit,
  live: Clock.Clock
): Telling => ({
  host,
  flow,
  where: branch === "" ? { node, visit, attempt } : { branch, node, visit, attempt },
  live,
  occurrences: new Map(),
  closed: false,
  flush: undefined,
  meter: undefined
})

/** The open visit as the journal has it; `undefined` if it is another one. */
const own = ({ where: { attempt, branch, visit } }: Telling, state: RunState): OpenVisit | undefined => {
  const open = visitIn(state, branch ?? "")
  return open?.visit === visit && open.attempt === attempt ? open : undefined
}

const outlived = (what: string, { where: { node, visit } }: Telling): Effect.Effect<never> =>
  Effect.die(new Error(`${what} was used by something that outlived visit ${visit} of node ${node}`))

/** Whether somebody may tell something now; `what` names the function for the message if not. */
export const allowed = <A>(
  telling: Telling,
  what: string,
  effect: () => Effect.Effect<A>
): Effect.Effect<A> => {
  if (telling.closed) return outlived(what, telling)
  return telling.host.halted() ? telling.host.refused : effect()
}

/** Appends events that follow from the state, as long as the visit is open. */
export const write = (
  telling: Telling,
  bodies: (open: OpenVisit, state: RunState) => Bodies | undefined
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    let written = false
    return Effect.map(
      telling.host.appendTo((state) => {
        const open = own(telling, state)
        if (open === undefined) return undefined
        written = true
        return bodies(open, state)
      }),
      () => written
    )
  })

/**
 * Tells something that is known by its parts, and by how often the visit told the same before. If an earlier execution
 * of the visit told it, nothing is written. Answers 1 if it exceeded a budget then, or does so now.
 */
export const once = (
  telling: Telling,
  what: string,
  parts: ReadonlyArray<Json>,
  bodies: (mark: string, state: RunState) => Bodies
): Effect.Effect<0 | 1> =>
  allowed(telling, what, () => {
    const { host, occurrences } = telling
    const base = host.hash(canonical(parts)).slice(0, 32)
    const occurrence = occurrences.get(base) ?? 0
    occurrences.set(base, occurrence + 1)
    const mark = `${base}/${occurrence}`
    const known = (): 0 | 1 | undefined => {
      const marks = own(telling, host.state())?.marks
      return marks === undefined ? undefined : Option.getOrUndefined(HashMap.get(marks, mark))
    }
    const before = known()
    if (before !== undefined) return Effect.succeed(before)
    // In a replay nothing is written.
    if (host.refuse !== undefined) return Effect.succeed(0)
    return Effect.flatMap(
      write(telling, (_, state) => bodies(mark, state)),
      (written) => (written ? Effect.succeed(known() ?? 0) : outlived(what, telling))
    )
  })

/** The visit is over: writes what it left to be written. */
export const close = (telling: Telling, exit: Exit.Exit<unknown, unknown>): Effect.Effect<unknown> => {
  telling.closed = true
  // If it cannot be written, the run knows by now.
  return telling.flush === undefined ? Effect.void : Effect.exit(telling.flush(exit))
}
