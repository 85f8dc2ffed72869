/**
 * Lines that are not what was written, by what they were about: whoever asks for that is told, and nobody else.
 */
import { isTerminal } from "@waymark/core/RunInfo"
import { isBefore } from "./model.ts"
import type { Position, Run, Segment, Series } from "./model.ts"
import type { Known } from "./scan.ts"
import * as Sums from "./sums.ts"

export interface Place {
  readonly path: string
  readonly offset: number
}

export interface Doubts {
  /** Notes a line, if it is known what it was about. */
  readonly note: (segment: Segment, offset: number, known: Known | undefined) => void
  /** An entry of a run that may have followed the last one that is there. */
  readonly entryBeyond: (run: Run) => Place | undefined
  /** An entry of a run of which nothing is there. */
  readonly entryOf: (run: string, incarnation: number) => Place | undefined
  /** A command of a run. */
  readonly commandOf: (run: Run) => Place | undefined
  /** What may have said that a run was deleted. */
  readonly deletionOf: (run: Run) => Place | undefined
  /** All places, in the order in which they were found. */
  readonly places: () => ReadonlyArray<Place>
}

interface Damaged {
  readonly segment: Segment
  readonly offset: number
}

const placeIn = ({ offset, segment }: Damaged): Position => ({ segment: segment.number, offset })

const entryStart = /^\{"run":("(?:[^"\\]|\\.)*"),"seq":/
const commandStart = /^\{"\$":"command",.*?,"run":("(?:[^"\\]|\\.)*"),/

/** Whether more of a run is to be expected. */
const goesOn = ({ info }: Run): boolean => info === undefined || !isTerminal(info.status)

/** What a line was about, by how it begins. */
const tagOf = (begins: string, incarnationOf: (run: string) => number): string | undefined => {
  const [kind, found] = begins.startsWith('{"$"')
    ? (["command", commandStart.exec(begins)] as const)
    : (["entry", entryStart.exec(begins)] as const)
  if (found === null) return undefined
  try {
    const run = JSON.parse(found[1]!) as string
    return Sums.tagOf(kind, run, incarnationOf(run))
  } catch {
    return undefined
  }
}

export const make = (
  pathOf: (segment: Segment) => string,
  incarnationOf: (series: Series, run: string) => number
): Doubts => {
  const byTag = new Map<string, Array<Damaged>>()
  /** The first of those of which nothing is known: it may have been about anything. */
  let unknown: Damaged | undefined
  const all: Array<Damaged> = []

  const placeOf = (damaged: Damaged | undefined): Place | undefined =>
    damaged === undefined ? undefined : { path: pathOf(damaged.segment), offset: damaged.offset }

  const first = (kind: Sums.Kind, run: string, incarnation: number): Place | undefined =>
    byTag.size === 0 ? undefined : placeOf(byTag.get(Sums.tagOf(kind, run, incarnation))?.[0])

  /** Whether a line may have been counted after the last entry of a run. */
  const isBeyond = (run: Run, { offset, segment }: Damaged): boolean => {
    const { lastOffset, lastSegment } = run
    if (lastSegment === undefined) return true
    const { series } = segment
    // The last entry of the run in the series in which the line lies. If another entry follows there, it is missing before that.
    const last =
      lastSegment.series === series
        ? { segment: lastSegment, offset: lastOffset }
        : run.switches?.findLast((each) => each.segment.series === series)
    return last === undefined || isBefore(placeIn(last), placeIn({ segment, offset }))
  }

  return {
    note: (segment, offset, known) => {
      const damaged = { segment, offset }
      all.push(damaged)
      const { begins } = known ?? {}
      const tag =
        known?.tag ??
        (begins === undefined ? undefined : tagOf(begins, (run) => incarnationOf(segment.series, run)))
      if (tag === undefined) unknown ??= damaged
      if (tag === undefined || tag === Sums.noTag) return
      const others = byTag.get(tag)
      if (others === undefined) byTag.set(tag, [damaged])
      else others.push(damaged)
    },
    entryBeyond: (run) => {
      if (all.length === 0) return undefined
      const known = byTag.get(Sums.tagOf("entry", run.id, run.incarnation))
      const found = known?.find((damaged) => isBeyond(run, damaged))
      return placeOf(
        found ?? (goesOn(run) && unknown !== undefined && isBeyond(run, unknown) ? unknown : undefined)
      )
    },
    entryOf: (run, incarnation) => first("entry", run, incarnation) ?? placeOf(unknown),
    commandOf: (run) => first("command", run.id, run.incarnation) ?? placeOf(unknown),
    deletionOf: (run) => first("deleted", run.id, run.incarnation),
    places: () => all.map((damaged) => placeOf(damaged)!)
  }
}
