/**
 * Generated journals as another process would read them: nothing is taken over but the text.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Event, Of } from "../../src/Event.ts"
import * as Snapshot from "../../src/internal/snapshot.ts"
import * as Journal from "../../src/Journal.ts"
import * as RunState from "../../src/RunState.ts"
import type { Grown, World } from "./world.ts"

export const parsed = (line: string): Journal.Entry => Result.getOrThrow(Journal.parse(line))

export const reread = ({ entries }: Grown): ReadonlyArray<Journal.Entry> =>
  entries.map(({ line }) => parsed(line))

/** The state after an entry that may follow. */
export const applied = (
  state: RunState.RunState | undefined,
  { event, line }: Journal.Entry
): RunState.RunState => Result.getOrThrow(RunState.apply(state, event, line.length))

/** The state after entries, from the beginning or from what is given. */
export const folded = (entries: ReadonlyArray<Journal.Entry>, from?: RunState.RunState): RunState.RunState =>
  entries.reduce(applied, from as RunState.RunState)

/** The state that a snapshot holds; `read` gives the events that hold its parts. */
export const restored = (
  event: Of<"snapshot">,
  read: (run: string, seq: number) => Event
): Result.Result<RunState.RunState, string> =>
  Effect.runSync(
    Effect.result(
      Snapshot.restore(
        event,
        (run, seq) => Effect.sync(() => read(run, seq)),
        (_run, seq, detail) => `${seq}: ${detail}`
      )
    )
  )

/** Reads events of a world from their lines. */
export const readerOf =
  ({ journals }: World) =>
  (run: string, seq: number): Event =>
    parsed(journals.find((journal) => journal.run === run)!.entries[seq]!.line).event

/** A journal's snapshots, as they are read. */
export const snapshotsOf = (entries: ReadonlyArray<Journal.Entry>): ReadonlyArray<Of<"snapshot">> =>
  entries.flatMap(({ event }) => (event.kind === "snapshot" ? [event] : []))
