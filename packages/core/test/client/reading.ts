/**
 * Clients of generated journals, and of ones written by hand: all that a store need do is read.
 */
import * as Effect from "effect/Effect"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { RunNotFound, Store } from "@waymark/core/Store"
import type { Body } from "../../src/Event.ts"
import { append, begin, hash } from "../journal/world.ts"
import type { Grown } from "../journal/world.ts"

/** What was read, to see that no more is than has to be. */
export interface Reads {
  backwards: number
  forwards: number
}

/** A client of these journals. Pages have at most so many entries. */
export const clientOf = (journals: ReadonlyArray<Grown>, pages = 7) =>
  Effect.gen(function* () {
    const reads: Reads = { backwards: 0, forwards: 0 }
    const find = (run: string): Effect.Effect<Grown, RunNotFound> => {
      const found = journals.find((journal) => journal.run === run)
      return found === undefined ? Effect.fail(new RunNotFound({ run })) : Effect.succeed(found)
    }
    const store = Store.of({
      ...(yield* MemoryStore.make()),
      get: (run) =>
        Effect.map(find(run), ({ entries, hashes }) => {
          let info: RunInfo.RunInfo | undefined
          for (const { event } of entries) info = RunInfo.apply(info, event)
          return { info: info!, head: { seq: info!.seq, hash: hashes[info!.seq]! } }
        }),
      read: (run, { direction = "forwards", from, limit = 1000, to } = {}) =>
        Effect.map(find(run), ({ entries }) => {
          const all = direction === "forwards" ? entries : [...entries].reverse()
          const page = all
            .filter(({ event: { seq } }) =>
              direction === "forwards"
                ? seq >= (from ?? 0) && seq <= (to ?? Infinity)
                : seq <= (from ?? Infinity) && seq >= (to ?? 0)
            )
            .slice(0, Math.min(limit, pages))
          reads[direction] += page.length
          return page
        })
    })
    const runs = yield* Runs.make({ starter: undefined }).pipe(Effect.provideService(Store, store))
    return { reads, runs }
  }).pipe(Effect.scoped)

/** A journal of these events, a millisecond apart. */
export const written = (run: string, bodies: ReadonlyArray<Body>): Grown => {
  const journal = begin(run)
  more(journal, bodies)
  return journal
}

/** Goes on with a journal. */
export const more = (journal: Grown, bodies: ReadonlyArray<Body>): void => {
  for (const body of bodies) append(journal, journal.entries.length, [body])
}

/** A journal that begins with a fork of another. */
export const forked = (
  of: Grown,
  seq: number,
  run: string,
  fields: Partial<Extract<Body, { kind: "forked" }>> = {}
): Grown => {
  const state = of.states[seq]!
  const journal = begin(run, { state, hash: hash(of.entries[seq]!.line) })
  const { flow, steps, version } = state
  more(journal, [{ kind: "forked", from: { run: of.run, seq }, flow, version, steps, ...fields }])
  return journal
}

/** The first event of a run. */
export const created = (state: Extract<Body, { kind: "created" }>["state"] = {}, actor?: string): Body => ({
  kind: "created",
  flow: "flow",
  version: 1,
  fingerprint: "f",
  start: "work",
  input: null,
  state,
  durability: "pipelined",
  maxSteps: 100_000,
  maxRecoveries: 10,
  ...(actor === undefined ? undefined : { actor })
})
