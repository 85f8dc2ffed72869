/**
 * Rewrites segments without what belongs to deleted runs, or to nothing.
 *
 * Only segments that nobody writes any more: those of series that have ended, and this instance's own but the newest. The
 * new file gets its name by an exclusive link before the old one goes, so there is always a whole one; of two, the one with
 * the higher generation counts. What is dropped was dead when it was looked at, and what is dead stays dead.
 */
import * as Effect from "effect/Effect"
import type { Event } from "@waymark/core/Event"
import type { StoreError } from "@waymark/core/Store"
import { fileName, holds } from "./catalog.ts"
import type { Catalog } from "./catalog.ts"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import { formatControl, parseControl, segmentName } from "./format.ts"
import type { Control } from "./format.ts"
import * as Lines from "./lines.ts"
import type { Segment, Series } from "./model.ts"
import * as SegmentFile from "./segmentFile.ts"
import * as Sums from "./sums.ts"

/** What a compaction came to: how many segments were rewritten, and how many bytes that freed. */
export interface Compacted {
  readonly segments: number
  readonly bytes: number
}

export interface Options {
  readonly disk: Disk
  readonly catalog: Catalog
  readonly temporary: () => string
}

const chunk = 1024 * 1024
/** No more than a header, an empty table and the line that closes the series. */
const smallFile = 512

const isDeleted = (catalog: Catalog, run: string, incarnation: number): boolean =>
  incarnation <= (catalog.tombstones.get(run) ?? 0)

const keepsControl = (catalog: Catalog, control: Control): boolean => {
  switch (control.$) {
    case "segment":
    case "kept":
    case "batch":
    case "sums":
    case "synced":
      return false
    case "opened":
    case "released":
    case "born":
      return !isDeleted(catalog, control.run, control.incarnation ?? 1)
    case "command":
      return !isDeleted(catalog, control.command.run, control.incarnation ?? 1)
    case "deleted":
      // A later deletion says the same and more.
      return (catalog.tombstones.get(control.run) ?? 0) <= control.incarnation
    case "closed":
      return true
  }
}

const keepsEntry = (
  catalog: Catalog,
  segment: Segment,
  offset: number,
  line: string | undefined
): boolean => {
  let event: Event
  try {
    event = JSON.parse(line ?? "") as Event
  } catch {
    // What cannot be read is not thrown away: somebody may be able to repair it.
    return true
  }
  const run = catalog.runs.get(event.run)
  if (run === undefined) return !catalog.tombstones.has(event.run)
  if (run.parked?.has(event.seq) === true) return true
  return event.seq > run.last ? !catalog.tombstones.has(event.run) : holds(run, event.seq, segment, offset)
}

/** Nobody appends to it any more. */
export const isFinished = (segment: Segment): boolean => {
  const { series } = segment
  return series.ended !== undefined || (series.own && segment.number < series.at.segment)
}

interface Plan {
  readonly ranges: ReadonlyArray<readonly [number, number]>
  readonly lines: number
  readonly kept: number
  readonly size: number
  /** The checksums of the lines that are kept, as they were when they were written. */
  readonly sums: string
}

/** Goes through the lines and notes which bytes are to be kept. */
const plan = (options: Options, segment: Segment): Effect.Effect<Plan, StoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { catalog, disk } = options
      const end = yield* SegmentFile.endOf(disk, segment)
      const reader = yield* SegmentFile.open(disk, segment)
      const ranges: Array<[number, number]> = []
      const checked = Lines.make(segment.kept?.sums)
      let sums = ""
      let lines = 0
      let kept = 0
      let total = 0
      let at = 0
      let size = chunk

      const take = ({ control, length, offset, sum, text }: Lines.Line): void => {
        total += length
        const parsed = control ? parseControl(text) : undefined
        const keeps = control
          ? parsed === undefined || keepsControl(catalog, parsed)
          : keepsEntry(catalog, segment, offset, text)
        if (!keeps) return
        const last = ranges[ranges.length - 1]
        if (last !== undefined && last[0] + last[1] === offset) last[1] += length
        else if (length > 0) ranges.push([offset, length])
        if (parsed?.$ !== "closed") lines += 1
        // Of a damaged line it is kept as well: it stays damaged.
        sums += sum ?? (text === undefined ? "" : Sums.sumOf(text) + Sums.noTag)
        kept += length
      }

      while (at < end) {
        const slice = yield* reader.read(at, Math.min(size, end - at))
        if (slice === undefined) break
        const { bytes } = slice
        let start = 0
        for (
          let stop = SegmentFile.endOfLine(bytes, 0);
          stop >= 0;
          stop = SegmentFile.endOfLine(bytes, start)
        ) {
          for (const line of checked.next(bytes.subarray(start, stop), slice.at + start)) take(line)
          start = stop + 1
        }
        if (start === 0) {
          if (bytes.length < size) break
          size *= 4
          at = slice.at
        } else {
          at = slice.at + start
        }
      }
      for (const line of checked.end(at)) take(line)
      return { ranges, lines, kept, size: total, sums }
    })
  )

const copy = (
  options: Options,
  segment: Segment,
  { ranges, sums }: Plan,
  temporary: string
): Effect.Effect<void, StoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { disk } = options
      const header = yield* SegmentFile.readHeader(disk, segment)
      if (header === undefined) {
        return yield* failure({
          _tag: "Corrupt",
          path: disk.path("segments", fileName(segment)),
          offset: 0,
          detail: "the first line of this segment cannot be read"
        })
      }
      const reader = yield* SegmentFile.open(disk, segment)
      const file = yield* disk.open(temporary, "w")
      const write = (bytes: Uint8Array) => Effect.mapError(file.writeAll(bytes), fromPlatform(temporary))
      yield* write(
        Buffer.from(
          `${SegmentFile.formatHeader(header)}\n${formatControl({ $: "kept", ranges, sums: Sums.pack(sums, JSON.stringify(ranges)) })}\n`
        )
      )
      for (const [start, length] of ranges) {
        for (let at = start; at < start + length;) {
          const slice = yield* reader.read(at, Math.min(chunk, start + length - at))
          if (slice === undefined) {
            return yield* failure({
              _tag: "Corrupt",
              path: reader.path,
              offset: at,
              detail: "bytes are missing here"
            })
          }
          yield* write(slice.bytes)
          at += slice.bytes.length
        }
      }
      yield* Effect.mapError(file.sync, fromPlatform(temporary))
    })
  )

/** Rewrites a finished segment; how many bytes that freed, and how many lines it still has. */
const compactSegment = (
  options: Options,
  segment: Segment
): Effect.Effect<{ readonly freed: number; readonly lines: number }, StoreError> =>
  Effect.gen(function* () {
    const { disk } = options
    const planned = yield* plan(options, segment)
    const old = disk.path("segments", fileName(segment))
    if (planned.kept === planned.size) return { freed: 0, lines: planned.lines }
    const generation = segment.generation + 1
    const temporary = disk.path("tmp", options.temporary())
    yield* copy(options, segment, planned, temporary).pipe(
      Effect.onError(() => Effect.ignore(disk.remove(temporary)))
    )
    const name = segmentName({ series: segment.series.id, number: segment.number, generation })
    // If there is one, another instance was faster; what it kept is as good.
    const linked = yield* disk.link(temporary, disk.path("segments", name))
    yield* disk.remove(temporary)
    yield* disk.syncDirectory(disk.path("segments"))
    segment.generation = generation
    segment.kept = undefined
    segment.garbage = 0
    yield* disk.remove(old)
    return { freed: linked ? planned.size - planned.kept : 0, lines: planned.lines }
  }).pipe(Effect.uninterruptible)

/** Removes a series that has ended and holds nothing any more. Its last segment goes last: it says where others end. */
const removeSeries = (options: Options, series: Series): Effect.Effect<void, StoreError> =>
  Effect.gen(function* () {
    const { catalog, disk } = options
    const numbers = [...series.segments.keys()].sort((a, b) => a - b)
    for (const number of numbers) {
      yield* disk.remove(disk.path("segments", fileName(series.segments.get(number)!)))
    }
    yield* disk.syncDirectory(disk.path("segments"))
    catalog.series.delete(series.id)
    yield* disk.remove(disk.path("claims", `${series.id}.seal`))
    yield* disk.remove(disk.path("claims", `${series.id}.json`))
  }).pipe(Effect.uninterruptible)

/**
 * Compacts the finished segments of which at least the share `ratio` (0 to 1), and so many bytes, belong to nothing any
 * more.
 */
export const compact = (
  options: Options,
  ratio: number,
  atLeast: number
): Effect.Effect<Compacted, StoreError> =>
  Effect.gen(function* () {
    const { catalog, disk } = options
    let segments = 0
    let bytes = 0
    for (const series of catalog.series.values()) {
      if (series.segments.size === 0) continue
      let lines = 0
      let all = series.ended !== undefined
      for (const segment of series.segments.values()) {
        if (!isFinished(segment)) {
          all = false
          continue
        }
        const size = (yield* disk.size(disk.path("segments", fileName(segment)))) ?? 0
        const worthIt = segment.garbage > 0 && segment.garbage >= atLeast && segment.garbage >= ratio * size
        // An earlier compaction may have left nothing.
        if (!worthIt && !(all && segment.generation > 0 && size < smallFile)) {
          all = false
          continue
        }
        const compacted = yield* compactSegment(options, segment).pipe(
          Effect.catch((error) =>
            Effect.as(
              Effect.logWarning("a segment could not be compacted", {
                segment: fileName(segment),
                error: error.message
              }),
              undefined
            )
          )
        )
        if (compacted === undefined) {
          all = false
          continue
        }
        lines += compacted.lines
        if (compacted.freed > 0) {
          segments += 1
          bytes += compacted.freed
        }
      }
      if (all && lines === 0) yield* removeSeries(options, series)
    }
    return { segments, bytes }
  })
