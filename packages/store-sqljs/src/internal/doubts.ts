/**
 * What a damaged part of a redo log may have been about. Whoever asks for that is told; everything else is as it was.
 */
import * as Effect from "effect/Effect"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import type { Operation, Step } from "./operation.ts"

export interface Place {
  readonly path: string
  readonly offset: number
}

/** What an operation is about, as text. */
export const subjectOf = (operation: Operation): string | undefined => {
  switch (operation.$) {
    case "created":
    case "appended":
    case "leased":
    case "released":
    case "deleted":
      return `run ${operation.run}`
    case "sent":
      return `run ${operation.command.run}`
    case "meta":
      return `meta ${operation.key}`
    case "artifact":
      return `artifact ${operation.hash}`
    case "log":
    case "closed":
      return undefined
  }
}

/** What steps are about, each once. */
export const subjectsOf = (steps: ReadonlyArray<Step>): ReadonlyArray<string> => {
  const subjects = new Set<string>()
  for (const { operation } of steps) {
    const subject = subjectOf(operation)
    if (subject !== undefined) subjects.add(subject)
  }
  return [...subjects]
}

export interface Doubts {
  /** Notes a place that is damaged; without subjects it may have been about anything. `fed` is the last event before it. */
  readonly note: (place: Place, subjects: ReadonlyArray<string> | undefined, fed: number) => void
  /** Whether a step may be carried out: what comes before it was. */
  readonly allows: (step: Step) => boolean
  readonly ofRun: (run: string) => Place | undefined
  /** The same for what follows the last entry of a run that is there. */
  readonly beyond: (info: RunInfo) => Place | undefined
  readonly ofMeta: (key: string) => Place | undefined
  readonly ofArtifact: (hash: string) => Place | undefined
  /** The last event that the feed can give out, and what comes then. */
  readonly feedEnd: () => { readonly at: number; readonly place: Place } | undefined
  readonly places: () => ReadonlyArray<Place>
}

export const make = (): Doubts => {
  const known = new Map<string, Place>()
  const all: Array<Place> = []
  let everything: Place | undefined
  let end: { readonly at: number; readonly place: Place } | undefined
  const of = (subject: string): Place | undefined => known.get(subject) ?? everything
  return {
    note: (place, subjects, fed) => {
      all.push(place)
      end ??= { at: fed, place }
      if (subjects === undefined) everything ??= place
      else for (const subject of subjects) if (!known.has(subject)) known.set(subject, place)
    },
    allows: ({ operation }) => {
      if (all.length === 0) return true
      const subject = subjectOf(operation)
      return subject === undefined || of(subject) === undefined
    },
    ofRun: (run) => of(`run ${run}`),
    beyond: ({ run, status }) => known.get(`run ${run}`) ?? (isTerminal(status) ? undefined : everything),
    ofMeta: (key) => of(`meta ${key}`),
    ofArtifact: (hash) => of(`artifact ${hash}`),
    feedEnd: () => end,
    places: () => all
  }
}

/** Fails if there is a doubt. */
export const unless = (
  place: Place | undefined,
  detail: string,
  about: { readonly run?: string; readonly seq?: number } = {}
): Effect.Effect<void, StoreError> =>
  place === undefined ? Effect.void : failure({ _tag: "Corrupt", ...place, ...about, detail })
