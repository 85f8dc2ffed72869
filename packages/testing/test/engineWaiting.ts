/** How runs that wait are explored: whether their fibers are kept, what a client does for them, what has to hold. */
import { assert } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import type { RunInfo } from "@waymark/core/RunInfo"
import { isTerminal } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Effect from "effect/Effect"

/** Runs leave memory while they wait, or their fibers are kept. */
export const keeps = [
  { how: "let go", worker: { keepWaiting: 0 } },
  { how: "kept", worker: { keepWaiting: "1 hour" } }
] as const

/** A disk that loses nothing that it was given: what was not waited for may be durable, too, up to any batch. */
export const keepsAll = (store: Store["Service"]): Store["Service"] => ({
  ...store,
  append: (lease, expected, batch) => Effect.andThen(store.append(lease, expected, batch), store.sync(lease))
})

/** Under which circumstances runs that wait are explored. */
export const variants = [
  { name: "pipelined", durability: "pipelined", latency: undefined, nested: 1, keeps },
  { name: "strict", durability: "strict", latency: undefined, nested: "none", keeps: keeps.slice(0, 1) },
  {
    name: "ephemeral",
    durability: "ephemeral",
    latency: undefined,
    nested: "none",
    keeps: keeps.slice(0, 1)
  },
  {
    name: "pipelined, on a slow disk",
    durability: "pipelined",
    latency: "1 millis",
    nested: "none",
    keeps: keeps.slice(1)
  },
  {
    name: "pipelined, on a disk that keeps all",
    durability: "pipelined",
    latency: undefined,
    nested: "none",
    store: keepsAll,
    keeps
  }
] as const

/** Whether a run waits for what is called so: by the name or the key of a wait, or by its id. */
export const waitsFor =
  (name: string) =>
  ({ waits }: RunInfo): boolean =>
    waits.some((wait) => wait.name === name || wait.key === name || wait.wait === name)

/**
 * Does something for a run as soon as it shows that it wants it, unless it was done already: a client that began again
 * does not know.
 */
export const when = <E, R>(
  run: string,
  commandId: string,
  isSo: (info: RunInfo) => boolean,
  act: (runs: Runs.Runs["Service"]) => Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const store = yield* Store
    while (true) {
      const info = yield* runs.get(run)
      if (isTerminal(info.status)) return
      const journal = yield* store.read(run)
      if (journal.some(({ event }) => "command" in event && event.command?.id === commandId)) return
      if (isSo(info)) break
      yield* Effect.sleep("1 second")
    }
    yield* Effect.catchIf(
      act(runs),
      (error) => (error as { readonly _tag?: string })._tag === "CommandRefused",
      () => Effect.void
    )
  })

/** How each wait ended, by its id and how often it was opened before. */
export const endings = (journal: ReadonlyArray<Event>): { readonly [wait: string]: string } => {
  const openings = new Map<string, number>()
  const ended: { [wait: string]: string } = {}
  for (const event of journal) {
    if (event.kind === "waitOpened") openings.set(event.wait, (openings.get(event.wait) ?? 0) + 1)
    if (event.kind !== "waitEnded") continue
    const place = `${event.wait} (${openings.get(event.wait) ?? 0})`
    assert.notProperty(ended, place, `${place} ended twice`)
    ended[place] = JSON.stringify(event.outcome)
  }
  return ended
}

/** No signal that was kept ends two waits. */
export const expectConsumedOnce = (journal: ReadonlyArray<Event>): void => {
  const used = journal.flatMap((event) =>
    event.kind === "waitEnded" && event.signal !== undefined ? [event.signal] : []
  )
  assert.strictEqual(new Set(used).size, used.length)
}

const passing: ReadonlySet<string> = new Set(["claimed", "snapshot", "snapshotPart", "commandIgnored"])

/** What a journal says, whoever wrote it when: of each branch in order, since branches are beside each other. */
export const essenceOf = (journal: ReadonlyArray<Event>): unknown => {
  const branches: { [branch: string]: Array<unknown> } = {}
  for (const event of journal) {
    if (passing.has(event.kind)) continue
    const { epoch, prev, seq, time, ...rest } = event
    const { started, ...said } = rest as { readonly started?: number }
    const command = "command" in said ? { command: undefined } : undefined
    const branch = "branch" in event && event.branch !== undefined ? event.branch : ""
    ;(branches[branch] ??= []).push({ ...said, ...command })
  }
  return branches
}

/**
 * Checks for all explorations of one scenario: what it comes to undisturbed is the same in each of them, and the waits
 * end as they do there.
 */
export const sameJournal = () => {
  let essence: unknown
  return () => {
    let undisturbed: { readonly [wait: string]: string } | undefined
    return (
      {
        cuts,
        journal
      }: { readonly cuts: ReadonlyArray<unknown>; readonly journal: (run: string) => ReadonlyArray<Event> },
      run = "r"
    ): void => {
      const events = journal(run)
      expectConsumedOnce(events)
      const ended = endings(events)
      if (undisturbed !== undefined) assert.deepStrictEqual(ended, undisturbed)
      if (cuts.length > 0) return
      undisturbed = ended
      const mine = essenceOf(events)
      if (essence !== undefined) assert.deepStrictEqual(mine, essence)
      essence = mine
    }
  }
}
