/**
 * Watches what the other instances write, and takes it in as far as it is durable.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { StoreError } from "@waymark/core/Store"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Catalog } from "./catalog.ts"
import { fileName } from "./catalog.ts"
import { coalesce } from "@waymark/store-kit/Coalesce"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure, unlessCorrupt } from "@waymark/store-kit/Failures"
import { LeaseFile, parseControl, parseFile, parseMark, parseSegmentName, SealFile } from "./format.ts"
import { isBefore, makeSegment } from "./model.ts"
import type { Position, Segment, Series } from "./model.ts"
import * as Scan from "./scan.ts"
import * as SegmentFile from "./segmentFile.ts"

export interface Observer {
  /**
   * Takes in what others made durable before it was called. A patient one waits, for a moment, for what they have
   * written and not marked as synced yet.
   */
  readonly refresh: Effect.Effect<void, StoreError>
  /** The same, and looks for instances that have written nothing yet. */
  readonly survey: Effect.Effect<void, StoreError>
  /** Looks without waiting; for looking at regular intervals. */
  readonly glance: Effect.Effect<void, StoreError>
  /** Takes in a series up to a limit. */
  readonly advance: (series: Series, limit: Limit) => Effect.Effect<void, StoreError>
  /** Where the last whole line before a position ends, without taking anything in. */
  readonly measure: (series: Series, to: Position) => Effect.Effect<Position, StoreError>
  /** Where the files of a series end. */
  readonly sizeOf: (series: Series) => Effect.Effect<Position, StoreError>
  /** Makes what a series holds durable, whoever wrote it. */
  readonly syncSeries: (series: Series) => Effect.Effect<void, StoreError>
  /** Keeps this from taking anything in while something else does. */
  readonly exclusively: <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Takes note of the segments that are there. */
  readonly listSegments: Effect.Effect<void, StoreError>
  /** Whether the owner of a series is there and holds its runs. */
  readonly isLive: (series: Series) => boolean
}

/**
 * How far to go in a series: `to` a position, or to the end of its files. If it is `whole`, everything up to there is
 * known to have been synced; else it may end in something torn, which does not count.
 */
export interface Limit {
  readonly to?: Position | undefined
  readonly whole: boolean
}

export interface Options {
  readonly disk: Disk
  readonly catalog: Catalog
  readonly identity: ProcessIdentity["Service"]
  readonly readOnly: boolean
}

/** How long a patient look waits for a mark, and how often it looks for it, in milliseconds. */
const patience = 150
const patienceStep = 3

/**
 * A directory whose time of change is older than this, in milliseconds, had its last change then; a younger one may
 * change again within the same tick of the file system's clock.
 */
const settledAfter = 50
/** Times before this are no times: the file system does not tell. */
const firstPlausibleTime = 1_000_000_000_000

const isWhole = (line: string, control: boolean): boolean => {
  if (control) return parseControl(line) !== undefined
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}

interface Names {
  readonly leases: ReadonlySet<string>
  readonly claims: ReadonlySet<string>
}

export const make = ({ catalog, disk, identity, readOnly }: Options): Observer => {
  const sink: Scan.Sink = {
    take: catalog.take,
    damaged: catalog.noteDamaged
  }

  let knownModified: number | undefined
  const ttlOf = (series: Series): number => series.lease?.ttl ?? Number.POSITIVE_INFINITY
  const isLive = (series: Series): boolean =>
    series.own ||
    (series.ended === undefined && !series.dead && !series.claimed && series.still < ttlOf(series))

  const listSegments = Effect.map(disk.list("segments"), (names) => {
    const present = new Map<Series, Set<number>>()
    for (const name of names) {
      const found = parseSegmentName(name)
      if (found === undefined) continue
      const series = catalog.seriesOf(found.series)
      const numbers = present.get(series)
      if (numbers === undefined) present.set(series, new Set([found.number]))
      else numbers.add(found.number)
      const known = series.segments.get(found.number)
      if (known === undefined) {
        series.segments.set(found.number, makeSegment(series, found.number, found.generation))
      } else if (found.generation > known.generation) {
        known.generation = found.generation
        known.kept = undefined
      }
    }
    // Compaction by another instance took these away; nothing that is still there lies in them.
    for (const series of catalog.series.values()) {
      if (series.own) continue
      for (const number of series.segments.keys()) {
        if (present.get(series)?.has(number) !== true) series.segments.delete(number)
      }
    }
  })

  /**
   * The segment that follows in a series, and how many bytes of the one before it count. Segments whose making failed
   * may lie between: they are passed over, since the header of the one that counts names the last one that did.
   */
  const follow = Effect.fnUntraced(function* (series: Series, after: number, upTo: number, whole: boolean) {
    const current = series.segments.get(after)
    const numbers = [...series.segments.keys()]
      .filter((number) => number > after && number <= upTo)
      .sort((a, b) => a - b)
    let chosen: { readonly segment: Segment; readonly end: number } | undefined
    let fallback: Segment | undefined
    let unreadable: Segment | undefined
    for (const number of numbers) {
      const segment = series.segments.get(number)!
      const header = yield* SegmentFile.readHeader(disk, segment)
      const closes = header?.closes
      if (header !== undefined && closes?.segment === current?.number) {
        chosen = { segment, end: closes?.end ?? 0 }
      } else {
        if (chosen !== undefined) break
        // A header that was synced can only be unreadable if it was damaged since: so it was if a later one names it.
        if (header !== undefined && unreadable !== undefined && closes?.segment === unreadable.number) {
          return { segment: unreadable, end: Number.POSITIVE_INFINITY }
        }
        if (header === undefined) unreadable = segment
        if (header !== undefined || whole) fallback ??= segment
      }
    }
    if (chosen !== undefined) return chosen
    if (fallback === undefined && unreadable !== undefined && (yield* Scan.wasSynced(disk, unreadable))) {
      fallback = unreadable
    }
    // What lay between was compacted away; compacted segments end where they count.
    return fallback === undefined ? undefined : { segment: fallback, end: Number.POSITIVE_INFINITY }
  })

  /** Goes through a series from where it was taken in, up to a limit, and says how far that is, and when it begins a segment. */
  const walk = (
    series: Series,
    limit: Limit,
    into: Scan.Sink,
    began: (at: Position) => void
  ): Effect.Effect<Position, StoreError> =>
    Effect.gen(function* () {
      const bound = limit.to
      const lastNumber = bound?.segment ?? Number.POSITIVE_INFINITY
      let at = series.at
      while (true) {
        const current = series.segments.get(at.segment)
        const next = yield* follow(series, at.segment, lastNumber, limit.whole)
        if (next !== undefined) {
          if (current !== undefined) {
            const { end } = yield* Scan.scan(
              disk,
              current,
              { from: at.offset, to: next.end, certain: next.end },
              into
            )
            if (Number.isFinite(next.end) && end < next.end && current.generation === 0)
              into.damaged(current, end)
          }
          at = { segment: next.segment.number, offset: 0 }
          began(at)
          continue
        }
        if (current === undefined) return at
        const to =
          bound === undefined ? Number.POSITIVE_INFINITY : bound.segment === current.number ? bound.offset : 0
        const marked = series.mark?.segment === current.number ? series.mark.end : 0
        const { end } = yield* Scan.scan(
          disk,
          current,
          { from: at.offset, to, certain: limit.whole ? to : marked },
          into
        )
        return { segment: current.number, offset: Math.max(end, at.offset) }
      }
    })

  const advance = (series: Series, limit: Limit): Effect.Effect<void, StoreError> => {
    const reached = (at: Position): void => {
      series.at = at
    }
    // What was taken in is not taken in again if a later segment cannot be read.
    return Effect.map(walk(series, limit, sink, reached), reached)
  }

  const newestOf = (series: Series): Segment | undefined => {
    let newest: Segment | undefined
    for (const segment of series.segments.values()) {
      if (newest === undefined || segment.number > newest.number) newest = segment
    }
    return newest
  }

  const syncSeries = (series: Series): Effect.Effect<void, StoreError> =>
    Effect.gen(function* () {
      // All but the newest were synced before the next one was begun; that one may not have come to count.
      const newest = newestOf(series)
      const before = newest === undefined ? undefined : series.segments.get(newest.number - 1)
      for (const segment of [before, newest]) {
        if (segment !== undefined && segment.generation === 0) {
          yield* disk.syncFile(disk.path("segments", fileName(segment)))
        }
      }
      yield* disk.syncDirectory(disk.path("segments"))
    }).pipe(
      // Where this process may only read, it may not be allowed to sync; then nobody here writes, either.
      (self) => (readOnly ? Effect.ignore(self) : self)
    )

  const readMark = Effect.fnUntraced(function* (series: Series) {
    // It is overwritten while this reads it: what cannot be read is read again the next time.
    const text = yield* unlessCorrupt(disk.readText(disk.path("leases", `${series.id}.mark`)))
    const mark = text === undefined ? undefined : parseMark(text)
    const now = identity.monotonic()
    if (mark !== undefined && mark.beat !== series.mark?.beat) {
      series.still = 0
      series.lapsed = false
    } else if (!Number.isNaN(series.seenAt)) {
      // Only time that was watched closely counts: this process may have been stopped itself.
      series.still += Math.min(now - series.seenAt, ttlOf(series) / 4)
    }
    series.seenAt = now
    if (mark === undefined) return
    const known = series.mark
    const grown =
      known === undefined ||
      !isBefore({ segment: mark.segment, offset: mark.end }, { segment: known.segment, offset: known.end })
    series.mark = grown ? mark : { ...known, beat: mark.beat }
  })

  const positionOf = (series: Series): Position =>
    series.mark === undefined
      ? { segment: 0, offset: 0 }
      : { segment: series.mark.segment, offset: series.mark.end }

  const sizeOf = Effect.fnUntraced(function* (series: Series) {
    const newest = newestOf(series)
    if (newest === undefined) return { segment: 0, offset: 0 }
    return {
      segment: newest.number,
      offset: (yield* disk.size(disk.path("segments", fileName(newest)))) ?? 0
    }
  })

  const awaitMark = Effect.fnUntraced(function* (series: Series) {
    const target = yield* sizeOf(series)
    if (!isBefore(positionOf(series), target)) return
    const key = `${target.segment}:${target.offset}`
    if (key === series.stuckAt) return
    for (let waited = 0; waited < patience; waited += patienceStep) {
      yield* identity.pause(patienceStep, "busy")
      yield* readMark(series)
      if (!isBefore(positionOf(series), target)) return
      if (!(yield* disk.exists(disk.path("leases", `${series.id}.json`)))) return
    }
    series.stuckAt = key
  })

  const judge = (series: Series): Effect.Effect<void, StoreError> => {
    const { self } = identity
    const process = series.lease?.process
    if (process === undefined || series.dead) return Effect.void
    if (process.boot !== self.boot) {
      if (process.host === self.host) {
        series.dead = true
      } else if (!readOnly) {
        return failure({
          _tag: "Busy",
          detail:
            `${disk.root} is in use on another host (${process.host}); only processes of one host may share a store. ` +
            `If that one is gone for good, remove ${disk.path("leases", `${series.id}.json`)}`
        })
      }
    } else if (process.namespace === self.namespace && identity.isAlive(process) === false) {
      series.dead = true
    }
    return Effect.void
  }

  const readLease = Effect.fnUntraced(function* (series: Series) {
    if (series.lease !== undefined) return
    const text =
      (yield* disk.readText(disk.path("leases", `${series.id}.json`))) ??
      (yield* disk.readText(disk.path("claims", `${series.id}.json`)))
    if (text === undefined) return
    // It was written whole before it got its name: what cannot be read was damaged since.
    series.lease = parseFile(LeaseFile, text)
    if (series.lease === undefined) {
      return yield* failure({
        _tag: "Corrupt",
        path: disk.path("leases", `${series.id}.json`),
        offset: 0,
        detail: "this lease cannot be read; if its process is gone, remove it"
      })
    }
  })

  const observe = Effect.fnUntraced(function* (series: Series, names: Names, patient: boolean) {
    if (names.claims.has(`${series.id}.seal`)) {
      const path = disk.path("claims", `${series.id}.seal`)
      const text = yield* disk.readText(path)
      const seal = text === undefined ? undefined : parseFile(SealFile, text)
      if (seal === undefined)
        return yield* failure({ _tag: "Corrupt", path, offset: 0, detail: "a seal cannot be read" })
      yield* advance(series, { to: { segment: seal.segment, offset: seal.end }, whole: true })
      if (series.ended === undefined) catalog.endSeries(series, "crashed")
      return
    }
    const leased = names.leases.has(`${series.id}.json`)
    series.claimed = names.claims.has(`${series.id}.json`)
    if (!leased && !series.claimed) {
      // Closed in good order, or else its lease was lost with the power.
      yield* advance(series, { whole: false })
      if (series.ended === undefined) {
        yield* syncSeries(series)
        catalog.endSeries(series, "crashed")
      }
      return
    }
    yield* readLease(series)
    if (names.leases.has(`${series.id}.mark`)) yield* readMark(series)
    yield* judge(series)
    if (series.dead) {
      // Nothing follows, unless the process was taken for dead and is not.
      const end = yield* sizeOf(series)
      if (series.exhausted !== undefined && !isBefore(series.exhausted, end)) return
      yield* syncSeries(series)
      yield* advance(series, { whole: false })
      if (series.exhausted === undefined) catalog.touchLeases(series)
      series.exhausted = end
      return
    }
    if (patient && !series.claimed) yield* awaitMark(series)
    yield* advance(series, { to: positionOf(series), whole: true })
    if (!series.lapsed && !isLive(series)) {
      series.lapsed = true
      catalog.touchLeases(series)
    }
  })

  /** Observes a series; `false` if another process removed or replaced files of it meanwhile, so that it has to be looked again. */
  const observed = (series: Series, names: Names, patient: boolean): Effect.Effect<boolean, StoreError> => {
    const files = (): string => [...series.segments.values()].map(fileName).join("\n")
    const before = files()
    return Effect.as(observe(series, names, patient), true).pipe(
      Effect.catch((error) =>
        Effect.flatMap(listSegments, () => (files() === before ? Effect.fail(error) : Effect.succeed(false)))
      )
    )
  }

  /** Series that others write, or that this instance wrote until it was taken over, and that have not ended. */
  const othersOpen = (): ReadonlyArray<Series> => [...catalog.open].filter((series) => !series.own)

  /** Whether all that was there when it was last looked at was taken in. */
  const isAllRead = Effect.gen(function* () {
    for (const series of catalog.open) {
      if (series.dead) continue
      // Of what this instance wrote itself, all is known that counts; not if others decided that meanwhile.
      if (!series.own || !(yield* disk.exists(disk.path("leases", `${series.id}.json`)))) return false
    }
    return true
  })

  const look = (patient: boolean, thorough: boolean) =>
    Effect.gen(function* () {
      let unchanged = false
      const modified = yield* disk.modified(disk.path("segments"))
      if (modified !== undefined && modified === knownModified) unchanged = true
      const settled =
        modified !== undefined &&
        modified > firstPlausibleTime &&
        Date.now() - modified > settledAfter &&
        // Some file systems count in whole seconds, or two.
        (modified % 1000 !== 0 || Date.now() - modified > 2100)
      if (unchanged && !thorough && othersOpen().length === 0) return

      const done = new Set<Series>()
      do {
        // A lease is there before the first segment and until after the last: so looked at in this order, a segment without
        // a lease is one whose owner is gone. It may have begun another one before it went, so then look again.
        yield* listSegments
        const names: Names = {
          leases: new Set(yield* disk.list("leases")),
          claims: new Set(yield* disk.list("claims"))
        }
        for (const name of names.leases) {
          if (name.endsWith(".json")) catalog.seriesOf(name.slice(0, -".json".length))
        }
        const open = othersOpen()
        if (open.some((series) => !names.leases.has(`${series.id}.json`))) yield* listSegments
        for (const series of open) {
          if (!(yield* observed(series, names, patient))) {
            // What was in a series that was removed is dead: who removed it said so before, in another one.
            done.clear()
            break
          }
          done.add(series)
        }
        // Meanwhile this instance may have learnt that it was taken over: then what it wrote is to be read like the rest.
      } while (othersOpen().some((series) => !done.has(series)))
      if (catalog.parked.drainAll() && (yield* isAllRead)) catalog.parked.settle()
      catalog.notify()
      knownModified = settled ? modified : undefined
    })

  const exclusively = Semaphore.makeUnsafe(1).withPermits(1)

  return {
    refresh: coalesce(exclusively(look(true, false))),
    survey: coalesce(exclusively(look(true, true))),
    glance: coalesce(exclusively(look(false, false))),
    exclusively,
    advance,
    sizeOf,
    measure: (series, to) =>
      walk(
        series,
        { to, whole: false },
        { take: (_segment, _offset, _length, line, control) => isWhole(line, control), damaged: () => {} },
        () => {}
      ),
    syncSeries,
    listSegments,
    isLive
  }
}
