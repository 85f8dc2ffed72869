/**
 * Reading segments, compacted or not, by positions of the original.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"
import { fileName } from "./catalog.ts"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure } from "@waymark/store-kit/Failures"
import { formatControl, formatOf, formatVersion, parseControl, parseSegmentName } from "./format.ts"
import type { SegmentHeader } from "./format.ts"
import * as Lines from "./lines.ts"
import type { Kept, Segment } from "./model.ts"
import * as Sums from "./sums.ts"
import { decodeText } from "@waymark/store-kit/Text"

/** Bytes of a segment and where they begin in the original. */
export interface Slice {
  readonly at: number
  readonly bytes: Buffer
}

export interface SegmentReader {
  readonly path: string
  /**
   * What there is of the next `length` bytes from `at` on: at most so many, without gaps. `undefined` at the end.
   */
  readonly read: (at: number, length: number) => Effect.Effect<Slice | undefined, StoreError>
}

const newline = 0x0a

/** Where the line that begins at `start` ends, without its line end; -1 if it does not. */
export const endOfLine = (bytes: Buffer, start: number): number => bytes.indexOf(newline, start)

const firstPart = 64 * 1024

const readLine = (
  disk: Disk,
  file: FileSystem.File,
  path: string,
  at: number
): Effect.Effect<Buffer | undefined, StoreError> =>
  Effect.gen(function* () {
    for (let length = firstPart; ; length *= 8) {
      const bytes = yield* disk.readAt(file, path, at, length)
      const end = endOfLine(bytes, 0)
      if (end >= 0) return bytes.subarray(0, end)
      if (bytes.length < length) return undefined
    }
  })

const loadKept = (disk: Disk, file: FileSystem.File, path: string): Effect.Effect<Kept, StoreError> =>
  Effect.gen(function* () {
    const header = yield* readLine(disk, file, path, 0)
    const table = header === undefined ? undefined : yield* readLine(disk, file, path, header.length + 1)
    const control = table === undefined ? undefined : parseControl(decodeText(table, 0, table.length))
    const kept = control?.$ === "kept" ? control : undefined
    const sums = kept?.sums === undefined ? undefined : Sums.unpack(kept.sums, JSON.stringify(kept.ranges))
    if (kept === undefined || (kept.sums !== undefined && sums === undefined)) {
      return yield* failure({
        _tag: "Corrupt",
        path,
        offset: 0,
        detail: "the table of a compacted segment cannot be read"
      })
    }
    const starts: Array<number> = []
    const lengths: Array<number> = []
    const places: Array<number> = []
    let place = header!.length + table!.length + 2
    for (const [start, length] of kept.ranges) {
      starts.push(start)
      lengths.push(length)
      places.push(place)
      place += length
    }
    return { starts, lengths, places, sums, counted: undefined }
  })

/** The first range that ends behind `at`. */
const rangeAt = (kept: Kept, at: number): number => {
  let low = 0
  let high = kept.starts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (kept.starts[middle]! + kept.lengths[middle]! <= at) low = middle + 1
    else high = middle
  }
  return low
}

export const open = (disk: Disk, segment: Segment): Effect.Effect<SegmentReader, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    let path = disk.path("segments", fileName(segment))
    let file = yield* disk.openToRead(path)
    if (file === undefined) {
      // Another process may have put a compacted one in its place.
      for (const name of yield* disk.list("segments")) {
        const found = parseSegmentName(name)
        if (
          found?.series === segment.series.id &&
          found.number === segment.number &&
          found.generation > segment.generation
        ) {
          segment.generation = found.generation
          segment.kept = undefined
        }
      }
      path = disk.path("segments", fileName(segment))
      file = yield* disk.openToRead(path)
    }
    if (file === undefined) {
      return yield* failure({ _tag: "Corrupt", path, detail: "this segment is gone; it should be there" })
    }
    const opened = file
    if (segment.generation > 0) segment.kept ??= yield* loadKept(disk, opened, path)
    const { kept } = segment
    return {
      path,
      read: (at, length) => {
        if (kept === undefined) {
          return Effect.map(disk.readAt(opened, path, at, length), (bytes) =>
            bytes.length === 0 ? undefined : { at, bytes }
          )
        }
        const range = rangeAt(kept, at)
        if (range === kept.starts.length) return Effect.succeed(undefined)
        const start = Math.max(at, kept.starts[range]!)
        const skipped = start - kept.starts[range]!
        const size = Math.min(length, kept.lengths[range]! - skipped)
        return Effect.map(disk.readAt(opened, path, kept.places[range]! + skipped, size), (bytes) => ({
          at: start,
          bytes
        }))
      }
    }
  })

/** How the checksums of the lines that follow begin, behind the line before. */
const sumsStart = Buffer.from('\n{"$":"sums"')

/** How lines begin that stand before the checksums of those that follow, or are these. */
const boundaries = ['{"$":"sums"', '{"$":"synced"']

/** Whether lines begin at a byte that have checksums of their own, or none. */
const isBoundary = (reader: SegmentReader, at: number): Effect.Effect<boolean, StoreError> =>
  Effect.map(reader.read(at, boundaries[1]!.length), (slice) => {
    const text = slice?.bytes.toString("latin1") ?? ""
    return text === "" || boundaries.some((start) => text.startsWith(start))
  })

/** Where the last checksums before a byte begin; 0 if there are none. */
const sumsBefore = (reader: SegmentReader, before: number): Effect.Effect<number, StoreError> =>
  Effect.gen(function* () {
    for (let size = firstPart; ; size *= 8) {
      const from = Math.max(0, before - size)
      const slice = from === before ? undefined : yield* reader.read(from, before - from)
      const at = slice?.bytes.lastIndexOf(sumsStart) ?? -1
      if (at >= 0) return from + at + 1
      if (from === 0) return 0
    }
  })

/**
 * The lines from a byte on, with the checksums that were written before that byte. In a compacted segment, where these do not
 * stand between the lines, those before it are counted: from where that was done last.
 */
export const linesFrom = (
  segment: Segment,
  reader: SegmentReader,
  from: number
): Effect.Effect<Lines.Lines, StoreError> =>
  Effect.gen(function* () {
    const { kept } = segment
    if (kept === undefined && (from === 0 || (yield* isBoundary(reader, from)))) return Lines.make()
    const counted = kept?.counted !== undefined && kept.counted.at <= from ? kept.counted : undefined
    let at = counted?.at ?? (kept === undefined ? yield* sumsBefore(reader, from) : 0)
    const lines = Lines.make(kept?.sums, counted?.passed)
    let size = firstPart
    while (at < from) {
      const slice = yield* reader.read(at, Math.min(size, from - at))
      if (slice === undefined || slice.at >= from) break
      let start = 0
      for (let end = endOfLine(slice.bytes, 0); end >= 0; end = endOfLine(slice.bytes, start)) {
        lines.next(slice.bytes.subarray(start, end), slice.at + start)
        start = end + 1
      }
      if (start === 0 && slice.bytes.length < size) break
      size = start === 0 ? size * 4 : firstPart
      at = slice.at + start
    }
    lines.forget()
    return lines
  })

/** Notes how many lines of a compacted segment lie before a byte. */
export const noteCounted = (segment: Segment, at: number, lines: Lines.Lines): void => {
  if (segment.kept !== undefined) segment.kept.counted = { at, passed: lines.passed() }
}

/** The first line of a segment ends in its own checksum: on it depends which bytes of the one before it count. */
const headerSum = /,"sum":"([0-9a-f]{8})"\}$/

export const formatHeader = (header: SegmentHeader): string => {
  const text = formatControl(header).slice(0, -1)
  return `${text},"sum":"${Sums.sumOf(Buffer.from(text))}"}`
}

const isIntact = (text: string): boolean => {
  const found = headerSum.exec(text)
  return found === null || Sums.sumOf(Buffer.from(text.slice(0, found.index))) === found[1]
}

/** The first line of a segment; `undefined` if it was not written completely, or is not what was written. */
export const readHeader = (
  disk: Disk,
  segment: Segment
): Effect.Effect<SegmentHeader | undefined, StoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const path = disk.path("segments", fileName(segment))
      const file = yield* disk.openToRead(path)
      if (file === undefined) return undefined
      const line = yield* readLine(disk, file, path, 0)
      if (line === undefined) return undefined
      const text = decodeText(line, 0, line.length)
      if (text === undefined) return undefined
      const format = formatOf(text)
      if (format !== undefined && format > formatVersion) {
        return yield* failure({ _tag: "UnsupportedFormat", path, found: format, supported: formatVersion })
      }
      const header = isIntact(text) ? parseControl(text) : undefined
      return header?.$ === "segment" ? header : undefined
    })
  )

/** Up to where a segment counts to which nothing is appended any more. */
export const endOf = Effect.fnUntraced(function* (disk: Disk, segment: Segment) {
  const { series } = segment
  if (segment.generation > 0) return Number.POSITIVE_INFINITY
  if (segment.number === series.at.segment) return series.at.offset
  for (const number of [...series.segments.keys()].sort((a, b) => a - b)) {
    if (number <= segment.number) continue
    const header = yield* readHeader(disk, series.segments.get(number)!)
    if (header?.closes?.segment === segment.number) return header.closes.end
  }
  return Number.POSITIVE_INFINITY
})

/** A line of a segment, without its line end. */
export const readOneLine = (
  disk: Disk,
  segment: Segment,
  offset: number,
  length: number
): Effect.Effect<string | undefined, StoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* open(disk, segment)
      const slice = yield* reader.read(offset, length)
      return slice === undefined || slice.at !== offset
        ? undefined
        : decodeText(slice.bytes, 0, slice.bytes.length)?.trimEnd()
    })
  )
