/**
 * The durable entries of all runs, from a position in every series.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Event } from "@waymark/core/Event"
import * as Journal from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"
import type { Feed, StoreError } from "@waymark/core/Store"
import { holds } from "./catalog.ts"
import type { Catalog } from "./catalog.ts"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure } from "@waymark/store-kit/Failures"
import { isControl } from "./format.ts"
import { isBefore } from "./model.ts"
import type { Position, Run, Segment, Series } from "./model.ts"
import * as SegmentFile from "./segmentFile.ts"
import { decodeText } from "@waymark/store-kit/Text"

const Cursor = Schema.Record(Schema.String, Schema.Tuple([Schema.Int, Schema.Int]))
const decodeCursor = Schema.decodeUnknownExit(Schema.fromJsonString(Cursor))

const chunk = 128 * 1024
const start: Position = { segment: 0, offset: 0 }

const parseCursor = (text: string): Map<string, Position> | undefined => {
  const exit = decodeCursor(text)
  if (Exit.isFailure(exit)) return undefined
  return new Map(
    Object.entries(exit.value).map(([series, [segment, offset]]) => [series, { segment, offset }])
  )
}

const formatCursor = (at: ReadonlyMap<string, Position>): string =>
  JSON.stringify(
    Object.fromEntries([...at].map(([series, { offset, segment }]) => [series, [segment, offset]]))
  )

/** Whether what must come before an entry that begins a series' part of a journal was given out already. */
const isDue = (run: Run, seq: number, at: ReadonlyMap<string, Position>): boolean => {
  const before = run.switches?.find((each) => each.seq === seq)
  if (before === undefined) return true
  const reached = at.get(before.segment.series.id) ?? start
  return isBefore({ segment: before.segment.number, offset: before.offset }, reached)
}

export const read = (
  disk: Disk,
  catalog: Catalog,
  cursor: string | undefined,
  limit: number
): Effect.Effect<Feed, StoreError> =>
  Effect.gen(function* () {
    const all = [...catalog.series.values()].filter((series) => series.at.segment > 0)
    if (cursor === "now") {
      return { entries: [], cursor: formatCursor(new Map(all.map((series) => [series.id, series.at]))) }
    }
    const at = cursor === undefined ? new Map<string, Position>() : parseCursor(cursor)
    if (at === undefined) {
      return yield* failure({
        _tag: "Invalid",
        detail: `${JSON.stringify(cursor)} is not a cursor of this store`
      })
    }
    const entries: Array<Entry> = []

    /** Gives out what there is of one series, until the page is full or something has to come first. */
    const follow = (series: Series): Effect.Effect<boolean, StoreError> =>
      Effect.gen(function* () {
        let progress = false
        const end = series.at
        let position = at.get(series.id) ?? start
        while (isBefore(position, end) && entries.length < limit) {
          const segment = series.segments.get(position.segment)
          const stop = position.segment === end.segment ? end.offset : Number.POSITIVE_INFINITY
          const next = segment === undefined ? undefined : yield* stretch(segment, position.offset, stop)
          if (next !== undefined && next.offset !== position.offset) {
            position = { segment: position.segment, offset: next.offset }
            at.set(series.id, position)
            progress = true
          }
          if (next?.blocked === true || entries.length >= limit) break
          if (next !== undefined && !next.finished) continue
          if (position.segment === end.segment) {
            position = end
          } else {
            const numbers = [...series.segments.keys()].filter((number) => number > position.segment)
            position = numbers.length === 0 ? end : { segment: Math.min(...numbers), offset: 0 }
            if (isBefore(end, position)) position = end
          }
          at.set(series.id, position)
          progress = true
        }
        return progress
      })

    /** The same for a part of a segment. Only what the catalog counts is given out. */
    const stretch = (segment: Segment, from: number, stop: number) =>
      Effect.scoped(
        Effect.gen(function* () {
          const reader = yield* SegmentFile.open(disk, segment)
          let size = chunk
          while (true) {
            if (from >= stop) return { offset: from, finished: true, blocked: false }
            const wanted = Math.min(size, stop - from)
            const slice = yield* reader.read(from, wanted)
            if (slice === undefined) return { offset: from, finished: true, blocked: false }
            const { bytes } = slice
            let offset = slice.at
            for (let begin = 0; entries.length < limit;) {
              const lineEnd = SegmentFile.endOfLine(bytes, begin)
              if (lineEnd < 0) break
              if (!give(segment, offset, bytes, begin, lineEnd))
                return { offset, finished: false, blocked: true }
              begin = lineEnd + 1
              offset = slice.at + begin
            }
            if (offset !== slice.at || entries.length >= limit)
              return { offset, finished: false, blocked: false }
            if (bytes.length < wanted) return { offset, finished: true, blocked: false }
            size *= 4
          }
        })
      )

    /** Gives out one line if it is an entry that counts; `false` if it is not its turn yet. */
    const give = (segment: Segment, offset: number, bytes: Buffer, begin: number, end: number): boolean => {
      if (isControl(bytes, begin)) return true
      const text = decodeText(bytes, begin, end)
      // Reading the run that it belongs to gives the error.
      if (text === undefined) return true
      let event: Event
      try {
        event = JSON.parse(text) as Event
      } catch {
        return true
      }
      const run = catalog.runs.get(event.run)
      if (run === undefined) return true
      if (event.seq > run.last) return run.parked?.has(event.seq) !== true
      if (!holds(run, event.seq, segment, offset)) return true
      if (event.epoch > 0 && !isDue(run, event.seq, at)) return false
      const parsed = Journal.parse(text)
      if (Result.isSuccess(parsed)) entries.push(parsed.success)
      return true
    }

    let progress = true
    while (progress && entries.length < limit) {
      progress = false
      for (const series of all) if (yield* follow(series)) progress = true
    }
    return { entries, cursor: formatCursor(at) }
  })
