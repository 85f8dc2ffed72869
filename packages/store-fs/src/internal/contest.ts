/**
 * What all that several processes may want at once have in common: waiting for one another, and for none that is gone.
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Catalog } from "./catalog.ts"
import { failure } from "@waymark/store-kit/Failures"
import { formatControl, withIncarnation } from "./format.ts"
import type { Run, Series } from "./model.ts"
import type { Observer } from "./observer.ts"
import type { Ownership } from "./ownership.ts"

export interface Contest {
  /** Whether a series has ended, as far as is known after a look. */
  readonly isGone: (series: string) => boolean
  /** Waits for a moment, or gives up if that was tried for too long since `since`. */
  readonly waitFor: (since: number, detail: string) => Effect.Effect<void, StoreError>
  /** Ends the series of an owner that is not there any more, so that what it claimed is free. */
  readonly dispossess: (series: Series) => Effect.Effect<void, StoreError>
}

export interface Options {
  readonly catalog: Catalog
  readonly identity: ProcessIdentity["Service"]
  readonly observer: Observer
  readonly ownership: Ownership
}

/** How long to wait for another process to finish what it has begun with a run, in milliseconds. */
export const patience = 5000
export const patienceStep = 5

const takenOver = (): StoreError =>
  failure({
    _tag: "Busy",
    detail: "this process was taken for dead and its part of the store was taken over; try again"
  })

/** What to tell those who wait for something that was not written. */
export const asError = (why: StoreError | "lost"): StoreError => (why === "lost" ? takenOver() : why)

/** Says that the owner of a run let go of it, or lost it. */
export const releasedLine = (run: Run, epoch: number, lost: boolean): string =>
  formatControl({
    $: "released",
    run: run.id,
    epoch,
    ...withIncarnation(run.incarnation),
    ...(lost ? { lost: true as const } : undefined)
  })

export const make = ({ catalog, identity, observer, ownership }: Options): Contest => ({
  isGone: (id) => {
    const series = catalog.series.get(id)
    return series === undefined || series.ended !== undefined
  },
  waitFor: (since, detail) =>
    identity.monotonic() - since > patience
      ? failure({ _tag: "Busy", detail })
      : identity.pause(patienceStep, "busy"),
  dispossess: (series) => Effect.andThen(ownership.takeOver(series), observer.survey)
})
