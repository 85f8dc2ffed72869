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
    return { starts, lengths, places, sums }
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

/** The length of the first line of a segment in the original. */
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
