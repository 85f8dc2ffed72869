/**
 * What the functions of `Runs` work with.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type { IdGenerator } from "../../IdGenerator.ts"
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
