/**
 * Generated journals: runs to which anything happens that may happen, and forks of them.
 *
 * A list of numbers decides everything: each one is an event or a few that belong together. So that fewer numbers are a
 * simpler world, and a failing test can be shrunk.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Body, Event } from "../../src/Event.ts"
import { hasCompensated } from "../../src/internal/compensation.ts"
import { extend } from "../../src/internal/engine/writer.ts"
import { sha256Hex } from "../../src/internal/sha256.ts"
import * as Journal from "../../src/Journal.ts"
import { nodeOf } from "../../src/RunState.ts"
import type { RunState } from "../../src/RunState.ts"
import { choiceOf } from "./choice.ts"
import type { Choice } from "./choice.ts"
import { created, forkOf, nextOf } from "./steps.ts"

export const hash = sha256Hex

/** A journal as it grew: `states[i]` is the state after `entries[i]`, `hashes[i]` the hash of that entry. */
export interface Grown {
  readonly run: string
  readonly entries: Array<Journal.Entry>
  readonly states: Array<RunState>
  readonly hashes: Array<string>
  /** What a fork began from. */
  readonly origin: { readonly state: RunState; readonly hash: string } | undefined
}

export interface World {
  readonly journals: ReadonlyArray<Grown>
  readonly read: (run: string, seq: number) => Event
}

export interface Options {
  /** How many journals there may be. */
  readonly journals?: number
  /** Told of every state, at once. */
  readonly onState?: (journal: Grown, state: RunState) => void
}

export const stateOf = ({ states }: Grown): RunState => states[states.length - 1]!

/** Appends events that belong together. It throws if they are not legal. */
export const append = (
  { entries, hashes, origin, run, states }: Grown,
  time: number,
  bodies: ReadonlyArray<Body>
): void => {
  let state = states[states.length - 1] ?? origin?.state
  for (const body of bodies) {
    const seq = entries.length - 1
    const before = states[seq]
    const epoch = body.kind === "claimed" ? body.previous.epoch + 1 + (time % 3) : (before?.epoch ?? 0)
    const head = { seq, hash: hashes[seq] ?? origin?.hash ?? Journal.genesis }
    const extended = extend({ hash }, { run, epoch, time }, state, head, [body], [body])
    state = extended.state
    entries.push(extended.batch.entries[0])
    states.push(state)
    hashes.push(extended.head.hash)
  }
}

export const begin = (run: string, origin?: Grown["origin"]): Grown => ({
  run,
  entries: [],
  states: [],
  hashes: [],
  origin
})

/** Journals that grow as the numbers say. */
export const build = (numbers: ReadonlyArray<number>, options: Options = {}): World => {
  const journals: Array<Grown> = []
  let now = 1_000

  const grow = (journal: Grown, choice: Choice, bodies: ReadonlyArray<Body>): void => {
    now = Math.max(0, now + choice.int(-20, 100))
    for (const body of bodies) {
      append(journal, now, [body])
      options.onState?.(journal, stateOf(journal))
    }
  }

  for (const number of numbers.length === 0 ? [0] : numbers) {
    const choice = choiceOf(number)
    if (journals.length === 0) {
      const journal = begin("run \ud800 ü")
      journals.push(journal)
      grow(journal, choice, [created(choice)])
    } else if (journals.length < (options.journals ?? 3) && choice.chance(0.02)) {
      const of = choice.pick(journals)
      const seq = choice.int(0, of.entries.length - 1)
      const state = of.states[seq]!
      if (nodeOf(state) === undefined || hasCompensated(state)) continue
      const journal = begin(`fork ${journals.length}`, { state, hash: of.hashes[seq]! })
      journals.push(journal)
      grow(journal, choice, [forkOf(choice, state)])
    } else {
      const journal = choice.pick(journals)
      const step = nextOf(choice, stateOf(journal), now, journal.hashes[journal.entries.length - 1]!)
      grow(journal, choice, step.bodies)
      for (const more of step.more ?? []) grow(journal, choice, more(stateOf(journal)))
    }
  }

  return {
    journals,
    read: (run, seq) => journals.find((journal) => journal.run === run)!.entries[seq]!.event
  }
}

/** The numbers of worlds of up to `length` steps. */
export const numbers = (length: number): Arbitrary.Arbitrary<ReadonlyArray<number>> =>
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))), {
    minLength: Math.floor(length / 2),
    maxLength: length
  })

/** Numbers that are always the same. */
export const fixedNumbers = (seed: number, length: number): ReadonlyArray<number> => {
  const { int } = choiceOf(seed)
  return Array.from({ length }, () => int(0, 2 ** 31))
}
