/**
 * Takes in what the segments hold, line by line, in any order of the series: the one projection from which everything
 * that the store answers is read.
 */
import type { Command } from "@waymark/core/Command"
import type * as ChangeHub from "@waymark/core/ChangeHub"
import type { Event } from "@waymark/core/Event"
import type { Entry } from "@waymark/core/Journal"
import * as RunIndex from "@waymark/core/RunIndex"
import * as RunInfo from "@waymark/core/RunInfo"
import { ownerOf, parseControl, segmentName } from "./format.ts"
import { isBefore, makeRun, touchedInbox, touchedJournal, touchedLease } from "./model.ts"
import type { InboxItem, Position, Run, Segment, Series } from "./model.ts"
import * as Doubts from "./doubts.ts"
import * as Parked from "./parked.ts"
import * as Recent from "./recent.ts"
import type { Known } from "./scan.ts"
import * as Sums from "./sums.ts"

export interface Catalog {
  readonly runs: Map<string, Run>
  readonly series: Map<string, Series>
  /** Those in which anything can follow, or that were not taken in to their end. */
  readonly open: Set<Series>
  readonly index: RunIndex.RunIndex
  /** Runs that were deleted, and up to which incarnation. */
  readonly tombstones: Map<string, number>
  /** Who is forked from a run. */
  readonly forks: Map<string, Set<string>>
  /** How many bytes were taken in since the index was last written. */
  unindexed: number
  /** How many series the index knows. */
  indexedSeries: number
  /** A run that is there. */
  readonly find: (id: string) => Run | undefined
  /** A run, or the place where it will be. */
  readonly expect: (id: string) => Run
  readonly seriesOf: (id: string) => Series
  /** Takes in one line; `false` if it is not what a line can be. */
  readonly take: (
    segment: Segment,
    offset: number,
    length: number,
    line: string,
    isControl: boolean
  ) => boolean
  /** Notes a line that is not what was written. */
  readonly noteDamaged: (segment: Segment, offset: number, known: Known | undefined) => void
  /** What is in doubt because of such lines. */
  readonly doubts: Doubts.Doubts
  /** Takes in an entry that this instance wrote and synced. */
  readonly takeOwn: (run: Run, segment: Segment, offset: number, length: number, entry: Entry) => void
  readonly takeCommand: (
    segment: Segment,
    offset: number,
    length: number,
    command: Command,
    position: number,
    incarnation: number,
    sum: string
  ) => void
  readonly takeDeleted: (run: string, incarnation: number) => void
  /** `seq` is where the run stood, if it was said. */
  readonly takeOpened: (
    series: Series,
    run: string,
    epoch: number,
    incarnation: number,
    seq: number | undefined
  ) => void
  readonly takeReleased: (run: string, epoch: number, incarnation: number, lost: boolean) => void
  readonly endSeries: (series: Series, how: "closed" | "crashed") => void
  /** Notes that the owner of a series does not hold its runs any more. */
  readonly touchLeases: (series: Series) => void
  /** Entries whose predecessors are not known. */
  readonly parked: Parked.Parked
  /** Tells everyone what changed since the last time. */
  readonly notify: () => void
  readonly hashOf: (run: Run) => string
  readonly touch: (run: Run, what: number) => void
}

/** Entries that begin within so many bytes behind a point need no point of their own. */
export const window = 64 * 1024

const recentCommands = 2048

export const make = (
  hub: ChangeHub.ChangeHub,
  hash: (text: string) => string,
  pathOf: (segment: Segment) => string
): Catalog => {
  const runs = new Map<string, Run>()
  const allSeries = new Map<string, Series>()
  const open = new Set<Series>()
  const index = RunIndex.make()
  const tombstones = new Map<string, number>()
  const forks = new Map<string, Set<string>>()
  const touchedRuns: Array<Run> = []
  const deletedRuns: Array<string> = []

  const recent = Recent.make()
  const newestCommands: Array<InboxItem> = []

  const touch = (run: Run, what: number): void => {
    if (run.touched === 0) touchedRuns.push(run)
    run.touched |= what
  }

  const expect = (id: string): Run => {
    let run = runs.get(id)
    if (run === undefined) {
      run = makeRun(id)
      runs.set(id, run)
    }
    return run
  }

  const seriesOf = (id: string): Series => {
    let series = allSeries.get(id)
    if (series === undefined) {
      series = {
        id,
        owner: ownerOf(id),
        segments: new Map(),
        at: { segment: 0, offset: 0 },
        ended: undefined,
        own: false,
        incarnations: new Map(),
        lease: undefined,
        mark: undefined,
        still: 0,
        seenAt: Number.NaN,
        dead: false,
        exhausted: undefined,
        lapsed: false,
        claimed: false,
        stuckAt: "",
        damage: [],
        heldAt: Number.NaN
      }
      allSeries.set(id, series)
      open.add(series)
    }
    return series
  }

  const addPlace = (run: Run, segment: Segment, bytes: number): void => {
    const place = run.places[run.places.length - 1]
    if (place !== undefined && place.segment === segment) place.bytes += bytes
    else run.places.push({ segment, bytes })
  }

  /** Takes a run out, with everything that is known of it. */
  const forget = (run: Run): void => {
    for (const { bytes, segment } of run.places) segment.garbage += bytes
    const origin = run.info?.forkOf?.run
    if (origin !== undefined) {
      forks.get(origin)?.delete(run.id)
      if (forks.get(origin)?.size === 0) forks.delete(origin)
    }
    recent.forget(run)
    for (const waiter of run.waiters ?? []) waiter.done("lost")
    runs.delete(run.id)
    parked.forget(run)
    if (run.info !== undefined) {
      index.remove(run.id)
      deletedRuns.push(run.id)
    }
  }

  const takeDeleted = (id: string, incarnation: number): void => {
    if (incarnation > (tombstones.get(id) ?? 0)) tombstones.set(id, incarnation)
    const run = runs.get(id)
    if (run !== undefined && run.incarnation <= incarnation) forget(run)
  }

  /** The run that a line of this incarnation is about, or `undefined` if that one was deleted. */
  const incarnated = (
    id: string,
    incarnation: number,
    segment: Segment | undefined,
    bytes: number
  ): Run | undefined => {
    if (incarnation <= (tombstones.get(id) ?? 0)) {
      if (segment !== undefined) segment.garbage += bytes
      return undefined
    }
    let run = expect(id)
    if (run.incarnation > incarnation) {
      // It was deleted, or there would be no later one; the series that says so was not taken in yet.
      takeDeleted(id, run.incarnation - 1)
      if (segment !== undefined) segment.garbage += bytes
      return undefined
    }
    if (run.incarnation < incarnation) {
      // It was deleted in between, in a series that was not taken in yet.
      if (run.last >= 0 || run.inbox.length > 0 || run.epoch >= 0) {
        takeDeleted(id, incarnation - 1)
        run = expect(id)
      }
      run.incarnation = incarnation
    }
    return run
  }

  const openedBy = (run: Run, series: Series, epoch: number): void => {
    if (epoch <= run.epoch) return
    run.epoch = epoch
    run.owner = series
    run.crashed = false
  }

  const takeOpened: Catalog["takeOpened"] = (series, id, epoch, incarnation, seq) => {
    if (incarnation !== 1) series.incarnations.set(id, incarnation)
    else series.incarnations.delete(id)
    const run = incarnated(id, incarnation, undefined, 0)
    if (run === undefined) return
    run.reach = Math.max(run.reach, seq ?? -1)
    openedBy(run, series, epoch)
  }

  const takeReleased = (id: string, epoch: number, incarnation: number, lost: boolean): void => {
    const run = incarnated(id, incarnation, undefined, 0)
    if (run === undefined || epoch < run.epoch) return
    run.epoch = epoch
    run.owner = undefined
    run.crashed = lost
    touch(run, touchedLease)
  }

  const takeCommand: Catalog["takeCommand"] = (
    segment,
    offset,
    length,
    command,
    position,
    incarnation,
    sum
  ) => {
    const run = incarnated(command.run, incarnation, segment, length)
    if (run === undefined) return
    const item: InboxItem = {
      source: segment.series.id,
      position,
      id: command.id,
      segment,
      offset,
      length,
      sum,
      command
    }
    addCommand(run, item)
    addPlace(run, segment, length)
    newestCommands.push(item)
    if (newestCommands.length > recentCommands) newestCommands.shift()!.command = undefined
    touch(run, touchedInbox)
  }

  /** The row after an event, or `undefined` if there is no telling. */
  const fold = (run: Run, event: Event): RunInfo.RunInfo | undefined => {
    if (run.info === undefined && event.kind !== "created" && event.kind !== "forked") return undefined
    return RunInfo.apply(run.info, event)
  }

  const addPoint = (run: Run, segment: Segment, offset: number, seq: number): void => {
    const i = run.pointSeqs.length - 1
    const previous = run.pointSegments[i]
    if (previous === segment && offset < run.pointOffsets[i]! + window) return
    if (previous !== undefined && previous.series !== segment.series) {
      run.switches ??= []
      run.switches.push({ seq, segment: run.lastSegment!, offset: run.lastOffset })
    }
    run.pointSeqs.push(seq)
    run.pointOffsets.push(offset)
    run.pointSegments.push(segment)
  }

  const accept = (run: Run, segment: Segment, offset: number, length: number, event: Event): void => {
    run.info = fold(run, event)
    addPoint(run, segment, offset, event.seq)
    addPlace(run, segment, length)
    run.last = event.seq
    run.lastSegment = segment
    run.lastOffset = offset
    if (event.epoch > run.epoch) openedBy(run, segment.series, event.epoch)
    if (event.seq === 0 && run.info?.forkOf !== undefined) {
      const origin = run.info.forkOf.run
      const known = forks.get(origin)
      if (known === undefined) forks.set(origin, new Set([run.id]))
      else known.add(run.id)
    }
    touch(run, touchedJournal)
  }

  /**
   * Where something is missing that shows at a place: where a line before it, and after the last one of the run, could not be
   * read; or at the end of what is left of the series that has the last one, if this place lies in another.
   */
  const missingBefore = (run: Run, segment: Segment, offset: number): { path: string; offset: number } => {
    let series = segment.series
    let at: Position | undefined
    for (const line of series.damage) if (isBefore(line, { segment: segment.number, offset })) at = line
    const last = run.lastSegment
    if (at === undefined && last !== undefined && last.series !== series) {
      series = last.series
      at = series.damage.find((line) => isBefore({ segment: last.number, offset: run.lastOffset }, line))
      const newest = Math.max(...series.segments.keys())
      at ??= { segment: newest, offset: series.at.segment === newest ? series.at.offset : 0 }
    }
    at ??= { segment: segment.number, offset }
    return { path: pathOf(series.segments.get(at.segment) ?? segment), offset: at.offset }
  }

  const damaged = (run: Run, segment: Segment, offset: number, seq: number, detail: string): void => {
    if (run.damage !== undefined) return
    run.damage = { ...missingBefore(run, segment, offset), seq, detail }
  }

  const takeForeign = (run: Run, segment: Segment, offset: number, length: number, entry: Entry): void => {
    if (run.recent.length > 0) recent.forget(run)
    const { event } = entry
    if (event.seq !== run.last + 1) {
      damaged(
        run,
        segment,
        offset,
        run.last + 1,
        `the entries from seq ${run.last + 1} to ${event.seq - 1} are missing`
      )
    }
    try {
      accept(run, segment, offset, length, event)
    } catch (error) {
      damaged(run, segment, offset, event.seq, `this entry makes no sense here (${String(error)})`)
    }
    run.hash = undefined
    run.lastLine = entry.line
  }

  const doubts = Doubts.make(pathOf, (series, run) => series.incarnations.get(run) ?? 1)

  const noteDamaged: Catalog["noteDamaged"] = (segment, offset, known) => {
    segment.series.damage.push({ segment: segment.number, offset })
    doubts.note(segment, offset, known)
  }

  const parked = Parked.make((run, { entry, length, offset, segment }) =>
    takeForeign(run, segment, offset, length, entry)
  )

  const takeEntry = (segment: Segment, offset: number, length: number, line: string): boolean => {
    let event: Event
    try {
      event = JSON.parse(line) as Event
    } catch {
      return false
    }
    if (
      typeof event !== "object" ||
      event === null ||
      typeof event.run !== "string" ||
      typeof event.kind !== "string" ||
      !Number.isInteger(event.seq) ||
      !Number.isInteger(event.epoch)
    ) {
      return false
    }
    const { series } = segment
    const run = incarnated(event.run, series.incarnations.get(event.run) ?? 1, segment, length)
    if (run === undefined) return true
    if (event.seq <= run.last) {
      // Written under an older epoch, beyond the point at which the run was handed over.
      segment.garbage += length
      return true
    }
    const entry: Entry = { event, line }
    // One writer leaves no gaps; a new one begins with a new epoch, and what came before may lie in another series.
    const follows =
      event.seq === run.last + 1 || (run.last < 0 ? event.epoch === 0 : event.epoch === run.info?.epoch)
    if (!follows) {
      parked.add(run, event.seq, { segment, offset, length, entry })
      return true
    }
    takeForeign(run, segment, offset, length, entry)
    if (run.parked !== undefined) parked.drain(run)
    return true
  }

  const takeControl = (segment: Segment, offset: number, length: number, line: string): boolean => {
    const control = parseControl(line)
    if (control === undefined) return false
    const { series } = segment
    switch (control.$) {
      case "opened":
        takeOpened(series, control.run, control.epoch, control.incarnation ?? 1, control.seq)
        break
      case "released":
        takeReleased(control.run, control.epoch, control.incarnation ?? 1, control.lost === true)
        break
      case "born":
        series.incarnations.set(control.run, control.incarnation ?? 1)
        break
      case "command":
        takeCommand(
          segment,
          offset,
          length,
          control.command,
          control.position,
          control.incarnation ?? 1,
          Sums.sumOf(line)
        )
        break
      case "deleted":
        takeDeleted(control.run, control.incarnation)
        break
      case "closed":
        endSeries(series, "closed")
        break
    }
    return true
  }

  const touchLeases = (series: Series): void => {
    for (const run of runs.values()) if (run.owner === series) touch(run, touchedLease)
  }

  const endSeries = (series: Series, how: "closed" | "crashed"): void => {
    series.ended = how
    open.delete(series)
    touchLeases(series)
  }

  const hashOf = (run: Run): string => {
    run.hash ??= hash(run.lastLine)
    return run.hash
  }

  const catalog: Catalog = {
    runs,
    series: allSeries,
    open,
    index,
    tombstones,
    forks,
    noteDamaged,
    doubts,
    unindexed: 0,
    indexedSeries: 0,
    expect,
    seriesOf,
    takeCommand,
    takeDeleted,
    takeOpened,
    takeReleased,
    hashOf,
    touch,
    find: (id) => {
      const run = runs.get(id)
      return run === undefined || run.last < 0 ? undefined : run
    },
    take: (segment, offset, length, line, isControl) => {
      catalog.unindexed += length
      return isControl ? takeControl(segment, offset, length, line) : takeEntry(segment, offset, length, line)
    },
    takeOwn: (run, segment, offset, length, entry) => {
      catalog.unindexed += length
      accept(run, segment, offset, length, entry.event)
      recent.remember(run, entry)
    },
    endSeries,
    touchLeases,
    parked,
    notify: () => {
      for (const run of touchedRuns) {
        const { touched } = run
        run.touched = 0
        if (runs.get(run.id) !== run || run.info === undefined) continue
        if ((touched & touchedJournal) !== 0) {
          if (run.hash === undefined) {
            hashOf(run)
            run.lastLine = ""
          }
          index.set(run.info)
          hub.publish({ run: run.id, what: "journal" })
          hub.advanced(run.id, run.last)
        }
        if ((touched & touchedInbox) !== 0) hub.publish({ run: run.id, what: "inbox" })
        if ((touched & touchedLease) !== 0) hub.publish({ run: run.id, what: "lease" })
      }
      touchedRuns.length = 0
      for (const id of deletedRuns) {
        hub.publish({ run: id, what: "deleted" })
        hub.advanced(id, Number.POSITIVE_INFINITY)
      }
      deletedRuns.length = 0
    }
  }
  return catalog
}

/** Adds a command to an inbox; one whose id is there already, from another source, counts as that one. */
export const addCommand = (run: Run, item: InboxItem): void => {
  run.inbox.push(item)
  run.commandIds ??= new Map()
  if (!run.commandIds.has(item.id)) run.commandIds.set(item.id, item)
}

/** Whether this place holds the entry that counts at a position of the run, and not one that was given up. */
export const holds = (run: Run, seq: number, segment: Segment, offset: number): boolean => {
  const point = pointAt(run, seq)
  return (
    point >= 0 &&
    seq <= run.last &&
    run.pointSegments[point] === segment &&
    offset >= run.pointOffsets[point]!
  )
}

/** The point from which on the entry at `seq` is found; -1 if there is none. */
export const pointAt = (run: Run, seq: number): number => {
  let low = 0
  let high = run.pointSeqs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (run.pointSeqs[middle]! <= seq) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The name of a segment's file. */
export const fileName = (segment: Segment): string =>
  segmentName({ series: segment.series.id, number: segment.number, generation: segment.generation })
