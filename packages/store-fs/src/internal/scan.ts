/**
 * Goes through the lines of a segment and tells a torn tail from damage.
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"
import type { Disk } from "@waymark/store-kit/Disk"
import { isControl, parseControl } from "./format.ts"
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
  /** A line that was synced once and is not what was written; how it begins now, if it is known. */
  readonly damaged: (segment: Segment, offset: number, begins?: string) => void
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

interface Line {
  readonly offset: number
  readonly length: number
  /** `undefined` if it is none. */
  readonly text: string | undefined
  readonly control: boolean
  /** How it begins if it is none. */
  readonly begins: string | undefined
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
          ? Effect.succeed(undefined)
          : Effect.fail(error)
      )
      if (reader === undefined) {
        // Without its table nobody knows what a compacted segment holds.
        sink.damaged(segment, scope.from)
        return { end: scope.from, torn: false }
      }
      let certain = segment.generation > 0 ? Number.POSITIVE_INFINITY : scope.certain
      let at = scope.from
      let size = chunk
      // The batch that is being read: how many lines are still missing, those it has, and where it begins.
      let missing = 0
      let batch: Array<Line> = []
      let batchStart = 0

      // Checksums of the lines that come next.
      let nextSum = Sums.reader(scope.from === 0 ? (segment.kept?.sums ?? "") : "")

      const takes = ({ control, length, offset, text }: Line): boolean =>
        text !== undefined && sink.take(segment, offset, length, text, control)
      const take = (line: Line): void => {
        if (!takes(line)) sink.damaged(segment, line.offset, line.begins)
      }

      while (at < to) {
        const wanted = Math.min(size, to - at)
        const slice = yield* reader.read(at, wanted)
        if (slice === undefined) break
        const { bytes } = slice
        let start = 0
        for (let end = SegmentFile.endOfLine(bytes, 0); end >= 0; end = SegmentFile.endOfLine(bytes, start)) {
          const offset = slice.at + start
          const length = end + 1 - start
          const control = isControl(bytes, start)
          // One that is not what was written is as good as none.
          const intact = Sums.isIntact(nextSum(), bytes.subarray(start, end))
          const text = intact ? decodeText(bytes, start, end) : undefined
          const begins = intact ? undefined : bytes.toString("utf8", start, Math.min(end, start + beginning))
          start = end + 1
          const line: Line = { offset, length, text, control, begins }

          if (missing > 0) {
            batch.push(line)
            if (--missing > 0) continue
            const bad = offset < certain ? undefined : batch.find((each) => !isJson(each.text))
            if (bad !== undefined && bad.offset >= certain) {
              certain = Math.max(certain, yield* certainBeyond(reader, slice.at + start, to))
              if (bad.offset >= certain) return { end: batchStart, torn: true }
            }
            // They stand or fall together.
            if (batch.every((each) => isJson(each.text))) for (const each of batch) take(each)
            else for (const each of batch) sink.damaged(segment, each.offset, each.begins ?? each.text)
            batch = []
            continue
          }
          if (control) {
            const parsed = parseControl(text)
            if (parsed?.$ === "batch") {
              missing = parsed.lines
              batchStart = offset
              continue
            }
            if (parsed?.$ === "synced") certain = Math.max(certain, parsed.to)
            if (parsed?.$ === "sums") {
              const sums = Sums.unpack(parsed.of)
              nextSum = Sums.reader(sums ?? "")
              if (sums !== undefined) continue
              // Without them nobody knows better of the lines that follow; that this one is damaged is known.
              sink.damaged(segment, offset)
              continue
            }
          }
          if (takes(line)) continue
          if (offset >= certain) {
            certain = Math.max(certain, yield* certainBeyond(reader, slice.at + start, to))
            if (offset >= certain) return { end: offset, torn: true }
          }
          sink.damaged(segment, offset, begins)
        }
        if (start === 0) {
          // No whole line in so many bytes: the line is longer, or it was never finished.
          if (bytes.length < wanted || slice.at + bytes.length >= to) {
            const end = missing > 0 ? batchStart : slice.at
            // What a compacted one holds is known, and was synced.
            if (segment.generation > 0) sink.damaged(segment, end)
            return { end, torn: true }
          }
          size *= 4
          at = slice.at
        } else {
          at = slice.at + start
        }
      }
      return missing > 0 ? { end: batchStart, torn: true } : { end: Math.max(at, scope.from), torn: false }
    })
  )
