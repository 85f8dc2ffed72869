/**
 * Runs to choose from, the newest of each store first.
 */
import type { Choice } from "../Editor.ts"
import type { RunFilter } from "../reading/Catalog.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { aboutRun, iconOf } from "../reading/Status.ts"
import type { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"

/** So many runs of a store are offered. */
const mostOffered = 500

export const runChoices = (
  stores: Pick<Stores["Service"], "sources">,
  filter: RunFilter = {}
): ReadonlyArray<Choice<RunRef>> =>
  stores.sources().flatMap(({ catalog, place }) =>
    catalog.newest(mostOffered, filter, false).map((info) => ({
      label: line(info.run),
      description: `${line(info.flow, 60)} · ${info.status} · ${line(aboutRun(info), 80)}`,
      detail: line(info.error?.message ?? "", 120),
      icon: iconOf(info),
      value: { store: place.path, run: info.run }
    }))
  )
