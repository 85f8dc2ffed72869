/**
 * What the functions of `Runs` work with.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Flow from "../../Flow.ts"
import type { IdGenerator } from "../../IdGenerator.ts"
import { InvalidCheckpoint, InvalidValue } from "../../RunError.ts"
import type { RunLike, Runs } from "../../Runs.ts"
import type { Journals } from "../engine/reader.ts"

/** How a client reads and writes: its store, and what it was built with. */
export interface Client extends Journals {
  readonly clock: Clock.Clock
  readonly ids: IdGenerator
}

/** The service, by its key: `Runs` exports what is written here, so that it cannot be imported. */
export const Service = /* @__PURE__ */ Context.Service<Runs, Runs["Service"]>("@waymark/core/Runs")

export const idOf = (run: RunLike): string => (typeof run === "string" ? run : run.id)

/** Whether a run is one of the flow that it is named with. */
export const checkFlow = (flow: Flow.Any, run: string, of: string): Effect.Effect<void, InvalidValue> =>
  flow.id === of
    ? Effect.void
    : Effect.fail(
        new InvalidValue({
          what: "the flow",
          detail: `run ${JSON.stringify(run)} is one of flow ${JSON.stringify(of)}, not of ${JSON.stringify(flow.id)}`
        })
      )

/** Whether a number may be a position in a journal at all. */
export const checkPosition = (run: string, seq: number): Effect.Effect<void, InvalidCheckpoint> =>
  Number.isSafeInteger(seq) && seq >= 0
    ? Effect.void
    : Effect.fail(
        new InvalidCheckpoint({
          run,
          seq: typeof seq === "number" ? seq : Number.NaN,
          detail: "a position in a journal is a whole number from 0"
        })
      )
