/**
 * Goes through the lines of a segment and tells a torn tail from damage.
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"
import type { Disk } from "@waymark/store-kit/Disk"
import { fileName } from "./catalog.ts"
import { isControl, parseControl } from "./format.ts"
import type { Line } from "./lines.ts"
import type { Segment } from "./model.ts"
import * as SegmentFile from "./segmentFile.ts"
import * as Sums from "./sums.ts"
import { decodeText } from "@waymark/store-kit/Text"

export interface Sink {
  /** Takes in a line; `false` if it is not what a line can be. */
  readonly take: (
    segment: Segment,
    offset: number,
    length: number,
    line: string,
    isControl: boolean
  ) => boolean
  /** A line that was synced once and is not what was written, with what is known of it. */
  readonly damaged: (segment: Segment, offset: number, known?: Known) => void
}

/** What is known of a line that is not what was written: how it begins now, and its tag. */
export interface Known {
  readonly begins: string | undefined
  readonly tag: string | undefined
}

export interface Scope {
  readonly from: number
  /** Where to stop; `Infinity` for the end of the file. */
  readonly to: number
  /** Up to where everything is known to have been synced. */
  readonly certain: number
}

export interface Scanned {
  /** Behind the last whole line, or batch of lines, that was taken in. */
  readonly end: number
  /** Whether something that is not whole follows. */
  readonly torn: boolean
}

/** So much of a line says which run it was of. */
const beginning = 512

const chunk = 256 * 1024

const isJson = (text: string | undefined): boolean => {
  try {
    JSON.parse(text ?? "")
    return true
  } catch {
    return false
  }
}

/** Up to where marks behind `from` say that everything was synced. */
const certainBeyond = (
  reader: SegmentFile.SegmentReader,
  from: number,
  to: number
): Effect.Effect<number, StoreError> =>
  Effect.gen(function* () {
    let certain = 0
    let at = from
    let size = chunk
    while (at < to) {
      const slice = yield* reader.read(at, Math.min(size, to - at))
      if (slice === undefined) break
      let start = 0
      for (
        let end = SegmentFile.endOfLine(slice.bytes, 0);
        end >= 0;
        end = SegmentFile.endOfLine(slice.bytes, start)
      ) {
        if (isControl(slice.bytes, start)) {
          const control = parseControl(decodeText(slice.bytes, start, end))
          if (control?.$ === "synced") certain = Math.max(certain, control.to)
          if (control?.$ === "closed") certain = slice.at + end + 1
        }
        start = end + 1
      }
      if (start === 0) {
        if (slice.bytes.length < size) break
        size *= 4
      }
      at = slice.at + start
    }
    return certain
  })

/** Whether something in a segment says that its beginning was synced. */
export const wasSynced = (disk: Disk, segment: Segment): Effect.Effect<boolean, StoreError> =>
  Effect.scoped(
    Effect.flatMap(SegmentFile.open(disk, segment), (reader) =>
      Effect.map(certainBeyond(reader, 0, Number.POSITIVE_INFINITY), (certain) => certain > 0)
    )
  )

/** Hands the lines of a part of a segment to the sink, those of a batch all or none. */
export const scan = (
  disk: Disk,
  segment: Segment,
  scope: Scope,
  sink: Sink
): Effect.Effect<Scanned, StoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { to } = scope
      if (scope.from >= to) return { end: scope.from, torn: false }
      const opening = SegmentFile.open(disk, segment)
      const reader = yield* Effect.catch(opening, (error) =>
        segment.generation > 0 && error.reason._tag === "Corrupt"
          ? // One that is gone holds nothing: its series was removed just now.
            Effect.flatMap(disk.exists(disk.path("segments", fileName(segment))), (there) =>
              there ? Effect.succeed(undefined) : Effect.fail(error)
            )
          : Effect.fail(error)
      )
      if (reader === undefined) {
        // Without its table nobody knows what a compacted segment holds.
        sink.damaged(segment, scope.from)
        return { end: scope.from, torn: false }
      }
      let certain = segment.generation > 0 ? Number.POSITIVE_INFINITY : scope.certain
      const lines = yield* SegmentFile.linesFrom(segment, reader, scope.from)
      // The batch that is being read: how many lines are still missing, those it has, and where it begins.
      let missing = 0
      let batch: Array<Line> = []
      let batchStart = 0

      const takes = ({ control, length, offset, text }: Line): boolean =>
        text !== undefined && sink.take(segment, offset, length, text, control)
      const damaged = ({ begins, offset, sum, text }: Line): void =>
        sink.damaged(segment, offset, {
          begins: begins ?? text?.slice(0, beginning),
          tag: sum === undefined ? undefined : Sums.partsOf(sum).tag
        })

      /** Whether a line that is not whole is the trace of a crash: no mark behind it says that it was synced. */
      const isTorn = Effect.fnUntraced(function* (offset: number, behind: number) {
        if (offset < certain) return false
        certain = Math.max(certain, yield* certainBeyond(reader, behind, to))
        return offset >= certain
      })

      /** Takes in a line; where what counts ends, if it ends here. */
      const settle = (
        line: Line,
        behind: number
      ): Effect.Effect<number | undefined, StoreError> | undefined => {
        if (missing > 0) {
          batch.push(line)
          if (--missing > 0) return undefined
          const lines = batch
          batch = []
          if (lines.every(({ text }) => isJson(text))) {
            for (const each of lines) if (!takes(each)) damaged(each)
            return undefined
          }
          // They stand or fall together.
          const bad = lines.find(({ text }) => !isJson(text))!
          return Effect.map(isTorn(bad.offset, behind), (torn) => {
            if (torn) return batchStart
            for (const each of lines) damaged(each)
            return undefined
          })
        }
        if (line.control) {
          const parsed = parseControl(line.text)
          if (parsed?.$ === "batch") {
            missing = parsed.lines
            batchStart = line.offset
            return undefined
          }
          if (parsed?.$ === "synced") certain = Math.max(certain, parsed.to)
          if (parsed?.$ === "sums") return undefined
        }
        if (takes(line)) return undefined
        return Effect.map(isTorn(line.offset, behind), (torn) => {
          if (torn) return line.offset
          damaged(line)
          return undefined
        })
      }

      let at = scope.from
      let size = chunk
      let unfinished = false
      while (at < to) {
        const wanted = Math.min(size, to - at)
        const slice = yield* reader.read(at, wanted)
        if (slice === undefined) break
        const { bytes } = slice
        let start = 0
        for (
          let stop = SegmentFile.endOfLine(bytes, 0);
          stop >= 0;
          stop = SegmentFile.endOfLine(bytes, start)
        ) {
          const line = bytes.subarray(start, stop)
          const offset = slice.at + start
          start = stop + 1
          for (const each of lines.next(line, offset)) {
            const settling = settle(each, slice.at + start)
            const ends = settling === undefined ? undefined : yield* settling
            if (ends !== undefined) return { end: ends, torn: true }
          }
        }
        if (start === 0) {
          // No whole line in so many bytes: the line is longer, or it was never finished.
          if (bytes.length < wanted || slice.at + bytes.length >= to) {
            at = slice.at
            unfinished = true
            break
          }
          size *= 4
          at = slice.at
        } else {
          at = slice.at + start
        }
      }
      const rest = lines.end(at)
      for (const each of rest) {
        const settling = settle(each, at)
        const ends = settling === undefined ? undefined : yield* settling
        if (ends !== undefined) return { end: ends, torn: true }
      }
      const end = missing > 0 ? batchStart : Math.max(at, scope.from)
      // What a compacted one holds is known, and was synced.
      if (unfinished && rest.length === 0 && segment.generation > 0) sink.damaged(segment, end)
      return { end, torn: unfinished || missing > 0 }
    })
  )
