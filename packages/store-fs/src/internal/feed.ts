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
import type { Line } from "./lines.ts"
import { isBefore } from "./model.ts"
import type { Position, Run, Segment, Series } from "./model.ts"
import * as SegmentFile from "./segmentFile.ts"
import * as Sums from "./sums.ts"

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

interface Relevance {
  /** Whether something is missing from the feed without the line. */
  readonly misses: boolean
  /** Whose it was, if that is known. */
  readonly run: string | undefined
}

/** Says of the tags of damaged lines what that means for the feed. */
const relevanceIn = (catalog: Catalog): ((tag: string | undefined) => Relevance) => {
  const known = new Map<string, Relevance>([[Sums.noTag, { misses: false, run: undefined }]])
  for (const [id, upTo] of catalog.tombstones) {
    for (let incarnation = 1; incarnation <= upTo; incarnation++) {
      for (const kind of ["entry", "command", "deleted"] as const) {
        known.set(Sums.tagOf(kind, id, incarnation), { misses: false, run: id })
      }
    }
  }
  for (const { id, incarnation } of catalog.runs.values()) {
    known.set(Sums.tagOf("entry", id, incarnation), { misses: true, run: id })
    for (const kind of ["command", "deleted"] as const) {
      known.set(Sums.tagOf(kind, id, incarnation), { misses: false, run: id })
    }
  }
  return (tag) => known.get(tag ?? "") ?? { misses: true, run: undefined }
}

export const read = (
  disk: Disk,
  catalog: Catalog,
  cursor: string | undefined,
  limit: number,
  bytes: number = Number.POSITIVE_INFINITY
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
    let given = 0
    const isFull = (): boolean => entries.length >= limit || given >= bytes

    /** Gives out what there is of one series, until the page is full or something has to come first. */
    const follow = (series: Series): Effect.Effect<boolean, StoreError> =>
      Effect.gen(function* () {
        let progress = false
        const end = series.at
        let position = at.get(series.id) ?? start
        while (isBefore(position, end) && !isFull()) {
          const segment = series.segments.get(position.segment)
          const stop =
            position.segment === end.segment
              ? end.offset
              : segment === undefined
                ? position.offset
                : yield* SegmentFile.endOf(disk, segment)
          const next = segment === undefined ? undefined : yield* stretch(segment, position.offset, stop)
          if (next !== undefined && next.offset !== position.offset) {
            position = { segment: position.segment, offset: next.offset }
            at.set(series.id, position)
            progress = true
          }
          if (next?.blocked === true || isFull()) break
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

    /** The same for a part of a segment. Only what the catalog counts is given out, and what was written. */
    const stretch = (segment: Segment, from: number, stop: number) =>
      Effect.scoped(
        Effect.gen(function* () {
          const reader = yield* SegmentFile.open(disk, segment)
          const lines = yield* SegmentFile.linesFrom(segment, reader, from)
          let size = chunk
          let next = from
          /** Behind the last line that is dealt with. */
          let offset = from
          const over = (how: { readonly finished: boolean; readonly blocked: boolean }) => {
            if (!how.blocked) SegmentFile.noteCounted(segment, offset, lines)
            return { offset, ...how }
          }
          while (next < stop) {
            const wanted = Math.min(size, stop - next)
            const slice = yield* reader.read(next, wanted)
            if (slice === undefined) break
            const { bytes } = slice
            let begin = 0
            for (
              let end = SegmentFile.endOfLine(bytes, 0);
              end >= 0;
              end = SegmentFile.endOfLine(bytes, begin)
            ) {
              for (const line of lines.next(bytes.subarray(begin, end), slice.at + begin)) {
                if (!give(segment, reader.path, line)) return over({ finished: false, blocked: true })
                offset = line.offset + line.length
              }
              begin = end + 1
              if (isFull()) return over({ finished: false, blocked: false })
            }
            if (begin === 0 && bytes.length < wanted) break
            size = begin === 0 ? size * 4 : chunk
            next = slice.at + begin
          }
          for (const line of lines.end(next)) {
            // What was to follow beyond may never have been written.
            if (line.offset >= stop) break
            if (!give(segment, reader.path, line)) return over({ finished: false, blocked: true })
          }
          offset = Math.max(offset, next)
          if (next < stop && Number.isFinite(stop)) {
            // It is shorter than it was.
            damage ??= { path: reader.path, offset, run: undefined }
            return over({ finished: false, blocked: true })
          }
          return over({ finished: true, blocked: false })
        })
      )

    /** What is missing from the feed, where it was noticed first. */
    let damage:
      | { readonly path: string; readonly offset: number; readonly run: string | undefined }
      | undefined
    let relevance: ((tag: string | undefined) => Relevance) | undefined

    /** Whether a line that is not what was written is nothing for the feed. */
    const canMiss = ({ offset, sum }: Line, path: string): boolean => {
      relevance ??= relevanceIn(catalog)
      const { misses, run } = relevance(sum === undefined ? undefined : Sums.partsOf(sum).tag)
      if (misses) damage ??= { path, offset, run }
      return !misses
    }

    /** Gives out one line if it is an entry that counts; `false` if it is not its turn yet, or is not what it was. */
    const give = (segment: Segment, path: string, line: Line): boolean => {
      const { control, offset, text } = line
      if (control) return true
      let event: Event
      try {
        event = JSON.parse(text ?? "") as Event
      } catch {
        return canMiss(line, path)
      }
      const run = catalog.runs.get(event.run)
      if (run === undefined) return true
      if (event.seq > run.last) return run.parked?.has(event.seq) !== true
      if (!holds(run, event.seq, segment, offset)) return true
      if (run.damage !== undefined && event.seq >= run.damage.seq) {
        // The entries before it are not there.
        damage ??= { path: run.damage.path, offset: run.damage.offset, run: run.id }
        return false
      }
      if (event.epoch > 0 && !isDue(run, event.seq, at)) return false
      const parsed = Journal.parse(text!)
      if (Result.isFailure(parsed)) return canMiss(line, path)
      entries.push(parsed.success)
      given += parsed.success.line.length
      return true
    }

    let progress = true
    while (progress && !isFull()) {
      progress = false
      for (const series of all) if (yield* follow(series)) progress = true
    }
    // What lies before the damage, and in other series, is given out first.
    if (entries.length === 0 && damage !== undefined) {
      const { offset, path, run } = damage
      return yield* failure({
        _tag: "Corrupt",
        path,
        offset,
        ...(run === undefined ? undefined : { run }),
        detail:
          "an entry is not what was written; the feed cannot go on beyond it before the store is repaired"
      })
    }
    return { entries, cursor: formatCursor(at) }
  })
