/** Rows of run indexes, and stores that hold them. */
import { RunInfo } from "@waymark/core"
import type { Event } from "@waymark/core"
import * as Catalog from "../src/reading/Catalog.ts"
import type { Source } from "../src/reading/Stores.ts"

const header = (run: string, seq: number, time: number) => ({ run, seq, epoch: 0, time, prev: "0" })

/** The row of a run that was just started. */
export const row = (
  run: string,
  time: number,
  more: Partial<RunInfo.RunInfo> & { readonly flow?: string } = {}
): RunInfo.RunInfo => {
  const created: Event.Event = {
    ...header(run, 0, time),
    kind: "created",
    flow: more.flow ?? "order",
    version: 1,
    fingerprint: "f",
    start: "a",
    input: null,
    state: {},
    durability: "pipelined",
    maxSteps: 10,
    maxRecoveries: 3
  }
  return { ...RunInfo.apply(undefined, created), ...more }
}

export const sourceOf = (
  path: string,
  rows: ReadonlyArray<RunInfo.RunInfo>,
  more: Partial<Source> = {}
): Source => {
  const catalog = Catalog.make()
  for (const info of rows) catalog.set(info)
  return {
    place: { kind: "directory", path, label: path },
    catalog,
    open: undefined,
    loaded: true,
    problem: undefined,
    ...more
  }
}

export const storesOf = (...sources: ReadonlyArray<Source>) => ({
  sources: () => sources,
  source: (store: string) => sources.find(({ place }) => place.path === store)
})
